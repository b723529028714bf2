"""Real sources from the index, and what they need to build, resolved by uv: from an sdist to a build by hand."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.nix import SYSTEM, Nix
from support.project import uv_binary

from nixgen.resolve import wheels
from nixgen.resolve.model import Target

GLIBC = {"3.11": "2.36", "3.13": "2.41", "3.14": "2.43"}
# Build requirements drift: what builds these sources is what there was then.
NEWEST = "2026-09-01T00:00:00Z"


@dataclass(frozen=True)
class SourceLab:
    """One Nix, and a library folder whose base.nix pins a toolchain; ``folder`` is for what is written."""

    nix: Nix
    library: Path
    folder: Path
    python: str

    def expression(self, inner: str) -> str:
        """A Nix expression with ``build``, ``ask`` and ``wheel`` of the library, and the ``base``."""
        return (
            f"let l = {self.library}; pins = import (l + /base.nix); fetch = import (l + /fetch.nix); "
            f'base = import (l + /base/debian.nix) {{ inherit pins fetch; system = "{SYSTEM}"; }}; '
            "builder = import (l + /builder.nix) { inherit base; }; "
            f"g = {{ inherit base fetch builder; root = {self.folder}; }}; "
            "build = import (l + /build.nix) g; ask = import (l + /requires.nix) g; wheel = import (l + /wheel.nix) g; "
            f"json = file: builtins.fromJSON (builtins.readFile file); in {inner}"
        )

    def build(self, inner: str, *options: str) -> Path:
        """Builds; the store path as Nix names it."""
        return self.nix.build_expression(self.expression(inner), *options)

    def answer(self, inner: str) -> Any:
        return json.loads(self.nix.real(self.build(inner)).read_text())

    def resolved(self, requirements: Iterable[str], *, source: str = "", newest: str = "") -> list[dict[str, Any]]:
        """The files that fulfil requirements: wheels, but for the package ``source``."""
        lines = "\n".join(requirements)
        if not lines:
            return []
        words = [f"--no-binary={source}", "--no-deps"] if source else ["--only-binary=:all:"]
        words += ["--exclude-newer", newest] if newest else []
        file = self.folder / f"pylock.{abs(hash((lines, source, newest)))}.toml"
        argv = [
            uv_binary(),
            "pip",
            "compile",
            "--quiet",
            "--generate-hashes",
            "--format",
            "pylock.toml",
            "-o",
            file,
            "-",
        ]
        argv += ["--python-version", self.python, "--python-platform", "x86_64-manylinux_2_36"]
        env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        subprocess.run([*map(str, argv), *words], input=lines, text=True, check=True, cwd=self.folder, env=env)
        choice = wheels.Choice(Target(SYSTEM, self.python), GLIBC[self.python], "11.0")
        found = []
        for entry in tomllib.loads(file.read_text())["packages"]:
            place = entry["sdist"] if source else choice.best(entry["wheels"])
            assert place is not None, entry
            found.append(
                {
                    "name": entry["name"],
                    "version": entry["version"],
                    "file": wheels.file_name(place),
                    "url": place["url"],
                    "sha256": place["hashes"]["sha256"],
                }
            )
        return found

    def source(self, requirement: str, newest: str = NEWEST, **more: Any) -> str:
        """The derivation that builds the source of a requirement like "docopt==0.6.2", as a Nix expression."""
        name = requirement.partition("=")[0]
        (row,) = self.resolved([requirement], source=name, newest=newest)
        row |= more
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(row))
        static = self.answer(f"ask.static (json {file})")
        file.write_text(json.dumps({**row, "epoch": static["epoch"]}))
        needed = self.wheels(static["requires"], newest)
        dynamic = self.answer(f"ask.dynamic (json {file} // {{ requires = {needed}; }})")
        needed = self.wheels([*static["requires"], *dynamic["requires"]], newest)
        return f"(build (json {file} // {{ requires = {needed}; }}))"

    def environment(self, source: str, requirements: Iterable[str] = ()) -> Path:
        """An environment with what is built and with what else it needs to be imported."""
        drvs = f"([ {source} ] ++ {self.wheels(requirements)})"
        return self.build(
            'import (l + /environment.nix) { inherit base builder; } { name = "built"; trees = [ ]; prefer = [ ]; '
            "launcher = import (l + /launcher.nix) { inherit base builder; }; "
            f"wheels = map (drv: {{ inherit drv; inherit (drv) name; }}) {drvs}; }}"
        )

    def wheels(self, requirements: Iterable[str], newest: str = "") -> str:
        """A Nix list of the installed wheels that fulfil requirements."""
        rows = self.resolved(requirements, newest=newest)
        file = self.folder / f"requires-{abs(hash(json.dumps(rows)))}.json"
        file.write_text(json.dumps(rows))
        return f"(map wheel (json {file}))"
