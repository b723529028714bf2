"""What goes into Nix comes out of Nix: the escaping function against real Nix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixgen.errors import UserError
from nixgen.nix.nixtext import NixText, nix_attr, nix_string, to_nix

needs_nix = pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="no Nix on this machine")


def evaluate(expression: str) -> Any:
    """What real Nix makes of ``expression``, as JSON; the text goes in on stdin, so no argument limit applies."""
    done = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "--json", "-"],
        input=expression.encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "NIX_STORE_DIR": "/nix/store"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return json.loads(done.stdout)


NASTY = st.text(alphabet=st.sampled_from(list("$\\\"{}'\n\r\t ;#/*abc\x01\x7f\x85\u2028é😀")), max_size=40)
FIT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
STRINGS = st.one_of(NASTY, FIT)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), STRINGS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(STRINGS, inner, max_size=4)),
    max_leaves=10,
)


@needs_nix
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(STRINGS, min_size=100, max_size=300))
def test_a_string_evaluates_to_itself(strings: list[str]) -> None:
    assert evaluate(to_nix(strings)) == strings


@needs_nix
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES, min_size=20, max_size=100))
@pytest.mark.heavy
def test_a_value_evaluates_to_itself(values: list[Any]) -> None:
    assert evaluate(to_nix(values)) == values


@needs_nix
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(STRINGS, min_size=50, max_size=200, unique=True))
@pytest.mark.heavy
def test_an_attribute_name_evaluates_to_itself(names: list[str]) -> None:
    body = " ".join(f"{nix_attr(name)} = {place};" for place, name in enumerate(names))
    assert evaluate(f"{{ {body} }}") == {name: place for place, name in enumerate(names)}


@needs_nix
def test_each_pair_of_special_characters_survives_next_to_each_other() -> None:
    special = ["$", "{", "}", "\\", '"', "\n", "\r", "\t", "'", "${", "$${", "\\${", "''${", "''"]
    strings = [a + b + c for a in special for b in special for c in special]
    assert evaluate(to_nix(strings)) == strings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '""'),
        ("a'b", '"a\'b"'),
        ('"; evil = "', '"\\"; evil = \\""'),
        ("${builtins.readFile /etc/passwd}", '"\\${builtins.readFile /etc/passwd}"'),
        ("$5 and $", '"$5 and $"'),
        ("a\\\n\r\tb", '"a\\\\\\n\\r\\tb"'),
    ],
)
def test_how_a_string_is_written(text: str, expected: str) -> None:
    assert nix_string(text) == expected


@pytest.mark.parametrize(("text", "shown"), [("a\0b", r"'\x00'"), ("a\ud800", r"'\ud800'"), ("\udfff", r"'\udfff'")])
def test_what_no_nix_string_can_hold_is_refused(text: str, shown: str) -> None:
    with pytest.raises(UserError) as caught:
        nix_string(text)
    assert str(caught.value) == (
        f"{text!a} holds the character {shown}, which no Nix string can hold\n  hint: take it out"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("numpy", "numpy"),
        ("typing-extensions", "typing-extensions"),
        ("x86_64-linux", "x86_64-linux"),
        ("uv.lock", '"uv.lock"'),
        ("7zip", '"7zip"'),
        ("with", '"with"'),
        ("a\n", '"a\\n"'),
        ("", '""'),
    ],
)
def test_how_an_attribute_name_is_written(name: str, expected: str) -> None:
    assert nix_attr(name) == expected


def test_how_values_are_written() -> None:
    value = {"a": [1, -1, True, None], "b-c": {}, "d.e": (), "f": NixText("./.")}
    assert to_nix(value) == '{ a = [ 1 (-1) true null ]; b-c = { }; "d.e" = [ ]; f = ./.; }'


@pytest.mark.parametrize("value", [1.5, b"x", {1: "x"}, 2**63, -(2**63), object()])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_nix(value)


def test_text_made_from_nix_text_is_not_nix_text() -> None:
    made = nix_string("a") + "; evil"
    assert to_nix(made) == '"\\"a\\"; evil"'
