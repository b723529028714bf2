"""``nixgen verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import complete, options


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Models and data, like minilm or data.sales.",
            show_default="all",
            autocompletion=complete.artifacts,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option("--path", metavar="DIR", help="A plain folder with the files: needs no Nix.", show_default=False),
    ] = None,
    json: options.JsonOption = False,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="Check this sigstore bundle over the files, too."),
    ] = None,
    key: options.PublicKeyOption = None,
    identity: options.IdentityOption = None,
    issuer: options.IssuerOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Compare the files of models and data with their pins. Hashes every byte; exits with 1 when one differs.

    Tells missing, extra and changed files apart, and asks Nix about those in its store.

    Example: nixgen verify minilm --path /srv/models/minilm
    """
    from nixgen.console import console
    from nixgen.models import verify as implementation

    lock = implementation.find_lock(project)
    if path is None:
        implementation.worktree(lock, names or ())
    found = implementation.trees(lock, names or (), path)
    report = implementation.check(found)
    if json:
        console.result(report.json())
        if not report.ok:
            raise typer.Exit(1)
    elif not report.ok:
        raise implementation.refusal(report)
    if signature is not None:
        from nixgen.models import signing

        unsigned = signing.verify(found, signature, signing.Signer(key, identity, issuer))
        for name in unsigned:
            console.warn(f"{name}: is pinned, and not covered by the signature")
    if not json:
        console.result(report.text())
