"""The guard as a program: alone in a folder, with a Python that has nothing installed."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tree import copied, fill, flip, in_memory, manifest, rows

from nixgen import guard

FILES = {"config.json": b"{}", "model.onnx": b"m" * 5000}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Run:
    """Runs a copy of the guard beside a model, with ``--expected``."""
    fill(tmp_path / "model", FILES)
    (tmp_path / "expected.json").write_text(manifest(tmp_path / "model", FILES))
    copied(tmp_path)

    def run(*arguments: str, expected: str = "expected.json") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-I", "-S", "guard", "--expected", expected, *arguments]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    return run


def test_the_command_starts_with_its_own_exit_code(program: Run) -> None:
    done = program("--", "sh", "-c", "echo started $0; exit 5", "-x")
    assert (done.returncode, done.stdout) == (5, "started -x\n")
    assert done.stderr.startswith("verified: 4.9 KiB in 2 files, ")


def test_the_command_never_starts_after_one_flipped_bit(program: Run, tmp_path: Path) -> None:
    flip(tmp_path / "model/model.onnx", 4999)
    done = program("--", "touch", "started")
    assert done.returncode == guard.REFUSED == 79
    assert not (tmp_path / "started").exists()
    assert done.stderr.splitlines()[0] == "error: not the pinned files: 1 found among 2"
    assert done.stderr.splitlines()[1].startswith("models.m: model.onnx: is changed: SHA-256 ")
    assert done.stderr.splitlines()[2:] == ["The command was not started.", "  hint: put the pinned files back"]
    assert done.stdout == ""


def test_the_report_as_json(program: Run, tmp_path: Path) -> None:
    flip(tmp_path / "model/model.onnx", 0)
    done = program("--report", "json", "--", "touch", "started")
    report = json.loads(done.stderr)
    assert (report["version"], report["verified"]) == (1, False)
    assert report["artifacts"] == [{"name": "models.m", "path": str(tmp_path / "model"), "files": 2, "bytes": 5002}]
    (found,) = report["findings"]
    assert (found["artifact"], found["path"], found["problem"]) == ("models.m", "model.onnx", "changed")
    assert done.returncode == 79


def test_without_a_command_it_tells_on_stdout(program: Run, tmp_path: Path) -> None:
    done = program()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("verified: 4.9 KiB in 2 files, ")
    (tmp_path / "model/more").write_bytes(b"")
    done = program("--report", "json")
    assert (done.returncode, json.loads(done.stdout)["findings"][0]["problem"]) == (1, "extra")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nothing", "--", "true"], 2, "error: nothing: is not pinned; pinned: models.m\n"),
        (["--", "no-such-program"], 127, "error: no-such-program: cannot be run: No such file or directory\n"),
        (["--", "/"], 126, "error: /: cannot be run: Permission denied\n"),
    ],
)
def test_exit_codes(program: Run, arguments: list[str], code: int, sentence: str) -> None:
    done = program(*arguments)
    assert done.returncode == code
    assert done.stderr.endswith(sentence)


def test_bad_input_starts_nothing(program: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"version": 7}')
    done = program("--", "touch", "started", expected="bad.json")
    assert (done.returncode, done.stderr) == (2, "error: bad.json: version: is 7, and this guard knows 1\n")
    assert not (tmp_path / "started").exists()
    assert program("--unknown").returncode == 2


def test_names_choose_what_is_checked(program: Run, tmp_path: Path) -> None:
    document = json.loads((tmp_path / "expected.json").read_text())
    document["trees"].append({"name": "models.other", "path": str(tmp_path / "other"), "files": rows({"x": b""})})
    (tmp_path / "two.json").write_text(json.dumps(document))
    assert program("m", "--", "true", expected="two.json").returncode == 0
    assert program("--", "true", expected="two.json").returncode == 79


@pytest.mark.heavy
def test_the_stamp_is_in_the_users_state_or_where_it_is_told(program: Run, tmp_path: Path) -> None:
    if in_memory(tmp_path):
        pytest.skip("files in memory are not stamped")
    time.sleep(2.1)  # what is newer than 2 s is not stamped
    assert "stamp: written" in program("--", "true").stderr
    assert "stamp: fresh" in program("--", "true").stderr
    assert len(list((tmp_path / ".local/state/nixgen/stamps").iterdir())) == 1
    assert "stamp: not used" in program("--no-stamp", "--", "true").stderr
    assert "stamp: written" in program("--stamp-age", "0", "--", "true").stderr
    assert "stamp: written" in program("--stamp", "here", "--", "true").stderr
    assert len(list((tmp_path / "here").iterdir())) == 1
    (tmp_path / "model/model.onnx").write_bytes(b"M" * 5000)
    assert program("--stamp", "here", "--", "true").returncode == 79


def test_a_signal_that_python_ignores_is_not_ignored_by_the_command(program: Run) -> None:
    done = program("--", sys.executable, "-S", "-c", "import signal; print(signal.getsignal(signal.SIGXFSZ))")
    # Python sets it to ignore by itself, so a shell is asked: it dies of SIGPIPE as it should.
    assert done.returncode == 0
    done = program("--", "sh", "-c", "kill -PIPE $$; echo survived")
    assert (done.returncode, done.stdout) == (-signal.SIGPIPE, "")


def test_the_command_is_the_same_process(program: Run, tmp_path: Path) -> None:
    words = [sys.executable, "-I", "-S", "guard", "--expected", "expected.json", "--", "sh", "-c", "echo $$"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        out, _ = running.communicate()
        assert int(out) == running.pid
    assert program().returncode == 0


def test_help_names_the_exit_codes(program: Run) -> None:
    assert "79 not the pinned files" in " ".join(program("--help").stdout.split())


def test_the_module_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    copied(tmp_path)
    script = "import sys; sys.path.insert(0, '.'); import guard; print([m for m in sys.modules if 'nixgen' in m])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("start", [["-I", "-S", "guard"], ["-S", "guard"], ["-I", "-S", "guard/__main__.py"]])
@pytest.mark.usefixtures("program")
def test_nothing_beside_the_guard_is_imported_and_no_bytecode_is_left_behind(tmp_path: Path, start: list[str]) -> None:
    for name in ("json", "hashlib", "argparse", "nixgen"):
        for folder in (tmp_path, tmp_path / "guard"):
            (folder / f"{name}.py").write_text("raise SystemExit('not the module of Python')\n")
    before = set(tmp_path.rglob("*"))
    words = [sys.executable, *start, "--expected", "expected.json", "--no-stamp"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Before any of the guard's code runs, Python keeps the bytecode of a folder's __main__.py.
    assert {path.name.partition(".")[0] for path in set(tmp_path.rglob("*")) - before} <= {"__pycache__", "__main__"}


@pytest.mark.usefixtures("program")
def test_the_folder_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "guard").rename(tmp_path / "0abc-nixgen.guard")
    words = [sys.executable, "-I", "-S", tmp_path / "0abc-nixgen.guard", "--expected", "expected.json", "--no-stamp"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_as_a_module_of_nixgen(tmp_path: Path) -> None:
    fill(tmp_path / "model", FILES)
    (tmp_path / "expected.json").write_text(manifest(tmp_path / "model", FILES))
    words = [sys.executable, "-m", "nixgen.guard", "--expected", tmp_path / "expected.json", "--no-stamp"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_modules_import_the_standard_library_and_each_other_only() -> None:
    for path in Path(guard.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1, path
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names, path
