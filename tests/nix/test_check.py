"""`nixgen check` with real Nix: what is equal, what is not, and what is left when it is disturbed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checking import RECORD, Checked, make
from support.index import Index, serve
from support.nix import SYSTEM, Nix

OTHER = "aarch64-darwin"


@pytest.fixture(scope="module")
def plums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index of its own: what other tests put on theirs changes no lock here."""
    with serve(tmp_path_factory.mktemp("plums")) as index:
        yield index


@pytest.fixture(scope="module")
def first(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A project with a record, made with the machine's Nix."""
    checked = make(tmp_path_factory.mktemp("first") / "demo", pins, plums, nix28)
    checked.check("--update")
    return checked


@pytest.fixture(scope="module")
def first_new(first: Checked, nix_new: Nix) -> Checked:
    """The same project with a current Nix and its store."""
    checked = first.with_nix(nix_new)
    checked.check()
    return checked


@pytest.fixture(params=["first", "first_new"], ids=["nix28", "nix_new"])
def checked(request: pytest.FixtureRequest, tmp_path: Path) -> Checked:
    """A copy of the project, with each of both."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Checked)
    shutil.copytree(found.folder, tmp_path / "demo")
    return Checked(type(found.project)(tmp_path / "demo"), found.nix, found.index)


def findings(done: Any, step: str) -> list[str]:
    """What a step of ``--json`` found, each with what it says."""
    (report,) = json.loads(done.stdout)["reports"]
    (found,) = [one for one in report["steps"] if one["name"] == step]
    return [f"{one['where']}: {one['what']}" for one in found["findings"]]


def steps(done: Any) -> dict[str, Any]:
    (report,) = json.loads(done.stdout)["reports"]
    return {step["name"]: step for step in report["steps"]}


def test_what_was_recorded_is_found_again(checked: Checked) -> None:
    before, state = checked.record.read_bytes(), checked.state()
    done = checked.check()
    lines = done.stdout.splitlines()
    assert lines[-2].startswith("verdict: identical: each of ")
    assert lines[-2].endswith("the runtime closure is bit-identical to the recorded one")
    digest = checked.system()["digest"]
    assert lines[-1].startswith(f"digest: {SYSTEM} ")
    assert "sha256:" + "".join(lines[-1].split()[2:]) == digest
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "stale", "recipe", "build", "bytes", "works",
    ]  # fmt: skip
    assert checked.record.read_bytes() == before
    assert checked.state() == state


def test_the_record_holds_what_nix_says(checked: Checked) -> None:
    system = checked.system()
    assert {"root", "environment", "wheels.plum"} <= set(system["outputs"])
    root = system["outputs"]["root"]["outPath"]
    paths = checked.nix.requisites(root)
    assert [Path(path).name for path in paths] == sorted(system["closure"])
    plum = system["outputs"]["wheels.plum"]
    assert checked.nix.run("nix-store", "--query", "--outputs", plum["drvPath"]).stdout.split() == [plum["outPath"]]
    name = Path(plum["outPath"]).name
    facts = checked.nix.path_info(plum["outPath"])
    assert system["closure"][name]["narSize"] == facts["narSize"]
    listed = checked.nix.run("nix-store", "--query", "--references", root).stdout.split()
    assert set(system["closure"][Path(root).name]["references"]) == {Path(path).name for path in listed}
    assert system["inputs"]["wheels"]["plum"]["version"] == "1.0"
    assert system["inputs"]["base"]["packages"]["bash"]["version"].startswith("5.")


def test_both_versions_of_nix_make_one_record(first: Checked, first_new: Checked, tmp_path: Path) -> None:
    """In two stores: the same file byte for byte, and anew the same but for the facts about the builder."""
    before = first.record.read_bytes()
    done = first_new.check("--update")
    assert f"unchanged: {RECORD} ({SYSTEM})" in done.stderr
    assert first.record.read_bytes() == before
    alone = tmp_path / "new.json"
    first_new.check("--update", "--record", alone)
    lines = [line for line in alone.read_text().splitlines() if '"builder"' not in line]
    assert lines == [line for line in before.decode().splitlines() if '"builder"' not in line]
    assert '"nix": "2.8.0"' in before.decode()
    assert '"nix": "2.8.0"' not in alone.read_text()


def test_without_a_record_it_could_not_be_checked(checked: Checked) -> None:
    checked.record.unlink()
    done = checked.check("--json", "--save", "found.json", code=3)
    assert findings(done, "recipe") == [f"{RECORD}: is missing"]
    assert steps(done)["bytes"]["ok"] is True
    assert "with a record it was not compared" in steps(done)["bytes"]["summary"]
    assert not checked.record.exists()
    checked.check("--record", "found.json")


def test_a_record_without_this_system(checked: Checked) -> None:
    document = checked.document()
    theirs = document["systems"].pop(SYSTEM)
    document["systems"][OTHER] = theirs
    checked.record.write_text(json.dumps(document))
    done = checked.check("--json", code=3)
    assert findings(done, "recipe") == [f"{RECORD}: has no {SYSTEM}; it has {OTHER}"]
    checked.check("--update")
    assert checked.document()["systems"] == {OTHER: theirs, SYSTEM: checked.system()}
    checked.check()


def test_a_record_of_a_newer_nixgen(checked: Checked) -> None:
    checked.record.write_text('{"version": 2}\n')
    for words in ((), ("--update",)):
        done = checked.check(*words, code=3)
        assert done.stderr == (
            f"error: {RECORD}: version: is 2: a newer nixgen wrote it, and this one knows 1\n"
            "    update nixgen, as the others of the project did\n"
        )
    assert checked.record.read_text() == '{"version": 2}\n'


def test_a_damaged_record(checked: Checked) -> None:
    checked.record.write_text(checked.record.read_text()[:-100])
    assert f"{RECORD}: line " in checked.check(code=2).stderr


def test_a_check_that_compared_nothing_fails(checked: Checked) -> None:
    """A record of something else altogether."""
    system = checked.system()
    name = "0" * 32 + "-other"
    system["closure"] = {name: {"narHash": f"sha256-{'A' * 43}=", "narSize": 1, "references": []}}
    system["outputs"] = {"root": {"drvPath": f"/nix/store/{name}.drv", "outPath": f"/nix/store/{name}"}}
    line = f"{name} sha256-{'A' * 43}= 1 \n"
    system["digest"] = "sha256:" + hashlib.sha256(line.encode()).hexdigest()
    checked.change(system)
    done = checked.check("--json", code=4)
    assert steps(done)["bytes"]["exitCode"] == 3
    assert findings(done, "bytes") == [f"{RECORD}: has nothing that could be compared with what is here"]


def test_another_version_of_a_wheel_is_named_with_both_values(checked: Checked) -> None:
    git(checked, "init", "--quiet")
    git(checked, "add", "-A")
    git(checked, "commit", "-m", "one")
    checked.wheel("1.1", {"plum/__init__.py": "COLOUR = 'blue'\n"})
    checked.require("plum==1.1")
    done = checked.check("--json", code=4)
    found = findings(done, "recipe")
    assert found[0] == "wheels.plum: version is 1.0 in the record, and 1.1 here"
    files = [f"plum-{version}-py3-none-any.whl" for version in ("1.0", "1.1")]
    assert found[1] == f"wheels.plum: file is {files[0]} in the record, and {files[1]} here"
    assert any(line.startswith("uv.lock: SHA-256 is ") for line in found)
    assert sum(" is made by /nix/store/" in line for line in found) == 4  # the wheel, environment, shell and root
    assert steps(done)["works"]["ok"] is True
    # What is recorded then is a change that the diff tells in words.
    checked.check("--update")
    checked.check()
    git(checked, "commit", "-am", "two")
    diff = checked.run("diff", "HEAD~1", "HEAD")
    assert diff.returncode == 0
    assert "  wheels.plum: version changed from 1.0 to 1.1" in diff.stdout.splitlines()
    assert checked.run("diff", "HEAD", "HEAD").stdout == f"{SYSTEM}:\n  nothing changed\n"
    assert checked.run("check", "--against", "nothing.json").returncode == 3


def test_a_change_of_nixgens_library_is_named(checked: Checked) -> None:
    library = checked.folder / "nix/nixgen/builders/environment.py"
    library.write_text(library.read_text() + "# changed\n")
    recorded = checked.system()["inputs"]["library"]
    done = checked.check("--json", code=4)
    assert findings(done, "stale") == [
        "nix/nixgen/builders/environment.py: is stale: nixgen would write something else"
    ]
    (found,) = [line for line in findings(done, "recipe") if line.startswith("nixgen's library")]
    assert found.startswith(f"nixgen's library: NAR hash is {recorded} in the record, and sha256-")
    refused = checked.check("--update", code=4)
    assert f"{RECORD} was not changed" in refused.stderr


def test_a_change_of_the_base_is_named(checked: Checked) -> None:
    """The record of another pin."""
    inputs = checked.system()["inputs"]
    now = inputs["base"]["packages"]["bash"]["version"]
    inputs["base"]["packages"]["bash"]["version"] = "5.0-1"
    inputs["base"]["digest"] = "0" * 64
    outputs = checked.system()["outputs"]
    outputs["base.core"]["drvPath"] = outputs["root"]["drvPath"]
    checked.change({"inputs": inputs, "outputs": outputs})
    found = findings(checked.check("--json", code=4), "recipe")
    assert found[0] == f"base.bash: version is 5.0-1 in the record, and {now} here"


def test_a_lock_that_changed_after_it_was_generated(checked: Checked) -> None:
    lock = checked.folder / "uv.lock"
    lock.write_text(lock.read_text() + "\n# changed\n")
    done = checked.check("--json", code=4)
    assert "default.nix: is stale: nixgen would write something else" in findings(done, "stale")
    assert list(steps(done)) == ["stale", "recipe"]
    assert findings(done, "recipe") == ["uv.lock: changed after default.nix was generated"]


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


def test_an_import_that_fails_is_a_failed_check(checked: Checked) -> None:
    checked.wheel("2.0", {"plum/__init__.py": "import nothing_of_this_name\n"})
    checked.require("plum==2.0")
    done = checked.check("--json", "--update", code=5)
    assert steps(done)["works"]["summary"] == "what was built does not work: the import check"
    assert "nothing_of_this_name" in findings(done, "works")[0]
    assert "was not changed" in done.stderr
    assert "works" not in steps(checked.check("--json", "--no-imports", code=4))


def test_a_build_that_fails(checked: Checked) -> None:
    wheel = checked.wheel("3.0")
    checked.require("plum==3.0")
    wheel.unlink()
    done = checked.check("--json", code=5)
    assert list(steps(done)) == ["stale", "recipe", "build"]
    assert "plum-3.0" in findings(done, "build")[0]


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
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
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
    for part in (0.02, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97):
        checked.record.write_text(old)
        process = checked.start("check", "--update")
        time.sleep(lasts * part)
        process.send_signal(number)
        codes.add(process.wait(timeout=60))
        stop(process)
        assert checked.record.read_text() in {old, done.decode()} or json.loads(checked.record.read_text())["systems"]
        after = checked.record.read_text()
        assert after == old or set(json.loads(after)["systems"]) == {OTHER, SYSTEM}
        now = checked.state()
        assert (now["valid"], now["paths"]) == (state["valid"], state["paths"])
    assert codes & {130, -number.value}
    checked.record.write_bytes(whole)
    checked.check()
    assert checked.state() == state
    assert checked.nix.run("nix-store", "--verify", "--check-contents").ok


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_interrupted_while_it_builds(checked: Checked, number: signal.Signals) -> None:
    """What is built by then may stay in the store; the record is not touched, and the next check goes on."""
    big = "".join(f"VALUE_{line} = {{'a': [{line}, 'b'], 'c': ({line}.5, None)}}\n" for line in range(20_000))
    wheel = checked.wheel(f"5.{checked.nix.version[1]}.{number.value}", {"plum/__init__.py": "", "plum/big.py": big})
    before = checked.record.read_bytes()
    checked.require(f"plum=={wheel.name.split('-')[1]}")
    for wait in (0.8, 1.1):
        process = checked.start("check", "--update")
        time.sleep(wait)
        process.send_signal(number)
        process.wait(timeout=60)
        stop(process)
        assert checked.record.read_bytes() == before
    checked.check("--update")
    assert checked.system()["inputs"]["wheels"]["plum"]["version"] == wheel.name.split("-")[1]
    checked.check()
    assert checked.nix.run("nix-store", "--verify", "--check-contents").ok


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
    for _ in range(200):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)


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


def test_against_builds_nothing_and_needs_no_nix(checked: Checked) -> None:
    shutil.copy(checked.record, checked.folder / "other.json")
    done = checked.project.nixgen("check", "--against", "other.json", env={"PATH": os.defpath})
    assert done.returncode == 0, done.tail()


def test_without_nix_the_generated_files_are_still_checked(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = checked.project.nixgen("check", "--json", env={"PATH": str(tmp_path / "empty")})
    assert done.returncode == 3, done.tail()
    assert steps(done)["stale"]["ok"] is True
    assert steps(done)["recipe"]["exitCode"] == 3


def git(checked: Checked, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=checked.folder, check=True, capture_output=True)
