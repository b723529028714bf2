"""What ``nixgen model`` and ``nixgen data`` have in common: add, remove, list and fetch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nixgen.cli import complete, options

if TYPE_CHECKING:
    from nixgen.artifacts.model import Kind

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The name in models.toml.", show_default=False, autocompletion=complete.of_kind
    ),
]
NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME", help="The names in models.toml.", show_default=False, autocompletion=complete.of_kind
    ),
]
SomeNamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Only these; without a name all.", show_default=False, autocompletion=complete.of_kind
    ),
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Where it comes from: hf:ORG/NAME, https://…, github:OWNER/REPO@TAG/ASSET, s3://…, oci:…, "
        "archive:PACKAGE, registry:NAME@ALIAS, or a path in the project.",
        show_default=False,
    ),
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", metavar="REF", help="A branch, tag or commit of the hub's repo.")
]
IncludeOption = Annotated[
    list[str] | None, typer.Option("--include", metavar="GLOB", help="Only files like this. Can be repeated.")
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Skip files like this. Can be repeated.")
]
LayoutOption = Annotated[
    list[str] | None,
    typer.Option("--layout", metavar="hf|plain", help="How it is laid out on disk. Can be repeated to have both."),
]
MemberOption = Annotated[
    str | None,
    typer.Option("--member", metavar="PATH", help="The file in the archive that the source is; with / a folder."),
]
Sha256Option = Annotated[
    str | None, typer.Option("--sha256", metavar="HEX", help="Expected SHA-256 of the source's file.")
]
RepoOption = Annotated[
    str | None,
    typer.Option(
        "--repo", metavar="ORG/NAME", help="The name for from_pretrained, with --layout hf and no hf: source."
    ),
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", metavar="URL", help="Another server that speaks S3, or another hub.")
]
RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", metavar="URL", help="The registry of registry:NAME, where nixgen.lock notes several."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def group(name: str, text: str) -> typer.Typer:
    """An empty group of commands that looks like nixgen itself."""
    return typer.Typer(name=name, help=text, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def command(app: typer.Typer, name: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a command with this help text, and the exit codes below it."""
    return app.command(name, help=text, epilog=options.EXIT_CODES)


def register(app: typer.Typer, kind: Kind, what: str, example: str) -> None:
    """Gives ``app`` the commands that both kinds have; ``what`` is the kind in a sentence ("models")."""
    group_name = app.info.name

    @command(
        app,
        "remove",
        f"Take {what} out of models.toml.\n\nComments and everything else in it stay.\n\n"
        f"Example: nixgen {group_name} remove {example}",
    )
    def remove(
        names: NamesArgument,
        project: options.ProjectOption = Path(),
        quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
        verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
    ) -> None:
        from nixgen.models import commands

        commands.remove(project, kind, names)

    @command(
        app,
        "list",
        f"Show the {what} of this project. Size, commit, licence and formats of each.\n\n"
        "A format based on pickle is marked, with what to prefer. Needs no network.\n\n"
        f"Example: nixgen {group_name} list --json",
    )
    def list_(
        project: options.ProjectOption = Path(),
        json: JsonOption = False,
        quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
        verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
    ) -> None:
        from nixgen.console import console
        from nixgen.models import commands, listing

        rows = commands.rows(project, kind)
        console.result(listing.as_json(kind, rows) if json else listing.as_text(kind, rows))

    @command(
        app,
        "fetch",
        f"Put the pinned files of {what} into the Nix store.\n\n"
        "Needed where Nix cannot fetch them by itself: gated and private repos, S3, OCI, registries of "
        "models. The token comes from where huggingface_hub finds it.\n\n"
        f"Example: nixgen {group_name} fetch {example}",
    )
    def fetch(
        names: SomeNamesArgument = None,
        project: options.ProjectOption = Path(),
        quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
        verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
    ) -> None:
        from nixgen.models import commands

        commands.fetch(project, kind, names or [])
