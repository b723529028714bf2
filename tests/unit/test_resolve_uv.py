"""uv lock as init runs it: with a Python that is here, and with failures that say whose matter they are."""

from __future__ import annotations

import sys
from pathlib import Path

import projects
import pytest
from support.loopback import Asked, Reply, listen

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.process import Result
from nixgen.resolve import uv

NETWORK = "check the network or proxy, and run the command again"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Python on PATH, a cache of its own, and no patience."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)


def project(root: Path, *dependencies: str, requires: str = ">=3.11", index: str = "http://127.0.0.1:1/simple") -> Path:
    named = ", ".join(f'"{name}"' for name in dependencies)
    text = f'[project]\nname = "demo"\nversion = "1"\nrequires-python = "{requires}"\ndependencies = [{named}]\n'
    return projects.make(root, f'{text}[[tool.uv.index]]\nname = "own"\nurl = "{index}"\ndefault = true\n', "")


def lock(root: Path) -> None:
    (root / "uv.lock").unlink()
    uv.lock(root)


def refused(root: Path, kind: type[NixgenError]) -> str:
    with pytest.raises(kind) as caught:
        lock(root)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize("pinned", [None, "3.99"])
def test_the_python_that_runs_nixgen_serves(tmp_path: Path, pinned: str | None) -> None:
    root = project(tmp_path / "demo")
    if pinned:
        (root / ".python-version").write_text(f"{pinned}\n")
    lock(root)
    assert 'name = "demo"' in (root / "uv.lock").read_text()


def test_another_python_is_looked_for_where_that_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(old))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    lock(project(tmp_path / "demo"))


@pytest.mark.heavy
def test_without_a_python_none_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(one: Asked, _body: bytes) -> Reply:
        asked.append(one.path)
        return Reply(404)

    with listen(answer) as address:
        monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", address)
        lock(root := project(tmp_path / "demo", requires=">=3.14,<3.15"))
        text = (root / "pyproject.toml").read_text().replace('version = "1"', 'dynamic = ["version", "dependencies"]')
        (root / "pyproject.toml").write_text(text.replace("dependencies = []", ""))  # to be asked of a build
        said = refused(root, MachineError)
    assert asked == []
    assert said == (
        "uv: No interpreter found for Python ==3.14.* in managed installations or search path\n"
        "  hint: install one (with uv: uv python install '==3.14.*'), and run the command again"
    )


def test_what_uv_cannot_solve_is_said_without_a_python_too(tmp_path: Path) -> None:
    """It was "No interpreter found" on a machine with one Python, also where a later one would have served."""
    with listen(lambda _asked, _body: Reply(404)) as address:
        said = refused(project(tmp_path / "demo", "six", requires=">=3.99", index=f"{address}/simple"), UserError)
    assert "Because six was not found" in said


def test_a_user_who_lets_uv_download_pythons_is_not_overruled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "automatic")
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:1")
    assert "Failed to download" in refused(project(tmp_path / "demo", requires=">=3.14,<3.15"), MachineError)


def test_a_network_that_does_not_answer_is_the_machines_matter(tmp_path: Path) -> None:
    said = refused(project(tmp_path / "demo", "six"), MachineError)
    assert said.startswith("uv: Failed to fetch: http://127.0.0.1:1/simple/six/; error sending request for url")
    assert said.endswith(f"\n  hint: {NETWORK}")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, MachineError),
        (503, MachineError),
        (429, MachineError),
        (404, UserError),
        (401, UserError),
        (410, UserError),
    ],
)
def test_what_a_server_answers(tmp_path: Path, status: int, kind: type[NixgenError]) -> None:
    with listen(lambda _asked, _body: Reply(status)) as address:
        said = refused(project(tmp_path / "demo", "six", index=f"{address}/simple"), kind)
    assert "six" in said


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        ("error: Failed to fetch: https://a.example.org/x\n  cause: dns error\n  cause: no address", MachineError),
        ("error: Failed to fetch: https://a.example.org/x\n  cause: operation timed out", MachineError),
        ("error: Request failed after 3 retries \n  cause: Failed to download x", MachineError),
        ("error: Failed to download `six==1`\n  Caused by: Connection reset by peer (os error 104)", MachineError),
        ("error: Failed to extract archive\n  cause: No space left on device (os error 28)", MachineError),
        ("error: Failed to write to the cache\n  cause: Permission denied (os error 13)", MachineError),
        ("error: No solution found when resolving dependencies\n  cause: Because six was not found", UserError),
        ("error: Failed to parse: pyproject.toml\n  cause: TOML parse error", UserError),
        ("error: Failed to build `dns-error==1`\n  cause: it timed out on purpose", UserError),
    ],
)  # fmt: skip
def test_whose_matter_a_failure_is(printed: str, kind: type[NixgenError]) -> None:
    assert type(uv.explained(Result(("uv", "lock"), 2, "", printed))) is kind


def test_a_uv_that_says_nothing_is_shown_as_it_is() -> None:
    assert isinstance(uv.explained(Result(("uv", "lock"), 2, "", "Segmentation fault")), MachineError)


def test_what_uv_says_of_its_own_words_is_shown_line_by_line(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    for words, said in (
        (
            ("add", "--dev"),
            "the following required arguments were not provided:\n<PACKAGES|--requirements <REQUIREMENTS>>",
        ),
        (("remove", "nosuch"), "The dependency `nosuch` could not be found in `project.dependencies`"),
    ):
        with pytest.raises(UserError) as caught:
            uv.change(root, *words)
        assert str(caught.value) == f"uv: {said}\n  hint: uv {words[0]} --help"
