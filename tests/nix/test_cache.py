"""``nixgen cache`` on real Nix: keys, push, pull, verify, and what must never be published or replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from cachelab import NAMES, CacheLab
from support.nix import ROOT, SYSTEM, Nix

pytest.importorskip("cryptography")

from nixgen.cache.entry import read
from nixgen.check import record
from nixgen.check.digest import closure_digest
from nixgen.check.model import BaseInput, Builder, ClosurePath, Inputs, Recipe, Record, SystemRecord
from nixgen.lock import lockfile
from nixgen.log.log import Log
from nixgen.log.stores.opening import open_storage

SRI = "sha256-" + "A" * 43 + "="
WITHOUT = "?compression=none"


@pytest.fixture
def lab(nix: Nix, tmp_path: Path, store: Path) -> CacheLab:
    """A project on an empty store."""
    made = CacheLab.make(nix, tmp_path)
    assert made.nix.store == store
    return made


def log_of(lab: CacheLab) -> Log:
    return Log.open(open_storage(f"{lab.url}/nixgen-log"), lab.keyring().verifier)


def test_what_is_pushed_is_pulled_on_another_machine(lab: CacheLab) -> None:
    lab.built().must("keygen")
    pushed = lab.run("push", lab.url, "--verbose")
    assert pushed.stdout == (f"{lab.url}: 3 paths published, 0 were there; the log has 3 entries, 3 of them new\n"), (
        pushed.tail()
    )
    assert "compression=zstd" in pushed.stderr
    for secret in ("cache.sec", "log.sec"):
        text = (lab.keys / secret).read_text().strip().rpartition(":")[2]
        assert text not in pushed.stderr
    assert lab.verdict()[0] == 0
    (pin,) = lockfile.read_lock(lab.project / "nixgen.lock").cache
    assert (pin.url, pin.checkpoint.size, pin.log) == (lab.url, 3, None)
    assert pin.keys == ((lab.keys / "cache.pub").read_text().strip(),)

    other = lab.other_machine()
    taken = other.must("pull")
    assert taken.stdout == f"{lab.url}: 3 paths taken as they were logged, 0 were here\n"
    for path in lab.paths().values():
        assert other.nix.nar_hash(path) == lab.nix.nar_hash(path)
    assert other.must("pull").stdout == f"{lab.url}: 0 paths taken as they were logged, 3 were here\n"
    assert other.verdict()[0] == 0


def test_the_log_says_which_derivation_gave_what(lab: CacheLab) -> None:
    lab.pushed()
    found = {entry.path: entry for entry in read(log_of(lab))}
    drvs = json.loads(
        lab.nix.run("nix-instantiate", "--eval", "--strict", "--json", "-A", "recipes", str(lab.project)).stdout
    )
    for name in NAMES:
        entry = found[lab.name(name)]
        assert (entry.drv, entry.output) == (drvs[name]["drv"].rpartition("/")[2], "out")
        assert entry.nar_hash == lab.info(name).nar_hash
    assert found[lab.name("app")].references == tuple(sorted([lab.name("app"), lab.name("library")]))


def test_a_second_push_changes_nothing(lab: CacheLab) -> None:
    lab.pushed()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in lab.cache.rglob("*") if path.is_file()}
    lock = (lab.project / "nixgen.lock").read_bytes()
    again = lab.must("push")
    assert again.stdout == f"{lab.url}: 0 paths published, 3 were there; the log has 3 entries, 0 of them new\n"
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in lab.cache.rglob("*") if path.is_file()}
    assert after == before
    assert (lab.project / "nixgen.lock").read_bytes() == lock


@pytest.mark.one_nix
def test_only_some_outputs_are_pushed(lab: CacheLab) -> None:
    lab.built().must("keygen")
    assert ": 1 paths published" in lab.must("push", lab.url, "--only", "library").stdout
    assert sorted(entry.path for entry in read(log_of(lab))) == [lab.name("library")]
    unknown = lab.run("push", "--only", "librari")
    assert unknown.returncode == 2
    other = lab.other_machine()
    assert "1 paths taken" in other.must("pull", "--only", "library").stdout
    missing = other.run("pull")
    assert missing.returncode == 1
    assert f"{lab.name('root')}: missing: is in neither the cache nor its log; nothing was taken" in missing.stderr


@pytest.mark.one_nix
def test_what_is_not_built_is_not_pushed(lab: CacheLab) -> None:
    lab.must("keygen")
    done = lab.run("push", lab.url)
    assert done.returncode == 2
    assert f"error: {lab.name('root')}: is not built here\n  hint: build it: nixgen check\n" in done.stderr
    assert not lab.cache.exists()


def test_a_path_that_was_damaged_on_the_disk_is_never_published(lab: CacheLab) -> None:
    lab.built().must("keygen")
    real = lab.nix.real(lab.paths()["library"])
    content = real.read_bytes()
    real.chmod(0o644)
    real.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    real.chmod(0o444)
    done = lab.run("push", lab.url)
    assert done.returncode == 1
    assert f"error: {lab.name('library')}: is damaged on the disk, so nothing was published: NAR hash" in done.stderr
    assert not lab.cache.exists()
    # Nix by itself publishes it, under the hash of before.
    lab.nix.run("nix", "copy", "--to", f"{lab.url}{WITHOUT}", lab.paths()["root"])
    assert real.read_bytes() in lab.nar("library").read_bytes()


@pytest.mark.one_nix
def test_a_path_that_is_gone_from_the_disk_is_not_published(lab: CacheLab) -> None:
    lab.built().must("keygen")
    lab.nix.real(lab.paths()["library"]).unlink()
    done = lab.run("push", lab.url)
    assert done.returncode == 1
    assert f"error: {lab.name('library')}: is gone from the disk, so nothing was published" in done.stderr
    assert not lab.cache.exists()


@pytest.mark.one_nix
def test_a_folder_that_is_not_mounted_is_not_made_anew(lab: CacheLab) -> None:
    lab.pushed()
    lab.cache.rename(lab.folder / "elsewhere")
    done = lab.run("push")
    assert done.returncode == 1
    assert f"error: {lab.cache}/nixgen-log: " in done.stderr
    assert not lab.cache.exists()


@pytest.mark.one_nix
def test_what_the_record_has_otherwise_is_not_published(lab: CacheLab) -> None:
    lab.built().must("keygen")
    write_record(lab, {"library": "sha256-" + "A" * 43 + "="})
    done = lab.run("push", lab.url)
    assert done.returncode == 1
    assert f"error: {lab.name('library')}: is not what the record has, so nothing was published" in done.stderr
    assert not lab.cache.exists()


@pytest.mark.one_nix
def test_the_record_is_compared_too(lab: CacheLab) -> None:
    lab.pushed()
    write_record(lab, {})
    code, report = lab.verdict("--recorded")
    assert (code, report["paths"]) == (0, 3), report
    write_record(lab, {"library": "sha256-" + "A" * 43 + "="})
    assert lab.anomalies() == [("library", "recorded")]
    refused = lab.other_machine().run("pull")
    assert refused.returncode == 1
    assert "recorded: is not what the record has" in refused.stderr


@pytest.mark.one_nix
def test_a_system_of_the_record_that_was_never_pushed_is_not_missed(lab: CacheLab) -> None:
    lab.pushed()
    write_record(lab, {}, elsewhere="aarch64-linux")
    done = lab.run("verify")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "aarch64-linux: what the record has was never pushed as a whole, so none of it was missed.\n" in done.stdout
    write_record(lab, {})
    (lab.cache / f"{lab.name('library')[:32]}.narinfo").unlink()
    assert lab.anomalies() == [("library", "missing")]


def write_record(lab: CacheLab, other: Mapping[str, str], elsewhere: str = "") -> None:
    """The project's record: what is built, but for other hashes by output; ``elsewhere`` is a system built there."""
    closure = {}
    for output in NAMES:
        info = lab.nix.path_info(lab.paths()[output])
        references = tuple(sorted(path.rpartition("/")[2] for path in info["references"]))
        name = lab.name(output)
        closure[name] = ClosurePath(name, other.get(output, info["narHash"]), info["narSize"], references)
    closure = dict(sorted(closure.items()))
    inputs = Inputs(
        files={"nixgen.lock": "a" * 64, "uv.lock": "b" * 64},
        library=SRI,
        project="c" * 64,
        base=BaseInput("nixpkgs", "nixos-26.05", "3.11", SRI),
    )
    outputs = {"root": Recipe(f"/nix/store/{'0' * 32}-root.drv", lab.paths()["root"])}
    digest = closure_digest(closure.values())
    system = SystemRecord(digest, inputs, outputs, closure, Builder("2.8.0", "Linux", "any", 2))
    systems = {SYSTEM: system}
    if elsewhere:
        there = ClosurePath(f"{'1' * 32}-root", SRI, 96, ())
        made = {"root": Recipe(f"/nix/store/{'2' * 32}-root.drv", f"/nix/store/{there.name}")}
        systems[elsewhere] = SystemRecord(closure_digest([there]), inputs, made, {there.name: there}, system.builder)
    (lab.project / record.NAME).write_text(record.dump_record(Record("demo", systems)))


def test_a_path_that_the_cache_has_with_other_content_is_never_replaced(lab: CacheLab) -> None:
    lab.pushed()
    lab.edited("library")
    lab.sign("library")
    before = {path: path.read_bytes() for path in lab.cache.rglob("*") if path.is_file()}
    done = lab.run("push")
    assert done.returncode == 1
    name = lab.name("library")
    assert f"error: {name}: is in the cache with other content, and is not replaced: NAR hash" in done.stderr
    assert {path: path.read_bytes() for path in lab.cache.rglob("*") if path.is_file()} == before


NONDETERMINISTIC = "read x < /proc/sys/kernel/random/uuid; echo library $x > $out"


@pytest.mark.one_nix
def test_a_second_content_of_an_output_is_logged_and_fails(lab: CacheLab) -> None:
    """A recipe that gives other bytes each time: two machines build it, both push."""
    lab.write(NONDETERMINISTIC)
    lab.pushed()
    other = lab.other_machine().built()
    (other.folder / "home").symlink_to(lab.folder / "home")
    for output in NAMES:  # collected, so that only the log remembers
        lab.narinfo(output).unlink()
    done = other.run("push", lab.url)
    assert done.returncode == 1
    name = lab.name("library")
    said = "was logged with other content, so nothing was published; what is here was logged as a second one: NAR hash"
    assert f"error: {name}: {said}" in done.stderr
    assert not list(lab.cache.glob("*.narinfo"))
    entries = [entry for entry in read(log_of(lab)) if entry.path == name]
    assert [entry.conflict for entry in entries] == [False, True]
    assert len({entry.nar_hash for entry in entries}) == 2
    size = log_of(lab).size
    assert other.run("push", lab.url).returncode == 1
    assert log_of(lab).size == size  # once is enough
    assert ("library", "conflict") in lab.anomalies()


# What Nix 2.8 does at times when several push the same paths, with the words of 2.8.
OVERTAKEN = """#!/bin/sh
case "$*" in *" copy "*" --to "*)
    echo x >> {count}
    if [ "$(wc -l < {count})" -lt 3 ]; then
        echo '@nix {{"action":"msg","level":0,"msg":"error: {said}"}}' >&2; exit 1
    fi
esac
exec {nix} "$@"
"""


@pytest.mark.one_nix
@pytest.mark.parametrize(("said", "code", "calls"), [("coroutine has finished", 0, 3), ("no room", 3, 1)])
def test_an_upload_that_another_has_overtaken_is_tried_again(lab: CacheLab, said: str, code: int, calls: int) -> None:
    lab.built().must("keygen")  # case 39
    front = lab.folder / "front"
    front.mkdir()
    (front / "nix").write_text(OVERTAKEN.format(nix=lab.nix.bin / "nix", count=front / "count", said=said))
    (front / "nix").chmod(0o755)
    done = lab.run("push", lab.url, PATH=f"{front}:{lab.nix.bin}:{os.environ['PATH']}")
    assert done.returncode == code, done.tail()
    assert len((front / "count").read_text().split()) == calls
    assert code == 0 or said in done.stderr
    assert code != 0 or lab.verdict()[0] == 0


# Programs in front of Nix's own, which end nixgen at once: before anything is uploaded, and when one path was.
KILLERS = {
    "before the upload": """case "$*" in *" copy "*" --to "*) kill -9 $PPID; exit 1 ;; esac""",
    "in the upload": """case "$*" in *" copy "*" --to "*)
        while [ "$1" != --to ]; do shift; done
        {nix} --extra-experimental-features nix-command copy --to "$2" "$LIBRARY"
        kill -9 $PPID; exit 1 ;;
    esac""",
    "in the log": "",
}


@pytest.mark.one_nix
@pytest.mark.parametrize("moment", KILLERS)
def test_a_push_that_is_killed_is_brought_to_its_end_by_the_next(lab: CacheLab, moment: str) -> None:
    lab.built().must("keygen")
    killer = lab.folder / "killer"
    killer.mkdir()
    if KILLERS[moment]:
        script = KILLERS[moment].format(nix=lab.nix.bin / "nix")
        (killer / "nix").write_text(f'#!/bin/sh\n{script}\nexec {lab.nix.bin}/nix "$@"\n')
        (killer / "nix").chmod(0o755)
    else:
        # Whatever is written into the log's folder first, the next thing is not.
        (killer / "sitecustomize.py").write_text(
            "import os, signal\n"
            "from nixgen.log.stores import folder\n"
            "write = folder.Folder.write\n"
            "def once(self, name, data):\n"
            "    write(self, name, data)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "folder.Folder.write = once\n"
        )
    killed = lab.run(
        "push",
        f"{lab.url}{WITHOUT}",
        PATH=f"{killer}:{lab.nix.bin}:{os.environ['PATH']}",
        PYTHONPATH=f"{ROOT}:{killer}",
        LIBRARY=lab.paths()["library"],
    )
    assert killed.returncode in {-9, 137}, killed.tail()
    assert lockfile.read_lock(lab.project / "nixgen.lock").cache == ()
    keys = ["--log-key", str(lab.keys / "log.pub"), "--public-key", str(lab.keys / "cache.pub")]
    if moment != "in the log":
        code, report = lab.verdict(lab.url, *keys)
        # What arrived is whole; what did not counts as collected.
        assert (code, report["log"], report["checkpoint"]["size"]) == (1, None, 3)
        kinds = {item["path"].partition("-")[2]: item["kind"] for item in report["anomalies"]}
        gone = {"app", "root"} if moment == "in the upload" else set(NAMES)
        assert kinds == dict.fromkeys(gone, "missing")
    lab.must("push", f"{lab.url}{WITHOUT}")
    code, report = lab.verdict()
    assert (code, report["paths"], report["checkpoint"]["size"]) == (0, 3, 3), report


@pytest.mark.one_nix
def test_bytes_that_are_here_already_are_compared_with_the_log(lab: CacheLab) -> None:
    lab.write(NONDETERMINISTIC)
    lab.pushed()
    other = lab.other_machine()
    other.nix.run("nix-build", "--no-out-link", str(other.project), "-A", "root")
    done = other.run("pull")
    assert done.returncode == 1
    assert f"{lab.name('library')}: is here with other content than was logged: NAR hash" in done.stderr
