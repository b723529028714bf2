"""What would give a wheel of what is built: another version of uv.lock, a folder of wheels, another Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from projects import FILES, PYPROJECT, make

from nixgen.project.project import find_project
from nixgen.resolve.alternatives import alternatives
from nixgen.resolve.model import Package, Resolution, Target


def entry(name: str, version: str, *wheels: str, **more: str) -> dict[str, Any]:
    return {"name": name, "version": version, "wheels": [{"url": f"{FILES}/{file}"} for file in wheels], **more}


def built(name: str, version: str, why: str = "") -> Package:
    return Package(name, version, "sdist", f"{name}.tar.gz", why=why)


def test_what_would_give_a_wheel(tmp_path: Path) -> None:
    root = make(
        tmp_path / "demo", PYPROJECT + '[tool.uv]\nfind-links = ["./wheels", "../outside", "https://x.example.org/"]\n'
    )
    for place in (
        "wheels/Near-0.9-py3-none-any.whl",
        "wheels/far-1-cp39-cp39-win32.whl",
        "../outside/none-1-py3-none-any.whl",
    ):
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_bytes(b"")
    lock = {
        "packages": [
            entry("maths", "2"),
            entry("maths", "1", "maths-1-cp311-cp311-manylinux_2_17_x86_64.whl"),
            entry("torch", "3"),
            entry("torch", "3", "torch-3-py3-none-any.whl", index=f"{FILES}/simple"),
            entry("numpy", "4", "numpy-4-cp312-cp312-manylinux_2_17_x86_64.whl"),
            entry("refused", "6", "refused-6-cp310-cp310-manylinux_2_17_x86_64.whl"),
            entry("asked", "5", "asked-5-py3-none-any.whl"),
        ]
    }
    packages = (
        *(built("far", "1"), built("maths", "2"), built("near", "1"), built("none", "1"), built("numpy", "4")),
        built("torch", "3"),
        built("refused", "6"),
        built("asked", "5", "no wheel is wanted of it (no-binary under [tool.uv])"),
    )
    resolutions = [Resolution(Target("x86_64-linux", "3.11"), packages)]
    found = alternatives(find_project(root), lock, resolutions, "2.36", ["3.13", "3.12"])
    assert found == {
        ("x86_64-linux", "maths"): "uv.lock has 1 with a wheel that fits",
        ("x86_64-linux", "near"): "a wheel that fits lies in wheels/Near-0.9-py3-none-any.whl",
        ("x86_64-linux", "numpy"): 'python = "3.12" has a wheel',
        ("x86_64-linux", "torch"): f"uv.lock has 3 from {FILES}/simple with a wheel that fits",
    }
