"""What a source says of how it is built: pyproject.toml (PEP 518 and 517), and what its maker noted in PKG-INFO."""

import os

# What is compiled, or says how.
_COMPILED = (
    *(".c", ".cc", ".cpp", ".cxx", ".c++", ".cu", ".m", ".mm", ".s", ".asm", ".f", ".for", ".f77", ".f90", ".f95", ".f03", ".f08"),
    *(".pyx", ".rs", ".go", ".zig", ".d", ".swg", ".i", ".vala", ".java", ".proto", ".y", ".l", ".capnp", ".fbs"),
)
_SAYS_HOW = frozenset({"cmakelists.txt", "meson.build", "cargo.toml", "configure", "configure.ac", "sconstruct", "build.zig"})
LEGACY = "setuptools.build_meta:__legacy__"
_LARGEST = 4 << 20


class Unclear(Exception):
    """The source does not say how it is built, or not in a way that can be read."""


def read(folder):
    """Its backend and static requirements, name and version ("" where unknown), as the JSON object for `nixgen lock`."""
    there = [name for name in ("pyproject.toml", "setup.py", "setup.cfg") if os.path.isfile(f"{folder}/{name}")]
    if not there:
        raise Unclear("it has neither pyproject.toml nor setup.py")
    name, version = _noted(f"{folder}/PKG-INFO")
    found = _pyproject(f"{folder}/pyproject.toml") if there[0] == "pyproject.toml" else {}
    system = found.get("build-system", {})
    if not isinstance(system, dict):
        raise Unclear("pyproject.toml: build-system is not a table")
    backend = system.get("build-backend")
    requires = _texts(system, "requires", ["setuptools >= 40.8.0"])
    path = _texts(system, "backend-path", [])
    if backend is not None and not (isinstance(backend, str) and backend.partition(":")[0]):
        raise Unclear("pyproject.toml: build-system.build-backend is not the name of a module")
    top = os.path.realpath(folder)
    for entry in path:
        if not (os.path.realpath(os.path.join(top, entry)) + "/").startswith(top + "/"):
            raise Unclear(f"pyproject.toml: build-system.backend-path leads out of the source: {entry}")
    said = {"compiled": bool(path) or _has_code(folder), "backend": backend or LEGACY, "backendPath": path, "legacy": backend is None, "name": name, "version": version}
    return {**said, "requires": requires, "sources": _sources(found)}


def _has_code(folder):
    """Whether anything in it may be there to be compiled; a backend of its own is not looked into."""
    return any(
        name.lower().endswith(_COMPILED) or name.lower() in _SAYS_HOW for _, _, files in os.walk(folder) for name in files
    )


def _pyproject(path):
    import tomllib

    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise Unclear(f"pyproject.toml is larger than {_LARGEST >> 20} MiB")
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unclear(f"pyproject.toml cannot be read: {error}") from None


def _sources(found):
    """Where uv would take its requirements from: [tool.uv.sources] and the indexes that those name, as JSON; "" for none."""
    import json

    for key in ("tool", "uv"):
        found = found.get(key, {})
        if not isinstance(found, dict):
            return ""
    sources, indexes = found.get("sources"), found.get("index")
    if not isinstance(sources, dict) or not sources:
        return ""
    return json.dumps({"sources": sources, "index": indexes if isinstance(indexes, list) else []}, sort_keys=True, default=str)


def _texts(table, key, default):
    found = table.get(key, default)
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise Unclear(f"pyproject.toml: build-system.{key} is not a list of texts")
    return found


def _noted(path):
    """Name and version of PKG-INFO, the metadata of a source distribution."""
    if not os.path.isfile(path):
        return "", ""
    found = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file.read(_LARGEST).splitlines():
            key, colon, value = line.partition(":")
            if not line.strip():
                break
            if colon and key in ("Name", "Version"):
                found[key] = value.strip()
    return found.get("Name", ""), found.get("Version", "")
