"""``nixgen run --record``, as a process: what is recorded, and what the run and its record withstand."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from logs import SIGNER, VERIFIER, digest
from support import started
from support.program import nixgen
from support.tree import fill, flip, lock, rows
from support.waiting import until

from nixgen import guard
from nixgen.lock import logpins
from nixgen.lock.logpins import LogPin
from nixgen.log.checkpoint import Checkpoint
from nixgen.runs import finding, recordfile
from nixgen.runs.model import Run

NIXGEN = [sys.executable, "-m", "nixgen"]
MODEL = {"model.onnx": b"m" * 5000}
TELLS = r"""import os, pathlib, signal, sys, time
signal.signal({}, lambda *_: os.write(1, b"told\n"))
os.write(1, b"ready %d\n" % os.getpid())
while not pathlib.Path("go").exists(): time.sleep(0.01)
sys.exit(5)
"""
SLEEPS = "import os, time; print('ready', os.getpid(), flush=True); time.sleep(1000)"


def git(root: Path, *words: str) -> str:
    given = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *given, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def heard() -> None:
    """What nohup ignores, and all that it starts, counts again."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Project:
    """A project with a lock, in what looks like its shell."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root.parent / "files"
        fill(root, {"nixgen.lock": lock().encode(), "pyproject.toml": b'[project]\nname = "demo"\nversion = "1"\n'})
        places = {"NIXGEN_MODELS": str(self.files / "models"), "NIXGEN_DATA": str(self.files / "data")}
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "NIXGEN_ROOT": str(root), **places}

    def commit(self) -> None:
        git(self.root, "init", "-q", "-b", "main")
        git(self.root, "add", "--all")
        git(self.root, "commit", "-q", "-m", "all")

    def words(self, *words: str) -> list[str]:
        return [*NIXGEN, "run", "--record", *words]

    def run(self, *words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        if not options:
            return started.nixgen(["run", "--record", *words], self.root, self.env)
        given = {"cwd": self.root, "env": self.env, "capture_output": True, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(self.words(*words), check=False, **given)  # type: ignore[call-overload, no-any-return]

    def runs(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """``nixgen runs``."""
        given = [*NIXGEN, "runs", *words]
        return subprocess.run(given, cwd=self.root, env=self.env, capture_output=True, check=False)

    def python(self, code: str, *words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        return self.run(*words, "--", sys.executable, "-c", code, **options)

    def start(self, code: str, **options: object) -> subprocess.Popen[bytes]:
        given = {"cwd": self.root, "env": self.env, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        given.setdefault("preexec_fn", heard)
        return subprocess.Popen(self.words("--", sys.executable, "-c", code), **given)  # type: ignore[call-overload, no-any-return]

    @property
    def folder(self) -> Path:
        (folder,) = finding.folders(self.root)
        return folder

    @property
    def record(self) -> Run:
        return recordfile.read(self.folder)

    def printed(self, name: str = "stdout") -> bytes:
        place = next(iter(finding.folders(self.root)), None)
        return (place / name).read_bytes() if place and (place / name).exists() else b""

    def ready(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for a command that prints so; its process."""
        until(lambda: self.printed().endswith(b"\n"), running=process)
        return int(self.printed().split()[1])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_git_takes_a_record_whatever_the_project_ignores(project: Project) -> None:
    (project.root / ".gitignore").write_text("*.yaml\n*.patch\nstd*\nconfig/\n*.pt\n")
    project.commit()
    (project.root / "pyproject.toml").write_bytes(b'[project]\nname = "demo"\nversion = "2"\n')
    (project.root / "c.yaml").write_text("secret: 1\n")
    assert project.run("--config", "c.yaml", "--", "true").returncode == 0
    (project.folder / "model.pt").touch()
    git(project.root, "add", "runs")
    told = git(project.root, "diff", "--cached", "--name-only").splitlines()
    wanted = [f"{project.folder.name}/{name}" for name in ("diff.patch", "run.yaml", "stderr", "stdout")]
    assert told == [f"runs/{name}" for name in (".gitignore", *wanted)], "no copy of what may be secret, no model"


def test_a_run_is_recorded_with_what_it_was_run_with(project: Project) -> None:
    project.commit()
    code = "import os, sys; print('out'); print('err', file=sys.stderr); os.mkdir('model'); "
    code += (
        "open('model/w\u00e4 x', 'w').write('w'); open('m.json', 'w').write('{\"test\": {\"auc\": 0.9}, \"n\": NaN}'); "
    )
    code += (
        "print('nixgen-metric: loss=0.5'); print('nixgen-metric: loss=0.25 auc=x'); print(os.environ['NIXGEN_SEED'])"
    )
    (project.root / "conf.yaml").write_text("rate: 0.1\npassword: hunter2\n")
    git(project.root, "add", "conf.yaml")
    git(project.root, "commit", "-q", "-m", "config")
    words = ["--clean", "--config", "conf.yaml", "--seed", "7", "--metrics", "m.json", "--output", "model"]
    project.env["OMP_NUM_THREADS"] = "3"
    project.env["MY_TOKEN"] = "hunter2"
    done = project.python(code, *words)
    lines = b"out\nnixgen-metric: loss=0.5\nnixgen-metric: loss=0.25 auc=x\n7\n"
    assert (done.returncode, done.stdout) == (0, lines)
    assert b"err\n" in done.stderr
    assert b"warning: --config conf.yaml: password masked in the copy\n" in done.stderr
    assert sorted(path.name for path in project.folder.iterdir()) == ["config", "run.yaml", "stderr", "stdout"]
    assert (project.printed(), project.printed("stderr")) == (lines, b"err\n")
    run = project.record
    assert (run.status, run.exit, run.folder, run.missing) == ("finished", 0, ".", ())
    assert run.command == (sys.executable, "-c", code)
    assert run.ended is not None
    assert run.seconds is not None
    assert run.started <= run.ended
    assert run.git is not None
    assert (run.git.commit, run.git.branch, run.git.dirty) == (git(project.root, "rev-parse", "HEAD"), "main", False)
    assert run.project is not None
    assert (run.project.name, run.project.path) == ("demo", ".")
    pinned = hashlib.sha256((project.root / "nixgen.lock").read_bytes()).hexdigest()
    assert run.project.files["nixgen.lock"] == pinned
    assert run.environment is not None
    assert run.environment.base == "nixpkgs nixos-26.05"
    assert run.machine is not None
    assert run.machine.cores == len(os.sched_getaffinity(0))
    (config,) = run.config
    assert (config.copy, config.masked) == ("config/conf.yaml", ("password",))
    assert config.sha256 == hashlib.sha256(b"rate: 0.1\npassword: hunter2\n").hexdigest()
    assert run.seeds is not None
    assert run.seeds.variables == {"PYTHONHASHSEED": "7", "NIXGEN_SEED": "7"}
    assert run.variables["OMP_NUM_THREADS"] == "3"
    assert math.isnan(run.metrics.pop("n"))  # type: ignore[attr-defined]
    assert run.metrics == {"test.auc": 0.9, "loss": 0.25}
    assert [(one.path, one.size, one.sha256) for one in run.outputs] == [
        ("model/w\u00e4 x", 1, hashlib.sha256(b"w").hexdigest())
    ]
    for path in project.folder.rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("sys.exit(7)", "failed", 7),
        ("raise ValueError", "failed", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", "failed", 128 + signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "failed", 128 + signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGTERM)", "interrupted", 128 + signal.SIGTERM),
    ],
)
def test_a_run_that_fails_is_recorded_whole(project: Project, code: str, status: str, exit_code: int) -> None:
    done = project.python(f"import os, signal, sys; print('begun', flush=True); {code}", "--output", "never")
    run = project.record
    assert (done.returncode, run.status, run.exit) == (exit_code, status, exit_code)
    assert run.missing == ("never: the command did not make it",)
    assert project.printed() == b"begun\n"


@pytest.mark.parametrize(("words", "code"), [(["nixgen-no-such-program"], 127), (["/etc"], 126)])
def test_a_command_that_cannot_be_run(project: Project, words: list[str], code: int) -> None:
    done = project.run("--", *words)
    assert (done.returncode, project.record.exit, project.record.status) == (code, code, "failed")
    assert b"cannot be run: " in project.printed("stderr")


def test_a_command_does_not_start_after_a_flipped_bit_and_that_is_recorded(project: Project) -> None:
    (project.root / "nixgen.lock").write_text(lock(models__m={"files": rows(MODEL)}))
    fill(project.files / "models/m", MODEL)
    assert project.run("--", "touch", "started").returncode == 0
    (model,) = finding.runs(project.root)[0].models.values()
    assert model.sha256
    (project.root / "started").unlink()
    flip(project.files / "models/m/model.onnx", 7)
    done = project.run("--no-stamp", "--", "touch", "started")
    assert done.returncode == guard.REFUSED
    assert not (project.root / "started").exists()
    run = finding.find(project.root, "latest").run
    run = next(one for one in finding.runs(project.root) if one.exit)
    assert (run.status, run.exit) == ("failed", guard.REFUSED)
    assert run.missing == ("what the command would have made: it was not started",)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.heavy
def test_a_signal_reaches_the_command_once_and_the_record_is_written(project: Project, number: signal.Signals) -> None:
    process = project.start(TELLS.format(int(number)))
    project.ready(process)
    process.send_signal(number)
    until(lambda: b"told\n" in project.printed(), running=process)
    (project.root / "go").touch()
    process.communicate()
    assert (process.returncode, project.record.exit, project.record.status) == (5, 5, "interrupted")
    assert project.printed().count(b"told") == 1


@pytest.mark.heavy
def test_a_command_that_a_signal_ends(project: Project) -> None:
    process = project.start(SLEEPS)
    project.ready(process)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert (process.returncode, project.record.status, project.record.exit) == (130, "interrupted", 130)
    assert b"KeyboardInterrupt" in project.printed("stderr")


def test_what_is_left_when_nixgen_is_killed(project: Project) -> None:
    process = project.start(SLEEPS)
    command = project.ready(process)
    process.kill()
    process.communicate()
    os.kill(command, signal.SIGKILL)
    run = project.record
    assert (run.status, run.exit, run.ended) == ("running", None, None)
    assert project.run("--", "true").returncode == 0  # and it is in no other run's way
    assert sorted(one.status for one in finding.runs(project.root)) == ["finished", "running"]


@pytest.mark.heavy
def test_killed_at_every_write_there_is_a_whole_record_or_none(project: Project) -> None:
    """Before each file that is made, renamed or removed: none yet, the one of the start, or the one of the end."""
    code = "import os, signal, sys\nleft = [int(sys.argv.pop(1))]\n"
    code += "def hook(event, args):\n"
    code += "    writes = event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)\n"
    code += "    if (writes or event in {'os.mkdir', 'os.rename', 'os.remove'}) and '/runs' in str(args[0]):\n"
    code += "        left[0] -= 1\n"
    code += "        if left[0] < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
    code += "sys.addaudithook(hook)\nfrom nixgen.__main__ import main\nmain()\n"
    seen: set[str] = set()
    killed = 0
    while True:
        words = [sys.executable, "-c", code, str(killed), "run", "--record", "--output", "out", "--", "touch", "out"]
        done = subprocess.run(words, cwd=project.root, env=project.env, capture_output=True, check=False)
        found, problems = finding.all_runs(project.root)
        assert problems == []
        status = [one.run.status for one in found]
        seen |= {*status} or {"none"}
        for one in found:
            assert one.run.status in {"running", "finished"}
            assert (one.run.exit is not None) == (one.run.status == "finished") == bool(one.run.outputs)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
        shutil.rmtree(project.root / "runs", ignore_errors=True)
    assert status == ["finished"]
    assert (seen, killed > 6) == ({"none", "running", "finished"}, True)


@pytest.mark.heavy
def test_much_output_takes_no_memory(project: Project) -> None:
    """A gigabyte would do, too: a fifth of it has no room in what this process may have."""
    limit = 120 << 20
    done = project.run(
        *("--", "head", "-c", "200M", "/dev/zero"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        capture_output=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert (done.returncode, done.stderr.count(b"finished")) == (0, 1), done.stderr
    assert (project.folder / "stdout").stat().st_size == 200 << 20
    (project.folder / "stdout").unlink()


def test_every_byte_comes_through_as_it_is(project: Project) -> None:
    code = "import os; data = bytes(range(256)) * 4096 + b'no end'; os.write(2, b'\\x1b[31m\\r'); "
    done = project.python(code + "[os.write(1, data[at:at + 7777]) for at in range(0, len(data), 7777)]")
    whole = bytes(range(256)) * 4096 + b"no end"
    assert done.stdout == whole == project.printed()
    assert project.printed("stderr") == b"\x1b[31m\r"


def test_input_is_the_commands(project: Project) -> None:
    done = project.run("--", "cat", input=b"a\x00b", stdin=None)
    assert done.stdout == b"a\x00b"


@pytest.mark.heavy
def test_nobody_reads_on(project: Project) -> None:
    """``| head``: the run goes on, and all is in the file."""
    reads, writes = os.pipe()
    os.close(reads)
    done = project.python(
        "print('x' * 100000); print('end')", stdout=writes, stderr=subprocess.PIPE, capture_output=False
    )
    os.close(writes)
    assert (done.returncode, project.printed()) == (0, b"x" * 100000 + b"\nend\n")


def test_what_a_command_leaves_behind_is_not_waited_for(project: Project) -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid, flush=True)"
    done = project.python(code)
    os.kill(int(done.stdout), signal.SIGKILL)
    assert (done.returncode, project.printed()) == (0, done.stdout)


@pytest.mark.heavy
def test_a_limit_of_file_sizes_costs_the_rest_of_the_output_alone(project: Project) -> None:
    code = "import sys; sys.stdout.write('x' * 3000000); print('end', file=sys.stderr); open('out', 'w').write('w')"
    done = project.python(
        code,
        *("--output", "out"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )
    run = project.record
    assert (done.returncode, len(done.stdout)) == (3, 3000000)
    assert (run.status, run.exit, run.outputs[0].path) == ("finished", 0, "out")
    assert run.missing == ("stdout: what was printed after the first 1.0 MiB (File too large)",)
    assert project.printed("stderr") == b"end\n"


def test_a_full_disk_costs_the_rest_of_the_output_alone(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.root / "runs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "nixgen-test", str(project.root / "runs")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        done = project.python("print('x' * 3000000); import sys; sys.exit(0)")
        run = project.record
        assert (done.returncode, len(done.stdout), run.status, run.exit) == (3, 3000001, "finished", 0)
        assert re.fullmatch(
            r"stdout: what was printed after the first .* KiB \(No space left on device\)", run.missing[0]
        )
        assert run.machine is not None
        with contextlib.suppress(OSError), (project.root / "runs/rest").open("wb", buffering=0) as rest:
            while rest.write(bytes(1 << 12)):
                pass
        done = project.run("--", "touch", "started")  # nothing can be recorded: nothing is started
        assert (done.returncode, (project.root / "started").exists()) == (3, False)
        assert b": the disk is full; nothing was changed" in done.stderr
        assert len(finding.folders(project.root)) == 1
    finally:
        subprocess.run(["umount", "-l", project.root / "runs"], check=True)


class Terminal:
    """A terminal of its own, with a command in its foreground."""

    def __init__(self, project: Project, code: str) -> None:
        self.ours, theirs = pty.openpty()
        setting = {
            "cwd": project.root,
            "env": {**project.env, "TERM": "dumb"},
            "start_new_session": True,
            "preexec_fn": heard,
        }
        # A shell opens its terminal by name, which makes it the session's own.
        words = shlex.join(project.words("--", sys.executable, "-c", code))
        script = f"exec <{os.ttyname(theirs)} >{os.ttyname(theirs)} 2>&1; exec {words}"
        self.process = subprocess.Popen(["sh", "-c", script], **setting)  # type: ignore[call-overload]
        os.close(theirs)
        self.printed = b""

    def read(self) -> bytes:
        while True:
            try:
                piece = os.read(self.ours, 1 << 16)
            except OSError:  # nobody has it open: not yet, or not any more
                if self.process.poll() is not None:
                    return self.printed
                time.sleep(0.01)
                continue
            if not piece:
                return self.printed
            self.printed += piece


@pytest.fixture
def terminal(project: Project) -> Iterator[Callable[[str], Terminal]]:
    made: list[Terminal] = []

    def start(code: str) -> Terminal:
        made.append(Terminal(project, code))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()
        os.close(one.ours)


@pytest.mark.heavy
def test_a_terminal_stays_one(project: Project, terminal: Callable[[str], Terminal]) -> None:
    """So that nothing is held back in buffers; what is recorded has no terminal's line ends."""
    one = terminal("import os; print(os.isatty(0), os.isatty(1), os.isatty(2)); print(os.get_terminal_size().columns)")
    assert b"True True True\r\n" in one.read()
    assert one.process.wait() == 0
    assert project.printed().startswith(b"True True True\n")


@pytest.mark.heavy
def test_ctrl_c_reaches_the_command_once(project: Project, terminal: Callable[[str], Terminal]) -> None:
    one = terminal(TELLS.format(int(signal.SIGINT)))
    project.ready(one.process)
    os.write(one.ours, b"\x03")
    until(lambda: b"told\n" in project.printed(), running=one.process)
    (project.root / "go").touch()
    one.read()
    assert (one.process.wait(), project.record.exit, project.record.status) == (5, 5, "interrupted")
    assert project.printed().count(b"told") == 1


def test_what_was_there_before_is_not_taken_for_a_result(project: Project) -> None:
    fill(project.root, {"m.json": b'{"auc": 1}', "model": b"old", "dir/a": b"old"})
    done = project.run("--metrics", "m.json", "--output", "model", "--output", "dir", "--output", "none", "--", "true")
    run = project.record
    assert (done.returncode, run.metrics, run.exit) == (1, {}, 0)
    assert run.missing == (
        "model: it was there before, and the command did not write it",
        "dir: it was there before, and the command did not write it",
        "none: the command did not make it",
        "metrics: --metrics m.json: it was there before, and the command did not write it",
    )
    done = project.run("--metrics", "m.json", "--output", "model", "--", "touch", "m.json", "model")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is neither JSON nor YAML: Expecting property name"),
        ("{}", "has no numbers in it"),
        ('{"a": "x", "b": true}', "has no numbers in it"),
        ("[" * 100000, "is neither JSON nor YAML"),
    ],
)
def test_metrics_that_are_none(project: Project, text: str, said: str) -> None:
    (project.root / "given").write_text(text)
    assert project.run("--metrics", "m.json", "--", "cp", "given", "m.json").returncode == 1
    assert said in project.record.missing[0]


def test_a_metric_that_no_number_with_a_fraction_is(project: Project) -> None:
    """The record stays one that can be read."""
    (project.root / "given").write_text('{"a": 1%s}' % ("0" * 400))
    code = "import shutil, os; shutil.copy('given', 'm.json'); open(os.environ['NIXGEN_RUN_SEEDS'], 'a').write("
    code += '\'{"seed": Infinity, "libraries": {}, "deterministic": false, "nondeterministic": []}\\n\')'
    assert project.python(code, "--metrics", "m.json").returncode == 3
    assert project.record.missing == ("seeds: a line of NIXGEN_RUN_SEEDS cannot be read",)
    assert project.record.metrics == {"a": math.inf}


def test_what_is_secret_and_not_committed_is_in_no_diff(project: Project, tmp_path: Path) -> None:
    """As in the copy of a configuration; a file that is left out is named."""
    fill(
        project.root,
        {"conf/a.yaml": b"rate: 1\n", "b.py": b"", "gone.toml": b"password = 'committed'\n", "c.env": b"A=1\n"},
    )
    project.commit()
    fill(
        project.root,
        {
            "conf/a.yaml": b"rate: 2\ndb:\n  password:\n  - hunter2\n",
            "b.py": b"token = tokens[0]\n",
            "new.py": b"API_KEY = 'hunter2'\n",
            "x y.cfg": b"[a]\npw = hunter2\n",
            "staged.pem": b"hunter2",
            "c.env": b"A=hunter2\n",
            "run.sh": b"curl https://ann:hunter2@example.org\n",
        },
    )
    (project.root / "gone.toml").unlink()
    git(project.root, "add", "staged.pem")
    assert project.run("--", "true").returncode == 0
    kept = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    assert b"hunter2" not in kept
    assert project.record.missing == (
        "diff.patch: new.py (secrets in it: API_KEY; keep them in variables)",
        "diff.patch: run.sh (secrets in it: a login in an address; keep them in variables)",
        "diff.patch: x y.cfg (secrets in it: pw; keep them in variables)",
        "diff.patch: c.env (such a file may hold secrets)",
        "diff.patch: conf/a.yaml (secrets in it: db.password.0; keep them in variables)",
        "diff.patch: staged.pem (such a file may hold secrets)",
    )
    git(tmp_path, "clone", "-q", str(project.root), "again")
    git(tmp_path / "again", "apply", "--binary", str(project.folder / "diff.patch"))
    assert (tmp_path / "again/b.py").read_bytes() == b"token = tokens[0]\n"
    assert not (tmp_path / "again/gone.toml").exists()


def test_a_dirty_tree_can_be_made_again_from_the_record(project: Project, tmp_path: Path) -> None:
    fill(project.root, {"a.txt": b"one\n", "b.bin": bytes(range(256)), "gone": b"", ".gitignore": b"ignored\n"})
    project.commit()
    fill(
        project.root,
        {"a.txt": b"two\r\n", "b.bin": bytes(range(255, -1, -1)), "new dir/n\u00e4w": b"\x00new", "ignored": b"x"},
    )
    fill(project.root, {"staged": b"staged", ".env": b"SECRET=hunter2", "out": b"of an earlier run"})
    (project.root / "gone").unlink()
    git(project.root, "add", "staged")
    before = git(project.root, "status", "--porcelain")
    assert project.run("--clean", "--output", "out", "--", "touch", "started").returncode == 1
    assert not (project.root / "started").exists()
    assert not (project.root / "runs").exists()
    assert project.run("--output", "out", "--", "touch", "out").returncode == 0
    assert git(project.root, "status", "--porcelain", "--", ":!runs") == before
    run = project.record
    assert run.git is not None
    assert (run.git.dirty, run.git.diff) == (True, "diff.patch")
    patch = project.folder / "diff.patch"
    assert run.git.sha256 == hashlib.sha256(patch.read_bytes()).hexdigest()
    assert run.missing == ("diff.patch: .env (such a file may hold secrets)",)
    git(tmp_path, "clone", "-q", str(project.root), "again")
    git(tmp_path / "again", "apply", "--binary", str(patch))
    for name in ("a.txt", "b.bin", "new dir/n\u00e4w", "staged"):
        assert (tmp_path / "again" / name).read_bytes() == (project.root / name).read_bytes()
    for name in ("gone", "ignored", ".env", "out", "runs"):
        assert not (tmp_path / "again" / name).exists()


def test_runs_and_results_do_not_make_a_tree_dirty(project: Project) -> None:
    project.commit()
    words = ["--clean", "--output", "out", "--metrics", "m.json", "--", "sh", "-c", "echo 1 >out; echo [1] >m.json"]
    for _ in range(2):
        assert project.run(*words).returncode == 0
    assert [run.git is not None and run.git.dirty for run in finding.runs(project.root)] == [False, False]


def test_what_a_registry_of_the_project_holds_makes_no_tree_dirty(project: Project) -> None:
    pin = LogPin("registry", VERIFIER, Checkpoint.signed(SIGNER, 7, digest(7)))
    table = {**json.loads(lock()), **logpins.dump([pin], logpins.REGISTRY)}
    fill(project.root, {"nixgen.lock": json.dumps(table).encode(), "registry/log/checkpoint": b"old"})
    project.commit()
    fill(project.root, {"registry/log/checkpoint": b"new", "registry/demo/m/1.0.0/model.bin": b"weights"})
    assert project.run("--clean", "--", "true").returncode == 0
    fill(project.root, {"train.py": b"new"})
    assert project.run("--", "true").returncode == 0
    (patch,) = (project.root / "runs").glob("*/diff.patch")  # of the second one alone
    assert b"train.py" in patch.read_bytes()
    assert b"weights" not in patch.read_bytes()


def test_a_page_of_nixgen_report_makes_no_tree_dirty(project: Project) -> None:
    """Whatever it is called, and nobody else's page; one that was committed is a file of the project."""
    project.commit()
    assert project.run("--clean", "--", "true").returncode == 0
    for more in ([], ["--out", "fraud.html"]):
        assert "points of the checklist" in nixgen("report", *more, cwd=project.root).stderr
    assert git(project.root, "status", "--porcelain") == "?? fraud.html\n?? report.html\n?? runs/"
    assert project.run("--clean", "--", "true").returncode == 0
    (project.root / "page.html").write_text("<title>mine</title>")
    (project.root / "link.html").symlink_to("report.html")
    (project.root / "gone.html").symlink_to("nothing")
    done = project.run("--clean", "--", "true")
    assert done.returncode == 1
    assert [line.split(":")[1].strip() for line in done.stderr.decode().splitlines() if line.startswith("error:")] == [
        *("gone.html", "link.html", "page.html")
    ]
    for name in ("page.html", "link.html", "gone.html"):
        (project.root / name).unlink()
    git(project.root, "add", "report.html")
    git(project.root, "commit", "-q", "-m", "report")
    (project.root / "report.html").write_bytes(b"changed")
    assert project.run("--clean", "--", "true").returncode == 1


def test_a_large_new_file_is_named_and_left_out(project: Project) -> None:
    project.commit()
    with (project.root / "large").open("wb") as file:
        file.truncate(17 << 20)
    done = project.run("--", "true")
    assert (done.returncode, project.record.missing) == (0, ("diff.patch: large (17 MiB, which git does not know)",))


@pytest.mark.heavy
def test_a_project_below_the_top_on_a_detached_head_of_a_shallow_clone(tmp_path: Path) -> None:
    origin = Project(tmp_path / "origin/sub/project")
    fill(tmp_path / "origin", {"other": b"x"})
    git(tmp_path / "origin", "init", "-q")
    git(tmp_path / "origin", "add", "--all")
    git(tmp_path / "origin", "commit", "-q", "-m", "all")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tmp_path}/origin", "clone")
    git(tmp_path / "clone", "checkout", "-q", "--detach")
    git(tmp_path / "clone", "remote", "set-url", "origin", "https://me:hunter2@git.example.org/a/b.git")
    project = Project(tmp_path / "clone/sub/project")
    fill(tmp_path / "clone", {"other": b"changed"})
    assert project.run("--", "true", cwd=project.root).returncode == 0
    run = project.record
    assert run.git is not None
    assert run.project is not None
    assert (run.git.commit, run.git.branch) == (git(tmp_path / "clone", "rev-parse", "HEAD"), "")
    assert (run.git.remote, run.project.path) == ("https://git.example.org/a/b.git", "sub/project")
    assert (run.git.dirty, b"+changed" in (project.folder / "diff.patch").read_bytes()) == (True, True)
    assert b"hunter2" not in (project.folder / "run.yaml").read_bytes()
    assert origin.root.exists()


def test_outside_of_git_and_before_the_first_commit(project: Project) -> None:
    assert project.run("--clean", "--", "true").returncode == 2
    assert project.run("--", "true").returncode == 0
    assert project.record.git is None
    git(project.root, "init", "-q", "-b", "main")
    assert project.run("--clean", "--", "true").returncode == 2
    assert project.run("--", "true").returncode == 0
    run = next(one for one in finding.runs(project.root) if one.git is not None)
    assert run.git is not None
    assert (run.git.commit, run.git.branch, run.git.dirty) == ("", "main", True)


def test_a_submodule_with_changes_inside_is_named(project: Project, tmp_path: Path) -> None:
    inner = fill(tmp_path / "inner", {"a": b"1"})
    git(inner, "init", "-q")
    git(inner, "add", "a")
    git(inner, "commit", "-q", "-m", "a")
    project.commit()
    git(project.root, "submodule", "--quiet", "add", str(inner), "mod")
    git(project.root, "commit", "-q", "-m", "mod")
    assert project.run("--clean", "--", "true").returncode == 0
    (project.root / "mod/a").write_bytes(b"2")
    assert project.run("--", "true").returncode == 0
    run = next(one for one in finding.runs(project.root) if one.missing)
    assert run.missing == ("diff.patch: the changes inside of the submodule mod",)


def test_a_clock_that_jumps_changes_no_duration(project: Project) -> None:
    """The start is the clock's word; the rest is of one that does not jump."""
    code = "import datetime, sys; import nixgen.runs.record as r\n"
    code += "class Clock(datetime.datetime):\n    told = iter([2026, 2026, 1999, 1980])\n"
    code += "    @classmethod\n    def now(cls, tz=None): return cls(next(cls.told), 1, 1, tzinfo=tz)\n"
    code += "r.datetime = Clock\nsys.argv = ['nixgen', 'run', '--record', '--', 'sleep', '0.05']\n"
    code += "from nixgen.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env=project.env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = project.record
    assert run.ended is not None
    assert run.seconds is not None
    assert run.seconds >= 0.05
    assert (run.ended - run.started).total_seconds() >= 0.05


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--clean", "--", "true"], "--clean: requires --record"),
        (["run", "--config", "x", "--", "true"], "--config: requires --record"),
        (["run", "--record", "--config", "x", "--", "true"], "--config x: cannot be read: No such file"),
        (["run", "--record", "--seed", "-1", "--", "true"], "--seed: is -1, not a number from 0 to 4294967295"),
        (["run", "--seed", "4294967296", "--", "true"], "--seed: is 4294967296, not a number"),
        (["runs", "show", "x"], "has no runs"),
    ],
)
@pytest.mark.heavy
def test_mistakes_are_told_before_anything_is_made(project: Project, words: list[str], sentence: str) -> None:
    done = subprocess.run(
        [*NIXGEN, *words], cwd=project.root, env=project.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert not (project.root / "runs").exists()


def test_runs_are_listed_and_shown(project: Project) -> None:
    def runs(*words: str) -> str:
        done = subprocess.run(
            [*NIXGEN, "runs", *words], cwd=project.root, env=project.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert runs("list") == ""
    project.run("--", "sh", "-c", "echo nixgen-metric: auc=nan n=3; exit 7")
    run = project.record
    first, line = runs("list").splitlines()
    assert first.split() == ["ID", "STATUS", "TOOK", "COMMIT", "METRICS", "COMMAND"]
    assert line.startswith(f"{run.id}  failed (7)")
    assert "auc=nan n=3" in line
    assert json.loads(runs("list", "--json"))[0]["metrics"] == {"auc": "nan", "n": 3.0}
    assert json.loads(runs("show", "--json"))["id"] == run.id
    shown = runs("show", run.id[-6:])
    assert f"run          {run.id}\n" in shown
    assert "status       failed with exit code 7 after " in shown
    assert "metrics      auc nan\n             n 3\n" in shown
