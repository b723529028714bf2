"""``nixgen shell``: the user's own shell, with what the hook sets. Nix is not asked: the hook is a stand-in."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.nix import ROOT

from nixgen.nix.tools import Shell
from nixgen.sync import shell

HOOK = """
nixgen_enter() {
  export VIRTUAL_ENV=$NIXGEN_PLACE/venv VIRTUAL_ENV_PROMPT=demo NIXGEN_ROOT=$NIXGEN_PLACE
  NIXGEN_TOOLS=/nix/store/tools/bin
  export PATH=$VIRTUAL_ENV/bin:$PATH
  NIXGEN_OWNER=$$
  if [ -n "${PS1:-}" ]; then
    PS1="(demo) $PS1"
    nixgen_watch
  fi
}
nixgen_greet() { echo greeting; }
"""
OLDER = "nixgen_watch() { :; }\n"
ENTER = """
import os, sys
from pathlib import Path
from nixgen import guard
from nixgen.nix.tools import Shell
from nixgen.sync import shell
root = Path(sys.argv[1])
found = Shell("", sys.argv[2], str(root), {})
guard.become(*shell._interactive(found, shell._variables(root, found)))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "setup").write_text(OLDER + HOOK)
    (tmp_path / "home").mkdir()
    return tmp_path


def entered(root: Path, program: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """What the shell prints that is entered by a user with this SHELL, who types lines."""
    bash = shutil.which("bash") or "/bin/bash"
    argv = [sys.executable, "-c", ENTER, str(root), bash]
    return subprocess.run(argv, env=user(root, program), input=typed, capture_output=True, text=True, check=False)


def user(root: Path, program: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIXGEN", "XDG", "ZDOTDIR"))}
    return {**kept, "HOME": str(root / "home"), "SHELL": program, "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def test_bash_has_the_hook_behind_the_users_own_file(root: Path) -> None:
    (root / "home/.bashrc").write_text("PATH=/own/bin:$PATH PS1='> '\n")
    bash = shutil.which("bash") or ""
    done = entered(root, bash, 'echo "<$PS1>${PATH%%:/own/*}"; ls /dev/fd | wc -l >&2; exit 5\n')
    assert done.returncode == 5
    assert done.stdout == f"<(demo) > >{root}/venv/bin\n"


@pytest.mark.parametrize("name", ["zsh", "fish", "nu", "xonsh"])
def test_another_shell_is_kept_and_has_the_variables(root: Path, name: str) -> None:
    program = root / name
    program.write_text('#!/bin/sh\nenv | grep -E "^(VIRTUAL_ENV|NIXGEN_FIRST|ZDOTDIR)="; echo "args:$1$2"\n')
    program.chmod(0o755)
    lines = entered(root, str(program)).stdout.splitlines()
    assert f"VIRTUAL_ENV={root}/venv" in lines
    assert f"NIXGEN_FIRST={root}/venv/bin:/nix/store/tools/bin" in lines
    assert f"args:-i{'-C' if name == 'fish' else ''}" in lines
    assert (f"ZDOTDIR={root}/home/.cache/nixgen/zsh" in lines) == (name == "zsh")


@pytest.mark.parametrize("program", ["/usr/sbin/nologin", "/bin/sh", "/no/such/shell"])
def test_what_is_no_shell_of_the_users_is_bash(root: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: type("Entry", (), {"pw_shell": program}))
    words, _ = shell._interactive(Shell("", "/bin/bash", str(root), {}), {"SHELL": program})
    assert Path(words[0]).name == "bash"
    assert words[1] == "--rcfile"
    os.close(int(words[2].rpartition("/")[2]))


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_the_real_ones(root: Path, name: str) -> None:
    """With the user's own settings, the environment first in PATH, and its name in the prompt."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    (root / "home/.zshrc").write_text("PATH=/own/bin:$PATH PROMPT='> '\n")
    (root / "home/.config/fish").mkdir(parents=True)
    own = "set -gx PATH /own/bin $PATH; function fish_prompt; echo -n '> '; end\n"
    (root / "home/.config/fish/config.fish").write_text(own)
    prompt = 'echo "<$PROMPT>"' if name == "zsh" else 'echo "<"(fish_prompt)">"'
    done = entered(root, program, f'{prompt}; env | grep "^PATH="; exit 5\n')
    assert done.returncode == 5
    assert "<(demo) > >" in done.stdout
    assert f"PATH={root}/venv/bin:/nix/store/tools/bin:/own/bin:" in done.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_prompt_tells_once_that_a_lock_changed(root: Path, name: str) -> None:
    """At a terminal, as bash's does; a program that runs in the shell sees whether its prompt will tell."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    (root / "setup").write_text(f". {ROOT}/nix/builders/hook.sh\n{HOOK}")
    (root / "venv").mkdir()
    (root / "home/.zshrc").touch()
    for file in ("pyproject.toml", "uv.lock", "nixgen.lock"):
        (root / file).touch()
    typed = f"""
env | grep -c "^NIXGEN_MARK=" => (?s)grep.*\\n1\\n
ls {root}/venv => entered-\\d+
touch -d "+1 minute" {root}/uv.lock => nixgen: uv\\.lock {shell._CHANGED}\\n
touch -d "+1 minute" {root}/nixgen.lock => (?s)\\A(?!.*nixgen: )
env | grep -c "^NIXGEN_MARK=" => (?s)grep.*\\n0\\n
exit => \\nleft:\\n
"""
    entering = shlex.join([sys.executable, "-c", ENTER, str(root), shutil.which("bash") or ""])
    login = f"{entering}; echo left:$(ls {root}/venv); exec sh -i"
    argv = [sys.executable, ROOT / ".ci/typist.py", name, "sh", "-c", login]
    done = subprocess.run(argv, env=user(root, program), input=typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_prompt_tells_once_that_a_lock_changed(root: Path) -> None:
    """Of the real hook: what changed after the shell was entered, and not what has a time in the future."""
    (root / "venv").mkdir()
    for name in ("pyproject.toml", "uv.lock"):
        (root / name).write_text("")
        os.utime(root / name, (1, 1))
    (root / "nixgen.lock").write_text("")
    os.utime(root / "nixgen.lock", (time.time() + 86400,) * 2)
    script = f"""
. {ROOT}/nix/builders/hook.sh
NIXGEN_ROOT={root} VIRTUAL_ENV={root}/venv NIXGEN_OWNER=$$ PROMPT_COMMAND='echo user $?'
nixgen_watch
eval "$PROMPT_COMMAND"
until [ uv.lock -nt "$NIXGEN_MARK" ]; do echo changed > uv.lock; done
for _ in 1 2; do
  (exit 3)
  eval "$PROMPT_COMMAND"
done
ls venv
"""
    done = subprocess.run(["bash", "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:3] == ["user 0", "user 3", "user 3"]
    assert done.stderr == (
        "nixgen: uv.lock changed since this shell was entered. To renew it: exit, then: nixgen sync && nixgen shell\n"
    )
    assert list((root / "venv").iterdir()) == []
