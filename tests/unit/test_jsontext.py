"""formats/jsontext.py: the text is that of the standard library."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nixgen.formats import jsontext

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(DOCUMENTS)
def test_the_text_is_that_of_the_standard_library(value: Any) -> None:
    assert jsontext.dumps(value) == json.dumps(value, indent=2, ensure_ascii=False)


@given(st.lists(st.dictionaries(st.text('ab{}[], \n"'), SCALARS | st.text('{},: \n"')), min_size=1))
def test_lists_of_tables_are_written_at_once(value: list[dict[str, Any]]) -> None:
    assert jsontext.dumps([value]) == json.dumps([value], indent=2, ensure_ascii=False)
