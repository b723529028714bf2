"""Lines of .gitattributes: git changes no line ends of files whose bytes count.

Where ``core.autocrlf`` is set (Git for Windows asks for it), a checkout would have other bytes than its teammates' in
the locks and in the library that builds: other digests, other derivations. ``-text`` is gitattributes(5)'s word for
leaving them alone; they are shown and merged as text all the same. ``linguist-generated`` is GitHub's and others' for
what nobody reviews line by line, and linters pass over.
"""

from __future__ import annotations

from pathlib import Path

from nixgen.machine import files, git
from nixgen.project import pylockfile

NAME = ".gitattributes"
_EXACT = (
    "/default.nix",
    "/flake.lock",
    "/models.toml",
    "/nix/nixgen/**",
    "/nixgen.hashes.json",
    "/nixgen.lock",
    "/uv.lock",
)
_GENERATED = ("/default.nix", "/nix/nixgen/**")
_WINDOWS = b"\r\n"
_DIGESTED = ("uv.lock", "models.toml")  # of the others, generate writes the bytes, or their digest knows no line ends


def with_lines(root: Path, *, work_tree: bool) -> bytes | None:
    """.gitattributes with the lines that are missing, None when none is; none for what git leaves alone already."""
    old = files.read(root, NAME) or b""
    present = {" ".join(line.split()) for line in old.decode(errors="replace").splitlines()}
    exact = sorted((*_EXACT, *(f"/{name}" for name in pylockfile.names(root))))
    missing = [pattern for pattern in exact if f"{pattern} -text" not in present]
    if missing and work_tree:
        samples = {pattern: pattern.strip("/").replace("**", "default.nix") for pattern in missing}
        kept = git.with_unix_line_ends(root, samples.values())
        missing = [pattern for pattern in missing if samples[pattern] not in kept]
    lines = [f"{pattern} -text" for pattern in missing]
    lines += [line for line in (f"{pattern} linguist-generated" for pattern in _GENERATED) if line not in present]
    if not lines:
        return None
    end = _WINDOWS if _WINDOWS in old else b"\n"
    separator = end if old and not old.endswith(b"\n") else b""
    return old + separator + b"".join(line.encode() + end for line in lines)


def changed_line_ends(root: Path) -> tuple[str, ...]:
    """The files with the line ends of Windows whose digests Nix compares: those of teammates have others."""
    return tuple(name for name in (*_DIGESTED, *pylockfile.names(root)) if _WINDOWS in (files.read(root, name) or b""))
