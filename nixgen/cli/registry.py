"""``nixgen registry``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nixgen.cli import artifacts, complete, options

if TYPE_CHECKING:
    from nixgen.releases.commands import Asked

app = artifacts.group("registry", "Publish and promote models, and prove their history.")

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URL",
        help="A folder of the project, file:///folder, s3://bucket or https://host.",
        show_default="the one in nixgen.lock",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME", help="The log's key, or its folder.", show_default="the one in nixgen.lock"),
]
LogKeyOption = Annotated[
    str | None,
    typer.Option(
        "--log-key", metavar="KEY", help="The log's public key, to read only.", show_default="the one in nixgen.lock"
    ),
]
ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="NAME",
        envvar="NIXGEN_BY",
        help="Your name in the log.",
        show_default="GIT_AUTHOR_EMAIL, or user@machine",
    ),
]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Reason, for the log.", show_default=False)]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@VERSION]",
        help="A model, @ a version or an alias.",
        show_default=False,
        autocompletion=complete.published,
    ),
]
NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The model's name.", show_default=False, autocompletion=complete.published),
]


def _asked(
    project: Path, address: str | None, key: str | None = None, log_key: str | None = None, by: str = ""
) -> Asked:
    from nixgen.releases.commands import Asked

    return Asked(project, address, log_key, key, by)


@artifacts.command(
    app,
    "init",
    "Begin a registry, or note one in nixgen.lock. Makes its key outside of the project, and notes its address and "
    "public key.\n\n"
    "Where there is a registry with this key, only that is noted; with --log-key one of others, to read it.\n\n"
    "Example: nixgen registry init; git add registry nixgen.lock",
)
def init(
    registry: AddressOption = None,
    log_key: Annotated[
        str | None,
        typer.Option(
            "--log-key", metavar="KEY", help="Public key of the log, for a registry of others.", show_default=False
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="NAME", help="The key's name, or its folder.", show_default="PROJECT-1"),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry init``."""
    from nixgen.console import console
    from nixgen.releases import commands

    done = commands.init(_asked(project, registry, key, log_key))
    if done.made:
        console.info(f"Made {done.folder}; log.sec is secret: whoever has it may publish and promote")
    console.info("Noted the registry in nixgen.lock: commit it")
    console.result(f"{done.address}: {done.checkpoint.size} entries\nlog key: {done.verifier}")


@artifacts.command(
    app,
    "publish",
    "Publish what a recorded run made, as a model's version. The version never changes.\n\n"
    "The files are compared with the run's record first. Again with equal bytes is fine, with others an error.\n\n"
    "Example: nixgen registry publish latest fraud-detector --bump minor",
)
def publish(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help='A run: its id, part of it, its folder, or "latest".', show_default=False),
    ],
    name: NameArgument,
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="A semantic version, like 1.2.0.", show_default=False)
    ] = "",
    bump: Annotated[
        str,
        typer.Option(
            "--bump", metavar="major|minor|patch", help="Raise this part of the highest version.", show_default=False
        ),
    ] = "",
    sign: Annotated[
        Path | None,
        typer.Option("--sign", metavar="FILE", help="Sign provenance.json with this private key (PEM)."),
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Replace what an interrupted publish of this version left.")
    ] = False,
    why: WhyOption = "",
    registry: AddressOption = None,
    key: KeyOption = None,
    by: ByOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry publish``."""
    import os
    from dataclasses import replace

    from nixgen import console as told
    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.registry.names import Ref, Version, check_name
    from nixgen.releases import commands

    if bool(version) == bool(bump) or bump not in {"", "major", "minor", "patch"}:
        raise UserError.of("", "which version it is to be is not clear", "--version 1.2.0, or --bump major|minor|patch")
    ref = Ref(check_name(name, "a model"), version=Version.parse(version).text if version else "")
    asked = replace(_asked(project, registry, key, by=by), sign=sign, password=os.environ.get("NIXGEN_KEY_PASSWORD"))
    done = commands.publish_run(asked, run, ref, bump, take_over=take_over, why=why)
    if not done.fresh:
        console.result(f"{done.entry.name}: was published already, with equal bytes")
        return
    console.result(
        f"{done.entry.name}: {done.files} files published, {told.size(done.size)}; digest {done.entry.digest}"
    )


@artifacts.command(
    app,
    "list",
    "Show each model with its highest version and aliases.\n\nExample: nixgen registry list --json",
)
def list_(
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry list``."""
    from nixgen.releases import commands, listing

    listing.print_models(commands.opened(_asked(project, registry, log_key=log_key)).state(), as_json=json)


@artifacts.command(
    app,
    "show",
    "Show a version. Who published it when, from which run, its files, metrics and aliases.\n\n"
    "Example: nixgen registry show fraud-detector@prod",
)
def show(
    model: ModelArgument,
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry show``."""
    from nixgen.registry.names import Ref
    from nixgen.releases import commands, listing

    ref = Ref.parse(model)
    opened = commands.opened(_asked(project, registry, log_key=log_key), ref.name)
    listing.print_version(opened, opened.state().version(opened.project, ref), as_json=json)


@artifacts.command(
    app,
    "history",
    "Show the history of a model. Published, promoted, rolled back, approved, deprecated; by whom, and why.\n\n"
    "Example: nixgen registry history fraud-detector",
)
def history(
    name: NameArgument,
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry history``."""
    from nixgen.releases import commands, listing

    opened = commands.opened(_asked(project, registry, log_key=log_key), name)
    listing.print_events(opened.state().model(opened.model(name)), as_json=json)


@artifacts.command(
    app,
    "at",
    "Show which version each alias was at a date. Of a date, its end counts; or name a time. The log proves it.\n\n"
    "Example: nixgen registry at 2026-05-03",
)
def at(
    date: Annotated[
        str, typer.Argument(metavar="DATE", help="2026-05-03, or 2026-05-03T12:00+02:00.", show_default=False)
    ],
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry at``."""
    from nixgen.releases import commands, listing

    listing.print_aliases(*commands.then(_asked(project, registry, log_key=log_key), date), as_json=json)


@artifacts.command(
    app,
    "verify",
    "Compare the registry with its log. Hashes every file of every version, compares aliases, and checks the log.\n\n"
    "Exits with 1 for what is not as the log says. With names, only these models.\n\n"
    "Example: nixgen registry verify",
)
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Only these; without a name all.",
            show_default=False,
            autocompletion=complete.published,
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="First restore every alias from the log.")] = False,
    signed_by: Annotated[
        Path | None,
        typer.Option(
            "--signed-by", metavar="FILE", help="The public key (PEM) that each provenance.json is signed with."
        ),
    ] = None,
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry verify``."""
    from nixgen.models.signing import Signer
    from nixgen.registry import verify as verifying
    from nixgen.releases import commands, listing

    opened = commands.opened(_asked(project, registry, log_key=log_key))
    changed = verifying.repair(opened) if repair else []
    signer = Signer(signed_by) if signed_by is not None else None
    report = commands.verified(opened, frozenset(map(opened.model, names or ())), signer)
    listing.print_report(opened.address, report, changed, as_json=json)


@artifacts.command(
    app,
    "fetch",
    "Copy a published version into a folder, and verify it. Each byte is compared with the log's. All or nothing.\n\n"
    "Example: nixgen registry fetch fraud-detector@prod --out model",
)
def fetch(
    model: ModelArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The folder to make.", show_default="NAME-VERSION")
    ] = None,
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry fetch``."""
    from nixgen.console import console
    from nixgen.registry import fetch as fetching
    from nixgen.registry.names import Ref
    from nixgen.releases import commands

    ref = Ref.parse(model)
    opened = commands.opened(_asked(project, registry, log_key=log_key), ref.name)
    entry = opened.state().version(opened.project, ref)
    folder = out or Path(f"{entry.model.partition('/')[2]}-{entry.version}")
    written = fetching.fetch(opened, entry, folder)
    console.result(f"{folder}: {len(written)} files of {entry.name}, as they were published")


@artifacts.command(
    app,
    "export",
    "Write a version as an OCI artifact (ModelPack). It is an image layout, the same bytes each time.\n\n"
    "Each file is a layer as it is. --push sends it to a registry of images, with the logins of podman and docker.\n\n"
    "Example: nixgen registry export fraud-detector@prod --push registry.example.org/team/fraud-detector",
)
def export(
    model: ModelArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PATH", help="The folder, or NAME.tar, to make.", show_default="NAME-VERSION.oci"
        ),
    ] = None,
    push: Annotated[
        str, typer.Option("--push", metavar="HOST/NAME[:TAG]", help="Where to push it.", show_default=False)
    ] = "",
    registry: AddressOption = None,
    log_key: LogKeyOption = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry export``."""
    from nixgen import console as told
    from nixgen.console import console
    from nixgen.registry.names import Ref
    from nixgen.releases import commands

    entry, written, place, done = commands.export(
        _asked(project, registry, log_key=log_key), Ref.parse(model), out, push
    )
    if written:
        console.result(f"{written}: {entry.name}, {done.layers} layers, {told.size(done.size)}; {done.digest}")
    if place:
        console.result(f"{place}@{done.digest}: {entry.name}")


@artifacts.command(
    app,
    "promote",
    "Give an alias to a version, if promotion.toml allows it. Each condition is shown with its value.\n\n"
    "Of two promotions at once one wins, and the other is told. docs/registry.md has the conditions.\n\n"
    "Example: nixgen registry promote fraud-detector@1.2.1 staging",
)
def promote(
    model: ModelArgument,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Like staging or prod.", show_default=False)],
    override: Annotated[
        str,
        typer.Option(
            "--override", metavar="REASON", help="Promote although a condition fails; logged.", show_default=False
        ),
    ] = "",
    registry: AddressOption = None,
    key: KeyOption = None,
    by: ByOption = "",
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry promote``."""
    from nixgen.registry.names import Ref
    from nixgen.releases import commands, listing

    done = commands.promote(_asked(project, registry, key, by=by), Ref.parse(model), alias, override)
    listing.print_promoted(done, as_json=json)


@artifacts.command(
    app,
    "rollback",
    "Give an alias back to the version that it had before. Its bytes are verified first.\n\n"
    "Example: nixgen registry rollback fraud-detector prod --why 'too many false alarms'",
)
def rollback(
    name: NameArgument,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Like prod.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="Another version that it had.", show_default=False)
    ] = "",
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="The written plan, which the log keeps.", show_default=False),
    ] = None,
    why: WhyOption = "",
    registry: AddressOption = None,
    key: KeyOption = None,
    by: ByOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry rollback``."""
    from nixgen.releases import commands, listing

    asked = _asked(project, registry, key, by=by)
    listing.print_moved(commands.rollback(asked, name, alias, commands.Reason(why, to, plan)).entry)


@artifacts.command(
    app,
    "deprecate",
    "Mark a version as deprecated in the log. Its files stay.\n\n"
    "Example: nixgen registry deprecate fraud-detector@1.1.0 --why 'trained on leaked labels'",
)
def deprecate(
    model: ModelArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Reason, for the log.", show_default=False)],
    registry: AddressOption = None,
    key: KeyOption = None,
    by: ByOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry deprecate``."""
    from nixgen.console import console
    from nixgen.registry.names import Ref
    from nixgen.releases import commands

    done = commands.deprecate(_asked(project, registry, key, by=by), Ref.parse(model), why)
    console.result(f"{done.name}: deprecated")


@artifacts.command(
    app,
    "approve",
    "Sign a version with your own key. promotion.toml may ask for it. The signature covers each byte of it.\n\n"
    "Example: nixgen registry approve fraud-detector@1.2.1 --with ann-1",
)
def approve(
    model: ModelArgument,
    own: Annotated[
        str, typer.Option("--with", metavar="NAME", help="Your key's name, or its folder.", show_default=False)
    ],
    registry: AddressOption = None,
    key: KeyOption = None,
    by: ByOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry approve``."""
    from nixgen.console import console
    from nixgen.registry.names import Ref
    from nixgen.releases import commands

    done = commands.approve(_asked(project, registry, key, by=by), Ref.parse(model), own)
    console.result(f"{done.name}: approved by {done.by}")


@artifacts.command(
    app,
    "keygen",
    "Make a key to approve versions with. It stays outside of the project; the printed line is for promotion.toml.\n\n"
    "Example: nixgen registry keygen ann-1",
)
def keygen(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.", show_default=False)],
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen registry keygen``."""
    from nixgen.console import console
    from nixgen.log import keys

    folder = keys.make(name, keys.place(name))
    console.info(f"Made {folder}; log.sec is secret, what others need is:")
    console.result((folder / keys.PUBLIC).read_text("utf-8").strip())
