"""What an environment is made of: out of the plan of its Nix files, the record and uv.lock's graph. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from nixgen.artifacts.model import PinnedArtifact
from nixgen.bases.debian.suites import SUITES
from nixgen.bases.model import Deb, DebianBase, NixpkgsBase
from nixgen.bom.licences import licence
from nixgen.bom.model import Advised, Bom, Component, File, Licence, Scope
from nixgen.bom.purl import purl
from nixgen.check.model import Record
from nixgen.generate.model import Plan
from nixgen.machine import addresses
from nixgen.resolve.model import Package, Resolution

Names = Mapping[tuple[str, str], Iterable[tuple[str, str]]]
"""What requires what: names and versions; the project itself is ("", "")."""

_POOL = re.compile(r"/pool/[^/]+/[^/]+/([^/]+)/[^/]+\Z")
_ARCH = re.compile(r"_([a-z0-9]+)\.deb\Z")
_REBUILT = re.compile(r"\+b[0-9]+\Z")
_NIX_NAME = re.compile(r"(.+?)-([0-9].*)")
_OUTPUTS = ("-bin", "-dev", "-doc", "-lib", "-man", "-out")
_INSTALLED = ("core", "extra")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the plan: the record, the project's version, licences by package, and what requires what."""

    version: str = ""
    record: Record | None = None
    licences: Mapping[tuple[str, str], tuple[Licence, ...]] = field(default_factory=dict)
    requires: Names = field(default_factory=dict)


def inventory(plan: Plan, environment: str, systems: Sequence[str], facts: Facts) -> Bom:
    """The bill of materials of an environment on these systems, which the plan has."""
    chosen = [one for one in plan.resolutions if one.environment == environment and one.target.system in set(systems)]
    versions = {tree.name: tree.version for tree in plan.trees}
    found: dict[str, Component] = {}
    refs: dict[tuple[str, str], str] = {}
    for one in chosen:
        for package in one.packages:
            if package.path == "." and package.kind == "directory":
                refs[package.name, package.version or ""] = ""
                continue
            made = _package(package, package.version or versions.get(package.name, ""), facts)
            made = replace(made, properties=(*made.properties, *_stored(facts, one, package)))
            refs[package.name, package.version or ""] = made.ref
            _add(found, made)
    for made in (*_build_wheels(plan, systems), *_base(plan, systems, facts), *_artifacts(plan, systems, facts)):
        _add(found, made)
    bom = Bom(plan.name, facts.version, environment, tuple(systems), tuple(found[ref] for ref in sorted(found)))
    return replace(bom, depends=_depends(bom, refs, facts.requires))


def recorded_name(record: Record | None, system: str, environment: str, package: str) -> str:
    """What the record calls the wheel of a package, "" where it has none."""
    here = record.systems.get(system) if record is not None else None
    names = (f"{environment}.wheels.{package}" if environment else "", f"wheels.{package}")
    return next((name for name in names if here is not None and name in here.outputs), "")


def _add(found: dict[str, Component], made: Component) -> None:
    """Adds a component; what several systems or parts have is there once, with all that was said of it."""
    old = found.get(made.ref)
    if old is not None:
        made = replace(
            old,
            scope="required" if "required" in {old.scope, made.scope} else "excluded",
            files=tuple(sorted({*old.files, *made.files})),
            licences=old.licences or made.licences,
            properties=tuple(dict.fromkeys((*old.properties, *made.properties))),
        )
    found[made.ref] = made


def _package(package: Package, version: str, facts: Facts) -> Component:
    known = facts.licences.get((package.name, version), ())
    properties = (("nixgen:kind", package.kind),)
    if package.kind == "directory":
        where = f"folder:{package.path}"
        return Component("library", package.name, version, where, licences=known, properties=properties)
    given: dict[str, str] = {}
    if package.git is not None:
        given["vcs_url"] = addresses.bare(str(package.git))
    elif package.kind == "archive" and package.url:
        given["download_url"] = addresses.bare(package.url)
    named = purl("pypi", package.name, version, given)
    name = package.file or (posixpath.basename(package.path) if package.path else "")
    address = given.get("vcs_url") or addresses.bare(package.url or "")
    files = (File(name or address, address, package.sha256 or "", package.size or 0),)
    return Component(
        *("library", package.name, version, named, named),
        files=files,
        licences=known,
        properties=properties,
        advised=Advised("PyPI", package.name, version),
    )


def _build_wheels(plan: Plan, systems: Sequence[str]) -> Iterator[Component]:
    """What is only there while something is built from its source."""
    for row in plan.build_wheels:
        own = row["systems"]
        if isinstance(own, list) and set(own) & set(systems):
            file = File(str(row["file"]), addresses.bare(str(row.get("url") or "")), str(row["sha256"]))
            name, version = str(row["name"]), str(row["version"])
            named = purl("pypi", name, version)
            properties = (("nixgen:kind", "wheel"),)
            advised = Advised("PyPI", name, version)
            yield Component(
                *("library", name, version, named, named, "excluded", (file,)), properties=properties, advised=advised
            )


def _stored(facts: Facts, one: Resolution, package: Package) -> Iterator[tuple[str, str]]:
    system = one.target.system
    return _store(facts, system, recorded_name(facts.record, system, one.environment, package.name))


def _store(facts: Facts, system: str, output: str) -> Iterator[tuple[str, str]]:
    """The store path of an output and its NAR hash, as the record has them."""
    here = facts.record.systems.get(system) if facts.record is not None else None
    if here is not None and output in here.outputs:
        path = here.outputs[output].out
        yield "nixgen:storePath", path
        if (own := here.closure.get(path.rpartition("/")[2])) is not None:
            yield "nixgen:narHash", own.nar_hash


def _base(plan: Plan, systems: Sequence[str], facts: Facts) -> Iterator[Component]:
    if isinstance(plan.base, DebianBase):
        for deb in plan.base.debs:
            if deb.system in systems:
                yield _deb(deb, plan.base.suite)
    else:
        yield from _nixpkgs(plan.base, systems, facts)


def _deb(deb: Deb, suite: str) -> Component:
    known = SUITES.get(suite)
    vendor = known.vendor if known is not None else "Debian"
    release = known.release if known is not None else ""
    path = unquote(urlsplit(deb.url).path)
    pool, arch = _POOL.search(path), _ARCH.search(path)
    source = pool[1] if pool else deb.name
    named = purl(
        "deb",
        f"{vendor.lower()}/{deb.name}",
        deb.version,
        {
            "arch": arch[1] if arch else "",
            "distro": f"{vendor.lower()}-{release}" if release else suite,
            "upstream": source if source != deb.name else "",
        },
    )
    # Advisories are of sources; a binary that was built once more has a version of its own.
    advised = Advised(f"{vendor}:{release}" if release else vendor, source, _REBUILT.sub("", deb.version))
    return Component(
        *("library", deb.name, deb.version, named, named),
        scope="required" if deb.part in _INSTALLED else "excluded",
        files=(File(posixpath.basename(path), addresses.bare(deb.url), deb.sha256, deb.size),),
        properties=(("nixgen:part", deb.part),),
        source=source,
        advised=advised,
    )


def _nixpkgs(base: NixpkgsBase, systems: Sequence[str], facts: Facts) -> Iterator[Component]:
    """nixpkgs itself; of its packages those in the record's closure, with versions, else the names that were asked for.

    They are no packages that an advisory database knows.
    """
    whole = purl("github", "nixos/nixpkgs", base.rev)
    properties = (("nixgen:pin", base.name), ("nixgen:narHash", base.nar_hash))
    yield Component("platform", "nixpkgs", base.rev, whole, whole, properties=properties)
    for system in systems:
        here = facts.record.systems.get(system) if facts.record is not None else None
        if here is None:
            continue
        own = {recipe.out.rpartition("/")[2] for recipe in here.outputs.values()}
        for path in here.closure.values():
            found = _NIX_NAME.fullmatch(path.name.partition("-")[2])
            if found is not None and path.name not in own:
                version = next((found[2].removesuffix(end) for end in _OUTPUTS if found[2].endswith(end)), found[2])
                named = purl("nix", found[1], version)
                stored = (("nixgen:storePath", f"/nix/store/{path.name}"), ("nixgen:narHash", path.nar_hash))
                yield Component("library", found[1], version, named, named, properties=stored)
    named = purl("nix", "python3", base.python_full or base.python)
    yield Component("platform", "python3", base.python_full or base.python, named, named)
    for name in (*base.libraries, *base.tools, *base.build_libraries, *base.build_tools):
        named = purl("nix", name)
        scope: Scope = "required" if name in base.libraries + base.tools else "excluded"
        yield Component("library", name, "", named, named, scope)


def _artifacts(plan: Plan, systems: Sequence[str], facts: Facts) -> Iterator[Component]:
    for one in plan.artifacts:
        stored = dict.fromkeys(pair for system in systems for pair in _store(facts, system, one.key))
        yield _artifact(one, tuple(stored))


def _artifact(one: PinnedArtifact, stored: tuple[tuple[str, str], ...]) -> Component:
    version = one.exact
    source = addresses.bare(one.source)
    named = ""
    if one.scheme in {"hf", "github"} and one.member is None:
        # An hf: source names its repository, and may name its kind first.
        path = (one.repo or "") if one.scheme == "hf" else source.partition(":")[2].partition("/releases/")[0]
        if path.count("/") == 1 and one.repo_type == "model":
            kind = "huggingface" if one.scheme == "hf" else "github"
            named = purl(kind, path if one.scheme == "hf" else path.lower(), version)
    told = [("nixgen:source", source), ("nixgen:revision", one.revision or ""), ("nixgen:member", one.member or "")]
    if one.data is not None:
        records = "" if one.data.record_count is None else str(one.data.record_count)
        told += [("nixgen:records", records), ("nixgen:schemaHash", one.data.schema_hash or "")]
        told += [("nixgen:contentHash", one.data.content_hash)]
    files = tuple(File(file.path, addresses.bare(file.url or ""), file.sha256, file.size) for file in one.files)
    return Component(
        *("machine-learning-model" if one.kind == "models" else "data", one.name, version, one.key, named),
        files=files if len(files) == 1 else (),
        contents=files,
        licences=(licence(one.licence),) if one.licence else (),
        properties=(*(pair for pair in told if pair[1]), *stored),
        source=source,
    )


def _depends(bom: Bom, refs: Mapping[tuple[str, str], str], requires: Names) -> dict[str, tuple[str, ...]]:
    """The graph in the document's own names. What nothing else requires (models, the base) the project does."""
    own = {("", ""): bom.root, **{key: ref or bom.root for key, ref in refs.items()}}
    found: dict[str, set[str]] = {bom.root: set()}
    for key, needs in requires.items():
        if key in own:
            found.setdefault(own[key], set()).update(own[need] for need in needs if need in own)
    led = {ref for needs in found.values() for ref in needs}
    found[bom.root] |= {one.ref for one in bom.components if one.scope == "required"} - led
    return {ref: tuple(sorted(needs - {ref})) for ref, needs in sorted(found.items())}
