"""`nixgen check` with real Nix: what is the same, what is not, and which words are used for it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from checking import OTHER, RECORD, Checked, findings, steps
from support.nix import SYSTEM


def test_what_was_recorded_is_found_again(checked: Checked) -> None:
    before = checked.record.read_bytes()
    done = checked.check()
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"verdict: identical: \d+ store paths \(.*\) match nixgen\.hashes\.json", lines[-2])
    digest = checked.system()["digest"]
    assert lines[-1].startswith(f"digest: {SYSTEM} ")
    assert "sha256:" + "".join(lines[-1].split()[2:]) == digest
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "generated", "recipe", "build", "bytes", "works",
    ]  # fmt: skip
    assert checked.record.read_bytes() == before


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
    of_the_first = f'"nix": "{".".join(map(str, first.nix.version))}"'
    assert of_the_first in before.decode()
    assert of_the_first not in alone.read_text()


@pytest.mark.one_nix
def test_without_a_record_it_could_not_be_checked(checked: Checked) -> None:
    checked.record.unlink()
    done = checked.check("--json", "--save", "found.json", code=6)
    assert findings(done, "recipe") == [f"{RECORD}: is missing"]
    assert steps(done)["bytes"]["ok"] is True
    assert "it was not compared with a record" in steps(done)["bytes"]["summary"]
    assert not checked.record.exists()
    checked.check("--record", "found.json")
    other = checked.check("--record", "not there.json", code=6)
    assert "make it, and commit it: nixgen check --update --record 'not there.json'" in other.stdout


@pytest.mark.one_nix
def test_a_record_without_this_system(checked: Checked) -> None:
    document = checked.document()
    theirs = document["systems"].pop(SYSTEM)
    document["systems"][OTHER] = theirs
    checked.record.write_text(json.dumps(document))
    done = checked.check("--json", code=6)
    assert findings(done, "recipe") == [f"{RECORD}: has no {SYSTEM}; it has {OTHER}"]
    checked.check("--update")
    assert checked.document()["systems"] == {OTHER: theirs, SYSTEM: checked.system()}
    checked.check()


@pytest.mark.one_nix
def test_a_record_of_a_newer_nixgen(checked: Checked) -> None:
    checked.record.write_text('{"version": 2}\n')
    for words in ((), ("--update",)):
        done = checked.check(*words, code=3)
        assert done.stderr == (
            f"error: {RECORD}: version: is 2: a newer nixgen wrote it, and this one knows 1\n"
            "  hint: update nixgen, as the others of the project did\n"
        )
    assert checked.record.read_text() == '{"version": 2}\n'


@pytest.mark.one_nix
def test_a_damaged_record(checked: Checked) -> None:
    checked.record.write_text(checked.record.read_text()[:-100])
    assert f"{RECORD}: line " in checked.check(code=2).stderr


@pytest.mark.one_nix
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


@pytest.mark.one_nix
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


@pytest.mark.one_nix
def test_an_edited_library_is_stale(checked: Checked) -> None:
    library = checked.folder / "nix/nixgen/programs"
    library.write_text(library.read_text() + "# changed\n")
    assert findings(checked.check("--json", code=4), "stale") == [
        "nix/nixgen/programs: is stale: nixgen would write something else"
    ]
    before = checked.record.read_bytes()
    assert "Nix refuses to evaluate the project" in checked.check("--update", code=4).stdout
    assert checked.record.read_bytes() == before


@pytest.mark.one_nix
def test_a_change_of_nixgens_library_is_named(checked: Checked) -> None:
    """The record of another nixgen."""
    inputs, outputs = checked.system()["inputs"], checked.system()["outputs"]
    now, inputs["library"] = inputs["library"], f"sha256-{'A' * 43}="
    outputs["environment"]["drvPath"] = outputs["root"]["drvPath"]
    checked.change({"inputs": inputs, "outputs": outputs})
    found = findings(checked.check("--json", code=4), "recipe")
    assert found[0] == f"nixgen's library: NAR hash is sha256-{'A' * 43}= in the record, and {now} here"


@pytest.mark.one_nix
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


@pytest.mark.one_nix
def test_a_lock_that_changed_after_it_was_generated(checked: Checked) -> None:
    lock = checked.folder / "uv.lock"
    lock.write_text(lock.read_text() + "\n# changed\n")
    done = checked.check("--json", code=4)
    assert "default.nix: is stale: nixgen would write something else" in findings(done, "stale")
    assert list(steps(done)) == ["stale", "recipe"]
    assert findings(done, "recipe") == ["uv.lock: changed after default.nix was generated"]


@pytest.mark.one_nix
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


@pytest.mark.one_nix
def test_against_builds_nothing_and_needs_no_nix(checked: Checked) -> None:
    shutil.copy(checked.record, checked.folder / "other.json")
    done = checked.project.nixgen("check", "--against", "other.json", env={"PATH": os.defpath})
    assert done.returncode == 0, done.tail()


@pytest.mark.one_nix
def test_without_nix_the_generated_files_are_still_checked(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = checked.project.nixgen("check", "--json", env={"PATH": str(tmp_path / "empty")})
    assert done.returncode == 3, done.tail()
    assert steps(done)["stale"]["ok"] is True
    assert steps(done)["recipe"]["exitCode"] == 3


def git(checked: Checked, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=checked.folder, check=True, capture_output=True)


def test_the_store_of_the_settings_is_the_one_that_is_read(checked: Checked, tmp_path: Path) -> None:
    """Case 9: a byte of the store in a folder is another, and the machine's own store is not asked."""
    folder = tmp_path / "root"
    apart = replace(checked, nix=checked.nix.with_settings(store=str(folder)))
    apart.check()
    environment = json.loads((checked.folder / "nixgen.hashes.json").read_text())["systems"][SYSTEM]["outputs"][
        "environment"
    ]
    place = folder / environment["outPath"].lstrip("/") / "pyvenv.cfg"
    place.parent.chmod(0o755)
    place.chmod(0o644)
    place.write_text(place.read_text() + "# another byte\n")
    done = apart.check(code=1)
    assert "the disk changed after the build" in done.stdout
    checked.check()
