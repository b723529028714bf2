"""nixgen.seed_everything: by itself, as a project has it, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nixgen
from nixgen.runs import seeding

BEGIN = "from nixgen import seed_everything as seed\n"
FRAMEWORKS = {
    "numpy": "class random:\n    seed = print\n",
    "torch": "class backends:\n    class cudnn: benchmark = True\n"
    "class version: cuda = None\n"
    "def manual_seed(seed): print('torch', seed)\n"
    "def use_deterministic_algorithms(mode, warn_only): print('deterministic', mode, warn_only)\n",
    "tensorflow": "class random:\n    def set_seed(seed): print('tensorflow', seed)\n"
    "class config:\n    class experimental:\n        def enable_op_determinism(): print('determinism')\n",
    "jax": "",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for imports as an environment has it: nixgen is this one file."""
    (tmp_path / "site/nixgen").mkdir(parents=True)
    (tmp_path / "site/nixgen/__init__.py").write_bytes(Path(seeding.__file__).read_bytes())
    return tmp_path / "site"


def run(place: Path, code: str, *options: str, **variables: str) -> tuple[str, list[dict[str, Any]]]:
    """What the code prints, and what it notes for the record."""
    note = place.parent / "note"
    note.unlink(missing_ok=True)
    env = {"PATH": os.defpath, "PYTHONPATH": str(place), "NIXGEN_RUN_SEEDS": str(note), **variables}
    done = subprocess.run(
        [sys.executable, "-S", *options, "-c", BEGIN + code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = note.read_text().splitlines() if note.exists() else []
    return done.stdout + done.stderr, [json.loads(line) for line in lines]


def frameworks(place: Path, *names: str) -> None:
    for name in names:
        (place / name).mkdir()
        (place / name / "__init__.py").write_text(FRAMEWORKS[name])


def test_the_same_chance_twice_without_any_framework(place: Path) -> None:
    code = "import random; print(seed(7), random.random(), hash('a'))"
    first, noted = run(place, code, PYTHONHASHSEED="7")
    assert run(place, code, PYTHONHASHSEED="7") == (first, noted)
    assert first.startswith("7 0.32383276483316237 ")
    assert noted == [
        {
            "seed": 7,
            "variables": {"NIXGEN_SEED": "7"},
            "libraries": {"random": "7"},
            "deterministic": False,
            "nondeterministic": [],
        }
    ]


def test_the_seed_of_the_run_counts_and_without_one_a_new_one_is_noted(place: Path) -> None:
    assert run(place, "print(seed())", NIXGEN_SEED="8")[0] == "8\n"
    assert run(place, "print(seed(9))", NIXGEN_SEED="8")[0] == "9\n"
    printed, noted = run(place, "print(seed())")
    assert int(printed) == noted[0]["seed"]
    assert noted[0]["nondeterministic"] == [
        "the order of sets of texts: start Python with PYTHONHASHSEED (nixgen run --seed)"
    ]
    assert noted[0]["variables"]["PYTHONHASHSEED"] == str(noted[0]["seed"])


def test_frameworks_are_seeded_when_they_are_imported_and_not_for_this(place: Path) -> None:
    frameworks(place, *FRAMEWORKS)
    code = "import sys; seed(7); print([name for name in sys.modules if name in {'torch', 'numpy', 'jax'}])\n"
    code += "import importlib.util as u; u.find_spec('torch'); print('found')\nimport numpy, torch, tensorflow, jax"
    printed, noted = run(place, code, PYTHONHASHSEED="7")
    assert printed == "[]\nfound\n7\ntorch 7\ntensorflow 7\n"
    assert {name for line in noted for name in line["libraries"]} == {"random", *FRAMEWORKS}
    before, _ = run(place, "import numpy, torch; print('there'); seed(7); seed(8)", PYTHONHASHSEED="7")
    assert before == "there\n7\ntorch 7\n8\ntorch 8\n"


def test_a_second_seed_replaces_the_first_for_what_is_not_imported_yet(place: Path) -> None:
    frameworks(place, "torch")
    assert (
        run(place, "seed(7); import importlib.util as u; u.find_spec('torch'); seed(8); import torch")[0] == "torch 8\n"
    )


@pytest.mark.parametrize(("asked", "warn"), [("True", "False"), ("'warn'", "True")])
def test_deterministic_algorithms(place: Path, asked: str, warn: str) -> None:
    frameworks(place, "torch", "tensorflow", "jax")
    code = f"seed(7, deterministic={asked}); import torch, tensorflow, jax, os; print(torch.backends.cudnn.benchmark)\n"
    code += "print(os.environ['CUBLAS_WORKSPACE_CONFIG'], os.environ['XLA_FLAGS'])"
    printed, noted = run(place, code, PYTHONHASHSEED="7", XLA_FLAGS="--a=b")
    assert printed == (
        f"torch 7\ndeterministic True {warn}\ntensorflow 7\ndeterminism\nFalse\n"
        ":4096:8 --a=b --xla_gpu_deterministic_ops=true\n"
    )
    assert all(line["deterministic"] for line in noted)
    assert noted[0]["variables"].keys() == {"NIXGEN_SEED", "CUBLAS_WORKSPACE_CONFIG", "XLA_FLAGS"}
    kept, _ = run(place, code, CUBLAS_WORKSPACE_CONFIG=":16:8", XLA_FLAGS="--xla_gpu_deterministic_ops=false")
    assert ":16:8 --xla_gpu_deterministic_ops=false\n" in kept


def test_a_framework_that_cannot_be_seeded_is_told_and_imported(place: Path) -> None:
    (place / "torch.py").write_text("")
    printed, noted = run(place, "seed(7); import torch; print(torch.__name__)")
    assert "warning: seed_everything: torch: could not be seeded: AttributeError: " in printed
    assert printed.startswith("torch\n")
    assert noted[-1]["nondeterministic"][0].startswith("torch: could not be seeded: AttributeError")


def test_a_framework_that_fails_to_import_fails_as_without(place: Path) -> None:
    (place / "torch.py").write_text("raise ValueError('own')")
    code = "seed(7)\nfor _ in range(2):\n  try: import torch\n  except ValueError as e: print(e)\n"
    code += "try: import jax\nexcept ImportError as e: print(e)"
    assert run(place, code)[0] == "own\nown\nNo module named 'jax'\n"


@pytest.mark.parametrize("seed", ["-1", "1 << 32", "'7'", "7.0", "True"])
def test_what_is_no_seed(place: Path, seed: str) -> None:
    code = f"try: seed({seed})\nexcept ValueError as e: print(e)"
    assert "not a whole number from 0 to 4294967295" in run(place, code)[0]


def test_a_note_that_cannot_be_written_is_no_reason_to_stop(place: Path) -> None:
    assert run(place, "print(seed(7))", NIXGEN_RUN_SEEDS="/nowhere/note")[0] == "7\n"


def test_the_package_has_it_too_and_imports_nothing_for_it() -> None:
    assert nixgen.seed_everything is seeding.seed_everything
    code = "import nixgen, sys; assert 'nixgen.runs' not in sys.modules; nixgen.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("AttributeError: module 'nixgen' has no attribute 'nothing'\n")
