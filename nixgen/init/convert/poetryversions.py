"""Poetry's version constraints as PEP 440 has them: https://python-poetry.org/docs/dependency-specification/."""

from __future__ import annotations

import re

_RELEASE = re.compile(
    r"v?(\d+(?:\.\d+)*)((?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|post|dev)[-_.]?\d*)*)", re.IGNORECASE
)
_OPERATOR = re.compile(r"(\^|~=|~|>=|<=|==|!=|===|>|<|=)?\s*(\S+)")
_BETWEEN = re.compile(r"(?<=[^<>=~^!,|\s])\s*(?:,|\s)\s*(?=[<>=~^!*\dv])")


def pep440(constraint: str) -> str | None:
    """The specifier ("" for any version); None for one that PEP 440 cannot say: a union (``||``), or no version."""
    text = constraint.strip()
    if "|" in text:
        parts = {pep440(part) for part in re.split(r"\s*\|\|?\s*", text)}
        return "" if "" in parts else parts.pop() if len(parts) == 1 else None
    found = [_one(part) for part in _BETWEEN.split(text) if part.strip()]
    return None if None in found else ",".join(filter(None, map(str, found)))


def _one(part: str) -> str | None:
    """One condition."""
    match = _OPERATOR.fullmatch(part.strip())
    if part == "*" or match is None:
        return "" if match else None
    operator, version = match[1] or "", match[2]
    if operator in {"", "=", "==", "!="} and re.fullmatch(r"v?\d+(\.\d+)*\.\*", version):
        return f"{'!=' if operator == '!=' else '=='}{version.removeprefix('v')}"
    release = _RELEASE.fullmatch(version.split("+")[0])
    if release is None:
        return None
    numbers, version = [int(one) for one in release[1].split(".")], version.removeprefix("v")
    if operator == "^":
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return f">={version},<{_next(numbers, place)}"
    if operator == "~":
        return f">={version},<{_next(numbers, min(1, len(numbers) - 1))}"
    return f"{'==' if operator in {'', '='} else operator}{version}"


def _next(numbers: list[int], place: int) -> str:
    """The release from which on the number at ``place`` is a greater one: 1.3.0 for 1.2.5 and 1."""
    raised = [*numbers[:place], numbers[place] + 1]
    return ".".join(map(str, raised + [0] * (max(2, len(numbers)) - len(raised))))


def marker_of_python(constraint: str) -> str | None:
    """The marker of a dependency's ``python``; "" for any, None for what no marker says."""
    alternatives = []
    for part in re.split(r"\s*\|\|?\s*", constraint.strip()):
        specifier = pep440(part)
        if specifier is None:
            return None
        if not specifier:
            return ""
        alternatives.append(" and ".join(_python(one) for one in specifier.split(",")))
    return alternatives[0] if len(alternatives) == 1 else " or ".join(f"({one})" for one in alternatives)


def _python(condition: str) -> str:
    version = condition.lstrip("<>=!~")
    operator = condition.removesuffix(version)
    plain = version.removesuffix(".*")
    parts = plain.split(".")
    if operator in {"==", "!="} and (version.endswith(".*") or len(parts) == 2):  # noqa: PLR2004 -- 3.11
        if len(parts) == 2:  # noqa: PLR2004
            return f"python_version {operator} '{plain}'"
        return f"python_full_version {operator} '{version}'"
    while len(parts) > 2 and parts[-1] == "0":  # noqa: PLR2004 -- 4.0.0
        parts.pop()
    name = "python_version" if len(parts) <= 2 and operator in {">=", "<"} else "python_full_version"  # noqa: PLR2004
    return f"{name} {operator} '" + ".".join(parts) + "'"
