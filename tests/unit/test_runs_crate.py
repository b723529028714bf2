"""A run as a crate: its folder, and what its metadata says. tests/system/test_crate_validator.py asks the validator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported import FILES, project, sha256
from support.program import nixgen

from nixgen.machine import files, git
from nixgen.reports import collect
from nixgen.runs import checkout, lineage
from nixgen.runs import export as exporting
from nixgen.runs.finding import Found
from nixgen.runs.model import ConfigFile, Git


def export(found: Found, out: Path, *words: str, code: int = 0) -> str:
    root = found.folder.parent.parent
    command = ("runs", "export", found.run.id, "--project", str(root), "--format", "ro-crate", "--out", str(out))
    done = nixgen(*command, *words)
    assert done.returncode == code, done.stderr
    return done.stderr


def graph(crate: Path) -> dict[str, Any]:
    document = json.loads((crate / "ro-crate-metadata.json").read_text())
    entities = document["@graph"]
    known = {entity["@id"]: entity for entity in entities}
    assert len(known) == len(entities), "each is there once"
    return known


def test_what_it_holds(tmp_path: Path) -> None:
    found = project(tmp_path / "project")
    assert "crate: a crate of 10 files" in export(found, tmp_path / "crate")
    crate = tmp_path / "crate"
    files = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()}
    beside = {"run.yaml", "stdout", "stderr", "diff.patch", "config/conf/a b.yaml"}
    assert files == {"ro-crate-metadata.json", *beside, *(f"outputs/sub folder/{name}" for name in FILES)}
    assert (crate / "outputs/sub folder/model/weights.npz").read_bytes() == b"weights"
    assert (crate / "run.yaml").read_bytes() == (found.folder / "run.yaml").read_bytes()
    known = graph(crate)
    assert known["outputs/sub%20folder/ein%20Bild%20%C3%A9%23%251.png"] == {
        "@id": "outputs/sub%20folder/ein%20Bild%20%C3%A9%23%251.png",
        "@type": "File",
        "name": "ein Bild é#%1.png",
        "contentSize": "7",
        "sha256": sha256(b"picture"),
        "encodingFormat": "image/png",
    }
    action = known["#run"]
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert (action["startTime"], action["endTime"]) == (
        "2026-11-30T13:15:00.123+00:00",
        "2026-11-30T13:16:00.123+00:00",
    )
    assert [one["@id"] for one in action["object"]] == [
        *("config/conf/a%20b.yaml", "#config-x", "#models.minilm", "#data.d", "#seed", "diff.patch"),
    ]
    assert {known[one["@id"]]["name"] for one in action["result"]} == {*FILES, *found.run.metrics}
    assert known["#code"]["version"] == "1" * 40
    assert known["#environment"]["identifier"].startswith("/nix/store/")
    assert known["config/conf/a%20b.yaml"]["description"].endswith("masked in this copy: db.password")
    assert known["./"]["license"].startswith("Not stated")
    assert all(known.get(one["@id"]) for one in known["./"]["hasPart"])
    assert known["#metric-auc"]["value"] == found.run.metrics["auc"]
    assert known["#metric-loss"]["value"] == "inf", "JSON has no such number"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("MIT", "https://spdx.org/licenses/MIT"),
        ("apache-2.0", "https://spdx.org/licenses/Apache-2.0"),
        ("https://licences.example.org/ours 1", "https://licences.example.org/ours%201"),
        ("MIT OR Apache-2.0", None),
        ("LicenseRef-ours", None),
        ("Ask Ann.", None),
    ],
)
def test_its_licence(tmp_path: Path, given: str, place: str | None) -> None:
    export(project(tmp_path / "project"), tmp_path / "crate", "--license", given)
    known = graph(tmp_path / "crate")
    assert known["./"]["license"] == ({"@id": place} if place else given)
    assert place is None or known[place]["name"] == given


def test_a_licence_that_is_no_text(tmp_path: Path) -> None:
    """A word of the command line may have any bytes."""
    export(project(tmp_path / "project"), tmp_path / "crate", "--license", "ours\udcff")
    assert graph(tmp_path / "crate")["./"]["license"] == "ours\\udcff"


def test_a_run_that_failed(tmp_path: Path) -> None:
    found = project(tmp_path / "project", {}, status="failed", exit=3, git=None, environment=None, project=None)
    export(found, tmp_path / "crate")
    known = graph(tmp_path / "crate")
    assert known["#run"]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert known["#run"]["error"] == "failed, exit code 3"
    assert known["#code"]["name"] == "python"


def test_secrets_of_a_record_that_has_them(tmp_path: Path) -> None:
    git = Git("1" * 40, "main", "https://ann:secret@git.example.org/a.git?token=secret")
    export(project(tmp_path / "project", git=git), tmp_path / "crate")
    text = (tmp_path / "crate/ro-crate-metadata.json").read_text()
    assert "secret" not in text
    assert graph(tmp_path / "crate")["#code"]["codeRepository"] == "https://git.example.org/a.git"


def test_what_is_refused(tmp_path: Path) -> None:
    found = project(tmp_path / "project")
    (tmp_path / "there").mkdir()
    assert "there: is there already" in export(found, tmp_path / "there", code=2)
    assert "--key: is for --format in-toto" in export(found, tmp_path / "crate", "--key", "k", code=2)
    (tmp_path / "project/sub folder/model/weights.npz").write_bytes(b"others")
    (tmp_path / "project/sub folder/a:b").unlink()
    said = export(found, tmp_path / "crate", code=1)
    assert f"model/weights.npz: is not what the run made: SHA-256 {sha256(b'others')}" in said
    assert "a:b: cannot be read: No such file" in said, "all at once"
    assert {path.name for path in tmp_path.iterdir()} == {"project", "there"}, "all or nothing"


def test_a_run_that_still_runs(tmp_path: Path) -> None:
    assert "did not end" in export(project(tmp_path / "project", status="running"), tmp_path / "crate", code=2)


def test_a_record_that_leads_out(tmp_path: Path) -> None:
    """A teammate's record may name what is not theirs: nothing of it is copied."""
    (tmp_path / "secret").write_bytes(b"secret")
    files = {"../../secret": b"secret"}
    found = project(tmp_path / "project", files, config=(ConfigFile("a", "ab" * 32, "config/a.yaml"),))
    (found.folder / "config/a.yaml").symlink_to(tmp_path / "secret")
    (found.folder / "stdout").unlink()
    (found.folder / "stdout").symlink_to(tmp_path / "secret")
    said = export(found, tmp_path / "crate", code=2)
    assert "../../secret: lies outside of the project" in said
    assert f"{found.run.id}/config/a.yaml: is no file of this run" in said
    assert f"{found.run.id}/stdout: is no file of this run" in said
    assert lineage.configurations(found) == {}, "nor shown"
    (tmp_path / "secret").write_bytes(b"a: 1\n")
    (found.folder / "config/a.yaml").unlink()
    (found.folder / "config/a.yaml").symlink_to("conf/a b.yaml")
    assert lineage.configurations(found) == {"a": {"password": "***"}}, "one inside of the folder is of the run"


def test_a_diff_that_is_larger_than_a_file_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files that git knows may have changed: it is the run's all the same, and is looked through for secrets."""
    found = project(tmp_path / "project")
    assert found.run.git is not None
    applied: list[Path] = []
    monkeypatch.setattr(git, "apply", lambda _tree, patch: applied.append(patch))
    monkeypatch.setattr(files, "LIMIT", 3)
    checkout._changes(replace(found, run=replace(found.run, git=replace(found.run.git, dirty=True))), tmp_path)
    assert applied == [found.folder / "diff.patch"]
    assert collect._same(found.folder, "diff.patch", found.run.git.sha256)
    assert "diff.patch" in [one.name for one in exporting._plan(tmp_path / "project", found)]
    with (found.folder / "diff.patch").open("a") as patch:
        patch.write("+" + "n = 1, " * 200_000 + "\n+token: hunter2\n")
    assert "diff.patch" not in [one.name for one in exporting._plan(tmp_path / "project", found)]


def test_what_a_killed_export_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".nixgen-killed.new/outputs").mkdir(parents=True)
    export(project(tmp_path / "project"), tmp_path / "crate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crate", "project"]


def test_an_output_beside_the_folder_of_the_command(tmp_path: Path) -> None:
    export(project(tmp_path / "project", {"../model.bin": b"m"}), tmp_path / "crate")
    assert (tmp_path / "crate/outputs/model.bin").read_bytes() == b"m"
