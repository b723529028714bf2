"""Cases 59, 8, 34: whether uv.lock is current is uv's own answer, without a Python, cache or setting of the machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from projects import INDEX, NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel
from support.resolving import resolved

from nixgen.errors import MachineError, UserError
from nixgen.machine import folders
from nixgen.machine.process import Result
from nixgen.project.project import find_project
from nixgen.resolve import current, standin, uv


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the stand-in's answers are kept for all tests."""
    return str(tmp_path_factory.mktemp("answers"))


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, answers: str) -> None:
    """No Python on PATH, and nothing in uv's cache."""
    empty = str(tmp_path_factory.mktemp("empty"))
    for name in ("PATH", "HOME", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.setenv(name, empty)
    monkeypatch.setenv("XDG_CACHE_HOME", answers)


@pytest.fixture
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of the stand-in is kept yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def verdict(root: Path) -> current.Verdict:
    with uv.nowhere() as nowhere:
        return current.Check(find_project(root), nowhere).wait()[0]


def why(root: Path) -> str:
    found = verdict(root)
    assert found.unknown == ""
    return found.why


SOURCES = '[tool.uv.sources]\nsix = { git = "https://git.example.org/six" }\n'
EXTRAS = '[project.optional-dependencies]\nplot = ["six"]\n'
CONFLICTS = f'[tool.uv]\nconflicts = [[{{ extra = "plot" }}, {{ extra = "b" }}]]\n{EXTRAS}b = []\n'
OTHER_INDEX = '[[tool.uv.index]]\nurl = "https://other.example.org/simple"\ndefault = true\n'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", ""),
        ('"six"', '"Six"', ""),
        ('"numpy>=2"', '"NumPy >= 2"', ""),
        ('"six", "numpy>=2"', '"numpy>=2", "six"', ""),
        (">=3.11", ">= 3.11.0", ""),
        ("", "[tool.uv]\nno-binary-package = ['six']\n", ""),
        ('"six"', '"six", "tqdm"', "the dependencies of demo-app changed (new: tqdm)"),
        ('"six", ', "", "the dependencies of demo-app changed (gone: six)"),
        ('"six"', '"tqdm"', "the dependencies of demo-app changed (new: tqdm; gone: six)"),
        ('"six"', '"six", "a", "b", "c", "d", "e", "f", "g"', "demo-app changed (new: a, b, c, d, e and 2 more)"),
        ("numpy>=2", "numpy>=2.1", "the dependencies of demo-app changed (changed: numpy)"),
        ('"six"', '"six; sys_platform == \'linux\'"', "the dependencies of demo-app changed (changed: six)"),
        ('"six"', '"six[a]"', "the dependencies of demo-app changed (changed: six)"),
        ('"six"', '"six @ https://files.example.org/six-1-py3-none-any.whl"', "changed (changed: six)"),
        ("", SOURCES, "the dependencies of demo-app changed (changed: six)"),
        ("", EXTRAS, "the extras of demo-app changed (new: plot)"),
        ("", '[dependency-groups]\ndev = ["six"]\n', "the dependency groups of demo-app changed (new: dev, six)"),
        ("", '[tool.uv]\ndev-dependencies = ["six"]\n', "the dependency groups of demo-app changed (new: dev, six)"),
        ("", '[tool.uv]\noverride-dependencies = ["six<2"]\n', "override-dependencies changed (new: six)"),
        ("", '[tool.uv]\nconstraint-dependencies = ["six<2"]\n', "constraint-dependencies changed (new: six)"),
        ("", '[tool.uv]\nexclude-dependencies = ["six"]\n', "exclude-dependencies changed (new: six)"),
        ("", '[[tool.uv.dependency-metadata]]\nname = "six"\n', "dependency-metadata changed (new: six)"),
        ("", "[tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n", "environments or required-environments chan"),
        ("", "[tool.uv]\nrequired-environments = [\"sys_platform == 'linux'\"]\n", "environments or required-environ"),
        ("", CONFLICTS, "conflicts changed"),
        ("", '[tool.uv]\nresolution = "lowest"\n', "the resolution mode is lowest, and was highest"),
        ("", '[tool.uv]\nprerelease = "allow"\n', "the pre-release mode is allow, and was if-necessary"),
        ("", '[tool.uv]\nexclude-newer = "2025-01-01"\n', "exclude-newer changed (addition of global exclude newer 2"),
        ("", OTHER_INDEX, f"numpy 2.4.6 was locked from {INDEX}, which is none of its indexes"),
        ("0.1.0", "0.2.0", "demo-app is version 0.2.0, and was locked as 0.1.0"),
        ("Demo.App", "other", "other is another kind of source now"),
        (">=3.11", ">=3.12", "requires-python is >=3.12, and was >=3.11"),
        (">=3.11", "==3.13.*", "requires-python is ==3.13.*, and was >=3.11"),
        (">=3.11", ">=3.11,<3.14", "requires-python is >=3.11, <3.14, and was >=3.11"),
        ("", "[tool.uv]\npackage = true\n", "demo-app is another kind of source now"),
    ],
)  # fmt: skip
def test_what_changed_is_uvs_answer(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = PYPROJECT.replace(old, new) if old else PYPROJECT + new
    found = why(make(tmp_path, text))
    assert told in found
    assert bool(told) == bool(found)


@pytest.mark.parametrize("requires", ["==3.9.*", "==3.12.*", ">=3.20", ">3.12.1", ">=3.10,!=3.10.*,<3.99", "<3.13"])
def test_case_59_a_python_that_the_machine_lacks(tmp_path: Path, requires: str) -> None:
    lock = uv_lock(NUMPY, SIX).replace(">=3.11", requires)
    assert why(make(tmp_path, PYPROJECT.replace(">=3.11", requires), lock)) == ""


def test_case_59_no_requires_python_at_all(tmp_path: Path) -> None:
    """uv writes that of the Python which locked; another machine's is another."""
    text = PYPROJECT.replace('requires-python = ">=3.11"\n', "")
    assert why(make(tmp_path, text, uv_lock(NUMPY, SIX).replace(">=3.11", ">=3.13"))) == ""


WORKSPACE = (
    PYPROJECT.replace('"six"', '"six", "member>=0.1"')
    + '[tool.uv]\npackage = false\n[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    + "[tool.uv.sources]\nmember = { workspace = true }\n"
)
MEMBER = '[project]\nname = "member"\nversion = "1"\nrequires-python = ">=3.11"\n[tool.uv]\npackage = true\n'
LOCKED = uv_lock(
    '[[package]]\nname = "member"\nversion = "1"\nsource = { editable = "libs/member" }\n',
    NUMPY,
    SIX,
    dependencies=("member", "numpy", "six"),
    requires='{ name = "member", editable = "libs/member" }, { name = "numpy", specifier = ">=2" }, { name = "six" }',
).replace("\n[[package]]", '\n[manifest]\nmembers = ["demo-app", "member"]\n\n[[package]]', 1)


def workspace(root: Path, text: str = WORKSPACE, member: str = MEMBER, lock: str = LOCKED) -> Path:
    make(root, text, lock)
    (root / "libs/member").mkdir(parents=True)
    (root / "libs/member/pyproject.toml").write_text(member)
    return root


def test_case_59_a_member_with_a_specifier(tmp_path: Path) -> None:
    assert why(workspace(tmp_path)) == ""


def test_case_59_a_lock_without_package_metadata(tmp_path: Path) -> None:
    lines = LOCKED.splitlines(keepends=True)
    lock = "".join(line for line in lines if "requires-dist" not in line and "[package.metadata]" not in line)
    assert why(workspace(tmp_path, WORKSPACE.replace("[tool.uv]\n", "[tool.uv]\npreview = true\n"), lock=lock)) == ""


def test_what_changed_in_a_member(tmp_path: Path) -> None:
    root = workspace(tmp_path, member=MEMBER.replace("[tool.uv]", 'dependencies = ["six"]\n[tool.uv]'))
    assert why(root) == "the dependencies of member changed (new: six)"


def test_a_member_that_came(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "libs/another").mkdir()
    (root / "libs/another/pyproject.toml").write_text(MEMBER.replace("member", "another").replace("3.11", "3.13"))
    assert why(root) == "requires-python is >=3.13, and was >=3.11"
    (root / "libs/another/pyproject.toml").write_text(MEMBER.replace("member", "another"))
    assert why(root) == "the members of the workspace changed (new: another)"


@pytest.mark.parametrize("place", ["home/.config/uv/uv.toml", "xdg/uv/uv.toml", "dirs/uv/uv.toml", "work/uv.toml"])
def test_case_8_no_setting_from_outside_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    root = make(tmp_path / "work/demo")
    before = resolved(root)
    for name, value in {"HOME": "home", "XDG_CONFIG_HOME": "xdg", "XDG_CONFIG_DIRS": "dirs"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('exclude-newer = "2020-01-01"\nindex-url = "https://other.example.org/simple"\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(path))
    monkeypatch.setenv("RUST_LOG", "off")
    assert why(root) == ""
    assert resolved(root) == before


def test_the_projects_own_uv_toml_counts(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "uv.toml").write_text('exclude-newer = "2020-01-01"\n')
    assert why(root).startswith("exclude-newer changed (addition of")


@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_settings_of_a_folder_above_count_in_one_repository(tmp_path: Path, name: str) -> None:
    """As in uv; see test_which_settings_of_uv_count. Here they are what uv compares with."""
    root = make(tmp_path / "work/demo")
    text = 'exclude-newer = "2020-01-01"\n'
    (tmp_path / "work" / name).write_text(text if name == "uv.toml" else f"[tool.uv]\n{text}")
    assert why(root) == ""
    (tmp_path / ".git").mkdir()
    assert why(root).startswith("exclude-newer changed (addition of")


def test_an_option_of_the_lock_that_the_project_does_not_have(tmp_path: Path) -> None:
    head = 'requires-python = ">=3.11"\n'
    lock = uv_lock(NUMPY, SIX).replace(head, f'{head}\n[options]\nexclude-newer = "2025-01-01T00:00:00Z"\n', 1)
    found = verdict(make(tmp_path, lock=lock))
    assert found.why == "exclude-newer changed (removal of global exclude newer)"
    assert "[tool.uv]" in found.mend


DYNAMIC = (
    '[project]\nname = "demo-app"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndynamic = ["dependencies"]\n'
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
)


def test_case_34_no_build_backend_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path, DYNAMIC, uv_lock(NUMPY, SIX, source="editable"))
    (root / "backend.py").write_text(f"open({os.fspath(root / 'ran')!r}, 'w')\n")
    assert len(resolved(root).packages) == 3
    assert capsys.readouterr().err == (
        "warning: uv.lock was not compared with pyproject.toml: "
        "only the build backend of demo-app can tell what it depends on (to compare: uv lock --check)\n"
    )
    assert not (root / "ran").exists()
    (root / "pyproject.toml").write_text(DYNAMIC + '[tool.uv]\noverride-dependencies = ["six<2"]\n')
    assert why(root) == "override-dependencies changed (new: six)"


def test_a_dynamic_version_needs_no_build(tmp_path: Path) -> None:
    text = PYPROJECT.replace('version = "0.1.0"', 'dynamic = ["version"]')
    lock = uv_lock(NUMPY, SIX)
    assert why(make(tmp_path, text, lock.replace('version = "0.1.0"\n', ""))) == ""
    assert why(make(tmp_path, text, lock)) == "the version of demo-app is dynamic now"


def test_a_reason_that_is_not_known_is_told_as_uv_has_it() -> None:
    said = "DEBUG Resolving despite existing lockfile due to the weather: `cold`\nDEBUG on\n"
    assert current.verdict(Result((), 2, "", said)).why == "the weather: `cold`"


def stand_in_of(root: Path, words: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """The text of the stand-in that uv was shown for a project, and how it ends when it is asked for something."""
    with uv.nowhere() as nowhere:
        check = current.Check(find_project(root), nowhere)
        assert check.wait()[0] == current.Verdict()
        (python,) = nowhere.glob("python-3.11.0")
        done = subprocess.run([python, "-c", words], capture_output=True, text=True, check=False)
        return python.read_text(), done


@pytest.mark.usefixtures("_forgotten")
def test_the_stand_in_builds_nothing(tmp_path: Path) -> None:
    project = make(tmp_path)
    for _ in range(2):  # it asks Python, then it has the answer itself
        _, done = stand_in_of(project, "print(1)")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "nixgen builds nothing here\n")


@pytest.mark.usefixtures("_forgotten")
def test_the_stand_in_answers_from_memory(tmp_path: Path) -> None:
    project = make(tmp_path / "it's")
    first, _ = stand_in_of(project, "")
    second, done = stand_in_of(project, f"import {standin.QUESTION}")
    assert sys.executable in first
    assert sys.executable not in second
    told = json.loads(done.stdout)
    assert told["result"] == "success"
    assert told["markers"]["python_full_version"] == "3.11.0"
    assert told["sys_executable"].endswith("/python-3.11.0")
    assert why(make(tmp_path / "other", PYPROJECT.replace('"six"', '"tqdm"'))).startswith("the dependencies")


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize("spoil", ["text", "list", "uv", "answer", "folder", "pipe", "endless"])
@pytest.mark.heavy
def test_an_answer_that_is_not_this_uvs_is_asked_for_again(tmp_path: Path, spoil: str) -> None:
    project = make(tmp_path)
    stand_in_of(project, "")
    kept = folders.cache("uv", "python-3.11.0.json")
    text = kept.read_text()
    document = json.loads(text.partition("\n")[2])
    if spoil == "folder":  # nothing can be kept there
        kept.unlink()
        kept.mkdir()
    elif spoil in {"pipe", "endless"}:
        kept.unlink()
        os.mkfifo(kept) if spoil == "pipe" else kept.symlink_to("/dev/zero")
    else:
        other = {"text": "{", "list": "[1]", "uv": json.dumps(document | {"of": "another uv"})}
        whole = {name: f"{hashlib.sha256(one.encode()).hexdigest()}\n{one}" for name, one in other.items()}
        kept.write_text({**whole, "answer": text.replace("3.11.0", "3.9.0")}[spoil])
    text, _ = stand_in_of(project, "")
    assert sys.executable in text
    if spoil != "folder":
        found = json.loads(kept.read_text().partition("\n")[2])
        assert found["of"] == document["of"]
        assert found["answer"]["markers"] == document["answer"]["markers"]


@pytest.mark.usefixtures("_forgotten")
def test_without_a_home_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(tmp_path)
    monkeypatch.setattr(folders, "cache", lambda *_: (_ for _ in ()).throw(MachineError.of("", "no home")))
    for _ in range(2):
        assert sys.executable in stand_in_of(project, "")[0]


def test_a_package_of_another_kind_is_named_once(tmp_path: Path) -> None:
    other = package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl"))
    assert why(make(tmp_path, lock=uv_lock(NUMPY, other))) == ""


@pytest.mark.parametrize(
    "requires",
    [">=3.11", ">=3.9.2", ">= 3.12, <4", ">=3.10,<4.0", ">3.11", ">=3.11,<3.13", ">=3.8.1,!=3.9.0", "~=3.11"],
)
def test_the_lowest_python_without_packaging_is_the_one_with_it(requires: str) -> None:
    assert uv.lowest(requires) == uv.lowest(f"{requires},>=3.0")


def test_show_imports_no_packages_that_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom nixgen.generate import show\nfrom nixgen.project.project import find_project\n"
        "show.as_json(show.report(find_project(pathlib.Path(sys.argv[1])), ['x86_64-linux'], '3.11'))\n"
        "print(sorted({'jinja2', 'tomlkit', 'rich', 'urllib.request', 'http.client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(make(tmp_path))], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('dependencies = "six"', "invalid type: string"),
        ('dependencies = ["six"]\n[dependency-groups]\ndev = [{ include-group = "dev" }]', "Detected a cycle"),
        ('dependencies = ["six"]\n[tool.uv.workspace]\nmembers = ["libs/*"]', "is missing a `pyproject.toml`"),
    ],
)
def test_case_59_a_project_that_uv_refuses_is_refused(tmp_path: Path, changed: str, said: str) -> None:
    """It was a warning, that the lock was not compared, and a success."""
    (tmp_path / "demo/libs/one").mkdir(parents=True)
    (tmp_path / "demo/libs/one/file").touch()
    text = '[project]\nname = "demo-app"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
    root = make(tmp_path / "demo", text + changed, uv_lock(SIX, NUMPY))
    with pytest.raises(UserError, match=said) as caught:
        resolved(root)
    assert all(problem.mend for problem in caught.value.problems)
