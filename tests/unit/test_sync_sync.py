"""``nixgen sync``, ``add``, ``remove`` and ``upgrade``: with a real uv, an index on loopback, and without Nix."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from records import SYSTEM, recipe
from support.index import Index, serve
from support.program import nixgen
from support.wheels import make_wheel

from nixgen.check import facts, record
from nixgen.init import handout
from nixgen.lock.lockfile import read_lock
from nixgen.nix.tools import Shell
from nixgen.resolve import uv
from nixgen.sync import shell, sync

FIRST = """\
[project]
name = "demo"
version = "1"
requires-python = ">=3.11"
dependencies = ["alpha"]

[tool.uv]
package = false

[[tool.uv.index]]
name = "loopback"
url = "{address}"
default = true
"""
UP_TO_DATE = "Everything is up to date.\n"
BEFORE = "Took it back: pyproject.toml and uv.lock are as before\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """alpha 1.0 and 2.0, beta, and gamma, which has a wheel for Windows only."""
    folder = tmp_path_factory.mktemp("index")
    for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "1.0")):
        make_wheel(folder, name, version)
    make_wheel(folder, "gamma", "1.0", tag="cp311-cp311-win_amd64")
    with serve(folder) as served:
        yield served


@pytest.fixture(scope="module")
def origin(index: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that depends on alpha, as ``nixgen init`` leaves it."""
    root = tmp_path_factory.mktemp("sync") / "demo"
    root.mkdir()
    (root / "pyproject.toml").write_text(FIRST.format(address=index.simple))
    done = nixgen("init", "--system", "x86_64-linux", "--python", "3.13", "--ci", "none", cwd=root)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(origin: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return shutil.copytree(origin, tmp_path / "demo")


def said(root: Path, *words: str, code: int = 0) -> str:
    done = nixgen(*words, cwd=root)
    assert done.returncode == code, done.stderr
    return done.stderr


def tree(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def edit(root: Path, old: str, new: str) -> None:
    path = root / "pyproject.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_an_edit_is_followed_to_its_end_once(root: Path) -> None:
    assert said(root, "sync", "--no-build") == UP_TO_DATE
    edit(root, '["alpha"]', '["alpha", "beta"]')
    before = tree(root)
    why = "is out of date with pyproject.toml: the dependencies of demo changed (new: beta)"
    assert said(root, "sync", "--check", code=1) == f"error: uv.lock: {why}\n  hint: nixgen sync\n"
    assert tree(root) == before
    assert said(root, "sync", "--no-build") == (
        "wrote uv.lock: the dependencies of demo changed (new: beta)\nwrote default.nix\n"
    )
    assert "beta-1.0-py3-none-any.whl" in (root / "default.nix").read_text()
    after = tree(root)
    assert said(root, "sync", "--check") == UP_TO_DATE
    assert said(root, "sync", "--no-build") == UP_TO_DATE
    assert tree(root) == after


def test_the_page_for_readers_is_renewed_between_its_marks(root: Path) -> None:
    page = root / handout.PAGE
    page.write_text("mine\n")
    assert said(root, "sync", "--no-build") == UP_TO_DATE
    page.unlink()
    address = "- https://git.example.org/team/demo"  # of the clone that it was written in
    page.write_text(f"mine\n{handout.BEGIN}\n{address}\n{handout.END}\nmine, too\n")
    stale = "error: ENVIRONMENT.md: is stale: nixgen would write something else\n  hint: nixgen sync\n"
    assert said(root, "sync", "--check", code=1) == stale
    before = tree(root)
    said(root, "remove", "nosuch", "--no-sync", code=2)
    assert tree(root) == before
    assert said(root, "add", "beta", "--no-sync") == (
        "wrote pyproject.toml, uv.lock\nwrote ENVIRONMENT.md\nwrote default.nix\n"
    )
    text = page.read_text()
    assert text.startswith(f"mine\n{handout.BEGIN}\n")
    assert text.endswith(f"\n{address}\n{handout.END}\nmine, too\n")
    assert "and 2 packages." in text
    assert said(root, "sync", "--check") == UP_TO_DATE


def test_a_setting_and_what_was_removed(root: Path) -> None:
    with (root / "pyproject.toml").open("a") as file:
        file.write('libraries = ["zlib"]\n')
    assert said(root, "sync", "--check", code=1) == (
        "error: nixgen.lock: was made for libraries none, and the settings say zlib\n  hint: nixgen sync\n"
    )
    assert "wrote nixgen.lock\n" in said(root, "sync", "--no-build")
    for name in ("uv.lock", "nixgen.lock", "default.nix", "nix/nixgen/default.nix"):
        (root / name).unlink()
        assert said(root, "sync", "--check", code=1).startswith(f"error: {name}: ")
        said(root, "sync", "--no-build")
        assert (root / name).exists()
    assert said(root, "sync", "--check") == UP_TO_DATE


def test_uv_python_pin_is_followed_when_it_is_new(root: Path) -> None:
    (root / ".python-version").write_text("3.12\n")
    assert said(root, "sync", "--check", code=1) == (
        "error: .python-version: asks for Python 3.12, and nixgen.lock has 3.13\n  hint: nixgen sync\n"
    )
    told = said(root, "sync", "--no-build")
    assert told.startswith("Python 3.12, as .python-version asks for (it was 3.13)\n")
    assert read_lock(root / "nixgen.lock").base.python == "3.12"
    assert tomllib.loads((root / "pyproject.toml").read_text())["tool"]["nixgen"]["python"] == "3.12"
    assert said(root, "sync", "--check") == UP_TO_DATE
    # Who then edits the setting means that.
    edit(root, 'python = "3.12"', 'python = "3.13"')
    assert "Python is 3.13 (tool.nixgen.python), and .python-version asks for 3.12" in said(root, "sync", "--no-build")
    assert read_lock(root / "nixgen.lock").base.python == "3.13"
    assert "Python is 3.13" in said(root, "sync", "--no-build")


def test_what_cannot_be_installed_is_told_and_writes_nothing_of_nixgen(root: Path) -> None:
    edit(root, '["alpha"]', '["alpha", "gamma"]')
    before = tree(root)
    assert "gamma (x86_64-linux): has no wheel that fits" in said(root, "sync", "--no-build", code=2)
    assert {name for name, data in tree(root).items() if before.get(name) != data} == {"uv.lock"}


def test_json_is_for_programs(root: Path) -> None:
    edit(root, '["alpha"]', '["alpha", "beta"]')
    done = nixgen("sync", "--check", "--json", cwd=root)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["stale"][0]["file"] == "uv.lock"
    done = nixgen("sync", "--no-build", "--json", cwd=root)
    found = json.loads(done.stdout)
    assert (found["changed"], found["environment"], found["record"]) == (["uv.lock", "default.nix"], None, None)
    assert nixgen("sync", "--check", "--json", cwd=root).stdout == '{\n  "version": 1,\n  "stale": []\n}\n'


def test_before_init_it_says_to_set_the_project_up(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\n')
    for words in (("sync",), ("sync", "--check"), ("add", "alpha"), ("upgrade",)):
        assert said(tmp_path, *words, code=2) == f"error: {tmp_path}: is not set up yet\n  hint: nixgen init\n"


@pytest.mark.heavy
def test_add_upgrade_and_remove(root: Path) -> None:
    assert said(root, "add", "--no-sync", "--group", "dev", "beta") == (
        "wrote pyproject.toml, uv.lock\nwrote default.nix\n"
    )
    assert tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]["dev"] == ["beta>=1.0"]
    said(root, "remove", "--no-sync", "beta", "--group", "dev")
    said(root, "add", "--no-sync", "alpha<2")
    edit(root, '"alpha<2"', '"alpha"')
    told = said(root, "upgrade", "--no-sync", "alpha")
    assert told == "Updated alpha v1.0 -> v2.0\nwrote uv.lock\nwrote default.nix\n"
    assert said(root, "upgrade", "--no-sync") == UP_TO_DATE


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "gamma"), "gamma (x86_64-linux): has no wheel that fits"),
        (("add", "no-such"), "no-such was not found in the package registry"),
        (("add", "beta", "--frob"), "unexpected argument '--frob' found"),
        (("remove", "beta"), "The dependency `beta` could not be found"),
    ],
)
def test_what_fails_leaves_every_file_as_it_was(root: Path, words: tuple[str, ...], why: str) -> None:
    (root / "pyproject.toml").chmod(0o640)
    before = tree(root)
    told = said(root, *words, "--no-sync", code=2)
    assert why in told
    assert BEFORE in told
    assert tree(root) == before
    assert (root / "pyproject.toml").stat().st_mode & 0o777 == 0o640


def test_an_interrupt_and_a_failing_build_take_all_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(root)

    def interrupted(*_: object, **__: object) -> None:
        assert "beta" in (root / "default.nix").read_text()
        (root / "nix/nixgen/new.nix").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(sync, "_built", interrupted)
    assert said(root, "add", "beta", code=130) == (
        "wrote pyproject.toml, uv.lock\nwrote default.nix\ninterrupted; nothing in the project was changed\n"
    )
    assert tree(root) == before


def test_a_member_of_a_workspace_and_a_script_are_put_back_too(root: Path) -> None:
    member = root / "libs/core"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text('[project]\nname = "core"\nversion = "1"\n[tool.uv]\npackage = false\n')
    workspace = 'workspace = { members = ["libs/*"] }\nsources = { core = { workspace = true } }'
    edit(root, "package = false", f"package = false\n{workspace}")
    edit(root, '["alpha"]', '["alpha", "core"]')
    script = root / "tool.py"
    text = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["alpha<2"]\n# [tool.nixgen]\n# ///\n'
    address = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["index"][0]["url"]
    own = f'# [[tool.uv.index]]\n# url = "{address}"\n# default = true\n'
    script.write_text(text.replace("# [tool.nixgen]\n", f"{own}# [tool.nixgen]\n"))
    script.chmod(0o755)
    uv.lock(root, script="tool.py")
    said(root, "sync", "--no-build")
    before = tree(root)
    assert "gamma" in said(member, "add", "gamma", "--no-sync", code=2)
    assert "gamma" in said(root, "add", "--script", "tool.py", "gamma", "--no-sync", code=2)
    assert tree(root) == before
    assert script.stat().st_mode & 0o777 == 0o755
    assert said(member, "add", "beta", "--no-sync").startswith("wrote libs/core/pyproject.toml, uv.lock\n")
    script.write_text(script.read_text().replace("alpha<2", "alpha"))
    why = "is out of date with tool.py: the dependencies changed (changed: alpha)"
    assert said(root, "sync", "--check", code=1) == f"error: tool.py.lock: {why}\n  hint: nixgen sync\n"
    said(root, "sync", "--no-build")
    assert script.stat().st_mode & 0o777 == 0o755
    assert said(root, "upgrade", "--no-sync").startswith("Updated alpha v1.0 -> v2.0\nwrote tool.py.lock\n")


def test_a_record_that_is_of_before_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nix is not asked: what it would build is given."""
    here = "x86_64-linux"
    monkeypatch.setattr(facts, "system", lambda: here)
    known = SYSTEM
    made = {"recipes": known.outputs}

    def ready(*_: object, recipes: bool) -> shell.Ready:
        return shell.Ready(Shell("", "", "", made["recipes"] if recipes else {}), 2, 1, "/venv")

    monkeypatch.setattr(shell, "ready", ready)
    assert said(root, "sync") == "environment: 2 built, 1 fetched\n"
    record.update(root / record.NAME, "demo", here, known)
    assert json.loads(nixgen("sync", "--json", cwd=root).stdout)["record"] == "current"
    made["recipes"] = {**known.outputs, "environment": recipe("environment", "2")}
    done = nixgen("sync", "--json", cwd=root)
    assert json.loads(done.stdout)["record"] == "stale"
    assert done.stderr == (
        "environment: 2 built, 1 fetched\n"
        "nixgen.hashes.json is of before this change. To record what is built now: nixgen sync --record\n"
    )


def test_one_environment_is_brought_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is named, else that of the shell, else the default one. The files are those of all."""
    with (root / "pyproject.toml").open("a") as file:
        file.write("[tool.nixgen.environments.docs]\n[tool.nixgen.environments.test]\n")
    built = []

    def ready(_project: object, name: str, *_: object, recipes: bool) -> shell.Ready:  # noqa: ARG001 -- as it is called
        built.append(name)
        return shell.Ready(Shell("", "", "", {}), 2, 0, "/venv")

    monkeypatch.setattr(shell, "ready", ready)
    assert said(root, "sync", "--env", "docs") == "wrote default.nix\nenvironment docs: 2 built\n"
    assert said(root, "sync") == "environment: 2 built\n"
    unknown = (
        "error: --env: pyproject.toml has no environment doc\n"
        "  hint: the environments: docs, test (tool.nixgen.environments)\n"
    )
    for more in ([], ["--check"]):
        assert said(root, "sync", "--env", "doc", *more, code=2) == unknown
    renew = "This shell has the environment of before. To renew it: exit, then: nixgen shell --env test\n"
    here = {"NIXGEN_ROOT": str(root), "VIRTUAL_ENV": "/old"}
    for words, label, told in (
        ([], "test", f"environment test: 2 built\n{renew}"),
        (["--env", "docs"], "test", "environment docs: 2 built\n"),
        ([], "gone", "environment: 2 built\n"),
    ):
        assert nixgen("sync", *words, cwd=root, NIXGEN_LABEL=label, **here).stderr == told
    assert (
        nixgen("sync", cwd=root, NIXGEN_LABEL="test", NIXGEN_ROOT=str(root.parent)).stderr == "environment: 2 built\n"
    )
    assert built == ["docs", "", "test", "docs", "", ""]


def test_a_lock_of_another_tool_is_for_that_tool(root: Path) -> None:
    (root / "uv.lock").rename(root / "pylock.toml")
    assert said(root, "add", "beta", code=2) == (
        "error: pylock.toml: was made by another tool than uv\n"
        "  hint: change what it is made of with that tool, then: nixgen sync\n"
    )
