"""nixgen init --from: projects of pip, conda and Poetry as uv projects, on an index on loopback."""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.index import Index, serve
from support.initproject import tree
from support.wheels import make_wheel, sha256

from nixgen.errors import UserError
from nixgen.init.convert.beginning import converted
from nixgen.init.convert.model import Converted
from nixgen.init.convert.poetryversions import marker_of_python, pep440
from nixgen.init.setup import Options, init


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Packages in two versions; ``app`` needs ``plain``, ``late`` a later Python."""
    folder = tmp_path_factory.mktemp("index")
    for version in ("1.0", "1.5", "2.0"):
        make_wheel(folder, "plain", version)
        make_wheel(folder, "app", version, requires=["plain"], metadata="Provides-Extra: more\n")
    make_wheel(folder, "extra", "1.0")
    make_wheel(folder, "late", "1.0", metadata="Requires-Python: >=3.13\n")
    with serve(folder) as served:
        yield served


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project. uv looks for no other Python than nixgen's: those of a machine may take it a second."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "nothing"))
    made = tmp_path / "Old Project"
    made.mkdir()
    return made


def package(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "1.0"\n')


def requirements(root: Path, index: Index, text: str, name: str = "requirements.txt") -> Converted:
    (root / name).write_text(f"--index-url {index.simple}\n{text}")
    before = tree(root)
    made = converted(root, name, None)
    assert tree(root) == before, "nothing of the project is written"
    return made


def locked(made: Converted) -> dict[str, str]:
    return {one["name"]: one.get("version", "") for one in tomllib.loads(made.uv_lock.decode())["package"]}


def toml(made: Converted) -> dict[str, Any]:
    return tomllib.loads(made.pyproject.decode())


def problems(root: Path, source: str) -> list[str]:
    before = tree(root)
    with pytest.raises(UserError) as caught:
        converted(root, source, None)
    assert tree(root) == before
    return [str(problem) for problem in caught.value.problems]


def test_pinned_requirements_stay_pinned(root: Path, index: Index) -> None:
    made = requirements(root, index, 'app==1.0  # old\nplain==1.5 ; sys_platform != "win32"\nextra\\\n>=0.5\n')
    assert toml(made) == {
        "project": {
            "name": "old-project",
            "version": "0.1.0",
            "requires-python": ">=3.11",
            "dependencies": ["app==1.0", "extra>=0.5", "plain==1.5 ; sys_platform != 'win32'"],
        },
        "tool": {"uv": {"index": [{"name": "127-0-0-1", "url": index.simple, "default": True}]}},
    }
    assert made.pyproject.decode().startswith('[project]\nname = "old-project"\n')
    assert {key: value for key, value in locked(made).items() if key != "plain"} == {
        "app": "1.0", "extra": "1.0", "old-project": "0.1.0",
    }  # fmt: skip
    assert made.notes == ()


def test_includes_and_constraints(root: Path, index: Index) -> None:
    (root / "more").mkdir()
    (root / "more/base.txt").write_text("-c ../limits.txt\napp\n")
    (root / "limits.txt").write_text("plain<2\n# nothing else\n")
    made = requirements(root, index, "-r more/base.txt\n")
    assert toml(made)["project"]["dependencies"] == ["app"]
    assert toml(made)["tool"]["uv"]["constraint-dependencies"] == ["plain<2"]
    assert locked(made) == {"app": "2.0", "old-project": "0.1.0", "plain": "1.5"}


def test_options_of_pip_become_settings_of_uv(root: Path, index: Index) -> None:
    (root / "vendor").mkdir()
    make_wheel(root / "vendor", "vendored", "3.0")
    text = "--pre\n--only-binary app,Plain\n--find-links vendor\n--trusted-host example.org\napp==1.0\nvendored\n"
    made = requirements(root, index, text)
    uv = toml(made)["tool"]["uv"]
    assert (uv["prerelease"], uv["no-build-package"], uv["find-links"]) == ("allow", ["app", "plain"], ["./vendor"])
    assert locked(made)["vendored"] == "3.0"
    assert made.notes == ("requirements.txt:5: --trusted-host example.org",)


def test_several_indexes_count_as_in_pip(root: Path, index: Index, tmp_path: Path) -> None:
    make_wheel(tmp_path / "other", "plain", "1.7")
    with serve(tmp_path / "other") as other:
        made = requirements(root, index, f"--extra-index-url {other.simple}\napp==1.0\nplain==1.5\n")
    assert [one["name"] for one in toml(made)["tool"]["uv"]["index"]] == ["127-0-0-1", "127-0-0-1-2"]
    assert locked(made)["plain"] == "1.5", "the first index that has the name does not have the version"
    assert "--extra-index-url" in made.notes[0]


def test_folders_and_files_of_the_project_are_sources(root: Path, index: Index) -> None:
    package(root / "libs/own", "own")
    package(root / "libs/other", "other")
    (root / "wheels").mkdir()
    make_wheel(root / "wheels", "here", "1.0")
    made = requirements(root, index, "-e ./libs/own\nother @ file:libs/other\n./wheels/here-1.0-py3-none-any.whl\n")
    assert toml(made)["tool"]["uv"]["sources"] == {
        "own": {"path": "libs/own", "editable": True},
        "other": {"path": "libs/other"},
        "here": {"path": "wheels/here-1.0-py3-none-any.whl"},
    }
    assert str(root.parent) not in made.uv_lock.decode()


def test_what_cannot_be_carried_over_is_told(root: Path, index: Index) -> None:
    (root / "setup.py").write_text("from setuptools import setup\nsetup(name='old')\n")
    made = requirements(root, index, "-e .\n../elsewhere\nhg+https://example.org/x#egg=x\napp==1.0\n")
    assert made.notes == (
        "requirements.txt:2: .: the project itself: what its setup.py or setup.cfg says belongs under [project] of "
        "pyproject.toml",
        "requirements.txt:3: ../elsewhere lies outside of the project: move it in, then: uv add --editable ./PATH",
        "requirements.txt:4: hg+https://example.org/x#egg=x: uv installs from git, and from no other version control",
    )
    assert toml(made)["project"]["dependencies"] == ["app==1.0"]


def test_repositories_are_sources(root: Path) -> None:
    from nixgen.init.convert.requirements import read

    text = (
        "-e git+https://git.example.org/x/y.git@v1#egg=Why[fast]&subdirectory=z\ngit+https://git.example.org/a@main\n"
    )
    found = read(root, "requirements.txt", text)
    assert found.texts["requirements.txt"].splitlines() == [
        "Why[fast] @ git+https://git.example.org/x/y.git@v1#subdirectory=z",
        "git+https://git.example.org/a@main",
    ]
    assert "not editable" in found.notes[0]


def test_a_login_is_written_nowhere_and_used_while_uv_locks(root: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "private", "hidden", "1.0")
    with serve(tmp_path / "private", credentials="ann:secret") as private:
        address = private.simple.replace("http://", "http://ann:secret@")
        (root / "requirements.txt").write_text(f"-i {address}\nhidden\n")
        made = converted(root, "requirements.txt", None)
    assert locked(made)["hidden"] == "1.0"
    assert "secret" not in made.pyproject.decode() + made.uv_lock.decode()
    assert "~/.netrc" in made.notes[0]
    (root / "requirements.txt").write_text("x @ https://ann:secret@example.org/x-1.0-py3-none-any.whl\n")
    assert problems(root, "requirements.txt") == [
        "requirements.txt:1: carries a login (https://***@example.org/x-1.0-py3-none-any.whl)\n"
        "    take it out of the address, and put it into ~/.netrc"
    ]


def test_pinned_hashes_must_be_those_of_the_index(root: Path, index: Index) -> None:
    good = sha256(index.folder / "plain-1.0-py3-none-any.whl")
    made = requirements(root, index, f"plain==1.0 --hash=sha256:{good} \\\n    --hash=sha256:{'1' * 64}\n")
    assert locked(made)["plain"] == "1.0"
    assert toml(made)["project"]["dependencies"] == ["plain==1.0"]
    (root / "requirements.txt").write_text(f"-i {index.simple}\nplain==1.0 --hash=sha256:{'1' * 64}\n")
    assert "plain 1.0: its index has no file with one of the hashes" in problems(root, "requirements.txt")[0]


@pytest.mark.parametrize("named", ["requirements.in", "requirements.txt"])
def test_a_compiled_file_is_the_lock_of_the_one_it_was_made_of(root: Path, index: Index, named: str) -> None:
    (root / "requirements.in").write_text(f"-i {index.simple}\napp\n")
    head = "#\n# This file is autogenerated by pip-compile with Python 3.12\n# by the following command:\n#\n"
    (root / "requirements.txt").write_text(f"{head}-i {index.simple}\napp==1.0\nplain==1.5\n    # via app\n")
    made = converted(root, named, None)
    assert toml(made)["project"]["dependencies"] == ["app"]
    assert "constraint-dependencies" not in toml(made)["tool"]["uv"]
    assert locked(made) == {"app": "1.0", "old-project": "0.1.0", "plain": "1.5"}


def test_the_lowest_python_that_the_pins_allow(root: Path, index: Index) -> None:
    made = requirements(root, index, "late==1.0\n")
    assert toml(made)["project"]["requires-python"] == ">=3.13"
    (root / ".python-version").write_text("3.14\n")
    made = converted(root, "requirements.txt", None)
    assert (toml(made)["project"]["requires-python"], made.python) == (">=3.14", "3.14")


def test_tables_of_other_tools_stay(root: Path, index: Index) -> None:
    (root / "pyproject.toml").write_text("# ours\n[tool.ruff]\nline-length = 100  # long\n")
    made = requirements(root, index, "plain==1.0\n")
    assert "# ours\n[tool.ruff]\nline-length = 100  # long\n" in made.pyproject.decode()


def test_what_is_there_is_never_overwritten(root: Path) -> None:
    (root / "requirements.txt").write_text("plain\n")
    assert problems(root, "missing.txt") == [
        "--from: there is no file missing.txt\n    name a requirements file, an environment.yml, or: poetry"
    ]
    (root / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    assert problems(root, "requirements.txt") == [
        "pyproject.toml: has a [project] table: this is a uv project already\n"
        "    uv add -r requirements.txt, then: nixgen init"
    ]
    (root / "uv.lock").write_text("version = 1\n")
    assert problems(root, "requirements.txt") == ["uv.lock: is there: this is a uv project already\n    nixgen init"]


def test_what_uv_cannot_lock_is_said_with_its_words(root: Path, index: Index) -> None:
    (root / "requirements.txt").write_text(f"-i {index.simple}\nplain==9\n-r gone.txt\n./gone\n")
    assert problems(root, "requirements.txt") == [
        f"requirements.txt:{line}: {name} is missing\n    restore it, or take the line out"
        for line, name in ((3, "gone.txt"), (4, "./gone"))
    ]
    (root / "requirements.txt").write_text(f"-i {index.simple}\nplain==9\n")
    assert "requirements.txt: uv cannot lock it: " in problems(root, "requirements.txt")[0]
    assert "plain==9" in problems(root, "requirements.txt")[0]


CONDA = """\
name: science
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.12
  - pip
  - numpy=1.26
  - conda-forge::ffmpeg>=6,<7
  - blas=*=openblas
  - pip:
      - --index-url {index}
      - app==1.0
      - plain==1.5
variables: {{A: b}}
"""


def test_an_environment_of_conda(root: Path, index: Index) -> None:
    (root / "environment.yml").write_text(CONDA.format(index=index.simple))
    made = converted(root, "environment.yml", None)
    assert toml(made)["project"]["requires-python"] == ">=3.12"
    assert made.python == "3.12"
    assert toml(made)["project"]["dependencies"] == ["app==1.0", "plain==1.5"]
    assert locked(made) == {"app": "1.0", "old-project": "0.1.0", "plain": "1.5"}
    told = "from conda; if an index has the same by this name: uv add"
    assert made.notes == (
        f'environment.yml: numpy=1.26: {told} "numpy==1.26.*"',
        f'environment.yml: conda-forge::ffmpeg>=6,<7: {told} "ffmpeg>=6,<7"',
        f'environment.yml: blas=*=openblas: {told} "blas"',
        "environment.yml: what is no Python package (a library, a program) is named in libraries or tools "
        "([tool.nixgen])",
        "environment.yml: channels: conda-forge",
        "environment.yml: variables: A",
    )


def test_what_is_no_environment_of_conda(root: Path) -> None:
    (root / "environment.yml").write_text("a: [\n")
    assert "is not YAML that can be read" in problems(root, "environment.yml")[0]
    (root / "environment.yml").write_text("name: x\n")
    assert "has no list of dependencies" in problems(root, "environment.yml")[0]
    (root / "environment.yml").write_text("dependencies: [[x], {pip: [x], other: y}]\n")
    assert [one.split(":")[1] for one in problems(root, "environment.yml")] == [" dependencies[0]", " dependencies[1]"]


POETRY = """\
[tool.poetry]
name = "Shop.App"
version = "1.2.0"
description = "A shop"
authors = ["Ann Example <ann@example.org>"]
packages = [{{ include = "shop" }}]
homepage = "https://shop.example.org"

[tool.poetry.dependencies]
python = "^3.11"
app = {{ version = "^1.0", extras = ["more"] }}
extra = {{ version = "*", optional = true }}
plain = [
    {{ version = "^1.0", python = "<3.13" }},
    {{ version = ">=1.2", python = ">=3.13", markers = "sys_platform == 'linux' or sys_platform == 'darwin'" }},
]
own = {{ path = "libs/own", develop = true }}

[tool.poetry.extras]
speed = ["extra"]

[tool.poetry.group.dev.dependencies]
late = "^1.0"

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
extra = "^1.0 || ^2.0"

[tool.poetry.group.test.dependencies]
extra = "1.0"

[tool.poetry.scripts]
shop = "shop.main:run"
old = {{ reference = "bin/old.sh", type = "file" }}

[[tool.poetry.source]]
name = "loopback"
url = "{index}"
priority = "primary"

[tool.black]
line-length = 100  # long

[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
"""
POETRY_LOCK = """\
[[package]]
name = "app"
version = "1.0"
files = [{{ file = "app-1.0-py3-none-any.whl", hash = "sha256:{digest}" }}]

[[package]]
name = "plain"
version = "1.5"
files = []

[[package]]
name = "own"
version = "1.0"
source = {{ type = "directory", url = "libs/own" }}
"""


def test_a_project_of_poetry(root: Path, index: Index) -> None:
    package(root / "libs/own", "own")
    (root / "shop").mkdir()
    (root / "pyproject.toml").write_text(POETRY.format(index=index.simple).replace('late = "^1.0"', 'extra = "*"'))
    (root / "poetry.lock").write_text(POETRY_LOCK.format(digest=sha256(index.folder / "app-1.0-py3-none-any.whl")))
    made = converted(root, "poetry", None)
    assert toml(made) == {
        "project": {
            "name": "Shop.App",
            "version": "1.2.0",
            "description": "A shop",
            "authors": [{"name": "Ann Example", "email": "ann@example.org"}],
            "requires-python": ">=3.11,<4.0",
            "dependencies": [
                "app[more]>=1.0,<2.0",
                "plain>=1.0,<2.0 ; python_version < '3.13'",
                "plain>=1.2 ; python_version >= '3.13' and (sys_platform == 'linux' or sys_platform == 'darwin')",
                "own",
            ],
            "optional-dependencies": {"speed": ["extra"]},
            "urls": {"Homepage": "https://shop.example.org"},
            "scripts": {"shop": "shop.main:run"},
        },
        "dependency-groups": {"dev": ["extra"], "docs": ["extra"], "test": ["extra==1.0"]},
        "tool": {
            "uv": {
                "default-groups": ["dev", "test"],
                "index": [{"name": "loopback", "url": index.simple, "default": True}],
                "sources": {"own": {"path": "libs/own", "editable": True}},
            },
            "poetry": {"packages": [{"include": "shop"}]},
            "black": {"line-length": 100},
        },
        "build-system": {"requires": ["poetry-core>=2.0"], "build-backend": "poetry.core.masonry.api"},
    }
    assert locked(made) == {"app": "1.0", "extra": "1.0", "own": "1.0", "plain": "1.5", "shop-app": "1.2.0"}
    assert made.notes == (
        "pyproject.toml: tool.poetry.scripts.old: is a file, which [project.scripts] does not know",
        'pyproject.toml: tool.poetry.group.docs.dependencies.extra: "^1.0 || ^2.0" has no form in PEP 440: any version '
        "is allowed, and uv.lock has the locked one",
    )


def test_a_project_of_poetry_that_is_no_package(root: Path, index: Index) -> None:
    text = '[tool.poetry]\npackage-mode = false\n\n[tool.poetry.dependencies]\npython = ">=3.11"\nplain = "~1.0"\n\n'
    text += f'[[tool.poetry.source]]\nname = "loopback"\nurl = "{index.simple}"\n'
    (root / "pyproject.toml").write_text(text)
    made = converted(root, "poetry", None)
    assert toml(made)["tool"]["uv"]["package"] is False
    assert "poetry" not in toml(made)["tool"]
    assert toml(made)["project"]["dependencies"] == ["plain>=1.0,<1.1"]
    assert made.notes == ("poetry.lock: is missing, so uv chose the versions",)


def test_a_project_of_poetry_2_with_a_project_table(root: Path, index: Index) -> None:
    text = (
        '[project]\nname = "new"\nversion = "3.0"\nrequires-python = ">=3.11"\ndependencies = ["plain (>=1.0,<2.0)"]\n'
    )
    text += f'\n[tool.poetry]\n\n[[tool.poetry.source]]\nname = "loopback"\nurl = "{index.simple}"\n'
    text += '\n[tool.poetry.group.dev.dependencies]\napp = "*"\n'
    (root / "pyproject.toml").write_text(text)
    (root / "poetry.lock").write_text(POETRY_LOCK.format(digest=sha256(index.folder / "app-1.0-py3-none-any.whl")))
    made = converted(root, "poetry", None)
    assert toml(made)["project"]["dependencies"] == ["plain (>=1.0,<2.0)"]
    assert toml(made)["dependency-groups"] == {"dev": ["app"]}
    assert locked(made) == {"app": "1.0", "new": "3.0", "plain": "1.5"}


def test_what_poetry_pinned_must_be_what_the_index_has(root: Path, index: Index) -> None:
    (root / "pyproject.toml").write_text(POETRY.format(index=index.simple))
    (root / "poetry.lock").write_text(POETRY_LOCK.format(digest="1" * 64))
    assert problems(root, "poetry") == [
        "pyproject.toml: tool.poetry.dependencies.own.path: libs/own is missing\n    restore it, or take the line out"
    ]
    package(root / "libs/own", "own")
    text = POETRY.format(index=index.simple).replace('late = "^1.0"', 'extra = "*"')
    (root / "pyproject.toml").write_text(text)
    assert "app 1.0: its index has no file with one of the hashes" in problems(root, "poetry")[0]
    (root / "pyproject.toml").write_text("[tool.black]\n")
    assert "has no [tool.poetry] table" in problems(root, "poetry")[0]


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^1.2.3", ">=1.2.3,<2.0.0"), ("^1.2", ">=1.2,<2.0"), ("^1", ">=1,<2.0"), ("^0.2.3", ">=0.2.3,<0.3.0"),
        ("^0.0.3", ">=0.0.3,<0.0.4"), ("^0.0", ">=0.0,<0.1"), ("^0", ">=0,<1.0"), ("~1.2.3", ">=1.2.3,<1.3.0"),
        ("~1.2", ">=1.2,<1.3"), ("~1", ">=1,<2.0"), ("*", ""), ("1.*", "==1.*"), ("1.2.*", "==1.2.*"),
        ("1.2.3", "==1.2.3"), (">= 1.2, < 1.5", ">=1.2,<1.5"), (">=1.0 <2.0", ">=1.0,<2.0"), ("!=1.5,>1", "!=1.5,>1"),
        ("~=1.4.2", "~=1.4.2"), ("^2.0b1", ">=2.0b1,<3.0"), ("^1 || ^2", None), ("1 | *", ""), ("nonsense", None),
    ],
)  # fmt: skip
def test_versions_of_poetry(constraint: str, specifier: str | None) -> None:
    assert pep440(constraint) == specifier


@pytest.mark.parametrize(
    ("constraint", "marker"),
    [
        ("^3.8", "python_version >= '3.8' and python_version < '4.0'"),
        ("<3.11", "python_version < '3.11'"),
        ("~3.9", "python_version >= '3.9' and python_version < '3.10'"),
        ("~2.7 || ^3.6", "(python_version >= '2.7' and python_version < '2.8') or "
         "(python_version >= '3.6' and python_version < '4.0')"),
        (">=3.7.1", "python_full_version >= '3.7.1'"),
        ("3.11.*", "python_version == '3.11'"),
        ("*", ""),
    ],
)  # fmt: skip
def test_pythons_of_poetry(constraint: str, marker: str) -> None:
    assert marker_of_python(constraint) == marker


def test_init_goes_on_with_what_was_made(root: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "requirements.txt").write_text(f"-i {index.simple}\n--trusted-host example.org\nplain==1.5\n")
    init(root, Options(source="requirements.txt", ci="none"))
    said = capsys.readouterr().err.splitlines()
    first = said.index("wrote pyproject.toml")
    assert said[first : first + 5] == [
        "wrote pyproject.toml",
        "wrote uv.lock",
        "warning: not carried over from requirements.txt:",
        "  requirements.txt:2: --trusted-host example.org",
        f"The project is old-project in {root}.",
    ]
    assert 'file = "plain-1.5-py3-none-any.whl"' in (root / "default.nix").read_text()


@pytest.mark.parametrize("absolute", [False, True])
def test_what_lies_beside_the_project_stays_where_it_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absolute: bool
) -> None:
    """While uv locks, nothing is written outside of a temporary folder: neither beside it nor where it lies."""
    lib = tmp_path / "beside" / "lib"
    package(lib, "lib")
    inner = root / "in" / "here"
    inner.mkdir(parents=True)
    relative = os.path.relpath(lib, inner)
    (inner / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "p"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.11"\n'
        f'lib = {{path = "{lib if absolute else relative}"}}\n'
    )
    (tmp_path / "deep" / "temporary").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "deep" / "temporary"))
    before = tree(tmp_path)
    made = converted(inner, "poetry", None)
    assert tree(tmp_path) == before
    assert toml(made)["tool"]["uv"]["sources"] == {"lib": {"path": relative}}
    (block,) = (one for one in tomllib.loads(made.uv_lock.decode())["package"] if one["name"] == "lib")
    assert block["source"] == {"directory": relative}


def test_links_in_what_is_copied_are_not_written_through(root: Path, index: Index, tmp_path: Path) -> None:
    kept = tmp_path / "rc"
    kept.write_text("# mine\nextra\n")
    package(root / "sub", "own")
    (root / "sub/more.txt").symlink_to(kept)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/far.txt").write_text("# mine\nplain\n")
    (root / "sub/there").symlink_to(tmp_path / "there")
    made = requirements(root, index, "./sub\n-r sub/more.txt\n-r sub/there/far.txt\n")
    assert {"extra", "own", "plain"} < locked(made).keys()
    assert kept.read_text() == "# mine\nextra\n"
    assert (tmp_path / "there/far.txt").read_text() == "# mine\nplain\n"


def test_pipes_in_what_is_copied_are_passed_over(root: Path, index: Index) -> None:
    package(root / "sub", "own")
    os.mkfifo(root / "sub/pipe")
    assert "own" in locked(requirements(root, index, "./sub\n"))


def test_no_note_shows_a_secret(root: Path, index: Index) -> None:
    lines = (
        "--proxy http://me:s3cret@proxy.example.org",
        "--proxy me:s3cret@proxy.example.org:80",
        "-r https://me:s3cret@example.org/more.txt",
        "--unknown https://example.org/?token=s3cret",
    )
    made = requirements(root, index, "\n".join(lines))
    assert len(made.notes) == len(lines)
    assert "s3cret" not in str(made.notes)
    (root / "environment.yml").write_text(
        'channels: ["https://conda.example.org/t/s3cret/chan", "https://me:s3cret@example.org"]\n'
        'dependencies: [python, "https://me:s3cret@example.org::numpy"]\nvariables: {A: s3cret}\n'
    )
    (root / "requirements.txt").unlink()
    notes = converted(root, "environment.yml", None).notes
    assert "s3cret" not in str(notes)
    assert "environment.yml: variables: A" in notes


@pytest.mark.parametrize(
    "line", ["git+https://[x#egg=a", "--index-url https://[x", "a @ file://[x/y", "a @ git+https://[x"]
)
def test_an_address_that_is_none_is_told_with_its_line(root: Path, line: str) -> None:
    (root / "requirements.txt").write_text(f"# old\n{line}\n")
    with pytest.raises(UserError) as caught:
        converted(root, "requirements.txt", None)
    assert caught.value.problems[0].where in {"requirements.txt", "requirements.txt:2"}


@pytest.mark.parametrize("value", ["!!timestamp x", "!!bool x", '!!int ""', "!!float x", "{? [a] : b}"])
def test_no_value_of_yaml_is_a_traceback(root: Path, value: str) -> None:
    (root / "environment.yml").write_text(f"dependencies: [python]\nvariables: {value}\n")
    with contextlib.suppress(UserError):
        converted(root, "environment.yml", None)


def test_yaml_that_grows_without_end_is_not_unfolded(root: Path) -> None:
    text = 'a0: &a0 ["lol"]\n' + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
    (root / "environment.yml").write_text(f"{text}channels: *a19\nvariables: *a19\ndependencies: [python]\n")
    assert converted(root, "environment.yml", None).notes == ()


def test_what_poetry_has_that_is_no_table(root: Path) -> None:
    (root / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "p"\nversion = "1"\ngroup = {dev = "x"}\nsource = [{name = "a", url = "https://[x"}]\n'
    )
    assert all("poetry" in one for one in problems(root, "poetry"))
