"""What the bases say before anything is pinned."""

from __future__ import annotations

from nixgen import bases
from nixgen.settings import Settings

DEBIAN = Settings(base="debian")
NIXPKGS = Settings()


def test_the_best_python_is_the_newest_of_a_stable_suite() -> None:
    assert bases.known_pythons(DEBIAN) == ("3.13", "3.11", "3.14")
    assert bases.known_pythons(Settings(base="debian", suite="bookworm")) == ("3.11",)
    assert bases.known_pythons(Settings(base="debian", suite="forky")) == ("3.14", "3.13")
    assert bases.known_pythons(NIXPKGS) == ("3.14", "3.13", "3.12", "3.11")


def test_glibc() -> None:
    assert bases.default_glibc(DEBIAN, "3.11") == "2.36"
    assert bases.default_glibc(DEBIAN, "3.14") == "2.43"
    assert bases.default_glibc(NIXPKGS, "3.11") == "2.42"
    assert bases.default_glibc(Settings(nixpkgs={"rev": "0" * 40, "narHash": "x"}), "3.11") == "2.39"
