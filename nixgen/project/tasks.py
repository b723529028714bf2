"""Tasks of ``[tool.nixgen.tasks]`` as one text for a POSIX shell, which ``nixgen run`` and ``nix run`` start alike."""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from nixgen.console import console
from nixgen.errors import UserError
from nixgen.formats import jsontext
from nixgen.project.project import Project
from nixgen.project.settings import Settings, TaskSettings

_ARGUMENTS = '"$@"'
_OF_NIXGEN = {"--record", "--stamp", "--stamp-age", "--no-stamp"}
"""Options of ``nixgen run`` that a task hardly has, too. Of the others (--seed, --config, --output) many do."""


def chosen(project: Project, words: Sequence[str], environment: str) -> tuple[str, ...] | None:
    """The command of the task that the first word names; without a word, the project's own. None for a program.

    Warns of words behind a task's name that look like options of nixgen. Raises UserError where the word is no program
    either, such as a task's name with a mistake in it.
    """
    settings = project.settings
    if not words:
        return None if settings.run is None else ("sh", "-c", settings.run)
    if words[0] in settings.tasks:
        _warn_of_options(settings, words)
        return "sh", "-c", script(settings.tasks, words[0]), *words
    if settings.tasks:
        _refuse_unknown(project, words[0], environment)
    return None


def _refuse_unknown(project: Project, word: str, environment: str) -> None:
    """Raises UserError for what is no task and no program of the environment; .venv tells of it from outside."""
    tasks, venv = project.settings.tasks, project.root / ".venv/bin"
    if "/" in word or shutil.which(word, path=os.pathsep.join((str(venv), os.environ.get("PATH", os.defpath)))):
        return
    near = difflib.get_close_matches(word, tasks, n=1)
    inside = os.environ.get("NIXGEN_ROOT") == str(project.root)
    known = not environment and (inside or (not project.settings.tools and (venv / "python").exists()))
    if near or known:
        mend = f"did you mean {near[0]}? The tasks" if near else "the tasks"
        mend = f"{mend}: {', '.join(tasks)}; for a program: nixgen run -- {word}"
        raise UserError.of("", f"there is no task {word}", mend)


def _warn_of_options(settings: Settings, words: Sequence[str]) -> None:
    """Says which words behind a task's name look like options of nixgen, which come before it."""
    for place, word in enumerate(words[1:], 1):
        if word == "--":
            break
        option, _, value = word.partition("=")
        value = value or "".join(words[place + 1 : place + 2])
        named = option in {"--env", "--environment"} and value in settings.environments
        if option in _OF_NIXGEN or named:
            given = f"{option} {value}" if named else option
            console.warn(f"{given} was given to {words[0]}; for nixgen: nixgen run {given} {words[0]}")


def text(command: str) -> str:
    """The command with the arguments behind it, where it does not say itself where they go."""
    return command if any(one in command for one in ("$@", "$*", "$1", "$#")) else f"{command} {_ARGUMENTS}"


def script(tasks: Mapping[str, TaskSettings], name: str) -> str:
    """What a task runs: those that it depends on, each once and each said, and itself, with the arguments.

    The first that fails ends it, with its exit code.
    """
    order = _order(tasks, name)
    lines = []
    for one in order:
        task, last = tasks[one], one == name
        told = [f"echo {shlex.quote(f'nixgen: {one}')} >&2"] if len(order) > 1 and task.cmd else []
        own = [f"export {key}={shlex.quote(value)}" for key, value in task.env.items()]
        if task.cmd:
            body = [*told, *own, text(task.cmd) if last else task.cmd]
            lines += body if last else ["(", *body, ") || exit"]
    return "\n".join(lines)


def _order(tasks: Mapping[str, TaskSettings], name: str) -> tuple[str, ...]:
    """A task and all that come before it, in their order."""
    graph: dict[str, tuple[str, ...]] = {}
    left = [name]
    while left:
        one = left.pop()
        if one not in graph:
            graph[one] = tasks[one].depends_on
            left += reversed(graph[one])
    return tuple(TopologicalSorter(graph).static_order())


def show(tasks: Mapping[str, TaskSettings], main: str | None, *, as_json: bool) -> None:
    """Prints the tasks, one line each; ``main`` is what ``nixgen run`` alone runs."""
    if as_json:
        rows = {
            name: {
                "cmd": one.cmd or None,
                "description": one.description or None,
                "depends-on": list(one.depends_on),
                "env": dict(one.env),
            }
            for name, one in tasks.items()
        }
        console.result(jsontext.dumps({"version": 1, "run": main, "tasks": rows}))
        return
    width = max(map(len, tasks), default=0)
    lines = [f"{name:{width}}  {_told(one)}" for name, one in tasks.items()]
    if main is not None:
        lines.insert(0, f"nixgen run: {main}")
    console.result("\n".join(lines) or 'no tasks: write train = "python train.py" under [tool.nixgen.tasks]')


def _told(task: TaskSettings) -> str:
    before = f"after {', '.join(task.depends_on)}" if task.depends_on else ""
    return task.description or "; ".join(filter(None, (task.cmd.partition("\n")[0], before)))
