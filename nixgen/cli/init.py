"""``nixgen init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options


def init(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR|SCRIPT.py",
            help="The project's folder, or one inside it; or a script with metadata (PEP 723).",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="nixpkgs|debian", help="Where Python and libraries come from."),
    ] = None,
    python: Annotated[str | None, typer.Option("--python", metavar="VERSION", help="The Python, like 3.12.")] = None,
    system: Annotated[
        list[str] | None,
        typer.Option("--system", metavar="SYSTEM", help="A system to serve, like x86_64-linux. Can be repeated."),
    ] = None,
    nixpkgs: Annotated[
        str | None,
        typer.Option("--nixpkgs", metavar="PIN", help="A known pin like nixos-26.05, or REVISION@sha256-HASH."),
    ] = None,
    ci: Annotated[
        str | None,
        typer.Option(
            "--ci",
            metavar="github|gitlab|none",
            help="Which CI job to write; the first run writes GitHub's.",
        ),
    ] = None,
    mirror: options.MirrorOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE|poetry",
            help="Make a uv project first, of a requirements file (of several, the others are groups), an "
            "environment.yml, or what Poetry has.",
            show_default=False,
        ),
    ] = None,
    enter: Annotated[
        bool, typer.Option("--enter", help="Write ./enter and ENVIRONMENT.md, for people who get the repository.")
    ] = False,
    direnv: Annotated[
        bool, typer.Option("--direnv", help="Write .envrc: direnv then enters the environment by itself.")
    ] = False,
    vscode: Annotated[
        bool, typer.Option("--vscode", help="Write .vscode/settings.json and extensions.json, or add to them.")
    ] = False,
    devcontainer: Annotated[
        bool, typer.Option("--devcontainer", help="Write .devcontainer/: a container with Nix for an editor.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files in the way that nixgen did not write, after naming them.")
    ] = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Set up a uv project for `nix develop`.

    Writes [tool.nixgen] into pyproject.toml, nixgen.lock, default.nix, flake.nix, flake.lock, shell.nix,
    nix/nixgen/, lines of .gitignore and .gitattributes, and a CI job that builds twice and compares. Run again, it
    changes nothing.

    Example: nixgen init --base debian --python 3.11 --system x86_64-linux
    """
    from nixgen.init import editors
    from nixgen.init import setup as implementation

    first, more = (source[0], tuple(source[1:])) if source else (None, ())
    flags = (base, python, tuple(system or ()), nixpkgs, force, ci, tuple(mirror or ()))
    beside = editors.Asked(direnv, vscode, devcontainer)
    asked = implementation.Options(*flags, first, more, enter, beside)
    implementation.init(directory or project, asked)
