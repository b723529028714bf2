"""What a build lacks, out of an archive or a snapshot of Debian's, where its own address fails.

A fixed-output path depends on its name and hash alone (Nix manual, "Store path specification"): what is added to the
store with ``nix-store --add-fixed`` is what the derivation would have fetched, and Nix compares it once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from nixgen import console
from nixgen.archive import sources
from nixgen.archive.copying import LARGEST, hashed
from nixgen.archive.sources import Source
from nixgen.errors import BuildFailed, MachineError, NixgenError
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage
from nixgen.machine import folders, process, scratch
from nixgen.nix.failures import Advise, Owner
from nixgen.nix.tools import Nix, Progress

_AT_ONCE = 8
_POOL = re.compile(r"/(pool/[^?#]+\.deb)\Z")
_Pieces = Callable[[], AbstractContextManager[Iterator[bytes] | None]]


def realise(  # noqa: PLR0913 -- what Nix.realise has, and where else to look
    nix: Nix,
    drvs: Sequence[str],
    progress: Progress | None,
    keep: Path,
    *,
    owners: Mapping[str, Owner],
    advise: Advise | None,
    archives: Callable[[], Archives],
) -> None:
    """As :meth:`Nix.realise`; where that fails, what the store lacks is looked for in archives, and it tries again."""
    try:
        nix.realise(drvs, progress, keep, owners, advise)
    except (BuildFailed, MachineError):
        if not archives().take(nix, drvs):
            raise
        nix.realise(drvs, progress, keep, owners, advise)


@dataclass(frozen=True)
class Archives:
    """Where else a project's files are: archives and snapshots by their addresses; ``sizes`` by SHA-256, as locks say.

    ``snapshots`` are archives of Debian as they were at some time: addresses that ``pool/…`` is below.
    """

    addresses: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict, repr=False)
    _silent: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """Servers that were not reached: where there is no network, nobody waits for each file anew."""

    def take(self, nix: Nix, drvs: Sequence[str]) -> int:
        """Adds to the store what it lacks of the derivations' sources and what is here; how many files that were."""
        if not (self.addresses or self.snapshots):
            return 0
        wanted = list({one.out: one for one in sources.of(nix, drvs)}.values())
        held = nix.infos(one.out for one in wanted)
        missing = [one for one in wanted if one.out not in held]
        if not missing:
            return 0
        with (
            console.step(f"looking for {len(missing)} files in archives"),
            ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool,
        ):
            found = [where for where in pool.map(lambda one: self._one(nix, one), missing) if where]
        for where in dict.fromkeys(found):
            count = found.count(where)
            files = "file is" if count == 1 else "files are"
            console.info(f"{count} {files} from {where}: the original address failed, or was not reached")
        return len(found)

    def _one(self, nix: Nix, source: Source) -> str:
        """Where it was taken from, "" for nowhere."""
        for where, pieces in self._places(source):
            server = urlsplit(where).netloc or where
            if server in self._silent:
                continue
            try:
                if self._taken(nix, source, where, pieces):
                    return where
            except NixgenError as error:
                console.detail(str(error))
                if isinstance(error, MachineError):
                    self._silent.add(server)
        return ""

    def _places(self, source: Source) -> Iterator[tuple[str, _Pieces]]:
        for store in self._stores:
            yield store.where, lambda store=store: store.stream(source.place)  # type: ignore[misc]
        pool = _POOL.search(source.url)
        for store in self._copies if pool else ():
            yield store.where, lambda store=store: store.stream(pool[1])  # type: ignore[misc, index]

    def _taken(self, nix: Nix, source: Source, where: str, pieces: _Pieces) -> bool:
        """Whether it is in the store now. Other bytes than the hash says are a warning: somebody should know."""
        with ExitStack() as stack:
            given = stack.enter_context(pieces())
            if given is None:
                return False
            made = stack.enter_context(scratch.folder(folders.cache("archive")))
            got = made / ("nar" if source.tree else source.name)
            try:
                with got.open("wb") as file:
                    sha256, size = hashed(given, self.sizes.get(source.sha256, LARGEST), file.write)
            except OSError as error:
                raise MachineError.of(str(got), f"cannot be written: {error.strerror}", "make room") from None
            if sha256 != source.sha256:
                console.warn(f"{where} has other bytes for {source.name}, {size} of them read: not taken")
                return False
            if source.tree:
                restored = process.piped(["cat", str(got)], nix.command("nix-store", "--restore", made / source.name))
                if restored.code:
                    raise process.failure(restored)
            form = ("--recursive",) if source.tree else ()
            added = nix.run("nix-store", "--add-fixed", *form, "sha256", made / source.name).out.strip()
            return added == source.out

    @cached_property
    def _stores(self) -> tuple[Storage, ...]:
        return tuple(open_storage(address, own=False) for address in self.addresses)

    @cached_property
    def _copies(self) -> tuple[Storage, ...]:
        return tuple(open_storage(address) for address in self.snapshots)
