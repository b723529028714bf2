"""Source distributions: how long twelve take to lock, and a C extension to build beside uv's own build of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

from bench.building import and_referrers
from bench.evaluation import through, version
from bench.measure import Row, ratio, timed, within
from bench.project import CACHE, NIXGEN, UV, nix_versions, nixgen

SOURCES = (
    *("annoy==1.17.3", "antlr4-python3-runtime==4.9.3", "crcmod==1.7", "docopt==0.6.2", "evdev==1.9.2"),
    *("func-timeout==4.3.5", "humanize==4.12.3", "langdetect==1.0.9", "pyahocorasick==2.1.0", "rouge-score==0.1.2"),
    *("sgmllib3k==1.0.0", "thrift==0.22.0"),
)
"""Small and real; those of the second kind have wheels as well."""

WITH_WHEELS = ("evdev", "humanize", "pyahocorasick", "thrift")
EXTENSION = "pyahocorasick"
PYTHON = "3.11"
# What read the sources and asked their backends is to be made anew, too.
FORGET = """set -e
cp "$1/without.lock" "$1/nixgen.lock"
nix_store=$2
shift 2
for name in "$@"; do
    for kind in static dynamic dynamic-build-environment; do
        for path in /nix/store/*-"$name-$kind"; do
            [ ! -e "$path" ] || "$nix_store" --delete "$path"
        done
    done
done"""


def locking() -> list[Row]:
    """What twelve source distributions need to be built, pinned anew: uv has all in its cache, Nix the compilers."""
    folder, nix = sources(), nix_versions()[-1]
    _locked(folder)
    names = [source.replace("==", "-") for source in SOURCES]
    before = ["sh", "-c", FORGET, "sh", str(folder), str(nix.bin / "nix-store"), *names]
    command = [NIXGEN, "lock", "--quiet", "--project", str(folder)]
    (series,) = timed([command], 3, before=[before], warm=1, through=through(nix))
    what = f"`nixgen lock`, {len(SOURCES)} source distributions, uv's cache warm, Nix {version(nix)}"
    return [within(what, series, 10)]


def extension() -> list[Row]:
    """A C extension, built from the same source distribution by Nix and by uv: all that it needs is there."""
    folder, nix, built = sources(), nix_versions()[-1], CACHE / "built"
    _locked(folder)
    nixgen(folder, "generate", "--quiet")
    made = and_referrers(nix, [str(nix.build(folder, f"wheels.{EXTENSION}"))])
    python = ["--python", f"/usr/bin/python{PYTHON}" if Path(f"/usr/bin/python{PYTHON}").exists() else sys.executable]
    theirs = [UV, "build", "--wheel", "--quiet", "--no-config", *python, "--out-dir", str(built), str(_archive(folder))]
    subprocess.run(theirs, check=True, stdin=subprocess.DEVNULL)  # setuptools is then in uv's cache
    commands = [[str(nix.bin / "nix-build"), "--no-out-link", str(folder), "-A", f"wheels.{EXTENSION}"], theirs]
    before = [[str(nix.bin / "nix-store"), "--delete", *made], ["rm", "-rf", str(built)]]
    ours, uv = timed(commands, 5, before=before, warm=1, through=through(nix))
    return [ratio(f"building the C extension {EXTENSION}, Nix {version(nix)}", ours, uv, 1.3, "`uv build`")]


def sources() -> Path:
    """The project, with a lock of its base and without one of its sources beside it (without.lock)."""
    folder = CACHE / "sources"
    if not (folder / "without.lock").exists():
        folder.mkdir(parents=True, exist_ok=True)
        needs, named = (", ".join(f'"{text}"' for text in texts) for texts in (SOURCES, WITH_WHEELS))
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "sources"\nversion = "1"\nrequires-python = ">={PYTHON}"\ndependencies = [{needs}]\n\n'
            f'[tool.uv]\npackage = false\nexclude-newer = "2026-09-01T00:00:00Z"\nno-binary-package = [{named}]\n\n'
            f'[tool.nixgen]\nbase = "debian"\npython = "{PYTHON}"\nsystems = ["x86_64-linux"]\n'
        )
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        nix_versions()[-1].inside(NIXGEN, "init", "--quiet", "--project", str(folder))
        lock = json.loads((folder / "nixgen.lock").read_text())
        lock = {key: value for key, value in lock.items() if key not in {"builds", "buildWheels"}}
        (folder / "without.lock").write_text(json.dumps({**lock, "version": 1}))
    return folder


def _locked(folder: Path) -> None:
    nix_versions()[-1].inside(NIXGEN, "lock", "--quiet", "--project", str(folder))


def _archive(folder: Path) -> Path:
    """The source distribution of the extension, downloaded once and checked against uv.lock's hash."""
    packages = tomllib.loads((folder / "uv.lock").read_text())["package"]
    (sdist,) = (package["sdist"] for package in packages if package["name"] == EXTENSION)
    place = CACHE / "sdists" / sdist["url"].rpartition("/")[2]
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(sdist["url"], timeout=300) as answer:
            content = answer.read()
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != sdist["hash"]:
            sys.exit(f"error: {sdist['url']} is not what the lock says")
        place.write_bytes(content)
    return place
