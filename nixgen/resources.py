"""Where the templates and the Nix library are: inside the installed package, or in a checkout beside it."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """The folder ``templates`` or ``nix``: ``nixgen/_data/<name>`` when installed, else that of the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_data" / name
    return installed if installed.is_dir() else package.parent / name


def library() -> dict[str, bytes]:
    """The Nix library's files by their path below ``nix/``, sorted; its tests and caches are not part of it.

    The guard, which services start with, is a folder of it; it is a package inside of this one. So are what seeds and
    what finds a GPU's driver, a module each.
    """
    root = folder("nix")
    found = {f"guard/{path.name}": path.read_bytes() for path in Path(__file__).with_name("guard").glob("*.py")}
    found["seeding.py"] = Path(__file__).with_name("runs").joinpath("seeding.py").read_bytes()
    found["driver.py"] = Path(__file__).with_name("machine").joinpath("driver.py").read_bytes()
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part.endswith("~") or part == "__pycache__" for part in parts)
        if not hidden and parts[0] != "tests" and path.is_file():
            found["/".join(parts)] = path.read_bytes()
    return dict(sorted(found.items()))
