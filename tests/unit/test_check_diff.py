"""``nixgen diff`` and ``nixgen check --against``: two records, no Nix."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from records import ARM, INPUTS, OUTPUTS, PATHS, RECORD, SYSTEM, X86, closure, path, recipe, sri, store_name
from records import system_record as recorded
from typer.testing import CliRunner

from nixgen.check import record
from nixgen.check.model import ArtifactInput, Record, SystemRecord, WheelInput
from nixgen.cli import app

UPGRADED = recorded(
    closure(
        path("base"),
        path("numpy-2", "base", size=1_000_000),
        path("environment-2", "base", "numpy-2"),
        path("root-2", "environment-2"),
    ),
    {"environment": recipe("environment-2"), "root": recipe("root-2"), "wheels.numpy": recipe("numpy-2")},
    replace(
        INPUTS,
        files={**INPUTS.files, "uv.lock": "0" * 64},
        wheels={"numpy": WheelInput("2.5.0", "numpy-2.5.0.whl", "0" * 64), "six": WheelInput("1.17.0", "s", "1" * 64)},
        artifacts={**INPUTS.artifacts, "models.minilm": ArtifactInput("3" * 40, "4" * 64)},
    ),
)
OTHER_BYTES = recorded({**PATHS, store_name("numpy"): path("numpy", "base", content="other bytes")})


def write(place: Path, *systems: tuple[str, SystemRecord]) -> str:
    place.write_text(record.dump_record(Record("plot", dict(systems))))
    return str(place)


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(map(str, words)))
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def old(tmp_path: Path) -> str:
    return write(tmp_path / "old.json", (X86, SYSTEM))


def test_an_upgrade_is_told_in_words_of_packages_and_models(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", (X86, UPGRADED), (ARM, SYSTEM))
    code, out, _ = run("diff", old, new)
    assert code == 0
    assert out.splitlines() == [
        "x86_64-linux:",
        "  wheels.numpy: version changed from 2.4.6 to 2.5.0",
        "  wheels.numpy: file changed from numpy-2.4.6-cp311-cp311-linux_x86_64.whl to numpy-2.5.0.whl",
        f"  wheels.numpy: sha256 changed from {'e' * 64} to {'0' * 64}",
        "  wheels.six 1.17.0 added",
        f"  models.minilm: commit moved from {'1' * 40} to {'3' * 40}",
        f"  models.minilm: digest changed from {'2' * 64} to {'4' * 64}",
        f"  uv.lock: SHA-256 changed from {'b' * 64} to {'0' * 64}",
        "  3 derivations changed: environment, root, wheels.numpy",
        "  closure: 480 B before, 977 KiB now, 3 paths added, 3 removed, 1 kept",
        "",
        f"aarch64-linux is only in {new}",
    ]
    assert "wheels.six 1.17.0 removed" in run("diff", new, old)[1]


def test_bytes_that_changed_by_themselves_are_a_finding(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", (X86, OTHER_BYTES))
    code, out, _ = run("diff", old, new)
    assert code == 1
    assert out.splitlines() == [
        "x86_64-linux:",
        f"  {store_name('numpy')}: {sri('numpy')} became {sri('other bytes')}, and its recipe did not change",
    ]
    document = json.loads(run("diff", old, new, "--json")[1])
    assert document["version"] == 1
    assert document["systems"][X86]["changedWithoutRecipe"] == [
        {"path": store_name("numpy"), "old": sri("numpy"), "new": sri("other bytes")}
    ]
    assert run("diff", old, new, "--markdown")[1].startswith("### x86\\_64-linux\n\n- ")


def test_nothing_changed(old: str) -> None:
    assert run("diff", old, old) == (0, "x86_64-linux:\n  nothing changed\n", "")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git work tree: no record, a record, an upgrade; the project lies in a folder of it."""
    folder = tmp_path / "work" / "project"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()

    def git(*words: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet", "..")
    git("add", "-A")
    git("commit", "-m", "empty")
    for system in (SYSTEM, UPGRADED):
        write(folder / record.NAME, (X86, system))
        git("add", "-A")
        git("commit", "-m", "record")
    return folder


def test_two_revisions(repository: Path) -> None:
    code, out, _ = run("diff", "HEAD~1", "HEAD", "--project", repository)
    assert code == 0
    assert "  wheels.numpy: version changed from 2.4.6 to 2.5.0" in out.splitlines()
    (repository / "sub").mkdir()
    assert run("diff", "HEAD~1", "HEAD", "--project", repository / "sub")[1] == out
    assert run("diff", "HEAD", repository / record.NAME, "--project", repository)[1].endswith("nothing changed\n")


def test_a_revision_without_a_record(repository: Path) -> None:
    code, _, err = run("diff", "HEAD~2", "HEAD", "--project", repository)
    assert code == 3
    assert err == (
        "error: HEAD~2: has no nixgen.hashes.json at this revision\n"
        "  hint: make one there, and commit it: nixgen check --update\n"
    )


@pytest.mark.parametrize("name", ["nothing", "--output=x", "HEAD:pyproject.toml"])
def test_what_is_neither_a_record_nor_a_revision(repository: Path, name: str) -> None:
    code, _, err = run("diff", "--project", repository, "--", name, "HEAD")
    assert code == 2
    assert f"error: {name}: is neither a record nor a revision of git" in err


def test_records_without_a_common_system(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", (ARM, SYSTEM))
    for words in (("diff", old, new), ("check", "--record", old, "--against", new)):
        code, _, err = run(*words)
        assert code == 3
        assert "has no system that" in err
        assert "nothing was compared" in err


def test_against_an_equal_record(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", *RECORD.systems.items())
    code, out, err = run("check", "--record", old, "--against", new)
    assert code == 0
    assert out.splitlines()[-2] == (
        "verdict: identical: both have the same content for each of 4 paths: "
        "the runtime closures that they record are bit-identical"
    )
    assert err == f"warning: aarch64-linux is only in {new}: it was not compared\n"


def test_against_other_bytes(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", (X86, OTHER_BYTES))
    code, out, _ = run("check", "--record", old, "--against", new)
    assert code == 1
    assert f"  {store_name('numpy')}: from the same recipe, and not the same bytes in both records" in out.splitlines()
    assert f"verdict: differs: 1 of 4 paths is not what was expected; the first is {store_name('numpy')}" in out


def test_against_other_inputs(old: str, tmp_path: Path) -> None:
    new = write(tmp_path / "new.json", (X86, UPGRADED))
    code, out, _ = run("check", "--record", old, "--against", new)
    assert code == 4
    assert f"  wheels.numpy: version is 2.4.6 in {old}, and 2.5.0 in {new}" in out.splitlines()
    assert "verdict: stale: inputs differ: 3 of 3 derivations are not the same in both" in out


def test_against_more_paths_of_the_same_recipe(old: str, tmp_path: Path) -> None:
    more = recorded({**PATHS, store_name("more"): path("more")}, OUTPUTS)
    new = write(tmp_path / "new.json", (X86, more))
    code, out, _ = run("check", "--record", old, "--against", new)
    assert code == 1
    assert f"  {store_name('more')}: is only in {new}" in out


def test_against_needs_two_records(tmp_path: Path, old: str) -> None:
    code, _, err = run("check", "--project", tmp_path, "--against", old)
    assert code == 3
    assert "there is no nixgen.hashes.json here or above" in err
    assert run("check", "--record", old, "--against", tmp_path / "none.json")[0] == 3
    assert run("check", "--record", old, "--against", old, "--update")[0] == 2
    (tmp_path / record.NAME).write_text(Path(old).read_text())
    assert run("check", "--project", tmp_path, "--against", old)[0] == 0
