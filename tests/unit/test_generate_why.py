"""``nixgen why``: the graph of uv.lock, walked as uv walks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from projects import INDEX, make, package, wheel
from support.program import nixgen
from support.resolving import walked

from nixgen.generate import show, why
from nixgen.project.project import find_project

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "why"

PYPROJECT = """\
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["web[fast]", "old"]

[project.optional-dependencies]
cpu = ["maths==1"]
gpu = ["maths==2"]

[dependency-groups]
dev = ["tests"]
docs = ["pages"]

[tool.uv]
conflicts = [[{ extra = "cpu" }, { extra = "gpu" }]]
"""

LOCK = f"""\
version = 1
revision = 3
requires-python = ">=3.11"
conflicts = [[
    {{ package = "demo", extra = "cpu" }},
    {{ package = "demo", extra = "gpu" }},
]]

[[package]]
name = "demo"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "old", version = "1", source = {{ registry = "{INDEX}" }}, marker = "sys_platform == 'darwin'" }},
    {{ name = "old", version = "2", source = {{ registry = "{INDEX}" }}, marker = "sys_platform != 'darwin'" }},
    {{ name = "web", extra = ["fast"] }},
]

[package.optional-dependencies]
cpu = [
    {{ name = "maths", version = "1", source = {{ registry = "{INDEX}" }} }},
]
gpu = [
    {{ name = "maths", version = "2", source = {{ registry = "{INDEX}" }} }},
]

[package.dev-dependencies]
dev = [
    {{ name = "tests" }},
]
docs = [
    {{ name = "pages" }},
]

[package.metadata]
requires-dist = [
    {{ name = "maths", marker = "extra == 'cpu'", specifier = "==1" }},
    {{ name = "maths", marker = "extra == 'gpu'", specifier = "==2" }},
    {{ name = "old" }},
    {{ name = "web", extras = ["fast"] }},
]
provides-extras = ["cpu", "gpu"]

[package.metadata.requires-dev]
dev = [{{ name = "tests" }}]
docs = [{{ name = "pages" }}]

"""


def requiring(name: str, *needs: str, version: str = "1", tail: str = "") -> str:
    """A package of the lock, with what it requires."""
    lines = "".join(f"    {{ {need} }},\n" for need in needs)
    extra = f"dependencies = [\n{lines}]" if needs else ""
    return package(name, version, wheel(f"{name}-{version}-py3-none-any.whl"), extra=extra) + tail + "\n"


PACKAGES = (
    requiring("maths"),
    requiring("maths", version="2"),
    requiring("old", 'name = "shared"'),
    requiring("old", version="2"),
    requiring("pages", 'name = "shared"'),
    requiring("quick"),
    requiring("shared"),
    requiring("tests", 'name = "shared"', 'name = "web", marker = "python_full_version < \'3.12\'"'),
    requiring(
        "web",
        'name = "shared", marker = "extra == \'extra-4-demo-gpu\'"',
        tail='\n[package.optional-dependencies]\nfast = [\n    { name = "quick" },\n]\n',
    ),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path, PYPROJECT, LOCK + "\n".join(PACKAGES))


SYSTEMS = ("aarch64-darwin", "x86_64-linux")


def asked(root: Path, package: str, *settings: str, python: str = "3.13") -> why.Why:
    if settings:
        path = root / "pyproject.toml"
        path.write_text("\n".join([path.read_text(), "[tool.nixgen]", *settings, ""]))
    project = find_project(root)
    return why.why(project, package, show.targets(project, SYSTEMS, python))


CASES = {
    "shared": (("Shared",), "3.13"),
    "quick": (("quick",), "3.13"),
    "old": (("old",), "3.13"),
    "web": (("web",), "3.11"),
    "maths": (("maths",), "3.13"),
    "maths-gpu": (("maths", 'extras = ["gpu"]'), "3.13"),
    "shared-gpu": (("shared", 'extras = ["gpu"]', "groups = []"), "3.13"),
    "shared-docs": (("shared", 'groups = ["docs"]'), "3.13"),
    "demo": (("demo",), "3.13"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_ways_to_a_package(root: Path, name: str, *, update_goldens: bool) -> None:
    words, python = CASES[name]
    text = why.as_text(asked(root, *words, python=python)) + "\n"
    if update_goldens:
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.txt").write_text(text)
    assert (GOLDEN / f"{name}.txt").read_text() == text


def test_json(root: Path) -> None:
    step = {"version": "1.0", "extra": None, "group": None, "marker": None}
    assert json.loads(why.as_json(asked(root, "quick"))) == {
        "version": 1,
        "project": "demo",
        "package": "quick",
        "targets": list(SYSTEMS),
        "found": [
            {
                "version": "1",
                "targets": list(SYSTEMS),
                "paths": [
                    {
                        "targets": list(SYSTEMS),
                        "steps": [
                            {**step, "name": "demo"},
                            {**step, "name": "web", "version": "1", "extra": "fast"},
                            {**step, "name": "quick", "version": "1"},
                        ],
                    }
                ],
            }
        ],
        "near": [],
    }


def test_a_package_of_another_environment(root: Path) -> None:
    """Where the default one does not have it, those that do are named."""
    path = root / "pyproject.toml"
    path.write_text(path.read_text() + '\n[tool.nixgen.environments.gpu]\nextras = ["gpu"]\n')
    done = nixgen("why", "maths", "--project", str(root), "--python", "3.13", "--system", "x86_64-linux")
    assert "maths 2 is in uv.lock, and installed for no target. It would come in by:" in done.stdout
    assert done.stdout.splitlines()[-1] == "It is in the environment gpu: nixgen why maths --env gpu"
    words = ("why", "maths", "--environment", "gpu", "--project", str(root), "--python", "3.13")
    done = nixgen(*words, "--system", "x86_64-linux")
    assert done.stdout.startswith("maths 2, environment gpu\n  demo[gpu] → maths\n")
    assert json.loads(nixgen(*words, "--json").stdout)["environment"] == "gpu"
    assert "no environment tpu" in nixgen(*words[:3], "tpu", *words[4:]).stderr


def test_a_package_that_is_not_there(root: Path) -> None:
    done = nixgen("why", "share", "--project", str(root), "--python", "3.13")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: uv.lock: has no package share\n  hint: did you mean shared?\n"
    done = nixgen("why", "share", "--json", "--project", str(root), "--python", "3.13")
    assert done.returncode == 1
    assert (json.loads(done.stdout)["near"], json.loads(done.stdout)["found"]) == (["shared"], [])


def test_the_graph_agrees_with_what_uv_exports(root: Path) -> None:
    project = find_project(root)
    for one in show.report(project, SYSTEMS, "3.11").resolutions:
        assert walked(project, one.target) == {package.name: package.version for package in one.packages}
