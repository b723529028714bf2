"""The Nix library as it lies in projects: two files, in which nothing is left that a tool would mend."""

from __future__ import annotations

import re

from nixgen import resources
from nixgen.nix import vendored

MADE = vendored.contents("debian", "# Written by nixgen\n{ }\n", {})
LIBRARY = MADE["nix/nixgen/library"].decode()


def test_the_folder_has_few_files() -> None:
    assert set(MADE) == set(vendored.NAMES)
    assert vendored.NAMES[2] not in vendored.contents("nixpkgs", "", {})  # its flake.nix is for the debian base alone


def test_every_text_is_where_the_library_says() -> None:
    programs = MADE["nix/nixgen/programs"]
    places = re.findall(r'"?([\w.-]+?)"? = text (\d+) (\d+);', LIBRARY)
    found = sorted((name, programs[int(start) : int(start) + int(length)]) for name, start, length in places)
    texts = {path: data for path, data in resources.library().items() if not path.endswith(".nix")}
    assert found == sorted((path.rpartition("/")[2], data) for path, data in texts.items())


def test_every_module_is_taken_from_the_library() -> None:
    entries = [MADE[f"nix/nixgen/{name}.nix"].decode() for name in ("default", "flake", "outputs")]
    others = {name for text in (LIBRARY, *entries) for name in re.findall(r"\bimport (\.[^\s);]*)", text)}
    assert others == {"./library", "./base.nix"}
    for name in re.findall(r'\bnixgen\."([^"]+)"', LIBRARY):
        assert f'\n"{name}" =\n' in LIBRARY


def test_no_hook_of_the_user_has_anything_to_mend() -> None:
    """Those for white space look at every text, whatever its name."""
    for name, data in MADE.items():
        assert not re.search(rb"[ \t\r]\n|\n\n\Z|[^\n]\Z", data), name
