"""Tasks: what is wrong with them, the text that a shell runs, and which command ``nixgen run`` takes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.program import nixgen

from nixgen.errors import UserError
from nixgen.models import verify
from nixgen.project import tasks
from nixgen.project.settings import Settings

TASKS = """
[project]
name = "demo"
version = "1"

[tool.nixgen]
run = "python -m demo"

[tool.nixgen.tasks]
train = "python train.py"
plot = { cmd = "python plot.py", depends-on = ["train"], description = "Draw the picture" }
all = { depends-on = ["plot", "train"] }
"""


def ran(table: dict[str, object], name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = tasks.script(Settings.parse({"tasks": table}).tasks, name)
    return subprocess.run(["sh", "-c", script, name, *arguments], capture_output=True, text=True, check=False)


def test_arguments_go_to_the_end_or_to_where_the_command_says() -> None:
    assert ran({"a": "printf '<%s>'"}, "a", "x y", "$z").stdout == "<x y><$z>"
    assert ran({"a": "printf '<%s>'; printf '[%s]'"}, "a", "x").stdout == "<>[x]"
    assert ran({"a": "printf '<%s>' \"$1\"; echo end"}, "a", "x").stdout == "<x>end\n"


def test_what_a_task_depends_on_runs_once_and_before() -> None:
    table: dict[str, object] = {
        "all": {"depends-on": ["left", "right"]},
        "left": {"cmd": "echo left $X", "depends-on": ["first"], "env": {"X": "it's $5"}},
        "right": {"cmd": "echo right $X # a note", "depends-on": ["first"]},
        "first": "cd / && echo first",
    }
    done = ran(table, "all", "unused")
    assert done.stdout == "first\nleft it's $5\nright\n"
    assert done.stderr == "nixgen: first\nnixgen: left\nnixgen: right\n"
    assert ran({"a": "echo a"}, "a").stderr == ""


def test_the_first_that_fails_ends_it() -> None:
    table: dict[str, object] = {"bad": "exit 7", "a": {"cmd": "echo a", "depends-on": ["bad"]}}
    done = ran(table, "a")
    assert (done.returncode, done.stdout) == (7, "")
    assert ran({"a": "exit 3"}, "a").returncode == 3


def test_many_tasks_are_no_trouble() -> None:
    """A chain of 3,000, and 60 layers each of which needs both of the one below."""
    chain: dict[str, object] = {f"t{n}": {"cmd": ":", "depends-on": [f"t{n - 1}"] if n else []} for n in range(3000)}
    assert tasks.script(Settings.parse({"tasks": chain}).tasks, "t2999").count("echo") == 3000
    wide: dict[str, object] = {
        f"{side}{n}": {"cmd": ":", "depends-on": [f"a{n - 1}", f"b{n - 1}"] if n else []}
        for n in range(60)
        for side in "ab"
    }
    assert tasks.script(Settings.parse({"tasks": wide}).tasks, "a59").count("echo") == 119


def test_every_mistake_is_told_with_its_place() -> None:
    table = {
        "-a": "x",
        "b": 3,
        "c": {"cmdd": "x"},
        "d": {},
        "e": "",
        "f": {"cmd": "x", "env": {"1A": "x", "B": 2}},
        "g": {"cmd": "x", "description": "two\nlines"},
        "h": {"cmd": "x", "depends-on": "a"},
    }
    with pytest.raises(UserError) as caught:
        Settings.parse({"tasks": table, "run": ["x"]})
    where = "pyproject.toml: tool.nixgen"
    assert [f"{one.where.removeprefix(where)} {one.what}" for one in caught.value.problems] == [
        ".tasks.-a is not a name that a task can have",
        ".tasks.b is a number, not a string",
        ".tasks.c.cmdd is not a setting of a task",
        ".tasks.d has neither cmd nor depends-on",
        ".tasks.e is not a command",
        ".tasks.f.env.1A is not a variable's name",
        ".tasks.g.description is more than one line",
        ".tasks.h.depends-on is a string, not a list",
        ".run is a list, not a string",
    ]


def test_unknown_tasks_and_circles() -> None:
    table = {
        "a": {"depends-on": ["b"]},
        "b": {"depends-on": ["a", "trian"]},
        "c": {"depends-on": ["c"]},
        "train": "python train.py",
    }
    with pytest.raises(UserError) as caught:
        Settings.parse({"tasks": table})
    found = {f"{one.what} | {one.mend}" for one in caught.value.problems}
    assert found == {
        '"trian" is not a task | did you mean train?',
        "runs in a circle: a -> b -> a | take one of them out",
        "runs in a circle: c -> c | take one of them out",
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose commands are printed with their folder, instead of run."""
    (tmp_path / "pyproject.toml").write_text(TASKS)
    (tmp_path / "nixgen.lock").write_text("{}")
    (tmp_path / "src").mkdir()

    def start(_lock: Path, _names: object, words: tuple[str, ...], _options: verify.Options) -> int:
        print(json.dumps([words, Path.cwd().name]))
        return 0

    monkeypatch.setattr(verify, "start", start)
    return tmp_path


def command(root: Path, *words: str) -> tuple[list[str], str]:
    done = nixgen("run", *words, cwd=root / "src")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found[0], found[1]


def test_a_name_is_a_task_and_behind_two_hyphens_a_program(root: Path) -> None:
    top = root.name
    assert command(root, "train", "--epochs", "3") == (
        ["sh", "-c", 'python train.py "$@"', "train", "--epochs", "3"],
        top,
    )
    assert command(root, "--", "train", "--epochs") == (["train", "--epochs"], "src")
    assert command(root, "--no-stamp", "--", "train") == (["train"], "src")
    assert command(root, "sh", "--", "train") == (["sh", "--", "train"], "src")
    assert command(root, "train", "--", "x")[0] == ["sh", "-c", 'python train.py "$@"', "train", "--", "x"]
    assert command(root) == (["sh", "-c", "python -m demo"], top)


def test_a_misspelt_task_is_told(root: Path) -> None:
    """Where the word is no program: on PATH, in .venv, or in an environment of which nothing is known yet."""
    done = nixgen("run", "trian", cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: there is no task trian\n"
        "  hint: did you mean train? The tasks: train, plot, all; for a program: nixgen run -- trian\n"
    )
    assert command(root, "--", "trian")[0] == ["trian"]
    assert command(root, "fit-it", "--record")[0] == ["fit-it", "--record"]
    bin_folder = root / ".venv/bin"
    bin_folder.mkdir(parents=True)
    for name in ("python", "trian"):
        (bin_folder / name).touch(0o755)
    assert command(root, "trian")[0] == ["trian"]
    assert "there is no task fit-it\n  hint: the tasks: train, plot, all;" in nixgen("run", "fit-it", cwd=root).stderr


def test_options_of_nixgen_behind_a_task_are_told(root: Path) -> None:
    with (root / "pyproject.toml").open("a") as file:
        file.write("[tool.nixgen.environments.gpu]\n")
    for words, said in (
        (("train", "--record"), "--record was given to train; for nixgen: nixgen run --record train"),
        (("train", "x", "--env", "gpu"), "--env gpu was given to train; for nixgen: nixgen run --env gpu train"),
        (("train", "--stamp-age=7"), "--stamp-age was given to train; for nixgen: nixgen run --stamp-age train"),
    ):
        assert nixgen("run", *words, cwd=root).stderr == f"warning: {said}\n"
        assert command(root, *words)[0][3:] == list(words)
    for quiet in (("train", "--", "--record"), ("train", "--env", "CartPole"), ("--", "train", "--record")):
        assert nixgen("run", *quiet, cwd=root).stderr == ""


def test_without_a_command_it_says_what_to_write(root: Path) -> None:
    (root / "pyproject.toml").write_text(TASKS.replace('run = "python -m demo"', ""))
    done = nixgen("run", cwd=root)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no command to run\n  hint: nixgen run -- COMMAND; or write run = ")


def test_the_tasks_are_listed(root: Path) -> None:
    assert nixgen("tasks", cwd=root).stdout == (
        "nixgen run: python -m demo\ntrain  python train.py\nplot   Draw the picture\nall    after plot, train\n"
    )
    found = json.loads(nixgen("tasks", "--json", cwd=root).stdout)
    assert found["run"] == "python -m demo"
    assert found["tasks"]["plot"] == {
        "cmd": "python plot.py",
        "description": "Draw the picture",
        "depends-on": ["train"],
        "env": {},
    }
    (root / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\n')
    assert nixgen("tasks", cwd=root).stdout.startswith("no tasks: ")
