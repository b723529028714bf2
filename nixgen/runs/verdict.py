"""Whether a run was reproduced: what came out of two runs, compared; and what differs, the first cause first.

Nothing is read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nixgen.errors import UserError
from nixgen.runs import diff
from nixgen.runs.diff import Difference
from nixgen.runs.model import Output, Run

Verdict = Literal["bytes", "metrics", "differs"]
VERDICTS: tuple[Verdict, ...] = ("bytes", "metrics", "differs")
"""The best one first."""

SAID = {"bytes": "same bytes", "metrics": "same metrics within tolerance", "differs": "differs"}

SEED = "NIXGEN_SEED"
"""The variable that a seed is given in again, also one that the program drew by itself and the record has."""

_GIVEN = {"data", "models", "config", "environment", "seeds", "variables"}

Where = Callable[[Output, Output], str]
"""In words, where two files of the same path first differ; "" where that cannot be known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and what differs: inputs, how the command ended, outputs, metrics."""

    verdict: Verdict
    differences: tuple[Difference, ...]


def judge(old: Run, new: Run, tolerance: Mapping[str, float], where: Where) -> Judged:
    """What the run ``new``, which was to be as ``old``, came to.

    The same bytes: every output, and every metric, is the same. The same metrics: every metric differs by no more than
    its tolerance (none: not at all), and the same files came out, with any content.
    """
    own = replace(
        new,
        models={name: one for name, one in new.models.items() if name in old.models},
        data={name: one for name, one in new.data.items() if name in old.data},
        variables={name: one for name, one in new.variables.items() if name != SEED or name in old.variables},
    )
    differences = [one for one in diff.diff(old, own).differences if one.kind in {*_GIVEN, "status"}]
    ended = old.exit == new.exit and old.status == new.status
    first, second = ({one.path: one for one in run.outputs} for run in (old, new))
    for path in sorted(first.keys() | second.keys()):
        was, now = first.get(path), second.get(path)
        if was is None or now is None:
            texts = ("not there" if one is None else f"{one.size} bytes" for one in (was, now))
            differences.append(Difference("outputs", path, *texts))
        elif was.sha256 != now.sha256:
            at = where(was, now)
            name = f"{path}, {at}" if at else path
            differences.append(Difference("outputs", name, was.sha256[:12], now.sha256[:12]))
    equal = all(path in second and one.sha256 == second[path].sha256 for path, one in first.items())
    far = [name for name in sorted(old.metrics.keys() | new.metrics.keys()) if not _near(name, old, new, tolerance)]
    for name in far:
        texts = (repr(side.metrics[name]) if name in side.metrics else diff.NOTHING for side in (old, new))
        differences.append(Difference("metrics", name, *texts))
    if not ended or far or first.keys() != second.keys():
        return Judged("differs", tuple(differences))
    if equal and first and all(diff.same(value, new.metrics[name]) for name, value in old.metrics.items()):
        return Judged("bytes", tuple(differences))
    return Judged("metrics" if old.metrics else "differs", tuple(differences))


def tolerances(given: list[str], run: Run) -> dict[str, float]:
    """Of ``NAME=VALUE``: by how much a metric may differ. Raises UserError with all that is wrong."""
    found: dict[str, float] = {}
    problems = []
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not name or not 0 <= value < math.inf:
            problems.append(UserError.of(f"--tolerance {text}", "is not NAME=VALUE", "write it like auc=1e-6"))
        elif name not in run.metrics:
            known = ", ".join(run.metrics) or "none"
            problems.append(UserError.of(f"--tolerance {text}", f"the run has no metric {name}", f"it has {known}"))
        else:
            found[name] = value
    if problems:
        raise UserError(problem for error in problems for problem in error.problems)
    return found


def _near(name: str, old: Run, new: Run, tolerance: Mapping[str, float]) -> bool:
    """Whether a metric is near enough. What is missing or not a number never is."""
    if name not in old.metrics or name not in new.metrics:
        return False
    first, second = old.metrics[name], new.metrics[name]
    return diff.same(first, second) or abs(first - second) <= tolerance.get(name, 0)
