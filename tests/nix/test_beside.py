"""A package that lies beside the project, in the same repository: on real Nix."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, make
from support.nix import SYSTEM, Nix

if TYPE_CHECKING:
    from support.index import Index

pytestmark = pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")

PYPROJECT = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
MORE = """
[tool.uv.sources]
shop = { path = "../../libs/shop", editable = true }
"""
CODE = "import plum, shop; print(shop.__file__)"


@pytest.fixture(scope="module")
def beside(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    root = tmp_path_factory.mktemp("beside") / "mono"
    checked = make(root / "services/demo", pins, plums, nix28)
    (root / "libs/shop/src/shop").mkdir(parents=True)
    (root / "libs/shop/pyproject.toml").write_text(PYPROJECT)
    (root / "libs/shop/src/shop/__init__.py").write_text("KIND = 'shop'\n")
    (root / "unrelated").write_text("not a part of it\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    checked.project.append(MORE)
    checked.project.replace("[tool.nixgen]\n", f"[tool.nixgen]\nsmoke = [\"python -c '{CODE}'\"]\n")
    checked.project.replace('"plum==1.0"', '"plum==1.0", "shop"')
    checked.project.lock()
    checked.project.must("generate")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    return checked


def test_a_package_beside_the_project_is_code_of_the_repository(beside: Checked, nix_new: Nix) -> None:
    root = beside.folder.parent.parent
    words = ("nix-shell", beside.folder / "shell.nix", "--run", f'python -c "{CODE}"')
    own = f"{root}/libs/shop/src/shop/__init__.py\n"
    assert beside.nix.inside(*words, cwd=beside.folder).stdout == own
    inside = nix_new.run("nix", "develop", "-c", "python", "-c", CODE, cwd=beside.folder)
    assert inside.stdout == own
    outside = nix_new.run("nix", "develop", str(beside.folder), "-c", "python", "-c", CODE, cwd=Path("/"))
    assert outside.stdout.startswith("/nix/store/")
    copy = nix_new.real(Path(*Path(outside.stdout).parts[:4]))
    assert {path.name for path in copy.iterdir()} == {"libs"}


def test_it_is_recorded_and_its_metadata_is_looked_at(beside: Checked) -> None:
    beside.check("--update")
    beside.check()
    file = beside.folder.parent.parent / "libs/shop/pyproject.toml"
    file.write_text(file.read_text().replace("1.0", "2.0"))
    done = beside.nix.run("nix-instantiate", "-A", "shell", beside.folder, check=False)
    assert "../../libs/shop/pyproject.toml changed after default.nix was generated" in done.stderr
    file.write_text(file.read_text().replace("2.0", "1.0"))
