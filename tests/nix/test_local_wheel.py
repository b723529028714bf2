"""A wheel that lies in the project, on real Nix: the store path that fetching would give; refused when it changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.nix import ROOT, Nix
from support.wheels import make_wheel

WHEEL = """
(import {root}/nix/wheel.nix {{
  root = {project};
  base = {{ system = "x86_64-linux"; python = "/python"; version = "3.13"; loader = ""; libdeflate = ""; systemLibraries = [ ]; }};
  fetch = import {root}/nix/fetch.nix;
  builder = "/builder";
}} {{ name = "six"; version = "1"; file = "six-1-py3-none-any.whl"; sha256 = "{sha256}"; {place} = "{where}"; }}).src
"""  # noqa: E501 -- Nix


@pytest.mark.parametrize("folder", ["vendor", "my wheels"])
def test_cases_18_63_64_a_wheel_of_the_project(nix_new: Nix, tmp_path: Path, folder: str) -> None:
    path = make_wheel(tmp_path / folder, "six", "1")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def source(place: str, where: str, *, check: bool = True) -> object:
        text = WHEEL.format(root=ROOT, project=tmp_path, sha256=sha256, place=place, where=where)
        return nix_new.evaluate(f'"${{{text}}}"', "--read-write-mode", check=check)

    inside = f"{folder}/{path.name}"
    assert source("path", inside) == source("url", "https://files.example.org/six-1-py3-none-any.whl")
    path.write_bytes(path.read_bytes() + b"x")
    said = source("path", inside, check=False).said
    assert f"{inside} changed after it was pinned\n  hint: restore it, or: uv lock && nixgen sync" in said
    path.unlink()
    said = source("path", inside, check=False).said
    assert f"{inside} is missing, or git does not know it\n  hint: git add {inside}" in said
