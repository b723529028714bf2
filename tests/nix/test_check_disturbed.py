"""`nixgen check` disturbed: damage on the disk, interruptions, a full disk, no network, several at once.

In stores that no other test uses, so that what a check leaves in them can be told.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checking import OTHER, Checked, findings, steps
from support.nix import SYSTEM
from support.waiting import until


@pytest.fixture(scope="module", params=["first", "first_new"], ids=["nix28", "nix_new"])
def lonely(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The project with each Nix, each in a store of its own."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Checked)
    moved = found.alone(tmp_path_factory.mktemp("lonely"))
    moved.check()
    return moved


@pytest.fixture
def checked(lonely: Checked, tmp_path: Path) -> Checked:
    """A copy of it."""
    shutil.copytree(lonely.folder, tmp_path / "demo")
    return Checked(type(lonely.project)(tmp_path / "demo"), lonely.nix, lonely.index)


def test_a_check_leaves_the_store_as_it_was(checked: Checked) -> None:
    state = checked.state()
    checked.check()
    checked.check("--update")
    assert checked.state() == state


def test_a_flipped_bit_is_found_on_the_disk(checked: Checked) -> None:
    """Nix's database still says the old hash."""
    place = checked.nix.real(checked.system()["outputs"]["wheels.plum"]["outPath"])
    (file,) = place.rglob("data.txt")
    old = file.read_bytes()
    try:
        file.chmod(0o644)
        file.write_bytes(b"rip\xe5\n")
        done = checked.check("--json", code=1)
        (difference,) = steps(done)["bytes"]["differences"]
        assert difference["path"] == place.name
        assert difference["said"].startswith("the disk changed after the build")
        assert difference["expected"] == checked.system()["closure"][place.name]["narHash"] == difference["database"]
        refused = checked.check("--update", "--record", "new.json", code=1)
        assert "new.json was not changed" in refused.stderr
        assert not (checked.folder / "new.json").exists()
    finally:
        file.write_bytes(old)
        file.chmod(0o444)
    checked.check()


def test_without_a_network_all_that_is_built_is_checked(checked: Checked) -> None:
    """In a network namespace without any interface."""
    words = ["unshare", "--net", *checked.command("check")]
    done = subprocess.run(words, cwd=checked.folder, env=checked.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wheel = checked.wheel("4.0")
    checked.require("plum==4.0")
    words = ["unshare", "--net", *checked.command("check", "--json")]
    done = subprocess.run(words, cwd=checked.folder, env=checked.environ(), capture_output=True, text=True, check=False)
    wheel.unlink()
    assert done.returncode == 4  # it is stale, and that weighs more
    assert steps(done)["build"]["exitCode"] == 3


def test_two_checks_at_once(checked: Checked) -> None:
    """Each adds its part of the record, and neither loses the other's."""
    document = checked.document()
    document["systems"] = {OTHER: document["systems"][SYSTEM]}
    checked.record.write_text(json.dumps(document))
    running = [checked.start("check", "--update", "--save", f"{number}.json") for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert sorted(checked.document()["systems"]) == [OTHER, SYSTEM]
    saved = {(checked.folder / f"{number}.json").read_bytes() for number in range(3)}
    assert len(saved) == 1
    checked.check()
    assert [path.name for path in checked.folder.iterdir() if "nixgen-tmp" in path.name] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_interrupted_at_any_moment(checked: Checked, number: signal.Signals) -> None:
    """Record and store are as they were; the next check is not disturbed by what a kill left."""
    document = checked.document()
    document["systems"] = {OTHER: document["systems"][SYSTEM]}
    old = json.dumps(document)
    whole = checked.record.read_bytes()
    state = checked.state()
    began = time.monotonic()
    checked.check("--update")
    lasts = time.monotonic() - began
    done = checked.record.read_bytes()
    codes = set()
    for part in (0.02, 0.3, 0.6, 0.9):
        checked.record.write_text(old)
        process = checked.start("check", "--update")
        time.sleep(lasts * part)
        process.send_signal(number)
        codes.add(process.wait())
        stop(process)
        assert checked.record.read_text() in {old, done.decode()} or json.loads(checked.record.read_text())["systems"]
        after = checked.record.read_text()
        assert after == old or set(json.loads(after)["systems"]) == {OTHER, SYSTEM}
        now = checked.state()
        assert (now["valid"], now["paths"]) == (state["valid"], state["paths"])
    assert codes & {128 + number.value, -number.value}
    checked.record.write_bytes(whole)
    checked.check()
    assert checked.state() == state
    assert checked.nix.run("nix-store", "--verify", "--check-contents").ok


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_interrupted_while_it_builds(checked: Checked, number: signal.Signals) -> None:
    """What is built by then may stay in the store; the record is not touched, and the next check goes on."""
    big = "".join(f"VALUE_{line} = {{'a': [{line}, 'b'], 'c': ({line}.5, None)}}\n" for line in range(20_000))
    before = checked.record.read_bytes()
    for attempt, wait in enumerate((0.0, 0.2)):
        version = f"5.{number.value}.{attempt}"
        checked.wheel(version, {"plum/__init__.py": "", "plum/big.py": big})
        checked.require(f"plum=={version}")
        process = checked.start("check", "--update")
        until_it_builds(checked, f"plum-{version}", process)
        time.sleep(wait)
        process.send_signal(number)
        assert process.wait() in {130, -number.value}
        stop(process)
        assert checked.record.read_bytes() == before
    checked.check("--update")
    assert checked.system()["inputs"]["wheels"]["plum"]["version"] == version
    checked.check()
    assert checked.nix.run("nix-store", "--verify", "--check-contents").ok


def until_it_builds(checked: Checked, name: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until Nix has locked the output of this name."""
    store = checked.nix.store / "nix" / "store"
    until(lambda: any(store.glob(f"*-{name}.lock")), running=process)


def test_a_path_that_was_removed_from_the_disk(checked: Checked) -> None:
    """Nix's database still has it."""
    place = checked.nix.real(checked.system()["outputs"]["wheels.plum"]["outPath"])
    away = place.with_name("away")
    place.parent.chmod(0o755)
    place.rename(away)
    try:
        done = checked.check("--json", "--no-imports", code=1)
        assert findings(done, "bytes") == [f"{place.name}: is not on the disk, and Nix's database has it"]
    finally:
        away.rename(place)
    checked.check()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Waits until nothing of its group runs any more."""

    def ended() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(ended)  # a kill would leave Nix's own work half done


@pytest.mark.one_nix
def test_a_full_disk_leaves_the_record_as_it_was(checked: Checked) -> None:
    """A file system of 64 KiB that holds a small record, and has no room for another one."""
    (checked.folder / "disk").mkdir()
    small = '{"version": 1, "project": "demo", "systems": {}}'
    script = (
        'mount -t tmpfs -o size=64k none disk; printf %s "$1" > disk/r.json; head -c 60000 /dev/zero > disk/filler; '
        'shift; code=0; "$@" || code=$?; ls -A disk; cat disk/r.json; exit $code'
    )
    program = [sys.executable, "-m", "nixgen", "check", "--update", "--record", "disk/r.json", "--quiet"]
    root = checked.environ()["PYTHONPATH"]
    words = ["sh", "-euc", script, "sh", small, *program]
    done = checked.nix.inside(*words, cwd=checked.folder, check=False, PYTHONPATH=root)
    assert done.returncode == 3, done.tail()
    assert "the disk is full; nothing was changed" in done.stderr
    assert done.stdout.endswith(f"filler\nr.json\n{small}")
