"""What somebody does who can write a cache's files, or has its keys: ``nixgen cache verify`` tells each apart."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cachelab import LIBRARY, CacheLab, set_key
from support.nix import Nix

pytest.importorskip("cryptography")

from nixgen.cache.entry import Entry
from nixgen.log.append import append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage


@pytest.fixture(scope="module", params=["nix28", "nix_new"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CacheLab:
    nix = request.getfixturevalue(request.param)
    assert isinstance(nix, Nix)
    return CacheLab.make(nix, tmp_path_factory.mktemp("attacks")).pushed()


@pytest.fixture
def lab(published: CacheLab) -> Iterator[CacheLab]:
    """The published project; cache and project are afterwards as they were."""
    before = published.folder / "before"
    shutil.copytree(published.cache, before / "cache", symlinks=True)
    shutil.copytree(published.project, before / "project", symlinks=True)
    yield published
    for folder in (published.cache, published.project):
        shutil.rmtree(folder)
        shutil.copytree(before / folder.name, folder, symlinks=True)
    for folder in (before, published.folder / "other", published.folder / "home/.cache"):
        shutil.rmtree(folder, ignore_errors=True)


def told(lab: CacheLab, *expected: tuple[str, str]) -> str:
    """What verify prints for people, which is of these (output, kind) and no others."""
    done = lab.run("verify")
    assert (done.returncode, done.stdout) == (1, ""), done.tail()
    found = re.findall(r"^error: \w{32}-(\S+): (\w+): ", done.stderr, re.MULTILINE)
    assert sorted(found) == sorted(expected)
    return done.stderr


def refused(lab: CacheLab, kind: str) -> None:
    """Another machine does not take anything, and says why."""
    other = lab.other_machine()
    done = other.run("pull")
    assert done.returncode == 1, done.tail()
    assert kind in done.stderr
    assert not list((other.nix.store / "nix/store").glob("*-app"))


def test_a_cache_as_it_was_pushed_is_well(lab: CacheLab) -> None:
    code, report = lab.verdict()
    assert (code, report["ok"], report["paths"], report["nars"]) == (0, True, 3, 3)
    assert (report["anomalies"], report["log"], report["checkpoint"]["size"]) == ([], None, 3)
    printed = lab.must("verify").stdout
    assert f"{lab.url}: 3 paths and 3 NARs match the log of 3 entries." in printed
    assert report["checkpoint"]["root"] in printed


def test_an_edited_nar(lab: CacheLab) -> None:
    lab.replaced("library")
    printed = told(lab, ("library", "rewritten"))
    name = lab.name("library")
    assert f"error: {name}: rewritten: has a NAR that is not what its narinfo says, so Nix refuses it" in printed
    done = lab.other_machine().run("pull")
    assert done.returncode == 1
    assert f"error: {lab.url}: rewritten: hash mismatch importing path '{lab.paths()['library']}'" in done.stderr


def test_a_nar_that_cannot_be_unpacked(lab: CacheLab) -> None:
    nar = lab.nar("app")
    nar.chmod(0o644)
    nar.write_bytes(b"not packed at all")
    lab.edit("app", lambda text: set_key(text, "Compression", "zstd"))
    printed = told(lab, ("app", "rewritten"))
    assert "has a NAR that cannot be unpacked (" in printed


def test_a_shorter_nar(lab: CacheLab) -> None:
    nar = lab.nar("app")
    nar.chmod(0o644)
    nar.write_bytes(nar.read_bytes()[:100])
    assert lab.anomalies() == [("app", "rewritten")]


@pytest.mark.one_nix
def test_an_edited_nar_with_an_edited_narinfo_and_the_old_signature(lab: CacheLab) -> None:
    lab.edited("library")
    printed = told(lab, ("library", "rewritten"))
    assert (
        "rewritten: has a narinfo that is not what was logged, and its signature by demo-1 does not fit: NAR hash"
        in printed
    )
    refused(lab, "rewritten")


def test_rewritten_and_signed_anew_with_the_right_key(lab: CacheLab) -> None:
    lab.edited("library")
    lab.sign("library")
    printed = told(lab, ("library", "resigned"))
    said = "resigned: is not what was logged, and was signed anew with demo-1, so Nix takes it: NAR hash"
    assert said in printed
    refused(lab, said)
    # Nix by itself takes it: this is what the log is for.
    other = lab.other_machine()
    key = (lab.keys / "cache.pub").read_text().strip()
    other.nix.run("nix", "copy", "--from", lab.url, "--option", "trusted-public-keys", key, lab.paths()["library"])
    assert other.nix.real(lab.paths()["library"]).read_text() == "evil\n"


def answers_otherwise(lab: CacheLab) -> str:
    """The cache is good again, and as it is now from the moment when Nix copies from it; the PATH that does that."""
    good, evil = lab.folder / "before/cache", lab.folder / "evil-cache"
    shutil.rmtree(evil, ignore_errors=True)
    shutil.copytree(lab.cache, evil, symlinks=True)
    shutil.copytree(good, lab.cache, symlinks=True, dirs_exist_ok=True)
    front = lab.folder / "front"
    front.mkdir(exist_ok=True)
    (front / "nix").write_text(
        f'#!/bin/sh\ncase "$*" in *" copy "*" --from "*) cp -r {evil}/. {lab.cache}/ ;; esac\n'
        f'exec {lab.nix.bin}/nix "$@"\n'
    )
    (front / "nix").chmod(0o755)
    return f"{front}:{lab.nix.bin}:{os.environ['PATH']}"


def left(lab: CacheLab) -> set[str]:
    """The names of what a Nix takes for there."""
    return {path.partition("-")[2] for path in lab.nix.run("nix", "path-info", "--all").stdout.split()}


def test_a_cache_that_answers_otherwise_when_nix_asks(lab: CacheLab) -> None:
    """What was compared is not what is taken: what came is compared again, and goes."""
    lab.edited("library")
    lab.sign("library")
    path = answers_otherwise(lab)
    other = lab.other_machine()
    done = other.run("pull", PATH=path)
    assert done.returncode == 1, done.tail()
    name = lab.name("library")
    assert (
        f"error: {name}: came with other content than was logged: NAR hash {lab.info('library').nar_hash}"
        in done.stderr
    )
    assert "; what came was removed\n" in done.stderr
    assert not left(other) & {"library", "app", "root"}


def test_what_came_is_removed_while_a_process_names_it(lab: CacheLab) -> None:
    """Nix takes a path for alive that stands in any process's environment, as another build's does."""
    lab.edited("library")
    lab.sign("library")
    path = answers_otherwise(lab)
    other = lab.other_machine()
    held = subprocess.Popen(["sleep", "600"], env={"library": lab.paths()["library"]})
    try:
        done = other.run("pull", PATH=path)
    finally:
        held.kill()
        held.wait()
    assert "; what came was removed\n" in done.stderr, done.tail()
    assert not left(other) & {"library", "app", "root"}


def test_a_cache_that_answers_otherwise_and_then_breaks_off(lab: CacheLab) -> None:
    """Nix stops, and what had come by then is no less another."""
    lab.edited("library")
    lab.sign("library")
    lab.nar("app").chmod(0o644)
    lab.nar("app").write_bytes(lab.nar("app").read_bytes()[:-16])
    path = answers_otherwise(lab)
    other = lab.other_machine()
    done = other.run("pull", PATH=path)
    assert done.returncode == 1, done.tail()
    assert f"error: {lab.name('library')}: came with other content than was logged: NAR hash" in done.stderr
    assert not left(other) & {"library", "app", "root"}


def test_a_cache_that_names_more_references_when_nix_asks(lab: CacheLab) -> None:
    """A path that nobody asked for does not come with the others, whoever signed it."""
    evil = lab.folder / "unasked"
    evil.write_text("evil\n")
    added = lab.added(evil)
    lab.nix.run("nix", "copy", "--to", f"{lab.url}?secret-key={lab.keys}/cache.sec", added)
    name = added.rpartition("/")[2]
    lab.edit("library", lambda text: set_key(text, "References", name))
    lab.sign("library")
    path = answers_otherwise(lab)
    other = lab.other_machine()
    done = other.run("pull", PATH=path)
    assert done.returncode != 0, done.tail()
    assert not left(other) & {"unasked", "library", "app", "root"}


def test_references_that_are_here_otherwise(lab: CacheLab) -> None:
    """What Nix took by itself, before, with the right bytes and other references."""
    lab.edit("app", lambda text: set_key(text, "References", lab.name("app")))
    lab.sign("app")
    other = lab.other_machine()
    key = (lab.keys / "cache.pub").read_text().strip()
    other.nix.run("nix", "copy", "--from", lab.url, "--option", "trusted-public-keys", key, lab.paths()["app"])
    shutil.copytree(lab.folder / "before/cache", lab.cache, symlinks=True, dirs_exist_ok=True)
    done = other.run("pull")
    assert done.returncode == 1, done.tail()
    said = f"is here with other content than was logged: does not refer to {lab.name('library')}"
    assert f"error: {lab.name('app')}: {said}" in done.stderr


@pytest.mark.one_nix
def test_edited_references(lab: CacheLab) -> None:
    lab.edit("app", lambda text: set_key(text, "References", lab.name("app")))
    printed = told(lab, ("app", "rewritten"))
    assert f"does not fit: does not refer to {lab.name('library')}\n" in printed
    refused(lab, "rewritten")
    lab.sign("app")
    assert lab.anomalies() == [("app", "resigned")]


@pytest.mark.one_nix
def test_a_narinfo_that_is_none(lab: CacheLab) -> None:
    lab.narinfo("app").write_text("rubbish\n")
    printed = told(lab, ("app", "rewritten"))
    assert "has a narinfo that cannot be read: line 1 is not KEY: VALUE" in printed


def test_a_narinfo_that_nix_reads_otherwise(lab: CacheLab) -> None:
    """A line that Nix takes for the end of another: references that a reader sees, and Nix does not."""
    whole = lab.narinfo("app").read_text()
    lab.edit("app", lambda text: set_key(text, "References", ""))
    lab.sign("app")
    signed = re.findall(r"^Sig: .*\n", lab.narinfo("app").read_text(), flags=re.MULTILINE)
    lab.narinfo("app").write_text(whole.replace("References:", "Note:\nReferences:") + signed[0])
    assert lab.anomalies() == [("app", "rewritten")]
    refused(lab, "is not KEY: VALUE")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FileHash", "sha256:00"),
        ("FileSize", "many"),
        ("Deriver", "!!"),
        ("CA", "rubbish"),
        ("Sig", "demo-1:!"),
        ("URL", "../../etc/passwd"),
        ("URL", "/etc/passwd"),
        ("FileHash", "sha256:" + "0" * 52),
        ("FileSize", "1"),
        ("Compression", "nothing"),
        ("NarSize", "0"),
    ],
)
def test_a_narinfo_that_nix_refuses_hides_no_other_finding(lab: CacheLab, key: str, value: str) -> None:
    def changed(text: str) -> str:
        return re.sub(rf"^{key}: .*\n", "", text, flags=re.MULTILINE) + f"{key}: {value}\n"

    lab.edit("app", changed)
    lab.edited("library")
    found = lab.anomalies()
    assert {name for name, _ in found} == {"app", "library"}
    assert ("library", "rewritten") in found


@pytest.mark.one_nix
def test_a_narinfo_that_cannot_be_read_hides_no_other_finding(lab: CacheLab) -> None:  # case 32
    file = lab.narinfo("app")
    file.unlink()
    file.symlink_to(file.name)
    lab.edited("library")
    printed = told(lab, ("app", "unread"), ("library", "rewritten"))
    assert "unread: has a narinfo that cannot be read: " in printed
    refused(lab, "unread")


@pytest.mark.one_nix
def test_a_nar_that_cannot_be_read_hides_no_other_finding(lab: CacheLab) -> None:  # case 32
    """Whatever Nix says of it."""
    front = lab.folder / "broken-front"
    front.mkdir()
    path = lab.paths()["app"]
    (front / "nix").write_text(
        f'#!/bin/sh\ncase "$*" in *dump-path*{path}) echo "error: the moon is full" >&2; exit 1;; esac\n'
        f'exec {lab.nix.bin}/nix "$@"\n'
    )
    (front / "nix").chmod(0o755)
    lab.edited("library")
    done = lab.run("verify", PATH=f"{front}:{lab.nix.bin}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert f"error: {lab.name('app')}: unread: has a NAR that cannot be read: the moon is full\n" in done.stderr
    assert f"error: {lab.name('library')}: rewritten: " in done.stderr


@pytest.mark.one_nix
def test_a_file_that_is_not_what_its_narinfo_says(lab: CacheLab) -> None:
    """Nobody signs that, and Nix does not look at it."""
    lab.edit("app", lambda text: set_key(text, "FileHash", "sha256:" + "0" * 52))
    lab.edit("library", lambda text: set_key(text, "FileSize", "100000"))
    printed = told(lab, ("app", "rewritten"), ("library", "rewritten"))
    assert "has a NAR that lies in a file with hash sha256-" in printed


@pytest.mark.one_nix
def test_pipes_and_devices_among_the_files_are_not_read(lab: CacheLab) -> None:
    nar, narinfo = lab.nar("app"), lab.narinfo("library")
    nar.unlink()
    os.mkfifo(nar)
    narinfo.unlink()
    narinfo.symlink_to("/dev/zero")
    assert lab.anomalies() == [("app", "rewritten"), ("library", "missing")]
    nar.unlink()
    nar.mkdir()
    assert lab.anomalies() == [("app", "rewritten"), ("library", "missing")]
    nar.rmdir()
    nar.symlink_to(nar)
    narinfo.unlink()
    os.mkfifo(narinfo)
    assert lab.anomalies() == [("app", "rewritten"), ("library", "missing")]


@pytest.mark.one_nix
def test_one_path_in_place_of_another(lab: CacheLab) -> None:
    shutil.copy(lab.narinfo("library"), lab.narinfo("app"))
    printed = told(lab, ("app", "rewritten"))
    assert f"has a narinfo that is about another path: {lab.name('library')}" in printed


def test_a_deleted_entry_counts_as_collected(lab: CacheLab) -> None:
    lab.narinfo("library").unlink()
    printed = told(lab, ("library", "missing"))
    assert "missing: is in the log, and the cache does not have it: it was collected or deleted" in printed
    refused(lab, "missing")
    # Who has the bytes brings them back.
    lab.must("push", f"{lab.url}?compression=none")
    assert lab.verdict()[0] == 0


def test_a_deleted_nar_counts_as_collected(lab: CacheLab) -> None:
    lab.nar("library").unlink()
    printed = told(lab, ("library", "missing"))
    assert "missing: has a narinfo in the cache and no NAR: that was collected or deleted" in printed
    # Who has the bytes brings them back, though Nix takes the narinfo for the path.
    assert "1 paths published, 2 were there" in lab.must("push", f"{lab.url}?compression=none").stdout
    assert lab.verdict()[0] == 0


@pytest.mark.one_nix
def test_an_extra_path(lab: CacheLab) -> None:
    extra = lab.folder / "more"
    extra.write_text("more\n")
    path = lab.added(extra)
    lab.nix.run("nix", "copy", "--to", lab.url, path)
    printed = told(lab, ("more", "extra"))
    said = "extra: is known to neither the log nor the record, and has no signature"
    assert f"{path.rpartition('/')[2]}: {said}" in printed


@pytest.mark.one_nix
def test_an_unlogged_path(lab: CacheLab) -> None:
    extra = lab.folder / "more"
    extra.write_text("more\n")
    secret = lab.keys / "cache.sec"
    lab.nix.run("nix", "copy", "--to", f"{lab.url}?secret-key={secret}", lab.added(extra))
    printed = told(lab, ("more", "unlogged"))
    assert "unlogged: is signed with demo-1, so Nix takes it, and is not in the log" in printed


def test_an_unsigned_path(lab: CacheLab) -> None:
    lab.edit("app", lambda text: re.sub(r"^Sig: .*\n", "", text, flags=re.MULTILINE))
    printed = told(lab, ("app", "unsigned"))
    assert "unsigned: has no signature" in printed
    refused(lab, "unsigned")
    # A push signs what is there as it was logged.
    assert "Signed 1 paths" in lab.must("push", f"{lab.url}?compression=none").stderr
    assert lab.verdict()[0] == 0


@pytest.mark.one_nix
def test_a_signature_by_a_stranger(lab: CacheLab) -> None:
    stranger = str(lab.folder / "stranger")
    lab.nix.run("nix-store", "--generate-binary-cache-key", "stranger-1", stranger, f"{stranger}.pub")
    lab.edit("app", lambda text: re.sub(r"^Sig: .*\n", "", text, flags=re.MULTILINE))
    lab.nix.run("nix", "store", "sign", "--store", lab.url, "--key-file", stranger, lab.paths()["app"])
    printed = told(lab, ("app", "unsigned"))
    assert "unsigned: is signed only by the untrusted key stranger-1" in printed
    assert lab.verdict("--public-key", f"{stranger}.pub", "--public-key", str(lab.keys / "cache.pub"))[0] == 0


def grown(lab: CacheLab) -> bytes:
    """Pushes something new, so that the log has an older checkpoint, which is given."""
    before = lab.checkpoint()
    lab.write("echo another library > $out")
    lab.built().must("push", f"{lab.url}?compression=none")
    lab.write(LIBRARY)
    assert lab.verdict()[0] == 0
    return before


def log_finding(lab: CacheLab, kind: str, sentence: str) -> None:
    """verify says what became of the log, with the proof, and compares nothing; pull takes nothing."""
    code, report = lab.verdict()
    assert (code, report["log"]["kind"], report["anomalies"], report["paths"]) == (1, kind, [], 0)
    assert sentence in report["log"]["what"][0]
    printed = told(lab)
    assert sentence in printed
    assert "recorded: 6 entries, root" in printed
    assert report["log"]["proof"]["recorded"]["size"] == 6
    refused(lab, sentence)


@pytest.mark.one_nix
def test_a_log_with_the_last_entries_cut_off(lab: CacheLab) -> None:
    before = grown(lab)
    keys = lab.keyring()
    shutil.rmtree(lab.cache / "nixgen-log/tile")
    (lab.cache / "nixgen-log/checkpoint").write_bytes(before)
    log_of_three = lab.folder / "before/cache/nixgen-log/tile"
    shutil.copytree(log_of_three, lab.cache / "nixgen-log/tile")
    assert Checkpoint.opened(before, keys.verifier).size == 3
    log_finding(lab, "shortened", "was shortened: it had 6 entries, and has 3")


@pytest.mark.one_nix
def test_a_log_that_is_gone(lab: CacheLab) -> None:
    grown(lab)
    shutil.rmtree(lab.cache / "nixgen-log")
    log_finding(lab, "shortened", "it had 6 entries")


@pytest.mark.one_nix
def test_a_replayed_old_checkpoint(lab: CacheLab) -> None:
    before = grown(lab)
    (lab.cache / "nixgen-log/checkpoint").write_bytes(before)
    log_finding(lab, "replayed", "shows an old checkpoint again: it had 6 entries, and the checkpoint says 3")


def forge(lab: CacheLab, count: int) -> None:
    """A log of other entries in place of the log, signed with its own key."""
    folder = lab.cache / "nixgen-log"
    shutil.rmtree(folder)
    keys = lab.keyring()
    log = Log.open(open_storage(f"file://{folder}"), keys.verifier)
    some = [lab.info("app"), lab.info("library"), lab.info("root")]
    entries = [
        Entry(f"{number:032}-forged", some[number % 3].nar_hash, some[number % 3].nar_size, ())
        for number in range(count)
    ]
    append(log, entries, keys.signer, Seen(Entry))


@pytest.mark.one_nix
@pytest.mark.parametrize("count", [6, 9])
def test_a_forked_log(lab: CacheLab, count: int) -> None:
    grown(lab)
    forge(lab, count)
    log_finding(lab, "forked", "was forked: the recorded checkpoint is of other entries than those that are there now")


@pytest.mark.one_nix
def test_a_log_that_grew_from_an_older_checkpoint_another_way(lab: CacheLab) -> None:
    """What two people see who are shown two logs: both begin alike, and each is signed."""
    before = Path(lab.folder / "before/cache/nixgen-log")
    grown(lab)
    folder = lab.cache / "nixgen-log"
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    keys = lab.keyring()
    log = Log.open(open_storage(f"file://{folder}"), keys.verifier)
    info = lab.info("app")
    append(
        log,
        [Entry(f"{number:032}-forged", info.nar_hash, info.nar_size, ()) for number in range(4)],
        keys.signer,
        Seen(Entry),
    )
    log_finding(lab, "forked", "was forked")


@pytest.mark.one_nix
def test_a_checkpoint_that_another_key_signed(lab: CacheLab) -> None:
    shutil.rmtree(lab.folder / "home/mallory", ignore_errors=True)
    lab.must("keygen", "--name", "demo-1", "--folder", str(lab.folder / "home/mallory"))
    from nixgen.cache import keys

    mallory = keys.load(f"{lab.folder}/home/mallory")
    theirs = Checkpoint.opened(lab.checkpoint(), lab.keyring().verifier)
    forged = Checkpoint.signed(mallory.signer, theirs.size, theirs.root)
    (lab.cache / "nixgen-log/checkpoint").write_text(forged.note)
    code, report = lab.verdict()
    assert (code, report["log"]["kind"]) == (1, "unsigned")
    assert "is not signed by demo-1+" in told(lab)


@pytest.mark.one_nix
def test_an_edited_entry_of_the_log(lab: CacheLab) -> None:
    (tile,) = (lab.cache / "nixgen-log/tile/lines").rglob("3")
    tile.write_bytes(tile.read_bytes().replace(b"-library", b"-librarx", 1))
    code, report = lab.verdict()
    assert (code, report["log"]["kind"]) == (1, "damaged")
    assert "holds other entries than those of the checkpoint" in told(lab)
    refused(lab, "holds other entries than those of the checkpoint")
