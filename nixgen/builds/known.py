"""What packages are known to need of the debian base: each row was tried.

nixgen writes it into pyproject.toml (:mod:`nixgen.lock.known`), or tells it on a suite where nothing was tried.

A row is there where the build's own words come too late or say too little: the library that the built module loads is
missed only when it is imported. A row without needs of a build is of wheels, too: for libraries that Python code loads
by name, which no ELF file tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


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
    Known("cairocffi", "1.7.1", "trixie", libraries=("libcairo2",)),
    Known("cffi", "1.17.1", "trixie", build_libraries=("libffi-dev",)),
    Known(
        "dbus-python",
        "1.4.0",
        "trixie",
        build_libraries=("libdbus-1-dev", "libglib2.0-dev"),
        libraries=("libdbus-1-3",),
    ),
    Known(
        *("gmpy2", "2.2.1", "trixie"),
        build_libraries=("libgmp-dev", "libmpc-dev", "libmpfr-dev"),
        libraries=("libgmp10", "libmpc3", "libmpfr6"),
    ),
    Known("mysqlclient", "2.2.7", "trixie", build_libraries=("libmariadb-dev",), libraries=("libmariadb3",)),
    Known("numba", "0.68.1", "trixie", libraries=("libgomp1", "libtbb12")),
    Known("plyvel", "1.5.1", "trixie", build_libraries=("libleveldb-dev",), libraries=("libleveldb1d",)),
    Known("psycopg-c", "3.2.9", "trixie", build_libraries=("libpq-dev",), libraries=("libpq5",)),
    Known("psycopg2", "2.9.10", "trixie", build_libraries=("libpq-dev",), libraries=("libpq5",)),
    Known("pyaudio", "0.2.14", "trixie", build_libraries=("portaudio19-dev",), libraries=("libportaudio2",)),
    Known("pycairo", "1.27.0", "trixie", build_libraries=("libcairo2-dev",), libraries=("libcairo2",)),
    Known("pycups", "2.0.4", "trixie", build_libraries=("libcups2-dev",), libraries=("libcups2t64",)),
    Known(
        *("pycurl", "7.45.6", "trixie"),
        build_libraries=("libcurl4-openssl-dev", "libssl-dev"),
        libraries=("libcurl4t64",),
    ),
    Known(
        "pygraphviz",
        "1.14",
        "trixie",
        build_libraries=("libgraphviz-dev",),
        libraries=("libcdt5", "libcgraph6", "libgvc6"),
    ),
    Known("pylibmc", "1.6.3", "trixie", build_libraries=("libmemcached-dev",), libraries=("libmemcached11t64",)),
    Known("pyodbc", "5.2.0", "trixie", build_libraries=("unixodbc-dev",), libraries=("libodbc2",)),
    Known(
        "pyside6-essentials",
        "6.12.0",
        "trixie",
        libraries=("libdbus-1-3", "libegl1", "libfontconfig1", "libgssapi-krb5-2", "libxkbcommon0"),
    ),
    Known("pysodium", "0.7.18", "trixie", libraries=("libsodium23",)),
    Known(
        "python-ldap",
        "3.4.4",
        "trixie",
        build_libraries=("libldap-dev", "libsasl2-dev"),
        libraries=("libldap2", "libsasl2-2"),
    ),
    Known("python-magic", "0.4.27", "trixie", libraries=("libmagic1t64",)),
    Known("python-rtmidi", "1.5.8", "trixie", build_libraries=("libasound2-dev",), libraries=("libasound2t64",)),
    Known("pyzbar", "0.1.9", "trixie", libraries=("libzbar0t64",)),
    Known("sounddevice", "0.5.6", "trixie", libraries=("libportaudio2",)),
    Known("systemd-python", "235", "trixie", build_libraries=("libsystemd-dev",), libraries=("libsystemd0",)),
    Known("weasyprint", "70.0", "trixie", libraries=("libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0")),
)


# Debian's libraries whose names have changed since bookworm: with 64-bit times, and with a new major version.
_BOOKWORM = {
    "libasound2t64": "libasound2",
    "libcups2t64": "libcups2",
    "libcurl4t64": "libcurl4",
    "libldap2": "libldap-2.5-0",
    "libmagic1t64": "libmagic1",
    "libmemcached11t64": "libmemcached11",
    "libzbar0t64": "libzbar0",
}
SUITES = frozenset({"bookworm", "trixie"})
"""Those whose names these are."""


def known(names: Iterable[str], suite: str) -> tuple[Known, ...]:
    """The rows of these distributions, with the names of this suite."""
    wanted = set(names)
    rows = tuple(row for row in KNOWN if row.name in wanted)
    if suite != "bookworm":
        return rows
    return tuple(replace(row, libraries=tuple(_BOOKWORM.get(name, name) for name in row.libraries)) for row in rows)
