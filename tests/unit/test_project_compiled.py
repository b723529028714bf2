from __future__ import annotations

from pathlib import Path

import pytest
from sourcetrees import SETUP, build, source, write

from nixgen.project import compiled


@pytest.mark.parametrize(
    ("pyproject", "files", "what", "named"),
    [
        (
            build("maturin", '[tool.maturin]\nmodule-name = "demo._native"'),
            {},
            "maturin",
            "demo._native",
        ),
        (build("scikit_build_core.build"), {}, "scikit-build-core", "demo.NAME"),
        (build("mesonpy"), {}, "meson-python", "demo.NAME"),
        (
            build("setuptools.build_meta", '[[tool.setuptools.ext-modules]]\nname = "demo._x"\nsources = []'),
            {},
            "the extension demo._x",
            "demo._x",
        ),
        (
            build("setuptools.build_meta", '[[tool.setuptools-rust.ext-modules]]\ntarget = "demo._r"'),
            {},
            "the extension demo._r",
            "demo._r",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(ext_modules=[Extension('demo._x', ['x.c'])])"},
            "the extension demo._x",
            "demo._x",
        ),
        (
            "",
            {"setup.py": SETUP + "from Cython.Build import cythonize\nsetup(ext_modules=cythonize('demo/*.pyx'))"},
            "an extension module",
            "demo.NAME",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(rust_extensions=[RustExtension('demo._r')])"},
            "the extension demo._r",
            "demo._r",
        ),
        ("", {"setup.py": SETUP + "setup(cffi_modules=['build.py:ffi'])"}, "an extension module", "demo.NAME"),
        (
            "",
            {"setup.py": SETUP + "exts = []\nexts.append(Extension('a', []))\nsetup(ext_modules=exts)"},
            "an extension module that setup.py makes",
            "demo.NAME",
        ),
        ("", {"setup.py": "from skbuild import setup\nsetup(packages=['demo'])"}, "an extension module", "demo.NAME"),
        (
            build("hatchling.build", "[tool.hatch.build.targets.wheel.hooks.mypyc]"),
            {},
            "mypyc",
            "demo.NAME",
        ),
        (
            build("poetry.core.masonry.api", '[tool.poetry.build]\nscript = "build.py"'),
            {},
            "a build script",
            "demo.NAME",
        ),
    ],
)
def test_case_61_what_has_to_be_compiled(
    tmp_path: Path, pyproject: str, files: dict[str, str], what: str, named: str
) -> None:
    """Unless skip-imports says that the compiled module is not what is imported."""
    write(tmp_path, "demo/__init__.py")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert compiled.parts(source(tmp_path, pyproject), ()) == what
    assert compiled.parts(source(tmp_path, pyproject), [named]) == ""
    assert compiled.parts(source(tmp_path, pyproject), ["other._x"]) == what


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
    assert compiled.parts(source(tmp_path, pyproject), ()) == ""
