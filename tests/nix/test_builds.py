"""A project with source distributions, from uv.lock to a checked environment: on real Nix, from the registry."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, findings, steps
from support.index import serve
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project
from support.sdists import make_sdist
from support.wheels import make_wheel

if TYPE_CHECKING:
    from support.index import Index

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

# Small real sources of each kind, all in one environment; what is imported of each.
PACKAGES = {
    "docopt==0.6.2": "docopt",  # has only a setup.py
    "iniconfig==2.1.0": "iniconfig",  # hatchling with hatch-vcs
    "tomlkit==0.13.3": "tomlkit",  # poetry-core
    "tomli==2.2.1": "tomli",  # flit
    "dep-logic==0.5.2": "dep_logic",  # pdm
    "crcmod==1.7": "crcmod._crcfunext",  # C
    "markupsafe==3.0.3": "markupsafe._speedups",  # C and setuptools; and a compiled wheel that is not wanted
}
# More of the same kinds, with what they depend on (numpy, nltk): `make test-builds`.
if os.environ.get("NIXGEN_TEST_BUILDS"):
    PACKAGES |= {
        "antlr4-python3-runtime==4.9.3": "antlr4",
        "func-timeout==4.3.5": "func_timeout",
        "langdetect==1.0.9": "langdetect",
        "rouge-score==0.1.2": "rouge_score.rouge_scorer",
        "openai-whisper==20250625": "whisper",
    }
NAMES = sorted(package.partition("=")[0] for package in PACKAGES)
# What whisper computes with is a gigabyte: of that, none is installed, and stand-ins are imported.
HEAVY = ("numba", "tiktoken", "torch", "triton")
IMPORTS = f"""
import importlib, sys
from unittest.mock import MagicMock
for name in [*{HEAVY}, "torch.nn", "torch.nn.functional", "torch.distributions", "triton.language"]:
    sys.modules[name] = MagicMock()
sys.modules["torch"].nn.Module = object
for name in {sorted(PACKAGES.values())}:
    importlib.import_module(name)
print("ok")
"""
SETTINGS = f"""
[tool.uv]
no-binary-package = {json.dumps(NAMES)}
override-dependencies = {json.dumps([f"{name}; sys_platform == 'none'" for name in HEAVY])}

[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]
skip-imports = {json.dumps(sorted({"whisper"} & set(PACKAGES.values())))}
"""


@pytest.fixture(scope="module")
def built(nix28: Nix, pins: Path, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The project, locked and generated."""
    folder = tmp_path_factory.mktemp("builds") / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    text = PYPROJECT.format(dependencies=", ".join(f'"{name}"' for name in PACKAGES))
    (folder / "pyproject.toml").write_text(f"{text}\n{SETTINGS}")
    checked = Checked(Project(folder), nix28, served)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


def test_it_is_pinned_once(built: Checked) -> None:
    lock = json.loads((built.folder / "nixgen.lock").read_text())
    assert [one["name"] for one in lock["builds"]] == NAMES
    assert all(one["requires"].keys() == {SYSTEM} for one in lock["builds"])
    assert {one["name"] for one in lock["buildWheels"]} >= {"setuptools"}
    # The others do not wait for compilers; tomlkit's tests have Go in them.
    assert [one["name"] for one in lock["builds"] if not one.get("pure")] == ["crcmod", "markupsafe", "tomlkit"]
    before = (built.folder / "nixgen.lock").read_bytes()
    done = built.run("lock", "--offline")
    assert done.stderr == "nixgen.lock: nothing to do, every pin still fits.\n"
    assert (built.folder / "nixgen.lock").read_bytes() == before
    assert built.run("generate", "--check").ok


def test_it_is_built_imported_and_the_same_again(built: Checked) -> None:
    """With one core and with two; and nothing that it was built with stays beside it."""
    environment = built.nix.build(built.folder, "environment", "--cores", "1")
    assert built.nix.run(str(environment / "bin/python"), "-c", IMPORTS).stdout == "ok\n"
    built.check("--update")
    done = built.check(*(f"--rebuild={name}" for name in ("crcmod", "docopt", "markupsafe")), "--json")
    assert {name: step["ok"] for name, step in steps(done).items()}["rebuild"]
    assert findings(done, "rebuild") == []
    again = [word for name in NAMES for word in ("-A", f"wheels.{name}")]
    paths = built.nix.run("nix-build", "--no-out-link", "--check", "--cores", "2", *again, built.folder).stdout.split()
    assert len(paths) == len(NAMES)
    closure = built.nix.run("nix-store", "--query", "--requisites", *paths).stdout.split()
    assert [path for path in closure if "toolchain" in path or "-build-environment" in path] == []


def test_what_is_to_be_built_is_shown(built: Checked) -> None:
    shown = built.run("show").stdout
    assert "\nbuilt from source\n" in shown
    assert re.search(r"^crcmod +1\.7 .* built \(sdist\)$", shown, re.MULTILINE)
    assert re.search(rf"[0-9]+ packages, [0-9]+ wheels?, {len(NAMES)} built", shown)


# A backend in the source itself, so that nothing has to be fetched for it. It needs what it imports.
BACKEND = """
import zipfile
{imports}
def build_wheel(folder, settings=None):
    info = "{name}-1.0.dist-info"
    with zipfile.ZipFile(f"{{folder}}/{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("{name}.py", "NAME = 'built'\\n")
        wheel.writestr(f"{{info}}/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n{depends}")
        wheel.writestr(f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{{info}}/RECORD", "{name}.py,,\\n")
    return "{name}-1.0-py3-none-any.whl"
"""


def source(index: Index, name: str, requires: str, imports: str, depends: str = "") -> None:
    """A source distribution that builds with what it requires, and depends on something when it is installed."""
    pyproject = f'[build-system]\nrequires = [{requires}]\nbuild-backend = "own"\nbackend-path = ["."]\n'
    backend = BACKEND.format(name=name, imports=imports, depends=depends)
    make_sdist(index.folder, name, "1.0", {"pyproject.toml": pyproject, "own.py": backend})


def test_a_build_requirement_without_a_wheel_is_built_with_what_it_depends_on(
    nix28: Nix, pins: Path, plums: Index, tmp_path: Path
) -> None:
    make_wheel(plums.folder, "helper", "1.0")
    source(plums, "plugin", "", "", "Requires-Dist: helper>=1\\n")
    source(plums, "user", '"plugin"', "import plugin, helper")
    folder = tmp_path / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    index = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{plums.simple}"\ndefault = true\n'
    settings = f'[tool.nixgen]\nbase = "debian"\npython = "3.13"\nsystems = ["{SYSTEM}"]\n'
    (folder / "pyproject.toml").write_text(PYPROJECT.format(dependencies='"user"') + f"\n{index}\n{settings}")
    checked = Checked(Project(folder), nix28, plums)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    lock = json.loads((folder / "nixgen.lock").read_text())
    needs = {one["name"]: one["requires"][SYSTEM] for one in lock["builds"]}
    assert needs == {"plugin": [], "user": ["helper-1.0-py3-none-any.whl", "plugin==1.0"]}
    environment = nix28.build(folder, "environment")
    code = "import user, importlib.util as util; print(user.NAME, util.find_spec('plugin'), util.find_spec('helper'))"
    assert nix28.run(str(environment / "bin/python"), "-c", code).stdout == "built None None\n"


def test_a_private_index_s_files_are_in_the_store_and_its_login_nowhere(
    nix28: Nix, pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nix has no login; `nixgen lock` has the user's, for a wheel, a source, and what that is built with."""
    folder = tmp_path / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    files = tmp_path / "private"
    files.mkdir()
    with serve(files, credentials="demo:s3cr3t-plum") as index:
        make_wheel(files, "tool", "1.0")
        make_wheel(files, "plain", "1.0")
        source(index, "user", '"tool"', "import tool")
        login = {"UV_INDEX_LOOPBACK_USERNAME": "demo", "UV_INDEX_LOOPBACK_PASSWORD": "s3cr3t-plum"}
        for name, value in login.items():
            monkeypatch.setenv(name, value)
        settings = f'[tool.nixgen]\nbase = "debian"\npython = "3.13"\nsystems = ["{SYSTEM}"]\n'
        private = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index.simple}"\ndefault = true\n'
        text = PYPROJECT.format(dependencies='"user", "plain"')
        (folder / "pyproject.toml").write_text(f"{text}\n{private}\n{settings}")
        checked = Checked(Project(folder), replace(nix28, env={**nix28.env, **login}), index)
        checked.project.lock()
        for words in (("lock", "--verbose"), ("generate",)):
            done = checked.run(*words)
            assert done.ok, done.tail()
            assert "s3cr3t" not in done.stdout + done.stderr
        environment = nix28.build(folder, "environment")
    code = "import user, plain; print(user.NAME)"
    assert nix28.run(str(environment / "bin/python"), "-c", code).stdout == "built\n"
    secrets = [b"s3cr3t", base64.b64encode(b"demo:s3cr3t-plum")]
    assert not [path for path, data in checked.project.files().items() if any(one in data for one in secrets)]
    names = ("user-1.0", "plain-1.0", "tool-1.0")
    drvs = [path for path in (nix28.store / "nix/store").glob("*.drv") if any(name in path.name for name in names)]
    assert drvs
    assert not [path for path in drvs if any(one in path.read_bytes() for one in secrets)]
