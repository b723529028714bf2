"""``nixgen tasks``."""

from __future__ import annotations

from pathlib import Path

from nixgen.cli import options


def tasks(
    project: options.ProjectOption = Path(),
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """List the project's tasks.

    Those of [tool.nixgen.tasks] in pyproject.toml. `nixgen run NAME` runs one; where nixgen is not installed,
    `nix run .#NAME` does.

    Example: nixgen tasks
    """
    from nixgen.project import tasks as implementation
    from nixgen.project.project import find_project

    settings = find_project(project, lock=False).settings
    implementation.show(settings.tasks, settings.run, as_json=json)
