"""Which packages of a base have what a build or a program did not find."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from nixgen.bases.model import Base, DebianBase
from nixgen.bases.needs import Need
from nixgen.errors import NixgenError

_NIXPKGS = {
    "alsa-lib": "alsa/asoundlib.h asound alsa",
    "blas": "cblas.h blas cblas",
    "boost": "boost/version.hpp boost",
    "bzip2": "bzlib.h bz2 bzip2",
    "cairo": "cairo.h cairo",
    "cargo": "cargo",
    "cmake": "cmake",
    "curl": "curl/curl.h curl libcurl curl-config",
    "eigen": "Eigen/Core eigen3",
    "ffmpeg": "libavcodec/avcodec.h libavformat/avformat.h avcodec libavcodec libavformat avformat ffmpeg",
    "fftw": "fftw3.h fftw3",
    "freetype": "ft2build.h freetype freetype2",
    "geos": "geos_c.h geos_c geos geos-config",
    "gfortran": "gfortran",
    "git": "git",
    "glib": "glib.h glib-2.0 gobject-2.0 gio-2.0",
    "gmp": "gmp.h gmp",
    "gobject-introspection": "girepository.h girepository-1.0 gobject-introspection-1.0",
    "hdf5": "hdf5.h hdf5",
    "lapack": "lapacke.h lapack lapacke",
    "libarchive": "archive.h archive libarchive",
    "libffi": "ffi.h ffi libffi",
    "libGL": "GL/gl.h GL gl opengl",
    "libjpeg": "jpeglib.h jpeg libjpeg",
    "libpng": "png.h png libpng",
    "libpq": "libpq-fe.h pq libpq postgresql",
    "libsndfile": "sndfile.h sndfile",
    "libsodium": "sodium.h sodium libsodium",
    "libtiff": "tiffio.h tiff libtiff-4",
    "libusb1": "libusb-1.0/libusb.h libusb.h usb-1.0 libusb-1.0",
    "libwebp": "webp/decode.h webp libwebp",
    "libxcrypt": "crypt.h libcrypt.so.2 libcrypt",
    "libxcrypt-legacy": "libcrypt.so.1",
    "libxml2": "libxml/xmlversion.h libxml/parser.h xml2 libxml-2.0 libxml2 xml2-config",
    "libxslt": "libxslt/xslt.h xslt libxslt xslt-config",
    "libyaml": "yaml.h yaml yaml-0.1",
    "lz4": "lz4.h lz4 liblz4",
    "mpfr": "mpfr.h mpfr",
    "ninja": "ninja",
    "openblas": "openblas openblas_config.h",
    "openldap": "lber.h ldap.h lber ldap",
    "openssl": "openssl/ssl.h openssl/opensslv.h ssl crypto openssl",
    "pango": "pango/pango.h pango pango-1.0 pangocairo-1.0",
    "pkg-config": "pkg-config",
    "portaudio": "portaudio.h portaudio portaudio-2.0",
    "protobuf": "protoc protobuf google/protobuf/message.h",
    "rustc": "rustc",
    "snappy": "snappy.h snappy snappy-c.h",
    "sqlite": "sqlite3.h sqlite3",
    "swig": "swig",
    "unixODBC": "sql.h sqlext.h odbc",
    "xz": "lzma.h lzma liblzma",
    "zeromq": "zmq.h zmq libzmq",
    "zlib": "zlib.h z zlib",
    "zstd": "zstd.h zstd libzstd",
}
"""Packages of nixpkgs by what builds call them: headers, libraries (-l), modules of pkg-config and cmake, programs."""


def providers(base: Base, system: str, needs: Iterable[Need]) -> Mapping[Need, tuple[str, ...]]:
    """The packages of the base that have what is needed, the likeliest first; what is not known is absent.

    On the debian base the suite's signed index is asked; without a network nothing may be known. On nixpkgs a table.
    """
    if isinstance(base, DebianBase):
        return _debian(base, system, needs)
    return {need: found for need in needs if (found := _nixpkgs(need))}


def _nixpkgs(need: Need) -> tuple[str, ...]:
    name = need.name
    if need.kind == "soname":
        name = re.sub(r"^lib(.+?)\.so.*$", r"\1", name)
    folded = name if need.kind in {"header", "program"} else name.lower()
    return tuple(
        package
        for package, texts in _NIXPKGS.items()
        if {need.name, name, folded} & {*texts.split(), *texts.lower().split()}
    )


def _debian(base: DebianBase, system: str, needs: Iterable[Need]) -> Mapping[Need, tuple[str, ...]]:
    from nixgen.bases.debian import contents, sources, suites

    suite = suites.SUITES[base.suite]
    mirrors = Counter(url for deb in base.debs for url, pool, _ in [deb.url.partition("/pool/")] if pool)
    if not mirrors:
        return {}
    archive = max(mirrors, key=lambda url: (mirrors[url], url))
    try:
        mirror = sources.machine_mirror(override=[archive], vendor=suite.vendor)
    except NixgenError:
        return {}
    mirror = replace(mirror, archive=archive)
    source, *others = (
        one
        for near in suites.nearest(suite)
        for one in mirror.sources(near.name, stable=False, components=suites.COMPONENTS[suite.vendor])
    )
    return contents.packages_with(needs, source, system, others=others)
