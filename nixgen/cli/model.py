"""``nixgen model``."""

from __future__ import annotations

from pathlib import Path

from nixgen.cli import artifacts, options

app = artifacts.group("model", "Add, remove, list and fetch the models of this project.")


@artifacts.command(
    app,
    "add",
    "Write a model into models.toml; `nixgen lock` then pins it.\n\nComments and everything else in the file stay.\n\n"
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
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen model add``."""
    from nixgen.artifacts import commands

    values = commands.values(source, revision, include, exclude, layout, member, sha256, repo, endpoint)
    commands.add(project, "models", name, values)


artifacts.register(app, "models", "models", "minilm")
