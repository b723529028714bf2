"""``nixgen runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("runs", "List, show, compare, export, verify and log recorded runs.")

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="latest, an id or its beginning or end, or a run's folder.")
]


@artifacts.command(
    app,
    "list",
    "List the recorded runs, the latest first.\n\nA + behind the commit: the tree had changes.\n\n"
    "Example: nixgen runs list",
)
def list_(
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs list``."""
    from nixgen import console as terminal
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, listing

    found = finding.runs(find_lock(project).parent)
    if json:
        terminal.console.result(listing.as_json(found))
    elif found:
        terminal.console.result("\n".join(listing.lines(found, terminal.width())))
    else:
        terminal.console.info("no runs yet; record one: nixgen run --record -- COMMAND")


@artifacts.command(app, "show", "Show what was recorded of a run.\n\nExample: nixgen runs show latest")
def show(
    run: RunArgument = "latest",
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs show``."""
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, listing

    found = finding.find(find_lock(project).parent, run).run
    console.result(listing.as_json(found) if json else "\n".join(listing.whole(found)))


@artifacts.command(
    app,
    "diff",
    "Show what differs between two runs. Inputs first, then the machine, then what came out.\n\n"
    "Code, data, models, configuration by key, environment by package, seeds, variables, metrics, outputs. Exits "
    "with 1 when results differ and no recorded input does.\n\n"
    "Example: nixgen runs diff 3fa2c1 latest",
)
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="latest, an id or its beginning or end, or a run's folder.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")] = "latest",
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs diff``."""
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, lineage

    root = find_lock(project).parent
    found = lineage.compare(root, finding.find(root, old), finding.find(root, new))
    console.result(lineage.as_json(found) if json else lineage.as_text(found))
    if found.unexplained:
        raise typer.Exit(1)


@artifacts.command(
    app,
    "export",
    "Write a run's record as in-toto provenance or an RO-Crate.\n\n"
    "The first is a Statement with SLSA provenance about the outputs' hashes; signed, it is a sigstore bundle (needs "
    "the extra nixgen[sign]). The password of a key is taken from NIXGEN_KEY_PASSWORD. The second is a folder with "
    "copies of the outputs, compared with the record.\n\n"
    "Example: nixgen runs export latest --key release.pem --out provenance.json",
)
def export(
    run: RunArgument = "latest",
    kind: Annotated[str, typer.Option("--format", metavar="in-toto|ro-crate", help="Which standard.")] = "in-toto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PATH", help="The file, or the crate's folder.", show_default="stdout, or RUN-crate"
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Sign with this private key (PEM).")] = None,
    sign: Annotated[bool, typer.Option("--sign", help="Sign without a key: sigstore asks who you are.")] = False,
    licence: Annotated[
        str,
        typer.Option(
            "--license", metavar="TEXT", help="License of a crate: an SPDX identifier or a URL.", show_default=False
        ),
    ] = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs export``."""
    import os

    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.machine import files, folders
    from nixgen.models.verify import find_lock
    from nixgen.runs import attest, finding
    from nixgen.runs import export as exporting

    if kind not in {"in-toto", "ro-crate"}:
        raise UserError.of("--format", f"is {kind}", "choose in-toto or ro-crate")
    crate = kind == "ro-crate"
    if crate and (sign or key):
        raise UserError.of("--sign" if sign else "--key", "is for --format in-toto", "sign the statement of the run")
    if licence and not crate:
        raise UserError.of("--license", "is for --format ro-crate", "leave it out")
    root = find_lock(project).parent
    found = finding.find(root, run)
    if crate:
        folder = folders.typed(str(out or f"{found.run.id}-crate"))
        written = exporting.export(root, found, folder, licence)
        console.info(f"{folder}: a crate of {len(written)} files")
        return
    document = attest.made(found)
    text = attest.text(document, key, sign=sign or key is not None, password=os.environ.get("NIXGEN_KEY_PASSWORD"))
    if out is None:
        console.result(text)
        return
    place = folders.typed(str(out))
    if not place.parent.is_dir():
        raise UserError.of(str(place.parent), "is not a folder", "make it first")
    files.write_all(place.parent, {place.name: f"{text}\n".encode()})
    console.info(f"{out}: a statement about {len(found.run.outputs)} outputs")


@artifacts.command(
    app,
    "verify",
    "Check the signature of a run's statement, and the outputs.\n\n"
    "Exits with 1 when the signature is not good, or an output is another one. Needs the extra nixgen[sign].\n\n"
    "Example: nixgen runs verify provenance.json --key release.pub",
)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `nixgen runs export` signed.", show_default=False)],
    key: options.PublicKeyOption = None,
    identity: options.IdentityOption = None,
    issuer: options.IssuerOption = None,
    path: Annotated[
        Path | None,
        typer.Option("--path", metavar="DIR", help="Where the outputs are.", show_default="where the command ran"),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs verify``."""
    from nixgen.console import console
    from nixgen.models.signing import Signer
    from nixgen.models.verify import find_lock
    from nixgen.runs import attest

    claim = attest.verified(file, Signer(key, identity, issuer))
    attest.compare(claim, path or find_lock(project).parent / claim.folder)
    console.result(f"{file}: signed by {key or identity}; {len(claim.outputs)} outputs are those of run {claim.run}")


@artifacts.command(
    app,
    "log",
    "Log a recorded run in MLflow: digests as tags, files as artifacts.\n\n"
    "MLFLOW_TRACKING_URI names the server. Where it is set, `nixgen run --record` does the same. Needs the extra "
    "nixgen[mlflow].\n\n"
    "Example: nixgen runs log latest",
)
def log(
    run: RunArgument = "latest",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs log``."""
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding
    from nixgen.trackers import tracking

    root = find_lock(project).parent
    done = tracking.log(root, finding.find(root, run))
    console.result(f"logged as {done.kind} run {done.run} at {done.uri}")
