from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.artifacts.edit import with_entry, without_entry
from nixgen.artifacts.model import Kind
from nixgen.errors import UserError

TEXT = """\
# ours
version = 1 # of the form

# the small one
[models.minilm] # quick
source = "hf:org/minilm"
include = [
    "*.json", # only these
]

# hears voices
[models.vad]
source = "weights/vad.onnx"
"""


def problem(text: str, kind: Kind, name: str, source: str = "") -> str:
    def change() -> str:
        return with_entry(text, kind, name, {"source": source}) if source else without_entry(text, kind, name)

    with pytest.raises(UserError) as raised:
        change()
    return "; ".join(str(one).replace("\n  hint: ", " | ").replace("\n    ", " | ") for one in raised.value.problems)


def test_an_entry_is_added_at_the_end_and_nothing_else_changes() -> None:
    values = {"source": "s3://bucket/sales/", "format": "parquet", "include": ("*.parquet", "a/"), "revision": ""}
    new = with_entry(TEXT, "data", "sales.2024", values)
    added = '[data."sales.2024"]\nsource = "s3://bucket/sales/"\nformat = "parquet"\ninclude = ["*.parquet", "a/"]\n'
    assert new == f"{TEXT}\n{added}"


def test_an_empty_file_gets_its_version() -> None:
    assert with_entry("", "models", "vad", {"source": "a"}) == 'version = 1\n\n[models.vad]\nsource = "a"\n'


def test_line_ends_stay_what_they_are() -> None:
    new = with_entry("version = 1\r\n", "models", "vad", {"source": "a"})
    assert new == 'version = 1\r\n\r\n[models.vad]\r\nsource = "a"\r\n'
    assert without_entry(new, "models", "vad") == "version = 1\r\n"


def test_a_name_that_is_taken_is_refused() -> None:
    assert problem(TEXT, "models", "vad", "b") == (
        "models.toml: models.vad: is there already"
        " | give it another name, or take the old one out first: nixgen model remove vad"
    )


def test_what_the_parser_refuses_is_not_written() -> None:
    assert problem(TEXT, "models", "VAD", "registry:x@") == (
        "models.toml: models.VAD: differs from models.vad only in case: on some machines both would be one folder"
        " | give one of them another name; "
        "models.toml: models.VAD.source: is no model of a registry:  cannot be the name of an alias: it is not one"
        " | write registry:NAME@ALIAS or registry:NAME@1.2.0; of another project, registry:PROJECT/NAME@ALIAS"
    )


def test_a_file_in_another_form_says_what_to_add_by_hand() -> None:
    text = 'version = 1\nmodels = { vad = { source = "a" } }\n'
    assert problem(text, "models", "b", "c") == (
        "models.toml: has models in a form that cannot be extended"
        ' | add these lines by hand: | [models.b] | source = "c"'
    )


def test_an_entry_is_removed_and_the_comments_of_the_others_stay() -> None:
    assert without_entry(TEXT, "models", "minilm") == (
        "# ours\nversion = 1 # of the form\n\n# the small one\n\n# hears voices\n"
        '[models.vad]\nsource = "weights/vad.onnx"\n'
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            'version = 1\n[models]\na = { source = "x" } # a\nb.source = "y"\n',
            'version = 1\n[models]\nb.source = "y"\n',
        ),
        ('version = 1\nmodels.a.source = "x"\nmodels.b.source = "y"\n', 'version = 1\nmodels.b.source = "y"\n'),
        (
            'version = 1\n[ models . "a" ]\nsource = "x"\n[models.b]\nsource = "y"\n',
            'version = 1\n[models.b]\nsource = "y"\n',
        ),
        (
            'version = 1\n[models.b]\nsource = "y"\n[models.a]\nsource = "x"\ninclude = [\n# z\n"z",\n]\n',
            'version = 1\n[models.b]\nsource = "y"\n',
        ),
    ],
)
def test_other_forms_of_an_entry_are_removed_too(text: str, left: str) -> None:
    assert without_entry(text, "models", "a") == left


def test_what_is_not_there_cannot_be_removed() -> None:
    assert problem(TEXT, "models", "vat") == "models.toml: models.vat: is not there | did you mean vad?"
    assert problem(TEXT, "data", "x") == "models.toml: data.x: is not there | add it: nixgen data add x SOURCE"


def test_a_service_that_names_it_is_told() -> None:
    text = TEXT + '\n[services.api]\ncommand = "x"\nmodels = ["vad"]\n'
    assert problem(text, "models", "vad") == (
        'models.toml: services.api.models[0]: "vad" is no model and no data of this file | known are minilm'
    )


def test_a_broken_file_is_told_with_its_line() -> None:
    assert "models.toml: is not TOML that can be read" in problem("version = 1\n[models\n", "models", "a", "b")


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
paths = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="\\:/~."), min_size=1, max_size=20)


@given(st.lists(st.tuples(names, paths), min_size=1, max_size=4, unique_by=lambda pair: pair[0].lower()))
def test_what_was_added_and_removed_leaves_the_file_as_it_was(pairs: list[tuple[str, str]]) -> None:
    start = "# head\nversion = 1\n"
    text = start
    for name, source in pairs:
        text = with_entry(text, "models", name, {"source": source})
    found = tomllib.loads(text)["models"]
    assert {name: entry["source"] for name, entry in found.items()} == dict(pairs)
    for name, _ in pairs:
        text = without_entry(text, "models", name)
    assert text == start
