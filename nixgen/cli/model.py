"""``nixgen model``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("model", "Add, remove, list, fetch and sign the project's models.")


@artifacts.command(
    app,
    "add",
    "Add a model to models.toml; `nixgen sync` then pins it.\n\nComments and everything else in the file stay.\n\n"
    "Example: nixgen model add minilm hf:sentence-transformers/all-MiniLM-L6-v2 --include '*.json'",
)
def add(
    name: artifacts.NameArgument,
    source: artifacts.SourceArgument,
    revision: artifacts.RevisionOption = None,
    include: artifacts.IncludeOption = None,
    exclude: artifacts.ExcludeOption = None,
    layout: artifacts.LayoutOption = None,
    member: artifacts.MemberOption = None,
    sha256: artifacts.Sha256Option = None,
    repo: artifacts.RepoOption = None,
    endpoint: artifacts.EndpointOption = None,
    registry: artifacts.RegistryOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen model add``."""
    from nixgen.models import commands

    values = commands.values(source, revision, include, exclude, layout, member, sha256, repo, endpoint, registry)
    commands.add(project, "models", name, values)


artifacts.register(app, "models", "models", "minilm")


@artifacts.command(
    app,
    "sign",
    "Sign the pinned files of a model. Writes a sigstore bundle that `nixgen verify --signature` checks.\n\n"
    "The files are verified first; what differs from nixgen.lock is not signed. Without --key, sigstore asks who you "
    "are. The password of a key is taken from NIXGEN_KEY_PASSWORD. Needs the extra nixgen[sign].\n\n"
    "Example: nixgen model sign minilm --key release.pem --signature minilm.sig",
)
def sign(
    name: artifacts.NameArgument,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="The file to write.", show_default="NAME.sig"),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The private key (PEM).")] = None,
    path: Annotated[
        Path | None, typer.Option("--path", metavar="DIR", help="A plain folder with the files: needs no Nix.")
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen model sign``."""
    import os

    from nixgen.console import console
    from nixgen.models import signing, verify

    short = name.removeprefix("models.")
    bundle = signature or Path(f"{short}.sig")
    found = verify.trees(verify.find_lock(project), [f"models.{short}"], path)
    signing.sign(found, bundle, key, password=os.environ.get("NIXGEN_KEY_PASSWORD"))
    console.info(f"Signed models.{short}: wrote {bundle}")
