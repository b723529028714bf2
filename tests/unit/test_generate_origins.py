"""Whose a file is that Nix fetches."""

from __future__ import annotations

from support.plans import DEBIAN_PLAN, MODELS_PLAN

from nixgen.generate.origins import owners
from nixgen.nix.failures import Owner


def test_wheels_and_debian_packages() -> None:
    found = owners(DEBIAN_PLAN)
    assert found["a" * 64] == Owner("numpy 2.4.6", "uv.lock", "nixgen upgrade numpy")
    names = {owner.what for owner in found.values() if owner.lock == "nixgen.lock"}
    assert names == {f"Debian's {deb.name} {deb.version}" for deb in DEBIAN_PLAN.base.debs}  # type: ignore[union-attr]


def test_files_of_models_and_data_and_their_archives() -> None:
    found = owners(MODELS_PLAN)
    assert found["8" * 64] == Owner(
        "models.minilm: config.json",
        "nixgen.lock",
        "nixgen lock --upgrade minilm && nixgen sync",
        "nixgen model fetch minilm",
    )
    assert found["7" * 64].what == "models.vad: its archive"
    assert found["b" * 64].what == "models.vad: vad.onnx"
    assert found["d" * 64].what == "data.sales: 2024/a.parquet"
