"""Byte code: compiled when a module is first imported, into the user's cache; or by Nix, for what has no cache."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from lab import SITE
from support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from lab import Lab
    from support.nix import Nix

FILES = {
    "alpha/__init__.py": "from alpha import part\n",
    "alpha/part.py": "WHO = __name__\n",
    "alpha/tests/__init__.py": "WHO = __name__\n",
    "alpha/broken.py": "print 'of Python 2'\n",
    "b" * 250 + ".py": "",
    "alpha/_native.so": "\x7fELF",  # so the environment's folder is a real one, with a link for each file
    "compiled/__init__.py": "x = 1\n",
    "compiled/__pycache__/__init__.cpython-313.pyc": "their own",
}
BOTH = ["__init__.py", "part.py"]


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "alpha", "1.0", FILES)


@pytest.fixture(scope="module")
def environment(lab: Lab, alpha: Path) -> Path:
    return lab.environment(alpha)


def kept(folder: Path) -> dict[str, Path]:
    """What a cache holds, by the path in the environment."""
    found = folder.glob(f"nixgen/bytecode/*/{SITE}/**/*.pyc")
    return {str(path).partition(f"{SITE}/")[2]: path for path in found}


def compiled(nix: Nix, environment: Path, cache: Path, **env: str) -> list[str]:
    """The files below ``alpha`` that Python compiled, as it says itself: none where it had byte code for all."""
    env = {"XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "", **env}
    done = nix.inside(f"{environment}/bin/python", "-v", "-c", "import alpha", **env)
    found = re.findall(r"^# code object from '?(.*?)'?$", done.stderr, re.MULTILINE)
    return [path.partition("/alpha/")[2] for path in found if path.endswith(".py") and "/alpha/" in path]


def test_what_is_imported_is_compiled_into_the_cache_and_taken_from_there(
    lab: Lab, environment: Path, tmp_path: Path
) -> None:
    assert compiled(lab.nix, environment, tmp_path) == BOTH
    found = kept(tmp_path)
    assert found.keys() == {f"alpha/__pycache__/{name}.cpython-313.pyc" for name in ("__init__", "part")}
    assert compiled(lab.nix, environment, tmp_path) == []
    assert (tmp_path / "nixgen/bytecode").stat().st_mode & 0o777 == 0o700


def test_another_environment_with_the_wheel_takes_it(lab: Lab, alpha: Path, environment: Path, tmp_path: Path) -> None:
    """The name is the wheel's store path, so what `nixgen add` leaves as it is, is not compiled again."""
    other = lab.environment(alpha, make_wheel(lab.wheels, "another", "1.0", {"another.py": ""}))
    assert other != environment
    compiled(lab.nix, environment, tmp_path)
    assert compiled(lab.nix, other, tmp_path) == []


def test_nothing_is_written_beside_a_source_of_the_store_not_even_by_root(
    lab: Lab, alpha: Path, tmp_path: Path
) -> None:
    (installed,) = lab.installed(alpha)
    environment = lab.environment(alpha)
    (tmp_path / "cache").write_text("no folder\n")
    assert compiled(lab.nix, environment, tmp_path / "cache") == BOTH
    assert {path.name for path in installed.rglob("*.pyc")} == {"__init__.cpython-313.pyc"}
    assert lab.nix.run("nix-store", "--verify-path", str(environment)).ok


def test_a_publisher_s_byte_code_is_not_replaced(lab: Lab, environment: Path, tmp_path: Path) -> None:
    """It is no byte code here, and Python goes past it to the source."""
    assert (
        lab.python(
            environment, "import compiled; print(compiled.x)", XDG_CACHE_HOME=str(tmp_path), PYTHONDONTWRITEBYTECODE=""
        ).stdout
        == "1\n"
    )


@pytest.mark.parametrize("name", ["PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"])
def test_python_s_own_variables_mean_what_they_mean(lab: Lab, environment: Path, tmp_path: Path, name: str) -> None:
    prefix = tmp_path / "prefix"
    compiled(lab.nix, environment, tmp_path / "cache", **{name: str(prefix)})
    assert not (tmp_path / "cache").exists()
    assert bool(list(prefix.rglob("part.*.pyc"))) == (name == "PYTHONPYCACHEPREFIX")


def test_a_home_that_is_not_there_is_not_made(lab: Lab, environment: Path, tmp_path: Path) -> None:
    """Nix's builds have HOME=/homeless-shelter, and one without a sandbox fails where that exists."""
    env: dict[str, Any] = {"HOME": str(tmp_path / "homeless"), "XDG_CACHE_HOME": ""}
    assert lab.python(environment, "import alpha", **env).ok
    assert not (tmp_path / "homeless").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
@pytest.mark.parametrize("below", [".", "nixgen/bytecode"])
def test_another_user_s_cache_is_neither_read_nor_written(
    lab: Lab, environment: Path, tmp_path: Path, below: str
) -> None:
    compiled(lab.nix, environment, tmp_path)
    if below == ".":
        shutil.rmtree(tmp_path / "nixgen")
    before = kept(tmp_path)
    os.chown(tmp_path / below, 65534, 65534)
    assert compiled(lab.nix, environment, tmp_path) == BOTH
    assert kept(tmp_path) == before


def test_one_that_others_may_write_to_is_not_read(lab: Lab, environment: Path, tmp_path: Path) -> None:
    compiled(lab.nix, environment, tmp_path)
    (tmp_path / "nixgen/bytecode").chmod(0o777)
    assert compiled(lab.nix, environment, tmp_path) == BOTH


def test_an_empty_file_of_a_machine_that_lost_power_is_compiled_again(
    lab: Lab, environment: Path, tmp_path: Path
) -> None:
    compiled(lab.nix, environment, tmp_path)
    part = kept(tmp_path)["alpha/__pycache__/part.cpython-313.pyc"]
    whole = part.read_bytes()
    part.write_bytes(b"")
    assert lab.python(environment, "import alpha", XDG_CACHE_HOME=str(tmp_path), PYTHONDONTWRITEBYTECODE="").ok
    assert part.read_bytes() == whole


def test_the_tools_that_ask_a_loader_are_answered(lab: Lab, environment: Path, tmp_path: Path) -> None:
    code = (
        "import inspect, importlib.resources, pkgutil, alpha.part, runpy\n"
        "answer = [inspect.getsource(alpha.part), (importlib.resources.files(alpha) / 'part.py').read_text(),\n"
        "  sorted(one.name for one in pkgutil.iter_modules(alpha.__path__)),\n"
        "  pkgutil.get_data('alpha', 'part.py').decode(), runpy.run_module('alpha.part')['WHO']]"
    )
    for _ in range(2):
        done = lab.python(
            environment,
            f"import json\n{code}\nprint(json.dumps(answer))",
            XDG_CACHE_HOME=str(tmp_path),
            PYTHONDONTWRITEBYTECODE="",
        )
        text = FILES["alpha/part.py"]
        assert json.loads(done.stdout) == [text, text, ["_native", "broken", "part", "tests"], text, "alpha.part"]


def test_nix_builds_it_where_that_is_asked_for(lab: Lab, alpha: Path, tmp_path: Path) -> None:
    """Unchecked and by hash (PEP 552), for every module but tests, what does not compile, and what has its own."""
    lab = lab.with_arguments(bytecode="build")
    folder = (lab.nix.real(lab.build("root", [alpha])) / "bytecode-all").readlink()
    built = lab.nix.real(folder)
    (wheel,) = lab.installed(alpha)
    assert [path.name for path in built.iterdir()] == [wheel.name]
    code = lab.nix.real((built / wheel.name).readlink())
    found = {str(path.relative_to(code / SITE)): path for path in code.rglob("*.pyc")}
    assert found.keys() == {f"alpha/__pycache__/{name}.cpython-313.pyc" for name in ("__init__", "part")}
    # After the magic number, bit 0 for "hash-based", bit 1 for "check the source".
    assert {path.read_bytes()[4:8] for path in found.values()} == {b"\x01\0\0\0"}

    assert compiled(lab.nix, lab.environment(alpha), tmp_path, NIXGEN_BYTECODE=str(folder)) == []
    assert kept(tmp_path) == {}
