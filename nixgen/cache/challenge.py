"""``nixgen cache challenge``: builds a sample of a cache's paths here, and compares the bytes with the cache's."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Literal

from nixgen import console
from nixgen.cache import contents
from nixgen.cache.anomalies import Held
from nixgen.cache.contents import Contents
from nixgen.cache.narinfo import base
from nixgen.cache.pinning import Trust
from nixgen.cache.place import Place
from nixgen.cache.verify import entries
from nixgen.check.leftovers import remove
from nixgen.check.model import FileDifference, Recipe
from nixgen.check.progress import Counter
from nixgen.check.rebuild import Choice, Rebuilt, choose, rebuild_all
from nixgen.errors import Finding, MachineError, NixgenError, Problem
from nixgen.log.log import Log
from nixgen.log.stores.opening import open_storage
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix, PathInfo

Answer = Literal["identical", "differs", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rebuild said of one output of the cache. ``why`` is a clause, ``files`` what differs as far as known."""

    output: str
    path: str
    answer: Answer
    why: str
    files: tuple[FileDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The verdicts of a sample; ``seed`` repeats it, None where all outputs were taken."""

    url: str
    verdicts: tuple[Verdict, ...]
    seed: int | None = field(default=None)

    def error(self) -> NixgenError | None:
        """What to exit with: a Finding when something differs, a MachineError when nothing could be compared."""
        worse = [verdict for verdict in self.verdicts if verdict.answer == "differs"]
        if worse:
            return Finding(
                Problem(verdict.path, f"differs: {verdict.why}" + "".join(map(_shown, verdict.files)))
                for verdict in worse
            )
        if not any(verdict.answer == "identical" for verdict in self.verdicts):
            whys = sorted({verdict.why for verdict in self.verdicts}) or [
                "none of the outputs was ever published there"
            ]
            return MachineError.of(self.url, f"nothing could be compared: {'; '.join(whys)}")
        return None

    def text(self) -> str:
        """A line for each output, and how to have the same sample again."""
        rows = [[verdict.answer, verdict.output, verdict.path, verdict.why] for verdict in self.verdicts]
        lines = console.table(rows, indent="")
        if self.seed is not None:
            lines.append(f"To repeat this sample: --sample {len(self.verdicts)} --seed {self.seed}")
        return "\n".join(lines)

    def json(self) -> str:
        """The verdicts as JSON, version 1."""
        rows = [
            {
                "output": verdict.output,
                "path": verdict.path,
                "verdict": verdict.answer,
                "why": verdict.why,
                "files": [
                    {"path": file.path, "change": file.change, "detail": file.detail, "causes": list(file.causes)}
                    for file in verdict.files
                ],
            }
            for verdict in self.verdicts
        ]
        return json.dumps({"version": 1, "url": self.url, "seed": self.seed, "verdicts": rows}, indent=2)


def _shown(file: FileDifference) -> str:
    causes = "".join(f"\n        {cause}" for cause in file.causes)
    return f"\n    {file.path or '.'}: {file.change}{f', {file.detail}' if file.detail else ''}{causes}"


def challenge(
    place: Place,
    trust: Trust,
    recipes: Mapping[str, Recipe],
    wanted: Sequence[str],
    sample: int | None = None,
    seed: int | None = None,
) -> Challenge:
    """Builds outputs here, a second time where they are there already, and compares them with the cache's NARs.

    Without ``wanted``, of those outputs that the cache ever had: what only builds others is not published.
    Raises LogFinding for a log that is not what it was, BuildFailed, MachineError.
    """
    with console.step(f"reading the log of {place.url}"):
        logged = entries(Log.open(open_storage(place.log), trust.verifier, trust.known))
    published = {name: recipe for name, recipe in recipes.items() if base(recipe.out) in logged}
    choice: Choice = choose(recipes, wanted, sample, seed) if wanted else choose(published, ["all"], sample, seed)
    chosen = {name: recipes[name] for name in choice.names}
    cache = contents.open_contents(place)
    seen = dict(zip(chosen, map(_short, cache.look(base(recipe.out) for recipe in chosen.values())), strict=True))
    held = {name: recipe for name, recipe in chosen.items() if seen[name].info is not None}
    nix = Nix.here()
    nix.realise([recipe.drv for recipe in held.values()], shown("building"))
    rebuilt = {result.verdict.name: result for result in rebuild_all(nix, held)}
    infos = nix.infos(recipe.out for recipe in held.values())
    sizes = {base(info.path): info.nar_size for info in infos.values()}
    sizes |= {name: max(sizes.get(name, 0), *(entry.nar_size for entry in said)) for name, said in logged.items()}
    count, show = itertools.count(1), Counter("hashed")
    read = contents.nars(cache, seen.values(), sizes, lambda item: show(next(count), len(seen), item.name))
    seen = dict(zip(seen, read, strict=True))
    verdicts = []
    for name, recipe in chosen.items():
        item = seen[name]
        said = logged.get(item.name)
        if name in rebuilt:
            verdicts.append(_verdict(name, item, infos[recipe.out], rebuilt[name], nix, cache))
        elif item.unread:
            verdicts.append(Verdict(name, item.name, "inconclusive", f"its narinfo cannot be read: {item.unread}"))
        elif item.why:
            verdicts.append(Verdict(name, item.name, "differs", f"the cache has a narinfo that {item.why}"))
        else:
            where = "it was logged, and the cache does not have it any more" if said else "the cache does not have it"
            verdicts.append(Verdict(name, item.name, "inconclusive", where))
    return Challenge(place.url, tuple(verdicts), choice.seed)


def _short(item: Held) -> Held:
    """Without what a cache could make long."""
    return item if item.info is None else replace(item, info=replace(item.info, references=(), signatures=()))


def _verdict(name: str, item: Held, info: PathInfo, rebuilt: Rebuilt, nix: Nix, cache: Contents) -> Verdict:
    """What two builds and the cache's NAR say together."""
    nar, again = item.nar, rebuilt.verdict
    answer: Answer = "differs"
    files: tuple[FileDifference, ...] = ()
    if nar is None or nar.lost:
        answer, why = "inconclusive", "the cache has no NAR of it any more"
    elif nar.unread:
        answer, why = "inconclusive", f"the cache's NAR cannot be read: {nar.unread}"
    elif nar.why:
        why = f"the cache has a NAR that {nar.why}"
    elif again.verdict == "inconclusive":
        answer, why = "inconclusive", again.why
    elif again.verdict == "differs":
        files = rebuilt.difference.files if rebuilt.difference else ()
        # What is here may have come from the cache: then there was one build here, not two.
        here = "a build here gave different bytes from the cache has"
        why = here if nar.nar_hash == info.nar_hash and not info.ultimate else "two builds here differ from each other"
    elif nar.nar_hash == info.nar_hash:
        answer, why = "identical", f"built here, too, with NAR hash {nar.nar_hash}"
    else:
        why = f"the cache has NAR hash {nar.nar_hash}, what was built here has {info.nar_hash}"
        files = _files(nix, cache, item, info)
    return Verdict(name, item.name, answer, why, files)


def _files(nix: Nix, cache: Contents, item: Held, info: PathInfo) -> tuple[FileDifference, ...]:
    """What differs between the cache's NAR and the path here."""
    from nixgen.check.explain.trees import explain

    ours = nix.physical(info.path)
    if ours is None or item.info is None:
        return ()
    folder = Path(tempfile.mkdtemp(prefix="nixgen-challenge-"))
    theirs = folder / "nar"
    try:
        with Popen(
            nix.command("nix-store", "--restore", theirs), stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL
        ) as process:
            assert process.stdin is not None  # noqa: S101 -- it is a pipe
            try:
                for chunk in cache.nix.dump(item.info.path):
                    process.stdin.write(chunk)
            except BrokenPipeError:
                return ()  # no NAR at all: its hash says that it differs, and there are no files to compare
            finally:
                process.stdin.close()
            if process.wait() != 0:
                return ()
        return explain(theirs, ours)
    finally:
        remove(folder)  # what Nix unpacks is read-only
