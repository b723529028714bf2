"""What sources are known to need of the debian base: each row was tried.

``nixgen init`` writes it into pyproject.toml; ``nixgen lock`` tells it.

A row is there where the build's own words come too late or say too little: the library that the built module loads is
missed only when it is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """What a distribution needs: of the base during the build, and of the environment (``libraries``) when it runs.

    ``tried`` is the version that was built and imported, ``suite`` on which one.
    """

    name: str
    tried: str
    suite: str
    build_libraries: tuple[str, ...] = ()
    build_tools: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


KNOWN = (
    Known("psycopg2", "2.9.10", "trixie", build_libraries=("libpq-dev",), libraries=("libpq5",)),
    Known("pyaudio", "0.2.14", "trixie", build_libraries=("portaudio19-dev",), libraries=("libportaudio2",)),
)


def known(names: Iterable[str]) -> tuple[Known, ...]:
    """The rows of these distributions."""
    wanted = set(names)
    return tuple(row for row in KNOWN if row.name in wanted)
