"""Builds that differ, on real Nix: each is found, explained where the bytes tell, and nothing is left in the store."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from differing import Differing
from support.waiting import until

from nixgen.check.leftovers import remove

if TYPE_CHECKING:
    from lab import Lab


@pytest.fixture
def differing(each_lab: Lab, tmp_path: Path) -> Differing:
    return Differing(each_lab, tmp_path / "cache")


def causes(found: Any) -> list[str]:
    """The causes of what was rebuilt with other bytes."""
    assert found["verdict"]["verdict"] == "differs"
    return [cause.partition(":")[0] for cause in found["difference"]["causes"]]


@pytest.mark.one_nix
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("time", "a time"),
        ("cores", "the number of cores that the build was given"),
        ("order", "the same 40 lines in another order"),
        ("bytecode", "byte code with the time of its source in the header"),
    ],
)
def test_a_builder_that_differs_is_found_with_its_cause(differing: Differing, name: str, cause: str) -> None:
    built = differing.built(differing.expression(name))
    before = differing.around(built)
    found = differing.rebuilt(name, built)
    assert causes(found) == [cause]
    difference = found["difference"]
    assert difference["path"] == Path(built[1]).name
    assert difference["expected"] == difference["database"] != difference["found"]
    assert [file["path"] for file in difference["files"]] == ["m.pyc" if name == "bytecode" else ""]
    assert differing.around(built) == before
    repeated = differing.nix.inside("sh", "-c", difference["repeat"], check=False)
    assert "may not be deterministic" in repeated.stderr
    for left in differing.around(built) - before:
        for folder in (differing.nix.real("/nix/store"), differing.builds):
            remove(folder / left)


def test_a_build_path_is_found_where_there_is_no_sandbox(differing: Differing) -> None:
    built = differing.built(differing.expression("buildpath"))
    assert differing.rebuilt("buildpath", built)["verdict"]["verdict"] == "reproduced"
    before = differing.around(built)
    found = differing.without_sandbox().rebuilt("buildpath", built)
    assert causes(found) == ["the path of the folder that it was built in"]
    assert differing.around(built) == before


def test_what_is_the_same_is_reproduced_and_the_store_as_it_was(differing: Differing) -> None:
    built = differing.built(differing.expression("same"))
    before = differing.around(built)
    found = differing.rebuilt("same", built)
    assert found["verdict"] == {
        "name": "same",
        "verdict": "reproduced",
        "why": "built again here, with the same bytes",
    }
    assert found["difference"] is None
    assert differing.around(built) == before


def test_a_build_that_fails_the_second_time_is_inconclusive(differing: Differing) -> None:
    given = str(len(os.sched_getaffinity(0)))
    built = differing.with_settings(cores=given).built(differing.expression("sometimes", accepted=f'"{given}"'))
    before = differing.around(built)
    verdict = differing.rebuilt("sometimes", built)["verdict"]
    assert verdict["verdict"] == "inconclusive"
    assert verdict["why"].startswith("the build failed this time: ")
    assert verdict["why"].endswith("its last lines:\n    looks for something")
    assert differing.around(built) == before


@pytest.mark.one_nix
def test_what_is_not_in_the_store_is_inconclusive(differing: Differing) -> None:
    drv = differing.drv(differing.expression("never", "same"))
    out = differing.nix.run("nix-store", "--query", "--outputs", drv).stdout.strip()
    assert differing.rebuilt("never", (drv, out))["verdict"] == {
        "name": "never",
        "verdict": "inconclusive",
        "why": "its output is not in the store, so there is nothing to compare with",
    }


def test_what_was_substituted_and_cannot_be_built_is_inconclusive(lab: Lab, lab_new: Lab, tmp_path: Path) -> None:
    """Built in one store as if for another machine, fetched from a cache in the other."""
    cache = f"file://{tmp_path}/binary-cache"
    for one, other in ((lab, lab_new), (lab_new, lab)):
        theirs, ours = (Differing(each, tmp_path / "cache") for each in (one, other))
        foreign = theirs.expression(f"foreign{one.nix.version[1]}", "same", system='"riscv64-linux"')
        drv, out = theirs.with_settings(extra_platforms="riscv64-linux").built(foreign)
        theirs.nix.run("nix", "copy", "--to", cache, out)
        assert ours.drv(foreign) == drv
        ours.nix.run("nix", "copy", "--no-check-sigs", "--from", cache, out)
        verdict = ours.rebuilt("foreign", (drv, out))["verdict"]
        assert verdict["verdict"] == "inconclusive"
        assert verdict["why"].startswith("Nix did not build it: ")
        assert "riscv64-linux" in verdict["why"]


@pytest.mark.one_nix
def test_several_at_once_are_told_in_their_order(differing: Differing) -> None:
    names = [f"many{number}" for number in range(5)]
    built = {
        name: differing.built(differing.expression(name, "order" if name == "many3" else "same")) for name in names
    }
    found = differing.ask("rebuild", *(f"{name}={drv}={out}" for name, (drv, out) in built.items()))
    assert [one["verdict"]["name"] for one in found] == names
    assert [one["verdict"]["verdict"] == "differs" for one in found] == [False, False, False, True, False]


def flip(path: Path) -> bytes:
    """Flips a bit of a file of the store; what it held."""
    old = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(old[:4] + bytes([old[4] ^ 1]) + old[5:])
    path.chmod(0o444)
    return old


@pytest.mark.one_nix
def test_a_bit_that_flipped_after_the_build(differing: Differing, tmp_path: Path) -> None:
    """The database still has the old hash; the other bytes come from a build in a scratch store."""
    built = differing.built(differing.expression("flipped", "same"))
    expected = differing.ask("closure", built[1])
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    file = differing.nix.real(built[1]) / "text"
    before = differing.around(built)
    old = flip(file)
    try:
        (found,) = differing.ask("differences", tmp_path / "expected.json", "", built[1])
        spoilt = file.read_bytes()
    finally:
        file.chmod(0o644)
        file.write_bytes(old)
        file.chmod(0o444)
    assert found["said"] == (
        "the disk changed after the build: Nix's database still has the expected hash; "
        "the expected bytes were built again, in a scratch store"
    )
    assert found["expected"] == found["database"] == expected[Path(built[1]).name]["nar_hash"] != found["found"]
    assert [(one["path"], one["change"]) for one in found["files"]] == [("text", "content")]
    assert found["causes"] == ["one bit differs, at offset 4: the disk or the memory may be at fault"]
    assert spoilt != old
    assert differing.around(built) == before
    # Building it again does not show it: Nix compares with its database.
    assert differing.rebuilt("flipped", built)["verdict"]["verdict"] == "reproduced"


@pytest.mark.one_nix
def test_a_bit_that_flipped_in_what_is_not_built_the_same_twice(differing: Differing, tmp_path: Path) -> None:
    built = differing.built(differing.expression("flippedonce", "dependency"))
    (tmp_path / "expected.json").write_text(json.dumps(differing.ask("closure", built[1])))
    file = differing.nix.real(built[1]) / "number"
    before = differing.around(built)
    old = flip(file)
    try:
        (found,) = differing.ask("differences", tmp_path / "expected.json", "", built[1])
    finally:
        remove(file)
        file.write_bytes(old)
        file.chmod(0o444)
    assert found["said"].endswith(
        "; built again in a scratch store, it has different bytes again: the files are compared with these"
    )
    assert [one["path"] for one in found["files"]] == ["number"]
    assert differing.around(built) == before


def test_a_difference_deep_in_a_dependency_while_the_root_is_equal(lab: Lab, lab_new: Lab, tmp_path: Path) -> None:
    """The root only refers to it: its own bytes, and all derivations, are the same in both stores."""
    theirs, ours = (Differing(each, tmp_path / "cache") for each in (lab, lab_new))
    deep, middle = theirs.expression("deep", "dependency"), theirs.expression("middle", "refers", on="deep")
    top = theirs.expression("top", "refers", on="middle")
    root = f"let deep = {deep}; middle = {middle}; in {top}"
    built = theirs.built(root)
    assert ours.built(root) == built
    expected, found = theirs.ask("closure", built[1]), ours.ask("closure", built[1])
    different = [name for name in expected if expected[name] != found[name]]
    assert [name.partition("-")[2] for name in different] == ["deep"]
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    (told,) = ours.ask("differences", tmp_path / "expected.json", "", built[1])
    assert told["path"] == different[0]
    assert told["said"] == (
        "built or fetched here with different bytes: disk and database agree; "
        "building it again gives different bytes each time, so its build is not deterministic; "
        "the files are those that differ between two builds here"
    )
    assert [file["path"] for file in told["files"]] == ["number"]
    number_here = (ours.nix.real(f"/nix/store/{different[0]}") / "number").read_text().strip()
    # With a store that has the expected bytes, these are what is compared.
    cache = f"file://{tmp_path}/binary-cache"
    theirs.nix.run("nix", "copy", "--to", cache, built[1])
    (told,) = ours.ask("differences", tmp_path / "expected.json", cache, built[1])
    assert told["said"].endswith(f"; the expected bytes are from {cache}")
    number = (theirs.nix.real(f"/nix/store/{different[0]}") / "number").read_text().strip()
    assert told["causes"] == [f"a hash or a random number: {number_here}, {number} expected (line 1)"]


DAEMON = """
nix --extra-experimental-features nix-command daemon & daemon=$!
while ! test -S /nix/var/nix/daemon-socket/socket; do sleep 0.05; done
code=0
unshare --mount sh -ec '
  mount --bind /nix/store /nix/store
  mount -o remount,ro,bind /nix/store
  NIX_REMOTE=daemon exec "$@"
' sh "$@" || code=$?
kill $daemon
exit $code
"""


def test_through_a_daemon_with_a_store_that_only_it_can_write(differing: Differing) -> None:
    """As on NixOS: what a rebuild leaves in the store, the daemon removes."""
    names = {"throughdaemon": "order", "samethroughdaemon": "same"}
    built = {name: differing.built(differing.expression(name, builder)) for name, builder in names.items()}
    before = {name: stored(differing, built[name]) for name in names}
    words = (f"{name}={drv}={out}" for name, (drv, out) in built.items())
    script = ("sh", "-euc", DAEMON, "sh", *differing.command("rebuild", *words))
    done = differing.nix.with_env(**differing.environ()).inside(*script)
    differs, same = json.loads(done.stdout)
    assert causes(differs) == ["the same 40 lines in another order"]
    assert same["verdict"]["verdict"] == "reproduced"
    assert {name: stored(differing, built[name]) for name in names} == before


def stored(differing: Differing, built: tuple[str, str]) -> set[str]:
    """What the store has of a derivation; locks are the daemon's."""
    return {name for name in differing.around(built) if not name.endswith(".lock")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_an_interrupted_rebuild_leaves_nothing(differing: Differing, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C at once; what a kill leaves is removed by the next one, which waits for Nix to end."""
    name, enough = f"held{number.name.lower()}", tmp_path / "enough"
    differing = differing.with_settings(sandbox_paths=f"/held={tmp_path}")
    enough.touch()
    built = differing.built(differing.expression(name, "held"))
    enough.unlink()
    before = differing.around(built)
    process = differing.start("rebuild", f"{name}={built[0]}={built[1]}")
    chroot = differing.nix.real(built[0]).with_name(Path(built[0]).name + ".chroot")
    until(chroot.exists, running=process)
    process.send_signal(number)
    assert process.wait() != 0
    if number == signal.SIGKILL:
        assert differing.around(built) != before
        enough.touch()
        other = differing.built(differing.expression(f"after{name}", "same"))
        assert differing.rebuilt("other", other)["verdict"]["verdict"] == "reproduced"
    assert differing.around(built) == before


def test_two_rebuilds_at_once_wait_for_each_other(differing: Differing) -> None:
    built = differing.built(differing.expression("twice", "slow", lasts='"0.5"'))
    before = differing.around(built)
    running = [differing.start("rebuild", f"twice={built[0]}={built[1]}") for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert differing.around(built) == before
