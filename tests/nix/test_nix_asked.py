"""The wrapper round Nix, on real Nix of both versions: what it builds, keeps, reads and says."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from asking import ask, begin, made
from support.nix import SYSTEM, Nix
from support.waiting import until
from support.wheels import make_wheel, sha256

from nixgen.nix.json import hexadecimal

if TYPE_CHECKING:
    from lab import Lab

INSTANTIATE = "drv = nix.run('nix-instantiate', *sys.argv[1:]).out.strip()\n"


@pytest.fixture
def project(pins: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pins, tmp_path / 'a "b" ${c}'))


@pytest.fixture
def own(nix: Nix, store: Path) -> Nix:
    """Each Nix on an empty store."""
    return nix.with_store(store)


def test_the_recipes_of_a_project(nix: Nix, project: Path) -> None:
    code = """
root, system = Path(sys.argv[1]), sys.argv[2]
found = nix.recipes(root, system)
checks = nix.checks(root, system)
there = all(Path(recipe.drv).exists() for recipe in found.values())
answer = [sorted(found), there, [[name, check.drv[44:]] for name, check in checks.items()]]
"""
    found = ask(nix, code, project, SYSTEM)
    assert found == [
        ["base.builder", "base.busybox", "base.core", "environment", "root", "shell"],
        True,
        [["imports", "demo-imports.drv"]],
    ]


CHANGED = "{}: changed after default.nix was generated\n  hint: nixgen sync"
STRANGE = "default.nix: and nix/nixgen were not written by this nixgen\n  hint: nixgen sync"
THROWS = "{ system, nixpkgs ? null }: throw ''of its own''"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("nix/nixgen/default.nix", "{ project = { ... }: { recipes.root = 3; }; }", ["Stale", STRANGE]),
        ("uv.lock", "version = 1\n", ["Stale", CHANGED.format("uv.lock")]),
        ("nixgen.lock", "{}", ["Stale", CHANGED.format("nixgen.lock")]),
        ("nix/nixgen/default.nix", "{ project = { ... }: { }; }", ["Stale", STRANGE]),
        ("nix/nixgen/default.nix", "{ project = { }: { }; }", ["Stale", STRANGE]),
        ("default.nix", THROWS, ["UserError", "default.nix: cannot be evaluated: of its own"]),
    ],
)
def test_what_does_not_evaluate_is_a_sentence(nix: Nix, project: Path, file: str, text: str, said: list[str]) -> None:
    (project / file).write_text(text)
    assert ask(nix, "answer = nix.recipes(Path(sys.argv[1]), sys.argv[2])", project, SYSTEM) == said


def test_a_system_that_the_project_does_not_have(nix: Nix, project: Path) -> None:
    kind, text = ask(nix, "answer = nix.recipes(Path(sys.argv[1]), 'riscv64-linux')", project)
    assert kind == "UserError"
    assert text.startswith("default.nix: demo is not set up for riscv64-linux, only for ")


def test_what_is_built_is_kept_until_the_end_of_the_block(own: Nix, tmp_path: Path) -> None:
    code = (
        INSTANTIATE
        + """
with nix.roots() as keep:
    nix.realise([drv], keep=keep)
    out = nix.outputs_of(drv)['out']
    nix.run('nix-store', '--gc')
    answer = [out in nix.infos([out]), Path(out).exists()]
nix.run('nix-store', '--gc')
answer += [out in nix.infos([out]), keep.exists()]
"""
    )
    assert ask(own, code, made(tmp_path)) == [True, True, False, False]


def test_the_database_and_the_disk_agree(lab: Lab, lab_new: Lab) -> None:
    code = """
infos = nix.closure(sys.argv[1:])
places = {path: nix.physical(path) for path in infos}
found = narhash.hash_paths(places, {path: info.nar_size for path, info in infos.items()})
assert found == {path: (info.nar_hash, info.nar_size) for path, info in infos.items()}
answer = {path: [info.nar_hash, info.nar_size, info.references, info.deriver] for path, info in infos.items()}
"""
    closures = []
    for one in (lab, lab_new):
        wheel = make_wheel(one.wheels, "six", "1.0", {"six.py": ""})
        environment = one.environment(wheel)
        closures.append(ask(one.nix, code, environment))
        assert sorted(closures[-1]) == one.nix.requisites(environment)
    assert closures[0] == closures[1]
    assert len(closures[0]) > 2


def test_a_path_that_refers_to_itself_says_so(nix: Nix, tmp_path: Path) -> None:
    code = (
        INSTANTIATE
        + "nix.realise([drv]); out = nix.outputs_of(drv)['out']; answer = [out, nix.infos([out])[out].references]"
    )
    out, references = ask(nix, code, made(tmp_path), "--argstr", "script", "echo $out > $out")
    assert references == [out]


def test_a_derivation_is_shown(nix: Nix, tmp_path: Path) -> None:
    code = (
        INSTANTIATE
        + """
shown = nix.drv_show(drv)
answer = [shown.name, shown.system, shown.args, shown.env['name'], shown.fixed, shown.drvs, len(shown.sources)]
assert list(nix.infos([drv])) == [drv]
"""
    )
    found = ask(nix, code, made(tmp_path))
    assert found == ["made", SYSTEM, ["sh", "-c", "echo made > $out"], "made", None, [], 1]


def test_a_failed_build_is_told_with_the_end_of_its_log(nix: Nix, tmp_path: Path) -> None:
    code = INSTANTIATE + "nix.realise([drv]); answer = None"
    script = "for n in $(seq 30); do echo line $n; done; exit 7"
    kind, text = ask(nix, code, made(tmp_path), "--argstr", "name", "breaks", "--argstr", "script", script)
    lines = text.splitlines()
    assert (kind, lines[0]) == ("BuildFailed", "breaks: cannot be built: builder failed with exit code 7")
    assert lines[1:-1] == [f"    > line {number}" for number in range(11, 31)]
    assert lines[-1].startswith("  hint: to see its whole log: nix-store --read-log /nix/store/")


def test_all_that_fail_are_told_and_what_needs_them_is_not(each_lab: Lab) -> None:
    bad = [make_wheel(each_lab.wheels, name, "1.0", {f"{name}.py": ""}) for name in ("one", "two")]
    for wheel in bad:
        wheel.write_bytes(b"no zip: " + wheel.name.encode())
    expression = f"({each_lab.expression(bad)}).environment"
    kind, text = ask(each_lab.nix, INSTANTIATE + "nix.realise([drv]); answer = None", "-E", expression)
    heads = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert (kind, sorted(heads)) == ("BuildFailed", ["one-1.0", "two-1.0"])


def fetched(lab: Lab, wheel: Path, change: Callable[[], object]) -> list[str]:
    """Builds the environment of a wheel that is changed on the index after it was pinned; the error."""
    owner = f"{{'{sha256(wheel)}': Owner('swapped 1.0', 'uv.lock', 'uv lock')}}"
    expression = f"({lab.expression([wheel])}).environment"
    change()
    realise = INSTANTIATE + f"nix.realise([drv], owners={owner}); answer = None"
    found: list[str] = ask(lab.nix, realise, "-E", expression)
    return found


def test_a_wheel_that_was_replaced_is_named_with_both_hashes(each_lab: Lab) -> None:
    wheel = make_wheel(each_lab.wheels, "swapped", "1.0", {"swapped.py": f"# {time.time_ns()}\n"})
    pinned = sha256(wheel)
    kind, text = fetched(each_lab, wheel, lambda: wheel.write_bytes(b"another"))
    assert (kind, text) == (
        "BuildFailed",
        f"swapped 1.0: swapped-1.0-py3-none-any.whl at {each_lab.index.url(wheel)} is not the file that uv.lock pins: "
        f"its SHA-256 is {hashlib.sha256(b'another').hexdigest()}, pinned is {pinned}\n"
        "  hint: find out who replaced it and why; to pin what is there now: uv lock",
    )


def test_a_wheel_that_is_gone_is_named(each_lab: Lab) -> None:
    wheel = make_wheel(each_lab.wheels, "swapped", "1.0", {"swapped.py": f"# {time.time_ns()}\n"})
    kind, text = fetched(each_lab, wheel, wheel.unlink)
    assert kind == "BuildFailed"
    gone = f"{each_lab.index.url(wheel)} is not there any more (HTTP error 404"
    assert text.startswith(f"swapped 1.0: swapped-1.0-py3-none-any.whl at {gone}")


def test_without_a_network_it_could_not_be_checked(each_lab: Lab) -> None:
    """Four wheels from hosts that no name server knows: after three, Nix is ended."""
    wheels = [
        {"name": f"w{n}", "version": "1", "file": f"w{n}-1-py3-none-any.whl", "systems": [SYSTEM],
         "sha256": f"{time.time_ns():064x}", "url": f"https://host{n}.invalid/w{n}.whl"} for n in range(4)
    ]  # fmt: skip
    lab = each_lab.with_arguments(wheels=wheels)
    expression = f"({lab.expression()}).environment"
    nix = lab.nix.with_settings(download_attempts="1")
    kind, text = ask(nix, INSTANTIATE + "nix.realise([drv]); answer = None", "-E", expression)
    lines = text.splitlines()
    assert kind == "MachineError"
    assert len(lines) == 6
    assert all("cannot be fetched: Could" in line for line in lines[::2])
    assert set(lines[1::2]) == {"  hint: try again when there is a network"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(own: Nix, tmp_path: Path, sent: signal.Signals) -> None:
    """Of nixgen alone: a terminal's Ctrl-C reaches Nix as well. After a kill Nix goes on, and ends with its build."""
    script = """
        echo begun > /begun/here; n=0
        until [ -e /begun/killed ] || [ $n = 3000 ]; do sleep 0.1; n=$((n+1)); done
        echo done > $out
    """
    begun = tmp_path / "begun"
    begun.mkdir()
    nix = own.with_settings(sandbox_paths=f"/begun={begun}")
    code = INSTANTIATE + "with nix.roots() as keep:\n    nix.realise([drv], keep=keep)\nanswer = None"
    process = begin(nix, code, made(tmp_path), "--argstr", "script", script)
    until((begun / "here").exists, running=process)
    os.kill(process.pid, sent)
    process.communicate()
    assert process.returncode != 0

    def left() -> list[str]:
        names = [path.name for path in (own.store / "nix/store").iterdir()]
        return sorted(name[33:] for name in names if name != ".links" and not name.endswith(".lock"))

    if sent == signal.SIGINT:
        assert left() == ["bin", "made.drv"]
    else:
        (begun / "killed").touch()
        until(lambda: left() == ["bin", "made", "made.drv"])  # the build's own folder (.chroot) goes last


def test_another_store_in_a_folder(nix: Nix, tmp_path: Path) -> None:
    """Built and hashed there; nothing of it is in the machine's store."""
    code = """
from dataclasses import replace
there = replace(nix, store=sys.argv.pop(1))
drv = there.run('nix-instantiate', *sys.argv[1:]).out.strip()
with there.roots() as keep:
    there.realise([drv], keep=keep)
    out = there.outputs_of(drv)['out']
    info = there.closure([out])[out]
    place = there.physical(out)
    found = narhash.hash_paths({out: place}, {})[out]
    dumped = __import__('hashlib').sha256(b''.join(there.dump(out))).hexdigest()
    answer = [out, str(place), list(found), [info.nar_hash, info.nar_size], dumped, list(nix.infos([out]))]
"""
    script = "echo there > $out"
    out, place, found, known, dumped, here = ask(
        nix, code, tmp_path / "other", made(tmp_path), "--argstr", "script", script
    )
    assert place == f"{tmp_path}/other{out}"
    assert found == known
    assert dumped == hexadecimal(known[0])
    assert here == []
    for path, folders, _ in os.walk(tmp_path / "other/nix/store"):
        for name in folders:
            if not (Path(path) / name).is_symlink():
                (Path(path) / name).chmod(0o755)


def test_what_fails_in_a_folder_leaves_the_machines_store_alone(own: Nix, tmp_path: Path) -> None:
    """Nix 2.8 moves what a failed build left to the same path of the machine's store, over what is good there."""
    good = tmp_path / "good"
    good.write_text("good\n")
    code = """
from dataclasses import replace
there = replace(nix, store=sys.argv[1])
out = nix.run('nix-store', '--add-fixed', 'sha256', sys.argv[2]).out.strip()
drv = there.run('nix-instantiate', '-E', sys.argv[3]).out.strip()
try:
    there.realise([drv])
    failed = False
except NixgenError:
    failed = True
answer = [failed, Path(out).read_text()]
"""
    expression = f"""derivation {{
      name = "good"; system = "builtin"; builder = "builtin:fetchurl"; url = "http://host.invalid/good";
      outputHash = "{sha256(good)}"; outputHashAlgo = "sha256"; outputHashMode = "flat";
      preferLocalBuild = true; executable = false; unpack = false;
    }}"""
    nix = own.with_settings(download_attempts="1")
    assert ask(nix, code, "/nix/other", good, expression) == [True, "good\n"]  # on one file system with /nix/store


def test_a_binary_cache(nix: Nix, tmp_path: Path) -> None:
    code = """
from dataclasses import replace
drv = nix.run('nix-instantiate', *sys.argv[2:]).out.strip()
nix.realise([drv])
out = nix.outputs_of(drv)['out']
nix.run('nix', 'copy', '--to', sys.argv[1], out)
there = replace(nix, store=sys.argv[1])
dumped = __import__('hashlib').sha256(b''.join(there.dump(out))).hexdigest()
answer = [there.physical(out), dumped, there.infos([out])[out].nar_hash, nix.infos([out])[out].nar_hash]
"""
    place, dumped, there, here = ask(nix, code, f"file://{tmp_path}/cache", made(tmp_path))
    assert place is None
    assert hexadecimal(there) == dumped
    assert there == here


def test_nothing_need_be_enabled(nix: Nix, tmp_path: Path) -> None:
    bare = nix.with_settings(experimental_features="")
    code = INSTANTIATE + "nix.realise([drv]); answer = len(nix.closure([nix.outputs_of(drv)['out']]))"
    assert ask(bare, code, made(tmp_path)) == 1


def test_behind_a_daemon(own: Nix, tmp_path: Path) -> None:
    """What a daemon passes on is told as what Nix itself says."""
    file = made(tmp_path)
    begun = """
import socket, subprocess, time
daemon = subprocess.Popen(['nix-daemon'], stderr=subprocess.DEVNULL)
while daemon.poll() is None:
    try:
        socket.socket(socket.AF_UNIX).connect('/nix/var/nix/daemon-socket/socket')
        break
    except OSError:
        time.sleep(0.05)
"""
    build = """
import os
os.environ['NIX_REMOTE'] = 'daemon'
try:
    drv = nix.run('nix-instantiate', *sys.argv[1:]).out.strip()
    nix.realise([drv])
    out = nix.outputs_of(drv)['out']
    answer = [str(nix.physical(out)) == out, len(nix.closure([out]))]
finally:
    daemon.kill()
    daemon.wait()
"""
    (own.store / "nix/var/nix/daemon-socket").mkdir(parents=True)
    assert ask(own, begun + build, file) == [True, 1]
    kind, text = ask(own, begun + build, file, "--argstr", "script", "echo why; exit 3")
    lines = text.splitlines()
    assert (kind, lines[:2]) == ("BuildFailed", ["made: cannot be built: builder failed with exit code 3", "    > why"])


def test_no_daemon_is_the_machines_matter(own: Nix, project: Path) -> None:
    code = "answer = nix.recipes(Path(sys.argv[1]), sys.argv[2])"
    kind, text = ask(own, code, project, SYSTEM, NIX_REMOTE="daemon")
    assert kind == "MachineError"
    assert "cannot connect to socket at '/nix/var/nix/daemon-socket/socket'" in text
    assert "NIX_REMOTE or: start Nix's daemon: sudo systemctl start nix-daemon" in text


def test_a_store_of_nobody_elses_system(nix: Nix, tmp_path: Path) -> None:
    other = '{ system = "riscv64-linux"; }'
    expression = f'(import {made(tmp_path)}) {{ name = "elsewhere"; more = {other}; }}'
    kind, text = ask(nix, INSTANTIATE + "nix.realise([drv]); answer = None", "-E", expression)
    assert kind == "MachineError"
    assert text.startswith("elsewhere: cannot be built for riscv64-linux on this machine: ")
    assert text.endswith("\n  hint: run it on such a machine, or name one: --builders")
