"""Whether nixgen.lock still pins what models.toml asks for. No network, no input or output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nixgen.artifacts.fields import FILE
from nixgen.artifacts.model import ArtifactSpec, Manifest, PinnedArtifact, content_commit
from nixgen.errors import Problem

_MEND = "nixgen sync"
_KEYS = ("source", "revision", "include", "exclude", "member", "format", "endpoint")
_OWN_COMMIT = ("hf", "github")  # the others' commits are made of their content


def changes(spec: ArtifactSpec, pin: PinnedArtifact, uv_lock: str) -> Iterator[tuple[str, str]]:
    """What must be asked of the source anew: the key, and a sentence about it. ``uv_lock`` is that file's text."""
    for key in _KEYS:
        wanted, locked = getattr(spec, key), getattr(pin, key)
        if wanted != locked:
            yield key, f"is {_shown(wanted)}, and nixgen.lock was made for {_shown(locked)}"
    if pin.registered and spec.registry not in {None, pin.registered.registry}:
        yield "registry", f"is {spec.registry}, and nixgen.lock was made for {pin.registered.registry}"
    if spec.sha256 and spec.sha256 not in _one_file(pin):
        yield "sha256", "is not that of the file that nixgen.lock pins"
    if spec.source == pin.source and spec.source.startswith("archive:"):
        archives = {file.archive.sha256 for file in pin.files if file.archive}
        if any(f'"sha256:{sha256}"' not in uv_lock for sha256 in archives):
            yield "source", "is a package that uv.lock has in another version than nixgen.lock"


def differences(spec: ArtifactSpec, pin: PinnedArtifact, uv_lock: str) -> Iterator[tuple[str, str]]:
    """The same, and what ``nixgen lock`` brings up to date without the network."""
    found = list(changes(spec, pin, uv_lock))
    yield from found
    if not found and fitted(spec, pin) != pin:
        key = "layout" if spec.layout != pin.layout else "repo"
        yield key, f"is {_shown(getattr(spec, key))}, and nixgen.lock was made for {_shown(getattr(pin, key))}"


def fitted(spec: ArtifactSpec, pin: PinnedArtifact) -> PinnedArtifact:
    """The pin with what models.toml alone decides: layout, and the name and commit in the hub's cache."""
    if pin.scheme == "hf":
        return replace(pin, layout=spec.layout)
    commit = pin.commit if pin.scheme in _OWN_COMMIT else None
    if "hf" in spec.layout and commit is None:
        commit = content_commit(pin.files)
    return replace(pin, layout=spec.layout, repo=spec.repo, commit=commit)


def problems(manifest: Manifest, artifacts: Sequence[PinnedArtifact], uv_lock: str) -> list[Problem]:
    """In what nixgen.lock and models.toml disagree."""
    pins = {pin.key: pin for pin in artifacts}
    found: list[Problem] = []
    for spec in manifest.specs:
        pin = pins.pop(spec.key, None)
        if pin is None:
            found.append(Problem(spec.where, "is not pinned in nixgen.lock", _MEND))
        else:
            found += [Problem(f"{spec.where}.{key}", what, _MEND) for key, what in differences(spec, pin, uv_lock)]
    gone = f"is pinned, and {FILE} does not have it"
    found += [Problem(f"nixgen.lock: {key}", gone, _MEND) for key in sorted(pins)]
    return found


def _one_file(pin: PinnedArtifact) -> set[str]:
    """What a sha256 in models.toml may be: that of the archive, else that of the one file."""
    archives = {file.archive.sha256 for file in pin.files if file.archive}
    return archives or {file.sha256 for file in pin.files[:1] if len(pin.files) == 1}


def _shown(value: str | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else value
