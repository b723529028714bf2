"""A small project with a cache: three derivations that need a shell and nothing else, keys, and ways to attack it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.nix import ROOT, SHELL, Nix, Output
from support.plans import NIXPKGS

from nixgen.cache import narinfo
from nixgen.cache.entry import Entry
from nixgen.cache.keys import Keys
from nixgen.cache.narinfo import NarInfo
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.log.log import Log
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage
from nixgen.nix import base32

# What nixgen writes for a project, as far as the cache's commands look at it.
PROJECT = """{{ system ? builtins.currentSystem, nixpkgs ? null }}:
let
  make = name: script: derivation {{
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" script ];
  }};
  library = make "library" "{library}";
  app = make "app" "echo app of ${{library}}, $out > $out";
  root = make "root" "echo ${{app}} > $out";
  recipe = drv: {{ drv = drv.drvPath; out = drv.outPath; }};
in
{{
  inherit root;
  recipes = builtins.mapAttrs (_: recipe) {{ inherit app library root; }};
}}
"""
LIBRARY = "echo library > $out"
PYPROJECT = """[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []
"""
UV_LOCK = """version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "0.1.0"
source = { virtual = "." }
"""
NAMES = ("app", "library", "root")
_paths: dict[str, dict[str, str]] = {}
PUBLISHED = ("cache", "home", "project", "store")
_published: dict[tuple[Path, str, str], Path] = {}


@dataclass(frozen=True)
class CacheLab:
    """One Nix on a store of its own, a project, a cache in a folder. ``folder`` is for what a test writes."""

    nix: Nix
    folder: Path
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, nix: Nix, folder: Path) -> CacheLab:
        project = folder / "project"
        project.mkdir(parents=True)
        (project / "pyproject.toml").write_text(PYPROJECT)
        (project / "uv.lock").write_text(UV_LOCK)
        (project / "nixgen.lock").write_text(dump_lock(Lock(NIXPKGS, (), ())))
        lab = cls(nix.with_store(folder / "store").with_settings(sandbox_paths=SHELL), folder, f"file://{folder}/cache")
        lab.write()
        return lab

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.folder / "project"

    @property
    def cache(self) -> Path:
        """The cache's folder."""
        return self.folder / "cache"

    @property
    def keys(self) -> Path:
        """The folder of the keys."""
        return self.folder / "home/.config/nixgen/keys/demo-1"

    def write(self, library: str = LIBRARY) -> None:
        """Writes default.nix; ``library`` is what its first derivation runs."""
        (self.project / "default.nix").write_text(PROJECT.format(library=library))

    def other_machine(self) -> CacheLab:
        """The same project and cache on a machine with an empty store and no keys, that never saw the log."""
        folder = self.folder / "other"
        shutil.copytree(self.project, folder / "project", dirs_exist_ok=True)
        return replace(self, nix=self.nix.with_store(folder / "store"), folder=folder)

    def run(self, *argv: str, **env: str) -> Output:
        """Runs ``nixgen cache …`` in the project."""
        home = self.folder / "home"
        own = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        return self.nix.nixgen("cache", *argv, cwd=self.project, **{**own, **self.env, **env})

    def must(self, *argv: str) -> Output:
        """Runs it; a failure shows what it printed."""
        done = self.run(*argv)
        assert done.ok, done.tail()
        return done

    def built(self) -> CacheLab:
        """Builds the project; the same lab."""
        self.nix.run("nix-build", "--no-out-link", "-A", "root", str(self.project))
        return self

    def pushed(self) -> CacheLab:
        """Builds the project, makes keys, publishes; the same lab. Most tests begin so: it is done once, and copied."""
        text = (self.project / "default.nix").read_text()
        # A store, keys or a cache that are there already are what the test is about, and so are two pushes of one text.
        fresh = not any(path.exists() for path in (self.nix.store / "nix", self.folder / "home", self.cache))
        key = (self.nix.bin, self.nix.config(), text)
        if not fresh or self.env or self.url != f"file://{self.cache}":
            self._push()
        elif key in _published:
            self._take(_published[key])
        else:
            self._push()
            _published[key] = Path(tempfile.mkdtemp(prefix="published-", dir=os.environ["NIXGEN_TEST_STORES"]))
            for name in PUBLISHED:
                shutil.copytree(self.folder / name, _published[key] / name, symlinks=True)
            (_published[key] / "where").write_text(str(self.folder))
        return self

    def _push(self) -> None:
        self.built().must("keygen")
        self.must("push", f"{self.url}?compression=none")

    def _take(self, published: Path) -> None:
        """Takes what another lab published; where it lies is in nixgen.lock, and in the name of what was seen."""
        for name in PUBLISHED:
            shutil.copytree(published / name, self.folder / name, symlinks=True, dirs_exist_ok=True)
        lock = self.project / "nixgen.lock"
        lock.write_text(lock.read_text().replace((published / "where").read_text(), str(self.folder)))
        log = Log.open(open_storage(f"{self.url}/nixgen-log"), self.keyring().verifier)
        (seen,) = (self.folder / "home/.cache/nixgen/logs").iterdir()
        own = Seen.of(log, Entry)._file
        assert own is not None
        seen.rename(seen.with_name(own.name))

    def paths(self) -> dict[str, str]:
        """The outputs' store paths, by name."""
        key = (self.project / "default.nix").read_text()
        if key not in _paths:
            argv = ("--eval", "--strict", "--json", "-A", "recipes", str(self.project))
            recipes = json.loads(self.nix.run("nix-instantiate", *argv).stdout)
            _paths[key] = {name: recipe["out"] for name, recipe in recipes.items()}
        return _paths[key]

    def name(self, output: str) -> str:
        """The name of an output's path: "<hash>-<name>"."""
        return self.paths()[output].rpartition("/")[2]

    def verdict(self, *argv: str) -> tuple[int, dict[str, Any]]:
        """What ``verify --json`` says, and its exit code."""
        done = self.run("verify", "--json", *argv)
        assert done.stdout, done.tail()
        return done.returncode, json.loads(done.stdout)

    def anomalies(self, *argv: str) -> list[tuple[str, str]]:
        """(name of the output, kind) of all that ``verify`` finds; it must exit with 1."""
        code, report = self.verdict(*argv)
        assert code == 1, report
        assert report["ok"] is False
        return sorted((item["path"].partition("-")[2], item["kind"]) for item in report["anomalies"])

    # What somebody does who can write the cache's files.

    def narinfo(self, output: str) -> Path:
        """The narinfo of an output."""
        return self.cache / f"{self.name(output)[:32]}.narinfo"

    def info(self, output: str) -> NarInfo:
        """The same, read."""
        file = self.narinfo(output)
        return narinfo.parse(file.read_text(), file.name)

    def nar(self, output: str) -> Path:
        """The NAR's file of an output."""
        return self.cache / self.info(output).url

    def edit(self, output: str, change: Callable[[str], str]) -> None:
        """Edits a narinfo."""
        file = self.narinfo(output)
        file.write_text(change(file.read_text()))

    def replaced(self, output: str, content: str = "evil\n") -> str:
        """Puts the NAR of a file with other content in place of an output's; its hash as narinfos have it."""
        evil = self.folder / "evil"
        evil.write_text(content)
        dumped = self.folder / "evil.nar"
        self.nix.inside("sh", "-c", f"{self.nix.bin}/nix-store --dump {evil} > {dumped}")
        data = dumped.read_bytes()
        nar = self.nar(output)
        assert nar.suffix == ".nar"
        nar.chmod(0o644)
        nar.write_bytes(data)
        return f"sha256:{base32.encode(hashlib.sha256(data).digest())}"

    def added(self, path: Path) -> str:
        """Adds a file to the store."""
        return self.nix.run("nix-store", "--add", str(path)).stdout.strip()

    def edited(self, output: str, content: str = "evil\n") -> None:
        """Replaces a NAR, and edits its narinfo so that it fits; the signature stays."""
        digest = self.replaced(output, content)
        size = str(self.nar(output).stat().st_size)
        self.edit(output, lambda text: set_key(set_key(text, "NarHash", digest), "NarSize", size))

    def sign(self, output: str) -> None:
        """Signs a narinfo as it is now, with the cache's own key, in place of the signature that was there."""
        self.edit(output, lambda text: re.sub(r"^Sig: .*\n", "", text, flags=re.MULTILINE))
        secret = str(self.keys / "cache.sec")
        self.nix.run("nix", "store", "sign", "--store", self.url, "--key-file", secret, self.paths()[output])

    def checkpoint(self) -> bytes:
        """The log's checkpoint."""
        return (self.cache / "nixgen-log/checkpoint").read_bytes()

    def keyring(self) -> Keys:
        """The cache's keys, for who forges with them."""
        from nixgen.cache import keys

        return keys.load(f"{self.keys}/")


def set_key(text: str, key: str, value: str) -> str:
    """A narinfo with another value of a key."""
    changed, count = re.subn(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.MULTILINE)
    assert count == 1
    return changed
