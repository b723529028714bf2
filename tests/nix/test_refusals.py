"""What the library refuses to evaluate, and in which sentence: stale locks, unknown systems, misspelt arguments."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nix import SYSTEM, Nix, Output
from support.project import Project

if TYPE_CHECKING:
    from lab import Lab


ERROR, SYNC = "error:", "nixgen sync"
ADD = f"add it to systems under [tool.nixgen] in pyproject.toml, then: {SYNC}"


@pytest.fixture
def project(pins: Path, tmp_path: Path) -> Path:
    """A copy of a project as `nixgen init` wrote it."""
    return Path(shutil.copytree(pins, tmp_path / "demo"))


def refused(nix: Nix, expression: str) -> str:
    """Evaluates what must not evaluate; the error text."""
    done = nix.evaluate(expression, check=False)
    assert isinstance(done, Output), f"it evaluates to {done}"
    return done.said


@pytest.mark.one_nix
@pytest.mark.parametrize(
    "attribute",
    ["environment.drvPath", "shell.drvPath", "imports.drvPath", "smoke", "wheels", "root.drvPath", "recipes"],
)
def test_a_stale_default_nix_names_the_file_and_the_command(nix: Nix, project: Path, attribute: str) -> None:
    with (project / "uv.lock").open("a") as file:
        file.write("\n")
    said = refused(nix, f"(import {project} {{}}).{attribute}")
    assert "uv.lock changed after default.nix was generated\n  hint: nixgen sync" in said


def change(lock: Path) -> None:
    """Changes what nixgen.lock says."""
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "version": 2}))


@pytest.mark.one_nix
def test_both_locks_are_named(nix: Nix, project: Path) -> None:
    (project / "uv.lock").write_text("version = 1\n")
    change(project / "nixgen.lock")
    said = refused(nix, f"(import {project} {{}}).environment.drvPath")
    assert "nixgen.lock and uv.lock changed after default.nix was generated\n  hint: nixgen sync" in said


@pytest.mark.parametrize(
    "command",
    [
        *("nix develop -c true", "nix build", "nix run", "nix flake check"),
        *("nix-shell --run true", "nix-build -A environment"),
    ],
)
def test_stale_is_a_sentence_and_no_trace(nix: Nix, project: Path, command: str) -> None:
    """Not the lines of four files: Nix 2.34 shows them around the place that throws, and around what asked for it."""
    with (project / "uv.lock").open("a") as file:
        file.write("\n")
    done = nix.inside(*command.split(), cwd=project, check=False)
    one_sentence(nix, done, "uv.lock changed after default.nix was generated", SYNC, short="check" not in command)


@pytest.mark.parametrize("name", ["uv.lock", "nixgen.lock", "default.nix"])
def test_a_file_that_git_does_not_know_is_a_sentence(nix: Nix, project: Path, name: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "--all", "--", ".", f":(exclude){name}"], cwd=project, check=True)
    done = nix.inside("nix", "develop", "-c", "true", cwd=project, check=False)
    one_sentence(nix, done, f"{name} is missing, or git does not know it", f"git add {name}, or: {SYNC}")


def test_an_unknown_system_is_a_sentence(nix: Nix, project: Path) -> None:
    command = "nix-build -A environment --argstr system riscv64-linux"
    done = nix.inside(*command.split(), cwd=project, check=False)
    served = "demo is not set up for riscv64-linux, only for aarch64-linux, x86_64-linux"
    one_sentence(nix, done, served, ADD)


ELSEWHERE = ("--option", "system", "aarch64-darwin")


@pytest.mark.parametrize("command", ["build", "develop -c true", "run"])
def test_an_unknown_system_is_a_sentence_of_the_flake(nix: Nix, project: Path, command: str) -> None:
    """And not Nix's own, which names no way on: does not provide attribute 'packages.aarch64-darwin.default'."""
    done = nix.inside("nix", *ELSEWHERE, *command.split(), cwd=project, check=False)
    served = "demo is not set up for aarch64-darwin, only for aarch64-linux, x86_64-linux"
    one_sentence(nix, done, served, ADD)


def test_an_unknown_system_spoils_neither_check_nor_show(nix: Nix, project: Path) -> None:
    """On a machine that is served, and on one that is not; Nix 2.8 looks at all systems in both."""
    every = ("--all-systems",) if nix.version > (2, 9) else ()
    for system in ((), ELSEWHERE):
        nix.run("nix", *system, "flake", "check", "--no-build", *every, cwd=project)
        shown = nix.run("nix", *system, "flake", "show", *every, cwd=project).stdout
        assert shown.count("not-set-up") == 4


def test_an_old_nix_is_a_sentence(nix: Nix, project: Path) -> None:
    """As an old one would: the version is another, for the library."""
    library = project / "nix/nixgen"
    older = f'builtins.scopedImport {{ builtins = builtins // {{ nixVersion = "2.3.16"; }}; }} {library}/library'
    (library / "default.nix").write_text(f'{{ project = ({older})."project.nix"; }}\n')
    done = nix.inside("nix-build", "-A", "environment", cwd=project, check=False)
    one_sentence(nix, done, "demo needs Nix 2.8 or newer, and this is 2.3.16", "https://nixos.org/download")


def one_sentence(nix: Nix, done: Output, sentence: str, hint: str, *, short: bool = True) -> None:
    """That Nix says this and shows no lines of files."""
    assert not done.ok
    # A store that other tests build in may be busy for a moment: Nix says so, and goes on.
    progress = ("warning: Git", "warning: error: SQLite database", "evaluating ", "checking ")
    said = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith(progress)]
    assert said[-2 if nix.version > (2, 9) else 0 :][:2] == [f"{ERROR} {sentence}", f"hint: {hint}"]
    if short:  # `nix flake check` says of each output that it looks at it
        assert len(said) <= 4
    assert not any(name in done.stderr for name in ("nix/nixgen", "outputs.nix", "default.nix:"))


def test_the_hashes_are_those_of_the_files(project: Path) -> None:
    text = (project / "default.nix").read_text()
    assert f'"uv.lock" = "{hashlib.sha256((project / "uv.lock").read_bytes()).hexdigest()}";' in text
    lock = json.loads((project / "nixgen.lock").read_text())
    compact = json.dumps(lock, sort_keys=True, separators=(",", ":")).encode()
    assert f'"nixgen.lock" = "{hashlib.sha256(compact).hexdigest()}";' in text


@pytest.mark.one_nix
def test_neither_form_nor_logs_of_nixgen_lock_make_it_stale(nix: Nix, project: Path) -> None:
    lock = project / "nixgen.lock"
    before = nix.evaluate(f"(import {project} {{}}).environment.drvPath")
    pushed = {"https://cache.example.org": {"origin": 'é " \\ \b', "size": 3, "checkpoint": "a\nb\n"}}
    changed = {
        "cache": pushed,
        "registry": {"registry": {"size": 3}},
        **dict(reversed(json.loads(lock.read_text()).items())),
    }
    lock.write_text(json.dumps(changed, indent=7) + "\n\n")
    assert nix.evaluate(f"(import {project} {{}}).environment.drvPath") == before
    change(lock)
    said = refused(nix, f"(import {project} {{}}).environment.drvPath")
    assert "nixgen.lock changed after default.nix was generated\n  hint: nixgen sync" in said


@pytest.mark.one_nix
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
        ("pyproject.toml", "[tool.nixgen]", "[project.scripts]\ndemo = 'demo:main'\n[tool.nixgen]"),
        ("pyproject.toml", "dependencies = []", 'dependencies = ["six"]'),
        ("nix/nixgen/base.nix", "\n", "\n\n"),
        ("nix/nixgen/library", "\n", "\n\n"),
        ("nix/nixgen/library", "nixgen = {", "nixgen = [ {"),
        ("nix/nixgen/programs", "local folder", "local  folder"),
        (".python-version", "", "3.12\n"),
    ],
)
def test_what_is_changed_by_hand_is_refused(nix: Nix, project: Path, path: str, old: str, new: str) -> None:
    """Cases 15, 47 and 55: until `nixgen generate`, which then has it as it is."""
    file = project / path
    text = file.read_text() if file.exists() else ""
    assert old in text
    file.write_text(text.replace(old, new, 1) if old else new)
    said = refused(nix, f"(import {project} {{}}).shell.drvPath")
    assert f"{path} changed after default.nix was generated\n  hint: nixgen sync" in said
    if "six" not in new:
        Project(project).lock()
        Project(project).must("generate")
        nix.evaluate(f"(import {project} {{}}).shell.drvPath")


@pytest.mark.one_nix
@pytest.mark.parametrize("left", ["__pycache__/setup.pyc", ".DS_Store", ".ruff_cache/x", "library~"])
def test_what_tools_leave_in_the_library_changes_nothing(nix: Nix, project: Path, left: str) -> None:
    """Case 47: neither for `generate`, nor for the flake's input."""
    before = nix.evaluate(f"with import {project} {{}}; [ shell.drvPath base.keep ]")
    (project / "nix/nixgen" / left).parent.mkdir(exist_ok=True)
    (project / "nix/nixgen" / left).write_text("x")
    assert nix.evaluate(f"with import {project} {{}}; [ shell.drvPath base.keep ]") == before
    assert "The generated files are up to date" in Project(project).must("generate").stderr
    Project(project).must("generate", "--check")


def test_the_users_own_formatter_leaves_the_library_alone(project: Path) -> None:
    """Case 47."""
    (project / "main.py").write_text("x = 'a'\n")
    before = Project(project).files()
    for argv in (["format", "."], ["check", "--fix", "--unsafe-fixes", "--select", "ALL", "."]):
        subprocess.run([sys.executable, "-m", "ruff", *argv], cwd=project, check=False, capture_output=True)
    after = {path: data for path, data in Project(project).files().items() if ".ruff_cache" not in path}
    assert {path for path in after if after[path] != before.get(path)} == {"main.py"}


@pytest.mark.one_nix
def test_an_unknown_system(nix: Nix, project: Path) -> None:
    said = refused(nix, f'(import {project} {{ system = "riscv64-linux"; }}).environment.drvPath')
    assert f"demo is not set up for riscv64-linux, only for aarch64-linux, x86_64-linux\n  hint: {ADD}" in said


def test_a_system_without_a_busybox(lab: Lab) -> None:
    said = refused(lab.nix, f"({lab.expression(base='pins // { bootstrap = { }; }')}).environment.drvPath")
    assert f"nixgen.lock pins no busybox for {SYSTEM}\n  hint: {ADD.replace('it', 'the system', 1)}" in said


@pytest.mark.parametrize("argument", ["wheel", "skip-imports", "groups"])
def test_an_unknown_argument_ends_the_evaluation(lab: Lab, argument: str) -> None:
    said = refused(lab.nix, f"({lab.with_arguments(**{argument: []}).expression()}).environment.drvPath")
    assert f"called with unexpected argument '{argument}'" in said


@pytest.mark.parametrize("argument", ["system", "root", "name", "base", "wheels", "trees"])
def test_a_missing_argument_ends_the_evaluation(lab: Lab, argument: str) -> None:
    given = "{ system = 1; root = 1; name = 1; base = 1; wheels = 1; trees = 1; }"
    said = refused(lab.nix, f'(import {lab.library}).project (removeAttrs {given} [ "{argument}" ])')
    assert f"called without required argument '{argument}'" in said


@pytest.mark.parametrize("file", ["environment", "shell", "imports", "wheel", "formatter", "launcher", "fetch"])
def test_every_function_is_closed(lab: Lab, file: str) -> None:
    said = refused(lab.nix, f"import {lab.library}/{file}.nix {{ misspelt = 1; }}")
    assert "unexpected argument 'misspelt'" in said or "called without required argument" in said
    assert lab.nix.evaluate(
        f"builtins.length (builtins.attrNames (builtins.functionArgs (import {lab.library}/{file}.nix)))"
    )


def test_a_file_with_other_bytes_is_not_taken(lab: Lab) -> None:
    """The fixed-output fetch: what the index serves must have the hash that uv.lock gave."""
    from support.wheels import make_wheel

    wheel = make_wheel(lab.wheels, "swapped", "1.0")
    entry = {**lab.entry(wheel), "sha256": "0" * 64}
    said = lab.with_arguments(wheels=[entry]).failure("environment")
    assert "hash mismatch" in said
    assert wheel.name in said


def test_a_package_that_left_the_mirror_says_what_to_run(each_lab: Lab) -> None:
    """A stable suite's point release drops old versions: Nix shows the address, and behind it how to go on."""
    gone = f"{each_lab.index.url(each_lab.wheels)}/gone_1.0_amd64.deb"
    deb = f'deb // {{ url = "{gone}"; sha256 = "{"1" * 64}"; }}'
    said = each_lab.failure("environment", base=f"pins // {{ debs = map (deb: {deb}) pins.debs; }}")
    assert f"unable to download '{gone}#if-it-left-the-mirror,run:nixgen%20lock%20--upgrade': HTTP error 404" in said
