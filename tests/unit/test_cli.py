# ruff: noqa: E501 -- tables of cases are wide
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from projects import PYPROJECT, make
from records import SYSTEM, X86
from support.program import nixgen
from support.waiting import without_progress

from nixgen import __version__
from nixgen.check import record
from nixgen.check.model import Record
from nixgen.cli import COMMANDS
from nixgen.cli import command as full
from nixgen.errors import MachineError
from nixgen.machine import process as run

EVERYDAY = ("init", "lock", "generate", "show")


def test_the_version_is_printed() -> None:
    assert nixgen("--version").stdout == f"nixgen {__version__}\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.heavy
def test_a_closed_stream_is_no_crash(tmp_path: Path, closed: str) -> None:
    script = f'"$0" -m nixgen show --project "$1" {closed}'
    good = ["sh", "-c", script, sys.executable, str(make(tmp_path))]
    bad = ["sh", "-c", script, sys.executable, str(tmp_path / "none")]
    for command, code in ((good, 0), (bad, 2)):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False)


@pytest.mark.parametrize("command", EVERYDAY)
def test_every_command_explains_itself_with_an_example_and_exit_codes(command: str) -> None:
    done = nixgen(command, "--help")
    text = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert f"Example: nixgen {command}" in text
    assert re.search(
        r"Exit codes: 0 done, 1 a finding( \(--problems only\))?, 2 a mistake in the input, 3 the mac", text
    )
    assert all(option in text for option in ("--quiet", "--verbose", "--help"))
    assert "--project DIR" in text or "[DIR]" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each_ones_help(name: str) -> None:
    """The list is printed without the commands' modules, so the sentences stand in it a second time."""
    assert COMMANDS[name] == full(name).get_short_help_str(1000)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, nixgen.cli\n"
        "print(sorted({'jinja2', 'tomlkit', 'packaging', 'rich', 'urllib.request', 'tomllib', 'hashlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_mistake_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = nixgen("show", cwd=make(tmp_path, PYPROJECT + '[tool.nixgen]\nbsae = "debian"\npython = 3\n'))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: pyproject.toml: tool.nixgen.bsae: is not a setting of nixgen\n  hint: did you mean base?\n"
        'error: pyproject.toml: tool.nixgen.python: is a number, not a string\n  hint: write "3.11"\n'
    )


def test_an_unknown_option_is_exit_code_2() -> None:
    assert nixgen("show", "--bogus").returncode == 2


def test_a_device_is_no_file_to_save_into(tmp_path: Path) -> None:
    """``check --save /dev/null``, by root, had a file in its place: what an earlier check saved is removed first."""
    os.mkfifo(tmp_path / "pipe")
    done = nixgen("check", "--save", str(tmp_path / "pipe"), cwd=make(tmp_path))
    assert done.returncode == 2
    assert "pipe is not a regular file\n  hint: name a file to write" in done.stderr
    assert (tmp_path / "pipe").is_fifo()


def test_show_prints_json_on_stdout_alone(tmp_path: Path) -> None:
    # Like no other test's project: what uv said of those is remembered.
    root = make(tmp_path, PYPROJECT.replace("[project]\n", '[project]\ndescription = "as JSON"\n'))
    done = nixgen("show", "--json", "--system", "x86_64-linux", "--python", "3.11", "--project", str(root), "--verbose")
    assert done.returncode == 0
    assert json.loads(done.stdout)["project"] == "demo-app"
    assert "uv export --format pylock.toml" in done.stderr
    quiet = nixgen("show", "--json", "--system", "x86_64-linux", "--python", "3.11", "--project", str(root), "-q")
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_show_needs_no_nix_and_no_path(tmp_path: Path) -> None:
    done = nixgen("show", "--python", "3.11", cwd=make(tmp_path), PATH="/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert "x86_64-linux: Python 3.11, " in done.stdout


@pytest.mark.parametrize("words", [("show", "--python", "3.11", "--project"), ("diff", "old.json", "new.json")])
def test_a_reader_that_goes_away_is_told_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Case 23: not an error, and not 0, which would say that there is no difference."""
    for name in ("old.json", "new.json"):
        (tmp_path / name).write_text(record.dump_record(Record("plot", {X86: SYSTEM})))
    root = make(tmp_path / "project")
    command = [
        sys.executable,
        "-m",
        "nixgen",
        *(str(tmp_path / word) if word.endswith(".json") else word for word in words),
    ]
    command += [str(root)] if words[-1] == "--project" else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert without_progress(process.stderr.read()) == ""
    assert process.returncode == 141


def interrupted(folder: Path, *arguments: str, before: str = "") -> str:
    """What nixgen says when Ctrl-C comes while it looks for the project, after the code ``before``."""
    code = (
        "import nixgen.project.project, nixgen.cli, pathlib\n"
        f"def stop(*a, **k):\n    {before or 'pass'}\n    raise KeyboardInterrupt\n"
        "nixgen.project.project.find_project = stop\n"
        f"import sys; sys.argv = ['nixgen', *{arguments!r}]; nixgen.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    return done.stderr


@pytest.mark.parametrize("where", ["import typer", "ending"])
@pytest.mark.parametrize("program", [["-m", "nixgen"], ["-c", "from nixgen.__main__ import main; main()"]])
def test_an_interrupt_while_it_starts_or_ends(tmp_path: Path, where: str, program: list[str]) -> None:  # case 35
    kill = "os.kill(os.getpid(), signal.SIGINT)"
    at = {
        "import typer": "class F:\n  def find_spec(self, name, *a):\n"
        f"    if name == 'typer': {kill}\nsys.meta_path.insert(0, F())\n",
        "ending": f"import atexit\natexit.register(lambda: {kill})\n",
    }
    (tmp_path / "sitecustomize.py").write_text("import os, signal, sys\n" + at[where])
    words = [sys.executable, *program, "--version"]
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("command", ["generate", "lock"])
@pytest.mark.heavy
def test_an_interrupt_is_told_with_what_it_left(tmp_path: Path, command: str) -> None:
    assert interrupted(tmp_path, command, "--quiet") == "interrupted; nothing in the project was changed\n"
    write = "from nixgen.machine import files; files.write_all(pathlib.Path(), {'a': b'1'})"
    assert interrupted(tmp_path, command, before=write) == "interrupted\n"
    assert (tmp_path / "a").exists()
    failed = (
        "from nixgen import errors; from nixgen.machine import files\n"
        "    try: files.write_all(pathlib.Path(), {'b': b'1', 'a/c': b''})\n"
        "    except errors.UserError: pass"
    )
    assert interrupted(tmp_path, command, before=failed) == "interrupted; nothing in the project was changed\n"


def test_an_interrupt_of_what_writes_nothing_says_no_more(tmp_path: Path) -> None:
    assert interrupted(tmp_path, "show") == "interrupted\n"


def test_what_the_system_refuses_is_exit_code_3(tmp_path: Path) -> None:
    code = (
        "import nixgen.project.project, nixgen.cli\n"
        "def full(*a, **k): raise OSError(28, 'No space left on device', 'default.nix')\n"
        "nixgen.project.project.find_project = full\n"
        "import sys; sys.argv = ['nixgen', 'show']; nixgen.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "error: default.nix: No space left on device\n")


def test_a_missing_program_says_how_to_get_it() -> None:
    with pytest.raises(MachineError) as caught:
        run.run(["no-such-program"], missing="apt install it")
    assert str(caught.value) == "there is no program no-such-program\n  hint: apt install it"


def test_a_failing_program_shows_what_it_printed_last() -> None:
    script = "for i in $(seq 50); do echo line $i >&2; done; exit 7"
    with pytest.raises(MachineError) as caught:
        run.run(["sh", "-c", script])
    text = str(caught.value)
    assert text.startswith(f"sh -c '{script}': ended with exit code 7\nline 31\n")
    assert text.endswith("line 50")


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(MachineError, match=r"^sleep 60: did not end within 0\.1 seconds"):
        run.run(["sleep", "60"], timeout=0.1)


def test_a_program_may_not_be_run_or_start_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(MachineError, match="cannot be run: Permission denied"):
        run.run([file])
    with pytest.raises(MachineError, match=r"gone: is not a folder$"):
        run.run(["true"], cwd=tmp_path / "gone")


def test_the_end_of_a_jobs_time_is_an_interrupt_too(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time, nixgen.cli, nixgen.project.project\n"
        "def slow(*a, **k):\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(60)\n"
        "nixgen.project.project.find_project = slow\n"
        "sys.argv = ['nixgen', 'generate']; nixgen.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "interrupted; nothing in the project was changed\n")


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"cache", "data", "model", "registry", "runs"}))
def test_each_command_says_first_that_tmpdir_is_not_there(tmp_path: Path, name: str) -> None:
    gone = str(tmp_path / "no such")
    more = (
        ["true"] if name == "run" else ["x", "y"] if name == "diff" else ["x"] if name in {"why", "reproduce"} else []
    )
    done = nixgen(name, *more, cwd=make(tmp_path), TMPDIR=gone)
    assert done.returncode == 3
    assert done.stderr == (
        f"error: TMPDIR: names {gone}, a folder that is not there\n  hint: mkdir -p '{gone}', or: unset TMPDIR\n"
    )
    assert nixgen(name, "--help", TMPDIR=gone).returncode == 0


def test_each_fault_of_tmpdir_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = make(tmp_path)
    told = {
        f"{tmp_path}/file": f"error: TMPDIR: names {tmp_path}/file, which is not a folder\n  hint: unset TMPDIR\n",
        "near": "error: TMPDIR: names near, which is not a path that starts with /\n  hint: unset TMPDIR\n",
    }
    for named, sentence in told.items():
        done = nixgen("model", "list", cwd=root, TMPDIR=named)
        assert (done.returncode, done.stderr) == (3, sentence)
    for named in ("", str(tmp_path)):
        assert nixgen("show", cwd=root, TMPDIR=named).returncode == 0
