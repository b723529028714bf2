"""The values of models and data, from models.toml to the templates. All frozen; none does any input or output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nixgen.data.model import DataManifest

Kind = Literal["models", "data"]
Layout = Literal["hf", "plain"]
RepoType = Literal["model", "dataset", "space"]
Scheme = Literal["hf", "https", "github", "s3", "file", "archive", "oci", "registry"]

SCHEMES: tuple[Scheme, ...] = ("hf", "https", "github", "s3", "file", "archive", "oci", "registry")
"""Every kind of source. A source with a ``member`` is an ``archive``, whatever its own scheme is."""

LAYOUTS: tuple[Layout, ...] = ("hf", "plain")


@dataclass(frozen=True, slots=True)
class ArtifactSpec:
    """One model or dataset as models.toml asks for it.

    ``kind`` is the table that it is in; ``source`` and ``revision`` are as written; ``sha256`` (hexadecimal) is what
    the source's one file must have, of an archive: the archive. ``include`` and ``exclude`` are globs as
    huggingface_hub has them (fnmatch over the whole path, a trailing slash means everything below). ``layout`` is
    never empty: where models.toml names none it is ("hf",) for ``hf:`` and ("plain",) for the others. ``member`` is a
    path inside an archive; with a slash at its end a folder, whose files then are the artifact's. ``repo``
    ("org/name") is the name that ``from_pretrained`` is given where the layout hf is asked for a source that is not
    ``hf:``; of a ``hf:`` source it is None. ``format`` is the files' kind of a dataset ("parquet"), None to tell it
    from their names; ``endpoint`` an address (of an S3-compatible server, or of
    another hub). ``registry`` is the address of the registry that a ``registry:`` source is in, as nixgen.lock has it;
    None: the only one. ``where`` is the place for problems ("models.toml: models.minilm").
    """

    kind: Kind
    name: str
    source: str
    revision: str | None = None
    sha256: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    layout: tuple[Layout, ...] = ("plain",)
    member: str | None = None
    repo: str | None = None
    format: str | None = None
    endpoint: str | None = None
    registry: str | None = None
    where: str = ""

    @property
    def scheme(self) -> Scheme:
        """The kind of source. Raises ValueError for a source that models.toml's parser would have refused."""
        return "archive" if self.member is not None else scheme_of(self.source)

    @property
    def key(self) -> str:
        """The name within the project, kind included: "models.minilm"."""
        return f"{self.kind}.{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service of models.toml: ``command`` is a program and its arguments; no ``models`` means all models and data.

    ``environment`` is the name of the one that it runs in, "" for the default one. ``health`` is the command that tells
    whether it still works, for its image; none where there is none.
    """

    name: str
    command: tuple[str, ...]
    models: tuple[str, ...] = ()
    environment: str = ""
    health: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """models.toml. Each part is sorted by name."""

    models: tuple[ArtifactSpec, ...] = ()
    data: tuple[ArtifactSpec, ...] = ()
    services: tuple[ServiceSpec, ...] = ()

    @property
    def specs(self) -> tuple[ArtifactSpec, ...]:
        """All models, then all data."""
        return self.models + self.data


@dataclass(frozen=True, slots=True)
class PinnedArchive:
    """The archive that files are members of: where Nix fetches it, or (``local``) its path in the project."""

    sha256: str
    size: int
    url: str | None = None
    local: str | None = None


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file of an artifact. ``path`` is relative, with forward slashes; ``size`` in bytes; ``sha256`` hexadecimal.

    At most one of ``url`` (where Nix may fetch it), ``local`` (its path in the project) and ``archive`` with
    ``member`` (the path in it) is set. A file with none of them can only be put into the store by nixgen (s3, oci).
    """

    path: str
    size: int
    sha256: str
    url: str | None = None
    local: str | None = None
    member: str | None = None
    archive: PinnedArchive | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """The published version that an artifact is: ``registry`` as nixgen.lock notes it, ``model`` is PROJECT/NAME.

    ``digest`` is what the registry's log has of it: the SHA-256 of its checksum.txt.
    """

    registry: str
    model: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class PinnedArtifact:
    """One model or dataset as nixgen.lock pins it.

    ``source``, ``revision``, ``include``, ``exclude``, ``layout``, ``member``, ``format`` and ``endpoint`` are the
    spec's: when they differ from models.toml, the pin is out of date. ``repo`` ("org/name") and ``repo_type`` name the
    hub cache's folder; ``commit`` is the full commit of hf and github sources, and with the layout hf always set
    (:func:`content_commit` for what has none of its own). ``files`` is sorted by path. ``registered`` is there for
    ``registry:`` sources, and only for them. ``extra_repos`` are the repos
    that the model's own code comes from (``auto_map`` with ``--``) as "org/name": either pinned by another artifact,
    or reported.
    """

    kind: Kind
    name: str
    source: str
    scheme: Scheme
    files: tuple[PinnedFile, ...]
    layout: tuple[Layout, ...] = ("plain",)
    revision: str | None = None
    commit: str | None = None
    repo: str | None = None
    repo_type: RepoType = "model"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    member: str | None = None
    format: str | None = None
    endpoint: str | None = None
    licence: str | None = None
    gated: bool = False
    data: DataManifest | None = None
    registered: Registered | None = None
    extra_repos: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name within the project, kind included: "models.minilm"."""
        return f"{self.kind}.{self.name}"

    @property
    def exact(self) -> str:
        """What the source's revision means: a version, else a commit, else the revision as it is; "" for none."""
        return self.registered.version if self.registered else self.commit or self.revision or ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """What stands for all files: the SHA-256 of one line "size, blank, sha256, blank, path" for each, by path."""
        lines = (f"{file.size} {file.sha256} {file.path}\n" for file in sorted(self.files, key=lambda file: file.path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def scheme_of(source: str) -> Scheme:
    """The kind of a source by its text alone; a path without a scheme is a file. Raises ValueError when unknown."""
    head, colon, _ = source.partition(":")
    if not colon or "/" in head:
        return "file"
    if head == "http":
        return "https"
    for scheme in SCHEMES:
        if head == scheme:
            return scheme
    raise ValueError(head)


def content_commit(files: Iterable[PinnedFile]) -> str:
    """40 hexadecimal digits that stand for these files where the source has no commit of its own.

    The first 40 digits of the SHA-256 of one line "sha256, two blanks, path, newline" for each file, sorted by path,
    in UTF-8: what ``sha256sum`` prints of them, hashed again.
    """
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256(lines.encode()).hexdigest()[:40]
