"""checks.imports: every module of every distribution is imported in the sandbox; what does not import is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

MEND = (
    'A module that cannot work here on purpose: skip-imports = ["NAME"] under [tool.nixgen] in pyproject.toml, '
    "then run: nixgen generate"
)
FILES = {
    "good/__init__.py": "print('printed while it is imported')\n",
    "good_single.py": "import good\n",
    "not-a-module/x.py": "raise SystemExit\n",
    "good-folder.txt": "text",
    "inner/only_data.txt": "a folder without modules",
    "absent/__init__.py": "import nowhere\n",
    "raises/__init__.py": "raise ValueError('on purpose')\n",
    "leaves/__init__.py": "import sys; sys.exit(0)\n",
    "ends/__init__.py": "import os; os._exit(7)\n",
    "quiet/__init__.py": "import os; os._exit(0)\n",
    "crashes/__init__.py": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n",
    "spoils/__init__.py": "import sys; sys.modules['good'] = None; sys.path.clear()\n",
    "asks/__init__.py": "input()\n",
}
BAD = ["absent", "asks", "crashes", "ends", "leaves", "quiet", "raises"]


@pytest.fixture(scope="module")
def wheel(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "mixed", "1.0", FILES)


@pytest.fixture(scope="module")
def printed(lab: Lab, wheel: Path) -> list[str]:
    return lab.failure("imports", [wheel]).splitlines()


def test_the_list_of_what_does_not_import(printed: list[str]) -> None:
    start = printed.index("7 of 10 modules cannot be imported:")
    failures = printed[start + 1 : printed.index(MEND)]
    assert [line.split()[0] for line in failures] == BAD
    assert all("(of mixed): " in line for line in failures)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("absent", "ModuleNotFoundError: No module named 'nowhere'"),
        ("raises", "ValueError: on purpose"),
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


def test_what_is_skipped_is_not_imported(lab: Lab, wheel: Path) -> None:
    built = lab.with_arguments(skipImports=BAD).build("imports", [wheel])
    assert lab.nix.real(built).read_text().split() == ["good", "good_single", "spoils"]


def test_skipping_some_leaves_the_others(lab: Lab, wheel: Path) -> None:
    said = lab.with_arguments(skipImports=BAD[1:]).failure("imports", [wheel]).splitlines()
    assert "1 of 4 modules cannot be imported:" in said


def test_a_project_without_packages_passes(lab: Lab) -> None:
    assert lab.nix.real(lab.build("imports")).read_text() == ""


def test_a_wheel_without_modules_is_told(lab: Lab) -> None:
    wheel = make_wheel(lab.wheels, "dataonly", "1.0", {"data only/x.txt": ""})
    assert "no module was found: the environment is empty" in lab.failure("imports", [wheel])


def test_the_sandbox_has_neither_network_nor_host(lab: Lab) -> None:
    code = (
        "import os, socket\n"
        "assert not os.path.exists('/usr') and not os.path.exists('/bin/sh'), os.listdir('/')\n"
        "try:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError:\n    pass\n"
        "else:\n    raise RuntimeError('there is a network')\n"
    )
    wheel = make_wheel(lab.wheels, "looks", "1.0", {"looks.py": code})
    assert lab.nix.real(lab.build("imports", [wheel])).read_text() == "looks\n"
