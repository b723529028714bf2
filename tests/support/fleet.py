"""Many small projects over a shared pool of wheels, as nixgen writes them, without running uv or nixgen for each."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.nix import SYSTEM
from support.wheels import make_wheel, sha256

# What nixgen writes for a project, as far as a fleet looks at it: it needs a shell and nothing else, and each build
# leaves a line where everybody may write.
STAND_IN = """{{ system ? builtins.currentSystem, nixpkgs ? null }}:
let
  make = name: needs: derivation {{
    inherit name system needs;
    builder = "/bin/sh";
    args = [ "-c" "echo $out >> {built}/${{builtins.baseNameOf name}}; echo $needs > $out" ];
  }};
  recipe = drv: {{ drv = drv.drvPath; out = drv.outPath; }};
  core = make "core" "";
  wheels = builtins.listToAttrs (map
    (name: {{ inherit name; value = make name core // {{ file = "${{name}}.whl"; }}; }}) [ {wheels} ]);
  environment = make "{name}-environment" (builtins.attrValues wheels);
  root = make "{name}-root" environment;
  under = prefix: of: builtins.listToAttrs (map (key: {{ name = "${{prefix}}.${{key}}"; value = of.${{key}}; }})
    (builtins.attrNames of));
in
{{
  inherit environment wheels root;
  recipes = builtins.mapAttrs (_: recipe)
    ({{ "base.core" = core; inherit environment root; }} // under "wheels" wheels);
}}
"""


@dataclass(frozen=True)
class Made:
    """Projects by the names of their folders, each with the wheels that it needs."""

    folder: Path
    needs: dict[str, tuple[str, ...]]

    @property
    def wheels(self) -> set[str]:
        """All wheels that any project needs."""
        return {wheel for wheels in self.needs.values() for wheel in wheels}


def chosen(projects: int, pool: Sequence[str], each: int) -> dict[str, tuple[str, ...]]:
    """Which wheels each project needs: some of them are everybody's favourites, as in life."""
    dice = random.Random(0)
    weights = [1 / (1 + place) for place in range(len(pool))]
    return {
        f"project-{number:04}": tuple(sorted(set(dice.choices(pool, weights, k=each)))) for number in range(projects)
    }


def stand_ins(folder: Path, projects: int, pool: int, each: int, built: Path) -> Made:
    """Projects of derivations that take no time; each build adds a line to a file of its name in ``built``."""
    needs = chosen(projects, [f"wheel-{number:03}" for number in range(pool)], each)
    for name, wheels in needs.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "nixgen.lock").touch()
        text = STAND_IN.format(name=name, built=built, wheels=" ".join(f'"{wheel}"' for wheel in wheels))
        (folder / name / "default.nix").write_text(text)
    return Made(folder, needs)


def real(folder: Path, first: Path, projects: int, pool: int, each: int) -> Made:
    """Projects with the base of ``first``, which nixgen has set up; each has those wheels of a pool that it needs."""
    wheels = {}
    for number in range(pool):
        name = f"package-{number:03}"
        code = "".join(f"def compute_{part}(value):\n    return value * {part}\n" for part in range(20 + 10 * number))
        wheel = make_wheel(folder / "pool", name, "1.0", {f"package_{number:03}/__init__.py": code})
        wheels[name] = (wheel, sha256(wheel))
    needs = chosen(projects, list(wheels), each)
    library = [path.relative_to(first) for path in (first / "nix").rglob("*") if path.is_file()]
    lock = (first / "nixgen.lock").read_bytes()
    line = next(row for row in (first / "default.nix").read_text().splitlines() if '"nixgen.lock" = ' in row)
    for name, names in needs.items():
        root = folder / name
        for path in library:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(first / path, root / path)
        rows = [(one, *wheels[one]) for one in names]
        (root / "wheels").mkdir()
        for _, wheel, _ in rows:
            os.link(wheel, root / "wheels" / wheel.name)
        uv = "version = 1\n" + "".join(
            f'\n[[package]]\nname = "{one}"\nversion = "1.0"\nwheels = [\n'
            f'    {{ filename = "{wheel.name}", hash = "sha256:{digest}", size = {wheel.stat().st_size} }},\n]\n'
            for one, wheel, digest in rows
        )
        (root / "uv.lock").write_text(uv)
        (root / "nixgen.lock").write_bytes(lock)
        listed = "".join(
            f'    {{ name = "{one}"; version = "1.0"; file = "{wheel.name}"; systems = [ "{SYSTEM}" ]; '
            f'sha256 = "{digest}"; path = "wheels/{wheel.name}"; }}\n'
            for one, wheel, digest in rows
        )
        (root / "default.nix").write_text(
            "{ system ? builtins.currentSystem, nixpkgs ? null }:\n(import ./nix/nixgen).project {\n"
            f'  inherit system nixpkgs;\n  root = ./.;\n  name = "{name}";\n  base = import ./nix/nixgen/base.nix;\n'
            f'  locks = {{\n{line}\n    "uv.lock" = "{hashlib.sha256(uv.encode()).hexdigest()}";\n  }};\n'
            f"  wheels = [\n{listed}  ];\n  trees = [ ];\n}}\n"
        )
    return Made(folder, needs)
