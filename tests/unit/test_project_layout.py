from __future__ import annotations

from pathlib import Path

import pytest
from sourcetrees import FLIT, HATCH, PDM, SETUP, build, source, write

from nixgen.project import layout


@pytest.mark.parametrize(
    ("pyproject", "files", "roots", "modules"),
    [
        ("", ["src/demo/__init__.py"], ["src"], ["demo"]),
        ("", ["demo/__init__.py", "tests/__init__.py", "docs/conf.py", "setup.py"], ["."], ["demo"]),
        ("", ["demo.py", "noxfile.py"], ["."], ["demo"]),
        ("", ["Demo/__init__.py"], ["."], ["Demo"]),
        ("", ["other/__init__.py", "data/x.csv", "tests/test_x.py"], ["."], ["other"]),
        (
            "",
            ["src/one/__init__.py", "src/two.py", "src/space/deep/x.py", "src/data/x.csv"],
            ["src"],
            ["one", "space", "two"],
        ),
        (build("uv_build"), ["src/demo/__init__.py"], ["src"], ["demo"]),
        (
            build("uv_build", '[tool.uv.build-backend]\nmodule-root = ""\nmodule-name = "other.deep"'),
            ["other/deep/__init__.py"],
            ["."],
            ["other"],
        ),
        (
            build("hatchling.build", '[tool.hatch.build.targets.wheel]\npackages = ["lib/demo", "extra/more"]'),
            ["lib/demo/__init__.py", "extra/more/__init__.py"],
            ["lib", "extra"],
            ["demo", "more"],
        ),
        (
            build("hatchling.build", '[tool.hatch.build]\ndev-mode-dirs = ["code"]'),
            ["code/demo/__init__.py"],
            ["code"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools.packages.find]\nwhere = ["python"]'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
        (
            build(
                "setuptools.build_meta",
                '[tool.setuptools]\npackages = ["demo", "demo.sub"]\npackage-dir = {"" = "lib"}',
            ),
            ["lib/demo/sub/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools]\npackages = ["demo"]\npackage-dir = {demo = "lib/demo"}'),
            ["lib/demo/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools]\npy-modules = ["one"]'),
            ["one.py", "two.py"],
            ["."],
            ["one"],
        ),
        (
            build("poetry.core.masonry.api", '[tool.poetry]\npackages = [{include = "demo", from = "lib"}]'),
            ["lib/demo/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("maturin", '[tool.maturin]\npython-source = "python"\nmodule-name = "demo._native"'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
        (build("flit_core.buildapi", '[tool.flit.module]\nname = "other"'), ["src/other.py"], ["src"], ["other"]),
        (build("pdm.backend", '[tool.pdm.build]\npackage-dir = "lib"'), ["lib/demo.py"], ["lib"], ["demo"]),
        (
            build("scikit_build_core.build", '[tool.scikit-build]\nwheel.packages = ["python/demo"]'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
    ],
)
def test_where_the_code_is(
    tmp_path: Path, pyproject: str, files: list[str], roots: list[str], modules: list[str]
) -> None:
    write(tmp_path, *files)
    found = layout.find(source(tmp_path, pyproject))
    assert not found.problems
    assert (list(found.roots), list(found.modules)) == (roots, modules)


@pytest.mark.parametrize(
    ("pyproject", "files", "roots", "modules"),
    [
        # setup.py
        (
            "",
            {
                "setup.py": SETUP + "setup(packages=find_packages('lib'), package_dir={'': 'lib'})",
                "lib/p/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "setuptools.setup(packages=setuptools.find_namespace_packages(where='lib'))",
                "lib/ns/p/a.py": "",
            },
            ["lib"],
            ["ns"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "NAMES = ['p', 'p.sub']\nsetup(packages=NAMES, package_dir={'p': 'lib/p'})",
                "lib/p/sub/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "args = dict(py_modules=['one'], package_dir={'': 'code'})\nsetup(**args)",
                "code/one.py": "",
            },
            ["code"],
            ["one"],
        ),
        ("", {"setup.py": SETUP + "setup(package_dir={'': 'lib'})", "lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            "",
            {
                "setup.py": SETUP + "setup(packages=find_packages(exclude=['p_tests*'], include=['p*']))",
                "p/__init__.py": "",
                "p_tests/__init__.py": "",
                "q/__init__.py": "",
            },
            ["."],
            ["p"],
        ),
        # setup.cfg
        (
            "",
            {
                "setup.cfg": "[options]\npackages = find:\npackage_dir =\n  = lib\n"
                "[options.packages.find]\nwhere = lib\n",
                "lib/p/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.cfg": "[options]\npackages = find_namespace:\n[options.packages.find]\nwhere=lib\n",
                "lib/ns/p/a.py": "",
            },
            ["lib"],
            ["ns"],
        ),
        (
            "",
            {
                "setup.cfg": "[options]\npackages =\n    p\n    p.sub\npackage_dir =\n    p = lib/p\n",
                "lib/p/sub/a.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {"setup.cfg": "[options]\npy_modules = one, two\n", "one.py": "", "two.py": "", "three.py": ""},
            ["."],
            ["one", "two"],
        ),
        (
            "",
            {"setup.cfg": "[options]\npy-modules = one\n", "setup.py": SETUP + "setup()", "one.py": "", "two.py": ""},
            ["."],
            ["one"],
        ),
        # pyproject.toml of setuptools
        ('[tool.setuptools]\npackage-dir = {"" = "lib"}', {"lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            '[tool.setuptools]\npackages = ["ns.p"]\npackage-dir = {"ns.p" = "lib/ns/p"}',
            {"lib/ns/p/a.py": ""},
            ["lib"],
            ["ns"],
        ),
        ('[tool.setuptools.packages.find]\ninclude = ["p*"]', {"p/__init__.py": "", "data/x.py": ""}, ["."], ["p"]),
        (
            '[tool.setuptools.packages.find]\nwhere = ["lib"]\nnamespaces = false',
            {"lib/p/__init__.py": "", "lib/q/a.py": ""},
            ["lib"],
            ["p"],
        ),
        ("[tool.setuptools]\npackages = []", {"x.csv": ""}, ["."], []),
        ("", {"ns/p/__init__.py": "", "tests/a.py": "", "docs/conf.py": ""}, ["."], ["ns"]),
        ("", {"src/ns/demo/__init__.py": ""}, ["src"], ["ns"]),
        # an unknown backend, which lies in the project
        (
            '[build-system]\nbuild-backend = "own"\nbackend-path = ["."]',
            {"setup.cfg": "[options]\npackages = p\n", "p/__init__.py": ""},
            ["."],
            ["p"],
        ),
        # hatchling
        (HATCH, {"ns/demo/__init__.py": "", "tests/demo/__init__.py": ""}, ["."], ["ns"]),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\nonly-include = ["src/p"]\nsources = ["src"]',
            {"src/p/__init__.py": ""},
            ["src"],
            ["p"],
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\ninclude = ["/p/**/*.py"]',
            {"p/__init__.py": "", "q/__init__.py": ""},
            ["."],
            ["p"],
        ),
        (f'{HATCH}[tool.hatch.build.targets.wheel.sources]\n"lib/p" = "p"', {"lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel.force-include]\n"lib/p" = "p"',
            {"lib/p/__init__.py": ""},
            ["lib"],
            ["p"],
        ),
        (f"{HATCH}[tool.hatch.build.targets.wheel]\nbypass-selection = true", {"x.csv": ""}, ["."], []),
        # flit, pdm, poetry, uv
        (f'{FLIT}[tool.flit.module]\nname = "ns.p"', {"src/ns/p/__init__.py": ""}, ["src"], ["ns"]),
        (f'{FLIT}[project]\nname = "ns.demo"', {"ns/demo/__init__.py": ""}, ["."], ["ns"]),
        (f'{PDM}[tool.pdm.build]\nincludes = ["src/ns/p", "README.md"]', {"src/ns/p/__init__.py": ""}, ["src"], ["ns"]),
        (
            build("poetry.core.masonry.api", '[tool.poetry]\npackages = [{include = "ns/p", from = "lib"}]'),
            {"lib/ns/p/a.py": ""},
            ["lib"],
            ["ns"],
        ),
        (
            build("uv_build", '[tool.uv.build-backend]\nmodule-name = ["a", "b.c"]'),
            {"src/a/__init__.py": "", "src/b/c/__init__.py": ""},
            ["src"],
            ["a", "b"],
        ),
        (build("uv_build", "[tool.uv.build-backend]\nnamespace = true"), {"src/ns/x/__init__.py": ""}, ["src"], ["ns"]),
        (build("uv_build"), {"src/demo-stubs/__init__.pyi": ""}, ["."], []),
    ],
)
def test_the_backends_files_are_read(
    tmp_path: Path, pyproject: str, files: dict[str, str], roots: list[str], modules: list[str]
) -> None:
    """Case 10: setup.py, setup.cfg, namespaces, and the ways of each backend."""
    for name, text in files.items():
        write(tmp_path, name)
        (tmp_path / name).write_text(text)
    found = layout.find(source(tmp_path, pyproject))
    assert (list(found.roots), list(found.modules), found.problems, found.notes) == (roots, modules, (), ())


@pytest.mark.parametrize(
    ("pyproject", "files", "where", "what"),
    [
        ("", {"README.md": ""}, "pyproject.toml", "no module of demo is found: neither src/demo nor demo is there"),
        (
            "",
            {"setup.py": SETUP + "setup(packages=['p'])"},
            "setup.py: packages",
            "p is neither a folder nor a Python file",
        ),
        (
            "",
            {"setup.cfg": "[options]\npackages = find:\n[options.packages.find]\nwhere = lib\n"},
            "setup.cfg: options.packages",
            "no module is found in lib",
        ),
        (
            '[tool.setuptools]\npackages = ["p"]\npackage-dir = {p = "lib"}',
            {"lib/__init__.py": ""},
            "pyproject.toml: tool.setuptools.packages",
            "the package p lies in lib: on sys.path a folder has its own name only; move it to p",
        ),
        (
            '[tool.setuptools.packages.find]\nwhere = ["lib"]',
            {"demo.py": ""},
            "pyproject.toml: tool.setuptools.packages.find",
            "no module is found in lib",
        ),
        (
            build("uv_build"),
            {"demo/__init__.py": ""},
            "pyproject.toml: tool.uv.build-backend.module-name",
            "src/demo is neither a folder nor a Python file",
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\npackages = ["../out/demo"]',
            {"demo.py": ""},
            "pyproject.toml: tool.hatch.build.targets.wheel.packages",
            "../out lies outside of the package's folder",
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\npackages = ["/etc"]',
            {"demo.py": ""},
            "pyproject.toml: tool.hatch.build.targets.wheel.packages",
            "etc is neither a folder nor a Python file",
        ),
        (
            HATCH,
            {"setup.py": SETUP + "setup(packages=['p'])"},
            "pyproject.toml",
            "no module of demo is found: neither src/demo nor demo is there",
        ),
    ],
)
def test_code_that_is_not_found_is_an_error(
    tmp_path: Path, pyproject: str, files: dict[str, str], where: str, what: str
) -> None:
    """Case 10: with the file, the key and what to write."""
    write(tmp_path, "pyproject.toml") if pyproject or ("setup.py" not in files and "setup.cfg" not in files) else None
    for name, text in files.items():
        write(tmp_path, name)
        (tmp_path / name).write_text(text)
    (problem,) = layout.find(source(tmp_path, pyproject)).problems
    assert (problem.where, problem.what) == (where, what)
    assert problem.mend.startswith("say where the code is: ")


def test_what_setup_py_computes_is_told(tmp_path: Path) -> None:
    """Case 10: it is never run, and the usual place is taken with a warning."""
    write(tmp_path, "demo/__init__.py")
    (tmp_path / "setup.py").write_text(SETUP + "open('ran', 'w')\nnames = []\nnames.append('x')\nsetup(packages=names)")
    found = layout.find(source(tmp_path, ""))
    assert found.modules == ("demo",)
    assert [note.where for note in found.notes] == ["setup.py: packages"]
    assert not (tmp_path / "ran").exists()


BOTH = ("demo/__init__.py", "src/demo/__init__.py")
SEVERAL = ("src/demo/__init__.py", "src/other/__init__.py", "src/more.py")
BESIDE = ("demo/__init__.py", "other/__init__.py", "tests/__init__.py", "more.py")
POETRY, UV = "poetry.core.masonry.api", "uv_build"


@pytest.mark.parametrize(
    ("backend", "files", "root", "modules"),
    [
        ("setuptools.build_meta", BOTH, "src", ["demo"]),
        ("hatchling.build", BOTH, ".", ["demo"]),
        (POETRY, BOTH, ".", ["demo"]),
        ("pdm.backend", BOTH, "src", ["demo"]),
        (UV, BOTH, "src", ["demo"]),
        ("setuptools.build_meta", SEVERAL, "src", ["demo", "more", "other"]),
        ("hatchling.build", SEVERAL, "src", ["demo"]),
        (POETRY, SEVERAL, "src", ["demo"]),
        ("pdm.backend", SEVERAL, "src", ["demo", "other"]),
        (UV, SEVERAL, "src", ["demo"]),
        ("flit_core.buildapi", SEVERAL, "src", ["demo"]),
        ("hatchling.build", BESIDE, ".", ["demo"]),
        ("pdm.backend", BESIDE, ".", ["demo", "other"]),
        (UV, ("demo/__init__.py",), None, []),
    ],
)
def test_as_the_backends_build_it(
    tmp_path: Path, backend: str, files: tuple[str, ...], root: str | None, modules: list[str]
) -> None:
    """Cases 10 and 11: what an editable build and a wheel of each backend had (November 2026: setuptools 84.2.1,
    hatchling 1.33, poetry-core 2.5, pdm-backend 2.5, flit-core 4.2, uv_build 0.13.6).

    The builds were run by hand, over 170 layouts, and what they had was written down here: no test runs a backend."""
    write(tmp_path, *files)
    found = layout.find(source(tmp_path, build(backend)))
    assert bool(found.problems) is (root is None)
    assert (found.roots, list(found.modules)) == ((root or "src",), modules)


def test_what_pdm_excludes_is_not_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "demo/__init__.py", "other/__init__.py")
    found = layout.find(source(tmp_path, build("pdm.backend", '[tool.pdm.build]\nexcludes = ["other"]')))
    assert found.modules == ("demo",)


def test_case_10_what_a_wheel_has_at_another_place(tmp_path: Path) -> None:
    """It was left out without a word; a folder that is where the wheel has it is nothing to tell."""
    head = f'{HATCH}[tool.hatch.build.targets.wheel]\npackages = ["code/demo"]\n'
    include = "[tool.hatch.build.targets.wheel.force-include]\n"
    pyproject = (
        head + include + '"gen/made.py" = "made.py"\n"code/demo/data" = "demo/data"\n"LICENSE" = "demo/LICENSE"\n'
    )
    write(tmp_path, "code/demo/__init__.py", "code/demo/data/a.csv", "gen/made.py", "LICENSE")
    found = layout.find(source(tmp_path, pyproject))
    assert (found.roots, found.modules, found.problems) == (("code",), ("demo",), ())
    assert [(note.what.partition(",")[0], note.mend) for note in found.notes] == [
        ("gen/made.py is in a wheel as made.py", "move it to code/made.py"),
        ("LICENSE is in a wheel as demo/LICENSE", "move it to code/demo/LICENSE"),
    ]
