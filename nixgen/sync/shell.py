"""The environment of a project: built, its .venv made, and entered, in the user's own shell.

Nix is asked for two store paths, and bash sources one of them, as ``nix develop`` and ``nix-shell`` do: so flakes may
be on or off, and nobody needs a bash of <nixpkgs>. Where the store lies elsewhere than in /nix, ``nix develop`` enters.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen import guard
from nixgen.console import console
from nixgen.generate.digest import of_bytes
from nixgen.machine import files, folders, process
from nixgen.nix.log import State
from nixgen.nix.tools import Nix, Recipe, Shell

if TYPE_CHECKING:
    from nixgen.archive.taking import Archives
    from nixgen.generate.model import Plan
    from nixgen.nix.failures import Broken, Owner
    from nixgen.project.project import Project

_ENTER = '. "$NIXGEN_SETUP/setup"; nixgen_enter'
_KEPT = 'export NIXGEN_FIRST=$VIRTUAL_ENV/bin${NIXGEN_TOOLS:+:$NIXGEN_TOOLS}; [ ! -t 2 ] || nixgen_greet >&2; exec "$@"'
# For what the hook of an older nixgen lacks, nothing is said.
_MARKED = "! nixgen_mark 2>/dev/null || export NIXGEN_WATCHED"
# As nixgen_look of the hook, for shells that it is not in; and the mark is gone with the shell.
_CHANGED = "changed since this shell was entered. To renew it: exit, then: nixgen sync && nixgen shell"
_FISH = f"""\
set -gx PATH (string split : -- $NIXGEN_FIRST) $PATH
functions -q fish_prompt; and functions -c fish_prompt _nixgen_prompt
function fish_prompt; printf '(%s) ' $VIRTUAL_ENV_PROMPT; functions -q _nixgen_prompt; and _nixgen_prompt; end
set -gu NIXGEN_WATCHED (string split -n ' ' -- $NIXGEN_WATCHED)
function _nixgen_look --on-event fish_prompt
  for file in $NIXGEN_WATCHED
    test $NIXGEN_ROOT/$file -nt "$NIXGEN_MARK"; or continue
    set -e NIXGEN_WATCHED
    set -gu NIXGEN_MARK $NIXGEN_MARK
    echo "nixgen: $file {_CHANGED}" >&2
    break
  end
end
function _nixgen_leave --on-event fish_exit; test -z "$NIXGEN_MARK"; or command rm -f -- $NIXGEN_MARK; end
"""
# What the user's own files do to PATH and the prompt comes first, and this after it.
_ZSH = {
    ".zshenv": """\
NIXGEN_RC=$ZDOTDIR ZDOTDIR=${NIXGEN_ZDOTDIR:-$HOME}
[[ ! -f $ZDOTDIR/.zshenv ]] || . $ZDOTDIR/.zshenv
NIXGEN_ZDOTDIR=$ZDOTDIR ZDOTDIR=$NIXGEN_RC
""",
    ".zshrc": """\
ZDOTDIR=$NIXGEN_ZDOTDIR
[[ $HISTFILE != $NIXGEN_RC/* ]] || HISTFILE=$ZDOTDIR/${HISTFILE:t}
[[ ! -f $ZDOTDIR/.zshrc ]] || . $ZDOTDIR/.zshrc
path=(${(s.:.)NIXGEN_FIRST} $path) PROMPT="($VIRTUAL_ENV_PROMPT) $PROMPT"
[[ $ZDOTDIR != $HOME ]] || unset ZDOTDIR
unset NIXGEN_RC NIXGEN_ZDOTDIR
typeset +x NIXGEN_WATCHED
nixgen_look() {
  local file
  for file in ${=NIXGEN_WATCHED}; do
    [[ $NIXGEN_ROOT/$file -nt $NIXGEN_MARK ]] || continue
    NIXGEN_WATCHED=
    typeset -g +x NIXGEN_MARK
    print -ru2 -- "nixgen: $file CHANGED"
    break
  done
}
nixgen_leave() { [[ -z ${NIXGEN_MARK:-} ]] || command rm -f -- $NIXGEN_MARK; }
precmd_functions+=(nixgen_look) zshexit_functions+=(nixgen_leave)
""".replace("CHANGED", _CHANGED),
}
# What a shell that was entered by a flake has, and direnv.
_OF_ANOTHER = ("NIXGEN_BELOW", "NIXGEN_SOURCE", "DIRENV_IN_ENVRC")


@dataclass(frozen=True, slots=True)
class Ready:
    """A shell that can be entered: what it is made of, and how much had to be built and fetched for that.

    ``venv`` is the folder that .venv leads to, "" where the store lies elsewhere than in /nix.
    """

    shell: Shell
    built: int
    fetched: int
    venv: str = ""

    @property
    def worked(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.built or self.fetched)

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """Those of the project, where they were asked for."""
        return self.shell.recipes

    def told(self) -> str:
        """The counts, for people."""
        counts = {"built": self.built, "fetched": self.fetched}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def enter(project: Project, environment: str, command: Sequence[str]) -> int:
    """Becomes the user's shell, or ``command``, in the environment; the exit code where that cannot be started.

    Raises what :func:`ready` raises.
    """
    nix, found, _ = _built(project, environment)
    if not _is_here(nix, found):
        attribute = f"environments.{environment}.shell" if environment else "shell"
        words = ["develop", "--file", str(project.path("default.nix")), attribute]
        return guard.become(nix.command("nix", *words, *(["--command", *command] if command else ())))
    env = _variables(project.root, found)
    if command:
        return guard.become([found.bash, "-c", f'{_ENTER}; exec "$@"', "bash", *command], env)
    return guard.become(*_interactive(found, env))


def ready(project: Project, environment: str, plan: Plan | None = None, *, recipes: bool = False) -> Ready:
    """Builds what the shell of an environment needs, and makes .venv of it.

    Raises Stale, UserError, BuildFailed and MachineError.
    """
    nix, found, state = _built(project, environment, plan, recipes=recipes)
    venv = ""
    if _is_here(nix, found):
        script = f'{_ENTER}; printf %s "$VIRTUAL_ENV"'
        venv = process.run([found.bash, "-c", script], cwd=project.root, env=_variables(project.root, found)).out
    return Ready(found, state.built, state.fetched, venv)


def inside(root: Path) -> str | None:
    """The name of the environment whose shell of the project this process runs in ("" the default one's), else None."""
    own = os.environ.get("NIXGEN_ROOT", "")
    return os.environ.get("NIXGEN_LABEL", "") if own and Path(own).is_dir() and root.samefile(own) else None


def is_another(made: Ready) -> bool:
    """Whether the shell that this process runs in, one of the environment that was made, has it as it was before."""
    told = Path(os.environ.get("NIXGEN_MARK", "/nowhere")).exists()  # bash's prompt says it
    return not told and bool(made.venv) and os.environ.get("VIRTUAL_ENV") != made.venv


def _built(
    project: Project, environment: str, plan: Plan | None = None, *, recipes: bool = False
) -> tuple[Nix, Shell, State]:
    from nixgen.archive.taking import realise
    from nixgen.check.facts import system
    from nixgen.nix.progress import shown

    nix = Nix.here()
    with console.step("evaluating"):
        found = nix.shell(project.root, system(), environment, recipes=recipes)
    last, progress, later = [State()], shown("building"), Later(project, plan)

    def show(state: State) -> None:
        last[0] = state
        progress(state)

    there = nix.physical(found.setup)
    building = nix if there is not None and there.exists() else nix.on_every_core()
    with nix.roots() as keep:
        realise(building, [found.drv], show, keep, owners=later, advise=later.advise, archives=later.archives)
    return nix, found, last[0]


class Later(Mapping[str, "Owner"]):
    """Whose files are fetched, and what helps a build that failed: worked out when one has."""

    def __init__(self, project: Project, plan: Plan | None) -> None:
        self._project, self._given = project, plan

    def advise(self, broken: Mapping[str, Broken]) -> Mapping[str, str]:
        """What to do about builds that failed, by the .drv."""
        from nixgen.builds.advice import Adviser
        from nixgen.check.facts import system

        return Adviser.of(self._project, self._plan.base, system())(broken)

    def archives(self) -> Archives:
        """Where else its files are."""
        from nixgen.lock.archives import archives

        return archives(self._project, self._plan.base)

    @cached_property
    def _plan(self) -> Plan:
        from nixgen.generate import planning

        return self._given or planning.plan(self._project, planning.read_pins(self._project))

    @cached_property
    def _owners(self) -> Mapping[str, Owner]:
        from nixgen.generate.origins import owners

        return owners(self._plan)

    def __getitem__(self, key: str) -> Owner:
        return self._owners[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)


def _is_here(nix: Nix, found: Shell) -> bool:
    return nix.physical(found.setup) == Path(found.setup)


def _variables(root: Path, found: Shell) -> dict[str, str]:
    """What bash is started with: as nix-shell's, less what belongs to builds, and to a shell that this runs in."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
    own = {"NIXGEN_PLACE": str(root), "NIXGEN_DIGEST": of_bytes(files.read(root, "default.nix") or b"")}
    return {**kept, **own, "IN_NIX_SHELL": "impure", "NIXGEN_SETUP": found.setup}


def _interactive(found: Shell, env: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """What starts the user's shell: bash with the hook in it; another one behind a bash that has run the hook."""
    own = env.get("SHELL", "")
    if not (own.startswith("/") and os.access(own, os.X_OK)):
        own = pwd.getpwuid(os.getuid()).pw_shell
    name = Path(own).name
    if name in {"nologin", "false", "sh", ""} or not os.access(own, os.X_OK):
        own, name = shutil.which("bash") or found.bash, "bash"
    if name == "bash":
        reading, writing = os.pipe()
        text = f"exec {reading}<&-\n[ ! -e ~/.bashrc ] || . ~/.bashrc\n{_ENTER}\n"
        os.write(writing, text.encode())
        os.close(writing)
        os.set_inheritable(reading, True)
        return [own, "--rcfile", f"/dev/fd/{reading}", "-i"], env
    words, before = [own, "-i"], f"{_ENTER}; {_MARKED}; {_KEPT}" if name in {"zsh", "fish"} else f"{_ENTER}; {_KEPT}"
    if name == "fish":
        words += ["-C", _FISH]
    if name == "zsh":
        place = folders.cache("zsh")
        place.mkdir(parents=True, exist_ok=True)
        files.write_all(place, {file: text.encode() for file, text in _ZSH.items()})
        env = {**env, "NIXGEN_ZDOTDIR": env.get("ZDOTDIR", ""), "ZDOTDIR": str(place)}
    return [found.bash, "-c", before, "bash", *words], env
