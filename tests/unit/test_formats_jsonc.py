"""JSON with comments: what is added, and that nothing of what is there is lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.formats import jsonc

BEFORE = """\
// of the team
{
    // why
    "editor.rulers": [100], // columns
    "a": 1, /* two
    lines */ "b": "// no comment, }",
    "files.watcherExclude": {
        "**/data/**": true // large
    } // end
}
"""
AFTER = """\
// of the team
{
    // why
    "editor.rulers": [100, 120], // columns
    "a": 1, /* two
    lines */ "b": "// no comment, }",
    "files.watcherExclude": {
        "**/data/**": true, // large
        "**/.venv*/**": true
    }, // end
    "c": null,
    "d": {
      "e": 1
    }
}
"""


def test_what_is_missing_is_added_and_the_rest_stays() -> None:
    wanted = {"a": 2, "editor.rulers": [100, 120], "files.watcherExclude": {"**/.venv*/**": True}, "c": None}
    found = jsonc.merged(BEFORE, {**wanted, "d": {"e": 1}, "b": ["another type"]})
    assert found.text == AFTER
    assert found.other == ("a", "b")
    assert jsonc.merged(AFTER, {**wanted, "d": {"e": 1}}).text == AFTER


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "k": 1\n}'),
        ("{\n}\n", '{\n  "k": 1\n}\n'),
        ("{ // c\n}\n", '{\n  "k": 1 // c\n}\n'),
        ('{"a": 1}', '{"a": 1, "k": 1}'),
        ('{"a": 1,}', '{"a": 1, "k": 1,}'),
        ('{"a": 1, // c\n}', '{"a": 1, // c\n  "k": 1,\n}'),
        ('{"a": 1 // c\n}', '{"a": 1, // c\n  "k": 1\n}'),
        ('{"a": 1 /* c */}', '{"a": 1, "k": 1 /* c */}'),
        ('{\n\t"a": [\n\t],\n}', '{\n\t"a": [\n\t],\n\t"k": 1,\n}'),
        ('{\r\n  "a": {} // c\r\n}\r\n', '{\r\n  "a": {}, // c\r\n  "k": 1\r\n}\r\n'),
        ('\ufeff{"a": "\\"}"}', '\ufeff{"a": "\\"}", "k": 1}'),
    ],
)
def test_each_form_is_kept(before: str, after: str) -> None:
    assert jsonc.merged(before, {"k": 1}).text == after


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a": }', "{'a': 1}", '{"a": 1 "b": 2}', '{"a": "\n"}', "/* {}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jsonc.merged(text, {"k": 1})


KEYS = st.sampled_from(["a", "b", "c", "**/x,}", "//", "/*"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4) | st.sampled_from(["// x", "/* ,}", '",'])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
BLANKS = st.sampled_from(["", " ", "\n", "\r\n\t", " // c,}\n", "/* c\n } , */", "\n\n    "])


@st.composite
def written(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An object, and a text of it as a person may have left it."""
    value = draw(OBJECTS)

    def text(value: Any) -> str:
        if isinstance(value, dict):
            items, ends = [f"{text(key)}{draw(BLANKS)}:{text(one)}" for key, one in value.items()], "{}"
        elif isinstance(value, list):
            items, ends = [text(one) for one in value], "[]"
        else:
            return f"{draw(BLANKS)}{json.dumps(value)}{draw(BLANKS)}"
        last = "," if items and draw(st.booleans()) else ""
        inner = ",".join(items) + last
        return f"{draw(BLANKS)}{ends[0]}{draw(BLANKS)}{inner}{draw(BLANKS)}{ends[1]}{draw(BLANKS)}"

    return text(value), value


def together(have: Any, wanted: Any) -> Any:
    if isinstance(have, dict) and isinstance(wanted, dict):
        return {**wanted, **have} | {key: together(have[key], wanted[key]) for key in have.keys() & wanted.keys()}
    if isinstance(have, list) and isinstance(wanted, list):
        return have + [one for one in wanted if one not in have]
    return have


@given(written(), OBJECTS)
def test_any_text_has_both_and_keeps_each_of_its_characters(given: tuple[str, dict[str, Any]], wanted: Any) -> None:
    text, value = given
    assert jsonc.loads(text) == value
    found = jsonc.merged(text, wanted)
    assert jsonc.loads(found.text) == together(value, wanted)
    # What was there is there, in the same order.
    rest = iter(found.text)
    assert all(character in rest for character in text)
    assert re.findall(r"// c,}|/\* c\n } , \*/", found.text) >= re.findall(r"// c,}|/\* c\n } , \*/", text)
    assert jsonc.merged(found.text, wanted).text == found.text
