"""``[tool.nixgen]`` of pyproject.toml: closed parsing into one frozen value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, cast

from nixgen.errors import Problem, UserError
from nixgen.project import forms
from nixgen.project.names import normalized

SYSTEMS = ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux")
"""Every Nix system that wheels exist for."""

DEFAULT_SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "nixpkgs": SYSTEMS,
    "debian": tuple(system for system in SYSTEMS if system.endswith("-linux")),
}
"""The systems that a base can serve; which of them a pin of nixpkgs has, bases/nixpkgs.py says."""

DEFAULT_MACOS = "14.0"
"""The macOS version that wheels may ask for: the oldest that nixpkgs supports (its release notes, 25.11)."""

_NAME = r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]"
_REGISTRY = r"""(?:sparse|registry)\+https?://[^\s"'\\<>`]+"""
_PLAIN = r"""[^\s"'\\<>`@#?]"""
_ARCHIVE = rf"(?:https?|file)://{_PLAIN}+|(?:s3|gs|az)://(?:{_PLAIN}|\?)+|(?!\w+:/){_PLAIN}+"
_PACKAGE = r"[A-Za-z0-9_][A-Za-z0-9_.+'-]*"
_MODULE = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_REV = r"[0-9a-f]{40}"
_SRI = r"sha256-[A-Za-z0-9+/]{43}="
_TASK = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ENVIRONMENT = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
TAKEN = frozenset(
    """
    default shell environment environments imports smoke checks wheels models data models-all data-all cache services
    apps bytecode formatter base root recipes images image
    all args builder drvAttrs drvPath keep name out outPath outputName outputs shellHook stdenv system type
    """.split()  # noqa: SIM905 -- quoted one by one, the words would take 30 lines
)
"""What default.nix, its shell and the record have by these names: attributes that an environment would hide."""


@dataclass(frozen=True, slots=True)
class PackageSettings:
    """What ``[tool.nixgen.packages.NAME]`` says of one distribution that is built from its source.

    ``build_libraries`` and ``build_tools`` are names of packages of the base that are there during the build only;
    ``env`` variables of the build; ``patches`` files of the project, relative to it; ``timeout`` seconds.
    """

    build_libraries: tuple[str, ...] = ()
    build_tools: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    patches: tuple[str, ...] = ()
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What ``[tool.nixgen.environments.NAME]`` says; groups and extras that are None are as the project has them.

    ``systems`` are some of the project's, None for all of these that its wheels exist for; ``smoke`` are the commands
    that must succeed in this environment, and no others. ``lock`` is a lock of its own, None for the project's;
    ``script`` the script whose environment it is.
    """

    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] | None = None
    all_extras: bool | None = None
    systems: tuple[str, ...] | None = None
    smoke: tuple[str, ...] = ()
    lock: str | None = None
    script: str | None = None


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What ``[tool.nixgen.image]`` says of images of containers.

    ``record`` are the environments and services whose images' digests a check compares; ``layers`` how many they have
    at most, ``user`` is UID:GID, ``ports`` are those that are listened on, ``env`` variables and ``labels`` labels.
    """

    record: tuple[str, ...] = ()
    layers: int = 64
    user: str = "1000:1000"
    ports: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What ``[tool.nixgen.tasks]`` says of one task: a line for a POSIX shell, "" where it only stands for others.

    ``depends_on`` are the tasks that run before it, ``env`` variables that are set for it.
    """

    cmd: str = ""
    description: str = ""
    depends_on: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``[tool.nixgen]`` says; docs/settings.md explains each key.

    ``python`` is a version like "3.11", None if unset, and ``python_full`` the whole one ("3.11.9") where it is set;
    ``systems`` Nix systems, sorted, None for the base's default; ``suite`` a Debian suite's code name; ``nixpkgs`` a
    known pin's name or a mapping with ``rev``, ``narHash`` and ``lastModified``, which may lack; ``groups`` dependency
    groups, None for uv's default groups; ``libraries`` and ``tools`` names of packages of the base; ``macos`` the
    lowest macOS version that the environment is for; ``prefer`` distributions whose files win where two own the same
    one, the first named first; ``skip_imports`` modules that the import check leaves out; ``smoke`` shell commands that
    must succeed in the environment; ``cuda`` whether shells and services look for the machine's GPU driver;
    ``bytecode`` whether shells, too, have the byte code of wheels from Nix; ``packages`` what distributions that are
    built need, by normalized name; ``environments`` those beside the default one, by name, sorted. ``environment`` is
    the name of the one that these settings are of, "" for the default one (:meth:`of`). ``lock`` is the lock that
    counts, uv.lock or a pylock.toml, None where nothing is said; ``scripts`` are the scripts with inline metadata, None
    for those that are found. ``crate_registries`` are indexes of Rust crates that sources may name, as Cargo.lock has
    them. ``unfree``: packages of nixpkgs that are not free software may be named. ``run`` is the project's main
    command, None where it has none; ``tasks`` are those by name, in their order; ``image`` is what is said of images.
    ``archive`` are addresses, or folders, that have the project's sources by their hash.
    """

    base: Literal["nixpkgs", "debian"] = "nixpkgs"
    python: str | None = None
    python_full: str | None = None
    systems: tuple[str, ...] | None = None
    suite: str | None = None
    nixpkgs: str | Mapping[str, str | int] | None = None
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    all_extras: bool = False
    libraries: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    macos: str = DEFAULT_MACOS
    prefer: tuple[str, ...] = ()
    skip_imports: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    cuda: Literal["auto", "off"] = "auto"
    bytecode: Literal["auto", "build"] = "auto"
    packages: Mapping[str, PackageSettings] = field(default_factory=dict)
    environments: Mapping[str, EnvironmentSettings] = field(default_factory=dict)
    environment: str = ""
    lock: str | None = None
    scripts: tuple[str, ...] | None = None
    crate_registries: tuple[str, ...] = ()
    unfree: bool = False
    run: str | None = None
    tasks: Mapping[str, TaskSettings] = field(default_factory=dict)
    image: ImageSettings | None = None
    archive: tuple[str, ...] = ()

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str = "pyproject.toml: tool.nixgen") -> Settings:
        """The settings of a ``[tool.nixgen]`` table; ``where`` names the table in problems.

        Raises UserError with every problem: an unknown key (with the nearest known one), a value of another type, a
        value that is not one of those allowed, settings that exclude each other.
        """
        values, wrong = forms.read(table, _READERS, "is not a setting of nixgen")
        problems = [Problem(f"{where}{one.inside}", one.what, one.mend) for one in wrong]
        if values.get("python", "").count(".") > 1:
            values["python_full"] = values["python"]
            values["python"] = values["python"].rpartition(".")[0]
        problems += _contradictions(values, where)
        if problems:
            raise UserError(problems)
        return cls(**values)

    @classmethod
    def of_script(cls, table: Mapping[str, Any], path: str) -> EnvironmentSettings:
        """The environment of a script, from its ``[tool.nixgen]``. Raises UserError for what is wrong with that."""
        readers = {key: reader for key, reader in _READERS.items() if key not in _NOT_OF_SCRIPTS}
        values, wrong = forms.read(table, readers, "is not a setting of a script")
        if wrong:
            raise UserError(Problem(f"{path}: tool.nixgen{one.inside}", one.what, one.mend) for one in wrong)
        own = {key: values[key] for key in ("systems", "smoke") if key in values}
        return EnvironmentSettings(groups=(), extras=(), lock=f"{path}.lock", script=path, **own)

    def of(self, environment: str) -> Settings:
        """The settings as one of ``environments`` has them."""
        own = self.environments[environment]
        chosen = own.extras is not None or own.all_extras is not None
        return replace(
            self,
            groups=self.groups if own.groups is None else own.groups,
            extras=(own.extras or ()) if chosen else self.extras,
            all_extras=bool(own.all_extras) if chosen else self.all_extras,
            systems=own.systems,
            smoke=own.smoke,
            environments={},
            environment=environment,
            lock=own.lock or self.lock,
        )

    @property
    def table(self) -> str:
        """The table of pyproject.toml that groups, extras and systems stand in."""
        return f"tool.nixgen.environments.{self.environment}" if self.environment else "tool.nixgen"

    @property
    def build_libraries(self) -> tuple[str, ...]:
        """The ``build-libraries`` of all packages, sorted: they are one tree."""
        return tuple(sorted({name for one in self.packages.values() for name in one.build_libraries}))

    @property
    def build_tools(self) -> tuple[str, ...]:
        """The ``build-tools`` of all packages, sorted."""
        return tuple(sorted({name for one in self.packages.values() for name in one.build_tools}))


def _contradictions(values: Mapping[str, Any], where: str) -> list[Problem]:
    """Settings that exclude each other."""
    problems = []
    base = values.get("base", "nixpkgs")
    for key, owner in (("suite", "debian"), ("nixpkgs", "nixpkgs"), ("unfree", "nixpkgs")):
        if values.get(key) and base != owner:
            what = f"is a setting of the {owner} base, and the base is {base}"
            problems.append(Problem(f"{where}.{key}", what, f'remove it, or set base = "{owner}"'))
    if base == "debian":
        for system in values.get("systems") or ():
            if system not in DEFAULT_SYSTEMS["debian"]:
                mend = "take it out, or use the nixpkgs base"
                problems.append(Problem(f"{where}.systems", f"the debian base cannot serve {system}", mend))
    if values.get("all_extras") and values.get("extras"):
        problems.append(Problem(f"{where}.extras", *_SAME_EXTRAS))
    return problems + _environment_problems(values, values.get("systems") or DEFAULT_SYSTEMS[base], where)


def _environment_problems(values: Mapping[str, Any], offered: Sequence[str], where: str) -> list[Problem]:
    """What environments say that excludes each other, or that the project does not have."""
    problems = []
    what = f"is not one of the project's systems: {', '.join(offered)}"
    for name, own in values.get("environments", {}).items():
        if own.all_extras and own.extras:
            problems.append(Problem(f"{where}.environments.{name}.extras", *_SAME_EXTRAS))
        problems += [
            Problem(
                f"{where}.environments.{name}.systems",
                f"{system} {what}",
                "take it out, or add it to tool.nixgen.systems",
            )
            for system in own.systems or ()
            if system not in offered
        ]
    return problems


_SAME_EXTRAS = ("says nothing that all-extras does not say", "keep one of the two")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of ``[tool.nixgen]``, from what reads it."""
    found = forms.closed(_READERS)
    defaults = Settings()
    for key, form in found["properties"].items():
        default = getattr(defaults, key.replace("-", "_"), None)
        if isinstance(default, str | bool):
            form["default"] = default
    found["properties"]["environments"]["additionalProperties"] = forms.closed(_ENVIRONMENT_READERS)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "[tool.nixgen] of pyproject.toml", **found}


def _distributions(value: object) -> tuple[str, ...]:
    names = forms.names(_NAME, "a distribution's name", "opencv-python")(value)
    return tuple(dict.fromkeys(normalized(name) for name in names))


def _systems(value: object) -> tuple[str, ...]:
    forms.typed(value, list, '["x86_64-linux"]')
    found = cast("list[object]", value)
    if not found:
        raise forms.WrongError("names no system", "remove it to have all of the base's")
    for index, system in enumerate(found):
        forms.typed(system, str, '"x86_64-linux"', f"[{index}]")
        if system not in SYSTEMS:
            raise forms.WrongError(f'"{system}" is not a system', forms.one_of(str(system), SYSTEMS), f"[{index}]")
    return tuple(sorted(set(map(str, found))))


def _nixpkgs(value: object) -> str | Mapping[str, str | int]:
    if type(value) is str:
        return value
    forms.typed(value, dict, '"nixos-26.05", or {rev = "…", narHash = "sha256-…"}')
    table = cast("dict[str, object]", value)
    shapes = {"rev": (_REV, "40 hexadecimal digits"), "narHash": (_SRI, 'a hash like "sha256-…="')}
    keys = {**shapes, "lastModified": None}
    for key in table:
        if key not in keys:
            raise forms.WrongError("is not a key of a revision", forms.nearest(key, keys), f".{key}")
    for key, (pattern, what) in shapes.items():
        if key not in table:
            raise forms.WrongError(f"lacks {key}", 'write {rev = "…", narHash = "sha256-…"}')
        forms.typed(table[key], str, f'"…" ({what})', f".{key}")
        if not re.fullmatch(pattern, str(table[key])):
            raise forms.WrongError(f'"{table[key]}" is not {what}', "copy it from nix flake metadata --json", f".{key}")
    found: dict[str, str | int] = {key: str(table[key]) for key in shapes}
    if "lastModified" in table:
        modified = table["lastModified"]
        if type(modified) is not int or not 0 < modified < 1 << 40:
            raise forms.WrongError(
                "is not a time in Unix seconds", "copy it from nix flake metadata --json", ".lastModified"
            )
        found["lastModified"] = modified
    return found


def _script_paths(value: object) -> tuple[str, ...]:
    paths = forms.paths(value, '["tools/report.py"]')
    for index, path in enumerate(paths):
        if not path.endswith(".py"):
            raise forms.WrongError(
                f'"{path}" is not a Python script', "name its file, which ends with .py", f"[{index}]"
            )
    return paths


def _packages(value: object) -> Mapping[str, PackageSettings]:
    found: dict[str, PackageSettings] = {}

    def one(name: str, table: dict[str, object]) -> list[forms.WrongError]:
        if not re.fullmatch(_NAME, name):
            return [forms.WrongError("is not a distribution's name", "write it like psycopg2")]
        if normalized(name) in found:
            return [forms.WrongError(f"is there twice, as {normalized(name)}, too", "make one table of the two")]
        values, wrong = forms.read(table, _PACKAGE_READERS, "is not a setting of a package")
        found[normalized(name)] = PackageSettings(**values)
        return wrong

    forms.tables(value, '[tool.nixgen.packages.NAME], and below it build-libraries = ["libpq-dev"]', one)
    return dict(sorted(found.items()))


def _environments(value: object) -> Mapping[str, EnvironmentSettings]:
    found: dict[str, EnvironmentSettings] = {}

    def one(name: str, table: dict[str, object]) -> list[forms.WrongError]:
        if not re.fullmatch(_ENVIRONMENT, name):
            what = "is not a name that an environment can have"
            return [forms.WrongError(what, "use letters, digits, - and _, and begin with a letter: gpu")]
        if name in TAKEN or name.startswith("NIXGEN_"):
            return [forms.WrongError("is the name of something else in default.nix", "give it another name, like gpu")]
        values, wrong = forms.read(table, _ENVIRONMENT_READERS, "is not a setting of an environment")
        found[name] = EnvironmentSettings(**values)
        return wrong

    forms.tables(value, '[tool.nixgen.environments.NAME], and below it extras = ["gpu"]', one)
    return dict(sorted(found.items()))


def _tasks(value: object) -> Mapping[str, TaskSettings]:
    example = 'train = "python train.py"'
    forms.typed(value, dict, f"[tool.nixgen.tasks], and below it {example}")
    found: dict[str, TaskSettings] = {}
    wrong: list[forms.WrongError] = []
    for name, one in cast("dict[str, object]", value).items():
        if not re.fullmatch(_TASK, name):
            mend = "use letters, digits, ., - and _, and begin with a letter or digit: train"
            wrong.append(forms.WrongError("is not a name that a task can have", mend, f".{name}"))
            continue
        table = one if type(one) is dict else {"cmd": one}
        values, problems = forms.read(table, _TASK_READERS, "is not a setting of a task")
        if type(one) is not dict:
            problems = [forms.WrongError(each.what, f"write {example}, or a table with cmd") for each in problems]
        elif not problems and not values.get("cmd") and not values.get("depends_on"):
            problems = [forms.WrongError("has neither cmd nor depends-on", f'write {name} = "python {name}.py"')]
        wrong += [each.below(f".{name}") for each in problems]
        found[name] = TaskSettings(**values)
    wrong += _wrong_dependencies(found) if not wrong else []
    if wrong:
        raise forms.WrongError(wrong[0].what, wrong[0].mend, wrong[0].inside, wrong[1:])
    return found


def _image(value: object) -> ImageSettings:
    forms.typed(value, dict, "layers = 64 below [tool.nixgen.image]")
    values, wrong = forms.read(cast("dict[str, object]", value), _IMAGE_READERS, "is not a setting of images")
    if wrong:
        raise forms.WrongError(wrong[0].what, wrong[0].mend, wrong[0].inside, wrong[1:])
    return ImageSettings(**values)


def _ports(value: object) -> tuple[int, ...]:
    forms.typed(value, list, "[8000]")
    return tuple(dict.fromkeys(map(forms.number(1, 65535, 8000), cast("list[object]", value))))


def _wrong_dependencies(tasks: Mapping[str, TaskSettings]) -> list[forms.WrongError]:
    """Tasks that are not there, and circles, each told once."""
    wrong = [
        forms.WrongError(f'"{other}" is not a task', forms.one_of(other, tuple(tasks)), f".{name}.depends-on")
        for name, task in tasks.items()
        for other in task.depends_on
        if other not in tasks
    ]
    graph = {name: [other for other in task.depends_on if other in tasks] for name, task in tasks.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            first, *others = reversed(error.args[1])
            circle = " -> ".join((first, *others))
            wrong.append(
                forms.WrongError(f"runs in a circle: {circle}", "take one of them out", f".{first}.depends-on")
            )
            graph[first].remove(others[0])
        else:
            return wrong


_PACKAGE_READERS: Mapping[str, Callable[[object], object]] = {
    "build-libraries": forms.names(_PACKAGE, "a package's name", "libpq-dev"),
    "build-tools": forms.names(_PACKAGE, "a package's name", "cmake"),
    "env": forms.Reader(
        forms.variables,
        {
            "type": "object",
            "propertyNames": {"pattern": forms.whole(forms.VARIABLE), "not": {"enum": sorted(forms.OF_BUILDS)}},
            "additionalProperties": {"type": "string"},
        },
    ),
    "patches": forms.Reader(forms.paths, forms.listed({"type": "string"})),
    "timeout": forms.Reader(forms.seconds, {"type": "integer", "minimum": 1, "maximum": forms.LONGEST}),
}

_VARIABLES = forms.Reader(
    lambda value: forms.variables(value, ()),
    {
        "type": "object",
        "propertyNames": {"pattern": forms.whole(forms.VARIABLE)},
        "additionalProperties": {"type": "string"},
    },
)

_TASK_READERS: Mapping[str, Callable[[object], object]] = {
    "cmd": forms.Reader(forms.command, {"type": "string", "minLength": 1}),
    "description": forms.Reader(forms.line, {"type": "string"}),
    "depends-on": forms.names(_TASK, "a task's name", "train"),
    "env": _VARIABLES,
}

_IMAGE_READERS: Mapping[str, Callable[[object], object]] = {
    "record": forms.names(_TASK, "the name of an environment or service", "api"),
    "layers": forms.number(8, 120, 64),
    "user": forms.pattern(r"[0-9]{1,10}:[0-9]{1,10}", "a user and a group, as numbers", "1000:1000"),
    "ports": forms.Reader(_ports, forms.listed({"type": "integer", "minimum": 1, "maximum": 65535})),
    "env": _VARIABLES,
    "labels": forms.Reader(
        lambda value: forms.strings(value, r"[a-z0-9]+([._/-][a-z0-9]+)*", "a label's name", "com.example.team"),
        {
            "type": "object",
            "propertyNames": {"pattern": forms.whole(r"[a-z0-9]+([._/-][a-z0-9]+)*")},
            "additionalProperties": {"type": "string"},
        },
    ),
}

_READERS: Mapping[str, Callable[[object], object]] = {
    "base": forms.choice("nixpkgs", "debian"),
    "python": forms.pattern(r"3\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?", "a Python version", "3.11"),
    "systems": forms.Reader(_systems, forms.listed({"enum": list(SYSTEMS)}, minItems=1)),
    "suite": forms.pattern(r"[a-z]+", "a Debian suite's code name", "bookworm"),
    "nixpkgs": forms.Reader(
        _nixpkgs,
        {
            "type": ["string", "object"],
            "additionalProperties": False,
            "properties": {
                "rev": {"type": "string", "pattern": forms.whole(_REV)},
                "narHash": {"type": "string", "pattern": forms.whole(_SRI)},
                "lastModified": {"type": "integer", "minimum": 1},
            },
            "required": ["rev", "narHash"],
        },
    ),
    "groups": forms.names(_NAME, "a dependency group's name", "dev"),
    "extras": forms.names(_NAME, "an extra's name", "plot"),
    "all-extras": forms.Reader(forms.flag, {"type": "boolean"}),
    "libraries": forms.names(_PACKAGE, "a package's name", "ffmpeg"),
    "tools": forms.names(_PACKAGE, "a package's name", "git"),
    "macos": forms.pattern(r"1[0-9]\.[0-9]{1,2}|2[0-9]\.[0-9]{1,2}", "a macOS version of two numbers", DEFAULT_MACOS),
    "prefer": forms.Reader(_distributions, forms.listed({"type": "string", "pattern": forms.whole(_NAME)})),
    "skip-imports": forms.names(_MODULE, "a module's name", "adbc_driver_duckdb"),
    "smoke": forms.Reader(forms.commands, forms.listed({"type": "string", "minLength": 1})),
    "cuda": forms.choice("auto", "off"),
    "bytecode": forms.choice("auto", "build"),
    "packages": forms.Reader(
        _packages,
        {
            "type": "object",
            "propertyNames": {"pattern": forms.whole(_NAME)},
            "additionalProperties": forms.closed(_PACKAGE_READERS),
        },
    ),
    "environments": forms.Reader(
        _environments, {"type": "object", "propertyNames": {"pattern": forms.whole(_ENVIRONMENT)}}
    ),
    "lock": forms.pattern(r"uv\.lock|pylock(\.[^./\\]+)?\.toml", "the name of a lock", "pylock.toml"),
    "scripts": forms.Reader(_script_paths, forms.listed({"type": "string", "pattern": r"\.py$"})),
    "crate-registries": forms.names(_REGISTRY, "a registry of crates", "sparse+https://crates.example.org/index/"),
    "unfree": forms.Reader(forms.flag, {"type": "boolean"}),
    "run": forms.Reader(forms.command, {"type": "string", "minLength": 1}),
    "tasks": forms.Reader(
        _tasks,
        {
            "type": "object",
            "propertyNames": {"pattern": forms.whole(_TASK)},
            "additionalProperties": {"anyOf": [{"type": "string", "minLength": 1}, forms.closed(_TASK_READERS)]},
        },
    ),
    "image": forms.Reader(_image, forms.closed(_IMAGE_READERS)),
    "archive": forms.names(_ARCHIVE, "an address without credentials, or a folder", "https://archive.example.org"),
}

_ENVIRONMENT_READERS = {key: _READERS[key] for key in ("groups", "extras", "all-extras", "systems", "smoke", "lock")}

_NOT_OF_SCRIPTS = {
    "groups",
    "extras",
    "all-extras",
    "environments",
    "lock",
    "scripts",
    "crate-registries",
    "image",
    "archive",
    "run",
    "tasks",
}
