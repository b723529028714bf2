"""Which wheels fulfil the requirements of a build, for one target: uv resolves, nothing is built on this machine.

uv is given a folder of its own: the project's settings that say where packages come from, and nothing else of it.
"""

from __future__ import annotations

import json
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from nixgen.builds.model import BuildWheel
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.formats.foreign import strings, table, tables
from nixgen.machine import addresses
from nixgen.project.names import normalized
from nixgen.resolve import hashes, pylock, uv, wheels
from nixgen.resolve.logins import Logins
from nixgen.resolve.model import LOCAL, Git, Package, Target, local_path

if TYPE_CHECKING:
    from nixgen.project.project import Project

_KEYS = (
    *("allow-insecure-host", "dependency-metadata", "exclude-newer-package", "extra-index-url", "find-links", "index"),
    *("index-strategy", "index-url", "keyring-provider", "native-tls", "no-index", "system-certs"),
)
"""The settings of uv that say where packages come from."""

_NO_WHEEL = re.compile(
    r"Wheels are required for `([^`]+)` because building from source is disabled"
    r"|Building source distributions for `([^`]+)` is disabled"
)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\]\s*)?(?:[<>=!~;(@].*)?")
"""A requirement that begins with a name (PEP 508): no option of requirements files, no path, no bare address."""

_MEANT_FOR_UV = re.compile(r"\$\{|\\$|[\x00-\x08\x0a-\x1f\x7f]")
"""What uv would replace by a variable of the user's, or read as more than one line."""

_UNKNOWN = "0"  # stands for a version that only a build would tell
_OURS = "nixgen-build-requirements"
_MEND = "choose another version of it, or another python, or correct what its [build-system] requires"


@dataclass(frozen=True, slots=True)
class Question:
    """Requirements, the target that they are for, and the time of upload that they may have at most ("": any).

    ``sources`` says where some come from, as JSON: uv's tables ``sources`` and ``index``; "" for none.
    """

    requires: tuple[str, ...]
    target: Target
    newest: str
    sources: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What fulfils the requirements: wheels, and source distributions of what has no wheel."""

    wheels: tuple[BuildWheel, ...] = ()
    sources: tuple[Package, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of packages that are built: what they depend on, by ``name==version``, and versions by address."""

    depends: Mapping[str, Sequence[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def named(self, package: Package) -> Package:
        """The package with its version, where a file does not tell that."""
        return replace(package, version=package.version or self.versions.get(package.address))

    def lacking(self, packages: Iterable[Package]) -> list[Package]:
        """Those that are to be built first."""
        return [one for one in packages if f"{one.name}=={one.version}" not in self.depends]


class LackingError(Exception):
    """There are packages without a wheel among the requirements; ``packages`` are their source distributions."""

    def __init__(self, packages: Sequence[Package]) -> None:
        super().__init__()
        self.packages = packages


@dataclass(frozen=True, slots=True)
class _Place:
    url: str
    sha256: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Resolver:
    """Asks uv. ``constraints`` are those of a build, ``wishes`` are kept to where that can be."""

    project: Project
    glibc: str
    macos: str
    constraints: tuple[str, ...]
    wishes: tuple[str, ...]
    fixed: bool
    """Whether the time of upload is the project's own ``exclude-newer``, which is never given up."""
    no_binary: tuple[str, ...] = ()
    """Packages that no wheel is wanted of; ":all:" for all."""
    logins: Logins = field(default_factory=Logins)

    def answer(self, question: Question, known: Known) -> Answer:
        """The wheels.

        Raises LackingError where one without a wheel is not known, UserError and MachineError with uv's explanation.
        """
        if not question.requires:
            return Answer()
        _refuse_odd(question.requires)
        _refuse_odd(line for lines in known.depends.values() for line in lines)
        failure: NixgenError | None = None
        for constraints, newest in self._attempts(question):
            try:
                return self._compiled(replace(question, newest=newest), constraints, known)
            except UserError as error:
                failure = error
        assert failure is not None  # noqa: S101 -- there is at least one attempt
        raise failure

    def _attempts(self, question: Question) -> Iterator[tuple[tuple[str, ...], str]]:
        """From what is best to what may do: what the project wishes may rule out what a build needs."""
        both = (*self.constraints, *self.wishes)
        times = (question.newest,) if self.fixed else (question.newest, "")
        yield from dict.fromkeys((constraints, newest) for newest in times for constraints in (both, self.constraints))

    def _compiled(self, question: Question, constraints: tuple[str, ...], known: Known) -> Answer:
        built: dict[str, str] = {}  # name → version
        while True:
            found = self._run(question, constraints, known, built)
            if found.code == 0:
                answer = self._read(found.out, question.target, known)
                if unknown := known.lacking(answer.sources):
                    raise LackingError(unknown)
                return answer
            lacking = {one or other: other != "" for one, other in _NO_WHEEL.findall(found.err)}
            names = sorted(lacking.keys() - built.keys())
            if not names:
                raise uv.explained(found, otherwise=_MEND)
            packages = [self._source(name, question, constraints, known, built, direct=lacking[name]) for name in names]
            if unknown := known.lacking(packages):
                raise LackingError(unknown)
            built |= {package.name: package.version or "" for package in packages}

    def _source(
        self,
        name: str,
        question: Question,
        constraints: tuple[str, ...],
        known: Known,
        built: Mapping[str, str],
        *,
        direct: bool,
    ) -> Package:
        """The source of a package without wheels: the one that the requirements name, else the newest.

        Of what is ``direct``, a folder, a commit or an address, uv would ask the backend for the version, here: so it
        is told one. The version is None then, where only the backend knows that.
        """
        own = tuple(text for text in question.requires if named(text) == name)
        question = replace(question, requires=own or (name,))
        found = self._run(question, constraints, known, {**built, name: _UNKNOWN if direct else ""}, deps=False)
        if found.code != 0:
            raise uv.explained(found, otherwise=_MEND)
        (package,) = (one for one in self._read(found.out, question.target).sources if one.name == name)
        return known.named(replace(package, version=None)) if direct else package

    def _run(
        self,
        question: Question,
        constraints: tuple[str, ...],
        known: Known,
        built: Mapping[str, str],
        *,
        deps: bool = True,
    ) -> Any:  # noqa: ANN401 -- process.Result
        pins = tuple(f"{name}=={version}" for name, version in built.items() if version)
        metadata = [
            {"name": name, "version": version, "requires-dist": list(known.depends.get(f"{name}=={version}", ()))}
            for name, version in built.items()
            if version
        ]
        with tempfile.TemporaryDirectory(prefix="nixgen-") as made:
            folder = Path(made)
            places = json.loads(question.sources or "{}")
            elsewhere = [line for line in question.requires if named(line) in places.get("sources", {})]
            text = settings(self.project, metadata, places, elsewhere, self.logins)
            (folder / "pyproject.toml").write_text(text, encoding="utf-8")
            plain = [line for line in question.requires if line not in elsewhere]
            for name, lines in (("requirements.in", plain), ("constraints.in", (*constraints, *pins))):
                (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            words = [f"--no-binary={name}" for name in dict.fromkeys((*built, *self.no_binary))]
            words += ["--exclude-newer", question.newest] if question.newest else []
            words += [] if deps else ["--no-deps"]
            return uv.start_compile(folder, question.target, self.glibc, self.macos, *words).wait()

    def _read(self, text: str, target: Target, known: Known | None = None) -> Answer:
        choice = wheels.Choice(target, self.glibc, self.macos)
        found: list[BuildWheel] = []
        sources: list[Package] = []
        problems: list[Problem] = []
        for entry in pylock.loads(text).get("packages", ()):
            name, offered, sdist = entry["name"], entry.get("wheels", ()), entry.get("sdist")
            archive = entry.get("archive")
            if archive and wheels.parse(wheels.file_name(archive)):
                offered = (archive,)
            best = choice.best(offered)
            if best is not None:
                place = self._place(name, best)
                file = wheels.file_name(best)
                version = entry.get("version") or file.split("-")[1]
                found.append(BuildWheel(name, version, file, place.url, place.sha256, place.size))
            elif archive and archive.get("subdirectory"):
                what = "is required by a build from a folder of an archive, which nixgen cannot pin"
                problems.append(Problem(name, what, "name a published version of it, or one from git"))
            elif sdist or archive:
                place = self._place(name, sdist or archive)
                uploaded = (sdist or archive).get("upload-time")
                sources.append(
                    Package(
                        *(name, entry.get("version"), "sdist", wheels.file_name(sdist or archive)),
                        url=None if local_path(place.url) else place.url,
                        path=local_path(place.url),
                        sha256=place.sha256,
                        size=place.size,
                        uploaded=uploaded.isoformat() if uploaded else "",
                    )
                )
            elif offered:
                problems.append(choice.explain(name, offered))
            elif table(entry.get("vcs")).get("type") == "git":
                git = Git(*(str(entry["vcs"].get(key, "")) for key in ("url", "commit-id", "subdirectory")))
                _public(name, git.url)
                sources.append(Package(name, entry.get("version"), "vcs", git=git))
            elif (path := self._folder(table(entry.get("directory")))) is not None:
                sources.append(
                    Package(name, entry.get("version"), "directory", path=path, why="is required by a build")
                )
            else:
                what = "is required by a build from a folder outside of the project, which nixgen cannot pin"
                problems.append(Problem(name, what, "name a published version of it, or one from git"))
        if problems:
            raise UserError(problems)
        return Answer(tuple(found), tuple(map(known.named, sources) if known else sources))

    def _folder(self, directory: Mapping[str, Any]) -> str | None:
        """Where a folder lies in the project; None where it does not."""
        path = Path(str(directory.get("path", "/")), str(directory.get("subdirectory", ""))).resolve()
        return path.relative_to(self.project.root).as_posix() if path.is_relative_to(self.project.root) else None

    def _place(self, name: str, file: Mapping[str, Any]) -> _Place:
        """The address of a file, its hash and size; what the index does not say is read once."""
        url = _public(name, str(file.get("url") or ""))
        if "path" in file or url.startswith("file:"):
            path = Path(str(file["path"]) if "path" in file else unquote(urlsplit(url).path)).resolve()
            if not path.is_relative_to(self.project.root):
                what = f"is required by a build, and lies outside of the project ({path})"
                raise UserError.of(name, what, "put it into a folder of the project, and name that in find-links")
            url = f"{LOCAL}{quote(path.relative_to(self.project.root).as_posix())}"
        sha256 = table(file.get("hashes")).get("sha256")
        if isinstance(sha256, str):
            return _Place(url, sha256.lower(), file.get("size"))
        (read,) = hashes.hash_urls([url], root=self.project.root, logins=self.logins)
        return _Place(read.url, read.sha256, read.size)


def _public(name: str, url: str) -> str:
    """The address. Raises UserError for one with a login, which nixgen.lock would carry on."""
    if secret := next(addresses.found(url), None):
        what = f"is required by a build from an address with a login or token in it ({secret})"
        raise UserError.of(name, what, "take it out of the address, and put it into ~/.netrc")
    return url


def named(requirement: str) -> str:
    """The normalized name of what is required; "" for what is no requirement."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return normalized(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def pinnable(package: Package, name: str, source: Any) -> Any:  # noqa: ANN401 -- any TOML value
    """A source of a package's own (``[tool.uv.sources]``), as it is outside of the package.

    A path in a repository is one in the commit. Raises UserError for another path, and for a member of a workspace.
    """
    if isinstance(source, list):
        return [pinnable(package, name, one) for one in source]
    if not isinstance(source, dict) or not ("path" in source or source.get("workspace")):
        return source
    git, path = package.git, str(source.get("path", ""))
    place = posixpath.normpath(posixpath.join(git.subdirectory if git else "", path))
    if git is None or not path or place.startswith(("../", "/")) or place == "..":
        what = (
            f"cannot be built: it requires {name} from a folder beside it ([tool.uv.sources]), which nixgen cannot pin"
        )
        mend = f"take {package.name} in another version, or have its authors require a published {name}"
        raise UserError.of(package.name, what, mend)
    kept = {key: value for key, value in source.items() if key in {"marker", "extra", "group"}}
    inside = {} if place == "." else {"subdirectory": place}
    return {**kept, **inside, "git": git.url, "rev": git.commit}


def settings(
    project: Project,
    metadata: Sequence[Mapping[str, object]] = (),
    places: Mapping[str, Any] | None = None,
    elsewhere: Sequence[str] = (),
    own: Logins | None = None,
) -> str:
    """The pyproject.toml that uv is given: where packages come from, with absolute paths, and what is known of some.

    ``places`` has ``sources`` of the requirements ``elsewhere``, and the indexes that these name: uv has the user's
    logins by the names of indexes, so those of a stranger get other names, but where ``own`` has one for that server.
    """
    import tomlkit

    found = {key: value for key, value in project.uv_settings().items() if key in _KEYS}

    def absolute(place: object) -> object:
        if not isinstance(place, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", place):
            return place
        return str(project.root / place)

    for key in ("find-links", "extra-index-url"):
        if key in found:
            found[key] = [absolute(place) for place in strings(found[key])]
    if "index-url" in found:
        found["index-url"] = absolute(found["index-url"])
    if "index" in found:
        found["index"] = [{**index, "url": absolute(index.get("url"))} for index in tables(found["index"])]
    found["dependency-metadata"] = [*tables(found.get("dependency-metadata")), *map(dict, metadata)]
    if elsewhere and places:
        known = {index.get("name") for index in tables(found.get("index"))}
        more = [one for one in tables(places.get("index")) if one.get("name") not in known]
        new = {
            str(one.get("name")): f"{_OURS}-{number}"
            for number, one in enumerate(more)
            if own is None or not own.has_index(str(one.get("url")))
        }
        found["sources"] = {
            name: _renamed(_located(source, project.root), new) for name, source in places["sources"].items()
        }
        more = [{**one, "name": new.get(str(one.get("name")), one.get("name"))} for one in more]
        found["index"] = [*tables(found.get("index")), *({**one, "explicit": True, "default": False} for one in more)]
    head = {"name": _OURS, "version": "0", "dependencies": list(elsewhere)}
    return tomlkit.dumps({"project": head, "tool": {"uv": found}})


def _refuse_odd(requires: Iterable[str]) -> None:
    """Raises UserError for what uv would take for more than a requirement: a stranger wrote it."""
    odd = {line for line in requires if not _PLAIN.fullmatch(line.strip()) or _MEANT_FOR_UV.search(line.strip())}
    if odd:
        mend = "mend it by a patch, under packages of [tool.nixgen]"
        raise UserError(Problem("", f"it requires what is no requirement (PEP 508): {line!r}", mend) for line in odd)


def _located(source: Any, root: Path) -> Any:  # noqa: ANN401 -- any TOML value
    """A row of sources, or several, with whole paths."""
    if isinstance(source, list):
        return [_located(one, root) for one in source]
    return {**source, "path": str(root / source["path"])} if isinstance(source, dict) and "path" in source else source


def _renamed(source: Any, new: Mapping[str, str]) -> Any:  # noqa: ANN401 -- any TOML value
    """A row of sources, or several, with the new names of indexes."""
    if isinstance(source, list):
        return [_renamed(one, new) for one in source]
    if isinstance(source, dict) and isinstance(source.get("index"), str):
        return {**source, "index": new.get(source["index"], source["index"])}
    return source


def explained(owner: str, error: NixgenError) -> NixgenError:
    """uv's explanation, said of the package whose build needs what cannot be had."""
    kind = MachineError if isinstance(error, MachineError) else UserError
    heads = {one: f"{one.where}: " if one.where not in {"", "uv"} else "" for one in error.problems}
    return kind(Problem(owner, f"cannot be built: {heads[one]}{one.what}", one.mend) for one in error.problems)
