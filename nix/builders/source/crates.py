"""The Rust crates of a source: which ones its Cargo.lock names, and how cargo finds them without a network.

cargo takes crates from a folder ("directory sources" in The Cargo Book) in the place of a registry; it checks each against
the checksum of Cargo.lock, as Nix did when it fetched them.
"""

import json
import os
import re

import archive

_MOST = 5000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What runs cargo, and folders whose crates no build needs.
_RUST = re.compile(r"(?:maturin|setuptools[-_.]rust)\b", re.IGNORECASE)
_ASIDE = re.compile(r"\.git$|\.cargo$|tests?$|examples?$|test cases$")
# The registry that cargo itself knows is the one whose index lies here; it has a name of its own, and no other may be given.
_OWN = "registry+https://github.com/rust-lang/"


class Unclear(Exception):
    """A Cargo.lock cannot be read."""


def named(folder, requires, top):
    """The crates of its Cargo.lock files, sorted: name, version, the registry that it is from, SHA-256; and what is wrong.

    That is crates from git, as "NAME from ADDRESS", and where there is no Cargo.lock, the names that cargo would look up.
    None where the source says itself where cargo finds them: it brings them. A Cargo.lock below its folder, or above it up to
    ``top``, counts where it is built with Rust: it ``requires`` what runs cargo, and has it in no folder of tests or examples.
    """
    found, git, wanted, locked = {}, set(), set(), False
    rust = any(_RUST.match(requirement) for requirement in requires)
    for parent, files in _folders(folder, top, rust):
        if any(_replaces(f"{parent}/.cargo/{name}") for name in ("config.toml", "config")):
            return [], {"git": [], "unlocked": []}
        if rust and "Cargo.toml" in files:
            wanted |= _looked_up(_toml(f"{parent}/Cargo.toml"))
        if "Cargo.lock" in files:
            locked = True
            for package in _packages(f"{parent}/Cargo.lock"):
                values = [package.get(key) for key in ("name", "version", "source", "checksum")]
                if all(isinstance(value, str) for value in values) and values[2].startswith(("registry+", "sparse+")):
                    if not all(pattern.fullmatch(value) for pattern, value in ((_NAME, values[0]), (_VERSION, values[1]), (_SHA256, values[3]))):
                        raise Unclear(f"Cargo.lock: what it says of {values[0]!r} is no crate")
                    crate = dict(zip(("name", "version", "registry", "sha256"), values))
                    other = found.setdefault((values[0], values[1]), crate)
                    # cargo finds crates by these two in a folder; the same one may be in two registries.
                    if other["sha256"] != crate["sha256"]:
                        raise Unclear(f"Cargo.lock: it names two crates {values[0]} {values[1]}, from {other['registry']} and {crate['registry']}")
                    found[values[0], values[1]] = min(other, crate, key=lambda one: one["registry"])
                elif rust and isinstance(values[0], str) and str(values[2]).startswith("git+"):
                    git.add(f"{values[0]} from {values[2].removeprefix('git+').partition('?')[0].partition('#')[0]}")
    if len(found) > _MOST:
        raise Unclear(f"Cargo.lock: it names more than {_MOST} crates")
    return [found[key] for key in sorted(found)], {"git": sorted(git), "unlocked": [] if locked else sorted(wanted)}


def _folders(folder, top, rust):
    """The folders that count, with the names of their files: first those above it."""
    above = os.path.realpath(folder)
    while rust and above != os.path.realpath(top) and len(above) > 1:
        above = os.path.dirname(above)
        yield above, os.listdir(above)
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if rust and not _ASIDE.match(name))
        yield parent, files


def _looked_up(manifest):
    """The crates of a Cargo.toml that are neither beside it nor somewhere that it tells."""
    target = manifest.get("target")
    tables = [manifest, manifest.get("workspace"), *(target.values() if isinstance(target, dict) else ())]
    found = set()
    for one in tables:
        for key in ("dependencies", "build-dependencies"):
            entries = one.get(key, {}) if isinstance(one, dict) else {}
            for name, entry in entries.items() if isinstance(entries, dict) else ():
                if not (isinstance(entry, dict) and {"path", "workspace"} & entry.keys()):
                    found.add(name)
    return found


def _packages(path):
    found = _toml(path).get("package", [])
    return [package for package in found if isinstance(package, dict)] if isinstance(found, list) else []


def _replaces(path):
    sources = _toml(path).get("source", {}) if os.path.isfile(path) else {}
    return isinstance(sources, dict) and any(isinstance(source, dict) and "replace-with" in source for source in sources.values())


def _toml(path):
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise Unclear(f"{os.path.basename(path)} cannot be read: {error}") from None


def provide(given, home, folder):
    """Unpacks fetched crates (``file`` is where each lies) into a new ``folder``, and says so in ``home``, CARGO_HOME.

    Raises archive.Refused.
    """
    for name in (folder, home):
        os.makedirs(name)
    for crate in given:
        place = f"{folder}/{crate['name']}-{crate['version']}"
        archive.unpack(crate["file"], f"{place}.unpacked")
        there = os.listdir(f"{place}.unpacked")
        if len(there) != 1:
            raise archive.Refused(f"it has {len(there)} folders, and a crate has one")
        os.rename(f"{place}.unpacked/{there[0]}", place)
        os.rmdir(f"{place}.unpacked")
        with open(f"{place}/.cargo-checksum.json", "w", encoding="utf-8") as file:
            json.dump({"files": {}, "package": crate["sha256"]}, file)
    lines = ["[source.crates-io]", 'replace-with = "fetched"', "[source.fetched]", f"directory = {json.dumps(folder)}"]
    for number, registry in enumerate(sorted({crate["registry"] for crate in given if not crate["registry"].startswith(_OWN)})):
        address = registry.removeprefix("registry+")
        lines += [f"[source.other{number}]", f"registry = {json.dumps(address)}", 'replace-with = "fetched"']
    with open(f"{home}/config.toml", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
