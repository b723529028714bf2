"""What the bases say before anything is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import projects
import pytest

from nixgen.bases import choice
from nixgen.errors import UserError
from nixgen.project.project import Project, find_project
from nixgen.project.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = Settings(base="debian")
NIXPKGS = Settings()


def pick(settings: Settings, requires: str | None, root: Path, asked: str | None = None) -> str:
    """The Python of a project that has these settings and this requires-python."""
    return choice.pick_python(Project(root, "demo", {}, settings, requires, has_lock=True), settings, asked)


def test_the_best_python_is_the_newest_of_a_stable_suite() -> None:
    assert choice.known_pythons(DEBIAN) == ("3.13", "3.11", "3.14")
    assert choice.known_pythons(Settings(base="debian", suite="bookworm")) == ("3.11",)
    assert choice.known_pythons(Settings(base="debian", suite="forky")) == ("3.14", "3.13")
    assert choice.known_pythons(NIXPKGS) == ("3.14", "3.13", "3.12", "3.11")


def test_glibc() -> None:
    assert choice.default_glibc(DEBIAN, "3.11") == "2.36"
    assert choice.default_glibc(DEBIAN, "3.14") == "2.43"
    assert choice.default_glibc(NIXPKGS, "3.11") == "2.42"
    assert choice.default_glibc(Settings(nixpkgs={"rev": "0" * 40, "narHash": "x"}), "3.11") == "2.39"


def test_the_newest_of_a_stable_suite_that_fits(tmp_path: Path) -> None:
    assert pick(DEBIAN, None, tmp_path) == "3.13"
    assert pick(DEBIAN, ">=3.14", tmp_path) == "3.14"
    assert pick(DEBIAN, ">=3.11.1,<3.12", tmp_path) == "3.11"
    assert pick(Settings(base="debian", suite="forky"), ">=3.11", tmp_path) == "3.14"
    assert pick(NIXPKGS, "~=3.12.0", tmp_path) == "3.12"


def test_what_is_named_first_counts(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("# ours\n3.11.9\n")
    assert pick(DEBIAN, ">=3.11", tmp_path) == "3.11"
    assert pick(Settings(base="debian", python="3.13"), ">=3.11", tmp_path) == "3.13"
    assert pick(Settings(base="debian", python="3.13"), ">=3.11", tmp_path, "3.14") == "3.14"


@pytest.mark.parametrize(
    ("settings", "requires", "asked", "mend"),
    [
        (
            Settings(base="debian", suite="trixie"),
            None,
            "3.11",
            'set base = "debian" and suite = "bookworm", which has it, or use one of 3.13',
        ),
        (DEBIAN, None, "3.12", 'set base = "debian" and suite = "noble", which has it, or use one of 3.14, 3.13, 3.11'),
        (
            DEBIAN,
            "==3.12.*",
            None,
            'set base = "debian" and suite = "noble", which has 3.12, or change requires-python',
        ),
        (DEBIAN, "==3.12.*", "3.12", 'set base = "debian" and suite = "noble", which has it'),
        (DEBIAN, None, "3.2", "use one of 3.14, 3.13, 3.11"),
        (DEBIAN, "<3.9", None, 'change requires-python, or try base = "nixpkgs"'),
    ],
)
def test_case_65_a_python_that_another_setting_has(
    settings: Settings, requires: str | None, asked: str | None, mend: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        pick(settings, requires, tmp_path, asked)
    assert caught.value.problems[0].mend == mend


def test_case_14_a_patch_release_that_the_base_has_not_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".python-version").write_text("3.11.9\n")
    assert pick(DEBIAN, None, tmp_path) == "3.11"
    assert capsys.readouterr().err == ".python-version asks for Python 3.11.9; the debian base has 3.11.2.\n"
    assert pick(NIXPKGS, None, tmp_path) == "3.11"
    said = (
        ".python-version asks for Python 3.11.9; the nixpkgs base has its newest 3.11 (to insist: --python 3.11.9).\n"
    )
    assert capsys.readouterr().err == said
    with pytest.raises(UserError, match=r"--python: the debian base has Python 3\.11\.2, not 3\.11\.9"):
        pick(DEBIAN, None, tmp_path, "3.11.9")
    assert pick(DEBIAN, None, tmp_path, "3.11.2") == "3.11"
    assert pick(NIXPKGS, None, tmp_path, "cpython@3.12.7") == "3.12"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "chosen", "asked", "written"),
    [
        (Settings(), "3.13", None, "3.13"),
        (Settings(), "3.13", "3.13.9", "3.13.9"),
        (Settings(python="3.13", python_full="3.13.9"), "3.13", None, "3.13.9"),
        (Settings(python="3.13", python_full="3.13.9"), "3.13", "3.13", "3.13"),
        (Settings(python="3.13", python_full="3.13.9"), "3.12", None, "3.12"),
    ],
)
def test_what_init_writes_down(settings: Settings, chosen: str, asked: str | None, written: str) -> None:
    assert choice.written_python(settings, chosen, asked) == written


def test_case_55_another_python_version_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path, "demo", {}, Settings(python="3.13"), None, has_lock=True)
    choice.warn_of_python_version(project, "3.13")
    (tmp_path / ".python-version").write_text("3.13.4\n")
    choice.warn_of_python_version(project, "3.13")
    assert capsys.readouterr().err == ""
    (tmp_path / ".python-version").write_text("3.9\n")
    choice.warn_of_python_version(project, "3.13")
    assert capsys.readouterr().err.endswith(" asks for 3.9. Not to be asked: uv python pin 3.13\n")
    (tmp_path / ".python-version").write_text("3.14\n")
    choice.warn_of_python_version(project, "3.13")
    assert capsys.readouterr().err == (
        "warning: Python is 3.13 (tool.nixgen.python), and .python-version asks for 3.14. "
        "To have that: nixgen init --python 3.14\n"
    )


@pytest.mark.parametrize(
    ("settings", "requires", "python", "said"),
    [
        (DEBIAN, None, "3.13", ""),
        (Settings(base="debian", suite="forky"), None, "3.14", ""),
        (DEBIAN, ">=3.11", "3.14", "; for the stable one: nixgen init --base debian --python 3.13"),
        (DEBIAN, ">=3.11,!=3.13.*", "3.14", "; for the stable one: nixgen init --base debian --python 3.11"),
        (DEBIAN, ">=3.14", "3.14", "; nixpkgs has it, too: nixgen init --base nixpkgs"),
    ],
)
def test_a_python_that_only_testing_has_is_told(
    settings: Settings, requires: str | None, python: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice.warn_of_testing(Project(tmp_path, "demo", {}, settings, requires, has_lock=True), python)
    told = settings == DEBIAN and python == "3.14"
    assert capsys.readouterr().err == (
        f"warning: Python 3.14 is in Debian's testing (forky) only{said}\n" if told else ""
    )


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (Settings(base="debian", python="3.11"), "3.11"),
        (Settings(base="debian", python="3.14"), None),
        (Settings(base="debian", python="3.12"), None),
        (Settings(base="debian", suite="forky", python="3.14"), "3.14"),
        (Settings(python="3.13", python_full="3.13.9"), "3.13"),
        (Settings(), None),
    ],
)
def test_a_python_of_another_base_is_kept_where_it_lasts(settings: Settings, kept: str | None, tmp_path: Path) -> None:
    project = Project(tmp_path, "demo", {}, settings, None, has_lock=True)
    assert choice.without_python_of_another_base(project).settings.python == kept


def test_a_version_file_that_only_testing_serves_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.14\n")
    written = Settings(base="debian", python="3.14")
    for settings, requires, python in ((DEBIAN, None, "3.13"), (DEBIAN, ">=3.14", "3.14"), (written, None, "3.14")):
        choice.refuse_testing(Project(tmp_path, "demo", {}, settings, requires, has_lock=True), python)
    with pytest.raises(UserError) as caught:
        choice.refuse_testing(Project(tmp_path, "demo", {}, DEBIAN, ">=3.11", has_lock=True), "3.14")
    assert str(caught.value) == (
        ".python-version: Python 3.14 is in Debian's testing only, whose packages leave the mirrors within days\n"
        "  hint: uv python pin 3.13 && nixgen init --base debian\n"
        "    to use it all the same: nixgen init --base debian --python 3.14"
    )
    (tmp_path / ".python-version").write_text("3.12\n")
    with pytest.raises(UserError) as caught:
        pick(DEBIAN, None, tmp_path)
    assert caught.value.problems[0].mend.startswith("uv python pin 3.13, and the same command again; or set base")


def test_a_python_version_file_of_comments(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("# nothing\n\n")
    assert pick(DEBIAN, None, tmp_path) == "3.13"


@pytest.mark.parametrize(
    ("settings", "requires", "asked", "where"),
    [
        (DEBIAN, None, "3.12", "--python"),
        (Settings(base="debian", suite="bookworm", python="3.13"), None, None, "pyproject.toml: tool.nixgen.python"),
        (DEBIAN, "<3.10", None, "pyproject.toml: project.requires-python"),
    ],
)
def test_what_does_not_fit(
    settings: Settings, requires: str | None, asked: str | None, where: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        pick(settings, requires, tmp_path, asked)
    assert [problem.where for problem in caught.value.problems] == [where]


CP311 = "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl"
CP312 = "numpy-2.4.6-cp312-cp312-manylinux_2_27_x86_64.whl"


@pytest.mark.parametrize(
    ("files", "settings", "best", "said"),
    [
        (["numpy-2.4.6-py3-none-any.whl"], "", "3.14", ""),
        ([CP312, CP311], "", "3.12", "Python 3.12: for 3.14 there is no wheel of numpy.\n"),
        ([CP312.replace("x86_64", "aarch64"), CP311, CP311.replace("x86_64", "aarch64")], "", "3.11", "3.11: for 3.14"),
        ([CP312], 'systems = ["aarch64-linux"]', "3.14", ""),
        ([CP311], 'base = "debian"', "3.11", "Python 3.11: for 3.13 there is no wheel of numpy.\n"),
        ([CP311.replace("cp311", "cp39")], "", "3.14", ""),
        ([CP311], 'python = "3.13"', "3.13", ""),
    ],
)
def test_case_65_the_newest_python_that_has_all_wheels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: list[str], settings: str, best: str, said: str
) -> None:
    lock = projects.uv_lock(projects.package("numpy", "2.4.6", *map(projects.wheel, files)), projects.SIX)
    project = find_project(projects.make(tmp_path, f"{projects.PYPROJECT}[tool.nixgen]\n{settings}\n", lock))
    assert choice.best_python(project, project.settings) == best
    printed = capsys.readouterr().err
    assert said in printed
    assert bool(said) == bool(printed)
    assert choice.best_python(project, project.settings, "3.13") == "3.13"
    if "python" not in settings:
        (tmp_path / ".python-version").write_text("3.13\n")
        assert choice.best_python(project, project.settings) == "3.13"


def test_a_python_has_wheels_in_every_environment(tmp_path: Path) -> None:
    """They have one Python: the newest for the default one is of no use to another."""
    text = f"{projects.PYPROJECT}[tool.nixgen.environments.gpu]\nsystems = ['x86_64-linux']\n"
    project = find_project(projects.make(tmp_path, text))
    other = {"name": "numpy", "version": "2.4.6", "wheels": [{"url": f"{projects.FILES}/{CP312}"}]}
    locks = {"": {"lock-version": "1.0"}, "gpu": {"lock-version": "1.0", "packages": [other]}}
    assert choice.best_python(project, project.settings, exported=locks) == "3.12"


def test_a_python_with_wheels_is_better_than_one_for_which_all_is_built(tmp_path: Path) -> None:
    numpy = projects.package("numpy", "2.4.6", projects.wheel(CP312), projects.wheel(CP311), sdist="numpy-2.4.6.tar.gz")
    six = projects.package("six", "1.17.0", sdist="six-1.17.0.tar.gz")
    root = projects.make(tmp_path, f"{projects.PYPROJECT}[tool.nixgen]\n", projects.uv_lock(numpy, six))
    project = find_project(root)
    assert choice.best_python(project, project.settings) == "3.12"
