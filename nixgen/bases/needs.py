"""What a build or a program asks for and does not find, in the base's words: a header, a library, a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["header", "library", "soname", "module", "cmake", "program"]


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One thing that is missing.

    ``header`` is named as ``#include`` names it ("GL/gl.h"), ``library`` as ``-l`` does ("pq"), ``soname`` as the
    loader does ("libpq.so.5"), ``module`` as pkg-config does ("libpng"), ``cmake`` as ``find_package`` does ("PNG").
    ``program`` is one on PATH ("pg_config").
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        """As a person calls it."""
        return f"lib{self.name}.so" if self.kind == "library" else self.name
