"""examples/spirals, as its README tells: PyTorch on the CPU, and the same weights twice. Slow: a wheel of 200 MB.

The index with builds of PyTorch for the CPU is not one that every machine reaches: ``NIXGEN_TEST_TORCH`` names a folder
with such a wheel, which is served here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import parse_wheel_filename
from support.nix import ROOT, SYSTEM, Nix, Output
from support.project import Project

if TYPE_CHECKING:
    from support.index import Index

FOLDER = os.environ.get("NIXGEN_TEST_TORCH", "")
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
    pytest.mark.skipif(not FOLDER, reason="NIXGEN_TEST_TORCH names no folder with PyTorch's wheel for the CPU"),
]

README = ROOT / "examples" / "spirals" / "README.md"


@pytest.mark.one_nix
def test_the_same_weights_twice(nix: Nix, index: Callable[..., Index], tmp_path: Path) -> None:
    (wheel,) = Path(FOLDER).glob("torch-*+cpu-*.whl")
    interpreter = next(iter(parse_wheel_filename(wheel.name)[3])).interpreter  # cp311
    project = Project.copied("spirals", tmp_path)
    block = re.search(r"^```toml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    project.append("\n" + block[1].replace("…", index(Path(FOLDER)).simple))
    project.git()
    python = f"{interpreter[2]}.{interpreter[3:]}"
    project.must("init", "--base", "debian", "--python", python, "--system", SYSTEM, "--ci", "none")
    project.commit("Spirals")

    def nixgen(*arguments: str) -> Output:
        environment = {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")}
        return nix.inside(sys.executable, "-m", "nixgen", *arguments, cwd=project.folder, **environment)

    words = ["--clean", "--seed", "7", "--metrics", "metrics.json", "--output", "weights.safetensors"]
    for _ in range(2):
        said = nixgen("run", "--record", *words, "--", "python", "train.py").stdout
        assert re.fullmatch(r"PyTorch [\d.]+\+cpu, seed 7: 9\d\.\d% of 500 points told apart\n", said)
    first, second = sorted(path.name for path in (project.folder / "runs").iterdir())
    assert nixgen("runs", "diff", first, second).stdout == f"{first} and {second}: nothing differs\n"
    assert nixgen("reproduce", "latest").stdout.startswith(f"{second}: same bytes on ")
