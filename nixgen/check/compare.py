"""What differs between two records of one system. Pure: records in, differences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nixgen.check.model import BaseInput, ClosurePath, Inputs, Recipe, SystemRecord


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One input that changed. ``where`` is its name ("wheels.numpy"), ``key`` what of it; "" stands for absent.

    ``key`` is "" for all of an input that only one side has.
    """

    where: str
    key: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, order=True)
class RecipeChange:
    """An output whose derivation is another one, or that only one side has (the other is None)."""

    name: str
    old: Recipe | None
    new: Recipe | None

    @property
    def same_path(self) -> bool:
        """Whether the output's path is the same all the same: only how something is fetched can differ then."""
        return self.old is not None and self.new is not None and self.old.out == self.new.out


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two records of one system.

    ``inputs`` are sorted by kind: what tells most comes first. ``paths`` are those with one name and other contents
    (hash, size or references), dependencies first; ``added`` and ``removed`` those of only one closure.
    """

    inputs: tuple[Change, ...]
    recipes: tuple[RecipeChange, ...]
    paths: tuple[tuple[ClosurePath, ClosurePath], ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    shared: int
    sizes: tuple[int, int]

    @property
    def same_bytes(self) -> bool:
        """Whether both closures have the same paths with the same contents."""
        return not (self.paths or self.added or self.removed)


def compare(old: SystemRecord, new: SystemRecord) -> Comparison:
    """What differs; facts about the builder are not compared."""
    return Comparison(
        inputs=tuple(input_changes(old.inputs, new.inputs)),
        recipes=recipe_changes(old.outputs, new.outputs),
        paths=path_changes(old.closure, new.closure),
        added=tuple(sorted(new.closure.keys() - old.closure.keys())),
        removed=tuple(sorted(old.closure.keys() - new.closure.keys())),
        shared=len(old.closure.keys() & new.closure.keys()),
        sizes=(size(old.closure), size(new.closure)),
    )


def input_changes(old: Inputs, new: Inputs) -> Iterator[Change]:
    """The inputs that differ: wheels, models and data, the base, nixgen's library, the project, then the lock files."""
    yield from _named("wheels", old.wheels, new.wheels, ("version", "file", "sha256"))
    yield from _named("", old.artifacts, new.artifacts, ("commit", "digest"))
    yield from _base(old.base, new.base)
    if old.library != new.library:
        yield Change("nixgen's library", "NAR hash", old.library, new.library)
    if old.project != new.project:
        yield Change("the project's own packages, services or settings", "SHA-256", old.project, new.project)
    for name in sorted({*old.files, *new.files}):
        if old.files.get(name) != new.files.get(name):
            yield Change(name, "SHA-256", old.files.get(name, ""), new.files.get(name, ""))


def recipe_changes(old: Mapping[str, Recipe], new: Mapping[str, Recipe]) -> tuple[RecipeChange, ...]:
    """The outputs whose derivation differs, by name."""
    return tuple(
        RecipeChange(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def path_changes(
    old: Mapping[str, ClosurePath], new: Mapping[str, ClosurePath]
) -> tuple[tuple[ClosurePath, ClosurePath], ...]:
    """The paths that both have with other contents, in dependency order: what the first has wrong, others inherit."""
    return tuple((old[name], new[name]) for name in in_order(new) if name in old and old[name] != new[name])


def in_order(closure: Mapping[str, ClosurePath]) -> list[str]:
    """The names of a closure, each behind all that it refers to; by name where nothing else decides."""
    done: dict[str, None] = {}
    for start in sorted(closure):
        stack = [(start, iter(_references(closure, start)))]
        entered = {start}
        while stack:
            name, rest = stack[-1]
            following = next((each for each in rest if each not in done and each not in entered), None)
            if following is None:
                done.setdefault(name)
                stack.pop()
            else:
                entered.add(following)
                stack.append((following, iter(_references(closure, following))))
    return list(done)


def size(closure: Mapping[str, ClosurePath]) -> int:
    """The bytes of a closure, as NARs."""
    return sum(path.nar_size for path in closure.values())


def _references(closure: Mapping[str, ClosurePath], name: str) -> list[str]:
    return sorted(reference for reference in closure[name].references if reference in closure)


def _named(
    prefix: str, old: Mapping[str, object], new: Mapping[str, object], keys: tuple[str, ...]
) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        where = f"{prefix}.{name}" if prefix else name
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield Change(where, "", _text(before, keys[0]), _text(after, keys[0]))
            continue
        for key in keys:
            if getattr(before, key) != getattr(after, key):
                yield Change(where, key, _text(before, key), _text(after, key))


def _base(old: BaseInput, new: BaseInput) -> Iterator[Change]:
    known = False
    for key in ("kind", "name", "python"):
        if getattr(old, key) != getattr(new, key):
            yield Change("base", key, getattr(old, key), getattr(new, key))
    for name in sorted({*old.packages, *new.packages}):
        before, after = old.packages.get(name, ""), new.packages.get(name, "")
        if before != after:
            known = True
            yield Change(f"base.{name}", "version" if before and after else "", before, after)
    if old.digest != new.digest and not known:
        yield Change("base", "pin", old.digest, new.digest)


def _text(entry: object, key: str) -> str:
    """The value of an entry's key; what is there without one says so, since "" means that it is not there."""
    return "" if entry is None else str(getattr(entry, key) or "none")
