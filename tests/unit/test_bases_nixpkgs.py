"""Pins of nixpkgs, and how flake.lock names them."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from support.project import Project

from nixgen.bases import nixpkgs
from nixgen.bases.model import NixpkgsBase
from nixgen.bases.python import default_systems
from nixgen.errors import UserError
from nixgen.lock import fit
from nixgen.lock.lockfile import dump_lock, read_lock
from nixgen.lock.model import Lock
from nixgen.nix.templates import base_nix
from nixgen.project.project import find_project
from nixgen.project.settings import SYSTEMS, Settings

REV = "0123456789abcdef0123456789abcdef01234567"
HASH = "sha256-" + base64.b64encode(b"h" * 32).decode()


@pytest.mark.parametrize("pin", nixpkgs.PINS.values(), ids=lambda pin: pin.name)
def test_every_pin_is_well_formed(pin: nixpkgs.Pin) -> None:
    assert nixpkgs.PINS[pin.name] is pin
    assert len(pin.rev) == 40
    assert set(pin.rev) <= set("0123456789abcdef")
    kind, _, text = pin.nar_hash.partition("-")
    assert (kind, len(base64.b64decode(text, validate=True))) == ("sha256", 32)
    assert pin.pythons == tuple(sorted(pin.pythons, key=lambda version: int(version[2:]), reverse=True))
    assert Settings.parse({"nixpkgs": pin.name}).nixpkgs == pin.name


def test_the_default() -> None:
    assert nixpkgs.resolve_base(Settings(libraries=("ffmpeg",), tools=("git",)), "3.13") == NixpkgsBase(
        name="nixos-26.05",
        rev="5880666fd9eb563038431edb35c2d0aa595884e6",
        nar_hash="sha256-OURZPknrTjQrlNyxPdqzyqmU/81Wes1CUP/Ft1Rv/YI=",
        last_modified=1787204541,
        glibc="2.42",
        python="3.13",
        libraries=("ffmpeg",),
        tools=("git",),
    )


def test_a_known_pin_in_flake_lock() -> None:
    base = nixpkgs.resolve_base(Settings(nixpkgs="nixos-unstable"), "3.14")
    assert nixpkgs.flake_url(base) == "github:NixOS/nixpkgs/nixos-unstable"
    assert nixpkgs.flake_node(base) == {
        "locked": {
            "lastModified": 1781577229,
            "narHash": "sha256-lrp67w8AulE9Ks53n27I45ADSzbOCn4H+CNW1Ck8B+8=",
            "owner": "NixOS",
            "repo": "nixpkgs",
            "rev": "567a49d1913ce81ac6e9582e3553dd90a955875f",
            "type": "github",
        },
        "original": {"owner": "NixOS", "ref": "nixos-unstable", "repo": "nixpkgs", "type": "github"},
    }


def test_a_revision_of_ones_own() -> None:
    base = nixpkgs.resolve_base(Settings(nixpkgs={"rev": REV, "narHash": HASH}), "3.13")
    assert (base.name, base.glibc, base.last_modified) == ("0123456789ab", "2.39", 0)
    assert nixpkgs.flake_url(base) == f"github:NixOS/nixpkgs/{REV}"
    node = nixpkgs.flake_node(base)
    assert "lastModified" not in node["locked"]
    assert node["original"] == {"owner": "NixOS", "repo": "nixpkgs", "rev": REV, "type": "github"}


def test_a_revision_with_its_time_is_one_that_nix_finds_in_the_store() -> None:
    """Case 68: without it Nix 2.8 downloads again what it has."""
    base = nixpkgs.resolve_base(Settings(nixpkgs={"rev": REV, "narHash": HASH, "lastModified": 1700000000}), "3.13")
    assert nixpkgs.flake_node(base)["locked"]["lastModified"] == 1700000000


def test_the_systems_follow_the_pin() -> None:
    mac = {"x86_64-darwin"}
    assert default_systems(Settings()) == SYSTEMS
    assert set(SYSTEMS) - set(default_systems(Settings(nixpkgs="nixos-unstable"))) == mac
    pin = nixpkgs.PINS["nixos-unstable"]
    assert default_systems(Settings(nixpkgs={"rev": pin.rev, "narHash": pin.nar_hash})) == pin.systems
    assert default_systems(Settings(nixpkgs={"rev": REV, "narHash": HASH})) == SYSTEMS
    assert default_systems(Settings(base="debian")) == ("aarch64-linux", "x86_64-linux")
    assert default_systems(Settings(systems=("x86_64-linux",))) == ("x86_64-linux",)


def test_a_known_revision_is_recognised() -> None:
    pin = nixpkgs.PINS["nixos-26.05"]
    base = nixpkgs.resolve_base(Settings(nixpkgs={"rev": pin.rev, "narHash": pin.nar_hash}), "3.13")
    assert (base.name, base.glibc, base.last_modified) == (pin.name, pin.glibc, pin.last_modified)


def test_what_is_not_free_is_allowed_in_the_lock_and_in_nix(tmp_path: Path) -> None:
    project = Project.make(tmp_path, more="\n[tool.nixgen]\nunfree = true\n").folder
    (project / "uv.lock").write_text('version = 1\nrequires-python = ">=3.11"\n')
    found = find_project(project)
    base = replace(nixpkgs.resolve_base(found.settings, "3.13"), unfree=True)
    text = dump_lock(Lock(base))
    assert '"unfree": true' in text
    (project / "nixgen.lock").write_text(text)
    assert read_lock(project / "nixgen.lock").base == base
    assert "  unfree = true;\n" in base_nix(base, ("x86_64-linux",), None)
    assert fit.problems(replace(found.settings, python="3.13"), Lock(base)) == []
    (problem,) = fit.problems(replace(found.settings, python="3.13", unfree=False), Lock(base))
    assert problem.what == "was made for unfree true, and the settings say false"


@pytest.mark.parametrize(
    ("settings", "python", "expected"),
    [
        (
            Settings(nixpkgs="nixos-19.03"),
            "3.13",
            (
                'pyproject.toml: tool.nixgen.nixpkgs: "nixos-19.03" is not a pin that nixgen knows\n'
                "  hint: use one of nixos-26.05, nixos-unstable, or a revision with its hash: "
                '{rev = "…", narHash = "sha256-…"}'
            ),
        ),
        (
            Settings(),
            "3.9",
            "pyproject.toml: tool.nixgen.python: nixos-26.05 has no Python 3.9\n"
            "  hint: use one of 3.14, 3.13, 3.12, 3.11",
        ),
    ],
)
def test_what_is_not_there(settings: Settings, python: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        nixpkgs.resolve_base(settings, python)
    assert str(caught.value) == expected
