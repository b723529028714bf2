"""Keys of a cache, and whom its readers believe, on real Nix."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cachelab import CacheLab

if TYPE_CHECKING:
    from support.nix import Nix

pytest.importorskip("cryptography")

from nixgen.cache import copying
from nixgen.cache.place import parse
from nixgen.errors import MachineError
from nixgen.lock import lockfile

WITHOUT = "?compression=none"


@pytest.fixture
def lab(nix: Nix, tmp_path: Path, store: Path) -> CacheLab:
    """A project on an empty store."""
    assert store.is_dir()
    return CacheLab.make(nix, tmp_path)


@pytest.mark.one_nix
def test_keys_are_made_once_outside_of_the_project_and_for_their_owner_alone(lab: CacheLab) -> None:
    made = lab.must("keygen")
    shown = dict(line.split(": ", 1) for line in made.stdout.splitlines())
    assert shown == {
        "trusted-public-keys": (lab.keys / "cache.pub").read_text().strip(),
        "log key": (lab.keys / "log.pub").read_text().strip(),
    }
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in lab.keys.iterdir()}
    assert modes == {"cache.sec": 0o600, "log.sec": 0o600, "cache.pub": 0o644, "log.pub": 0o644}
    assert stat.S_IMODE(lab.keys.stat().st_mode) == 0o700
    assert not {path.read_bytes() for path in lab.project.iterdir()} & {
        path.read_bytes() for path in lab.keys.iterdir()
    }
    before = {path: path.read_bytes() for path in lab.keys.iterdir()}
    again = lab.run("keygen")
    assert again.returncode == 2
    assert f"error: {lab.keys}: is there already, and keys are never overwritten" in again.stderr
    inside = lab.run("keygen", "--name", "other-1", "--folder", "keys")
    assert inside.returncode == 2
    assert "is inside the project, which others read" in inside.stderr
    assert {path: path.read_bytes() for path in lab.keys.iterdir()} == before


@pytest.mark.one_nix
def test_a_secret_key_that_others_may_read_is_refused(lab: CacheLab) -> None:
    lab.built().must("keygen")
    (lab.keys / "cache.sec").chmod(0o640)
    done = lab.run("push", lab.url)
    assert done.returncode == 2
    assert "is a secret key, and others than its owner may read it" in done.stderr
    assert not lab.cache.exists()


@pytest.mark.one_nix
def test_a_secret_key_that_stands_in_the_wrong_place_is_not_printed(lab: CacheLab) -> None:
    lab.pushed()
    secrets = [(lab.keys / name).read_text().strip() for name in ("cache.sec", "log.sec")]
    encoded = secrets[0].partition(":")[2]
    for argv in (
        *(("push", "--key", secret) for secret in secrets),
        *(("verify", option, secret) for option in ("--log-key", "--public-key") for secret in (*secrets, encoded)),
    ):
        done = lab.run(*argv)
        assert done.returncode == 2, done.tail()
        assert not any(secret[-40:] in done.stdout + done.stderr for secret in secrets), argv[:2]


@pytest.mark.one_nix
def test_what_this_machine_has_seen_of_a_log_counts_whatever_the_lock_says(lab: CacheLab) -> None:
    lab.pushed()
    before = (lab.project / "nixgen.lock").read_bytes()
    checkpoint = lab.checkpoint()
    lab.write("echo another library > $out")
    lab.built().must("push", f"{lab.url}{WITHOUT}")
    (lab.project / "nixgen.lock").write_bytes(before)
    (lab.cache / "nixgen-log/checkpoint").write_bytes(checkpoint)
    code, report = lab.verdict()
    assert (code, report["log"]["kind"]) == (1, "replayed")
    assert lab.run("pull").returncode == 1
    assert lab.run("challenge").returncode == 1


@pytest.mark.one_nix
def test_a_cache_is_verified_without_a_project(lab: CacheLab, tmp_path: Path) -> None:
    lab.pushed()
    lab.project.rename(tmp_path / "moved")
    lab.project.mkdir()
    unknown = lab.run("verify", lab.url)
    assert unknown.returncode == 2
    assert "no key of its log: pass --log-key" in unknown.stderr
    log_key = (lab.keys / "log.pub").read_text().strip()
    assert "no key of its paths" in lab.run("verify", lab.url, "--log-key", log_key).stderr
    keys = ["--log-key", log_key, "--public-key", str(lab.keys / "cache.pub")]
    assert lab.must("verify", lab.url, *keys).stdout.startswith(f"{lab.url}: 3 paths and 3 NARs")
    assert "there is no project here" in lab.run("verify", lab.url, *keys, "--update").stderr


@pytest.mark.one_nix
def test_a_key_that_is_not_the_noted_one_is_refused(lab: CacheLab) -> None:
    lab.pushed()
    lab.must("keygen", "--name", "demo-1", "--folder", str(lab.folder / "mallory"))
    key = (lab.folder / "mallory/log.pub").read_text().strip()
    done = lab.run("verify", "--log-key", key)
    assert done.returncode == 2
    assert "is not the key that nixgen.lock has for this cache" in done.stderr
    done = lab.run("push", "--key", f"{lab.folder}/mallory")
    assert done.returncode == 2
    assert "its log is not signed with the key demo-1 of yours" in done.stderr


@pytest.mark.one_nix
def test_verify_notes_how_far_the_log_has_come(lab: CacheLab) -> None:
    lab.pushed()
    other = lab.other_machine()
    lab.write("echo another library > $out")
    lab.built().must("push", f"{lab.url}{WITHOUT}")
    assert "The log has 3 entries more than nixgen.lock knows of" in other.must("verify").stderr
    assert "Noted the log's checkpoint of 6 entries" in other.must("verify", "--update").stderr
    mine, theirs = (lockfile.read_lock(one.project / "nixgen.lock").cache for one in (lab, other))
    assert mine == theirs


def test_without_a_signature_that_nix_trusts_it_says_what_to_set(lab: CacheLab) -> None:
    """What a user meets whom the daemon does not trust: the keys that are named on the command line do not count."""
    lab.pushed()
    other = lab.other_machine()
    printed = other.nix.run("nix", "copy", "--from", lab.url, lab.paths()["library"], check=False).stderr
    explained = copying.explained(MachineError.of("nix copy", printed), parse(lab.url), "demo-1:KEY")
    assert str(explained) == (
        f"{lab.url}: Nix refuses its paths: this user may not add trusted keys\n"
        "  hint: add to nix.conf of this machine: extra-trusted-public-keys = demo-1:KEY"
    )
