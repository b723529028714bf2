"""The same bytes whatever the machine is set to: cores, time zone, umask, language, home, and the version of Nix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab
    from support.nix import Nix


BUSY = {
    f"busy/module_{number}.py": f"X = {number}\nNAMES = {{'a', 'b', 'c', {number}}}\n" * 2000 for number in range(8)
}
BUSY["busy/__init__.py"] = "def f(x):\n    return x in {'one', 'two', 'three', 'four'}\n"
OTHERS = ({"cores": "1", "TZ": "Asia/Kathmandu", "LANG": "C"}, {"cores": "2", "TZ": "UTC", "LANG": "tr_TR.UTF-8"})


def again(nix: Nix, expression: str, home: Path, other: dict[str, str], mask: int) -> None:
    """Builds what is built already once more, and compares (nix-build --check)."""
    changed = nix.with_settings(cores=other["cores"]).with_env(
        TZ=other["TZ"], LANG=other["LANG"], LC_ALL=other["LANG"], HOME=str(home)
    )
    before = os.umask(mask)
    try:
        changed.run("nix-build", "--no-out-link", "--check", "-E", expression)
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def busy(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "busy", "1.0", BUSY, entry_points="[console_scripts]\nbusy = busy:f\n")


def test_every_kind_of_derivation_is_built_the_same_again(each_lab: Lab, busy: Path, tmp_path: Path) -> None:
    """The base from its .debs, a wheel that several processes install, the environment, the shell and its setup."""
    project = each_lab.expression([busy])
    everything = f"with ({project}); [ base.core wheels.busy environment shell.stdenv shell imports formatter ]"
    each_lab.nix.run("nix-build", "--no-out-link", "-E", everything)
    for other, mask in zip(OTHERS, (0o077, 0o002), strict=True):
        again(each_lab.nix, everything, tmp_path, other, mask)


def test_both_versions_of_nix_make_the_same(lab: Lab, lab_new: Lab, busy: Path) -> None:
    closures = []
    for one in (lab, lab_new):
        environment = one.environment(busy)
        closures.append({path: one.nix.nar_hash(path) for path in one.nix.requisites(environment)})
    assert closures[0] == closures[1]
    assert len(closures[0]) >= 3
