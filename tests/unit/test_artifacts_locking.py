"""nixgen lock, the part of models and data: what is asked for again, what stays, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.world import NEW, OLD, TOML, World, file

from nixgen.artifacts import locking, sources
from nixgen.artifacts.locking import Request, lock_artifacts, summary
from nixgen.artifacts.model import ArtifactSpec, PinnedArchive, PinnedArtifact, content_commit
from nixgen.artifacts.sources.context import Context
from nixgen.console import console
from nixgen.errors import MachineError, UserError

UP, ALL = Request(upgrade=True), Request()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(sources, "resolve", made.resolve)
    monkeypatch.setattr(sources, "fetch", made.fetch)
    return made


def run(
    root: Path, toml: str, old: tuple[PinnedArtifact, ...] = (), request: Request = ALL, uv_lock: str = ""
) -> tuple[PinnedArtifact, ...]:
    (root / "models.toml").write_text(toml)
    return lock_artifacts(root, uv_lock, old, request)


def problems(root: Path, toml: str, old: tuple[PinnedArtifact, ...] = (), request: Request = ALL) -> list[str]:
    with pytest.raises(UserError) as raised:
        run(root, toml, old, request)
    return [str(problem).replace("\n  hint: ", " | ") for problem in raised.value.problems]


def test_without_entries_no_source_is_asked(tmp_path: Path, world: World) -> None:
    assert lock_artifacts(tmp_path, "", (), ALL) == ()
    assert run(tmp_path, "version = 1\n") == ()
    assert world.asked == []


def test_without_entries_nothing_heavy_is_imported(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("version = 1\n")
    code = (
        "import pathlib, sys\n"
        "from nixgen.artifacts.locking import Request, lock_artifacts\n"
        "assert lock_artifacts(pathlib.Path(), '', (), Request(upgrade=True)) == ()\n"
        "heavy = {'nixgen.artifacts.sources', 'tomlkit', 'urllib.request', 'ssl', 'pyarrow', 'concurrent.futures'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_pinned_and_unchanged_is_kept(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    assert [(pin.key, pin.commit, len(pin.files)) for pin in made] == [
        ("models.minilm", OLD, 3),
        ("models.vad", None, 1),
    ]
    world.commits["main"] = NEW
    world.asked.clear()
    assert run(tmp_path, TOML, made) == made
    assert run(tmp_path, TOML, made, Request(offline=True)) == made
    assert world.asked == []


def test_a_new_entry_is_asked_for_and_the_others_are_not(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.asked.clear()
    more = run(tmp_path, TOML + '[models.b]\nsource = "hf:org/b"\n', made)
    assert [pin.name for pin in more] == ["b", "minilm", "vad"]
    assert world.asked == [("b", None)]


def test_upgrade_moves_all_or_the_named(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.commits["main"] = NEW
    world.asked.clear()
    assert run(tmp_path, TOML, made, Request(upgrade=True, names=("vad",)))[0].commit == OLD
    assert world.asked == [("vad", None)]
    assert run(tmp_path, TOML, made, Request(upgrade=True, names=("models.minilm",)))[0].commit == NEW
    assert run(tmp_path, TOML, made, UP)[0].commit == NEW


def test_upgrade_tells_the_commits_and_the_files(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.commits["main"] = NEW
    moved = run(tmp_path, TOML, made, UP)
    assert list(summary(made, moved, UP)) == [
        "Pinned models.minilm: hf:org/minilm main at bbbbbbbbbbbb, 3 files, 8 B.",
        "  commit: aaaaaaaaaaaa → bbbbbbbbbbbb",
        "  config.json: changed, 1 B → 1 B",
        "  gone.bin: gone, was 2 B",
        "  new.txt: new, 4 B",
    ]
    assert list(summary(moved, moved, UP)) == ["models.minilm: main is still bbbbbbbbbbbb."]
    assert list(summary(moved, moved, Request(upgrade=True, names=("vad",)))) == []
    assert list(summary(moved, moved, ALL)) == []
    assert list(summary((), moved[:1], ALL)) == [
        "Pinned models.minilm: hf:org/minilm main at bbbbbbbbbbbb, 3 files, 8 B."
    ]
    assert list(summary(moved, moved[:1], ALL)) == ["models.vad: no longer pinned, models.toml does not have it."]


def test_many_files_are_counted_unless_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    files = tuple(file(f"{number:04}") for number in range(1000))
    old = PinnedArtifact("models", "a", "hf:o/a", "hf", (), commit=OLD)
    new = replace(old, files=files)
    lines = list(summary((old,), (new,), UP))
    assert (len(lines), lines[1], lines[-1]) == (22, "  0000: new, 1 B", "  and 980 files more: --verbose names them")
    monkeypatch.setattr(console, "verbose", True)
    assert len(list(summary((old,), (new,), UP))) == 1001


def test_another_choice_of_files_keeps_the_commit(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.commits["main"] = NEW
    world.asked.clear()
    toml = TOML.replace('revision = "main"', 'revision = "main"\ninclude = ["*.json"]')
    changed = run(tmp_path, toml, made)
    assert (changed[0].commit, changed[0].revision, changed[0].include) == (OLD, "main", ("*.json",))
    assert world.asked == [("minilm", OLD)]
    del world.commits["main"]
    assert run(tmp_path, TOML, changed)[0].commit == OLD


def test_another_revision_is_asked_for(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    moved = run(tmp_path, TOML.replace('"main"', f'"{NEW}"'), made)
    assert (moved[0].commit, moved[0].revision) == (NEW, NEW)
    assert world.asked[-1] == ("minilm", NEW)


def test_a_revision_that_has_vanished_says_what_to_do_and_all_are_told(tmp_path: Path, world: World) -> None:
    toml = TOML.replace('"main"', '"v0"') + '[models.b]\nsource = "hf:org/b"\nrevision = "v9"\n'
    assert problems(tmp_path, toml) == [
        "models.toml: models.b.revision: v9 is not there any more | choose another",
        "models.toml: models.minilm.revision: v0 is not there any more | choose another",
    ]
    assert len(world.asked) == 3


def test_the_first_error_gives_the_exit_code(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(spec: ArtifactSpec, _previous: PinnedArtifact | None, _context: Context) -> PinnedArtifact:
        raise MachineError.of(spec.source, "cannot be read")

    monkeypatch.setattr(sources, "resolve", unreachable)
    with pytest.raises(MachineError) as raised:
        run(tmp_path, TOML)
    assert len(raised.value.problems) == 2
    assert world.asked == []


def test_the_layout_alone_needs_no_network(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.asked.clear()
    toml = TOML.replace('revision = "main"', 'revision = "main"\nlayout = ["hf", "plain"]')
    toml += 'layout = "hf"\nrepo = "org/vad"\n'
    changed = run(tmp_path, toml, made, Request(offline=True))
    assert changed == (
        replace(made[0], layout=("hf", "plain")),
        replace(made[1], layout=("hf",), repo="org/vad", commit=content_commit(made[1].files)),
    )
    assert run(tmp_path, TOML, changed) == made
    assert world.asked == []


def test_a_checksum_that_is_not_the_pinned_files_is_asked_for(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    world.asked.clear()
    assert run(tmp_path, TOML + f'sha256 = "{made[1].files[0].sha256}"\n', made) == made
    assert world.asked == []
    run(tmp_path, TOML + f'sha256 = "{"7" * 64}"\n', made)
    assert world.asked == [("vad", None)]


def test_a_package_of_uv_lock_is_pinned_anew_with_it(tmp_path: Path, world: World) -> None:
    toml = 'version = 1\n[models.vad]\nsource = "archive:silero-vad"\nmember = "silero/vad.onnx"\n'
    wheel = PinnedArchive("c" * 64, 9, url="https://files.example.org/silero_vad-6-py3-none-any.whl")
    pin = PinnedArtifact(
        "models",
        "vad",
        "archive:silero-vad",
        "archive",
        (file("vad.onnx", member="silero/vad.onnx", archive=wheel),),
        member="silero/vad.onnx",
    )
    assert run(tmp_path, toml, (pin,), uv_lock='hash = "sha256:' + "c" * 64 + '"') == (pin,)
    assert world.asked == []
    run(tmp_path, toml, (pin,), uv_lock='hash = "sha256:' + "d" * 64 + '"')
    assert world.asked == [("vad", None)]


def test_a_file_of_the_project_is_read_each_time(tmp_path: Path, world: World) -> None:
    toml = 'version = 1\n[models.vad]\nsource = "vad.onnx"\n'
    pin = PinnedArtifact("models", "vad", "vad.onnx", "file", (file("vad.onnx", local="vad.onnx"),))
    assert run(tmp_path, toml, (pin,)) == (pin,)
    assert world.asked == []
    (tmp_path / "vad.onnx").write_text("y")
    run(tmp_path, toml, (pin,), Request(offline=True))
    assert world.asked == [("vad", None)]


def test_offline_lists_what_is_missing(tmp_path: Path, world: World) -> None:
    made = run(tmp_path, TOML)
    toml = TOML.replace('"main"', '"v1"') + '[data.sales]\nsource = "s3://bucket/sales/"\n'
    mend = "run it with the network: nixgen sync"
    world.asked.clear()
    assert problems(tmp_path, toml, made, Request(offline=True)) == [
        f"models.toml: models.minilm: revision is v1, and nixgen.lock was made for main | {mend}",
        f"models.toml: data.sales: is not pinned | {mend}",
    ]
    assert problems(tmp_path, TOML, made, Request(upgrade=True, names=("vad",), offline=True)) == [
        f"models.toml: models.vad: cannot be upgraded without the network | {mend}"
    ]
    assert world.asked == []


def test_names_to_upgrade_that_are_not_there(tmp_path: Path, world: World) -> None:
    request = Request(upgrade=True, names=("vat", "minilm", "zz"))
    assert problems(tmp_path, TOML, (), request) == [
        "vat: is no model and no data of models.toml | did you mean vad?",
        "zz: is no model and no data of models.toml | known are minilm, vad",
    ]
    assert problems(tmp_path, "version = 1\n", (), Request(upgrade=True, names=("a",))) == [
        "a: is no model and no data of models.toml | add it: nixgen model add NAME SOURCE"
    ]
    assert world.asked == []


def test_what_a_source_answers_is_not_trusted(tmp_path: Path, world: World) -> None:
    world.files[OLD] = (file("../x"), file("a\udc80"), file("README"), file("readme"), file("b"), file("b"))
    assert problems(tmp_path, TOML) == [
        "models.toml: models.minilm: the source has a file '../x', whose path leads out of its folder with \"..\""
        " | exclude it, if it can be",
        "models.toml: models.minilm: the source has a file 'a\\udc80', whose path is not UTF-8 text"
        " | exclude it, if it can be",
        "models.toml: models.minilm: the source's file 'b' is there twice | exclude one of the two",
        "models.toml: models.minilm: the source's file 'readme' differs from \"README\" only in the case or form of its"
        " letters | exclude one of the two",
    ]
    world.files[OLD] = ()
    assert problems(tmp_path, TOML) == [
        "models.toml: models.minilm: the source has no file that is asked for"
        " | check the source, and include and exclude"
    ]


def test_code_of_another_repo_is_pinned_or_reported(
    tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.extra = ("org/code",)
    run(tmp_path, TOML)
    assert capsys.readouterr().err == (
        "warning: models.minilm runs code of org/code, which is not pinned. "
        "To pin it: nixgen model add code hf:org/code\n"
    )
    run(tmp_path, TOML + '[models.code]\nsource = "hf:org/code"\n')
    assert "models.minilm runs code of" not in capsys.readouterr().err


def test_data_gets_a_manifest_which_stays_while_the_content_does(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    toml = 'version = 1\n[data.sales]\nsource = "https://files.example.org/sales.csv"\nformat = "csv"\n'
    (pin,) = run(tmp_path, toml)
    assert pin.data is not None
    assert (pin.data.dataset_name, pin.data.storage_uri) == ("sales", "https://files.example.org/sales.csv")
    assert pin.data.record_count == 2
    assert world.fetched == ["data.sales"]
    older = replace(pin, data=replace(pin.data, created_at="2020-01-01T00:00:00Z"))
    assert run(tmp_path, toml, (older,), UP) == (older,)
    assert world.fetched == ["data.sales"]
    monkeypatch.setattr("nixgen.artifacts.drift._KEYS", ("source", "format"))
    (other,) = run(tmp_path, toml.replace('"csv"', '"files"'), (older,))
    assert other.data is not None
    assert (other.data.record_count, other.data.created_at) == (None, "2020-01-01T00:00:00Z")


def test_the_request_moves_by_name_or_key() -> None:
    spec = ArtifactSpec("data", "a", "a.csv")
    assert locking.Request(upgrade=True, names=("data.a",)).moves(spec)
    assert not locking.Request(upgrade=True, names=("models.a",)).moves(spec)
    assert not locking.Request(names=("a",)).moves(spec)
