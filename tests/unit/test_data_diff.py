"""nixgen data diff: what differs between two snapshots, and the three forms in which it is told."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datafiles import arrow_file, parquet, write
from hypothesis import given
from hypothesis import strategies as st
from support.snapshots import taken

from nixgen.artifacts.model import PinnedArtifact, PinnedFile
from nixgen.artifacts.store import Folder
from nixgen.bases.model import NixpkgsBase
from nixgen.data import render, snapshot
from nixgen.data.diff import DataDiff, diff
from nixgen.data.manifest import describe
from nixgen.data.schema import Column, schema_hash
from nixgen.errors import UserError
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.models.datadiff import diff_command
from nixgen.project.project import Project
from nixgen.project.settings import Settings

JUNE = "id,amount,city\n1,10.5,Rome\n2,20.5,\n3,30.5,Oslo\n"
JULY = "id,amount,country\n1,10.5,IT\n2,99.5,NO\n3,,NO\n4,50,NO\n"


def july(tmp_path: Path) -> DataDiff:
    old = taken(tmp_path / "june", {"a.csv": JUNE, "gone.txt": "x"})
    return diff(old, taken(tmp_path / "july", {"a.csv": JULY, "new.txt": "yy"}))


def test_what_differs(tmp_path: Path) -> None:
    found = july(tmp_path)
    assert not found.empty
    assert [file.path for file in found.files_added] == ["new.txt"]
    assert [file.path for file in found.files_removed] == ["gone.txt"]
    assert [changed.new.path for changed in found.files_changed] == ["a.csv"]
    assert (found.old.records, found.new.records) == (3, 4)
    assert found.columns_added == (Column("country", "string", False),)
    assert found.columns_removed == (Column("city", "string", True),)
    assert [retyped.new for retyped in found.columns_retyped] == [Column("amount", "float64", True)]
    assert [drift.new.name for drift in found.drift] == ["id", "amount"]
    assert not found.reordered


@pytest.mark.parametrize(
    ("name", "form"), [("diff.txt", render.as_text), ("diff.md", render.as_markdown), ("diff.json", render.as_json)]
)
def test_the_three_forms(
    tmp_path: Path, golden: Callable[[str, str], None], name: str, form: Callable[[DataDiff], str]
) -> None:
    golden(f"data/{name}", form(july(tmp_path)) + "\n")


def test_json_says_all(tmp_path: Path) -> None:
    found = july(tmp_path)
    document = json.loads(render.as_json(found))
    assert document["version"] == 1
    assert document["equal"] is False
    assert document["schema"]["added"] == [{"name": "country", "type": "string", "nullable": False}]
    assert document["drift"][1]["new"]["p50"] == 50.0
    assert document["files"]["changed"][0]["new"]["path"] == "a.csv"


def test_json_has_neither_nan_nor_infinity(tmp_path: Path) -> None:
    old = taken(tmp_path / "a", {"a.csv": "x\n1.5\nnan\n"})
    new = taken(tmp_path / "b", {"a.csv": "x\n1.5\ninf\n"})
    drift = json.loads(render.as_json(diff(old, new)))["drift"][0]
    assert (drift["old"]["nans"], drift["new"]["max"]) == (1, "inf")
    assert "inf" in render.as_text(diff(old, new))


def test_markdown_keeps_its_cells(tmp_path: Path) -> None:
    old = taken(tmp_path / "a", {"a.csv": "x\n1\n"})
    new = taken(tmp_path / "b", {"a.csv": 'x,"a|b\n<b>"\n1,2\n'})
    assert "| added | a\\|b \\<b> | int64 |" in render.as_markdown(diff(old, new))


ROW = st.fixed_dictionaries({"a": st.none() | st.integers(), "b": st.floats() | st.none(), "c": st.text(max_size=3)})


@given(st.lists(ROW, max_size=8))
def test_equal_snapshots_do_not_differ(rows: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        old, new = (taken(Path(folder, name), {"a.jsonl": text}) for name in ("old", "new"))
    found = diff(old, new)
    assert found.empty
    assert found == DataDiff(old, new)
    assert json.loads(render.as_json(found))["equal"] is True
    assert render.as_text(found).startswith("old and new are the same: 1 file")


def test_the_same_rows_in_other_files_drift_nowhere(tmp_path: Path) -> None:
    rows = [f"{n * 0.1!r},t{n}\n" for n in range(100)]
    old = taken(tmp_path / "a", {"x.csv": "f,s\n" + "".join(rows)})
    new = taken(tmp_path / "b", {"x.csv": "f,s\n" + "".join(rows[50:]), "y.csv": "f,s\n" + "".join(rows[:50])})
    found = diff(old, new)
    assert (found.drift, found.schema_changed) == ((), False)
    assert not found.empty


def test_the_command_takes_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"june.csv": JUNE, "july.csv": JULY, "again/june.csv": JUNE})
    found = diff_command("june.csv", "july.csv", None)
    assert (found.old.name, found.new.name, found.new.records) == ("june.csv", "july.csv", 4)
    same = diff_command("june.csv", "again", None)
    assert same.empty
    assert same.old.schema == same.new.schema
    assert [schema_hash(same.old.schema or ()), "string"] == [same.old.schema_hash, (same.old.schema or ())[2].type]
    with pytest.raises(UserError) as caught:
        diff_command("june.csv", "august.csv", None)
    assert str(caught.value) == ("august.csv: is not there\n  hint: name a folder, a file, or a dataset of nixgen.lock")


def pinned(project: Project, form: str | None = None) -> None:
    """Pins the file of the project as nixgen lock does."""
    path = project.path("sales/a.csv")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = describe("sales", "file:sales", form, [("a.csv", path)], {"a.csv": digest})
    file = PinnedFile("a.csv", path.stat().st_size, digest, local="sales/a.csv")
    artifact = PinnedArtifact("data", "sales", "file:sales", "file", (file,), format=form, data=data)
    base = NixpkgsBase("nixos-26.05", "a" * 40, "sha256-" + "A" * 43 + "=", 1, "2.40", "3.13", (), ())
    project.path("nixgen.lock").write_text(dump_lock(Lock(base, artifacts=(artifact,))), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    write(root, {"sales/a.csv": JUNE})
    monkeypatch.chdir(tmp_path)
    made = Project(root, "demo", {}, Settings(), None, True)
    pinned(made)
    return made


NOWHERE = Folder(Path("/nonexistent"))


def test_a_pinned_dataset_is_read_where_it_lies(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"july.csv": JULY})
    found = diff_command("sales", "july.csv", project, NOWHERE)
    assert [drift.new.name for drift in found.drift] == ["id", "amount"]
    assert found.notes == ()
    assert diff_command("data.sales", str(project.path("sales")), project, NOWHERE).empty


def test_a_pinned_dataset_of_another_commit(project: Project, tmp_path: Path) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "june"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command],
                       cwd=project.root, check=True)  # fmt: skip
    held = tmp_path / "held"
    held.mkdir()
    june = project.path("sales/a.csv").read_bytes()
    project.path("sales/a.csv").write_text(JULY, encoding="utf-8")
    pinned(project)
    lacking = diff_command("sales@HEAD", "sales", project, NOWHERE)
    assert lacking.notes == (
        "sales@HEAD: a.csv not on this machine as pinned; columns are not compared (get them: nixgen data fetch sales)",
    )
    assert (lacking.old.records, lacking.new.records, lacking.schema_changed, lacking.drift) == (3, 4, True, ())
    assert "the schema's hash differs" in render.as_text(lacking)
    (held / hashlib.sha256(june).hexdigest()).write_bytes(june)
    found = diff_command("sales@HEAD", "sales", project, Folder(held))
    assert (found.notes, len(found.drift)) == ((), 2)
    with pytest.raises(UserError, match=r"sales@v9: has no nixgen\.lock there: "):
        diff_command("sales@v9", "sales", project, NOWHERE)


def test_a_name_that_is_not_pinned(project: Project) -> None:
    with pytest.raises(UserError) as caught:
        diff_command("salse", "sales", project, NOWHERE)
    assert str(caught.value) == (
        "salse: is neither a path nor a dataset of nixgen.lock\n  hint: did you mean sales? it has sales"
    )


@pytest.mark.heavy
def test_tables_of_thousands_of_columns_are_bounded(tmp_path: Path) -> None:
    """Case 36: one long type made every row as long as it is; 3,000 columns were 300 MB."""
    deep = {f"field{number}": {"y": [number]} for number in range(3000)}
    sides = []
    for side, deep_name in enumerate(("was", "is")):
        row = {
            **{f"c{n}": n + side for n in range(3000)},
            **{f"{deep_name}{n}": 1 for n in range(300)},
            deep_name: deep,
        }
        files: dict[str, str | bytes] = {f"{deep_name}{n}.txt": b"" for n in range(500)}
        sides.append(taken(tmp_path / deep_name, {"a.jsonl": json.dumps(row), **files}))
    found = diff(sides[0], sides[1])
    for text in (render.as_text(found), render.as_markdown(found)):
        assert len(text) < 100_000
        assert max(map(len, text.splitlines())) < 300
        assert "and 801 more: --json has them" in text  # 500 files that came, 500 that went, 1 that changed
        assert "and 402 more: --json has them" in text
        assert "2950 more columns with other statistics: --json has them" in text
    document = json.loads(render.as_json(found))
    assert (len(document["drift"]), len(document["files"]["added"]), len(document["schema"]["added"])) == (
        3000,
        500,
        301,
    )


def test_thousands_of_digits_are_shown(tmp_path: Path) -> None:
    for a, b in (("-9" + "0" * 4298, "9" * 4300), ("1" * 400, "2" * 400)):
        sides = [taken(tmp_path / name, {"a.jsonl": f'{{"x": {text}}}\n'}) for name, text in (("a", a), ("b", b))]
        assert len(render.as_text(diff(sides[0], sides[1]))) < 3000
        assert str(b) in render.as_json(diff(sides[0], sides[1]))


def test_a_broken_file_is_told_with_its_row(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": JUNE, "b.csv": JUNE + "4,5\n"})
    with pytest.raises(UserError, match=r"b\.csv: row 5: has 2 fields, and the header has 3"):
        diff_command(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), None)


def test_an_empty_folder_and_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no files"):
        snapshot.of_path(tmp_path, "x")
    (tmp_path / "a.csv").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"x: a\.csv: is no file, nor a link to one"):
        snapshot.of_path(tmp_path, "x")


def test_hidden_statistics_are_all_compared(tmp_path: Path) -> None:
    side = taken(tmp_path / "a", {"a.csv": "x\n1\n"})
    assert side.columns is not None
    other = replace(side, columns=(replace(side.columns[0], nulls=1),))
    assert [drift.new.nulls for drift in diff(side, other).drift] == [1]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.csv", "a.jsonl"])
def test_damaged_files_are_refused_or_read(tmp_path: Path, name: str) -> None:
    """Never anything but a sentence: offsets that lead out of an Arrow file would end the process."""
    columns = {"id": list(range(50)), "s": [f"x{n}" for n in range(50)], "l": [[n] for n in range(50)]}
    whole = {
        "a.parquet": parquet(columns),
        "a.arrow": arrow_file(columns),
        "a.arrows": arrow_file(columns, stream=True),
        "a.csv": b'id,s,"t"\n' + b'1,"x\ny",2024-01-01\n' * 40,
        "a.jsonl": b'{"id": 1, "s": "x", "l": [{"a": 2}]}\n' * 9,
    }[name]
    chance = random.Random(3)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        place = chance.randrange(1, len(damaged))
        if chance.random() < 0.8:
            damaged[place] ^= 1 << chance.randrange(8)
        else:
            del damaged[place:]
        (tmp_path / name).write_bytes(damaged)
        try:
            snapshot.read(*snapshot.of_path(tmp_path / name, "x"))
        except UserError:
            refused += 1
    assert refused
