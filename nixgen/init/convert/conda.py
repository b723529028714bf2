"""environment.yml: its ``pip:`` part and its Python are carried over; what comes from conda's channels is told.

A conda package's name is not that of a distribution on an index: some are the same, some are another project by that
name, some are no Python. So none is translated; each is told with what to type where it is the same.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.init.convert import requirements
from nixgen.project.project import read_text

_SPEC = re.compile(r"(?:(?P<channel>[^:\s]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*(?P<version>.*)")
_TOKEN = re.compile(r"/t/[^/\s]+")  # how anaconda's servers take a token
_NO_PACKAGE = {"pip", "setuptools", "wheel", "python_abi"}


def draft(root: Path, name: str) -> requirements.Read:
    """What can be carried over of an environment.yml, as requirements, and notes of all else.

    Raises UserError for what is not an environment file.
    """
    document = _document(read_text(root / name, name), name)
    specs, pip = _dependencies(document, name)
    beside = posixpath.join(posixpath.dirname(name), "pip-of-environment.txt")
    found = requirements.read(root, beside, "".join(f"{line}\n" for line in pip))
    title = document.get("name")
    found.title = title if isinstance(title, str) else ""
    found.notes = [note.replace(f"{beside}:", f"{name}: pip: line ") for note in found.notes]
    notes: list[str] = []
    for spec in specs:
        match = _SPEC.fullmatch(spec.strip())
        if match is not None and match["name"].lower() == "python":
            found.python = _python(match["version"].strip())
            if match["version"] and not found.python:
                notes.append(f"{spec}: say it with requires-python in pyproject.toml")
        elif match is None or match["name"].lower() not in _NO_PACKAGE:
            typed = f": from conda; if an index has the same by this name: {_typed(match)}" if match else ""
            notes.append(f"{spec}{typed}")
    if notes:
        notes.append("what is no Python package (a library, a program) is named in libraries or tools ([tool.nixgen])")
    if channels := [one for one in _texts(document.get("channels")) if one != "nodefaults"]:
        notes.append(f"channels: {', '.join(_TOKEN.sub('/t/***', one) for one in channels)}")
    others = {key: _texts(document.get(key)) for key in ("variables", "platforms")}
    notes += [f"{key}: {', '.join(names)}" for key, names in others.items() if names]
    found.notes[:0] = [f"{name}: {note}" for note in notes]
    return found


def _python(version: str) -> str | None:
    """The Python of ``=3.11``, ``==3.11.4``, ``3.11.*`` and ``>=3.11``; None of what says more."""
    match = re.fullmatch(
        r"[= ]*(3\.\d+)(?:\.(?:\d+|\*))*(?:=\S*)?|>=\s*(3\.\d+)(?:\.\d+)?(?:,\s*<\s*4(?:\.0)*)?", version
    )
    return (match[1] or match[2]) if match else None


def _document(text: str, name: str) -> dict[Any, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- the safest: it makes texts, and no merges
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = " ".join(str(error).split())
        raise UserError.of(name, f"is not YAML that can be read: {what}", "mend that line") from None
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        raise UserError.of(name, "has no list of dependencies, as conda's environment files have", "name another file")
    return document


def _dependencies(document: dict[Any, Any], name: str) -> tuple[list[str], list[str]]:
    """conda's specifications, and the lines for pip."""
    specs: list[str] = []
    pip: list[str] = []
    problems: list[Problem] = []
    for number, entry in enumerate(document["dependencies"]):
        if isinstance(entry, str):
            specs.append(entry)
        elif (
            isinstance(entry, dict)
            and set(entry) == {"pip"}
            and all(isinstance(one, str) for one in _listed(entry["pip"]))
        ):
            pip += _texts(entry["pip"])
        else:
            problems.append(Problem(f"{name}: dependencies[{number}]", "is no package and no list for pip"))
    if problems:
        raise UserError(problems)
    return specs, pip


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 -- any YAML
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    """The texts in a list, or the keys of a mapping."""
    return [one for one in (value if isinstance(value, list | dict) else ()) if isinstance(one, str)]


def _typed(match: re.Match[str]) -> str:
    """``uv add`` with conda's version as PEP 440 has it, where it can be said."""
    return f'uv add "{match["name"].lower()}{_version(match["version"].strip())}"'


def _version(version: str) -> str:
    parts = list(_conditions(version))
    return ",".join(parts) if all(parts) else ""


def _conditions(version: str) -> Iterator[str]:
    if not version or version == "*":
        return
    fuzzy = re.fullmatch(r"(=|==)?\s*([0-9][A-Za-z0-9.!+]*?)(\.\*)?(?:=(?!=)\S*|\s+\S+)?", version)
    if fuzzy is not None:
        exact = fuzzy[1] == "==" or "=" in version.lstrip("=") or fuzzy[1] is None
        yield f"=={fuzzy[2]}" if exact and not fuzzy[3] else f"=={fuzzy[2]}.*"
        return
    for part in version.split(","):
        plain = re.fullmatch(r"\s*(>=|<=|>|<|!=|==|~=)\s*([0-9][A-Za-z0-9.!+]*(?:\.\*)?)\s*", part)
        yield f"{plain[1]}{plain[2]}" if plain else ""
