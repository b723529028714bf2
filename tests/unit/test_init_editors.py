"""The files of `nixgen init --direnv`, `--vscode` and `--devcontainer`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.initproject import Run, made, outside_library, problems, runner

from nixgen.formats import jsonc
from nixgen.init import editors, installsource
from nixgen.init.setup import Options, init

SCHEMA = Path(__file__).resolve().parents[1] / "support/schemas/devcontainers/devContainer.base.schema.json"
ALL = editors.Asked(direnv=True, vscode=True, devcontainer=True)
FILES = {
    ".envrc",
    ".vscode/extensions.json",
    ".vscode/settings.json",
    ".devcontainer/devcontainer.json",
    ".devcontainer/created.sh",
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_they_are_written_only_when_asked_for_and_once(project: Path, run: Run) -> None:
    run(project)
    assert not FILES & outside_library(project)
    said = run(project, beside=ALL)
    assert outside_library(project) >= FILES
    assert "Let direnv enter it: direnv allow" in said
    assert ".direnv\n" in (project / ".gitignore").read_text()
    before = {name: (project / name).read_bytes() for name in FILES}
    assert run(project, beside=ALL)[-1] == "Everything is up to date."
    assert {name: (project / name).read_bytes() for name in FILES} == before


def test_a_first_run_can_have_them_all(project: Path, run: Run) -> None:
    run(project, beside=ALL)
    assert outside_library(project) >= FILES


def test_what_is_there_stays_and_is_told(project: Path, run: Run) -> None:
    mine = {
        ".envrc": "dotenv\n",
        ".devcontainer/devcontainer.json": '{"image": "mine"}\n',
        ".vscode/settings.json": '{\n  // ours\n  "python.terminal.activateEnvironment": true,\n}\n',
        ".vscode/extensions.json": '{"recommendations": ["ms-python.python", "mine.mine"]}\n',
    }
    for name, text in mine.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    said = "\n".join(run(project, beside=ALL))
    for name in (".envrc", ".devcontainer/devcontainer.json"):
        assert (project / name).read_text() == mine[name]
        assert f"warning: {name} is yours and stays as it is. What nixgen would write:" in said
    assert "use flake" in said
    key = "python.terminal.activateEnvironment"
    assert f".vscode/settings.json: {key} has a value of yours, which stays. nixgen would write: false" in said
    settings = (project / ".vscode/settings.json").read_text()
    assert settings.startswith('{\n  // ours\n  "python.terminal.activateEnvironment": true,\n  "python.defaultInt')
    assert jsonc.loads(settings)["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv/bin/python"
    found = json.loads((project / ".vscode/extensions.json").read_text())
    assert found["recommendations"] == ["ms-python.python", "mine.mine", "ms-toolsai.jupyter"]


def test_settings_that_cannot_be_read_stay_and_what_to_add_is_told(project: Path, run: Run) -> None:
    (project / ".vscode").mkdir()
    (project / ".vscode/settings.json").write_bytes(b'{"a": \xff, }')
    said = "\n".join(run(project, beside=editors.Asked(vscode=True)))
    assert (project / ".vscode/settings.json").read_bytes() == b'{"a": \xff, }'
    assert (
        ".vscode/settings.json cannot be read as JSON with comments, and stays as it is. To be added by hand:" in said
    )
    assert '"python.defaultInterpreterPath": "${workspaceFolder}/.venv/bin/python"' in said


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_link_out_of_the_project_is_followed(project: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = project / name.partition("/")[0]
    link.symlink_to(outside / "new" if link.name == name else outside)
    (told,) = problems(project, beside=ALL)[:1]
    assert told.startswith(f"{link.name}: is a link to {outside}")
    assert list(outside.iterdir()) == []


def test_the_container_is_what_the_published_schema_says(project: Path, run: Run) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    run(project, beside=editors.Asked(devcontainer=True))
    text = (project / ".devcontainer/devcontainer.json").read_text()
    value: Any = jsonc.loads(text)
    validator = jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text()))
    validator.validate(value)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**value, "mounst": []})
    assert value["mounts"][0]["target"] == "/nix"
    assert value["postCreateCommand"] == "sh .devcontainer/created.sh"
    subprocess.run(["sh", "-n", project / ".devcontainer/created.sh"], check=True)
    subprocess.run(["bash", "-n", "-c", editors.envrc(["uv.lock"])], check=True)


def test_the_locks_that_count_are_watched() -> None:
    assert "watch_file pyproject.toml uv.lock nixgen.lock default.nix\n" in editors.envrc(["uv.lock"])
    assert "watch_file pyproject.toml 'it'\"'\"'s.lock' nixgen.lock" in editors.envrc(["it's.lock"])


def test_a_person_at_a_terminal_is_told_of_them_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    offer = "For direnv, VS Code or a container: nixgen init --direnv, --vscode, --devcontainer\n"
    for expected in (True, False):
        init(project, Options(base="debian", systems=("x86_64-linux",)))
        assert (offer in capsys.readouterr().err) == expected
