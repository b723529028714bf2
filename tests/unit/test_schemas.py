"""The JSON Schemas say what the readers do: the same files are accepted, unknown keys and wrong types refused."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import make
from support.program import nixgen
from test_docs import blocks, page, setting_rows

from nixgen.artifacts import manifest
from nixgen.errors import UserError
from nixgen.project import settings
from nixgen.project.settings import Settings
from nixgen.registry import policy

ROOT = Path(__file__).resolve().parents[2]
Document = dict[str, Any]


def validators() -> Any:
    """Imported by who needs it: it takes more than a second."""
    return pytest.importorskip("jsonschema")


def documents(*folders: str) -> Iterator[Document]:
    """Every TOML block of the pages, and every TOML file of the examples, that can be read."""
    texts = [block for path in sorted((ROOT / "docs").glob("*.md")) for block in blocks(path.read_text(), "toml")]
    texts += [path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.toml"))]
    for text in texts:
        yield tomllib.loads(text)


def of_settings() -> list[Document]:
    tables = [found["tool"]["nixgen"] for found in documents("examples") if "nixgen" in found.get("tool", {})]
    rows = [tomllib.loads(example) for _, example in setting_rows().values()]
    return [*tables, *({"base": "debian", **row} if "suite" in row else row for row in rows)]


def of_models() -> list[Document]:
    parts = {"models", "data", "services"}
    found = [one for one in documents("examples") if parts & {*one} and "aliases" not in str(one)]
    return [{"version": 1, **{key: one[key] for key in one if key in parts}} for one in found]


def of_promotion() -> list[Document]:
    return [{"version": 1, **one} for one in documents("examples") if "aliases" in str(one) and "tool" not in one]


def promotion(document: Document) -> None:
    import tomlkit

    policy.parse_policy(tomlkit.dumps(document))


KINDS: dict[str, tuple[Callable[[], Document], Callable[[Document], object], Callable[[], list[Document]]]] = {
    "settings": (settings.schema, Settings.parse, of_settings),
    "models": (manifest.schema, manifest.parse_manifest, of_models),
    "promotion": (policy.schema, promotion, of_promotion),
}


def refused(read: Callable[[Document], object], document: Document) -> bool:
    try:
        read(document)
    except UserError:
        return True
    return False


def spoilt(document: Document) -> Iterator[tuple[str, Document]]:
    """The document with one key more, or one value of another type, in each place."""

    def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield path
        for key, below in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from places(below, (*path, key))

    for path in places(document):
        made = copy.deepcopy(document)
        above, value = None, made
        for key in path:
            above, value = value, value[key]
        if isinstance(value, dict):
            value["x-unknown"] = 1
            yield f"{path}: one key more", made
        elif above is not None:
            above[path[-1]] = "wrong" if isinstance(value, int | float) else 1.5
            yield f"{path}: another type", made


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_takes_every_example_and_refuses_what_the_reader_refuses(kind: str) -> None:
    schema, read, found = KINDS[kind]
    draft = validators().Draft7Validator
    draft.check_schema(schema())
    judge = draft(schema())
    accepted = [one for one in found() if not refused(read, one)]
    assert accepted
    tried = 0
    for document in accepted:
        assert [error.message for error in judge.iter_errors(document)] == []
        for what, made in spoilt(document):
            tried += 1
            assert (refused(read, made), not judge.is_valid(made)) == (True, True), what
    assert tried > len(accepted)


def test_every_setting_has_a_form() -> None:
    """A new key says in ``_READERS`` what an editor should know of it."""
    forms = settings.schema()["properties"]
    assert list(forms) == list(settings._READERS)
    assert [key for key, form in forms.items() if not {"type", "enum"} & {*form}] == []


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("settings", {"base": "debain"}),
        ("settings", {"systems": []}),
        ("settings", {"systems": ["amiga"]}),
        ("settings", {"python": "three"}),
        ("settings", {"packages": {"p": {"timeout": 0}}}),
        ("settings", {"packages": {"p": {"env": {"HOME": "/"}}}}),
        ("settings", {"nixpkgs": {"rev": "1" * 40}}),
        ("settings", {"environments": {"9": {}}}),
        ("models", {}),
        ("models", {"version": 2}),
        ("models", {"version": 1, "models": {"a": {}}}),
        ("models", {"version": 1, "models": {"a": {"source": "hf:org/a", "layout": "flat"}}}),
        ("models", {"version": 1, "models": {"-a": {"source": "hf:org/a"}}}),
        ("models", {"version": 1, "data": {"a": {"source": "hf:org/a", "format": "xls"}}}),
        ("models", {"version": 1, "services": {"api": {}}}),
        ("promotion", {"version": 1, "aliases": {"prod": {"reproduced": "maybe"}}}),
    ],
)
def test_values_that_cannot_be(kind: str, document: Document) -> None:
    schema, read, _ = KINDS[kind]
    assert (refused(read, document), validators().Draft7Validator(schema()).is_valid(document)) == (True, False)


def test_the_command_prints_them() -> None:
    for kind, (schema, _, _) in KINDS.items():
        assert json.loads(nixgen("schema", kind).stdout) == schema()
    done = nixgen("schema", "modles")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: schema: there is no schema modles; there are settings, models, promotion\n")


def test_a_new_models_toml_names_the_schema_beside_it(tmp_path: Path) -> None:
    root = make(tmp_path)
    assert nixgen("model", "add", "vad", "weights/vad.onnx", cwd=root).returncode == 0
    first, *rest = (root / "models.toml").read_text().splitlines()
    beside = root / first.removeprefix("#:schema ")
    assert rest[0] == "version = 1"
    assert json.loads(beside.read_text()) == manifest.schema()
    beside.write_text("{}")
    assert nixgen("data", "add", "sales", "sales.csv", cwd=root).returncode == 0
    assert json.loads(beside.read_text()) == manifest.schema()
    beside.unlink()
    (root / "models.toml").write_text("version = 1\n")
    assert nixgen("model", "add", "vad", "weights/vad.onnx", cwd=root).returncode == 0
    assert not beside.exists()


def test_the_page_says_how_an_editor_is_told() -> None:
    said = page("docs/settings.md").partition("### In an editor")[2]
    assert "nixgen schema settings" in said
    assert "#:schema" in page("docs/models.md")
