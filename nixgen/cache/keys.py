"""The keys of a cache: Nix's own, which signs paths, and the log's. Each has a secret half that stays in its folder.

The folder is that of the log's key, with two files more: ``cache.sec``, which Nix makes, and ``cache.pub``.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from nixgen.cache.narinfo import PublicKey
from nixgen.log import keys
from nixgen.log.note import Signer, Verifier
from nixgen.nix.tools import Nix

CACHE = "cache.sec"
CACHE_PUBLIC = "cache.pub"
MAKE = "make keys: nixgen cache keygen"


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder of keys, read. ``secret`` is the file of Nix's secret key: only its name is ever handed on."""

    folder: Path
    secret: Path
    public: PublicKey
    signer: Signer = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """The public half of the log's key."""
        return self.signer.verifier


def make(name: str, folder: Path) -> Keys:
    """Makes both keys in ``folder``, all or nothing. Nix makes its own.

    Raises UserError for a name that keys cannot have and for a folder that is there already: keys are never replaced.
    """

    def more(made: Path) -> None:
        Nix.here().run("nix-store", "--generate-binary-cache-key", name, made / CACHE, made / CACHE_PUBLIC)
        (made / CACHE).chmod(stat.S_IRUSR | stat.S_IWUSR)
        (made / CACHE_PUBLIC).write_text((made / CACHE_PUBLIC).read_text("utf-8").strip() + "\n", "utf-8")
        (made / CACHE_PUBLIC).chmod(0o644)

    return load(str(keys.make(name, folder, more)))


def load(name: str) -> Keys:
    """Reads the keys that ``--key NAME`` means.

    Raises UserError where there are none, where one is no key, and where others may read a secret one.
    """
    folder = keys.find(name, MAKE, CACHE)
    secret = folder / CACHE
    public = PublicKey.of_secret(keys.private(secret, MAKE), str(secret))
    return Keys(folder, secret.resolve(), public, keys.signer(folder, MAKE))
