"""What nixgen would install beside what uv would, for every uv project below a folder: ``python -m support.corpus``.

Both sides only read: uv's is ``uv sync --frozen --dry-run`` with the target's platform and a stand-in for its Python,
so neither an index nor an interpreter of that version is needed, and nothing is built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nixgen.errors import NixgenError
from nixgen.generate import show
from nixgen.project.project import find_project
from nixgen.project.settings import DEFAULT_MACOS
from nixgen.resolve import uv

PLATFORMS = {
    "aarch64-darwin": "aarch64-apple-darwin",
    "aarch64-linux": "aarch64-manylinux_2_40",
    "x86_64-darwin": "x86_64-apple-darwin",
    "x86_64-linux": "x86_64-manylinux_2_40",
}
"""uv's name of the platform that is nearest to what nixgen resolves each system for."""

_NOT_PROJECTS = {".git", ".venv", "node_modules", ".nox", ".tox"}


@dataclass(frozen=True, slots=True)
class Pair:
    """What both sides said of one project on one system: names with versions, or an error's first line."""

    project: str
    system: str
    ours: dict[str, str] | str
    uvs: dict[str, str] | str
    problems: tuple[str, ...] = ()

    def differences(self) -> list[str]:
        """One line for each package that is not the same on both sides; that both refuse is the same."""
        refused = isinstance(self.ours, str) or bool(self.problems)
        if isinstance(self.uvs, str):
            return [] if refused else [f"uv: {self.uvs}"]
        if isinstance(self.ours, str):
            return [f"nixgen: {self.ours}"]
        lines = []
        for name in sorted(self.ours.keys() | self.uvs.keys()):
            mine, other = self.ours.get(name, "not there"), self.uvs.get(name, "not there")
            if mine != other and "" not in {mine, other}:
                lines.append(f"{name}: nixgen {mine}, uv {other}")
        return lines


def projects(folder: Path) -> Iterator[Path]:
    """The folders that have a pyproject.toml and a uv.lock, in order."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _NOT_PROJECTS)
        if {"pyproject.toml", "uv.lock"} <= set(names):
            yield Path(here)


def lock(root: Path, cache: Path) -> None:
    """Runs ``uv lock`` in a project, with the network and a cache of the tests' own.

    A stand-in is its Python too, as long as no package has to be built to tell what it depends on.
    """
    env = {**os.environ, "UV_CACHE_DIR": os.fspath(cache), "UV_PYTHON_DOWNLOADS": "never"}
    with uv.nowhere() as nowhere:
        for python in (uv.stand_in(nowhere, "3.12.99"), sys.executable):
            command = [uv.binary(), "lock", "--no-progress", f"--python={python}"]
            done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
    raise AssertionError(done.stderr)


def compare(root: Path, systems: Iterable[str] = PLATFORMS, python: str | None = None) -> list[Pair]:
    """Both sides for a project and these systems."""
    return beside_uv(root, reported(root, systems, python), systems, python)


def reported(root: Path, systems: Iterable[str] = PLATFORMS, python: str | None = None) -> show.Report | str:
    """What nixgen would install, or the first line of its refusal."""
    try:
        return show.report(find_project(root), tuple(systems), python)
    except NixgenError as refusal:
        return f"error: {refusal}".splitlines()[0]


def beside_uv(
    root: Path, found: show.Report | str, systems: Iterable[str] = PLATFORMS, python: str | None = None
) -> list[Pair]:
    """The same with uv's side."""
    if isinstance(found, str):
        return [Pair(root.name, system, found, _of_uv(root, system, python or "3.13")) for system in systems]
    targets = json.loads(show.as_json(found))["targets"]
    return [_pair(root, system, targets[system]) for system in systems]


def _pair(root: Path, system: str, target: dict[str, object]) -> Pair:
    packages = target["packages"]
    problems = target["problems"]
    assert isinstance(packages, list)
    assert isinstance(problems, list)
    # A local package's version may be for its backend to say; uv does not name one either.
    ours = {one["name"]: "" if one["kind"] == "directory" else one["version"] or "" for one in packages}
    return Pair(
        root.name,
        system,
        ours,
        _of_uv(root, system, str(target["python"])),
        tuple(f"{one['package']}: {one['problem']}" for one in problems),
    )


def _of_uv(root: Path, system: str, python: str) -> dict[str, str] | str:
    full = python if python.count(".") > 1 else f"{python}.{_PATCH}"
    with uv.nowhere() as nowhere:
        command = [
            uv.binary(),
            "sync",
            "--frozen",
            "--dry-run",
            "--output-format=json",
            f"--python={uv.stand_in(nowhere, full)}",
            *_chosen(root),
        ]
        env = {
            **uv.offline_environment(nowhere),
            "UV_PROJECT_ENVIRONMENT": os.fspath(nowhere / "venv"),
            "MACOSX_DEPLOYMENT_TARGET": DEFAULT_MACOS,
        }
        done = subprocess.run(
            [*command, f"--python-platform={PLATFORMS[system]}"],
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        return _first_line(done.stderr)
    changes = json.loads(done.stdout)["sync"]["changes"]
    return {one["name"]: one.get("version") or "" for one in changes if one["action"] == "installed"}


def _chosen(root: Path) -> list[str]:
    """The extras and groups of [tool.nixgen], as options of uv."""
    settings = tomllib.loads((root / "pyproject.toml").read_text()).get("tool", {}).get("nixgen", {})
    options = [f"--extra={extra}" for extra in settings.get("extras", ())]
    if settings.get("all-extras"):
        options.append("--all-extras")
    if "groups" in settings:
        options += ["--no-default-groups", *(f"--group={group}" for group in settings["groups"])]
    return options


_PATCH = 99  # the newest that a project can ask for: no requires-python that names a patch release refuses it


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("error")]
    return (lines or text.splitlines() or ["no word"])[0]


def main(words: Sequence[str]) -> int:
    """Compares every project below the folders that are named; exit code 1 where something differs."""
    if not words:
        print("name a folder with uv projects: make corpus FOLDER=…", file=sys.stderr)
        return 2
    found = [root for word in words for root in projects(Path(word).resolve())]
    if not found:
        print(f"no folder in {', '.join(words)} has a pyproject.toml and a uv.lock", file=sys.stderr)
        return 2
    differing = compared = refused = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for root, pairs in zip(found, pool.map(compare, found), strict=True):
            for pair in pairs:
                compared += 1
                refused += bool(pair.problems)
                if lines := pair.differences():
                    differing += 1
                    print(f"{root} ({pair.system})", *(f"  {line}" for line in lines), sep="\n")
    print(
        f"{len(found)} projects, {compared} pairs with a system: {differing} differ from uv, {refused} have a problem"
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
