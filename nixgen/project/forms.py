"""The forms that values of a closed TOML table have: how each is read, and what JSON Schema says of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
"""The name of an environment variable."""

OF_BUILDS = frozenset(
    {"HOME", "NIX_BUILD_CORES", "NIX_BUILD_TOP", "NIX_STORE", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "TMPDIR"}
)
"""Variables that a build has from nixgen."""

LONGEST = 7 * 24 * 3600
"""The most seconds that a build may be given."""


class WrongError(Exception):
    """What is wrong with one setting; ``inside`` is the rest of its path (``[2]``, ``.rev``); and what else is."""

    def __init__(self, what: str, mend: str = "", inside: str = "", others: Sequence[WrongError] = ()) -> None:
        super().__init__(what)
        self.what, self.mend, self.inside, self.others = what, mend, inside, others

    def below(self, key: str) -> WrongError:
        """The same, of a setting inside of ``key``."""
        return WrongError(self.what, self.mend, key + self.inside)


def read(
    table: Mapping[str, object], readers: Mapping[str, Callable[[object], object]], unknown: str
) -> tuple[dict[str, Any], list[WrongError]]:
    """The values of a closed table, by the names of Python, and all that is wrong with it."""
    values: dict[str, Any] = {}
    wrong: list[WrongError] = []
    for key, value in table.items():
        try:
            if key in readers:
                values[key.replace("-", "_")] = readers[key](value)
            else:
                wrong.append(WrongError(unknown, nearest(key, readers), f".{key}"))
        except WrongError as error:
            wrong += [one.below(f".{key}") for one in (error, *error.others)]
    return values, wrong


def nearest(key: str, known: Mapping[str, object]) -> str:
    """What was probably meant, else all that there is."""
    close = difflib.get_close_matches(key.lower().replace("_", "-"), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "the settings are " + ", ".join(sorted(known))


_TYPES = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}


def typed(value: object, kind: type, example: str, inside: str = "") -> None:
    """Raises WrongError for a value of another type; ``example`` is what to write."""
    if type(value) is not kind:
        raise WrongError(f"is {_TYPES.get(type(value), 'a date')}, not {_TYPES[kind]}", f"write {example}", inside)


@dataclass(frozen=True, slots=True)
class Reader:
    """How a value is read, and what JSON Schema says of it."""

    read: Callable[[object], Any]
    form: Mapping[str, Any]

    def __call__(self, value: object) -> Any:  # noqa: ANN401 -- of the type that the setting has
        """Read the value."""
        return self.read(value)


def whole(pattern: str) -> str:
    """A pattern for all of a text, in JSON Schema's words."""
    return f"^(?:{pattern})$"


def listed(item: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A list of JSON Schema."""
    return {"type": "array", "items": dict(item), **more}


def closed(readers: Mapping[str, Callable[[object], object]]) -> dict[str, Any]:
    """A closed table of JSON Schema."""
    forms = {key: dict(getattr(reader, "form", {})) for key, reader in readers.items()}
    return {"type": "object", "additionalProperties": False, "properties": forms}


def choice(*allowed: str) -> Reader:
    """One of some words."""

    def read(value: object) -> str:
        typed(value, str, f'"{allowed[0]}"')
        if value not in allowed:
            raise WrongError(f'"{value}" is not known', one_of(str(value), allowed))
        return str(value)

    return Reader(read, {"enum": list(allowed)})


def one_of(value: str, allowed: tuple[str, ...]) -> str:
    """Which word was probably meant, else all of them."""
    close = difflib.get_close_matches(value, allowed, n=1)
    return f"did you mean {close[0]}?" if close else "use one of " + ", ".join(allowed)


def pattern(pattern: str, what: str, example: str) -> Reader:
    """A text that a pattern matches whole; ``what`` says what that is."""

    def read(value: object) -> str:
        typed(value, str, f'"{example}"')
        if not re.fullmatch(pattern, str(value), re.ASCII):
            raise WrongError(f'"{value}" is not {what}', f'write it like "{example}"')
        return str(value)

    return Reader(read, {"type": "string", "pattern": whole(pattern), "examples": [example]})


def names(pattern: str, what: str, example: str) -> Reader:
    """A list of such texts, each once."""

    def read(value: object) -> tuple[str, ...]:
        typed(value, list, f'["{example}"]')
        for index, name in enumerate(cast("list[object]", value)):
            typed(name, str, f'"{example}"', f"[{index}]")
            if not re.fullmatch(pattern, str(name)):
                raise WrongError(f'"{name}" is not {what}', f'write it like "{example}"', f"[{index}]")
        return tuple(dict.fromkeys(map(str, cast("list[object]", value))))

    return Reader(read, listed({"type": "string", "pattern": whole(pattern)}, examples=[[example]]))


def command(value: object) -> str:
    """A line for a shell."""
    typed(value, str, '"python -m app"')
    if not str(value).strip() or "\0" in str(value):
        raise WrongError("is not a command", 'write it like "python -m app"')
    return str(value).strip()


def line(value: object) -> str:
    """A sentence."""
    typed(value, str, '"Train the model"')
    if re.search(r"[\x00-\x1f\x7f]", str(value)):
        raise WrongError("is more than one line", "write one sentence")
    return str(value)


def commands(value: object) -> tuple[str, ...]:
    """Lines for a shell."""
    example = 'python -c "import demo"'
    typed(value, list, f"['{example}']")
    for index, command in enumerate(cast("list[object]", value)):
        typed(command, str, f"'{example}'", f"[{index}]")
        if not str(command).strip() or "\0" in str(command):
            raise WrongError("is not a command", f"write it like '{example}'", f"[{index}]")
    return tuple(map(str, cast("list[object]", value)))


def variables(value: object, taken: Collection[str] = OF_BUILDS) -> Mapping[str, str]:
    """Variables of an environment, by name; ``taken`` are those that nixgen sets."""
    example = '{WITH_SSL = "1"}'
    typed(value, dict, example)
    for name, text in cast("dict[str, object]", value).items():
        if not re.fullmatch(VARIABLE, name) or name in taken:
            what = "is set by nixgen itself" if name in taken else "is not a variable's name"
            raise WrongError(what, f"write it like {example}", f".{name}")
        typed(text, str, f'{name} = "1"', f".{name}")
        if "\0" in str(text):
            raise WrongError("holds the character NUL", "take it out", f".{name}")
    return {str(name): str(text) for name, text in sorted(cast("dict[str, str]", value).items())}


def paths(value: object, example: str = '["patches/name.patch"]') -> tuple[str, ...]:
    """Paths of files in the project, each once."""
    typed(value, list, example)
    for index, path in enumerate(cast("list[object]", value)):
        typed(path, str, example, f"[{index}]")
        parts = str(path).split("/")
        if any(part in {"", ".", ".."} for part in parts) or re.search(r"[\x00-\x1f\x7f\\]", str(path)):
            raise WrongError(f'"{path}" is not a path in the project', f"write it like {example}", f"[{index}]")
    return tuple(dict.fromkeys(map(str, cast("list[object]", value))))


def seconds(value: object) -> int:
    """A length of time, at most a week."""
    typed(value, int, "3600")
    if not 0 < int(cast("int", value)) <= LONGEST:
        raise WrongError(f"{value} is not a number of seconds", f"write a number between 1 and {LONGEST}")
    return int(cast("int", value))


def number(least: int, most: int, example: int) -> Reader:
    """A whole number between two."""

    def read(value: object) -> int:
        typed(value, int, str(example))
        if not least <= int(cast("int", value)) <= most:
            raise WrongError(f"{value} is out of range", f"write a number between {least} and {most}")
        return int(cast("int", value))

    return Reader(read, {"type": "integer", "minimum": least, "maximum": most})


def strings(value: object, pattern: str, what: str, example: str) -> Mapping[str, str]:
    """Texts by name."""
    shown = f'{{"{example}" = "…"}}'
    typed(value, dict, shown)
    for name, text in cast("dict[str, object]", value).items():
        if not re.fullmatch(pattern, name):
            raise WrongError(f"is not {what}", f"write it like {shown}", f".{name}")
        typed(text, str, f'"{name}" = "…"', f".{name}")
    return {str(name): str(text) for name, text in sorted(cast("dict[str, str]", value).items())}


def tables(value: object, example: str, one: Callable[[str, dict[str, object]], list[WrongError]]) -> None:
    """Reads a table of tables; ``one`` is given each with its name, and says what is wrong with it."""
    typed(value, dict, example)
    wrong: list[WrongError] = []
    for name, table in cast("dict[str, object]", value).items():
        if type(table) is not dict:
            mend = f"write {example.partition(',')[0].replace('NAME', name)}"
            wrong.append(WrongError("is not a table", mend, f".{name}"))
            continue
        wrong += [each.below(f".{name}") for each in one(name, cast("dict[str, object]", table))]
    if wrong:
        raise WrongError(wrong[0].what, wrong[0].mend, wrong[0].inside, wrong[1:])


def flag(value: object) -> bool:
    """True or false."""
    typed(value, bool, "true or false")
    return bool(value)
