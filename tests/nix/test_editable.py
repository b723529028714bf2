"""Directory sources: importable from the work tree and from a copy in the store, with metadata and entry points."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from lab import SITE, Lab, rows
from support.nix import ROOT, SYSTEM
from test_wheels import digest

METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: 0.1.0\n"


def tree(name: str, path: str, root: str, modules: list[str], entry_points: str = "") -> dict[str, Any]:
    return {
        "name": name, "version": "0.1.0", "path": path, "roots": [root], "modules": modules, "systems": [SYSTEM],
        "metadata": METADATA.format(name=name), "entryPoints": entry_points,
    }  # fmt: skip


POINTS = "[console_scripts]\nsprout = src_layout.main : run.now [extra]\n[gui_scripts]\nsprout-window = flat:show\n"
TREES = [
    tree("flat-layout", ".", ".", ["flat", "single"], "[console_scripts]\nflat = flat:show\n"),
    tree("src.layout", "packages/src", "packages/src/src", ["src_layout"], POINTS),
]


@pytest.fixture(scope="module")
def root(lab: Lab) -> Path:
    """A work tree with a flat project and, in a folder, one with a src layout."""
    folder = lab.folder / "work"
    for path, text in {
        "flat/__init__.py": "def show():\n    print('flat', __file__)\n",
        "single.py": "ONE = 1\n",
        "unrelated/data.bin": "not copied",
        "packages/src/src/src_layout/__init__.py": "",
        "packages/src/src/src_layout/main.py": "class run:\n    now = staticmethod(lambda: print('sprout'))\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def growing(lab: Lab) -> Lab:
    return lab.with_arguments(trees=TREES)


@pytest.fixture(scope="module")
def environment(growing: Lab, root: Path) -> Path:
    return growing.environment(root=root)


def venv_in(growing: Lab, root: Path, place: Path) -> Path:
    """A venv over the environment for the code in ``root``, made where it is used."""
    environment = growing.nix.real(growing.environment(root=root)) / SITE / "_nixgen.pth"
    links = environment.read_text().splitlines()[0].partition("/lib/")[0]
    roots = [one for tree in TREES for one in tree["roots"]]
    code = (
        "import sys; sys.path[0], target, links, root, name, *roots = sys.argv[1:]; import ownvenv; "
        "ownvenv.make(target, links, root, roots, name)"
    )
    growing.python(Path(links), code, f"{ROOT}/nix/builders/own", str(place), links, str(root), "demo", *roots)
    return place


CODE = "import flat, single, src_layout.main; print(flat.__file__, single.__file__, src_layout.main.__file__)"


@pytest.mark.parametrize("place", ["work/.venv", "elsewhere/venv", "a place with spaces/venv"])
def test_a_venv_imports_both_layouts_from_the_work_tree(growing: Lab, root: Path, place: str) -> None:
    """Case 5: by its own path, whatever is set and wherever one stands."""
    shutil.rmtree(growing.folder / place, ignore_errors=True)
    venv = venv_in(growing, root, growing.folder / place)
    said = growing.python(venv, CODE).stdout.rstrip()
    assert said == f"{root}/flat/__init__.py {root}/single.py {root}/packages/src/src/src_layout/main.py"
    (root / "single.py").write_text("ONE = 'another'\n")
    assert growing.python(venv, "import single; print(single.ONE)").stdout == "another\n"
    (root / "single.py").write_text("ONE = 1\n")
    assert growing.nix.inside(f"{venv}/bin/sprout").stdout == "sprout\n"
    for script in ("flat", "sprout-window"):
        assert growing.nix.inside(f"{venv}/bin/{script}", cwd=Path("/")).stdout == f"flat {root}/flat/__init__.py\n"


def test_a_moved_project_takes_its_venv_along(growing: Lab, root: Path) -> None:
    shutil.rmtree(growing.folder / "work/.venv", ignore_errors=True)
    venv_in(growing, root, growing.folder / "work/.venv")
    shutil.copytree(root, growing.folder / "moved", symlinks=True)
    said = growing.python(growing.folder / "moved/.venv", "import single; print(single.__file__)").stdout
    assert said == f"{growing.folder}/moved/single.py\n"
    shutil.rmtree(growing.folder / "moved")


def test_a_result_has_its_code_with_it(growing: Lab, environment: Path, root: Path) -> None:
    """Case 5: `result/bin/flat`."""
    said = growing.python(environment, CODE).stdout.split()
    assert {path.split("/", 4)[3].partition("-")[2] for path in said} == {"demo-source"}
    assert growing.nix.inside(f"{environment}/bin/sprout", cwd=Path("/")).stdout == "sprout\n"
    link = growing.folder / "result"
    link.unlink(missing_ok=True)
    link.symlink_to(environment)
    assert growing.nix.inside(f"{link}/bin/flat", cwd=root).stdout == f"flat {said[0]}\n"


def test_wheels_come_before_the_work_tree(growing: Lab, root: Path) -> None:
    """As an editable install: its folders stand behind site-packages."""
    shutil.rmtree(growing.folder / "work/.venv", ignore_errors=True)
    venv = venv_in(growing, root, growing.folder / "work/.venv")
    path = growing.python(venv, "import sys; print(*sys.path)").stdout.split()
    assert path[-4].startswith("/nix/store/")
    assert path[-3:] == [f"{venv}/{SITE}", str(root), f"{root}/packages/src/src"]
    # What something else puts into the venv comes first: that is what it wanted.
    (venv / SITE / "single.py").write_text("ONE = 'put there'\n")
    assert growing.python(venv, "import single; print(single.ONE)").stdout == "put there\n"


def test_metadata_of_the_trees(growing: Lab, environment: Path) -> None:
    code = (
        "from importlib import metadata\n"
        "answer = {d.name: [d.version, d.read_text('INSTALLER'), [e.value for e in d.entry_points]]\n"
        "          for d in metadata.distributions()}"
    )
    assert growing.value(environment, code) == {
        "flat-layout": ["0.1.0", "nixgen\n", ["flat:show"]],
        "src.layout": ["0.1.0", "nixgen\n", ["src_layout.main : run.now [extra]", "flat:show"]],
    }
    where = "from importlib import metadata; answer = str(metadata.distribution('src.layout').locate_file(''))"
    assert growing.value(environment, where).startswith("/nix/store/")
    linked = growing.nix.real(environment) / SITE / "src_layout-0.1.0.dist-info"
    info = growing.nix.real((linked / "RECORD").readlink()).parent
    record = rows(info / "RECORD")
    for name in ("INSTALLER", "METADATA", "entry_points.txt"):
        content = (info / name).read_bytes()
        assert record[f"{info.name}/{name}"] == (digest(content), str(len(content)))
    assert set(record) == {f"{info.name}/{path.name}" for path in info.iterdir()}


def test_the_check_imports_the_trees_from_a_copy_of_what_is_importable(growing: Lab, root: Path) -> None:
    built = growing.build("imports", root=root)
    assert growing.nix.real(built).read_text().split() == ["flat", "single", "src_layout"]
    (root / "unrelated/data.bin").write_text("changed")
    assert growing.build("imports", root=root) == built
    (root / "flat/added.py").write_text("")
    assert growing.build("imports", root=root) != built
    (root / "flat/added.py").unlink()


def test_a_tree_that_does_not_import_is_named(growing: Lab, root: Path) -> None:
    (root / "flat/__init__.py").write_text("import nowhere\n")
    try:
        printed = growing.failure("imports", root=root)
    finally:
        (root / "flat/__init__.py").write_text("def show():\n    print('flat', __file__)\n")
    assert "  flat (of flat-layout): " in printed
    assert "ModuleNotFoundError: No module named 'nowhere'" in printed
