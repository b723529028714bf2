"""`nixgen check --rebuild` in a project, on both versions of Nix; and a wheel that somebody replaced on the index."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checking import Checked, make
from support.index import Index, serve
from support.nix import Nix, Output
from support.wheels import make_wheel, sha256

from nixgen import resources
from nixgen.generate.digest import of_bytes
from nixgen.nix import vendored


@pytest.fixture(scope="module")
def plums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with serve(tmp_path_factory.mktemp("plums")) as index:
        yield index


@pytest.fixture(scope="module")
def recorded(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    checked = make(tmp_path_factory.mktemp("recorded") / "demo", pins, plums, nix28)
    checked.check("--update", "--no-imports")
    return checked


@pytest.fixture(scope="module", params=["nix28", "nix_new"])
def lonely(request: pytest.FixtureRequest, recorded: Checked, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The project with each Nix, in a store that no other test uses: what is left in it can be told."""
    nix = request.getfixturevalue(request.param)
    assert isinstance(nix, Nix)
    return recorded.with_nix(nix).alone(tmp_path_factory.mktemp("lonely"), sources=True)


@pytest.fixture
def checked(lonely: Checked, tmp_path: Path) -> Checked:
    """A copy of it, with a cache folder of its own."""
    shutil.copytree(lonely.folder, tmp_path / "demo")
    nix = lonely.nix.with_env(XDG_CACHE_HOME=str(tmp_path / "cache"))
    return Checked(type(lonely.project)(tmp_path / "demo"), nix, lonely.index)


def step(done: Output, name: str) -> Any:
    (report,) = json.loads(done.stdout)["reports"]
    (found,) = [one for one in report["steps"] if one["name"] == name]
    return found


def verdicts(done: Output) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in step(done, "rebuild")["verdicts"]}


def test_all_that_is_ours_is_reproduced(checked: Checked) -> None:
    checked.check("--no-imports")
    state = checked.state()
    done = checked.check("--no-imports", "--rebuild", "all", "--json")
    assert verdicts(done) == dict.fromkeys(checked.system()["outputs"], "reproduced")
    assert {"base.core", "environment", "root", "wheels.plum"} <= verdicts(done).keys()
    assert checked.state() == state


@pytest.mark.one_nix
def test_some_and_a_sample(checked: Checked) -> None:
    done = checked.check("--no-imports", "--rebuild", "env", "--rebuild", "plum", "--json")
    assert verdicts(done) == {"environment": "reproduced", "wheels.plum": "reproduced"}
    done = checked.check("--no-imports", "--rebuild", "all", "--sample", "1", "--json")
    assert len(verdicts(done)) == 1
    assert "to repeat it: --seed " in done.stderr
    assert "--rebuild" in checked.check("--sample", "1", code=2).stderr
    done = checked.check("--rebuild", "plumm", code=2)
    assert done.stderr.endswith("there is no output plumm\n  hint: did you mean wheels.plum?\n")


def of_another_nixgen(checked: Checked, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> None:
    """What a nixgen would have written that has something else in a file of its library."""
    parts = resources.library()
    text = parts[file].decode()
    assert text.count(old) == 1
    base = (checked.folder / vendored.BASE).read_text()
    with monkeypatch.context() as patched:
        patched.setattr(resources, "library", lambda: parts | {file: text.replace(old, new).encode()})
        made = vendored.contents("debian", base, {})
    default = checked.folder / "default.nix"
    for path, data in made.items():
        (checked.folder / path).write_bytes(data)
        named, count = re.subn(rf'("{path}" = )"[0-9a-f]{{64}}"', rf'\1"{of_bytes(data)}"', default.read_text())
        assert count == path.endswith(".nix")
        default.write_text(named)


@pytest.mark.one_nix
def test_a_builder_of_ours_that_writes_the_time_is_found(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    """What such a mistake in nixgen's own library would look like: stale, too, but a difference is graver."""
    stamp = (
        "    import time\n    time.sleep(1.1)\n"
        "    with open(OUT + '/stamp', 'w') as file:\n        file.write(time.ctime() + '\\n')\n"
    )
    end = "    os._exit(0)"
    of_another_nixgen(checked, monkeypatch, "builders/wheel/install.py", end, stamp + end)
    done = checked.check("--no-imports", "--rebuild", "plum", "--json", code=1)
    assert verdicts(done) == {"wheels.plum": "differs"}
    (difference,) = step(done, "rebuild")["differences"]
    assert [file["path"] for file in difference["files"]] == ["stamp"]
    assert difference["causes"][0].startswith("a time: ")
    assert difference["repeat"].partition(" --realise")[0].endswith("nix-store --builders '' --option sandbox true")


def test_what_a_killed_rebuild_left_is_removed_by_the_next_check(checked: Checked) -> None:
    state = checked.state()
    plum = checked.system()["outputs"]["wheels.plum"]
    out = checked.nix.real(plum["outPath"])
    folder = out.with_name(out.name + ".check")
    shutil.copytree(out, folder)
    chroot = checked.nix.real(plum["drvPath"] + ".chroot")
    (chroot / "root").mkdir(parents=True)
    status = out.parent.stat()
    head = {"drv": plum["drvPath"], "out": plum["outPath"], "store": "", "place": [status.st_dev, status.st_ino]}
    log = Path(checked.nix.env["XDG_CACHE_HOME"]) / "nixgen/rebuild/plum.log"
    log.parent.mkdir(parents=True)
    other = log.with_name("elsewhere.log")
    log.write_text(json.dumps(head) + "\n@nix {")
    other.write_text(json.dumps({**head, "place": [1, 1]}))
    log.with_name("cut.log").write_text('{"drv": "/nix')
    assert checked.state() != state
    checked.check("--no-imports")
    assert checked.state() == state
    assert list(log.parent.iterdir()) == [other]


def test_a_wheel_that_was_replaced_on_the_index_is_named(checked: Checked) -> None:
    """The pinned hash of the file catches it; nothing of it reaches the store."""
    version = f"7.{checked.nix.version[1]}"
    wheel = checked.wheel(version)
    checked.require(f"plum=={version}")
    pinned = sha256(wheel)
    make_wheel(wheel.parent, "plum", version, {"plum/__init__.py": "import evil\n"})
    assert sha256(wheel) != pinned
    done = checked.check("--json", code=5)
    (finding,) = step(done, "build")["findings"]
    assert finding["where"] == f"plum {version}"
    assert finding["what"] == (
        f"{wheel.name} at {checked.index.url(wheel)} is not the file that uv.lock pins: "
        f"its SHA-256 is {sha256(wheel)}, pinned is {pinned}"
    )
