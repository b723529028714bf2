from __future__ import annotations

from pathlib import Path

import pytest
from sourcetrees import SETUP, build, source, write

from nixgen.generate import compiled


@pytest.mark.parametrize(
    ("pyproject", "files", "where", "named"),
    [
        (
            build("maturin", '[tool.maturin]\nmodule-name = "demo._native"'),
            {},
            "pyproject.toml: build-system.build-backend",
            "demo._native",
        ),
        (build("scikit_build_core.build"), {}, "pyproject.toml: build-system.build-backend", "demo.NAME"),
        (build("mesonpy"), {}, "pyproject.toml: build-system.build-backend", "demo.NAME"),
        (
            build("setuptools.build_meta", '[[tool.setuptools.ext-modules]]\nname = "demo._x"\nsources = []'),
            {},
            "pyproject.toml: tool.setuptools.ext-modules",
            "demo._x",
        ),
        (
            build("setuptools.build_meta", '[[tool.setuptools-rust.ext-modules]]\ntarget = "demo._r"'),
            {},
            "pyproject.toml: tool.setuptools-rust.ext-modules",
            "demo._r",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(ext_modules=[Extension('demo._x', ['x.c'])])"},
            "setup.py: ext_modules",
            "demo._x",
        ),
        (
            "",
            {"setup.py": SETUP + "from Cython.Build import cythonize\nsetup(ext_modules=cythonize('demo/*.pyx'))"},
            "setup.py: ext_modules",
            "demo.NAME",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(rust_extensions=[RustExtension('demo._r')])"},
            "setup.py: rust_extensions",
            "demo._r",
        ),
        ("", {"setup.py": SETUP + "setup(cffi_modules=['build.py:ffi'])"}, "setup.py: cffi_modules", "demo.NAME"),
        (
            "",
            {"setup.py": SETUP + "exts = []\nexts.append(Extension('a', []))\nsetup(ext_modules=exts)"},
            "setup.py: ext_modules",
            "demo.NAME",
        ),
        ("", {"setup.py": "from skbuild import setup\nsetup(packages=['demo'])"}, "setup.py: skbuild", "demo.NAME"),
        (
            build("hatchling.build", "[tool.hatch.build.targets.wheel.hooks.mypyc]"),
            {},
            "pyproject.toml: tool.hatch.build.hooks.mypyc",
            "demo.NAME",
        ),
        (
            build("poetry.core.masonry.api", '[tool.poetry.build]\nscript = "build.py"'),
            {},
            "pyproject.toml: tool.poetry.build",
            "demo.NAME",
        ),
    ],
)
def test_what_has_to_be_compiled_is_an_error(
    tmp_path: Path, pyproject: str, files: dict[str, str], where: str, named: str
) -> None:
    """Case 61: unless skip-imports says that the compiled module is not what is imported."""
    write(tmp_path, "demo/__init__.py")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    problem = compiled.problem(source(tmp_path, pyproject), ["demo"], ())
    assert problem is not None
    assert problem.where == where
    assert "builds from source come with a later version" in problem.what
    assert f'skip-imports = ["{named}"]' in problem.mend
    assert compiled.problem(source(tmp_path, pyproject), ["demo"], [named]) is None


@pytest.mark.parametrize(
    ("pyproject", "setup"),
    [
        (build("uv_build"), ""),
        (build("hatchling.build", "[tool.hatch.build.hooks.vcs]"), ""),
        ("", "setup(ext_modules=[])"),
        ("", "setup()"),
    ],
)
def test_what_is_python_alone_is_none(tmp_path: Path, pyproject: str, setup: str) -> None:
    (tmp_path / "setup.py").write_text(SETUP + setup)
    assert compiled.problem(source(tmp_path, pyproject), ["demo"], ()) is None
