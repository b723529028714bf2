"""What every source is given: the project, what keeps files, and a place for progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nixgen.artifacts.http.transfer import Wanted, read
from nixgen.artifacts.progress import Progress
from nixgen.artifacts.store import Found, Holder, Store
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine.download import Opener
from nixgen.registry.known import Registries

AT_ONCE = 8
_LARGE = 8 << 20  # bytes
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Context:
    """How sources work: ``root`` is the project's folder, ``holder`` what keeps the files that are read.

    Without a holder files are read for their hash and forgotten. ``offline`` refuses what needs a network.
    ``upgrade`` asks anew what a revision means. ``command`` is what a sentence tells to run again ("nixgen sync").
    ``registries`` are those of models that the project knows; None where nothing is resolved.
    """

    root: Path
    holder: Holder | None = field(default_factory=Store.here)
    offline: bool = False
    upgrade: bool = False
    command: str = "nixgen sync"
    registries: Registries | None = None

    def read_all(
        self, files: Sequence[tuple[Wanted, str]], client: Opener, title: str, look: Callable[[Path], object] = hash
    ) -> list[Found]:
        """Reads files, some at a time, each with the name that it gets in the store; they end in the holder.

        ``look`` sees each file, in any thread, before it is handed over; not where nothing is kept. Raises every
        problem that was found, not only the first. A large file that was read stays, and is not read again.
        """
        scratch = self.holder.scratch() if self.holder else None
        sizes = [wanted.size for wanted, _ in files]
        total = sum(size or 0 for size in sizes) if None not in sizes else None
        with Progress(title, len(files), total) as progress:

            def one(file: tuple[Wanted, str]) -> Found:
                found = read(file[0], client, scratch, progress.bytes)
                progress.file()
                if found.path is not None:
                    look(found.path)
                # A large file is handed over at once, and needs its room on the disk only once.
                return self.hold([found], [file[1]])[0] if found.size >= _LARGE else found

            try:
                found = together(one, files)
            finally:
                client.close()
        small = [index for index, item in enumerate(found) if item.size < _LARGE]
        held = self.hold([found[index] for index in small], [files[index][1] for index in small])
        for index, item in zip(small, held, strict=True):
            found[index] = item
        return found

    def hold(self, found: Sequence[Found], names: Sequence[str]) -> list[Found]:
        """Hands files to the holder, each under its name; says where they are now."""
        if self.holder is None:
            return list(found)
        rows = {
            (item.path, name, item.sha256): None
            for item, name in zip(found, names, strict=True)
            if item.path is not None
        }
        places = dict(zip(rows, self.holder.add(list(rows)), strict=True))
        return [
            item if item.path is None else Found(places[item.path, name, item.sha256], item.sha256, item.size)
            for item, name in zip(found, names, strict=True)
        ]


def together(do: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = AT_ONCE) -> list[_Result]:
    """The results of a function for each item, some at a time, in order. Raises the problems of all that failed."""

    def one(item: _Item) -> _Result | NixgenError:
        try:
            return do(item)
        except NixgenError as error:
            return error

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        results = list(pool.map(one, items))
    errors = [result for result in results if isinstance(result, NixgenError)]
    if errors:
        problems: Mapping[Problem, None] = dict.fromkeys(problem for error in errors for problem in error.problems)
        kind = UserError if any(isinstance(error, UserError) for error in errors) else MachineError
        raise kind(problems)
    return [result for result in results if not isinstance(result, NixgenError)]
