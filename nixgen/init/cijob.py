"""The job for continuous integration that ``nixgen init`` writes: two builds, and a comparison.

The text is a template's; what is spliced into it is in :class:`Job`, and can be read back out of a file, so that a file
that nobody has changed is told from one that somebody made his own, without a note kept anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from nixgen import resources

if TYPE_CHECKING:
    from jinja2 import Environment

Kind = Literal["github", "gitlab"]

KINDS: tuple[Kind, ...] = get_args(Kind)

FILES: dict[Kind, str] = {"github": ".github/workflows/reproducibility.yml", "gitlab": ".gitlab/reproducibility.yml"}
"""Where the job of each kind lies, below the root of the repository."""

GITLAB_ENTRY = ".gitlab-ci.yml"
"""The one file that GitLab reads by itself."""

RUNNERS = {
    "aarch64-darwin": ("macos-15", "macos-26"),
    "aarch64-linux": ("ubuntu-24.04-arm", "ubuntu-26.04-arm"),
    "x86_64-darwin": ("macos-15-intel", "macos-26-intel"),
    "x86_64-linux": ("ubuntu-24.04", "ubuntu-26.04"),
}
"""GitHub's machines for each system, for the first and the second build: not the same image, so not the same kernel."""

TAGS = {"aarch64-linux": "saas-linux-small-arm64", "x86_64-linux": ""}
"""GitLab's machines with a container, by their tag; what runs without a tag is x86_64."""

MARKS: dict[str, Any] = {
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
"""Delimiters of templates that leave free what YAML, GitHub and shells have for themselves."""

_MEANINGS: dict[Kind, tuple[str, str]] = {"github": ("${{", "${{ '${{' }}"), "gitlab": ("$", "$$")}
"""What begins an expression or a variable in a text, for each kind, and how it is written to stand for itself."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_VERSION = re.compile(r"==.*|@[0-9a-f]{40}")
_ESCAPE = re.compile(r"\\U([0-9A-F]{8})")
_AMBIGUOUS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass(frozen=True, slots=True)
class Job:
    """What a job is rendered from.

    ``systems`` are Nix systems; ``base`` the kind of the base; ``requirement`` what pip installs as nixgen, empty where
    that is not known; ``folder`` the project's place below the repository's root, empty at the root itself.
    """

    systems: tuple[str, ...]
    base: str
    requirement: str
    folder: str = ""

    def served(self, kind: Kind) -> tuple[str, ...]:
        """The systems that this kind has machines for."""
        return tuple(system for system in self.systems if system in (RUNNERS if kind == "github" else TAGS))


def render(kind: Kind, job: Job) -> str:
    """The job as YAML. No input or output but the reading of the template."""
    rows = []
    for system in job.served(kind):
        first, second = RUNNERS[system]
        rows.append({"system": system, "first": first, "second": second, "tag": TAGS.get(system, "")})
    left = [system for system in job.systems if system not in job.served(kind)]
    folder, requirement = (text.replace(*_MEANINGS[kind]) for text in (job.folder, job.requirement))
    return (
        _environment()
        .get_template(f"reproducibility.{kind}.yml.j2")
        .render(rows=rows, left=left, kind=job.base, requirement=requirement, folder=folder)
    )


def gitlab_entry() -> str:
    """A ``.gitlab-ci.yml`` for a repository that has none."""
    return (
        "# Written by nixgen init. Yours to change: nixgen will not touch it again.\n"
        f"include:\n  - local: {FILES['gitlab']}\n"
    )


def untouched(kind: Kind, text: str) -> Job | None:
    """What a file was rendered from, if it is, byte for byte, what nixgen writes: nobody has changed more of it.

    Where nixgen comes from may be somebody's own word, and does not count as a change.
    """
    job = _read_back(kind, text)
    return job if job is not None and render(kind, job) == text else None


def newer(old: str, new: str) -> str:
    """Of two requirements ``new``, where it is the same source in another version; else somebody chose ``old``."""
    same = not old or _VERSION.sub("", old) == _VERSION.sub("", new)
    return new if same and new else old


def _read_back(kind: Kind, text: str) -> Job | None:
    """What a file that nixgen wrote was rendered from."""
    requirement = re.search(r'^ +NIXGEN: ("[^\n]*"|\S+) #', text, re.MULTILINE)
    folder = re.search(r"^ +(?:working-directory|PROJECT): (.*)$", text, re.MULTILINE)
    found = re.findall(r"^reproducibility-first-(\S+):$|^ +- \{ system: (\S+),", text, re.MULTILINE)
    left = re.search(r"with Nix for it:\n# (.*)\. A runner", text)
    systems = dict.fromkeys([one or other for one, other in found] + (left[1].split(", ") if left else []))
    if requirement is None or not set(systems) <= set(RUNNERS):
        return None
    base = "nixpkgs" if "https://cache.nixos.org" in text else "debian"
    meaning, plain = _MEANINGS[kind]
    texts = [_value(one[1]).replace(plain, meaning) if one else "" for one in (requirement, folder)]
    return Job(tuple(sorted(systems)), base, *texts)


def _value(scalar: str) -> str:
    return _ESCAPE.sub(lambda one: chr(int(one[1], 16)), scalar.strip('"'))


@cache
def _environment() -> Environment:
    """The templates, with delimiters that YAML and GitHub's own ``${{ }}`` leave free."""
    return resources.templates(scalar, **MARKS)  # which escapes, for YAML


def scalar(value: object) -> str:
    """A text as a scalar of YAML 1.2: as it is where that is safe, else in double quotes, with escapes (5.7)."""
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _AMBIGUOUS:
        return text
    safe = (one if " " <= one <= "~" and one not in '"\\' else f"\\U{ord(one):08X}" for one in text)
    return f'"{"".join(safe)}"'
