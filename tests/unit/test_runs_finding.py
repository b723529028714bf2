"""Which run a word means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nixgen.errors import UserError
from nixgen.runs import finding, recordfile
from nixgen.runs.model import Run

FIRST, SECOND, LAST = "20261130-131500-3fa2c1", "20261130-131500-4fa2c1", "20261201-000000-000000"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (SECOND, LAST, FIRST):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        run = Run(name, "running", ("true",), datetime(2026, 11, 30, tzinfo=UTC))
        (folder / "run.yaml").write_bytes(recordfile.dump(run))
    (tmp_path / "runs/notes").mkdir()
    (tmp_path / "runs/20261202-000000-000000").mkdir()  # of a nixgen that was killed before it started anything
    return tmp_path


@pytest.mark.parametrize(
    ("word", "name"),
    [("latest", LAST), (FIRST, FIRST), ("20261201", LAST), ("4fa2c1", SECOND), ("0", LAST), ("00", LAST)],
)
def test_a_run_is_named_by_what_no_other_begins_or_ends_with(root: Path, word: str, name: str) -> None:
    assert finding.find(root, word) == finding.Found(root / "runs" / name, recordfile.read(root / "runs" / name))


def test_a_run_is_named_by_a_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "runs")
    for word in (FIRST, f"{FIRST}/run.yaml", f"../runs/{FIRST}", str(root / "runs" / FIRST)):
        assert finding.find(Path("/nowhere"), word).run.id == FIRST


def test_a_word_that_means_none_or_several(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UserError, match=f"is the beginning or end of 2 runs: {FIRST}, {SECOND}"):
        finding.find(root, "20261130")
    for word in ("nothing", "", "..", "../.."):
        with pytest.raises(UserError, match="is no run of this project"):
            finding.find(root, word)
    with pytest.raises(UserError, match="has no runs"):
        finding.find(tmp_path_factory.mktemp("empty"), "latest")


def test_all_runs_the_earliest_first_and_a_broken_one_beside_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "runs" / SECOND / "run.yaml").write_text("version: 1\n")
    assert [run.id for run in finding.runs(root)] == [FIRST, LAST]
    assert f"warning: {SECOND}/run.yaml: id: is missing" in capsys.readouterr().err
