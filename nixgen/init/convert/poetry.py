"""``[tool.poetry]`` as ``[project]``, ``[dependency-groups]`` and ``[tool.uv]``, with the versions of poetry.lock.

What each key means: https://python-poetry.org/docs/pyproject/. What the build backend (poetry-core) reads stays where
it is: ``packages``, ``include``, ``exclude``, ``build``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import toml
from nixgen.formats.foreign import lookup, strings, table, tables
from nixgen.init.convert.model import Draft, there
from nixgen.init.convert.poetryversions import marker_of_python, pep440
from nixgen.machine import addresses
from nixgen.project.names import from_folder, normalized
from nixgen.project.project import read_text

LOCK = "poetry.lock"
_PYPROJECT = "pyproject.toml"
_BACKEND = ("packages", "include", "exclude", "build")
_META = {"name", "version", "description", "keywords", "classifiers", "readme", "authors", "maintainers", "license"}
_URLS = {"homepage": "Homepage", "repository": "Repository", "documentation": "Documentation"}
_READ = {"dependencies", "dev-dependencies", "group", "extras", "source", "scripts", "plugins", "urls", "package-mode"}
_PERSON = re.compile(r"\s*(?P<name>[^<>]*?)\s*(?:<(?P<email>[^<>]+)>)?\s*")
_KEYS = {
    *("version", "extras", "optional", "markers", "python", "platform", "source", "git", "branch", "tag", "rev"),
    *("subdirectory", "path", "develop", "url", "allow-prereleases"),
}


@dataclass(slots=True)
class _Carried:
    """What was read so far; ``where`` begins the sentences."""

    root: Path
    sources: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    prereleases: bool = False
    copies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, key: str, text: str) -> None:
        self.notes.append(f"{_PYPROJECT}: {key}: {text}")


def draft(root: Path, text: str, document: Mapping[str, Any], python: str | None) -> Draft:
    """The project as uv has it. Raises UserError with all that is wrong with pyproject.toml or poetry.lock."""
    poetry = table(document, "tool", "poetry")
    if not poetry:
        raise UserError.of(_PYPROJECT, "has no [tool.poetry] table", "name a requirements file or an environment.yml")
    carried = _Carried(root)
    project = dict(_metadata(carried, poetry))
    main = dict(table(poetry, "dependencies"))
    requires = _requires_python(carried, main.pop("python", None))
    needs = {name: list(_requirements(carried, name, entry, "dependencies")) for name, entry in main.items()}
    optional = {name for name, entry in main.items() if any(lookup(one, "optional") is True for one in _entries(entry))}
    project["dependencies"] = [line for name, lines in needs.items() if name not in optional for line in lines]
    if extras := _extras(carried, poetry, needs, optional):
        project["optional-dependencies"] = extras
    groups, default = _groups(carried, poetry)
    own = dict(table(document, "project"))
    project = _merged(carried, own, project)
    settings = _settings(carried, poetry, document, default, groups)
    pins, hashes = _lock(carried, root)
    for key in sorted(poetry.keys() - _META - _READ - _URLS.keys() - set(_BACKEND)):
        carried.note(f"tool.poetry.{key}", "has no counterpart")
    if carried.problems:
        raise UserError(carried.problems)
    old = own.get("requires-python") or requires
    pythons = (str(old),) if old else (f">={python}",) if python else (">=3.11",)
    return Draft(
        pyproject=_written(text, project, groups, settings, document, poetry),
        pythons=pythons,
        copies=tuple(carried.copies),
        pins=pins,
        hashes=hashes,
        notes=tuple(carried.notes),
    )


def _metadata(carried: _Carried, poetry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of ``[project]`` that say what the project is."""
    name = poetry.get("name")
    yield "name", name if isinstance(name, str) else from_folder(carried.root)
    version = poetry.get("version")
    yield "version", version if isinstance(version, str) else "0.1.0"
    if isinstance(poetry.get("description"), str):
        yield "description", poetry["description"]
    readmes = strings(_entries(poetry.get("readme", [])))
    if len(readmes) > 1:
        carried.note("tool.poetry.readme", f"only {readmes[0]}, since [project] has one")
    if readmes and there(carried.root / readmes[0], file=True):
        yield "readme", readmes[0]
    if isinstance(poetry.get("license"), str):
        yield "license", {"text": poetry["license"]}
    for key in ("authors", "maintainers"):
        people = [match.groupdict() for one in strings(poetry.get(key)) if (match := _PERSON.fullmatch(one))]
        if people:
            yield key, [{part: value for part, value in one.items() if value} for one in people]
    for key in ("keywords", "classifiers"):
        if strings(poetry.get(key)):
            yield key, strings(poetry[key])
    yield from _links(carried, poetry)


def _links(carried: _Carried, poetry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of ``[project]`` that lead elsewhere: pages, programs, entry points."""
    urls = {title: poetry[key] for key, title in _URLS.items() if isinstance(poetry.get(key), str)}
    urls |= {str(key): str(value) for key, value in table(poetry, "urls").items()}
    if urls:
        yield "urls", urls
    scripts: dict[str, str] = {}
    for script, target in table(poetry, "scripts").items():
        reference = target if isinstance(target, str) else lookup(target, "reference") or lookup(target, "callable")
        if not isinstance(reference, str) or lookup(target, "type") == "file":
            carried.note(f"tool.poetry.scripts.{script}", "is a file, which [project.scripts] does not know")
            continue
        scripts[script] = reference
        if wanted := strings(lookup(target, "extras")):
            carried.note(f"tool.poetry.scripts.{script}", f"is there without the extras {', '.join(wanted)}, too")
    if scripts:
        yield "scripts", scripts
    points = {group: dict(found) for group, found in table(poetry, "plugins").items() if isinstance(found, dict)}
    if points:
        yield "entry-points", points


def _requires_python(carried: _Carried, constraint: object) -> str | None:
    if not isinstance(constraint, str):
        return None
    specifier = pep440(constraint)
    if specifier is None:
        lowest = [found for part in constraint.split("|") if part.strip() and (found := pep440(part))]
        carried.note(
            "tool.poetry.dependencies.python",
            f'"{constraint}" has no form in PEP 440: only its last part counts (requires-python)',
        )
        return lowest[-1] if lowest else None
    return specifier or None


def _entries(entry: object) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]


def _requirements(carried: _Carried, name: str, entry: object, place: str) -> Iterator[str]:
    """A dependency as PEP 508 has it: one line for each of its entries. Where it comes from is kept in ``sources``."""
    key = f"tool.poetry.{place}.{name}"
    for one in _entries(entry):
        if isinstance(one, str):
            one = {"version": one}  # noqa: PLW2901 -- the short form
        if not isinstance(one, dict):
            carried.problems.append(Problem(f"{_PYPROJECT}: {key}", "is no version and no table", f'{name} = "^1.0"'))
            continue
        for unknown in sorted(one.keys() - _KEYS):
            carried.note(f"{key}.{unknown}", "has no counterpart")
        marker = _marker(carried, key, one)
        specifier = pep440(str(one.get("version", "*")))
        source = _source(carried, key, one)
        if specifier is None:
            what = f'"{one["version"]}" has no form in PEP 440: any version is allowed, and uv.lock has the locked one'
            carried.note(key, what)
        if source is not None:
            if "index" not in source:
                specifier = ""
            carried.sources.setdefault(name, []).append({**source, **({"marker": marker} if marker else {})})
        carried.prereleases = carried.prereleases or one.get("allow-prereleases") is True
        extras = strings(one.get("extras"))
        extra = f"[{','.join(extras)}]" if extras else ""
        yield f"{name}{extra}{specifier or ''}" + (f" ; {marker}" if marker else "")


def _marker(carried: _Carried, key: str, one: Mapping[str, Any]) -> str:
    parts = []
    if isinstance(one.get("python"), str):
        marker = marker_of_python(one["python"])
        if marker is None:
            carried.note(f"{key}.python", f'"{one["python"]}" is no version')
        parts.append(marker or "")
    if isinstance(one.get("platform"), str):
        parts.append(f"sys_platform == '{one['platform']}'")
    if isinstance(one.get("markers"), str):
        parts.append(one["markers"])
    parts = [part for part in parts if part]
    return " and ".join(f"({part})" if " or " in part and len(parts) > 1 else part for part in parts)


def _source(carried: _Carried, key: str, one: Mapping[str, Any]) -> dict[str, Any] | None:
    """A dependency's row of ``[tool.uv.sources]``, None for one that comes from the indexes."""
    below = {"subdirectory": one["subdirectory"]} if isinstance(one.get("subdirectory"), str) else {}
    if isinstance(one.get("git"), str):
        refs = {ref: one[ref] for ref in ("rev", "tag", "branch") if isinstance(one.get(ref), str)}
        if one.get("develop") is True:
            carried.note(f"{key}.develop", "is installed as any package, and not editable: it comes from git")
        url = re.sub(r"^([\w.-]+@[\w.-]+):(?!/)", r"ssh://\1/", one["git"])
        return _public(carried, key, {"git": url, **dict(list(refs.items())[:1]), **below})
    if isinstance(one.get("url"), str):
        return _public(carried, key, {"url": one["url"], **below})
    if isinstance(one.get("path"), str):
        path = posixpath.normpath(posixpath.join(one["path"], str(below.get("subdirectory", "."))))
        if posixpath.isabs(path):
            path = posixpath.relpath(path, carried.root.resolve().as_posix())
        place = carried.root / path
        if not there(place):
            mend = "restore it, or take the line out"
            carried.problems.append(Problem(f"{_PYPROJECT}: {key}.path", f"{one['path']} is missing", mend))
        elif path == ".." or path.startswith("../"):
            carried.note(key, f"{one['path']} lies outside of the project: nixgen show says what to do")
        carried.copies.append(path)
        return {
            "path": path,
            **({"editable": True} if one.get("develop") is True and there(place) and place.is_dir() else {}),
        }
    return {"index": one["source"]} if isinstance(one.get("source"), str) and one["source"].lower() != "pypi" else None


def _public(carried: _Carried, key: str, source: dict[str, Any]) -> dict[str, Any]:
    for url in addresses.found(" ".join(map(str, source.values()))):
        mend = "take it out of the address, and put it into ~/.netrc"
        carried.problems.append(Problem(f"{_PYPROJECT}: {key}", f"carries a login in {url}", mend))
    return source


def _extras(
    carried: _Carried, poetry: Mapping[str, Any], needs: Mapping[str, list[str]], optional: Iterable[str]
) -> dict[str, list[str]]:
    """``[tool.poetry.extras]``: names of optional dependencies."""
    by_name = {normalized(name): lines for name, lines in needs.items()}
    found: dict[str, list[str]] = {}
    for extra, names in table(poetry, "extras").items():
        found[extra] = [line for name in strings(names) for line in by_name.get(normalized(name), ())]
        for name in strings(names):
            if normalized(name) not in by_name:
                carried.note(f"tool.poetry.extras.{extra}", f"{name} is none of the dependencies")
    used = {normalized(name) for names in table(poetry, "extras").values() for name in strings(names)}
    for name in sorted(set(optional)):
        if normalized(name) not in used:
            carried.note(f"tool.poetry.dependencies.{name}", "is optional, and no extra names it")
    return found


def _groups(carried: _Carried, poetry: Mapping[str, Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """The dependency groups, and those that are installed where nothing is said."""
    given: dict[str, Mapping[str, Any]] = {}
    if "dev-dependencies" in poetry:
        given["dev"] = {"dependencies": poetry["dev-dependencies"]}
    for name in table(poetry, "group"):
        group, more = table(poetry, "group", name), given.get(name, {})
        given[name] = {**group, "dependencies": {**table(more, "dependencies"), **table(group, "dependencies")}}
    groups: dict[str, list[Any]] = {}
    for name, group in given.items():
        place = "dev-dependencies" if name == "dev" and "dev" not in table(poetry, "group") else f"group.{name}"
        place = place if place == "dev-dependencies" else f"{place}.dependencies"
        groups[name] = [
            line
            for package, entry in table(group, "dependencies").items()
            for line in _requirements(carried, package, entry, place)
        ]
        groups[name] += [{"include-group": other} for other in strings(group.get("include-groups"))]
    return groups, [name for name, group in given.items() if group.get("optional") is not True]


def _merged(carried: _Carried, own: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """``[project]`` of a Poetry 2 project, which counts; ``[tool.poetry.dependencies]`` says where those come from."""
    if not own:
        return made
    dynamic = strings(own.get("dynamic"))
    if "dependencies" not in own or "dependencies" in dynamic:
        own["dependencies"] = made["dependencies"]
        if "optional-dependencies" in made:
            own.setdefault("optional-dependencies", made["optional-dependencies"])
    for key in dynamic:
        if key in made:
            own.setdefault(key, made[key])
    own.setdefault("name", made["name"])
    if "version" not in own:
        own["version"] = made["version"]
    left = [key for key in dynamic if key not in own]
    own.pop("dynamic", None)
    if left:
        carried.note("project.dynamic", f"{', '.join(left)}: only the build backend knows")
        own["dynamic"] = left
    return own


def _settings(
    carried: _Carried,
    poetry: Mapping[str, Any],
    document: Mapping[str, Any],
    default: list[str],
    groups: Mapping[str, object],
) -> dict[str, Any]:
    """What belongs under ``[tool.uv]``."""
    found: dict[str, Any] = {}
    if poetry.get("package-mode") is False or "build-system" not in document:
        found["package"] = False
    if sorted(default) != [name for name in ("dev",) if name in groups]:
        found["default-groups"] = default
    if carried.prereleases:
        found["prerelease"] = "if-necessary-or-explicit"
        carried.note("allow-prereleases", "uv takes pre-releases where nothing else fits, or where a version names one")
    if carried.sources:
        found["sources"] = {name: rows[0] if len(rows) == 1 else rows for name, rows in carried.sources.items()}
    if indexes := list(_indexes(carried, tables(poetry.get("source")))):
        found["index"] = indexes
    return found


def _indexes(carried: _Carried, sources: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """``[[tool.poetry.source]]``: a primary one takes the place of the public index, as in Poetry."""
    named = [source for source in sources if isinstance(source.get("name"), str) and isinstance(source.get("url"), str)]
    public = any(str(source.get("name")).lower() == "pypi" and "url" not in source for source in sources)
    primary = [one for one in named if str(one.get("priority", "primary")) in {"primary", "default"}]
    for source in named:
        key = f"tool.poetry.source.{source['name']}"
        priority = str(source.get("priority", "primary"))
        if next(addresses.found(source["url"]), None):
            mend = "take it out of the address, and put it into ~/.netrc"
            carried.problems.append(Problem(f"{_PYPROJECT}: {key}", "carries a login", mend))
        row = {"name": source["name"], "url": source["url"]}
        if priority == "explicit":
            row["explicit"] = True
        elif source is (primary[-1] if primary else None) and not public:
            row["default"] = True
        elif priority in {"supplemental", "secondary"}:
            host = addresses.origin(source["url"])[1] or source["name"]
            carried.note(key, f"uv asks {host} before the default index, and takes the first that has a name")
        yield row


def _lock(carried: _Carried, root: Path) -> tuple[tuple[str, ...], dict[tuple[str, str], frozenset[str]]]:
    """The versions of poetry.lock as constraints, and the hashes of their files."""
    if not (root / LOCK).exists():
        carried.notes.append(f"{LOCK}: is missing, so uv chose the versions")
        return (), {}
    try:
        packages = tables(toml.loads(read_text(root / LOCK, LOCK)).get("package"))
    except toml.TomlError as error:
        raise UserError.of(LOCK, f"is not TOML that can be read: {error}", "poetry lock") from None
    versions: dict[str, set[str]] = {}
    hashes: dict[tuple[str, str], frozenset[str]] = {}
    for package in packages:
        name, version = normalized(str(package.get("name"))), str(package.get("version"))
        if lookup(package, "source", "type") not in {None, "legacy"}:
            continue
        versions.setdefault(name, set()).add(version)
        digests = {str(file.get("hash")) for file in tables(package.get("files"))}
        hashes[name, version] = frozenset(one.removeprefix("sha256:") for one in digests if one.startswith("sha256:"))
    for name, several in sorted(versions.items()):
        if len(several) > 1:
            carried.notes.append(f"{LOCK}: {name} is locked as {', '.join(sorted(several))}: uv chose among them")
    pins = [f"{name}=={min(several)}" for name, several in sorted(versions.items()) if len(several) == 1]
    return tuple(pins), {key: digests for key, digests in hashes.items() if digests}


def _written(
    text: str,
    project: Mapping[str, Any],
    groups: Mapping[str, list[Any]],
    settings: Mapping[str, Any],
    document: Mapping[str, Any],
    poetry: Mapping[str, Any],
) -> str:
    """pyproject.toml with the new tables in the place of Poetry's; all other tables stay as they are."""
    import tomlkit

    made = _without_poetry(tomlkit.parse(text), document, package=poetry.get("package-mode") is not False)
    rest = tomlkit.dumps(made).strip()
    head: dict[str, Any] = {"project": _table(project)}
    if groups:
        merged = {**table(document, "dependency-groups"), **groups}
        rest_document: Any = tomlkit.parse(rest)
        rest_document.pop("dependency-groups", None)
        rest = tomlkit.dumps(rest_document).strip()
        head["dependency-groups"] = _table(merged)
    if settings and lookup(document, "tool", "uv") is None:
        head["tool"] = {"uv": _table(settings)}
    elif settings:
        rest_document = tomlkit.parse(rest)
        for key, value in _table(settings).items():
            rest_document["tool"]["uv"].setdefault(key, value)
        rest = tomlkit.dumps(rest_document).strip()
    return tomlkit.dumps(head).strip() + "\n" + (f"\n{rest}\n" if rest else "")


def _without_poetry(made: Any, document: Mapping[str, Any], *, package: bool) -> Any:  # noqa: ANN401 -- tomlkit's
    """The file less what is written anew, and what only Poetry itself reads."""
    for key in list(made["tool"]["poetry"]):
        if key not in _BACKEND or not package:
            made["tool"]["poetry"].remove(key)
    for above, key in ((made["tool"], "poetry"), (made, "tool")):
        if not above[key]:
            above.remove(key)
    made.pop("project", None)
    if not package:
        made.pop("build-system", None)
    elif str(lookup(document, "build-system", "build-backend")).startswith("poetry.core"):
        made["build-system"]["requires"] = ["poetry-core>=2.0"]  # the first that reads [project]
    return made


def _table(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- tomlkit's
    """Lists of several texts on lines of their own, rows of sources and groups in line, indexes as tables."""
    import tomlkit

    made = tomlkit.table()
    for key, value in values.items():
        if key == "index":
            rows = tomlkit.aot()
            for row in value:
                rows.append(tomlkit.item(row))
            made[key] = rows
        elif isinstance(value, dict):
            made[key] = _table(value) if all(not isinstance(one, dict) for one in value.values()) else _rows(value)
        elif isinstance(value, list):
            made[key] = _list(value)
        else:
            made[key] = value
    return made


def _rows(values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    import tomlkit

    made = tomlkit.table()
    for key, value in values.items():
        made[key] = _list(value) if isinstance(value, list) else _inline(value) if isinstance(value, dict) else value
    return made


def _inline(value: Any) -> Any:  # noqa: ANN401
    import tomlkit

    if not isinstance(value, dict):
        return value
    made = tomlkit.inline_table()
    made.update(value)
    return made


def _list(values: list[Any]) -> Any:  # noqa: ANN401
    import tomlkit

    made = tomlkit.array()
    made.extend(map(_inline, values))
    return made.multiline(len(values) > 1)
