"""What an engine needs to run a fleet, as text: a template each. nixgen schedules nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nixgen import resources
from nixgen.cache import place as places
from nixgen.errors import UserError
from nixgen.fleet.model import Plan
from nixgen.init import cijob
from nixgen.nix.nixtext import to_nix

Engine = Literal["github", "gitlab", "slurm", "kubernetes", "hydra"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def _yaml(value: object) -> str:
    return str(value) if isinstance(value, int) else cijob.scalar(value)


_FILES: dict[Engine, tuple[str, Callable[[object], str]]] = {
    "github": ("fleet.github.yml.j2", _yaml),
    "gitlab": ("fleet.gitlab.yml.j2", _yaml),
    "slurm": ("fleet.slurm.sh.j2", str),
    "kubernetes": ("fleet.kubernetes.yml.j2", _yaml),
    "hydra": ("fleet.hydra.nix.j2", to_nix),
}
"""The template of each, and what makes text of a value for it."""

_WORD = re.compile(r"[A-Za-z0-9_./+@][A-Za-z0-9_./+@-]*")  # means itself to a shell, in YAML and in all engines
_FEATURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_ADDRESS = re.compile(r"[A-Za-z0-9_./:?&=@%+,~-]+")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is rendered: the folders as they are given, how many shards, the cache, what pip installs as nixgen.

    ``feature`` is what these workers' machines have besides, "" for nothing.
    """

    folders: tuple[str, ...]
    system: str
    shards: int
    cache: str
    requirement: str
    feature: str = ""


def fleet(folders: Sequence[str], system: str, shards: int, cache: str | None, requirement: str, feature: str) -> Fleet:
    """The fleet that is asked for. Raises UserError for words that not all of shells, YAML and engines read alike."""
    for folder in folders:
        if not _WORD.fullmatch(folder):
            raise UserError.of(folder, "has characters that an engine may read otherwise", "use a plainer name")
    if feature and not _FEATURE.fullmatch(feature):
        raise UserError.of("--feature", f"{feature!r} is not a feature", "they are words like gpu")
    address = places.parse(cache or "file:///srv/cache").url
    if not _ADDRESS.fullmatch(address):
        raise UserError.of("--cache", "has characters that an engine may read otherwise", "use a plainer address")
    return Fleet(tuple(folders), system, shards, address, requirement, feature)


def render(engine: Engine, what: Fleet) -> str:
    """The engine's file. Raises UserError for a system that it has no machines for."""
    runners = cijob.RUNNERS.get(what.system)
    if engine == "github" and runners is None:
        raise UserError.of("--system", f"GitHub has no machine for {what.system}", "choose another system")
    template, finalize = _FILES[engine]
    return (
        resources.templates(finalize, **cijob.MARKS)
        .get_template(template)
        .render(
            folders=what.folders,
            system=what.system,
            shards=what.shards,
            cache=what.cache,
            requirement=what.requirement,
            feature=what.feature,
            runner=runners[0] if runners else "",
        )
    )


def others(plan: Plan, feature: str) -> list[tuple[str, int]]:
    """Features that units of the plan need, and these workers do not serve; and how many units."""
    needed = [" ".join(unit.features) for unit in plan.units.values() if " ".join(unit.features) != feature]
    return [(name, needed.count(name)) for name in sorted({*needed} - {""})]
