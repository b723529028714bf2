"""``nixgen reproduce``, as a process: a run is made again from git, and what came out is compared."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import started
from support.tree import fill, lock, rows
from support.waiting import until
from typer.testing import CliRunner

from nixgen.cli import app
from nixgen.errors import UserError
from nixgen.runs import finding, recordfile, reproductions, verdict
from nixgen.runs.model import Asked, Output, Run
from nixgen.runs.reproduce import offset

ROOT = Path(__file__).resolve().parents[2]
NIXGEN = [sys.executable, "-m", "nixgen"]
TRAIN = """\
import json, os, pathlib, sys
rate = pathlib.Path(sys.argv[1]).read_text().strip()
pathlib.Path("model").mkdir()
pathlib.Path("model/w").write_text(f"{rate} {os.environ.get('NIXGEN_SEED')}" + os.environ.get("NOISE", ""))
pathlib.Path("m.json").write_text(json.dumps({"auc": float(os.environ.get("AUC", "0.9"))}))
"""
PYPROJECT = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n'
CONFIG = {"GIT_CONFIG_COUNT": "3"} | {
    f"GIT_CONFIG_{kind}_{number}": text
    for number, pair in enumerate(
        (("user.name", "A"), ("user.email", "a@example.org"), ("protocol.file.allow", "always"))
    )
    for kind, text in zip(("KEY", "VALUE"), pair, strict=True)
}


class Project:
    """A project in git, where models "were put by hand": the environment is there, in any checkout."""

    def __init__(self, root: Path, below: str = ".") -> None:
        self.top = root
        self.root = root / below
        files = {"nixgen.lock": lock(), "pyproject.toml": PYPROJECT, "train.py": TRAIN, "c.yaml": "0.1\n"}
        files[".gitignore"] = "model/\nm.json\nruns/\nignored.yaml\n"
        fill(self.root, {name: text.encode() for name, text in files.items()})
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root.parent), **CONFIG}
        self.env |= {"NIXGEN_MODELS": str(root.parent / "models"), "NIXGEN_DATA": str(root.parent / "data")}
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *words], cwd=cwd or self.top, env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "all")
        return self.git("rev-parse", "HEAD")

    def record(self, config: str = "c.yaml", code: int = 0, cwd: str = ".", script: str = "train.py") -> Path:
        words = ["run", "--record", "--config", config, "--seed", "7", "--metrics", "m.json", "--output", "model"]
        done = self.nixgen(*words, "--", sys.executable, script, config, cwd=self.root / cwd)
        assert done.returncode == code, done.stderr
        return finding.folders(self.root)[-1]

    def nixgen(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = started.nixgen(words, cwd or self.root, self.env)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def again(self, *words: str, code: int = 0, run: str = "latest") -> str:
        """What reproduce prints; nothing of it stays in git or in the folder for temporary files."""
        scratch = self.top.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        env = {**dict.fromkeys(os.environ), **self.env, "TMPDIR": str(scratch)}
        done = CliRunner().invoke(app, ["reproduce", run, *words, "--project", str(self.root)], env=env)
        assert done.exit_code == code, done.output
        assert len(self.git("worktree", "list").splitlines()) == 1
        assert [path.name for path in scratch.iterdir() if path.name.startswith("nixgen-reproduce")] == []
        return done.output


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_run_of_a_folder_below_is_made_again_from_git_on_another_number_of_cores(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "sub/demo")
    (project.root / "deep").mkdir()
    (project.root / "deep/keep").touch()
    commit = project.commit()
    folder = project.record("../c.yaml", cwd="deep", script="../train.py")
    fill(project.root, {"train.py": b"raise SystemExit('the code moved on')", "c.yaml": b"moved on"})
    project.commit()
    out = project.again("--times", "2", "--json")
    assert [json.loads(line)["verdict"] for line in out.splitlines() if line.startswith("{")] == ["bytes", "bytes"]
    first, second = reproductions.reproductions(folder)
    cores = len(os.sched_getaffinity(0))
    made = [one.made.machine.cores for one in (first, second) if one.made.machine is not None]
    assert made == ([1, cores] if cores > 1 else [1, 1])
    assert first.made.git is not None
    assert first.made.git.commit == commit
    assert (first.run, first.record, first.differences) == (folder.name, reproductions.digest(folder), ())
    assert (folder / "reproductions" / f"{first.made.id}.yaml").read_text().startswith("version: 1\n")
    assert reproductions.best([first, second], first.record) == "bytes"
    assert reproductions.best([first, second], "0" * 64) == ""


@pytest.mark.heavy
def test_what_differs_is_told_with_its_place(project: Project) -> None:
    project.record()
    project.env["NOISE"] = "!"
    assert "latest" not in (out := project.again())
    assert ": same metrics within tolerance on 1 core\n" in out
    assert "  outputs: model/w, first at byte 5: " in out
    project.env["AUC"] = "0.9001"
    out = project.again(code=1)
    assert ": differs on 1 core\n" in out
    assert "  metrics: auc: 0.9 → 0.9001\n" in out
    assert ": same metrics" in project.again("--tolerance", "auc=1e-3")
    project.env["AUC"] = "nan"
    assert "  metrics: auc: 0.9 → nan\n" in project.again("--tolerance", "auc=1e9", code=1)
    (project.root / "model/w").write_text("something else")  # where the two differ cannot be said any more
    assert "  outputs: model/w: " in project.again(code=1)
    found = reproductions.reproductions(finding.folders(project.root)[0])
    assert [one.verdict for one in found] == ["metrics", "differs", "metrics", "differs", "differs"]
    assert reproductions.best(found, found[0].record) == "metrics"
    assert "has no metric f1" in project.again("--tolerance", "f1=1", "--tolerance", "auc", code=2)


@pytest.mark.heavy
def test_a_tree_with_changes_is_made_again_and_an_output_that_is_missing_differs(project: Project) -> None:
    fill(project.root, {"train.py": TRAIN.replace("rate}", "rate} changed").encode(), "new.py": b"x = 1\n"})
    folder = project.record()
    project.git("checkout", "-q", "--", ".")
    (project.root / "new.py").unlink()
    assert ": same bytes" in project.again()
    (folder / "diff.patch").write_text("")
    assert "diff.patch: is not what was recorded" in project.again(code=1)
    (folder / "diff.patch").unlink()
    assert "diff.patch: is not there" in project.again(code=2)
    gone = "import sys; open('m.json', 'w').write('{\"auc\": 0.9}')"
    fill(project.root, {"train.py": f"if 1:\n  hint: {gone}\n".encode()})
    project.commit()
    folder = project.record(code=1)
    run = recordfile.read(folder)
    more = replace(run, outputs=(Output("model/w", 1, "a" * 64),), exit=0, status="finished", missing=())
    (folder / "run.yaml").write_bytes(recordfile.dump(more))
    assert "  outputs: model/w: 1 bytes → not there\n" in project.again(run=folder.name, code=1)


@pytest.mark.heavy
def test_a_configuration_that_git_does_not_have_comes_from_here_or_from_its_copy(
    project: Project, tmp_path: Path
) -> None:
    fill(project.root, {"ignored.yaml": b"0.5\n"})
    fill(tmp_path, {"outside.yaml": b"0.6\n"})
    project.record("ignored.yaml")
    assert ": same bytes" in project.again()
    (project.root / "ignored.yaml").write_text("0.7\n")
    assert ": same bytes" in project.again()
    subprocess.run(["rm", "-r", "model", "m.json"], cwd=project.root, check=True)
    folder = project.record(str(tmp_path / "outside.yaml"))
    assert ": same bytes" in project.again()
    (tmp_path / "outside.yaml").unlink()
    assert ": same bytes" in project.again()
    run = recordfile.read(folder)
    masked = replace(run, config=(replace(run.config[0], sha256="1" * 64, masked=("password",)),))
    (folder / "run.yaml").write_bytes(recordfile.dump(masked))
    assert "its copy is without password" in project.again(code=2)


@pytest.mark.heavy
def test_pinned_files_of_the_project_that_git_does_not_have(project: Project) -> None:
    pinned = {"files": [{**rows({"s.csv": b"a\n"})[0], "local": "ignored.yaml"}], "source": "x", "scheme": "file"}
    fill(project.root, {"nixgen.lock": lock(data__sales=pinned).encode(), "ignored.yaml": b"a\n"})
    fill(project.top.parent, {"data/sales/s.csv": b"a\n"})
    project.commit()
    project.record()
    assert ": same bytes" in project.again()
    (project.root / "ignored.yaml").write_text("moved on\n")
    out = project.again(code=2)
    assert "data.sales: ignored.yaml: is pinned as " in out
    assert "neither in the commit nor here" in out


def cloned(project: Project, *words: str) -> Project:
    """A clone of it, with its runs."""
    place = project.top.parent / "clone"
    project.git("clone", "-q", *words, f"file://{project.top}", str(place))
    subprocess.run(["cp", "-r", project.root / "runs", place], check=True)
    clone = object.__new__(Project)
    clone.top = clone.root = place
    clone.env = dict(project.env)
    return clone


@pytest.mark.parametrize("shallow", [True, False])
@pytest.mark.heavy
def test_a_commit_of_a_branch_that_was_squashed_is_fetched_by_its_id(project: Project, *, shallow: bool) -> None:
    project.git("config", "uploadpack.allowAnySHA1InWant", "true")
    project.git("checkout", "-q", "-b", "work")
    fill(project.root, {"c.yaml": b"0.3\n"})
    commit = project.commit()
    folder = project.record()
    project.git("checkout", "-q", "main")
    project.git("branch", "-q", "-D", "work")
    clone = cloned(project, *(["--depth=1"] if shallow else []))
    assert ": same bytes" in clone.again()
    assert (clone.git("rev-parse", "--is-shallow-repository") == "true") == shallow
    assert clone.git("branch", "--list", "--all").count("work") == 0
    run = recordfile.read(folder)
    assert run.git is not None
    lost = replace(run, git=replace(run.git, commit="1" * 40, remote=f"file://{project.top}/nowhere"))
    (clone.root / "runs" / folder.name / "run.yaml").write_bytes(recordfile.dump(lost))
    out = clone.again(code=3)
    assert f"the commit: is neither in this repository nor at a remote of it: {'1' * 40} (work)\n" in out
    assert "origin: " in out
    assert commit not in out


@pytest.mark.heavy
def test_a_submodule_is_checked_out_or_said_to_be_missing(project: Project, tmp_path: Path) -> None:
    inner = Project(tmp_path / "inner")
    project.git("submodule", "add", "-q", f"file://{inner.top}", "part")
    fill(project.root, {"train.py": TRAIN.replace("rate =", "import part.train\nrate =").encode()})
    fill(project.root, {"train.py": b"open('part/c.yaml').close()\n" + TRAIN.encode()})
    project.commit()
    project.record()
    clone = cloned(project)
    assert list((clone.root / "part").iterdir()) == []
    assert ": same bytes" in clone.again()
    inner.top.rename(tmp_path / "moved")
    out = clone.again(code=3)
    assert "submodule" in out
    assert str(inner.top) in out


@pytest.mark.heavy
def test_a_seed_that_the_program_drew_by_itself_is_given_to_it_again(project: Project) -> None:
    seeding = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport nixgen\nnixgen.seed_everything()\n"
    fill(project.root, {"train.py": f"{seeding}{TRAIN}".encode()})
    project.commit()
    done = project.nixgen("run", "--record", "--output", "model", "--", sys.executable, "train.py", "c.yaml")
    assert done.returncode == 0, done.stderr
    assert ": same bytes" in project.again()
    (found,) = reproductions.reproductions(finding.folders(project.root)[0])
    assert found.differences == ()


@pytest.mark.heavy
def test_an_interrupted_one_leaves_nothing(project: Project, tmp_path: Path) -> None:
    """The command is told, and is given the time to end."""
    waits = "import os, pathlib, time\n" + TRAIN.replace("import json, os", "import json")
    waits += "if 'WAIT' in os.environ:\n    pathlib.Path(os.environ['WAIT']).touch()\n    time.sleep(1000)\n"
    fill(project.root, {"train.py": waits.encode()})
    project.commit()
    folder = project.record()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {**project.env, "WAIT": str(tmp_path / "there"), "TMPDIR": str(scratch)}
    process = subprocess.Popen([*NIXGEN, "reproduce", "latest"], cwd=project.root, env=env, stderr=subprocess.PIPE)
    until((tmp_path / "there").exists, running=process)
    process.terminate()
    _, told = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, told
    assert b"interrupted in " in told  # the record of the run that was made, too
    assert list(scratch.iterdir()) == []
    assert len(project.git("worktree", "list").splitlines()) == 1
    assert not (folder / "reproductions").exists()


def test_runs_that_cannot_be_made_again(project: Project) -> None:
    folder = project.record()
    run = recordfile.read(folder)
    assert run.git is not None
    for changed, said in (
        (replace(run, status="running", exit=None), "it is running"),
        (replace(run, command=("python", "--password", "***")), "its command had a secret"),
        (replace(run, outputs=(), metrics={}, asked=None), "there is nothing to compare"),
        (replace(run, git=None), "recorded without a commit"),
        (replace(run, asked=None, outputs=(Output("/model", 1, "a" * 64),)), "/model is outside of the repository"),
        (replace(run, asked=Asked("../m.json", ("model",))), "../m.json is outside of the repository"),
        (replace(run, folder="../..", asked=Asked(), outputs=()), "ran outside of its repository"),
    ):
        (folder / "run.yaml").write_bytes(recordfile.dump(changed))
        assert said in project.again(code=2)
    other = folder.with_name("20200101-000000-000000")
    other.mkdir()
    (other / "run.yaml").write_bytes(recordfile.dump(replace(run, id=other.name)))
    (folder / "run.yaml").write_bytes(recordfile.dump(replace(run, outputs=(), metrics={}, asked=None)))
    assert f"; the newest that would do: {other.name}" in project.again(code=2)
    gone = replace(run, project=replace(run.project, files={"default.nix": "1" * 64}))  # type: ignore[type-var]
    (folder / "run.yaml").write_bytes(recordfile.dump(gone))
    assert "default.nix: was there, and is neither in the commit nor here" in project.again(code=2)


RUN = Run(
    id="20261130-131500-3fa2c1",
    status="finished",
    command=("true",),
    started=datetime(2026, 11, 30, tzinfo=UTC),
    exit=0,
    metrics={"auc": 0.9},
    outputs=(Output("w", 1, "a" * 64),),
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, "bytes"),
        ({}, {"metrics": {"auc": 0.9001}}, "metrics"),
        ({}, {"metrics": {"auc": 0.902}}, "differs"),
        ({}, {"metrics": {}}, "differs"),
        ({}, {"metrics": {"auc": 0.9, "more": 1}}, "differs"),
        ({"metrics": {"auc": math.nan}}, {"metrics": {"auc": math.nan}}, "differs"),
        ({"metrics": {"auc": math.inf}}, {"metrics": {"auc": math.inf}}, "bytes"),
        ({"metrics": {"auc": math.inf}}, {"metrics": {"auc": -math.inf}}, "differs"),
        ({}, {"outputs": (Output("w", 1, "b" * 64),)}, "metrics"),
        ({}, {"outputs": (Output("w", 1, "b" * 64),), "exit": 1, "status": "failed"}, "differs"),
        ({}, {"outputs": (*RUN.outputs, Output("x", 1, "a" * 64))}, "differs"),
        ({"metrics": {}}, {"metrics": {}, "outputs": (Output("w", 1, "b" * 64),)}, "differs"),
        ({"outputs": ()}, {"outputs": ()}, "metrics"),
        ({}, {"exit": 1, "status": "failed"}, "differs"),
    ],
)
def test_a_verdict(old: dict[str, object], new: dict[str, object], expected: str) -> None:
    made = verdict.judge(replace(RUN, **old), replace(RUN, **new), {"auc": 1e-3}, lambda *_: "")  # type: ignore[arg-type]
    assert made.verdict == expected


@pytest.mark.parametrize("text", ["auc", "auc=", "auc=x", "=1", "auc=-1", "auc=nan", "auc=inf"])
def test_a_tolerance_is_a_number(text: str) -> None:
    with pytest.raises(UserError, match="is not NAME=VALUE"):
        verdict.tolerances([text], RUN)


@pytest.mark.parametrize(
    ("old", "new", "at"), [(b"abc", b"abd", 2), (b"abc", b"ab", 2), (b"", b"x", 0), (b"x", b"y", 0)]
)
def test_where_files_first_differ(tmp_path: Path, old: bytes, new: bytes, at: int) -> None:
    start = b"s" * (1 << 20)
    fill(tmp_path, {"old": start + old, "new": start + new})
    assert offset(tmp_path / "old", tmp_path / "new") == len(start) + at


def test_a_record_of_a_reproduction_is_closed() -> None:
    found = reproductions.Reproduction(RUN.id, "a" * 64, "metrics", RUN, (), {"auc": 0.5})
    text = reproductions.dump(found).decode()
    assert reproductions.parse(text, "x.yaml") == found
    with pytest.raises(UserError, match="not one of"):
        reproductions.parse(text.replace("verdict: metrics", "verdict: fine"), "x.yaml")
    with pytest.raises(UserError, match="made"):
        reproductions.parse(text.replace("status: finished", "status: fine"), "x.yaml")
