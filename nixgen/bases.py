"""What both bases have to say before anything is pinned: Python versions, glibc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixgen.errors import MachineError, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from nixgen.settings import Settings


def known_pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the base can give, the best choice first: newest, of stable releases."""
    from nixgen import debian, nixpkgs

    return debian.pythons(settings) if settings.base == "debian" else nixpkgs.pythons(settings)


def default_glibc(settings: Settings, python: str) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    from nixgen import debian, nixpkgs

    if settings.base == "debian":
        return debian.default_glibc(settings, python)
    return nixpkgs.default_glibc(settings)


def pick_python(settings: Settings, requires_python: str | None, root: Path, asked: str | None = None) -> str:
    """The Python version ("3.11"): ``asked`` for, the setting, .python-version, else the base's best that fits.

    What is found first counts; it must be one that the base has and that requires-python allows. Raises UserError.
    """
    from packaging.specifiers import SpecifierSet

    known = known_pythons(settings)
    allowed = SpecifierSet(requires_python or "")
    # A patch release beyond all, so that ">=3.11.4" allows 3.11 and "<3.12" does not allow 3.12.
    fitting = [python for python in known if allowed.contains(f"{python}.99") or allowed.contains(f"{python}.0")]
    base = f"the {settings.base} base"
    if settings.base == "debian" and settings.suite is not None:
        base += f" (suite {settings.suite})"
    for python, where in (
        (asked, "--python"),
        (settings.python, "pyproject.toml: tool.nixgen.python"),
        (_python_version(root), ".python-version"),
    ):
        if python is None:
            continue
        if python not in known:
            raise UserError.of(where, f"{base} has no Python {python}", f"use one of {', '.join(known)}")
        if python not in fitting:
            raise UserError.of(
                where,
                f'Python {python} does not meet requires-python = "{requires_python}"',
                f"use one of {', '.join(fitting)}" if fitting else "change requires-python, or use another base",
            )
        return python
    if not fitting:
        raise UserError.of(
            "pyproject.toml: project.requires-python",
            f'"{requires_python}" allows none of the Python versions of {base}: {", ".join(known)}',
            "change requires-python, or use another base",
        )
    return fitting[0]


def _python_version(root: Path) -> str | None:
    """The version in .python-version (uv, pyenv), if it holds a plain one such as 3.11 or 3.11.9."""
    try:
        text = (root / ".python-version").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError.of(".python-version", f"cannot be read: {error}", "mend or remove it") from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    parts = lines[0].removeprefix("cpython@").removeprefix("cpython-").split(".") if lines else []
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):  # noqa: PLR2004 (major and minor)
        return None
    return f"{int(parts[0])}.{int(parts[1])}"
