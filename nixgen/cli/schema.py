"""``nixgen schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from nixgen.cli import options


def schema(
    what: Annotated[
        str, typer.Argument(metavar="settings|models|promotion", help="Which file's schema.", show_default=False)
    ],
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Print the JSON Schema of a file, for editors.

    settings is [tool.nixgen] of pyproject.toml, models is models.toml, promotion is promotion.toml. docs/settings.md
    says how an editor is told.

    Example: nixgen schema models > .models.schema.json
    """
    from nixgen.artifacts import manifest
    from nixgen.console import console
    from nixgen.formats.jsontext import dumps
    from nixgen.project import settings
    from nixgen.registry import policy

    known = {"settings": settings.schema, "models": manifest.schema, "promotion": policy.schema}
    if what not in known:
        raise typer.BadParameter(f"there is no schema {what}; there are {', '.join(known)}", param_hint="schema")
    console.result(dumps(known[what]()))
