"""How long an environment takes to build and to import from, beside a venv that uv fills with the same wheels."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from support.loopback import Asked, Reply, listen, ranged

from bench.evaluation import through, version
from bench.manywheels import COUNT, many_wheels
from bench.measure import Row, Series, ratio, timed, within
from bench.project import CACHE, UV, let_go, nix_versions, notebook, plain_python, wheel_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.nix import Nix

IMPORTS = ("pandas", "sklearn", "pyarrow")


def build() -> list[Row]:
    """The notebook's environment, wheels fetched and base built, beside uv's installation of the same wheel files."""
    folder, venv = notebook("debian"), CACHE / "venv-build"
    fill = _fill(venv)
    rows = []
    for nix in nix_versions():
        nix.build(folder, "environment")
        made = _made(nix, folder)
        let_go(nix)
        # Nix's own default is one build at a time: measured once, because it takes longest and has no limit.
        for jobs, runs in (("auto", 2), ("1", 1)) if nix is nix_versions()[-1] else (("auto", 2),):
            command = [str(nix.bin / "nix-build"), "--no-out-link", "-j", jobs, str(folder), "-A", "environment"]
            before = [[str(nix.bin / "nix-store"), "--delete", *made], _empty(venv)]
            ours, theirs = timed([command, fill], runs, warm=0, before=before, through=through(nix))
            what = f"building the notebook's environment, wheels fetched, Nix {version(nix)}, max-jobs = {jobs}"
            row = ratio(what, ours, theirs, 3.0, "uv pip install")
            rows.append(row if jobs == "auto" else Row(row.what, row.measured, note="Nix's default"))
    return rows


def entry() -> list[Row]:
    """What a teammate waits for: nothing of the wheels is there, and each is downloaded from a server on loopback.

    As many builds at a time as there are cores, as `nixgen sync`, `nixgen shell` and `./enter` ask for, and Nix's own
    default, one; beside `uv sync` with and without byte code. All get their answers from one server, after 50 ms.
    """
    folder, venv = notebook("debian"), CACHE / "venv-entry"
    served = {path.name: path.read_bytes() for path in wheel_files()}
    rows = []
    with listen(partial(_late, served)) as address:
        there, project = folder / "there.nix", CACHE / "entry"
        project.mkdir(exist_ok=True)
        for source, target in (
            (folder / "default.nix", there),
            (folder / "uv.lock", project / "uv.lock"),
            (folder / "pyproject.toml", project / "pyproject.toml"),
        ):
            target.write_text(re.sub(r'\burl = "[^"]*/([^/"]*)"', rf'url = "{address}/\1"', source.read_text()))
        try:
            for nix in nix_versions():
                nix.build(folder, "environment")
                gone = [*_made(nix, folder), *_sources(nix, folder)]
                let_go(nix)
                before = [[str(nix.bin / "nix-store"), "--delete", *gone], _empty(venv), _empty(venv)]
                fills = [_sync(project, venv), _sync(project, venv, "--compile-bytecode")]
                newest = nix is nix_versions()[-1]
                for jobs, runs in ((os.cpu_count() or 1, 2), (1, 1)) if newest else ((os.cpu_count() or 1, 2),):
                    build = [str(nix.bin / "nix-build"), "--no-out-link", "-j", str(jobs), str(there)]
                    commands = [[*build, "-A", "environment"], *fills]
                    ours, plain, compiled = timed(commands, runs, warm=0, before=before, through=through(nix))
                    what = f"the notebook's wheels downloaded and installed, Nix {version(nix)}, max-jobs = {jobs}"
                    rows.append(ratio(what, ours, plain, 3.0, "uv sync"))
                    if jobs > 1:
                        rows.append(ratio("the same", ours, compiled, 0.7, "uv sync --compile-bytecode"))
        finally:
            there.unlink()
    return rows


def _late(files: Mapping[str, bytes], asked: Asked, _: bytes) -> Reply:
    """A file, as late as a server some way off."""
    time.sleep(0.05)
    return ranged(asked, files[asked.path.lstrip("/")], {})


def rebuild() -> list[Row]:
    """The environment after a change of one package: its wheel and the environment are built, the rest is there."""
    rows = []
    for nix in nix_versions():
        series = _after_a_change(nix, notebook("debian"), "pandas")
        rows.append(within(f"building it after pandas changed, Nix {version(nix)}", series, 3.0))
    nix = nix_versions()[-1]
    series = _after_a_change(nix, many_wheels(), "package-150")
    what = f"building an environment of {COUNT} small packages after one changed, Nix {version(nix)}"
    return [*rows, within(what, series, 4.0)]


def _after_a_change(nix: Nix, folder: Path, package: str) -> Series:
    """Builds the environment with another version of a package each time, as a lock that changed has it.

    What was built before stays until the end: for half a minute after files are deleted, ext4 takes up to three times
    as long to make as many.
    """
    nix.build(folder, "environment")
    changed = folder / "changed.nix"
    row, end = f'/name = "{package}";/s/version = "[^"]*"/version = "changed.', '"/'
    change = [
        "sh",
        "-c",
        'sed "$1$(date +%s%N)$2" "$3" > "$4"',
        "sh",
        row,
        end,
        str(folder / "default.nix"),
        str(changed),
    ]
    command = [str(nix.bin / "nix-build"), "--no-out-link", str(changed), "-A", "environment"]
    try:
        (series,) = timed([command], 5, warm=1, before=[change], through=through(nix))
    finally:
        changed.unlink(missing_ok=True)
        made = (path for path in (nix.store / "nix" / "store").glob(f"*-{package}-changed.*") if path.is_dir())
        nix.run("nix-store", "--delete", *and_referrers(nix, [f"/nix/store/{path.name}" for path in made]))
    return series


def imports() -> list[Row]:
    """``import pandas`` (and others) from the environment, beside a uv venv with byte-code: not for the first time."""
    folder, venv, nix = notebook("debian"), CACHE / "venv-import", nix_versions()[-1]
    environment = nix.build(folder, "environment")
    timed([_fill(venv, "--compile-bytecode")], 1, warm=0, before=[_empty(venv)])
    rows = []
    for module in IMPORTS:
        commands = [[f"{home}/bin/python", "-c", f"import {module}"] for home in (environment, venv)]
        ours, theirs = timed(commands, 25, warm=2, through=through(nix))
        rows.append(ratio(f"`import {module}`, start of Python included", ours, theirs, 1.05, "uv venv"))
    return rows


def _empty(venv: Path) -> list[str]:
    """The command that makes an empty venv, and empties uv's cache."""
    make = 'rm -rf "$1" "$1-cache" && "$2" venv --quiet --no-config --offline --python "$3" "$1"'
    return ["sh", "-c", make, "sh", str(venv), UV, plain_python()]


def _fill(venv: Path, *more: str) -> list[str]:
    """The command that installs the wheels into the venv, from files and without a network."""
    options = ["--quiet", "--no-config", "--offline", "--no-index", "--no-deps", *more]
    target = ["--python", str(venv), "--cache-dir", f"{venv}-cache"]
    return [UV, "pip", "install", *options, *target, *map(str, wheel_files())]


def _sync(project: Path, venv: Path, *more: str) -> list[str]:
    """The command that fills the venv with what the project's lock has, downloads included."""
    options = ["--quiet", "--frozen", "--no-install-project", "--project", str(project), *more]
    target = ["--python", str(venv / "bin/python"), "--cache-dir", f"{venv}-cache"]
    return ["env", f"UV_PROJECT_ENVIRONMENT={venv}", UV, "sync", *options, *target]


def _sources(nix: Nix, folder: Path) -> list[str]:
    """The wheel files in the store."""
    listed = f"map (wheel: wheel.src.outPath) (builtins.attrValues (import {folder} {{ }}).wheels)"
    paths = nix.evaluate(listed)
    return and_referrers(nix, [str(path) for path in paths])


def _made(nix: Nix, folder: Path) -> list[str]:
    """The unpacked wheels and all that refers to them: what a build makes anew from the wheel files and the base."""
    wheels = nix.run("nix-build", "--no-out-link", str(folder), "-A", "wheels").stdout.split()
    return and_referrers(nix, wheels)


def and_referrers(nix: Nix, paths: list[str]) -> list[str]:
    """Paths of a store with everything that refers to them, environments of earlier runs included."""
    return sorted(nix.run("nix-store", "--query", "--referrers-closure", *paths).stdout.split())
