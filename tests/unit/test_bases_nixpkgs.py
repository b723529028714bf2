"""Pins of nixpkgs, and how flake.lock names them."""

from __future__ import annotations

import base64

import pytest

from nixgen.bases import nixpkgs
from nixgen.bases.model import NixpkgsBase
from nixgen.errors import UserError
from nixgen.project.settings import Settings

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


def test_a_known_revision_is_recognised() -> None:
    pin = nixpkgs.PINS["nixos-26.05"]
    base = nixpkgs.resolve_base(Settings(nixpkgs={"rev": pin.rev, "narHash": pin.nar_hash}), "3.13")
    assert (base.name, base.glibc, base.last_modified) == (pin.name, pin.glibc, pin.last_modified)


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
