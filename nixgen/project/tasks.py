"""Tasks of ``[tool.nixgen.tasks]`` as one text for a POSIX shell, which ``nixgen run`` and ``nix run`` start alike."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from graphlib import TopologicalSorter

from nixgen.console import console
from nixgen.project.settings import TaskSettings

_ARGUMENTS = '"$@"'


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
        console.result(json.dumps({"version": 1, "run": main, "tasks": rows}, indent=2))
        return
    width = max(map(len, tasks), default=0)
    lines = [f"{name:{width}}  {_told(one)}" for name, one in tasks.items()]
    if main is not None:
        lines.insert(0, f"nixgen run: {main}")
    console.result("\n".join(lines) or 'no tasks: write train = "python train.py" under [tool.nixgen.tasks]')


def _told(task: TaskSettings) -> str:
    before = f"after {', '.join(task.depends_on)}" if task.depends_on else ""
    return task.description or "; ".join(filter(None, (task.cmd.partition("\n")[0], before)))
