"""The flake that init writes, in real Nix: in a subfolder of a git work tree, on the pins that flake.lock names."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.plans import DEBIAN, DEBIAN_PLAN, NIXPKGS, NIXPKGS_PLAN

from nixgen.bases.model import Base
from nixgen.generate import flakelock, planning
from nixgen.generate.digest import of_bytes, of_lock, of_pyproject
from nixgen.generate.model import Plan
from nixgen.init import scaffold
from nixgen.lock.model import Lock
from nixgen.machine import files, git
from nixgen.project.settings import SYSTEMS

if TYPE_CHECKING:
    from support.nix import Nix

TARBALLS = {f"nix/nixgen/bootstrap/{one.file}": one.system.encode() * 9 for one in DEBIAN.bootstrap}
PINNED = replace(
    DEBIAN,
    bootstrap=tuple(
        replace(one, sha256=hashlib.sha256(TARBALLS[f"nix/nixgen/bootstrap/{one.file}"]).hexdigest())
        for one in DEBIAN.bootstrap
    ),
)


def write(root: Path, plan: Plan, base: Base, more: Mapping[str, str] | None = None) -> None:
    """What init writes for a hand-made plan, uv.lock and nixgen.lock included, made known to git."""
    locks = {"uv.lock": b"version = 1\n", "nixgen.lock": b"{}\n"}
    digests = {"uv.lock": of_bytes(locks["uv.lock"]), "nixgen.lock": of_lock(locks["nixgen.lock"])}
    digests |= more or {}
    tarballs = TARBALLS if base.kind == "debian" else {}
    pins = planning.Pins(Lock(base), b"", tarballs)
    wanted = planning.rendered(replace(plan, base=base, digests=digests, trees=()), pins, None)
    made = scaffold.scaffold(root, "demo", base, None, wanted)
    changed = files.write_all(root, {**locks, **wanted, **made.files})
    git.make_visible(root, changed)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    root = tmp_path / "sub/demo"
    root.mkdir(parents=True)
    return root


def test_the_debian_flake_evaluates_and_its_lock_stays(nix: Nix, project: Path) -> None:
    write(project, DEBIAN_PLAN, PINNED)
    lock = (project / flakelock.NAME).read_bytes()
    result = nix.run("nix", "eval", "--raw", ".#packages.x86_64-linux.default.drvPath", cwd=project)
    assert result.stdout.strip().endswith("-demo-environment.drv")
    systems = nix.run("nix", "eval", "--json", ".#checks", "--apply", "builtins.attrNames", cwd=project)
    assert systems.stdout.strip() == '["aarch64-linux","x86_64-linux"]'
    named = nix.run("nix", "eval", "--json", ".#devShells", "--apply", "builtins.attrNames", cwd=project)
    assert json.loads(named.stdout) == sorted(SYSTEMS)  # the others with a sentence
    assert (project / flakelock.NAME).read_bytes() == lock


def test_the_checks_of_the_flake_are_those_of_the_project(nix: Nix, project: Path) -> None:
    names = ("nix", "eval", "--json", ".#checks.x86_64-linux", "--apply", "builtins.attrNames")
    write(project, replace(DEBIAN_PLAN, smoke=("python -m demo",)), PINNED)
    assert nix.run(*names, cwd=project).stdout.strip() == '["imports","smoke"]'
    smoke = nix.run("nix", "eval", "--raw", ".#checks.x86_64-linux.smoke.drvPath", cwd=project)
    plain = nix.run("nix-instantiate", "-A", "smoke", "--argstr", "system", "x86_64-linux", cwd=project)
    assert smoke.stdout.strip() == plain.stdout.strip()
    write(project, DEBIAN_PLAN, PINNED)
    assert nix.run(*names, cwd=project).stdout.strip() == '["imports"]'


def test_nix_flake_check_evaluates_all_of_it(nix: Nix, project: Path) -> None:
    """Nothing is built; a flake's outputs must be what Nix expects under their names."""
    write(project, replace(DEBIAN_PLAN, systems=("x86_64-linux",), smoke=("python -m demo",)), PINNED)
    result = nix.run("nix", "flake", "check", "--no-build", cwd=project, check=False)
    assert result.ok, result.tail()


def test_a_flake_and_a_plain_file_give_the_same_derivation(nix: Nix, project: Path) -> None:
    write(project, DEBIAN_PLAN, PINNED)
    flake = nix.run("nix", "eval", "--raw", ".#packages.x86_64-linux.default.drvPath", cwd=project)
    plain = nix.run("nix-instantiate", "-A", "environment", "--argstr", "system", "x86_64-linux", cwd=project)
    assert plain.stdout.strip() == flake.stdout.strip()


def test_the_input_of_the_debian_flake_is_found_without_a_network(nix: Nix, project: Path) -> None:
    """It is a store path, which is there as soon as the shell was evaluated."""
    write(project, DEBIAN_PLAN, PINNED)
    nix.run("nix-instantiate", "-A", "shell", "--argstr", "system", "x86_64-linux", cwd=project)
    lock = (project / flakelock.NAME).read_bytes()
    bash = "nixpkgs.legacyPackages.x86_64-linux.bashInteractive.drvPath"
    text = (project / "flake.nix").read_text()
    text = text.replace("outputs.nix inputs", f"outputs.nix inputs // {{ bash = inputs.{bash}; }}")
    (project / "flake.nix").write_text(text)
    assert nix.run("nix", "eval", "--raw", ".#bash", cwd=project).stdout.endswith(".drv")
    assert (project / flakelock.NAME).read_bytes() == lock


def test_a_changed_lock_is_refused_with_the_command_that_mends_it(nix: Nix, project: Path) -> None:
    write(project, DEBIAN_PLAN, PINNED)
    (project / "uv.lock").write_text("version = 1\n# changed\n")
    result = nix.run("nix", "eval", "--raw", ".#packages.x86_64-linux.default.drvPath", cwd=project, check=False)
    assert not result.ok
    assert "uv.lock changed after default.nix was generated\n  hint: nixgen sync" in result.said


def test_a_changed_setting_is_refused_and_the_tables_of_other_tools_do_not_count(nix: Nix, project: Path) -> None:
    def evaluate(text: str | None) -> str:
        (project / "pyproject.toml").unlink(missing_ok=True)
        if text is not None:
            (project / "pyproject.toml").write_text(text)
        argv = ["-A", "environment.name", "--argstr", "system", "x86_64-linux", "--eval", project]
        done = nix.run("nix-instantiate", *argv, check=False)
        return done.stdout.strip() if done.ok else done.said

    settings = '[tool.nixgen]\nbase = "debian"\ntools = ["jq"]\n'
    digest = of_pyproject(settings.encode())
    write(project, DEBIAN_PLAN, PINNED, {"pyproject.toml": digest})
    for same in (
        settings,
        f"[tool.ruff]\na = 1\n# more\n\n{settings}[tool.mypy]\nsince = 2024-01-01\n",
        None,
    ):
        assert evaluate(same) == '"demo-environment"'
    for other in (settings.replace("jq", "git"), settings.replace('"jq"', ""), "", '[project]\nname = "demo"\n'):
        assert "pyproject.toml changed after default.nix was generated\n  hint: nixgen sync" in evaluate(other)


def test_what_init_writes_for_nixpkgs_is_nix(nix: Nix, project: Path) -> None:
    write(project, NIXPKGS_PLAN, NIXPKGS)
    for name in ("default.nix", "flake.nix", "shell.nix", "nix/nixgen/base.nix"):
        nix.run("nix-instantiate", "--parse", name, cwd=project)
