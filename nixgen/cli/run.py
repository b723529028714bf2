"""``nixgen run``."""

from __future__ import annotations

import difflib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from nixgen.cli import options

if TYPE_CHECKING:
    from nixgen.project.settings import Settings


class Parsed(TyperCommand):
    """Notes whether -- stands before COMMAND: what follows it is a program, and no task."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's type
        """As of any command."""
        given = list(args)
        left = super().parse_args(ctx, args)
        words = ctx.params.get("command") or ()
        ctx.meta["separated"] = given[: len(given) - len(words)][-1:] == ["--"]
        return left


_NIXGENS = {"--record", "--stamp", "--stamp-age", "--no-stamp"}
"""Options that a task hardly has, too. Of the others (--seed, --config, --output) many do."""

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
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service", metavar="NAME", help="The command of [services.NAME] in models.toml, and its models."
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
    if environment:
        from nixgen.project.project import find_project

        find_project(lock.parent, lock=False).of(environment)
    task = None if service is not None or ctx.meta["separated"] else _task(lock.parent, words, environment)
    if task is not None:
        _warn(lock.parent, words)
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


def _task(root: Path, words: tuple[str, ...], environment: str) -> tuple[str, ...] | None:
    """The command of the task that the first word names; without a word, the project's own. None where that is none.

    Raises UserError where the word is no program either, such as a task's name with a mistake in it.
    """
    from nixgen.project import tasks
    from nixgen.project.project import find_project

    if not (root / "pyproject.toml").is_file():
        return None
    settings = find_project(root, lock=False).settings
    if words and words[0] in settings.tasks:
        return "sh", "-c", tasks.script(settings.tasks, words[0]), *words
    if not words and settings.run is not None:
        return "sh", "-c", settings.run
    if words and settings.tasks:
        _refuse_unknown(root, words[0], settings, environment)
    return None


def _refuse_unknown(root: Path, word: str, settings: Settings, environment: str) -> None:
    """Raises UserError for what is no task and no program of the environment; .venv tells of it from outside."""
    from nixgen.errors import UserError

    path = os.pathsep.join((str(root / ".venv/bin"), os.environ.get("PATH", os.defpath)))
    if "/" in word or shutil.which(word, path=path):
        return
    near = difflib.get_close_matches(word, settings.tasks, n=1)
    inside = os.environ.get("NIXGEN_ROOT") == str(root)
    known = not environment and (inside or (not settings.tools and (root / ".venv/bin/python").exists()))
    if near or known:
        mend = f"did you mean {near[0]}? The tasks" if near else "the tasks"
        mend = f"{mend}: {', '.join(settings.tasks)}; for a program: nixgen run -- {word}"
        raise UserError.of("", f"there is no task {word}", mend)


def _warn(root: Path, words: tuple[str, ...]) -> None:
    """Says which words behind a task's name look like options of nixgen, which come before it."""
    from nixgen.console import console
    from nixgen.project.project import find_project

    for place, word in enumerate(words[1:], 1):
        if word == "--":
            break
        option, _, value = word.partition("=")
        value = value or "".join(words[place + 1 : place + 2])
        named = option in {"--env", "--environment"} and value in find_project(root, lock=False).settings.environments
        if option in _NIXGENS or named:
            given = f"{option} {value}" if named else option
            console.warn(f"{given} was given to {words[0]}; for nixgen: nixgen run {given} {words[0]}")
