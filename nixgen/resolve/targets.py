"""What a target is to the standards: its marker variables (PEP 508) and its wheel tags (PEP 425, 600).

Tags are those that an interpreter of the target would report; their order ranks wheels, the first being the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nixgen.resolve.model import Target

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.tags import Tag


_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600: aliases of manylinux_2_N
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}  # PEP 600: the first manylinux of each machine

LAST_PATCH = {"3.8": 20, "3.9": 25, "3.10": 22, "3.11": 18, "3.12": 16, "3.13": 18, "3.14": 10, "3.15": 2}
"""The newest patch release of each Python when this nixgen was made (``uv python list``): what a base is taken to have
that does not say.

A marker like ``python_full_version < "3.11.3"`` (redis has it) names a bug that was mended: a base that follows the
releases has the mend.
"""


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
