"""What a plan is, for people."""

from __future__ import annotations

from nixgen import console
from nixgen.fleet.model import STAGES, Plan, total

_LARGEST = 5  # of each stage that are shown


def table(plan: Plan) -> str:
    """The stages with how much each is, and what of it takes longest."""
    units = list(plan.units.values())
    rows = [("", "derivations", "size", "estimate")]
    for stage in STAGES:
        some = [unit for unit in units if unit.stage == stage]
        rows.append((stage, str(len(some)), console.size(sum(unit.size for unit in some)), seconds(total(some))))
        some = sorted(some, key=lambda unit: (-unit.cost, unit.name))
        shown = len(some) if len(some) == _LARGEST + 1 else _LARGEST  # one is no shorter as "1 more"
        for unit in some[:shown]:
            features = f" ({', '.join(unit.features)})" if unit.features else ""
            name = f"  {unit.name.partition('-')[2]}{features}"
            rows.append((name, "", console.size(unit.size), seconds(unit.cost)))
        if rest := some[shown:]:
            sizes = console.size(sum(unit.size for unit in rest))
            rows.append((f"  {len(rest)} more", "", sizes, seconds(total(rest))))
    needed = sum(1 + len(one.base) + len(one.wheels) for one in plan.members)
    rows.append(("all", str(len(units)), console.size(sum(unit.size for unit in units)), seconds(total(units))))
    count = f"{len(plan.members)} project{'' if len(plan.members) == 1 else 's'}"
    shared = f"{count}, which name {needed} derivations, {needed - len(units)} of them more than once"
    lines = console.table(rows, right=frozenset({1, 2, 3}), indent="", width=console.width())
    return "\n".join([*lines, shared])


def seconds(value: float) -> str:
    """Processor time for people: "12 s", "3.4 min", "5.0 h"."""
    minute, hour = 60, 3600
    if value < minute:
        return f"{value:.1f} s"
    return f"{value / minute:.1f} min" if value < hour else f"{value / hour:.1f} h"
