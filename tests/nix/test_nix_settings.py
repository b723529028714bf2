"""`nixgen doctor` with a real Nix: what it tells of its settings, in each version's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.nix import Nix


def test_settings_and_features_are_read_of_each_nix(nix: Nix, tmp_path: Path) -> None:
    def found(nix: Nix) -> tuple[dict[str, str], set[str]]:
        told = json.loads(nix.nixgen("doctor", "--json", "--offline", cwd=tmp_path, HOME=str(tmp_path)).stdout)
        assert told["machine"]["nix"] in {None, ".".join(map(str, nix.version))}
        return {one["id"]: one["severity"] for one in told["findings"]}, set(told["fine"])

    faults, fine = found(nix)
    assert not {"nix", "flakes", "sandbox", "build-users", "daemon"} & faults.keys()
    assert {"nix", "flakes", "sandbox", "build-users", "daemon"} <= fine
    faults, _ = found(nix.with_settings(experimental_features="flakes", sandbox="false", build_users_group="nobodies"))
    assert (faults["flakes"], faults["sandbox"], faults["build-users"]) == ("warning", "warning", "error")
    faults, _ = found(nix.with_settings(max_jobs="many"))
    assert faults["nix"] == "error"  # it does not even tell its version
