"""Real wheels that load libraries of the system: what lacks is named with the package of the base that has it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from checking import Checked, steps
from lab import PYTHON
from support.nix import SYSTEM, Nix
from support.project import Project

if TYPE_CHECKING:
    from support.index import Index

pytestmark = pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="the wheels were looked through on x86_64 Linux")

SETTINGS = f"""
[tool.uv]
package = false
exclude-newer = "2026-09-01T00:00:00Z"

[tool.nixgen]
base = "debian"
python = "{PYTHON}"
systems = ["{SYSTEM}"]
"""


needs_time = pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")


def locked(folder: Path, pins: Path, nix: Nix, index: Index, *packages: str) -> Checked:
    project = Project.make(folder, *packages, more=SETTINGS)
    project.lock()
    for name in ("nix", "nixgen.lock", "flake.nix", "flake.lock", "shell.nix"):
        (shutil.copytree if (pins / name).is_dir() else shutil.copy)(pins / name, project.folder / name)
    project.must("generate")
    return Checked(project, nix, index)


def works(checked: Checked) -> tuple[bool, dict[str, Any], list[str]]:
    """Whether the import check passes; what it found by package, each with its hint; and the packages it proposes."""
    step = steps(checked.run("check", "--update", "--json"))["works"]
    found = {one["where"]: one for one in step["findings"]}
    proposed = re.findall(r"libraries = \[([^\]]*)\]  #", str(step["findings"][0]["mend"]) if found else "")
    return bool(step["ok"]), found, re.findall(r'"([^"]+)"', proposed[0]) if proposed else []


def declare(checked: Checked, names: list[str]) -> None:
    listed = ", ".join(f'"{name}"' for name in names)
    text = (checked.folder / "pyproject.toml").read_text().partition("libraries = ")[0]
    (checked.folder / "pyproject.toml").write_text(f"{text}libraries = [{listed}]\n")
    for words in ("lock", "generate"):
        done = checked.run(words)
        assert done.ok, done.tail()


@pytest.mark.network
def test_a_library_that_is_loaded_by_name_is_named_with_its_package(
    nix28: Nix, pins: Path, served: Index, tmp_path: Path
) -> None:
    """weasyprint loads pango; opencv and soundfile need nothing that the core lacks."""
    names = ("opencv-python-headless", "soundfile", "weasyprint")
    checked = locked(tmp_path / "demo", pins, nix28, served, *names)
    ok, found, proposed = works(checked)
    said = "\n".join(one["what"] for one in found.values())
    assert not ok
    assert "weasyprint (of weasyprint): OSError: cannot load library 'libpango-1.0-0'" in said
    assert not {"cv2", "soundfile"} & set(re.findall(r"(\w+) \(of ", said))
    assert proposed == ["libpango-1.0-0"]


@needs_time
@pytest.mark.network
def test_all_that_qt_needs_is_named_and_at_last_nothing_lacks(
    nix28: Nix, pins: Path, served: Index, tmp_path: Path
) -> None:
    checked = locked(tmp_path / "demo", pins, nix28, served, "pyqt6", "weasyprint")
    ok, found, proposed = works(checked)
    assert "libEGL.so.1: PyQt6/Qt6/lib/libQt6Gui.so.6 (of pyqt6-qt6) needs it" in found["demo-imports"]["what"]
    assert {"libbrotli1", "libdbus-1-3", "libegl1", "libpango-1.0-0", "libxkbcommon0"} <= set(proposed)
    for _ in range(4):  # what a library of the base needs in turn, and what is loaded behind the first that lacks
        if ok:
            break
        declare(checked, proposed)
        ok, found, proposed = works(checked)
    assert ok
    assert "libxcb-cursor.so.0" in found["pyqt6-qt6"]["what"]
    assert "cat /nix/store/" in found["pyqt6-qt6"]["mend"]
