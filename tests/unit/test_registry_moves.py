"""Publishing and moving aliases: what a registry promises, also to who is killed or comes second."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registries import MODEL, NAME, SIGNER, CrashError, Lab
from support.nix import ROOT

from nixgen.errors import Finding, MachineError, NixgenError, UserError
from nixgen.registry import conditions
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.fetch import fetch
from nixgen.registry.names import Ref
from nixgen.registry.policy import Rules, Threshold
from nixgen.registry.promote import promote, rollback
from nixgen.registry.publish import Content, next_version, publish
from nixgen.registry.stamp import Stamp
from nixgen.registry.state import Model, at
from nixgen.registry.verify import Report, document, repair, verify
from nixgen.releases.documents import published_run

ANN = Stamp.now("ann")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.make(tmp_path)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"auc": 1' + b"0" * 400 + b"}", b"[]", b"{", b'{"auc": true}'])
def test_a_document_that_says_nothing(lab: Lab, text: bytes) -> None:
    """Whoever has the log's key publishes what they like: what is no number does not hold, and is no traceback."""
    content = Content(lab.artifacts({"model.bin": b"w"}), {"metrics.json": text, "run.json": text})
    entry = publish(lab.open(), Ref(NAME, version="1.0.0"), content, ANN).entry
    nothing: Any = None
    rules = Rules((Threshold("auc", min=0.5),))
    found = conditions.conditions(lab.open(), entry, "prod", rules, conditions.Asked(*[nothing] * 4))
    assert [(one.name, one.holds, one.value) for one in found] == [
        ("files", True, "as published"),
        ("auc", False, "no number"),
    ]
    with pytest.raises(UserError):
        published_run(document(lab.open().files, entry, "run.json"), "fraud")
    (lab.place / MODEL / "1.0.0/metrics.json").write_text('{"auc": 0.9}')
    assert document(lab.open().files, entry, "metrics.json") == {}, "it is another one than was published"


def test_bytes_that_are_no_text(lab: Lab) -> None:
    """In a name of the environment, and in a note of the log."""
    stamp = Stamp.now("ann\udcff", "why\udcff")
    content = Content(lab.artifacts({"model.bin": b"w"}), {})
    entry = publish(lab.open(), Ref(NAME, version="1.0.0"), content, stamp).entry
    assert (entry.by, entry.why) == ("ann\\udcff", "why\\udcff")
    told = replace(entry, kind="approve", digest="", note="\ud800")
    assert Entry.parse(told.line()) == told
    model = Model(entry.model, {entry.version: entry}, approvals={entry.version: [told]})
    assert conditions._approved(model, entry, Rules(keys=(SIGNER.verifier,), approvals=1)) == []


def test_what_lies_behind_a_link_is_neither_written_nor_removed(lab: Lab, tmp_path: Path) -> None:
    """A registry in a repository may have links of whoever may push there."""
    lab.publish("1.0.0")
    (tmp_path / "mine/2.0.0").mkdir(parents=True)
    (tmp_path / "mine/2.0.0/thesis").write_text("x")
    (lab.place / MODEL).rename(tmp_path / "moved")
    (lab.place / MODEL).symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="leads out of the registry, by a link"):
        lab.publish("2.0.0")
    lab.open().files.remove(f"{MODEL}/2.0.0")
    with pytest.raises(UserError, match="leads out of the registry, by a link"):
        lab.open().files.point(f"{MODEL}/prod", "1.0.0")
    assert [path.relative_to(tmp_path / "mine").as_posix() for path in sorted((tmp_path / "mine").rglob("*"))] == [
        "2.0.0",
        "2.0.0/thesis",
    ]


def sound(lab: Lab) -> Report:
    report = verify(lab.open())
    assert not report.findings, report.findings
    return report


def refusal(kind: type[NixgenError], do: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        do()
    return str(caught.value)


def test_what_is_published(lab: Lab) -> None:
    done = lab.publish("1.0.0")
    assert done.fresh
    assert done.files == 3
    folder = lab.place / MODEL / "1.0.0"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "model.bin",
        "more/vocabulary.txt",
        "metrics.json",
        "checksum.txt",
    }
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "checksum.txt"], cwd=folder, check=True)
    report = sound(lab)
    assert (report.models, report.versions, report.aliases, report.entries) == (1, 1, 0, 1)


def test_a_version_never_changes(lab: Lab) -> None:
    lab.publish("1.0.0")
    assert not lab.publish("1.0.0").fresh
    said = refusal(Finding, lambda: lab.publish("1.0.0", b"others"))
    assert said.startswith("demo/fraud-detector@1.0.0: is published with different bytes, and a version never changes")
    assert (lab.place / MODEL / "1.0.0/model.bin").read_bytes() == b"weights"
    assert sound(lab).entries == 1


def test_the_next_version(lab: Lab) -> None:
    assert next_version(lab.open(), NAME, "minor") == "0.1.0"
    lab.publish("0.9.0")
    lab.publish("0.10.0-rc.1")
    assert [next_version(lab.open(), NAME, bump) for bump in ("major", "minor", "patch")] == [
        "1.0.0",
        "0.11.0",
        "0.10.0",
    ]


def test_an_output_that_changed_since_the_run(lab: Lab) -> None:
    artifacts = lab.artifacts({"model.bin": b"now"})
    old = {"model.bin": type(artifacts["model.bin"])(artifacts["model.bin"].source, "0" * 64)}
    said = refusal(Finding, lambda: publish(lab.open(), Ref(NAME, version="1.0.0"), Content(old, {}), ANN))
    assert said.startswith("model.bin: is not what the run made: SHA-256 ")
    assert not lab.open().state().models


@pytest.mark.parametrize(
    "path", ["../out", "/etc/passwd", "a/../b", "a//b", "a\nb", "a\\b", ".publishing", "checksum.txt"]
)
def test_files_that_cannot_be_published(lab: Lab, path: str) -> None:
    artifact = lab.artifacts({"model.bin": b"1"})["model.bin"]
    refusal(UserError, lambda: publish(lab.open(), Ref(NAME, version="1.0.0"), Content({path: artifact}, {}), ANN))
    assert not (lab.place / MODEL).exists()


@pytest.mark.parametrize("name", ["..", "a b", "é", "A", "", "log", "x" * 300, "1.2.0", "a/b", "-a", "a\x1b[2J"])
def test_names_that_cannot_be(lab: Lab, name: str) -> None:
    said = refusal(UserError, lambda: lab.publish("1.0.0", name=name))
    assert "cannot be the name of a model" in said
    assert "\x1b" not in said
    assert len(said) < 400


def test_file_names_of_all_kinds(lab: Lab) -> None:
    artifacts = lab.artifacts({"my model é.bin": b"1", "a/" + "x" * 200: b"2"})
    publish(lab.open(), Ref(NAME, version="1.0.0"), Content(artifacts, {}), ANN)
    sound(lab)
    fetch(lab.open(), lab.open().state().version("demo", Ref(NAME)), lab.folder / "out")
    assert (lab.folder / "out/my model é.bin").read_bytes() == b"1"


def test_aliases(lab: Lab) -> None:
    for version in ("1.0.0", "1.1.0"):
        lab.publish(version)
    lab.promote("1.0.0")
    assert (lab.place / MODEL / "prod").readlink() == Path("1.0.0")
    assert (lab.place / MODEL / "prod/model.bin").read_bytes() == b"weights"
    lab.promote("1.1.0")
    assert refusal(UserError, lambda: lab.promote("1.1.0")).startswith("demo/fraud-detector@prod: is 1.1.0 already")
    done = rollback(lab.open(), NAME, "prod", ANN)
    assert (done.entry.version, done.entry.previous, done.entry.serial) == ("1.0.0", "1.1.0", 3)
    said = refusal(UserError, lambda: rollback(lab.open(), NAME, "prod", ANN))
    assert said.startswith("fraud-detector@prod: has no version to go back to; it is 1.0.0")
    assert rollback(lab.open(), NAME, "prod", ANN, "1.1.0").entry.version == "1.1.0"
    assert sound(lab).aliases == 1


def test_what_was_it_then(lab: Lab) -> None:
    lab.publish("1.0.0")
    lab.publish("1.1.0")
    moments = [lab.promote(version).entry.at for version in ("1.0.0", "1.1.0")]
    model = lab.open().state().model(MODEL)
    assert [at(model, moment)["prod"].version for moment in moments] == ["1.0.0", "1.1.0"]
    assert at(model, "2000-01-01T00:00:00.000000Z") == {}


def test_a_clock_that_was_set_back(lab: Lab) -> None:
    lab.publish("1.0.0")
    lab.publish("1.1.0")
    first = lab.promote("1.0.0").entry.at
    old = Stamp("ann", "2001-01-01T00:00:00.000000Z")
    promote(lab.open(), Ref(NAME, version="1.1.0"), "prod", old, ())
    model = lab.open().state().model(MODEL)
    assert model.alias("prod") == "1.1.0"
    assert at(model, first)["prod"].version == "1.1.0"
    assert at(model, "2001-01-02T00:00:00.000000Z") == {}


def test_a_condition_that_does_not_hold(lab: Lab) -> None:
    lab.publish("1.0.0")
    bad = (Condition("auc", False, "0.80", ">= 0.90"),)
    assert refusal(Finding, lambda: lab.promote("1.0.0", verdict=bad)).startswith("auc: 0.80, wanted >= 0.90")
    assert lab.open().state().model(MODEL).aliases() == {}
    reason = Stamp("ann", ANN.at, "measured on half of the data")
    done = promote(lab.open(), Ref(NAME, version="1.0.0"), "prod", reason, bad, override=True)
    assert done.entry.override
    assert done.entry.verdict == bad
    assert lab.open().state().model(MODEL).moves["prod"][0] == done.entry


def test_bytes_that_changed_are_not_promoted(lab: Lab) -> None:
    lab.publish("1.0.0")
    (lab.place / MODEL / "1.0.0/model.bin").write_bytes(b"weightz")
    assert "has SHA-256" in refusal(Finding, lambda: lab.promote("1.0.0"))
    assert lab.open().state().model(MODEL).aliases() == {}


@pytest.mark.parametrize("act", ["publish", "promote", "rollback"])
def test_killed_at_every_moment(lab: Lab, act: str) -> None:
    lab.publish("1.0.0")
    lab.publish("1.1.0", b"better")
    lab.promote("1.0.0")
    lab.promote("1.1.0")
    acts: dict[str, Callable[[], object]] = {
        "publish": lambda: lab.publish("1.2.0", b"best"),
        "promote": lambda: lab.promote("1.1.0", "staging"),
        "rollback": lambda: rollback(lab.open(), NAME, "prod", ANN),
    }
    moments = 0
    while True:
        before = lab.open().state().model(MODEL)
        with lab.crashing(moments) as done:
            try:
                acts[act]()
                break
            except (CrashError, UserError):
                pass
        assert len(done) <= moments
        # What was begun is done, or not; who looks next sees one of both, and says so.
        now = lab.open().state().model(MODEL)
        if act == "publish":
            assert sorted(now.versions) in (["1.0.0", "1.1.0"], ["1.0.0", "1.1.0", "1.2.0"])
        for problem in verify(lab.open()).findings:
            assert "and the log says" in problem.what, problem
        repair(lab.open())
        sound(lab)
        if (now.versions.keys(), now.aliases()) != (before.versions.keys(), before.aliases()):
            return  # it took place, though nobody was told
        moments += 1
    assert moments > 3
    sound(lab)


@pytest.mark.heavy
def test_twenty_at_once(lab: Lab) -> None:
    for number in range(20):
        lab.publish(f"1.{number}.0", str(number).encode())
    sources = "import sys; sys.path[:0] = sys.argv[2:4]; from registries import Lab; from pathlib import Path; "
    sources += "lab = Lab.make(Path(sys.argv[1])); print('go', flush=True); input(); lab.promote(sys.argv[4])"
    given = [sys.executable, "-c", sources, str(lab.folder), str(ROOT), str(Path(__file__).parent)]
    ends = []
    others = [
        subprocess.Popen([*given, f"1.{number}.0"], stdin=-1, stdout=-1, stderr=-1, text=True) for number in range(20)
    ]
    for one in others:
        assert one.stdout is not None
        assert one.stdout.readline() == "go\n"
    with ThreadPoolExecutor(20) as pool:
        ends = list(pool.map(lambda one: (one.communicate("\n"), one.returncode), others))
    lost = [said for (_, said), code in ends if code]
    assert len(lost) < 20
    assert all("moved by somebody else meanwhile" in said for said in lost), lost
    model = lab.open().state().model(MODEL)
    assert len(model.moves["prod"]) == 20 - len(lost)
    assert (lab.place / MODEL / "prod").readlink() == Path(model.alias("prod"))
    sound(lab)


def test_two_who_see_the_same(lab: Lab) -> None:
    """Without a lock, as in a bucket: the log takes one of them."""
    lab.publish("1.0.0")
    lab.publish("1.1.0")
    mine = lab.open()
    mine.state()
    theirs = lab.open()
    entry = ANN.entry("promote", MODEL, "1.0.0", alias="prod", serial=1)
    assert not theirs.append(entry).conflicts
    late = Stamp.now("bob").entry("promote", MODEL, "1.1.0", alias="prod", serial=1)
    assert mine.append(late).conflicts
    assert lab.open().state().model(MODEL).alias("prod") == "1.0.0"
    report = verify(lab.open())
    assert [problem.what for problem in report.findings] == ["is missing, and the log says 1.0.0"]
    assert "lost against another at the same time" in report.notes[0].what
    assert repair(lab.open()) == [f"{MODEL}@prod"]
    sound(lab)


def test_a_file_system_without_links(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    lab.publish("1.0.0")
    lab.promote("1.0.0")
    assert (lab.place / MODEL / "prod").read_text() == "1.0.0\n"
    sound(lab)


def test_a_full_disk(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=1m", mounted], check=True)
    lab = Lab.make(mounted)
    lab.publish("1.0.0")
    kept = (mounted / "registry/log/checkpoint").read_bytes()
    big = mounted.parent / "big.bin"
    big.write_bytes(bytes(8 << 20))
    artifact = type(lab.artifacts({"x": b""})["x"])(big)
    with pytest.raises(MachineError, match="the disk is full"):
        publish(lab.open(), Ref(NAME, version="1.1.0"), Content({"model.bin": artifact}, {}), ANN)
    assert (mounted / "registry/log/checkpoint").read_bytes() == kept
    assert sorted(lab.open().state().model(MODEL).versions) == ["1.0.0"]
    sound(lab)
    lab.publish("1.1.0")
    sound(lab)


def test_a_move_on_a_full_disk(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=1m", mounted], check=True)
    lab = Lab.make(mounted)
    lab.publish("1.0.0")
    lab.publish("1.1.0", b"better")
    lab.promote("1.0.0")
    lab.promote("1.1.0")
    rest = mounted / "rest"
    with contextlib.suppress(OSError), rest.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 9)):
            pass
    moves: list[Callable[[], object]] = [
        lambda: lab.promote("1.0.0", "staging"),
        lambda: rollback(lab.open(), NAME, "prod", ANN),
    ]
    for move in moves:
        with pytest.raises(MachineError, match="the disk is full"):
            move()
        assert lab.open().state().model(MODEL).aliases() == {"prod": "1.1.0"}
        sound(lab)
    rest.unlink()
    lab.promote("1.0.0", "staging")
    rollback(lab.open(), NAME, "prod", ANN)
    assert lab.open().state().model(MODEL).aliases() == {"prod": "1.0.0", "staging": "1.0.0"}
    sound(lab)


def test_what_verify_finds(lab: Lab) -> None:
    lab.publish("1.0.0")
    lab.publish("1.1.0")
    lab.promote("1.0.0")
    folder = lab.place / MODEL
    (folder / "1.0.0/model.bin").write_bytes(b"other")
    (folder / "1.0.0/more/vocabulary.txt").unlink()
    (folder / "1.0.0/added").write_bytes(b"")
    (folder / "1.1.0/checksum.txt").write_bytes(b"")
    (folder / "prod").unlink()
    (folder / "prod").symlink_to("1.1.0")
    (folder / "beta").symlink_to("9.9.9")
    (folder / "2.0.0").mkdir()
    (lab.place / "demo/another").mkdir()
    (lab.place / "demo/another/1.0.0").mkdir()
    found = {problem.where: problem.what for problem in verify(lab.open()).findings}
    assert {place: what.partition(":")[0] for place, what in found.items()} == {
        f"{MODEL}/1.0.0/model.bin": found[f"{MODEL}/1.0.0/model.bin"],
        f"{MODEL}/1.0.0/more/vocabulary.txt": "is missing",
        f"{MODEL}/1.0.0/added": "was not published",
        f"{MODEL}/1.1.0/checksum.txt": "is not the one that was published",
        f"{MODEL}/prod": "leads to 1.1.0, and the log says 1.0.0",
        f"{MODEL}/beta": "was not published",
        f"{MODEL}/2.0.0": "was not published",
        "demo/another": "was not published",
    }


def test_fetching(lab: Lab) -> None:
    lab.publish("1.0.0")
    entry = lab.open().state().version("demo", Ref(NAME))
    out = lab.folder / "out"
    assert sorted(fetch(lab.open(), entry, out)) == ["checksum.txt", "metrics.json", "model.bin", "more/vocabulary.txt"]
    assert "is there already" in refusal(UserError, lambda: fetch(lab.open(), entry, out))
    (lab.place / MODEL / "1.0.0/model.bin").write_bytes(b"other")
    assert "is not what was published" in refusal(Finding, lambda: fetch(lab.open(), entry, lab.folder / "again"))
    assert not (lab.folder / "again").exists()
