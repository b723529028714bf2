"""Bundles: one file with a closure and a project, its form, and what a hostile one can do."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import zlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import exported
import pytest
from support.plans import DEBIAN, NIXPKGS

from nixgen.bundle import gzipped, making, model, opening, proofs, reading, start, tarform
from nixgen.bundle.model import Bundle, File
from nixgen.bundle.tarform import FILE, LINK, Entry
from nixgen.cache.entry import Entry as CacheEntry
from nixgen.check.digest import closure_digest
from nixgen.check.facts import system as own_system
from nixgen.check.model import ClosurePath
from nixgen.cli import bundle as cli
from nixgen.console import console
from nixgen.errors import Finding, MachineError, NixgenError, UserError
from nixgen.models import signing
from nixgen.nix import nar
from nixgen.runs import statement

SETUP, LIB = f"{'a' * 32}-demo-setup", f"{'0' * 32}-lib"


@dataclass(frozen=True)
class Made:
    """A store and a project of a few files, and the bundle of them."""

    folder: Path
    bundle: Bundle

    def write(self, place: Path, bundle: Bundle | None = None, **front: bytes) -> Path:
        whole, script = start.started(bundle or self.bundle)
        data = model.dump(whole)
        document = model.statement(whole, model.digest(data), closure_digest(whole.paths.values()))
        told = {model.NAME: data, model.STATEMENT: statement.text(document).encode()} | front
        nix: Any = SimpleNamespace(physical=lambda path: self.folder / path.lstrip("/"))
        making.write(place, script, told, whole, self.folder / "project", nix)
        return place


def make(folder: Path) -> Made:
    store, project = folder / "nix/store", folder / "project"
    (store / SETUP / "lib/deep").mkdir(parents=True)
    (store / SETUP / "empty").mkdir()
    (store / SETUP / "setup").write_text("NIXGEN_BASH=/bin/sh\nnixgen_enter_again() { echo entered; }\n")
    (store / SETUP / "lib/run").write_text("#!/bin/sh\n")
    (store / SETUP / "lib/run").chmod(0o755)
    (store / SETUP / "lib/deep" / ("n" * 180)).write_bytes(bytes(range(256)) * 5000)
    (store / SETUP / "lib/link").symlink_to("../" + "x" * 150)
    (store / SETUP / "lib-a").write_text("")
    (store / LIB).write_text("a file")
    (project / "src").mkdir(parents=True)
    (project / "src/demo.py").write_text("print(1)\n")
    (project / "linked").symlink_to("src/demo.py")
    paths = {}
    for name, references in ((SETUP, (LIB, SETUP)), (LIB, ())):
        digest, size = nar.hash_and_size(store / name)
        paths[name] = ClosurePath(name, digest, size, references)
    code = (project / "src/demo.py").read_bytes()
    files = {"linked": File(target="src/demo.py"), "src/demo.py": File(len(code), hashlib.sha256(code).hexdigest())}
    bundle = Bundle("demo", "x86_64-linux", {"": SETUP}, files, dict(sorted(paths.items())))
    return Made(folder, bundle)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def file(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("file") / "demo.nixgen")


def entries(data: bytes) -> list[tuple[Entry, bytes]]:
    stream = io.BytesIO(zlib.decompress(data[start.SIZE :], 31))
    found = []
    while (entry := tarform.read(stream.read)) is not None:
        found.append((entry, stream.read(entry.size)))
        stream.read(len(tarform.padding(entry.size)))
    return found


def packed(head: bytes, rows: list[tuple[Entry, bytes]], end: bytes = tarform.END) -> bytes:
    inner = b"".join(tarform.header(entry) + data + tarform.padding(entry.size) for entry, data in rows)
    out = io.BytesIO()
    with gzipped.Gzip(out.write, 1) as made:
        made.put(inner + end)
        made.end()
    return head + out.getvalue()


def refused(data: bytes, tmp_path: Path) -> str:
    place = tmp_path / "bad.nixgen"
    place.write_bytes(data)
    with pytest.raises(NixgenError) as raised:
        opening.verify(place, None)
    return str(raised.value)


def test_the_same_content_has_the_same_bytes_whatever_a_store_keeps(made: Made, file: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    for path in (tmp_path / "other").rglob("*"):
        if not path.is_symlink():
            os.utime(path, (5, 5))
            path.chmod(path.stat().st_mode & 0o555 | 0o200)
    assert other.write(tmp_path / "second").read_bytes() == file.read_bytes()
    seen, recorded = opening.verify(file, None)
    assert (seen.bundle.paths, seen.signer, recorded) == (made.bundle.paths, "", 0)
    assert seen.bundle.order == [LIB, SETUP]  # Nix takes a path when it has what that refers to


@pytest.mark.parametrize("program", ["tar", "busybox"])
def test_every_tar_unpacks_it(made: Made, file: Path, program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    tar = [program, "tar"] if program == "busybox" else [program]
    rest = zlib.decompress(file.read_bytes()[start.SIZE :], 31)
    subprocess.run([*tar, "-xf", "-", "-C", str(tmp_path)], input=rest, check=True)
    for name, path in made.bundle.paths.items():
        assert nar.hash_path(tmp_path / "nix/store" / name) == path.nar_hash
    assert (tmp_path / "project/linked").read_text() == "print(1)\n"


def test_what_is_damaged_is_found_wherever_it_is(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for place in [*range(0, 3000, 997), *range(start.SIZE, len(whole), 331)]:
        refused(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :], tmp_path)
    for length in [0, 10, start.SIZE - 1, start.SIZE, start.SIZE + 5, *range(start.SIZE + 100, len(whole), 997)]:
        refused(whole[:length], tmp_path)
    assert "behind its end" in refused(whole + b"x", tmp_path)
    assert "behind its end" in refused(whole + whole[start.SIZE :], tmp_path)
    assert "is not a bundle" in refused(b"#!/bin/bash\n" + whole[12:], tmp_path)


def test_entries_are_those_of_bundle_json_and_of_one_form(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    head, rows = whole[: start.SIZE], entries(whole)
    assert packed(head, rows) == whole

    def without(name: bytes) -> list[tuple[Entry, bytes]]:
        return [row for row in rows if row[0].name != name]

    outside = (Entry(b"nix/store/../../evil", FILE, 0o444, 1), b"x")
    for extra in (outside, (Entry(b"/etc/evil", FILE, 0o444, 1), b"x"), (Entry(b"evil", LINK, 0o777, 0, b"/"), b"")):
        assert "not in bundle.json" in refused(packed(head, [*rows, extra]), tmp_path)
    root = f"nix/store/{SETUP}".encode()
    for inner in (b"..", b".", b""):
        bad = (Entry(root + b"/" + inner + b"/x", FILE, 0o444, 1), b"x")
        assert "order" in refused(packed(head, [*rows, bad]), tmp_path)
    # Below a link, which would lead elsewhere; a file twice; a mode that is none of a store's.
    below = (Entry(root + b"/lib/link/x", FILE, 0o444, 1), b"x")
    at = next(number for number, (entry, _) in enumerate(rows) if entry.name.endswith(b"/lib/link"))
    refused(packed(head, [*rows[: at + 1], below, *rows[at + 1 :]]), tmp_path)
    assert "order" in refused(packed(head, [*rows[: at + 1], *rows[at:]]), tmp_path)
    special = [(replace(e, mode=0o4555) if e.mode == 0o555 else e, data) for e, data in rows]
    assert "another mode" in refused(packed(head, special), tmp_path)
    assert "another hash" in refused(packed(head, without(root + b"/empty")), tmp_path)
    assert "src/demo.py is missing" in refused(packed(head, without(b"project/src/demo.py")), tmp_path)
    assert "has no statement.json" in refused(packed(head, without(b"statement.json")), tmp_path)
    # What tar has besides: hard links, devices, PAX records.
    for kind in (b"1", b"3", b"x", b"g"):
        assert "another form" in refused(packed(head, [*rows[:2], (Entry(b"a", kind, 0o644), b"")]), tmp_path)


def test_sizes_that_are_huge_take_no_memory(file: Path, tmp_path: Path) -> None:
    head, rows = file.read_bytes()[: start.SIZE], entries(file.read_bytes())
    front = (Entry(b"bundle.json", FILE, 0o644, 1 << 50), b"")
    assert "more than 64 MiB" in refused(packed(head, [front]), tmp_path)
    at = next(number for number, (entry, _) in enumerate(rows) if entry.size > 1 << 20)
    bomb = (replace(rows[at][0], size=1 << 60), bytes(3 << 20))
    assert "is larger" in refused(packed(head, [*rows[:at], bomb]), tmp_path)
    assert tarform.read(io.BytesIO(tarform.header(bomb[0])).read) == bomb[0]


def test_a_record_that_is_huge_is_not_kept_in_memory() -> None:
    record = File((32 << 20) + 1, "0" * 64)
    sink = opening.Verifying("x.nixgen", None)
    with pytest.raises(Finding, match=r"nixgen\.hashes\.json: has more than 32 MiB"):
        sink.file("nixgen.hashes.json", record)
    sink.file("other", record)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"files": {"../a": File(0, "0" * 64)}}, "leads out"),
        ({"files": {"/a": File(0, "0" * 64)}}, "leads out"),
        ({"files": {".git/hooks/post-checkout": File(0, "0" * 64, True)}}, "git's own"),
        ({"files": {"a/.GIT/config": File(0, "0" * 64)}}, "git's own"),
        ({"files": {".nixgen-bundle": File(0, "0" * 64)}}, "makes it itself"),
        ({"files": {"a": File(target="/etc")}}, "leads out"),
        ({"files": {"a/b": File(target="../../x")}}, "leads out"),
        ({"files": {"a": File(target="b/c/x/../../../.."), "b/c/x": File(target="../..")}}, "leads out"),
        ({"files": {"a": File(target="b/c/x/../.."), "b/c/x": File(target="../../d"), "d/e": File()}}, "leads out"),
        ({"files": {"a": File(target=".Git/config")}}, "leads out"),
        ({"files": {"a": File(target="b"), "a/x": File(0, "0" * 64)}}, "both a file and a folder"),
        ({"environments": {"": LIB[:-1] + "x"}}, "no environment"),
        ({"environments": {"'; rm": SETUP}}, "no environment"),
        ({"project": "a'b"}, "impossible value"),
        ({"missing": ("../x",)}, "impossible value"),
    ],
)
def test_bundle_json_says_nothing_that_leads_outside(made: Made, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        model.parse(model.dump(replace(made.bundle, start="0" * 64, **change)), "x.nixgen")


def test_names_of_git_that_are_odd_are_in_it_or_named(tmp_path: Path) -> None:
    def own() -> dict[str, File]:
        subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
        return making._own_files(SimpleNamespace(root=tmp_path))  # type: ignore[arg-type]

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "new\nline").write_text("")
    (tmp_path / "link").symlink_to("new\nline")
    (tmp_path / ".nixgen-bundle").symlink_to("/nix/store/x")  # of a folder that `open` made
    bundle = Bundle("demo", "x86_64-linux", {}, own(), {}, start="0" * 64)
    assert sorted(model.parse(model.dump(bundle), "x").files) == ["link", "new\nline"]
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9")).write_text("")
    with pytest.raises(UserError, match="caf\ufffd: has a name that is not UTF-8"):
        own()


def test_bundle_json_has_one_form_and_a_version(made: Made) -> None:
    bundle = replace(made.bundle, start="0" * 64)
    data = model.dump(bundle)
    assert model.parse(data, "x") == bundle
    with pytest.raises(UserError, match="not in the form"):
        model.parse(data.replace(b",", b", ", 1), "x")
    with pytest.raises(MachineError, match="a newer nixgen"):
        model.parse(json.dumps({"version": 2}).encode(), "x")


def test_the_statement_and_the_start_script_are_those_of_the_bundle(made: Made, file: Path, tmp_path: Path) -> None:
    other = replace(made.bundle, project="other")
    head, rows = file.read_bytes()[: start.SIZE], entries(file.read_bytes())
    second = made.write(tmp_path / "other", other).read_bytes()
    assert "about another bundle" in refused(packed(head, [rows[0], entries(second)[1], *rows[2:]]), tmp_path)
    assert "another start script" in refused(packed(second[: start.SIZE], rows), tmp_path)
    with pytest.raises(Finding, match="is not signed"):
        opening.verify(file, opening.Signer(key=tmp_path / "key"))


def test_a_path_that_changed_on_the_disk_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    made = make(tmp_path / "made")
    (tmp_path / "made/nix/store" / LIB).write_text("b file")
    place = tmp_path / "out"
    place.mkdir()
    with pytest.raises(Finding, match=f"{LIB}: changed on the disk"), making.placed(place / "a.nixgen") as new:
        made.write(new)
    full = pytest.raises(MachineError, match=r"a\.nixgen: cannot be written: No space")
    with full, making.placed(place / "a.nixgen"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(place.iterdir()) == []


def test_a_full_disk_leaves_nothing(made: Made, mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is written, and when it is opened."""
    data = random.Random(1).randbytes(200_000)
    (made.folder / "project/weights.bin").write_bytes(data)
    file = File(len(data), hashlib.sha256(data).hexdigest())
    large = replace(made.bundle, files={**made.bundle.files, "weights.bin": file})
    with pytest.raises(MachineError) as caught, making.placed(mounted / "demo.nixgen") as new:
        made.write(new, large)
    assert str(caught.value).startswith(f"{mounted}/demo.nixgen: cannot be written: No space left on device\n")
    assert list(mounted.iterdir()) == []

    there = SimpleNamespace(valid=lambda names: names)
    monkeypatch.setattr(opening.Nix, "here", lambda: there)
    with pytest.raises(MachineError) as caught:
        opening.open_bundle(made.write(tmp_path / "a.nixgen", large), mounted / "demo", None)
    assert str(caught.value) == f"{mounted}/demo: cannot be written: No space left on device"
    assert list(mounted.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, 1 << 21, 3_000_001])
def test_every_gzip_unpacks_what_several_cores_packed(size: int) -> None:
    """The same bytes by any number of cores, about as small as by one."""
    chance = random.Random(size)
    data = b"".join(chance.choice((b"import ", b"return ", chance.randbytes(7))) for _ in range(size // 7 + 1))[:size]
    made = []
    for cores in (1, 3):
        out = io.BytesIO()
        with gzipped.Gzip(out.write, cores) as packed:
            for at in range(0, size, 70_001):
                packed.put(data[at : at + 70_001])
            packed.end()
        made.append(out.getvalue())
    assert made[0] == made[1]
    assert subprocess.run(["gzip", "-dc"], input=made[0], capture_output=True, check=True).stdout == data
    assert len(made[0]) < len(zlib.compress(data, 6)) * 1.01 + 40


def test_proofs_of_a_log_hold_or_are_refused(made: Made, tmp_path: Path) -> None:
    from logs import append, filled, opened

    store = filled(300)
    paths = made.bundle.paths.values()
    append(opened(store), [CacheEntry(one.name, one.nar_hash, one.nar_size, one.references) for one in paths])
    log = proofs.dump([proofs.proved("https://cache.example.org", opened(store), made.bundle.paths)])

    def write(log: bytes) -> Path:
        bundle = replace(made.bundle, log=hashlib.sha256(log).hexdigest())
        (tmp_path / "x").unlink(missing_ok=True)
        return made.write(tmp_path / "x", bundle, **{model.LOG: log})

    seen, _ = opening.verify(write(log), None)
    assert seen.logged == 2
    changes = ((b'"index":30', b'"index":29'), (b'"proof":["', b'"proof":["AAAA'), (b'"line":"{', b'"line":" {'))
    for old, new in changes:
        with pytest.raises(Finding, match="proof"):
            opening.verify(write(log.replace(old, new, 1)), None)
    with pytest.raises(Finding, match=r"log\.json"):
        opening.verify(write(b"[1]"), None)


@pytest.mark.skipif(find_spec("model_signing") is None, reason="needs the extra sign")
def test_who_signed_is_checked_where_somebody_is_named(made: Made, tmp_path: Path) -> None:
    secret, public = exported.keys(tmp_path, "key")
    _, other = exported.keys(tmp_path, "other")
    whole, _ = start.started(made.bundle)
    data = model.dump(whole)
    document = model.statement(whole, model.digest(data), closure_digest(whole.paths.values()))
    text = signing.sign_statement(document, secret).encode()
    file = made.write(tmp_path / "x", **{model.STATEMENT: text})
    seen, _ = opening.verify(file, opening.Signer(key=public))
    assert seen.checked
    assert opening.verify(file, None)[0].signer.startswith("the key ")
    with pytest.raises(Finding, match="not a good signature"):
        opening.verify(file, opening.Signer(key=other))


class FakeNix:
    """What opening asks of Nix; ``says`` is what it prints when paths come."""

    def __init__(self, says: str = "", valid: tuple[str, ...] = ()) -> None:
        self._says, self._valid = says, valid

    def valid(self, names: list[str]) -> list[str]:
        return [name for name in names if name in self._valid]

    def command(self, *_words: str) -> list[str]:
        return ["sh", "-c", 'printf "%s\\n" "$0" >&2; exit 1', self._says]


def test_what_cannot_be_opened_here_is_said_and_leaves_nothing(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(bundle: Bundle, nix: FakeNix) -> str:
        (tmp_path / "x").unlink(missing_ok=True)
        made.write(tmp_path / "x", bundle)
        monkeypatch.setattr(opening.Nix, "here", lambda: nix)
        with pytest.raises(NixgenError) as raised:
            opening.open_bundle(tmp_path / "x", tmp_path / "to/demo", None)
        assert list((tmp_path / "to").iterdir()) == []
        return str(raised.value)

    here = replace(made.bundle, system=own_system())
    says = "warning: a\nerror: cannot add path 'x' because it lacks a signature by a trusted key"
    untrusted = error(here, FakeNix(says))
    assert "the bundle has: cannot add path" in untrusted
    assert "a user that Nix trusts (trusted-users in /etc/nix/nix.conf)" in untrusted
    assert "is for riscv64-linux" in error(replace(here, system="riscv64-linux"), FakeNix())
    missing = replace(here, missing=(f"{'1' * 32}-weights",))
    assert f"does not have them: {'1' * 32}-weights" in error(missing, FakeNix())


def test_whose_word_is_taken_is_said_before_anything_is_written(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def first(_sink: object, _path: str, _file: File) -> None:
        raise MachineError.of("", capsys.readouterr().err)

    made.write(tmp_path / "x", replace(made.bundle, system=own_system()))
    monkeypatch.setattr(opening.Nix, "here", FakeNix)
    monkeypatch.setattr(opening._Opening, "file", first)
    monkeypatch.setattr(console, "quiet", True)
    with pytest.raises(MachineError, match=r"warning: .*/x: is not signed: other projects .* \(--key FILE\)"):
        opening.open_bundle(tmp_path / "x", tmp_path / "to/demo", None)


def test_a_disk_that_is_full_is_not_a_file_that_cannot_be_read(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_sink: object, _piece: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    made.write(tmp_path / "x", replace(made.bundle, system=own_system()))
    monkeypatch.setattr(opening.Nix, "here", FakeNix)
    monkeypatch.setattr(opening._Opening, "piece", full)
    with pytest.raises(MachineError, match="to/demo: cannot be written: No space left on device"):
        opening.open_bundle(tmp_path / "x", tmp_path / "to/demo", None)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_medium_that_fails_in_the_middle_is_told(file: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= start.SIZE:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(size)

    with pytest.raises(UserError, match="x: cannot be read: Input/output error"):
        reading.read_file(Failing(file.read_bytes()), "x", reading.Sink())
    with pytest.raises(UserError, match="cannot be read: No such file"):
        reading.read(file.parent / "none", reading.Sink())


def shell(file: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(["sh", str(file), *words], env=path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("labels", "word", "hint"),
    [
        ([""], "x", "leave it out"),
        (["docs"], "x", "leave it out, or --env docs"),
        (["", "docs", "gpu"], "x", "leave it out, --env docs, or --env gpu"),
        ([""], "", None),
        (["docs"], "", None),
        (["docs"], "docs", None),
        (["", "docs"], "docs", None),
    ],
)
def test_of_several_environments_one_is_named_and_of_one_none_need_be(
    made: Made, tmp_path: Path, labels: list[str], word: str, hint: str | None
) -> None:
    file = made.write(tmp_path / "x", replace(made.bundle, environments=dict.fromkeys(labels, SETUP)))
    said = shell(file, "run", *(["--env", word] if word else [])).stderr.splitlines()
    if hint is None:
        assert said[0] == "error: this user has no home folder to unpack in"  # which is looked at after the environment
    else:
        assert said == [f"error: --env: there is no environment '{word}' in this file", f"  hint: {hint}"]


def test_what_nix_evaluates_is_nixpkgs_where_that_is_the_base() -> None:
    assert model.evaluated(DEBIAN) == ""
    assert f"/nix/store/{model.evaluated(NIXPKGS)}" == nar.source_path(NIXPKGS.nar_hash)


def test_what_enters_an_environment_that_was_opened(made: Made) -> None:
    for labels, words in ((["", "docs"], "nixgen shell"), (["docs"], "nixgen shell --env docs")):
        assert cli._enter(replace(made.bundle, environments=dict.fromkeys(labels, SETUP))) == words


def test_the_start_script_says_what_is_wrong(made: Made, file: Path, tmp_path: Path) -> None:
    script = file.read_bytes()[: start.SIZE]
    assert subprocess.run(["sh", "-n"], input=script, check=False).returncode == 0
    assert shell(file).returncode == 2
    assert shell(file, "--help").returncode == 0
    assert "no home folder" in shell(file, "run").stderr
    foreign = made.write(tmp_path / "foreign", replace(made.bundle, system="riscv64-linux"))
    assert "this file is for riscv64-linux" in shell(foreign, "run").stderr
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:-500])
    (tmp_path / "bin").mkdir()
    for one in (cut, file):
        full = shell(one, "run", "--dir", "/dev/full/x" if one is file else str(tmp_path / "bin"))
        assert full.returncode == 3
        assert "cannot be" in full.stderr
    assert list((tmp_path / "bin").iterdir()) == []
