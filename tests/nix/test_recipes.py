"""What a check asks of a project: the derivations that are built here by name, and the one root that links them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pinned import COMMIT, Rows
from support.nix import SYSTEM, same_everywhere
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

BASE = ["base.builder", "base.busybox", "base.core", "base.extra"]
WITHOUT_EXTRA = [name for name in BASE if name != "base.extra"]


def recipes(lab: Lab, *wheels: Path) -> dict[str, dict[str, str]]:
    found = lab.nix.evaluate(f"({lab.expression(wheels)}).recipes")
    assert isinstance(found, dict)
    return found


@pytest.fixture
def rows(lab: Lab) -> Rows:
    rows = Rows(lab.index).add("models.minilm", {"config.json": b"{}"}, repo="org/minilm", layout=["hf"])
    rows.add("models.both.plain", {"w.bin": b"1"}, repo="org/both", layout=["plain", "hf"])
    rows.add("models.vad", {"vad.onnx": b"2"})
    return rows.add("data.sales", {"a.csv": b"a\n"}).service("api", "python", models=["vad"])


def test_a_project_of_wheels(each_lab: Lab) -> None:
    wheel = make_wheel(each_lab.wheels, "six", "1.0", {"six.py": ""})
    found = recipes(each_lab, wheel)
    assert sorted(found) == sorted([*WITHOUT_EXTRA, "environment", "root", "shell", "wheels.six"])
    assert found["environment"]["out"] == str(each_lab.environment(wheel))
    assert found["wheels.six"]["drv"].endswith("-six-1.0.drv")
    for recipe in found.values():
        assert sorted(recipe) == ["drv", "out"]


def test_every_folder_of_a_model_is_there_and_the_root_links_all(each_lab: Lab, rows: Rows) -> None:
    lab = rows.on(each_lab)
    found = recipes(lab)
    results = {
        "bytecode-all", "cache", "data-all", "data.sales", "environment", "models-all", "models.both.plain",
        "models.both.plain:hf", "models.minilm", "models.minilm:plain", "models.vad", "services.api", "shell",
    }  # fmt: skip
    assert found.keys() == results | {"root", *WITHOUT_EXTRA}
    root = lab.nix.real(lab.build("root"))
    assert {path.name: str(path.readlink()) for path in root.iterdir()} == {key: found[key]["out"] for key in results}
    assert found["models.minilm"]["out"] == str(lab.build("models.minilm"))
    assert found["models.minilm:plain"]["out"] == str(lab.build("models.minilm.plain"))
    assert COMMIT in str(list(lab.nix.real(found["models.both.plain:hf"]["out"]).rglob("*")))


def test_what_the_root_does_not_link_made_what_it_links(lab: Lab, rows: Rows) -> None:
    lab = rows.on(lab)
    found = recipes(lab, make_wheel(lab.wheels, "six", "1.0", {"six.py": ""}))
    lab.nix.run("nix-instantiate", "-E", f"({lab.expression([lab.wheels / 'six-1.0-py3-none-any.whl'])}).root")
    needed = lab.nix.requisites(found["root"]["drv"])
    assert {recipe["drv"] for recipe in found.values()} <= set(needed)


def test_extra_packages_of_the_base_and_its_own_python_count(lab: Lab) -> None:
    extra = f'(builtins.head pins.debs // {{ part = "extra"; system = "{SYSTEM}"; }})'
    more = f"pins // {{ debs = pins.debs ++ [ {extra} ]; }}"
    found = lab.nix.evaluate(f"builtins.attrNames ({lab.expression(base=more)}).recipes")
    assert [name for name in found if name.startswith("base.")] == [*BASE, "base.launcher"]


def test_all_derivations_are_written_where_nix_is_told_to(lab: Lab, rows: Rows) -> None:
    lab = rows.on(lab).with_arguments(name=f"unseen-{time.time_ns()}")
    options = ("--read-write-mode",)
    found: dict[str, Any] = lab.nix.evaluate(f"({lab.expression()}).recipes", *options)
    assert all(lab.nix.real(recipe["drv"]).exists() for recipe in found.values())


def test_the_root_is_the_same_everywhere(lab: Lab, lab_new: Lab, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text(rows.on(lab).expression())
    assert len(same_everywhere(tmp_path, (lab.nix, lab_new.nix), "root")) > 10


def test_evaluating_takes_steps_that_grow_with_the_number_of_wheels(lab: Lab) -> None:
    """Nothing is evaluated for each pair of wheels: a project ten times as large takes no hundred times as many."""

    def effort(count: int) -> int:
        url = "https://files.example.org"
        wheels = [
            {"name": f"p{n}", "version": "1", "file": f"p{n}-1-py3-none-any.whl", "systems": [SYSTEM],
             "sha256": f"{n:064x}", "url": f"{url}/p{n}-1-py3-none-any.whl"} for n in range(count)
        ]  # fmt: skip
        return lab.nix.effort(f"({lab.with_arguments(wheels=wheels).expression()}).recipes")

    few, half, all_of_them = effort(20), effort(210), effort(400)
    assert all_of_them - half < 1.2 * (half - few)
