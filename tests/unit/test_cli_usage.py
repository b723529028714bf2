"""How options are given: variables, wrong words, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import make
from support.program import nixgen

from nixgen.cli import COMMANDS
from nixgen.cli import command as full

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"NIXGEN_PROJECT", "NIXGEN_QUIET", "NIXGEN_VERBOSE", "NIXGEN_BY", "NIXGEN_ADVISORIES"}


def leaves(found: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = getattr(found, "commands", {})
    for name, one in below.items():
        yield from leaves(one, f"{path} {name}")
    if not below:
        yield path, found


def options() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        for path, found in leaves(full(name), name):
            yield from ((path, one) for one in found.params if one.param_type_name == "option" and one.name != "help")


def test_every_option_has_a_variable_of_its_own() -> None:
    own = []
    for path, option in options():
        assert isinstance(option.envvar, str), (path, option.opts)
        if option.envvar not in SHARED:
            words = f"nixgen_{path}_{max(option.opts, key=len)[2:]}"
            assert option.envvar == re.sub(r"[ -]", "_", words).upper()
            own.append(option.envvar)
    assert len(own) == len({*own})
    assert len(own) > 150


def test_no_variable_of_an_option_is_one_that_something_else_uses() -> None:
    """Shells, builders and services have NIXGEN_SEED, NIXGEN_ROOT and more: an option must not hear them."""
    used = set()
    for folder in ("nixgen", "nix", "templates"):
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                path.is_file()
                and path.suffix in {".py", ".nix", ".sh", ".j2", ""}
                and path.parent != ROOT / "nixgen/cli"
            ):
                used |= {*re.findall(r"NIXGEN_[A-Z0-9_]+", path.read_text(encoding="utf-8", errors="replace"))}
    assert {"NIXGEN_SEED", "NIXGEN_ROOT"} <= used
    found = {option.envvar for _, option in options()} - SHARED
    assert found & used == set()
    assert [name for name in found if name.startswith(("NIXGEN_TEST_", "NIXGEN_BENCH_"))] == []


def test_a_variable_is_heard_and_an_option_goes_first(tmp_path: Path) -> None:
    root = str(make(tmp_path))
    said = nixgen(
        "show", NIXGEN_PROJECT=root, NIXGEN_SHOW_PYTHON="3.11", NIXGEN_SHOW_SYSTEM="x86_64-linux aarch64-linux"
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("demo-app for aarch64-linux and x86_64-linux: Python 3.11, ")
    one = nixgen(
        "show", "--system", "x86_64-linux", cwd=tmp_path, NIXGEN_SHOW_PYTHON="3.11", NIXGEN_SHOW_SYSTEM="amiga"
    )
    assert one.stdout.startswith("demo-app for x86_64-linux: Python 3.11, "), one.stderr
    flag = nixgen("show", "--python", "3.11", cwd=tmp_path, NIXGEN_QUIET="1", NIXGEN_SHOW_JSON="true")
    assert flag.stdout.startswith("{")
    off = nixgen("show", "--python", "3.11", cwd=tmp_path, NIXGEN_VERBOSE="0", NIXGEN_SHOW_JSON="no")
    assert off.stdout.startswith("demo-app for")
    assert nixgen("show", cwd=tmp_path, NIXGEN_PROJECT="", NIXGEN_SHOW_PYTHON="").returncode == 0


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (
            "check",
            {"NIXGEN_CHECK_SAMPLE": "x"},
            "--sample: 'x' is not a valid integer range\n  hint: {} is set: unset {}\n",
        ),
        ("check", {"NIXGEN_CHECK_SAMPLE": "3"}, "--sample: requires --rebuild\n  hint: {} is set: unset {}\n"),
        ("show", {"NIXGEN_SHOW_SYSTEM": "amiga"}, '--system: "amiga" is not a system\n  hint: {} is set: unset {}\n'),
    ],
)
def test_a_wrong_value_of_a_variable_names_it(tmp_path: Path, words: str, variables: dict[str, str], said: str) -> None:
    done = nixgen(words, cwd=make(tmp_path), **variables)
    assert done.returncode == 2
    (name,) = variables
    assert done.stderr.startswith(f"error: {said.format(name, name)}")
    given = nixgen(words, *("--sample", "x") * ("SAMPLE" in name), cwd=tmp_path, NIXGEN_RUN_SEED="x")
    assert "is set" not in given.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("show --verbos", "no such option: --verbos\n  hint: did you mean --verbose?\n"),
        ("shwo", "no such command 'shwo'\n  hint: did you mean show?\n"),
        ("registry promot", "no such command 'promot'\n  hint: did you mean promote?\n"),
        ("why", "missing argument 'PACKAGE'\n  hint: nixgen why --help\n"),
        ("check --sample x", "--sample: 'x' is not a valid integer range\n  hint: nixgen check --help\n"),
        ("check --sample 3", "--sample: requires --rebuild\n  hint: nixgen check --help\n"),
        ("diff a b c", "got unexpected extra argument(s) (c)\n  hint: nixgen diff --help\n"),
    ],
)
def test_a_wrong_word_is_told_like_every_other_mistake(words: str, said: str) -> None:
    done = nixgen(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}")


def test_without_a_word_the_help_is_the_answer() -> None:
    for words in ((), ("registry",)):
        done = nixgen(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Usage: nixgen")


COMPLETED = [
    ("nixgen che", "check"),
    ("nixgen check --sam", "--sample"),
    ("nixgen registry promo", "promote"),
    ("nixgen runs diff --js", "--json"),
]


@pytest.mark.parametrize(("line", "wanted"), COMPLETED)
def test_zsh_and_fish_are_told_how_a_word_goes_on(line: str, wanted: str) -> None:
    zsh = nixgen(_NIXGEN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert re.fullmatch(rf"""_arguments '\*: :\(\("{wanted}":".*"\)\)'\n""", zsh.stdout)
    fish = nixgen(_NIXGEN_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert fish.stdout.split("\t")[0].split() == [wanted]


PROJECT = """\
[project]
name = "Demo.App"
[tool.nixgen]
scripts = ["tools/fetch data.py"]
[tool.nixgen.tasks]
train = "python train.py"
test = { cmd = "pytest", description = "Run the tests" }
[tool.nixgen.environments.docs]
"""
MODELS = """\
version = 1
[models.minilm]
source = "hf:a/b"
[models.large]
[data.sales]
[services.serve]
command = "python -m app"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "models.toml").write_text(MODELS)
    (tmp_path / "nixgen.lock").touch()
    for name in ("demo-app/fraud/1.0.0", "demo-app/fraud/1.2.0", "demo-app/churn/0.1.0", "other/m/1.0.0", "log/tile"):
        (tmp_path / "registry" / name).mkdir(parents=True)
    (tmp_path / "registry/demo-app/fraud/prod").symlink_to("1.2.0")
    (tmp_path / "src").mkdir()
    return tmp_path


def completed(line: str, cwd: Path, **env: str) -> list[str]:
    env |= {
        "_NIXGEN_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    return [one.partition("\t")[0] for one in nixgen(cwd=cwd, **env).stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("nixgen run ", "train test"),
        ("nixgen run te", "test"),
        ("nixgen run train t", ""),
        ("nixgen run --service ", "serve"),
        ("nixgen run --env ", "docs fetch-data"),
        ("nixgen shell --environment d", "docs"),
        ("nixgen bundle create --env ", "docs fetch-data"),
        ("nixgen verify ", "minilm large data.sales"),
        ("nixgen verify minilm ", "large data.sales"),
        ("nixgen lock --upgrade da", "data.sales"),
        ("nixgen model remove ", "minilm large"),
        ("nixgen model fetch large ", "minilm"),
        ("nixgen model add ", ""),
        ("nixgen data list ", ""),
        ("nixgen data remove ", "sales"),
        ("nixgen image build ", "serve docs fetch-data minilm large"),
        ("nixgen image build --model ", "minilm large"),
        ("nixgen registry promote ", "churn fraud"),
        ("nixgen registry promote fraud@1.2", "fraud@1.2.0"),
        ("nixgen registry promote fraud@", "fraud@1.0.0 fraud@1.2.0 fraud@prod"),
        ("nixgen registry verify fraud ", "churn"),
    ],
)
def test_names_of_the_project_are_completed(project: Path, line: str, wanted: str) -> None:
    assert completed(line, project / "src") == wanted.split()


def test_kernels_of_the_user_are_completed(tmp_path: Path) -> None:
    place = tmp_path / "kernels/nixgen-demo"
    place.mkdir(parents=True)
    said = {"project": str(tmp_path), "environment": "", "full": "demo"}
    (place / "kernel.json").write_text(json.dumps({"display_name": "demo", "metadata": {"nixgen": said}}))
    assert completed("nixgen kernel remove ", tmp_path, JUPYTER_DATA_DIR=str(tmp_path)) == ["nixgen-demo"]


def test_a_project_that_is_named_counts_and_one_that_cannot_be_read_completes_nothing(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    away = tmp_path_factory.mktemp("away")
    assert completed("nixgen run ", away) == []
    assert completed(f"nixgen run --project {project} tr", away) == ["train"]
    for text in (b"[", b"\xff", b"tool.nixgen = 1", b'tool.nixgen.tasks = "x"', b"tool.nixgen.scripts = [1]"):
        (project / "pyproject.toml").write_bytes(text)
        assert completed("nixgen run ", project) == completed("nixgen run --env ", project) == []


def test_completing_a_name_imports_little(project: Path) -> None:
    env = {"_NIXGEN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "nixgen run ", "PYTHONPATH": str(ROOT)}
    code = "import sys; sys.argv[0] = 'nixgen'; from nixgen.__main__ import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, env={**os.environ, **env}, cwd=project, capture_output=True, text=True, check=True)
    assert "train" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    ours = {name for name in imported if name.startswith("nixgen.") and not name.startswith("nixgen.cli")}
    assert ours <= {"nixgen.console", "nixgen.errors", "nixgen.formats", "nixgen.formats.toml", "nixgen.__main__"}
    assert not {"packaging", "urllib3", "jinja2", "tomllib"} & imported


@pytest.mark.heavy
def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "nixgen"
    code = "import sys; sys.argv[0] = 'nixgen'; from nixgen.__main__ import main; main()"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([program, "--install-completion"], env=env, capture_output=True, text=True, check=False)
    if done.returncode == 1:  # no shell started this test
        pytest.skip(done.stderr)
    typed = "; ".join(
        f"COMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1}; _nixgen_completion nixgen; echo ${{COMPREPLY[*]}}"
        for line, _ in COMPLETED
    )
    env["_NIXGEN_COMPLETE"] = "source_bash"
    script = subprocess.run([program], env=env, capture_output=True, text=True, check=True).stdout
    del env["_NIXGEN_COMPLETE"]
    done = subprocess.run(["bash", "-c", f"{script}\n{typed}"], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [wanted for _, wanted in COMPLETED]


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer._completion_shared._get_shell_name", lambda: "bash")
        patched.setattr("typer.completion._get_shell_name", lambda: "bash")
        done = nixgen("--install-completion", HOME=str(tmp_path / "home/none"))
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {tmp_path}/home")


@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("help", "nixgen --help"),
        ("install", "did you mean add?"),
        ("uninstall", "did you mean remove?"),
        ("develop", "did you mean shell?"),
        ("update", "did you mean upgrade?"),
        ("-V", "did you mean --version?"),
    ],
)
def test_a_word_of_other_programs_is_answered_by_what_it_means(word: str, mend: str) -> None:
    assert nixgen(word).stderr.splitlines()[1:] == [f"  hint: {mend}"]
