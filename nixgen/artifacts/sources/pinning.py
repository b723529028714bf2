"""A pin that repeats what models.toml says, as every source makes one."""

from __future__ import annotations

from collections.abc import Iterable

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile, Registered, content_commit
from nixgen.errors import UserError


def pinned(
    spec: ArtifactSpec,
    files: Iterable[PinnedFile],
    *,
    commit: str | None = None,
    registered: Registered | None = None,
) -> PinnedArtifact:
    """The pin of these files, sorted by path. With the layout hf a commit is made where the source has none.

    Raises UserError when the sha256 of models.toml is not that of the one file (of the archive, for its members).
    """
    ordered = tuple(sorted(files, key=lambda file: file.path))
    found = {file.archive.sha256 if file.archive else file.sha256 for file in ordered}
    if spec.sha256 and found != {spec.sha256}:
        if len(found) > 1:
            raise UserError.of(spec.where, "has a sha256, but its source has more than one file", "take the sha256 out")
        what = f"the source has the SHA-256 {found.pop()}, and not {spec.sha256}"
        raise UserError.of(spec.where, what, "find out which of them is right; nothing was pinned")
    return PinnedArtifact(
        kind=spec.kind,
        name=spec.name,
        source=spec.source,
        scheme=spec.scheme,
        files=ordered,
        layout=spec.layout,
        revision=spec.revision,
        commit=commit or (content_commit(ordered) if "hf" in spec.layout else None),
        repo=spec.repo,
        include=spec.include,
        exclude=spec.exclude,
        member=spec.member,
        format=spec.format,
        endpoint=spec.endpoint,
        registered=registered,
    )
