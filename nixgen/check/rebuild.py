"""Builds derivations once more and has Nix compare the bytes with those of the first build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixgen.check.model import Difference, PathVerdict, Recipe

if TYPE_CHECKING:
    from nixgen.nixtools import Nix


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What building one derivation once more gave; ``difference`` where the bytes were others."""

    verdict: PathVerdict
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which outputs are to be rebuilt, by name, in order. ``seed`` repeats a sample; None where all were taken."""

    names: tuple[str, ...]
    seed: int | None = None


def choose(
    recipes: Mapping[str, Recipe], wanted: Sequence[str], sample: int | None = None, seed: int | None = None
) -> Choice:
    """The outputs that ``--rebuild WANTED --sample N`` means: "all", "env", or names as the record has them.

    A wheel's or artifact's own name will do where it is the only one ("numpy" for "wheels.numpy"). Raises UserError for
    an unknown name, with the nearest one.
    """
    raise NotImplementedError


def rebuild_all(
    nix: Nix, recipes: Mapping[str, Recipe], progress: Callable[[int, int, str], None] | None = None
) -> tuple[Rebuilt, ...]:
    """Rebuilds each of the outputs by name, one derivation a call, as many calls at once as there are processors.

    The store is left as it was, also when this is interrupted. ``progress`` is told how many are done, how many there
    are, and the name of the one that was done last; None shows it on stderr.
    """
    raise NotImplementedError
