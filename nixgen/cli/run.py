"""``nixgen run``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from nixgen.cli import complete, options


class Parsed(TyperCommand):
    """Notes whether -- stands before COMMAND: what follows it is a program, and no task."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's type
        """As of any command."""
        given = list(args)
        left = super().parse_args(ctx, args)
        words = ctx.params.get("command") or ()
        ctx.meta["separated"] = given[: len(given) - len(words)][-1:] == ["--"]
        return left


CONTEXT = {"allow_interspersed_args": False}
"""How the command is registered: what follows COMMAND's first word is COMMAND's, options too."""

EXIT_CODES = (
    "Exit codes: COMMAND's; 79 a file is not the pinned one and COMMAND was not started, 126 and 127 COMMAND cannot be "
    "run, 2 a mistake in the input, 3 the machine lacks something. With --record, where COMMAND's is 0: 1 metrics or "
    "an output were not written, 3 the record is not whole."
)


def run(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK|COMMAND",
            help="A task or a program (after -- always a program), and its arguments; without one, the project's run.",
            show_default=False,
            autocompletion=complete.tasks,
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            metavar="NAME",
            help="The command of [services.NAME] in models.toml, and its models.",
            autocompletion=complete.services,
        ),
    ] = None,
    environment: options.EnvironmentOption = "",
    stamp: Annotated[
        Path | None,
        typer.Option("--stamp", metavar="DIR", help="Where the stamp is kept.", show_default="this user's state"),
    ] = None,
    no_stamp: Annotated[bool, typer.Option("--no-stamp", help="Hash every file, whatever was checked before.")] = False,
    stamp_age: Annotated[
        float, typer.Option("--stamp-age", metavar="SECONDS", help="How long a stamp counts.")
    ] = 86400,
    report: Annotated[
        str, typer.Option("--report", metavar="text|json", help="The report's form, on stderr.")
    ] = "text",
    record: Annotated[
        bool, typer.Option("--record", help="Write runs/ID/run.yaml: code, environment, data, config, results.")
    ] = False,
    clean: Annotated[bool, typer.Option("--clean", help="With --record: refuse a git tree with changes.")] = False,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="With --record: keep a copy. Can be repeated."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="NUMBER", help="Set PYTHONHASHSEED and NIXGEN_SEED.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option("--metrics", metavar="FILE", help="With --record: JSON or YAML that COMMAND writes.")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", metavar="PATH", help="With --record: hash what COMMAND made. Can be repeated."),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Verify models and data, then run a task or COMMAND. In the project's environment, unless a file changed.

    Tasks are those of [tool.nixgen.tasks], which `nixgen tasks` lists. They run in the project's folder.

    With --record, COMMAND's output is kept, too, and `nixgen runs` shows what was recorded. Where MLFLOW_TRACKING_URI
    is set, MLflow gets the run, too (needs the extra nixgen[mlflow]).

    Example: nixgen run --record --config train.yaml --seed 7 --metrics metrics.json --output model -- python train.py
    """
    from nixgen.errors import UserError
    from nixgen.models import verify as implementation

    if report not in {"text", "json"}:
        raise UserError.of("--report", f"is {report}, not text or json")
    lock = implementation.find_lock(project)
    given = {"--clean": clean, "--config": config, "--metrics": metrics is not None, "--output": output}
    for option in (name for name, value in given.items() if value and not record):
        raise typer.BadParameter("requires --record", param_hint=option)
    words: tuple[str, ...] = tuple(command or ())
    names: tuple[str, ...] = ()
    if service is not None:
        own = implementation.service(lock.parent, service)
        words, names, environment = own.command + words, own.models, environment or own.environment
    named = service is None and not ctx.meta["separated"] and (lock.parent / "pyproject.toml").is_file()
    if named or environment:
        from nixgen.project import tasks
        from nixgen.project.project import find_project

        found = find_project(lock.parent, lock=False)
        if environment:
            found.of(environment)
        if named and (task := tasks.chosen(found, words, environment)) is not None:
            words = task
            os.chdir(lock.parent)
    if not words:
        mend = 'nixgen run -- COMMAND; or write run = "python -m app" under [tool.nixgen]'
        raise UserError.of("", "there is no command to run", mend)
    how = implementation.Options(
        stamp=not no_stamp,
        stamps=stamp,
        age=stamp_age,
        report=report,
        environment=environment,
    )
    if record:
        from nixgen.runs import record as recording
        from nixgen.trackers.asked import after_record

        what = recording.Options(clean, tuple(config or ()), seed, metrics, tuple(output or ()))
        raise typer.Exit(recording.record(lock, names, words, how, what, after_record))
    os.environ.update(implementation.seed_variables(seed))
    raise typer.Exit(implementation.start(lock, names, words, how))
