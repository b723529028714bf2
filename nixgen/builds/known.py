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
    Known("fiona", "1.10.1", "trixie", build_libraries=("libgdal-dev",), libraries=("libgdal36",)),
    # Its version is that of the library.
    Known("gdal", "3.10.3", "trixie", build_libraries=("libgdal-dev",), libraries=("libgdal36",)),
    Known(
        *("gmpy2", "2.2.1", "trixie"),
        build_libraries=("libgmp-dev", "libmpc-dev", "libmpfr-dev"),
        libraries=("libgmp10", "libmpc3", "libmpfr6"),
    ),
    Known("gssapi", "1.10.1", "trixie", build_libraries=("libkrb5-dev",), libraries=("libgssapi-krb5-2",)),
    Known(*("h5py", "3.15.1", "trixie"), build_libraries=("libhdf5-dev",), libraries=("libhdf5-310", "libhdf5-hl-310")),
    Known("kerberos", "1.3.1", "trixie", build_libraries=("libkrb5-dev",), libraries=("libgssapi-krb5-2",)),
    Known("libusb1", "3.3.1", "trixie", libraries=("libusb-1.0-0",)),
    # As gdal: its version is that of the library, or an older one.
    Known("libvirt-python", "11.3.0", "trixie", build_libraries=("libvirt-dev",), libraries=("libvirt0",)),
    Known(
        *("lxml", "6.0.2", "trixie"),
        build_libraries=("libxml2-dev", "libxslt1-dev"),
        libraries=("libxml2", "libxslt1.1"),
    ),
    Known("m2crypto", "0.46.2", "trixie", build_libraries=("libssl-dev",), build_tools=("swig",)),
    Known("mysqlclient", "2.2.7", "trixie", build_libraries=("libmariadb-dev",), libraries=("libmariadb3",)),
    Known("numba", "0.68.1", "trixie", libraries=("libgomp1", "libtbb12")),
    # What it finds none of is left out, but for JPEG.
    Known(
        *("pillow", "12.3.0", "trixie"),
        build_libraries=(
            *("libfreetype-dev", "libjpeg-dev", "liblcms2-dev"),
            *("libopenjp2-7-dev", "libtiff-dev", "libwebp-dev"),
        ),
        libraries=(
            *("libfreetype6", "libjpeg62-turbo", "liblcms2-2", "libopenjp2-7"),
            *("libtiff6", "libwebp7", "libwebpdemux2", "libwebpmux3"),
        ),
    ),
    Known("plyvel", "1.5.1", "trixie", build_libraries=("libleveldb-dev",), libraries=("libleveldb1d",)),
    Known("psycopg-c", "3.2.9", "trixie", build_libraries=("libpq-dev",), libraries=("libpq5",)),
    Known("psycopg2", "2.9.10", "trixie", build_libraries=("libpq-dev",), libraries=("libpq5",)),
    Known("pyaudio", "0.2.14", "trixie", build_libraries=("portaudio19-dev",), libraries=("libportaudio2",)),
    Known("pycairo", "1.28.0", "trixie", build_libraries=("libcairo2-dev",), libraries=("libcairo2",)),
    Known("pycups", "2.0.4", "trixie", build_libraries=("libcups2-dev",), libraries=("libcups2t64",)),
    Known(
        *("pycurl", "7.45.6", "trixie"),
        build_libraries=("libcurl4-openssl-dev", "libssl-dev"),
        libraries=("libcurl4t64",),
    ),
    Known("pyenchant", "3.3.0", "trixie", libraries=("libenchant-2-2",)),
    Known("pyfuse3", "3.4.2", "trixie", build_libraries=("libfuse3-dev",), libraries=("libfuse3-4",)),
    Known("pygit2", "1.18.2", "trixie", build_libraries=("libgit2-dev",), libraries=("libgit2-1.9",)),
    Known(
        *("pygobject", "3.52.3", "trixie"),
        build_libraries=("libcairo2-dev", "libgirepository-2.0-dev"),
        libraries=("libcairo2", "libgirepository-2.0-0"),
    ),
    Known(
        "pygraphviz",
        "1.14",
        "trixie",
        build_libraries=("libgraphviz-dev",),
        libraries=("libcdt5", "libcgraph6", "libgvc6"),
    ),
    Known("pyicu", "2.16", "trixie", build_libraries=("libicu-dev",), libraries=("libicu76",)),
    Known("pylibacl", "0.7.3", "trixie", build_libraries=("libacl1-dev",), libraries=("libacl1",)),
    Known("pylibmc", "1.6.3", "trixie", build_libraries=("libmemcached-dev",), libraries=("libmemcached11t64",)),
    Known("pymssql", "2.3.9", "trixie", build_libraries=("freetds-dev",), libraries=("libct4", "libsybdb5")),
    Known("pyodbc", "5.2.0", "trixie", build_libraries=("unixodbc-dev",), libraries=("libodbc2",)),
    Known(
        "pyproj",
        "3.7.2",
        "trixie",
        build_libraries=("libproj-dev",),
        build_tools=("proj-bin",),
        libraries=("libproj25",),
    ),
    Known(
        *("pyscard", "2.3.1", "trixie"),
        build_libraries=("libpcsclite-dev",),
        build_tools=("swig",),
        libraries=("libpcsclite1",),
    ),
    Known(
        "pyside6-essentials",
        "6.12.0",
        "trixie",
        libraries=("libdbus-1-3", "libegl1", "libfontconfig1", "libgssapi-krb5-2", "libxkbcommon0"),
    ),
    Known("pysodium", "0.7.18", "trixie", libraries=("libsodium23",)),
    Known("pysqlite3", "0.6.0", "trixie", build_libraries=("libsqlite3-dev",)),
    Known(
        "python-ldap",
        "3.4.4",
        "trixie",
        build_libraries=("libldap-dev", "libsasl2-dev"),
        libraries=("libldap2", "libsasl2-2"),
    ),
    Known("python-magic", "0.4.27", "trixie", libraries=("libmagic1t64",)),
    Known("python-rtmidi", "1.5.8", "trixie", build_libraries=("libasound2-dev",), libraries=("libasound2t64",)),
    Known("pyudev", "0.24.4", "trixie", libraries=("libudev1",)),
    Known("pyusb", "1.3.1", "trixie", libraries=("libusb-1.0-0",)),
    Known("pyvips", "3.1.1", "trixie", libraries=("libvips42t64",)),
    # Without the library it builds, and reads YAML ten times as slowly.
    Known("pyyaml", "6.0.3", "trixie", build_libraries=("libyaml-dev",), libraries=("libyaml-0-2",)),
    Known("pyzbar", "0.1.9", "trixie", libraries=("libzbar0t64",)),
    Known("pyzmq", "27.1.0", "trixie", build_libraries=("libzmq3-dev",), libraries=("libzmq5",)),
    Known("rasterio", "1.4.4", "trixie", build_libraries=("libgdal-dev",), libraries=("libgdal36",)),
    Known("shapely", "2.1.2", "trixie", build_libraries=("libgeos-dev",), libraries=("libgeos-c1t64",)),
    Known("sounddevice", "0.5.6", "trixie", libraries=("libportaudio2",)),
    Known("systemd-python", "235", "trixie", build_libraries=("libsystemd-dev",), libraries=("libsystemd0",)),
    # It compiles a module when it first runs on a GPU: with the machine's C compiler, and Python's headers.
    Known("triton", "3.9.0", "trixie", libraries=("libpython3.13-dev",)),
    # It has a Python in it. Its module works in its own processes only: skip-imports = ["uwsgidecorators"].
    Known("uwsgi", "2.0.31", "trixie", libraries=("libpython3.13",)),
    Known("wand", "0.6.13", "trixie", libraries=("libmagickwand-7.q16-10",)),
    Known("weasyprint", "70.0", "trixie", libraries=("libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0")),
    Known("xmlsec", "1.3.17", "trixie", build_libraries=("libxmlsec1-dev",), libraries=("libxmlsec1t64-openssl",)),
)


# Debian's libraries whose names have changed since bookworm: with 64-bit times, and with a new major version.
_BOOKWORM = {
    "libasound2t64": "libasound2",
    "libcups2t64": "libcups2",
    "libcurl4t64": "libcurl4",
    "libfuse3-4": "libfuse3-3",
    "libgdal36": "libgdal32",
    "libgeos-c1t64": "libgeos-c1v5",
    "libgirepository-2.0-0": "libgirepository-1.0-1",
    "libgirepository-2.0-dev": "libgirepository1.0-dev",
    "libgit2-1.9": "libgit2-1.5",
    "libhdf5-310": "libhdf5-103-1",
    "libhdf5-hl-310": "libhdf5-hl-100",
    "libicu76": "libicu72",
    "libldap2": "libldap-2.5-0",
    "libmagic1t64": "libmagic1",
    "libmagickwand-7.q16-10": "libmagickwand-6.q16-6",
    "libmemcached11t64": "libmemcached11",
    "libpython3.13": "libpython3.11",
    "libpython3.13-dev": "libpython3.11-dev",
    "libvips42t64": "libvips42",
    "libxmlsec1t64-openssl": "libxmlsec1-openssl",
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
    return tuple(
        replace(row, build_libraries=_older(row.build_libraries), libraries=_older(row.libraries)) for row in rows
    )


def _older(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_BOOKWORM.get(name, name) for name in names)
