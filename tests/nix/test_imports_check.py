"""checks.imports: every module of every distribution is imported in the sandbox; what does not import is named."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import needs, relink
from lab import PYTHON
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

MEND = (
    'A module that cannot work here on purpose: skip-imports = ["NAME"] under [tool.nixgen] in pyproject.toml, '
    "then run: nixgen sync"
)
FILES = {
    "good/__init__.py": "print('printed while it is imported')\n",
    "good_single.py": "import good\n",
    "not-a-module/x.py": "raise SystemExit\n",
    "good-folder.txt": "text",
    "inner/only_data.txt": "a folder without modules",
    "absent/__init__.py": "import json.nowhere\n",
    "optional/__init__.py": "import nowhere.else_\n",
    "raises/__init__.py": "raise ValueError('on purpose')\n",
    "explains/__init__.py": "raise ImportError('Bad git program.\\n\\nSet one:\\n  - PATH\\n\\nExample:\\n  x\\n')\n",
    "leaves/__init__.py": "import sys; sys.exit(0)\n",
    "ends/__init__.py": "import os; os._exit(7)\n",
    "quiet/__init__.py": "import os; os._exit(0)\n",
    "crashes/__init__.py": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n",
    "spoils/__init__.py": "import sys; sys.modules['good'] = None; sys.path.clear()\n",
    "asks/__init__.py": "input()\n",
}
BAD = ["absent", "asks", "crashes", "ends", "explains", "leaves", "quiet", "raises"]


@pytest.fixture(scope="module")
def wheel(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "mixed", "1.0", FILES)


@pytest.fixture(scope="module")
def printed(lab: Lab, wheel: Path) -> list[str]:
    return lab.failure("imports", [wheel]).splitlines()


def test_the_list_of_what_does_not_import(printed: list[str]) -> None:
    start = printed.index("8 of 11 modules cannot be imported:")
    failures = printed[start + 1 : printed.index(MEND)]
    assert [line.split()[0] for line in failures] == BAD
    assert all("(of mixed): " in line for line in failures)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("absent", "ModuleNotFoundError: No module named 'json.nowhere'"),
        ("raises", "ValueError: on purpose"),
        ("explains", "ImportError: Bad git program. | Set one: | - PATH"),
        ("asks", "EOFError: EOF when reading a line"),
        ("crashes", "the process ended with -11"),
        ("ends", "the process ended with 7"),
        ("quiet", "the process ended with 0"),
        ("leaves", "the process ended with 0"),
    ],
)
def test_each_is_named_with_its_reason(printed: list[str], module: str, reason: str) -> None:
    (line,) = [line for line in printed if line.startswith(f"  {module} (of mixed): ")]
    assert line.endswith(reason)


def test_what_is_of_use_with_another_package_alone_is_a_note(lab: Lab, printed: list[str]) -> None:
    """matplotlib-inline comes with IPython, and cannot be imported without matplotlib: uv installs no more either."""
    assert "note: mixed: optional cannot be imported without nowhere, which no package has" in printed
    lonely = make_wheel(lab.wheels, "lonely", "1.0", {"lonely.py": "import nowhere\n", "own.py": ""})
    written = lab.nix.real(lab.build("imports", [lonely])).read_text().splitlines()
    assert written == ["own", "note: lonely: lonely cannot be imported without nowhere, which no package has"]


def test_what_is_skipped_is_not_imported(lab: Lab, wheel: Path) -> None:
    built = lab.with_arguments(skipImports=BAD).build("imports", [wheel])
    assert lab.nix.real(built).read_text().splitlines()[:-1] == ["good", "good_single", "spoils"]


def test_skipping_some_leaves_the_others(lab: Lab, wheel: Path) -> None:
    said = lab.with_arguments(skipImports=BAD[1:]).failure("imports", [wheel]).splitlines()
    assert "1 of 4 modules cannot be imported:" in said


def test_a_project_without_packages_passes(lab: Lab) -> None:
    assert lab.nix.real(lab.build("imports")).read_text() == ""


def test_all_may_be_skipped(lab: Lab, wheel: Path) -> None:
    """Case 61: then none is imported, and the result says none."""
    skipping = lab.with_arguments(skipImports=[*BAD, "good", "good_single", "optional", "spoils"])
    assert lab.nix.real(skipping.build("imports", [wheel])).read_text() == ""


def test_a_wheel_without_modules_is_told(lab: Lab) -> None:
    wheel = make_wheel(lab.wheels, "dataonly", "1.0", {"data only/x.txt": ""})
    assert "no module was found in any package of the environment" in lab.failure("imports", [wheel])


def test_the_sandbox_has_neither_network_nor_host(lab: Lab) -> None:
    code = (
        "import os, socket\n"
        "assert not os.path.exists('/usr') and not os.path.exists('/bin/sh'), os.listdir('/')\n"
        "try:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError:\n    pass\n"
        "else:\n    raise RuntimeError('there is a network')\n"
    )
    wheel = make_wheel(lab.wheels, "looks", "1.0", {"looks.py": code})
    assert lab.nix.real(lab.build("imports", [wheel])).read_text() == "looks\n"


@pytest.fixture(scope="module")
def asking(lab: Lab) -> Path:
    """Case 3: a package that imports, with modules and a plugin that ask for what is there and what is not."""
    core = lab.nix.real(lab.build("base.core"))
    module = next(core.glob(f"usr/lib/python{PYTHON}/lib-dynload/_bz2.*.so"))
    plain = next(core.glob("usr/lib/*/libexpat.so.1")).read_bytes()

    def needs(data: bytes, *sonames: str, rpath: str = "") -> bytes:
        made = relink.File(data)
        made.needed, made.rpath = [*sonames, *made.needed], [rpath] if rpath else []
        return bytes(made.write())

    files: dict[str, str | bytes] = {
        "asking/__init__.py": "",
        f"asking/a/{module.name}": needs(module.read_bytes(), "libnowhere.so.3"),
        f"asking/b/{module.name}": needs(module.read_bytes(), "libbeside.so", rpath="$ORIGIN/../lib"),
        f"asking/c/{module.name}": needs(module.read_bytes(), "libX11.so.6", "libcuda.so.1"),
        "asking/lib/libbeside.so": needs(plain, "libElse_Where-2.so.1"),
        "asking/plugins/libplugin.so": needs(plain, "libodd.so"),
        "asking/plugins/libsecond.so": needs(plain, "libodd.so"),
    }
    return make_wheel(lab.wheels, "asking", "1.0", files)


def test_a_library_that_a_module_needs_is_missing(lab: Lab, asking: Path) -> None:
    """Each is named with the file, the module and the package that mostly has it, beside what does not import."""
    bad = make_wheel(lab.wheels, "absent", "1.0", {"absent.py": "import asking.nowhere\n"})
    printed = lab.failure("imports", [asking, bad]).splitlines()
    suffix = sysconfig_suffix(asking)
    start = printed.index("2 libraries are missing:")
    assert printed[start - 2] == "1 of 2 modules cannot be imported:"
    assert printed[start - 1].endswith("No module named 'asking.nowhere'")
    assert printed[start + 1 : start + 5] == [
        "  libElse_Where-2.so.1: asking/lib/libbeside.so (of asking) needs it: asking.b._bz2 cannot be imported",
        f"  libnowhere.so.3: asking/a/_bz2{suffix} (of asking) needs it: asking.a._bz2 cannot be imported",
        'Add the packages that have them: libraries = ["libelse-where-2-1", "libnowhere3"] (Debian\'s usual names for '
        "them) under [tool.nixgen] in pyproject.toml, then run: nixgen sync",
        MEND,
    ]


def sysconfig_suffix(wheel: Path) -> str:
    """The end of the names of extension modules in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return next(name.partition("_bz2")[2] for name in archive.namelist() if "/a/_bz2" in name)


def test_what_only_a_plugin_needs_is_a_note(lab: Lab, asking: Path) -> None:
    skipping = lab.with_arguments(skipImports=["asking.a", "asking.b._bz2"])
    suffix = sysconfig_suffix(asking)
    notes = [
        f"note: asking: asking/b/_bz2{suffix} cannot be loaded without libElse_Where-2.so.1 (usually in "
        "libelse-where-2-1); no module needs that",
        f"note: asking: asking/a/_bz2{suffix} cannot be loaded without libnowhere.so.3 (usually in libnowhere3); no "
        "module needs that",
        "note: asking: asking/plugins/libplugin.so and another file cannot be loaded without libodd.so (usually in "
        "libodd); no module needs that",
    ]
    assert lab.nix.real(skipping.build("imports", [asking])).read_text().splitlines() == ["asking", *notes]
    assert notes == [line for line in skipping.log("imports", [asking]).splitlines() if line.startswith("note: ")]


def test_two_that_bring_a_library_in_different_versions_are_named(lab: Lab) -> None:
    core = lab.nix.real(lab.build("base.core"))
    module = next(core.glob(f"usr/lib/python{PYTHON}/lib-dynload/_bz2.*.so"))
    plain = next(core.glob("usr/lib/*/libexpat.so.1")).read_bytes()
    asks = relink.File(module.read_bytes())
    asks.needed, asks.rpath = ["libexpat.so.1", "libsame.so", *asks.needed], ["$ORIGIN"]
    code = bytes(asks.write())
    same = plain.replace(b"libexpat.so.1\0", b"libsame.so\0\0\0\0")
    one = {f"one/{module.name}": code, "one/libexpat.so.1": plain + b"1", "one/libsame.so": same}
    two = {f"two/{module.name}": code, "two/libexpat.so.1": plain + b"2", "two/libsame.so": same}
    wheels = [make_wheel(lab.wheels, name, "1.0", files) for name, files in (("one", one), ("two", two))]
    lines = lab.nix.real(lab.build("imports", wheels)).read_text().splitlines()
    site = f"lib/python{PYTHON}/site-packages"
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: libexpat.so.1: {site}/one/libexpat.so.1 of one and {site}/two/libexpat.so.1 of two differ, and a "
        "process gets the one that is loaded first"
    ]
    lines = lab.nix.real(lab.build("imports", wheels[:1])).read_text().splitlines()
    assert lines[-1] == (
        f"warning: libexpat.so.1: {site}/one/libexpat.so.1 of one and libexpat.so.1 of the base differ, and a process "
        "gets the one that is loaded first"
    )


@pytest.mark.parametrize(
    ("soname", "package"),
    [
        ("libxkbcommon.so.0", "libxkbcommon0"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libEGL.so.1", "libegl1"),
        ("libdb-5.3.so", "libdb5.3"),
        ("libnss3.so", "libnss3"),
        ("libgomp.so.1.0.0", "libgomp1"),
        ("libgssapi_krb5.so.2", "libgssapi-krb5-2"),
        ("no library", None),
    ],
)
def test_the_debian_package_of_a_library(soname: str, package: str | None) -> None:
    assert needs.debian_package(soname) == package


def test_nixpkgs_has_the_old_libcrypt_under_another_name() -> None:
    assert needs.NIXPKGS["libcrypt.so.1"] == "libxcrypt-legacy"
