"""`nixgen doctor` with a real Nix: what it tells of its settings, in each version's words."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.nix import Nix

DERIVATION = (
    'derivation { name = "a"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }'
)
# All of the machine again, in a folder: neither Nix nor others may make namespaces of users there.
CHROOT = ("sh", "-euc", 'mount --rbind / "$0"; exec chroot "$0" "$@"')


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


def test_in_a_chroot_it_builds_as_the_settings_say(nix: Nix, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can enter a chroot")
    (tmp_path / "root").mkdir()
    (drv,) = nix.run("nix-instantiate", "-E", DERIVATION).stdout.split()
    nix = nix.with_settings(sandbox="false", sandbox_fallback="true")
    asked = f"from nixgen.nix.tools import Nix; Nix.here().realise(['{drv}'])"
    nix.inside(*CHROOT, tmp_path / "root", sys.executable, "-c", asked, cwd=tmp_path)
