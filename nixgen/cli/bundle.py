"""``nixgen bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nixgen.cli import artifacts, complete, options

if TYPE_CHECKING:
    from nixgen.bundle.model import Bundle
    from nixgen.bundle.opening import Seen
    from nixgen.models.signing import Signer


class Parsed(TyperGroup):
    """Without one of its words, ``nixgen bundle`` creates one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's type
        """As of any group."""
        if not args or (args[0] not in self.commands and args[0] not in {"-h", "--help"}):
            args = ["create", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="bundle",
    cls=Parsed,
    help="Put a project and its environment into one file.",
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def bundle() -> None:
    """Put a project and its environment into one file.

    `nixgen bundle` alone is `nixgen bundle create`. The file begins with a start script: where there is neither Nix nor
    nixgen, `sh FILE run COMMAND` unpacks and enters it.

    Example: nixgen bundle -o demo.nixgen; sh demo.nixgen run python -V
    """


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What `nixgen bundle` wrote.", show_default=False)]


@artifacts.command(
    app,
    "create",
    "Write the environments, the project's files and proofs.\n\n"
    "What is missing is built. Each path is compared with nixgen.hashes.json. The same project gives the same "
    "file. The password of a key is taken from NIXGEN_KEY_PASSWORD.\n\n"
    "Example: nixgen bundle create --key release.pem -o demo.nixgen",
)
def create(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The file.", show_default="PROJECT.nixgen")
    ] = None,
    system: Annotated[
        str, typer.Option("--system", metavar="SYSTEM", help="For this system.", show_default="this machine's")
    ] = "",
    environment: Annotated[
        str | None,
        typer.Option(
            "--env",
            "--environment",
            metavar="NAME",
            help="Only this environment.",
            show_default="all",
            autocompletion=complete.environments,
        ),
    ] = None,
    without: Annotated[
        str | None, typer.Option("--without", metavar="models", help="Leave models and data out.", show_default=False)
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Sign with this private key (PEM).")] = None,
    sign: Annotated[bool, typer.Option("--sign", help="Sign without a key: sigstore asks who you are.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen bundle create``."""
    import os

    from nixgen.bundle import making
    from nixgen.console import console, size
    from nixgen.errors import UserError
    from nixgen.formats.jsontext import dumps

    if without not in {None, "models"}:
        raise UserError.of("--without", f"{without} cannot be left out", "write --without models")
    password = os.environ.get("NIXGEN_KEY_PASSWORD")
    asked = making.Asked(project, out, system, environment, without is None, key, sign, password)
    made = making.create(asked)
    if json:
        told = {"version": 1, "file": str(made.place), "digest": f"sha256:{made.digest}", "size": made.size}
        counts = {"paths": len(made.bundle.paths), "recorded": made.recorded, "logged": made.logged}
        console.result(dumps({**told, **counts, "files": len(made.bundle.files), "signed": made.signed}))
        return
    console.info(
        f"{made.place.name}: {size(made.size)}, {len(made.bundle.paths)} store paths ({made.recorded} in the record), "
        f"{len(made.bundle.files)} files of the project"
        + (f", {made.logged} in a log" if made.logged else "")
        + (", signed" if made.signed else ", not signed (--key FILE)")
    )
    console.result(f"sha256:{made.digest}")


@artifacts.command(
    app,
    "verify",
    "Compare a bundle with its hashes, record and signature.\n\n"
    "Nothing is unpacked. Exits with 1 when something is damaged, or not signed by whom you name.\n\n"
    "Example: nixgen bundle verify demo.nixgen --key release.pub",
)
def verify(
    file: FileArgument,
    key: options.PublicKeyOption = None,
    identity: options.IdentityOption = None,
    issuer: options.IssuerOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen bundle verify``."""
    from nixgen.bundle import opening
    from nixgen.console import console, size
    from nixgen.formats.jsontext import dumps

    seen, recorded = opening.verify(file, _signer(key, identity, issuer))
    if json:
        console.result(dumps({"version": 1, **_told(seen), "recorded": recorded}))
        return
    console.info(_signed(seen))
    console.result(
        f"{file}: {seen.bundle.project} for {seen.bundle.system}, {len(seen.bundle.paths)} store paths "
        f"({size(seen.bundle.size)}), {recorded} of them in its record"
        + (f", {seen.logged} in a log" if seen.logged else "")
        + f": whole, sha256:{seen.digest}"
    )


@artifacts.command(
    app,
    "open",
    "Bring a bundle into Nix's store, and its files into a folder.\n\n"
    "Needs no network. All is checked on the way, as `verify` does. Without Nix: sh FILE run COMMAND\n\n"
    "Example: nixgen bundle open demo.nixgen demo; cd demo; nixgen shell",
)
def open_(
    file: FileArgument,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A new folder.", show_default="the project's name")
    ] = None,
    key: options.PublicKeyOption = None,
    identity: options.IdentityOption = None,
    issuer: options.IssuerOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen bundle open``."""
    from nixgen.bundle import opening
    from nixgen.console import console, size
    from nixgen.formats.jsontext import dumps

    seen, place = opening.open_bundle(file, folder, _signer(key, identity, issuer))
    bundle = seen.bundle
    if json:
        environments = {"environments": dict(bundle.environments)}
        console.result(dumps({"version": 1, "folder": str(place), **environments, **_told(seen)}))
        return
    if seen.checked:
        console.info(_signed(seen))
    console.result(f"{place}: {len(bundle.paths)} store paths ({size(bundle.size)}); cd {place}; {_enter(bundle)}")


def _enter(bundle: Bundle) -> str:
    """What enters an environment of the bundle, which need not have the project's own."""
    label = min(bundle.environments)
    return f"nixgen shell --env {label}" if label else "nixgen shell"


def _told(seen: Seen) -> dict[str, object]:
    """A bundle, as JSON has it."""
    counts = {"paths": len(seen.bundle.paths), "logged": seen.logged}
    signed = {"signer": seen.signer or None, "checked": seen.checked}
    named = {"project": seen.bundle.project, "system": seen.bundle.system}
    return {"digest": f"sha256:{seen.digest}", **named, **counts, **signed}


def _signer(key: Path | None, identity: str | None, issuer: str | None) -> Signer | None:
    from nixgen.models.signing import Signer

    return Signer(key, identity, issuer) if key or identity or issuer else None


def _signed(seen: Seen) -> str:
    if not seen.signer:
        return "not signed"
    return f"signed by {seen.signer}" + ("" if seen.checked else ": the signature was not checked (--key FILE)")
