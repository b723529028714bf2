"""Where the templates and the Nix library are: inside the installed package, or in a checkout beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment


def folder(name: str) -> Path:
    """The folder ``templates`` or ``nix``: ``nixgen/_data/<name>`` when installed, else that of the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_data" / name
    return installed if installed.is_dir() else package.parent / name


def templates(finalize: Callable[..., object] | None = None, *, autoescape: bool = False, **marks: str) -> Environment:
    """The templates. ``finalize`` makes text of what is spliced in, and escapes it for what the file is read by.

    ``marks`` are delimiters, where a file has jinja's own for something else.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder("templates")),
        finalize=finalize,
        undefined=StrictUndefined,
        autoescape=autoescape,  # noqa: S701 -- finalize escapes what is no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **marks,  # type: ignore[arg-type]  # each is a text
    )


def library() -> dict[str, bytes]:
    """The Nix library's files by their path below ``nix/``, sorted; its tests and caches are not part of it.

    Modules of this package that go into projects are a part of it, by their path in the package: the guard, which
    services start with, what seeds, what finds a GPU's driver, and what makes images of containers.
    """
    root, package = folder("nix"), Path(__file__).parent
    modules = (*package.glob("guard/*.py"), package / "runs/seeding.py", package / "machine/driver.py")
    modules += (*package.glob("oci/*.py"), package / "nix/base32.py")
    found = {path.relative_to(package).as_posix(): path.read_bytes() for path in modules}
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part.endswith("~") or part == "__pycache__" for part in parts)
        if not hidden and parts[0] != "tests" and path.is_file():
            found["/".join(parts)] = path.read_bytes()
    return dict(sorted(found.items()))
