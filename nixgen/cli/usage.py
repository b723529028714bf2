"""How an option is given: its environment variable, and what is said of a word that is wrong."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

import typer

from nixgen.errors import NixgenError, Problem, UserError

_MEANT = {
    "No such command 'help'": "nixgen --help",
    "No such command 'install'": "did you mean add?",
    "No such command 'uninstall'": "did you mean remove?",
    "No such command 'develop'": "did you mean shell?",
    "No such command 'update'": "did you mean upgrade?",
    "No such option: -V": "did you mean --version?",
}
"""What mends a word that other programs know, by click's sentence."""

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")


def variable(path: str, option: str) -> str:
    """The variable of an option: ``--sample`` of ``nixgen check`` is NIXGEN_CHECK_SAMPLE."""
    return f"nixgen {path} {option.lstrip('-')}".upper().replace(" ", "_").replace("-", "_")


def give_variables(command: Any, path: str) -> None:  # noqa: ANN401 -- click's type
    """Gives every option of a command a variable, but those that declare one of their own; the help says how."""
    for name, below in getattr(command, "commands", {}).items():
        give_variables(below, f"{path} {name}")
    first = ""
    for one in command.params:
        if one.param_type_name == "option" and one.name != "help" and one.envvar is None:
            option = max(one.opts, key=len)
            one.envvar, one.show_envvar = variable(path, option), False
            first = first or f"{one.envvar} for {option}"
    if first and command.epilog:
        command.epilog += f"\n\nEach option has an environment variable: {first}."


def told(error: Any) -> UserError:  # noqa: ANN401 -- click's UsageError
    """A word that is wrong, as a sentence, with the command that shows what is known."""
    where, what, ctx = "", error.format_message().rstrip("."), error.ctx
    if type(error) is typer.BadParameter:
        found = error.param_hint or (error.param and error.param.get_error_hint(ctx)) or ""
        where = (found if isinstance(found, str) else " / ".join(found)).replace("'", "")
        what = error.message.rstrip(".")
    what, _, near = re.sub(r" ?\((Possible options: )", r". Did you mean \1", what).partition(". Did you mean ")
    near = near.removeprefix("Possible options: ").rstrip("?)").replace("'", "")
    mend = [f"did you mean {near}?"] if near else [f"{ctx.command_path if ctx else 'nixgen'} --help"]
    if ctx and ctx.parent is None:
        mend = [_MEANT.get(what, mend[0])]
    what = what if where else what[:1].lower() + what[1:]
    return UserError([Problem(where, what, "\n".join(mend))])


def name_variables(error: NixgenError, command: str | None) -> None:
    """Where an option that an error names is set by a variable, the error says which."""
    error.problems = tuple(replace(one, mend=_named(one, command or "")) for one in error.problems)


def _named(problem: Problem, command: str) -> str:
    """What mends a problem, and which variables the options that it names come from."""
    options = dict.fromkeys(_OPTION.findall(f"{problem.where} {problem.what}"))
    if not options:
        return problem.mend
    words = "|".join(option.upper().replace("-", "_") for option in options)
    of = command.upper().replace("-", "_")
    own = re.compile(rf"NIXGEN_(?:{of}_(?:[A-Z_]+_)?)?(?:{words})")
    given = [
        f"{name} is set: unset {name}" for name, value in sorted(os.environ.items()) if value and own.fullmatch(name)
    ]
    return "\n".join(filter(None, (*given, problem.mend)))
