"""How a name goes on while it is typed: read from the project's files at once, without what commands import.

What cannot be read completes nothing: the command itself says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer  # noqa: TC002 -- typer itself reads the annotations

Names = list[tuple[str, str]]
"""Names with what they are, which zsh and fish show."""

_UNNAMED = re.compile(r"[^A-Za-z0-9_-]")


def tasks(ctx: typer.Context, incomplete: str) -> Names:
    """Tasks, for the first word of what is to be run."""
    if ctx.params.get("command") or ctx.params.get("service"):
        return []
    found = _table(_nixgen(ctx).get("tasks"))
    described = {name: _said(task, "description") or _said(task, "cmd") for name, task in found.items()}
    return _matching(incomplete, {name: text or _text(found[name]) or "task" for name, text in described.items()})


def environments(ctx: typer.Context, incomplete: str) -> Names:
    """Environments of the project, those of its scripts included."""
    settings = _nixgen(ctx)
    listed = settings.get("scripts")
    scripts = [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []
    found = dict.fromkeys(_table(settings.get("environments")), "environment")
    return _matching(incomplete, found | {_UNNAMED.sub("-", Path(path).stem): path for path in scripts})


def services(ctx: typer.Context, incomplete: str) -> Names:
    """Services of models.toml."""
    return _matching(incomplete, _artifacts(ctx, "services"))


def artifacts(ctx: typer.Context, incomplete: str) -> Names:
    """Models and data, as ``nixgen verify`` and ``nixgen lock`` are given them."""
    data = {f"data.{name}": text for name, text in _artifacts(ctx, "data").items()}
    return _matching(incomplete, _artifacts(ctx, "models") | data, ctx.params.get("names"))


def of_kind(ctx: typer.Context, incomplete: str) -> Names:
    """Models for ``nixgen model``, datasets for ``nixgen data``; ``add`` is given a new name."""
    if ctx.info_name == "add":
        return []
    kind = "data" if ctx.parent is not None and ctx.parent.info_name == "data" else "models"
    return _matching(incomplete, _artifacts(ctx, kind), ctx.params.get("names"))


def images(ctx: typer.Context, incomplete: str) -> Names:
    """What an image can be of: as ``--service``, ``--env`` and ``--model`` say, else all."""
    asked = [kind for kind in ("service", "env", "model") if ctx.params.get(kind)] or [""]
    every = {
        "service": _artifacts(ctx, "services"),
        "env": dict(environments(ctx, "")),
        "model": _artifacts(ctx, "models"),
    }
    return _matching(incomplete, {name: text for kind in asked for name, text in _some(every, kind)})


def published(ctx: typer.Context, incomplete: str) -> Names:
    """Models in the project's own registry; behind an @ their versions and aliases."""
    from nixgen.project.names import normalized

    project = normalized(_said(_read(ctx, "pyproject.toml").get("project"), "name"))
    root = _root(ctx, "pyproject.toml")
    if root is None or not project:
        return []
    folder = root / str(ctx.params.get("registry") or "registry") / project
    name, at, _ = incomplete.partition("@")
    if at:
        return _matching(incomplete, {f"{name}@{one}": "version or alias" for one in _names(folder / Path(name).name)})
    return _matching(incomplete, dict.fromkeys(_names(folder), "model"), ctx.params.get("names"))


def kernels(ctx: typer.Context, incomplete: str) -> Names:
    """Kernels that nixgen wrote for this user."""
    from nixgen.local.kernels import known

    return _matching(incomplete, {one.name: one.title for one in known()}, ctx.params.get("names"))


def _some(every: Mapping[str, Mapping[str, str]], kind: str) -> Iterator[tuple[str, str]]:
    for one in [kind] if kind else every:
        yield from every[one].items()


def _matching(incomplete: str, names: Mapping[str, str], given: Iterable[str] | None = None) -> Names:
    taken = {*(given or ())}
    return [(name, text) for name, text in names.items() if name.startswith(incomplete) and name not in taken]


def _names(place: Path) -> list[str]:
    try:
        return sorted(one.name for one in place.iterdir() if one.name[:1] != ".")
    except OSError:
        return []


def _root(ctx: typer.Context, file: str) -> Path | None:
    """The nearest folder, from the project that was named upwards, that has a file."""
    start = Path(ctx.params.get("project") or "").absolute()
    return next((folder for folder in (start, *start.parents) if (folder / file).is_file()), None)


def _nixgen(ctx: typer.Context) -> Mapping[str, Any]:
    """The table tool.nixgen of the nearest pyproject.toml."""
    return _table(_table(_read(ctx, "pyproject.toml").get("tool")).get("nixgen"))


def _artifacts(ctx: typer.Context, kind: str) -> dict[str, str]:
    """The names of a kind in models.toml."""
    found = _table(_read(ctx, "models.toml").get(kind))
    return {name: _said(spec, "source") or _said(spec, "command") or kind for name, spec in found.items()}


def _read(ctx: typer.Context, file: str) -> Mapping[str, Any]:
    from nixgen.formats import toml

    root = _root(ctx, file)
    try:
        return toml.loads((root / file).read_text("utf-8")) if root is not None else {}
    except (OSError, ValueError):  # toml.TomlError and what is no text are ValueErrors
        return {}


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _said(spec: object, key: str) -> str:
    return _text(_table(spec).get(key))


def _text(value: object) -> str:
    return value.partition("\n")[0] if isinstance(value, str) else ""
