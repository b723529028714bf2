"""How the tests of models.toml read one."""

from __future__ import annotations

import tomllib

import pytest

from nixgen.artifacts.manifest import parse_manifest
from nixgen.artifacts.model import Manifest
from nixgen.errors import UserError

SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def parsed(text: str) -> Manifest:
    return parse_manifest(tomllib.loads(text))


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as raised:
        parsed(text)
    return [str(problem).replace("\n  hint: ", " | ") for problem in raised.value.problems]


def only(lines: str, part: str = "models.a") -> list[str]:
    return problems(f"version = 1\n[{part}]\n{lines}\n")


WHERE = "say where it comes from: hf:, https:, github:, s3:, file:, archive:, oci:, registry: or a path in the project"
