"""What a target is to the standards: its marker variables (PEP 508), its wheel tags (PEP 425, 600), and its Python.

Tags are those that an interpreter of the target would report; their order ranks wheels, the first being the best.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nixgen.bases.model import Base, DebianBase, NixpkgsBase
from nixgen.errors import Problem, UserError
from nixgen.resolve.model import Target

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.tags import Tag

    from nixgen.project.settings import Settings

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600: aliases of manylinux_2_N
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}  # PEP 600: the first manylinux of each machine

LAST_PATCH = {"3.8": 20, "3.9": 25, "3.10": 22, "3.11": 18, "3.12": 16, "3.13": 18, "3.14": 10, "3.15": 2}
"""The newest patch release of each Python when this nixgen was made (``uv python list``): what a base is taken to have
that does not say.

A marker like ``python_full_version < "3.11.3"`` (redis has it) names a bug that was mended: a base that follows the
releases has the mend.
"""

_FUTURE = 20  # patch releases that a Python may still get
_SUITE_PATCH = {("bookworm", "3.11"): 2, ("trixie", "3.13"): 5}  # stable: Debian keeps these for the suite's life


def targets(
    settings: Settings, systems: Sequence[str] | None, python: str, python_full: str | None = None
) -> tuple[Target, ...]:
    """The targets of a project, sorted by system; with no ``systems``, those of the settings or the base.

    ``python_full`` is the whole version ("3.11.2") of the base's interpreter; see :func:`full_version`.
    """
    wanted = sorted(set(systems or settings.default_systems()))
    full = python_full or full_version(settings, python)
    return tuple(Target(system, python, full) for system in wanted)


def full_version(settings: Settings, python: str, base: Base | None = None) -> str:
    """The whole version of the interpreter of a base, for markers that compare ``python_full_version``.

    From the pin where the base has one; of Debian from the package of the interpreter, while it is not pinned from what
    the stable suite is known to have; else the newest patch release that this nixgen knows (LAST_PATCH), ".0" for a
    newer Python. Raises UserError where the settings name another one than Debian has.
    """
    found = _debian_version(settings, python, base)
    wanted = settings.python_full if settings.python == python else None
    if found is not None:
        if wanted not in {None, found}:
            what = f"the debian base has Python {found}, not {wanted}"
            raise UserError.of("pyproject.toml: tool.nixgen.python", what, f'write python = "{python}"')
        return found
    pinned = base.python_full if isinstance(base, NixpkgsBase) and base.python == python else ""
    return pinned or wanted or f"{python}.{LAST_PATCH.get(python, 0)}"


def _debian_version(settings: Settings, python: str, base: Base | None) -> str | None:
    if isinstance(base, DebianBase):
        for deb in base.debs:
            if deb.name in {f"python{python}-minimal", f"python{python}"}:
                found = re.match(re.escape(python) + r"\.\d+", deb.version.rpartition(":")[2])
                if found:
                    return found[0]
    if settings.base == "debian":
        for (suite, minor), patch in _SUITE_PATCH.items():
            if minor == python and settings.suite in {None, suite}:
                return f"{python}.{patch}"
    return None


def environment(target: Target, python_full: str | None = None) -> Environment:
    """All marker variables of PEP 508 for a target, as an interpreter there would report them.

    ``platform_release`` and ``platform_version`` (the kernel's) are empty: an environment is not for one kernel.
    """
    machine, _, kernel = target.system.partition("-")
    full = python_full or target.full or f"{target.python}.{LAST_PATCH.get(target.python, 0)}"
    darwin = kernel == "darwin"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "arm64" if darwin and machine == "aarch64" else machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Darwin" if darwin else "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": target.python,
        "sys_platform": "darwin" if darwin else "linux",
    }


def tags(python: str, names: Sequence[str]) -> list[Tag]:
    """The wheel tags of a Python ("3.11") on ``names``, the platforms, best first (see :func:`platforms`)."""
    from packaging.tags import compatible_tags, cpython_tags

    version = tuple(map(int, python.split(".")))
    interpreter = "cp" + "".join(map(str, version))
    return [
        *cpython_tags(version, [interpreter], names),
        *compatible_tags(version, interpreter, names),
    ]


def platforms(system: str, glibc: str, macos: str) -> Iterator[str]:
    """The platform part of the tags, best first."""
    machine, _, kernel = system.partition("-")
    if kernel == "darwin":
        from packaging.tags import mac_platforms

        major, minor = map(int, macos.split("."))
        yield from mac_platforms((major, minor), "arm64" if machine == "aarch64" else machine)
        return
    newest = int(glibc.split(".")[1])
    for minor in range(newest, _OLDEST_GLIBC[machine] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"


def choose_python(
    settings: Settings,
    requires_python: str | None,
    python_version_file: str | None,
    available: Sequence[str],
    option: str | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """The Python of a project: ``--python``, ``[tool.nixgen]``, ``.python-version``, else the best that fits.

    ``python_version_file`` is the text of .python-version; ``available`` what the base has, as "3.13", the best choice
    first: the newest one of a stable release; ``elsewhere`` says for others which setting has them. Raises UserError
    when the one that is named is not a version, is not in the base or is not allowed by ``requires_python``, or when
    none fits; it lists what there is.
    """
    elsewhere = elsewhere or {}
    has = ", ".join(available)
    allowed = [python for python in available if allows(requires_python, python)]
    for where, text in (
        ("--python", option),
        ("pyproject.toml: tool.nixgen.python", settings.python),
        (".python-version", first_line(python_version_file)),
    ):
        if text is None:
            continue
        python = minor_version(text)
        fits = f"use one of {', '.join(allowed)}" if allowed else _none_fits(requires_python, has)
        if python is not None and python in elsewhere and allows(requires_python, python):
            fits = f"{elsewhere[python]}, which has it" + (f", or {fits}" if allowed else "")
        if python is None:
            raise UserError.of(where, f'"{text}" is not a version of CPython that nixgen understands', fits)
        if python not in available:
            raise UserError.of(where, f"the {settings.base} base has no Python {python}, but {has}", fits)
        if python not in allowed:
            raise UserError.of(where, f'requires-python = "{requires_python}" does not allow Python {python}', fits)
        return python
    if not allowed:
        where = "pyproject.toml: project.requires-python"
        what = f'"{requires_python}" allows none of the Pythons that the {settings.base} base has: {has}'
        others = [
            f"{setting}, which has {python}" for python, setting in elsewhere.items() if allows(requires_python, python)
        ]
        raise UserError(
            [Problem(where, what, f"{others[0]}, or change requires-python" if others else _other_base(settings))]
        )
    return allowed[0]


def allows(requires_python: str | None, python: str) -> bool:
    """Whether requires-python admits some release of this Python ("3.11"). Raises UserError if it cannot be read."""
    if not requires_python:
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        where = "pyproject.toml: project.requires-python"
        raise UserError.of(where, f'"{requires_python}" is not a version specifier', 'write it like ">=3.11"') from None
    last = LAST_PATCH.get(python, 0)
    return any(wanted.contains(f"{python}.{patch}") for patch in range(last + _FUTURE, -1, -1))


def minor_version(text: str) -> str | None:
    """The two numbers of a Python request as uv understands them: 3.11, 3.11.4, cpython@3.11, cpython-3.11.4-linux."""
    found = re.fullmatch(r"(?:(?:cpython|cp|python)[@-]?)?(3\.\d{1,2})(?:\.\d+)?(?:-[a-z].*)?", text.strip(), re.ASCII)
    return found[1] if found else None


def whole_version(text: str | None) -> str | None:
    """The three numbers of a Python request (3.11.4, cpython@3.11.4), None where it has fewer."""
    found = re.search(r"3\.\d{1,2}\.\d{1,3}(?!\d)", text or "", re.ASCII)
    return found[0] if found and minor_version(str(text)) else None


def first_line(text: str | None) -> str | None:
    """.python-version's first line that is not empty or a comment, as uv reads it."""
    lines = (line.strip() for line in (text or "").splitlines())
    return next((line for line in lines if line and not line.startswith("#")), None)


def _none_fits(requires_python: str | None, has: str) -> str:
    return f'the base has {has}, and requires-python = "{requires_python}" allows none of them'


def _other_base(settings: Settings) -> str:
    other = "debian" if settings.base == "nixpkgs" else "nixpkgs"
    return f'change requires-python, or try base = "{other}"'
