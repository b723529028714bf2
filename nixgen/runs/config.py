"""Configurations of a run: copies without what is secret in them, and the same of a command's words."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.machine import addresses, files
from nixgen.runs.model import CONFIG, ConfigFile

BLOT = "***"

_SECRET = re.compile(
    r".*(?:password|passwd|passphrase|passcode|secrets?|credentials?|authorization|cookie|connectionstring|webhook(?:url)?|"
    r"(?:access|account|api|auth|client|deploy|encryption|functions?|license|master|private|secret|service|sharedaccess|"
    r"signing|storage|subscription)key(?:id)?)"
    # "pad_token" and "bypass" are no secrets; "hf_token" and "db_pass" are.
    r"|.*(?:access|api|auth|bearer|bot|client|deploy|git|github|gitlab|hf|hub|huggingface|id|jwt|login|oauth|personal|"
    r"private|push|refresh|registry|security|session|slack|telegram|user|wandb)token"
    r"|token|pwd|pw|jwt|bearer|dsn|(?:db|ftp|ldap|mail|my|pg|proxy|redis|root|admin|smtp|user|database)(?:pass|pw|pwd)"
)
_BEGINNINGS = (
    ("(?:AKIA|ASIA)", 4, r"[0-9A-Z]{16}\b"),
    ("gh[oprsu]_", 4, "[A-Za-z0-9]{30,}"),
    ("github_pat_", 11, "[A-Za-z0-9_]{30,}"),
    ("glpat-", 6, r"[\w-]{16,}"),
    ("hf_", 3, "[A-Za-z0-9]{30,}"),
    ("sk-", 3, "[A-Za-z0-9_-]{20,}"),
    ("xox[abeoprs]-", 5, r"[\w-]{10,}"),
    ("npm_", 4, "[A-Za-z0-9]{30,}"),
    ("pypi-", 5, "[A-Za-z0-9_-]{30,}"),
    ("AIza", 4, r"[\w-]{35}"),
    ("eyJ", 3, r"[\w-]{8,2000}\.eyJ[\w-]{8,2000}\.[\w-]+"),
)
"""How tokens begin, of how many characters that is, and how they go on."""

# What begins with \b is tried at each character of a file, and takes forty times as long: it is asked for afterwards.
_TOKENS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    + "".join(rf"|{start}(?<!\w.{{{length}}}){rest}" for start, length, rest in _BEGINNINGS),
    re.DOTALL,
)
_PAIR = re.compile(
    r"""(?<![\w.])(?P<head>(?P<key>[A-Za-z_][\w.-]{0,127})["']?[ \t]*[:=][ \t]*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|\$\{[^}\n]{0,200}\}|\{\{[^}\n]{0,200}\}\}|[^\s,;}\]#"']+)"""
)
_REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_]\w*|%\([^)]*\)s|\{\{.*\}\}|<[^>]*>|")
_STRING = re.compile(r""""[^"\s<>\[\]{}()]{4,}"|'[^'\s<>\[\]{}()]{4,}'""")
"""Of a program a value that may be a secret: names of variables and calls are none, nor are marks like "<pad>"."""

_LOGIN = re.compile(r"""://[^\s/:@<>{}$"']{1,100}:[^\s/:@<>{}$"']{1,200}@""")
_IN_ADDRESS = "a login in an address"
_STEM = re.compile(r"pass|secret|credential|authorization|cookie|string|hook|key|token|pwd|pw|jwt|bearer|dsn")
"""What every key of a secret has in it, in small letters."""

_LONGEST = 256  # characters of a key that are looked at
_PIECE, _OVERLAP = 1 << 20, 1 << 13  # of a file what is looked at in one go, and what again with the next piece
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd
_CONFIGURATIONS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".config", ".properties", ".tfvars")
_OPTION = re.compile(r"--?(?P<key>[A-Za-z][\w-]*)")


@dataclass(slots=True)
class _Masked:
    """The keys whose values were blotted out, in order; what was looked at already, by its identity."""

    keys: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def note(self, key: str) -> None:
        if key not in self.keys:
            self.keys.append(key)


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a key's value is a secret, by its name alone: ``api_key``, ``db.password``, ``HF_TOKEN``."""
    return _SECRET.fullmatch(re.sub(r"[-_.]", "", key.rpartition(".")[2].lower())) is not None


def masked(text: str, name: str) -> tuple[str, tuple[str, ...]]:
    """A configuration's text without what is secret in it, and the keys that had it; ``name`` tells the format.

    JSON, YAML and TOML are read, and written anew where a key's value is secret; and in all texts, comments too, what
    looks like ``key: value``, a token or an address with a login is blotted out.
    """
    found = _Masked()
    text = _structured(text, name.lower(), found)
    return _plain(text, found), tuple(found.keys)


def secrets(place: Path, *, quoted: bool | None = None) -> tuple[str, ...]:
    """The keys of what is secret in a file, read in pieces, whatever its encoding: of a configuration as in its copy.

    With ``quoted``, which is the default for all other files, a key's value counts only where it is a text in quotes,
    and an address where it has a password: ``token = tokens[0]`` is no secret, nor is ``git@git.example.org:a/b``.
    What is compressed is not looked into. Raises OSError where the file cannot be read.
    """
    found = _Masked()
    configuration = place.name.lower().endswith(_CONFIGURATIONS)
    quoted = not configuration if quoted is None else quoted
    with files.opened(place) as file:
        if not (encoding := _encoding(file)):
            return ()
        text = codecs.getincrementaldecoder(encoding)("replace")
        rest, piece = "", text.decode(file.read(_PIECE))
        while piece:
            after = text.decode(file.read(_PIECE))
            if configuration and not rest and not after:
                return masked(piece, place.name)[1]
            if not quoted:
                _plain(rest + piece, found)
            elif _LOGIN.search(_pairs(rest + piece, found, _STRING)):
                found.note(_IN_ADDRESS)
            end = piece[-_OVERLAP:]
            rest, piece = end[end.find("\n") + 1 :], after
    return tuple(found.keys)


def masked_words(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A command's words without what is secret in them, and the options that had it."""
    found = _Masked()
    given: list[str] = []
    before = ""
    for word in words:
        option = _OPTION.fullmatch(before)
        if option is not None and is_secret(option["key"]) and not word.startswith("-"):
            found.note(before)
            given.append(BLOT)
        else:
            given.append(_plain(word, found))
        before = word
    return tuple(given), tuple(found.keys)


def keep(given: Iterable[Path], folder: Path) -> tuple[ConfigFile, ...]:
    """Copies configurations into a run's folder, each below ``config/``.

    Raises UserError for what cannot be read, OSError where a copy cannot be written.
    """
    taken: set[str] = set()
    found = []
    for path in given:
        data = contents(path)
        digest = hashlib.sha256(data).hexdigest()
        try:
            text, keys = masked(data.decode(), path.name)
        except UnicodeDecodeError:  # a secret in it could not be seen
            found.append(ConfigFile(str(path), digest))
            continue
        copy = _name(path, taken)
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        with (folder / copy).open("x", encoding="utf-8", newline="") as file:
            file.write(text)
        found.append(ConfigFile(str(path), digest, copy, keys))
    return tuple(found)


def contents(path: Path) -> bytes:
    """A configuration's bytes. Raises UserError where it cannot be read."""
    try:
        return files.contents(path)
    except OSError as error:
        raise UserError.of(
            f"--config {path}", f"cannot be read: {error.strerror}", "name a file that is there"
        ) from None


def _name(path: Path, taken: set[str]) -> str:
    inside = not path.is_absolute() and ".." not in path.parts
    plain = path.as_posix() if inside else path.name
    name, number = plain, 1
    while name in taken or any(other.startswith(f"{name}/") or name.startswith(f"{other}/") for other in taken):
        number += 1
        name = f"{number}/{plain}"
    taken.add(name)
    return f"{CONFIG}/{name}"


def _encoding(file: IO[bytes]) -> str:
    """How the text of a file is encoded: by its mark, or its beginning; "" for one that is compressed."""
    head = file.read(1 << 8)
    file.seek(0)
    if head.startswith(_COMPRESSED):
        return ""
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    if marked:
        return marked
    first, second = (head[at::2].count(0) * 3 > len(head) for at in (0, 1))  # two thirds of them are zero
    return "utf-8" if first == second else "utf-16-be" if first else "utf-16-le"


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """The lines of a text that name a secret, by their places: most name none, and need no closer look."""
    low = text.replace("\u0130", "i").lower()  # of all letters, the one that becomes two
    at = 0
    while found := _STEM.search(low, at):
        start, at = found.span()
        while start and at - start < _LONGEST and (low[start - 1].isalnum() or low[start - 1] in "_.-"):
            start -= 1
        while at < len(low) and at - start < _LONGEST and (low[at].isalnum() or low[at] in "_.-"):
            at += 1
        if is_secret(low[start:at]):
            end = low.find("\n", at)
            yield low.rfind("\n", 0, start) + 1, len(low) if end < 0 else end
            at = len(low) if end < 0 else end


def _structured(text: str, name: str, found: _Masked) -> str:
    if not any(True for _ in _lines(text)):
        return text
    try:
        if name.endswith((".yaml", ".yml")):
            from nixgen.formats import yamltext  # which takes a while, and no other needs

            value = yamltext.loads(text)
            return yamltext.dumps(value) if _blot(value, "", found) else text
        if name.endswith(".json"):
            value = json.loads(text)
            return json.dumps(value, indent=2, ensure_ascii=False) + "\n" if _blot(value, "", found) else text
        if name.endswith(".toml"):
            import tomlkit

            toml.loads(text)
            document = tomlkit.parse(text)
            return tomlkit.dumps(document) if _blot(document, "", found) else text
    except (ValueError, RecursionError):  # what it is not, it may be for who reads it; as a text it is looked at anyway
        pass
    return text


def _blot(value: Any, path: str, found: _Masked, *, inside: bool = False) -> bool:  # noqa: ANN401 -- any plain value
    """Blots the values of secret keys out, in place; of a table or list all that is inside. Whether any was."""
    if id(value) in found.seen and not inside:
        return False  # an alias of YAML
    found.seen.add(id(value))
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    any_was = False
    for key, item in items:
        below = f"{path}.{key}" if path else str(key)
        secret = inside or (isinstance(value, dict) and is_secret(str(key)))
        if isinstance(item, dict | list):
            any_was |= _blot(item, below, found, inside=secret)
        elif secret and item is not None and not isinstance(item, bool) and not _REFERENCE.fullmatch(str(item)):
            value[key] = BLOT
            found.note(below)
            any_was = True
    return any_was


def _plain(text: str, found: _Masked) -> str:
    """The text without what looks like a secret, line by line."""
    text = _pairs(text, found)
    clean = addresses.blotted(text) if "@" in text or "://" in text else text
    if clean != text:
        found.note(_IN_ADDRESS)
    return clean


def _pairs(text: str, found: _Masked, values: re.Pattern[str] | None = None) -> str:
    """The text without keys' secrets and tokens; ``values`` are those that a key may have, None for any."""

    def pair(match: re.Match[str]) -> str:
        if (values is not None and not values.fullmatch(match["value"])) or not is_secret(match["key"]):
            return match[0]
        value = match["value"].strip("\"'")
        if value in {BLOT, "null", "none", "None", "true", "false"} or _REFERENCE.fullmatch(value):
            return match[0]
        if not any(key == match["key"] or key.endswith(f".{match['key']}") for key in found.keys):
            found.note(match["key"])
        quote = match["value"][0] if match["value"][0] in "\"'" else ""
        return f"{match['head']}{quote}{BLOT}{quote}"

    def token(match: re.Match[str]) -> str:
        found.note(f"a token ({match[0][:4]}…)" if not match[0].startswith("-----") else "a private key")
        return BLOT

    made, at = [], 0
    for start, end in _lines(text):
        made += [text[at:start], _PAIR.sub(pair, text[start:end])]
        at = end
    return _TOKENS.sub(token, "".join([*made, text[at:]]))
