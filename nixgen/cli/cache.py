"""``nixgen cache``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("cache", "Share builds in a binary cache with a tamper-evident log.")

EXIT_CODES = (
    "Exit codes: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something, 4 stale, 5 build failed."
)
"""Of the commands that look at the project's outputs."""

_KNOWN = "the one in nixgen.lock"
URL_HELP = "A store of Nix: file:///folder, s3://bucket, https://host or ssh-ng://host."
UrlArgument = Annotated[str | None, typer.Argument(metavar="URL", help=URL_HELP, show_default=_KNOWN)]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Only this output, like environment or numpy. Can be repeated."),
]
LogOption = Annotated[
    str | None, typer.Option("--log", metavar="URL", help="Where the log lies, when it is not beside the cache.")
]
LogKeyOption = Annotated[
    str | None,
    typer.Option("--log-key", metavar="KEY", help="The log's public key, or its file.", show_default=_KNOWN),
]
PublicKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--public-key",
        metavar="KEY",
        help="A public key that signs paths, or its file. Can be repeated.",
        show_default=_KNOWN,
    ),
]


@artifacts.command(
    app,
    "keygen",
    "Make the two keys of a cache: one signs its paths, one its log. Both stay outside of the project.\n\n"
    "Example: nixgen cache keygen --name team-1",
)
def keygen(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The keys' name.", show_default="PROJECT-1")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="The folder to make.", show_default="~/.config/nixgen/keys/NAME"),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen cache keygen``."""
    from nixgen.cache import commands
    from nixgen.console import console

    made = commands.keygen(project, name, folder)
    console.info(f"Made {made.folder}; cache.sec and log.sec are secret, what others need is:")
    console.result(f"trusted-public-keys: {made.public}\nlog key: {made.verifier}")


@app.command(
    "push",
    help="Publish what was built to a cache. Each path is hashed again, logged, signed, uploaded, never replaced.\n\n"
    "Notes the cache, its keys and its log's checkpoint in nixgen.lock.\n\n"
    "Example: nixgen cache push file:///srv/cache --key team-1",
    epilog=EXIT_CODES,
)
def push(
    url: UrlArgument = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="NAME", help="The keys' name, or their folder.", show_default="PROJECT-1"),
    ] = None,
    only: OnlyOption = None,
    log: LogOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen cache push``."""
    from nixgen.cache import commands
    from nixgen.console import console

    place, done, noted = commands.do_push(project, commands.Asked(url, log), key, only or ())
    console.result(
        f"{place.url}: {len(done.published)} paths published, {len(done.there)} were there; "
        f"the log has {done.checkpoint.size} entries, {done.logged} of them new"
    )
    if done.signed:
        console.info(f"Signed {len(done.signed)} paths that were there without this key's signature")
    if noted:
        console.info("Noted the checkpoint in nixgen.lock: commit it")


@app.command(
    "pull",
    help="Take what this project needs from a cache. Only what was logged and recorded.\n\n"
    "It is compared before Nix takes it, and once more on the disk. Takes all or nothing.\n\n"
    "Example: nixgen cache pull",
    epilog=EXIT_CODES,
)
def pull(
    url: UrlArgument = None,
    only: OnlyOption = None,
    log: LogOption = None,
    log_key: LogKeyOption = None,
    public_key: PublicKeyOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen cache pull``."""
    from nixgen.cache import commands
    from nixgen.console import console

    asked = commands.Asked(url, log, log_key, tuple(public_key or ()))
    place, done = commands.do_pull(project, asked, only or ())
    console.result(f"{place.url}: {len(done.taken)} paths taken as they were logged, {len(done.there)} were here")


@artifacts.command(
    app,
    "verify",
    "Compare a cache with its log. Every path's narinfo and NAR, the log and the record.\n\n"
    "Tells apart what is missing (collected), extra, rewritten, signed anew, unlogged and unsigned, and whether the "
    "log was shortened or forked. Exits with 1 for each of them.\n\n"
    "Example: nixgen cache verify file:///srv/cache",
)
def verify(
    url: UrlArgument = None,
    json: options.JsonOption = False,
    recorded: Annotated[bool, typer.Option("--recorded", help="Only the paths that nixgen.hashes.json has.")] = False,
    content: Annotated[
        bool, typer.Option("--content/--no-content", help="Whether to read every NAR and hash it.")
    ] = True,
    update: Annotated[
        bool, typer.Option("--update", help="Note the log's checkpoint in nixgen.lock when all is well.")
    ] = False,
    log: LogOption = None,
    log_key: LogKeyOption = None,
    public_key: PublicKeyOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen cache verify``."""
    from nixgen.cache import commands
    from nixgen.cache.verify import refusal
    from nixgen.console import console

    asked = commands.Asked(url, log, log_key, tuple(public_key or ()))
    report = commands.do_verify(project, asked, recorded=recorded, content=content, note=update)
    if json:
        console.result(report.json())
    elif report.ok:
        console.result(report.text())
    if not report.ok:
        error = refusal(report)
        if json:
            raise typer.Exit(error.exit_code)
        raise error


@app.command(
    "challenge",
    help="Build a sample of a cache here, and compare the bytes. Each is identical, differs or inconclusive.\n\n"
    "Exits with 1 when one differs, and with 3 when nothing could be compared.\n\n"
    "Example: nixgen cache challenge --sample 5",
    epilog=EXIT_CODES,
)
def challenge(
    url: UrlArgument = None,
    only: OnlyOption = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Only N of the outputs, at random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="NUMBER", help="Random seed: repeats an earlier sample.")
    ] = None,
    json: options.JsonOption = False,
    log: LogOption = None,
    log_key: LogKeyOption = None,
    public_key: PublicKeyOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen cache challenge``."""
    from nixgen.cache import commands
    from nixgen.console import console

    asked = commands.Asked(url, log, log_key, tuple(public_key or ()))
    done, error = commands.do_challenge(project, asked, only or (), sample, seed)
    console.result(done.json() if json else done.text())
    if error is not None:
        if json:
            raise typer.Exit(error.exit_code)
        raise error
