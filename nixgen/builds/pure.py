"""Which sources are built without compilers: those that have nothing to compile, and whose backend makes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nixgen.project.names import normalized

_ONLY_COPY = frozenset(
    {
        "calver",
        "flit",
        "flit-core",
        "flit-scm",
        "hatch-fancy-pypi-readme",
        "hatch-requirements-txt",
        "hatch-vcs",
        "hatchling",
        "importlib-metadata",
        "incremental",
        "packaging",
        "pbr",
        "pdm-backend",
        "pdm-pep517",
        "poetry",
        "poetry-core",
        "poetry-dynamic-versioning",
        "setuptools",
        "setuptools-git-versioning",
        "setuptools-scm",
        "toml",
        "tomli",
        "uv-build",
        "uv-dynamic-versioning",
        "versioneer",
        "versioneer-518",
        "versioningit",
        "wheel",
    }
)
"""Backends that copy files, and what they take versions from: with cffi or mypyc, a source may write C itself."""
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def pure(requires: Iterable[str], *, compiled: bool) -> bool:
    """Whether a build with these requirements needs no compiler; ``compiled`` says that its source has such code.

    A build that could use a compiler, and goes on without one, would come out as another wheel: so a doubt means no.
    """
    names = [_NAME.match(text) for text in requires]
    return not compiled and all(name is not None and normalized(name[1]) in _ONLY_COPY for name in names)
