"""Which markers (PEP 508) hold for a target: yes, no, or not the same on every machine of it.

The version of a machine's kernel (``platform_release``, ``platform_version``) is not a target's. Where it decides, the
answer is None, unless macOS's floor tells, or uv's ``environments`` say which machines the lock is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from nixgen.resolve import plain
from nixgen.resolve.model import Target
from nixgen.resolve.targets import environment

_KERNEL = r"platform_(?:release|version)"
_TEXT = r"""(?:'[^']*'|"[^"]*")"""
_OPERATOR = r"(?:===|[=~!<>]=|<|>|not\s+in|in)"
_ATOM = rf"({_KERNEL})\s*({_OPERATOR})\s*({_TEXT})|({_TEXT})\s*({_OPERATOR})\s*({_KERNEL})"
YES, NO = "python_version >= '0'", "python_version < '0'"
"""Markers that always hold, and never."""

_NOTHING: Mapping[str, frozenset[str]] = {"extras": frozenset(), "dependency_groups": frozenset()}
_NEWEST = 99  # a patch release that no Python ever reaches


class Markers:
    """The markers of one target; ``macos`` is the oldest that it is for, ``environments`` what uv.lock is made for.

    ``extras`` and ``groups`` are those that are installed, where a lock's markers ask (PEP 751).
    """

    def __init__(
        self,
        target: Target,
        macos: str,
        environments: Sequence[str] = (),
        extras: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
    ) -> None:
        self._target, self._macos = target, macos
        self._chosen = {"extras": extras, "dependency_groups": groups}
        self._environment = self._of(target)
        self._held: dict[str, bool | None] = {}
        self._assumed = {_shown(atom) for marker in environments for atom in re.finditer(_ATOM, marker)}

    def holds(self, marker: str | None) -> bool | None:
        """Whether a marker holds; None where machines of the target differ."""
        if marker is None:
            return True
        if marker not in self._held:  # many packages share one
            self._held[marker] = self._evaluated(marker)
        return self._held[marker]

    def _evaluated(self, marker: str) -> bool | None:
        if "platform_" not in marker:
            return _evaluate(marker, self._environment)
        lower, upper = (_evaluate(self._settled(marker, unknown), self._environment) for unknown in (NO, YES))
        return upper if lower == upper else None

    def _of(self, target: Target, version: str = "") -> dict[str, str | frozenset[str]]:
        found = environment(target, version) if version else environment(target)
        return {**self._chosen, **cast("dict[str, str]", found)}

    @property
    def python(self) -> str:
        """The target's Python, whole ("3.11.9")."""
        return str(self._environment["python_full_version"])

    def allows(self, requires_python: str | None) -> bool:
        """Whether a specifier allows the target's Python."""
        return not requires_python or plain.allows(requires_python, self.python)

    def undecided(self, marker: str) -> str:
        """The part of a marker that machines of the target differ in, "" if there is none."""
        return next((_shown(atom) for atom in re.finditer(_ATOM, marker) if self._known(atom) is None), "")

    def patch_decides(self, marker: str | None) -> bool:
        """Whether another patch release of the target's Python would make a difference to a marker."""
        if marker is None or ("_full_version" not in marker and "implementation_version" not in marker):
            return False
        settled = self._settled(marker, NO)
        versions = (f"{self._target.python}.{patch}" for patch in patches(self._target.python, marker))
        return len({_evaluate(settled, self._of(self._target, version)) for version in versions}) > 1

    def _settled(self, marker: str, unknown: str) -> str:
        """The marker with all that it says of the kernel replaced by yes, no, or ``unknown``."""
        values = {True: YES, False: NO, None: unknown}
        return re.sub(_ATOM, lambda atom: values[self._known(atom)], marker)

    def _known(self, atom: re.Match[str]) -> bool | None:
        if _shown(atom) in self._assumed:
            return True
        if not self._target.system.endswith("-darwin") or atom[1] != "platform_release":
            return None
        return _compared(_darwin(self._macos), atom[2], atom[3][1:-1])


def patches(python: str, text: str) -> tuple[int, ...]:
    """Patch releases of a Python ("3.11") that tell whether a marker or specifier separates two of them."""
    named = re.findall(rf"\b{re.escape(python)}\.(\d{{1,3}})\b", text)
    return tuple(sorted({0, 1, _NEWEST} | {int(patch) + more for patch in named for more in (0, 1)}))


def _compared(lowest: tuple[int, int], operator: str, version: str) -> bool | None:
    """A comparison that holds, or fails, for ``lowest`` and everything above; None if neither."""
    found = re.fullmatch(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.0)*", version)
    if found is None:
        return None
    bound = (int(found[1]), int(found[2] or 0))
    if operator in {">=", "<"} and bound <= lowest:
        return operator == ">="
    if operator in {">", "<=", "==", "!="} and bound < lowest:
        return operator in {">", "!="}
    return None


def _darwin(macos: str) -> tuple[int, int]:
    """The kernel of a macOS: 10.15 has Darwin 19, 11 to 15 have 20 to 24, 26 has 25."""
    major, minor = map(int, macos.split("."))
    if major == 10:  # noqa: PLR2004 -- the last one that counted in its second number
        return (minor + 4, 0)
    return (major + 9 if major < 26 else major - 1, 0)  # noqa: PLR2004 -- macOS took the year's number


def _shown(atom: re.Match[str]) -> str:
    return " ".join(part for part in atom.groups() if part).replace('"', "'")


def _evaluate(marker: str, known: Mapping[str, plain.Value]) -> bool:
    return plain.holds(marker, {**_NOTHING, **known})
