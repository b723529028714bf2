"""examples/notebook: over 110 wheels, each module imported in the sandbox, each library used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.nix import ROOT, SHELL, SYSTEM, Nix, same_everywhere
from support.project import Project

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.example("notebook", tmp_path_factory.mktemp("notebook"))


def test_the_notebook_is_the_same_in_both_versions_of_nix(notebook: Project, both_nix: tuple[Nix, Nix]) -> None:
    closure = same_everywhere(notebook.folder, both_nix, "environment")
    assert len(closure) > 110


@pytest.mark.one_nix
def test_every_module_of_the_notebook_imports_in_the_sandbox(notebook: Project, nix: Nix) -> None:
    nix.with_settings(sandbox_paths=SHELL).build(notebook.folder, "imports")


def test_a_data_scientists_day(notebook: Project, nix: Nix, tmp_path: Path) -> None:
    said = nix.develop(notebook.folder, "python", "day.py", HOME=str(tmp_path)).stdout
    readme = (ROOT / "examples" / "notebook" / "README.md").read_text()
    shown = readme.split("```\n")[-2].splitlines()
    printed = [line for line in said.splitlines() if line]
    assert [line.rsplit(" from /", 1)[0] for line in printed] == [line.rsplit(" from /", 1)[0] for line in shown]
    assert f" from {notebook.folder}/.venv-" in said
    assert (notebook.folder / "iris.png").read_bytes().startswith(PNG)


RUN = """
import json, sys, nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in sys.argv[2:]])
NotebookClient(book, kernel_name=sys.argv[1], timeout=600, startup_timeout=600).execute()
print(json.dumps([sorted(KernelSpecManager().get_all_specs()), [cell.outputs[0].text for cell in book.cells]]))
"""


@pytest.mark.one_nix
def test_a_notebook_runs_in_the_projects_kernel(notebook: Project, nix: Nix, tmp_path: Path) -> None:
    """By Jupyter's own client, started outside of the shell: what VS Code and PyCharm do."""
    user = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}
    done = nix.nixgen("kernel", "install", cwd=notebook.folder, **user)
    assert done.ok, done.tail()
    cells = ("import os, pandas; print(pandas.__name__, os.environ['NIXGEN_ROOT'])", "print(os.getcwd())")
    python = nix.build(notebook.folder, "environment") / "bin/python"
    user["JUPYTER_PREFER_ENV_PATH"] = "0"  # not that environment's own kernel of the same name
    said = nix.inside(python, "-c", RUN, "nixgen-notebook", *cells, cwd=tmp_path, **user).stdout
    kernels, printed = json.loads(said.splitlines()[-1])
    assert {"nixgen-notebook", "python3"} <= set(kernels)
    assert printed == [f"pandas {notebook.folder}\n", f"{tmp_path}\n"]
