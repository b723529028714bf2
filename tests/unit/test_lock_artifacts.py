"""nixgen lock, generate and init of a project with a models.toml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.world import NEW, TOML, World

from nixgen.artifacts import sources
from nixgen.bases.model import NixpkgsBase
from nixgen.errors import UserError
from nixgen.generate import planning
from nixgen.init import setup
from nixgen.lock import lockfile, pinning
from nixgen.lock.model import Lock
from nixgen.lock.pinning import Options
from nixgen.project.project import find_project


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(sources, "resolve", made.resolve)
    monkeypatch.setattr(sources, "fetch", made.fetch)
    return made


@pytest.fixture
def project(tmp_path: Path, world: World) -> Path:
    """A uv project without dependencies on the nixpkgs base, with two models; ``world`` answers for them."""
    assert world.asked == []
    text = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n[tool.nixgen]\npython = "3.13"\n'
    (tmp_path / "pyproject.toml").write_text(text + "[tool.uv]\npackage = false\n")
    (tmp_path / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "demo"\nversion = "1"\nsource = { virtual = "." }\n'
    )
    (tmp_path / "models.toml").write_text(TOML)
    return tmp_path


def nixgen_lock(root: Path, **options: Any) -> Lock:
    return pinning.lock(find_project(root), Options(**options))


def refused(root: Path) -> list[str]:
    with pytest.raises(UserError) as raised:
        planning.read_pins(find_project(root))
    return [str(problem).replace("\n  hint: ", " | ") for problem in raised.value.problems]


def test_lock_and_generate_together(project: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    made = nixgen_lock(project)
    assert lockfile.read_lock(project / "nixgen.lock") == made
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Pinned models.minilm: hf:org/minilm main at aaaaaaaaaaaa, 3 files, 6 B.",
        "Pinned models.vad: https://models.example.org/vad.onnx, 1 file, 1 B.",
        "wrote nixgen.lock",
        "then, to set the project up: nixgen init",
    ]
    assert planning.read_pins(find_project(project)).lock == made
    plan = planning.plan(find_project(project), planning.read_pins(find_project(project)))
    assert plan.artifacts == made.artifacts
    nixgen_lock(project)
    assert capsys.readouterr().err == "nixgen.lock: nothing to do, every pin still fits.\n"
    world.commits["main"] = NEW
    assert isinstance(made.base, NixpkgsBase)
    older = replace(made, base=replace(made.base, rev="0" * 40))
    (project / "nixgen.lock").write_text(lockfile.dump_lock(older))
    moved = nixgen_lock(project, upgrade=True, names=("minilm",))
    assert (moved.base, moved.artifacts[0].commit) == (older.base, NEW)
    assert capsys.readouterr().err.splitlines()[:2] == [
        "Pinned models.minilm: hf:org/minilm main at bbbbbbbbbbbb, 3 files, 8 B.",
        "  commit: aaaaaaaaaaaa → bbbbbbbbbbbb",
    ]
    assert nixgen_lock(project, upgrade=True).base == made.base


def test_names_without_upgrade_say_what_was_meant(project: Path) -> None:
    with pytest.raises(UserError) as raised:
        nixgen_lock(project, names=("minilm",))
    assert str(raised.value) == (
        "nixgen lock: takes names of models and data only to upgrade them\n  hint: nixgen lock --upgrade minilm"
    )


def test_a_mirror_is_for_the_debian_base(project: Path) -> None:
    """Case 23."""
    with pytest.raises(UserError) as raised:
        nixgen_lock(project, mirrors=("https://mirror.example.org/debian",))
    assert str(raised.value) == (
        "--mirror: is for the debian base, and this project has the base nixpkgs\n  hint: leave it out"
    )


def test_generate_refuses_when_models_toml_is_ahead(project: Path) -> None:
    nixgen_lock(project)
    toml = TOML.replace('"main"', '"v1"\ninclude = ["*.json"]').replace("[models.vad]", "[models.vax]")
    (project / "models.toml").write_text(toml + 'layout = "hf"\nrepo = "org/vad"\n[data.a]\nsource = "a.csv"\n')
    assert refused(project) == [
        "models.toml: models.minilm.revision: is v1, and nixgen.lock was made for main | nixgen sync",
        "models.toml: models.minilm.include: is *.json, and nixgen.lock was made for none | nixgen sync",
        "models.toml: models.vax: is not pinned in nixgen.lock | nixgen sync",
        "models.toml: data.a: is not pinned in nixgen.lock | nixgen sync",
        "nixgen.lock: models.vad: is pinned, and models.toml does not have it | nixgen sync",
    ]
    (project / "models.toml").write_text(TOML + 'layout = "hf"\nrepo = "org/vad"\n')
    assert refused(project) == [
        "models.toml: models.vad.layout: is hf, and nixgen.lock was made for plain | nixgen sync"
    ]


def test_init_pins_what_models_toml_asks_for(project: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    setup.init(project, setup.Options(systems=("x86_64-linux",)))
    assert "Pinned models.minilm: hf:org/minilm main at aaaaaaaaaaaa, 3 files, 6 B.\n" in capsys.readouterr().err
    assert (project / "models.toml").read_text() == TOML
    world.asked.clear()
    setup.init(project, setup.Options())
    assert world.asked == []
    (project / "models.toml").write_text(TOML + '[models.b]\nsource = "hf:org/b"\n')
    setup.init(project, setup.Options())
    assert world.asked == [("b", None)]
    assert len(lockfile.read_lock(project / "nixgen.lock").artifacts) == 3


def test_generate_tells_what_is_wrong_in_models_toml(project: Path) -> None:
    nixgen_lock(project)
    (project / "models.toml").write_text("version = 1\nx = 1\n")
    assert refused(project) == [
        "models.toml: x: is not a key of models.toml | known are data, models, services, version"
    ]
