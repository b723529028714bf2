"""The keys of one table of models.toml: how each is read, and which of them fit which kind of source."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nixgen.artifacts.model import LAYOUTS, ArtifactSpec, Layout, Scheme, scheme_of
from nixgen.artifacts.paths import path_problem
from nixgen.artifacts.sourcetext import address_fault, is_repo, single_file
from nixgen.errors import Problem, UserError
from nixgen.machine.addresses import confidential
from nixgen.registry.address import checked

FILE = "models.toml"
_TYPES = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}
_WRONG_LENGTHS = {
    32: ", as an MD5 has",
    40: ", as a SHA-1 or the id of a git blob has",
    56: ", as a SHA-224 has",
    96: ", as a SHA-384 has",
    128: ", as a SHA-512 has",
}


class Entry:
    """One table of models.toml, and how its values are read: what is wrong is noted, and reading goes on."""

    def __init__(self, part: str, name: str, values: Mapping[str, Any], problems: list[Problem]) -> None:
        self.name = name
        self.where = f"{FILE}: {part}.{quoted(name)}"
        self._values = values
        self._problems = problems

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> object:
        """The value as it is, None where there is none."""
        return self._values.get(key)

    def wrong(self, key: str, what: str, mend: str) -> None:
        """Note a problem with a key."""
        self._problems.append(Problem(f"{self.where}.{key}" if key else self.where, what, mend))

    def text(self, key: str, example: str, *, among: Collection[str] = ()) -> str | None:  # noqa: ARG002 -- the same
        """A string, ``among`` those that there are, None where there is none."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        self.wrong(key, f"is {kind_of(value)}, not a string", f'write {key} = "{example}"')
        return None

    def texts(
        self,
        key: str,
        example: str,
        *,
        alone: bool = False,
        among: Collection[str] = (),  # noqa: ARG002 -- for who asks what is asked
    ) -> tuple[str, ...]:
        """A list of strings, ``among`` those that there are; with ``alone`` a string stands for a list of itself."""
        value = self._values.get(key)
        if value is None:
            return ()
        if alone and isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            self.wrong(key, f"is {kind_of(value)}, not a list", f'write {key} = ["{example}"]')
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.wrong(f"{key}[{index}]", f"is {kind_of(item)}, not a string", f'write {key} = ["{example}"]')
        return tuple(item for item in value if isinstance(item, str))


class Asked(Entry):
    """An empty table that notes in JSON Schema's words what it is asked for, and what must not be missing."""

    def __init__(self, part: str) -> None:
        super().__init__(part, "", {}, [])
        self.forms: dict[str, dict[str, Any]] = {}
        self.required: list[str] = []

    def wrong(self, key: str, what: str, mend: str) -> None:
        """Note a key that the reader misses."""
        super().wrong(key, what, mend)
        self.required += [key] if key and what == "is missing" else []

    def text(self, key: str, example: str, *, among: Collection[str] = ()) -> str | None:
        """Note a string."""
        self.forms[key] = {"type": "string", "examples": [example], **({"enum": list(among)} if among else {})}
        return None

    def texts(self, key: str, example: str, *, alone: bool = False, among: Collection[str] = ()) -> tuple[str, ...]:
        """Note a list of strings."""
        one: dict[str, Any] = {"enum": list(among)} if among else {"type": "string"}
        several = {"type": "array", "items": one, "examples": [[example]]}
        self.forms[key] = {"anyOf": [one, several]} if alone else several
        return ()


def kind_of(value: object) -> str:
    """The kind of a TOML value, in words."""
    return _TYPES.get(type(value), "a date")


def quoted(key: str) -> str:
    """A key as TOML has it: in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def nearest(value: str, known: Collection[str]) -> str:
    """What was probably meant, else everything that is known."""
    close = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "known are " + ", ".join(sorted(known))


def sha256(entry: Entry) -> str | None:
    """64 hexadecimal digits, whatever their case."""
    value = entry.text("sha256", "e3b0c442…b855")
    if value is None or re.fullmatch(r"[0-9a-fA-F]{64}", value):
        return value and value.lower()
    entry.wrong("sha256", *_checksum_fault(value))
    return None


def _checksum_fault(value: str) -> tuple[str, str]:
    """Which other checksum this is, and what to write instead."""
    digest = _decoded(value)
    if digest:
        return "is a SHA-256 in another form", f'write sha256 = "{digest}"'
    named = re.match(r"(md5|etag|crc\w*|blake\w*|sha[0-9_-]*)[:=-]", value, re.IGNORECASE)
    if named:
        what = f"is {named[1]}"
    elif value.startswith(('"', "W/")) or re.fullmatch(r"[0-9a-fA-F]{32}-[0-9]+", value):
        what = "is an ETag"
    elif re.fullmatch(r"[0-9a-fA-F]+", value):
        what = f"has {len(value)} digits" + _WRONG_LENGTHS.get(len(value), ", and a SHA-256 has 64")
    else:
        what = "is no SHA-256"
    mend = "write the 64 hexadecimal digits that sha256sum prints of the file, or leave it out: the lock always has it"
    return f"{what}; an md5 or an ETag is never a pin", mend


def _decoded(value: str) -> str | None:
    """The hexadecimal digits of a SHA-256 that is written with its name (OCI) or in base 64 (SRI)."""
    named = re.fullmatch(r"sha256[:=-](.+)", value, re.IGNORECASE)
    if named is None:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{64}", named[1]):
        return named[1].lower()
    try:
        raw = base64.b64decode(named[1], validate=True)
    except binascii.Error:
        return None
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else None


def revision(entry: Entry) -> str | None:
    """A branch, tag or commit: what git allows as the name of a ref (git-check-ref-format(1))."""
    value = entry.text("revision", "main")
    if value is not None and (
        not re.fullmatch(r"[^\s\x00-\x20\x7f~^:?*\[\\]+", value)
        or ".." in value
        or "@{" in value
        or any(not part or part.startswith((".", "-")) or part.endswith(".lock") for part in value.split("/"))
    ):
        entry.wrong("revision", f'"{value}" is no branch, tag or commit', 'write revision = "main"')
        return None
    return value


def globs(entry: Entry, key: str) -> tuple[str, ...]:
    """Patterns for paths, as huggingface_hub has them. Only those of files that are wanted must be such paths."""
    found = entry.texts(key, "*.json")
    for index, pattern in enumerate(found):
        what = path_problem(pattern.removesuffix("/"))
        mend = "write it as in *.json, onnx/* or onnx/; * goes over folders, too"
        if key == "exclude":
            what = None if pattern.isprintable() and pattern else "is empty or has a control character in it"
            mend = "write ? for any character"
        if what:
            entry.wrong(f"{key}[{index}]", f'"{pattern}" {what}', mend)
    if entry.get(key) == []:
        entry.wrong(key, "names nothing", "remove it to have every file")
    return found


def layout(entry: Entry) -> tuple[Layout, ...]:
    """One layout or several; empty where none is named."""
    found = entry.texts("layout", "plain", alone=True, among=LAYOUTS)
    for value in found:
        if value not in LAYOUTS:
            entry.wrong("layout", f'"{value}" is not a layout', nearest(value, LAYOUTS))
    if entry.get("layout") == []:
        entry.wrong("layout", "names no layout", 'write layout = "plain", or remove it')
    return tuple(known for known in LAYOUTS if known in found)


def member(entry: Entry) -> str | None:
    """A path in an archive; with a slash at its end, a folder."""
    value = entry.text("member", "pkg/data/model.onnx")
    what = path_problem(value.removesuffix("/")) if value is not None else None
    if what:
        entry.wrong("member", what, "write the path as the archive has it, like pkg/data/model.onnx or pkg/data/")
    return value


def repo(entry: Entry) -> str | None:
    """The name that from_pretrained is given."""
    value = entry.text("repo", "org/name")
    if value is not None and not is_repo(value):
        entry.wrong("repo", f'"{value}" is not the name of a repo', 'write repo = "org/name"')
    return value


def format_of(entry: Entry) -> str | None:
    """The kind of a dataset's files."""
    from nixgen.data.formats import FORMATS

    value = entry.text("format", "parquet", among=FORMATS)
    if value is not None and value not in FORMATS:
        mend = "did you mean jsonl?" if value.lower() == "json" else nearest(value, FORMATS)
        entry.wrong("format", f'"{value}" is not a format of data', mend)
    return value


def endpoint(entry: Entry) -> str | None:
    """The address of a server that speaks S3, or of a hub."""
    value = entry.text("endpoint", "https://s3.example.org")
    if value is None:
        return None
    fault = address_fault(value)
    if fault is None and not value.startswith(("https://", "http://")):
        fault = "is not an https address", 'write endpoint = "https://s3.example.org"'
    if fault:
        entry.wrong("endpoint", *fault)
    return value


def registry(entry: Entry) -> str | None:
    """The address of a registry of models, as nixgen.lock has it."""
    value = entry.text("registry", "s3://models")
    if value is None:
        return None
    try:
        return checked(value)
    except UserError as error:
        for problem in error.problems:
            entry.wrong("registry", problem.what, problem.mend)
    return None


def readable(spec: ArtifactSpec) -> bool:
    """Whether the source says what kind it is."""
    try:
        return bool(spec.source and scheme_of(spec.source))
    except ValueError:
        return False


def misfits(spec: ArtifactSpec, scheme: Scheme) -> Iterator[tuple[str, str, str]]:
    """Keys that say nothing, or too little, beside this kind of source: key, what, mend."""
    here = f"and the source is {scheme}:"
    if spec.endpoint and scheme == "hf" and not confidential(spec.endpoint):
        what = "is asked without encryption: anybody on the network path could change what is pinned"
        yield "endpoint", what, "write its https address"
    if spec.endpoint and scheme not in {"s3", "hf"}:
        yield "endpoint", f"is for s3: and hf: sources, {here}", "remove it"
    if spec.registry and scheme != "registry":
        yield "registry", f"is for registry: sources, {here}", "remove it"
    if scheme == "archive" and spec.member is None:
        yield "member", "is missing", 'name a file of the package, like "pkg/data/model.onnx", or a folder, "pkg/data/"'
    if spec.member is not None and scheme in {"hf", "registry"}:
        yield "member", f"is for archives, {here}", "remove it; to choose files, use include"
    yield from _misfits_of_files(spec, scheme)
    yield from _misfits_of_layout(spec, scheme)


def _misfits_of_files(spec: ArtifactSpec, scheme: Scheme) -> Iterator[tuple[str, str, str]]:
    single = not spec.member.endswith("/") if spec.member else single_file(scheme, spec.source)
    for key, given in (("include", spec.include), ("exclude", spec.exclude)):
        if given and single:
            yield key, "chooses from several files, and the source is one file", "remove it"
    if spec.sha256 and scheme == "archive":
        yield "sha256", "says what uv.lock says of the package already", "remove it"
    elif spec.sha256 and (scheme in {"hf", "oci"} or (spec.member is None and single is False)):
        what = "is the checksum of one file, and the source may have several"
        yield "sha256", what, "remove it: nixgen.lock has one for each file"


def _misfits_of_layout(spec: ArtifactSpec, scheme: Scheme) -> Iterator[tuple[str, str, str]]:
    if scheme == "hf":
        if spec.repo:
            yield "repo", "is for sources that are not hf:, where the source is the repo", "remove it"
        return
    if "hf" in spec.layout:
        if not spec.repo:
            mend = 'write repo = "org/name", as from_pretrained is given it'
            yield "layout", 'is "hf", and nothing says under which name it is loaded', mend
        return
    if spec.repo:
        yield "repo", 'is the name in a hub cache, and the layout is "plain"', 'add layout = "hf", or remove it'
    if spec.revision:
        forms = {
            "github": "github:OWNER/REPO@TAG/ASSET", "oci": "oci:HOST/NAME:TAG", "registry": "registry:NAME@VERSION"
        }  # fmt: skip
        mend = f"write it into the source: {forms[scheme]}" if scheme in forms else "remove it"
        yield "revision", f"is for hf: sources, and the source is {scheme}:", mend
