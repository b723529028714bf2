"""CycloneDX 1.6 in JSON: a bill of materials as a document, the same bytes for the same project."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from nixgen import __version__
from nixgen.bom.model import Bom, Component, File, Licence
from nixgen.errors import UserError
from nixgen.formats import jsontext

VERSION = "1.6"

_DIGITS = 11  # of a time before the year 5138
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/schema/bom-1.6.schema.json")
_DOWNLOADS = {"sdist": "source-distribution", "archive": "source-distribution", "vcs": "vcs"}


def document(bom: Bom, made: int | None = None) -> dict[str, Any]:
    """The document of a bill of materials. ``made``: when it was made (seconds, SOURCE_DATE_EPOCH), None to leave out.

    Its serial number is made of all else that it says.
    """
    project = {"type": "application", "bom-ref": bom.root, "name": bom.name} | _given(version=bom.version)
    told = [("nixgen:environment", bom.environment), *(("nixgen:system", system) for system in bom.systems)]
    metadata: dict[str, Any] = {
        "tools": {"components": [{"type": "application", "name": "nixgen", "version": __version__}]},
        "component": project,
        **_given(properties=_properties(tuple(pair for pair in told if pair[1]))),
    }
    content: dict[str, Any] = {
        "metadata": metadata,
        "components": [_component(one) for one in bom.components],
        "dependencies": [{"ref": ref} | _given(dependsOn=list(needs)) for ref, needs in bom.depends.items()],
    }
    serial = uuid.uuid5(_SPACE, json.dumps(content, sort_keys=True))
    if made is not None:
        when = dt.datetime.fromtimestamp(made, dt.UTC)
        content["metadata"] = {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), **metadata}
    head = {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX"}
    return head | {"specVersion": VERSION, "serialNumber": f"urn:uuid:{serial}", "version": 1} | content


def text(document: Mapping[str, Any]) -> str:
    """The document's text, without a line end."""
    return jsontext.dumps(dict(document))


def epoch(variables: Mapping[str, str]) -> int | None:
    """What SOURCE_DATE_EPOCH says, None where it is not set. Raises UserError for what is no time."""
    given = variables.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > _DIGITS:
        raise UserError.of("SOURCE_DATE_EPOCH", f'is "{given}", no number of seconds', "git log -1 --format=%ct")
    return int(given)


def _component(one: Component) -> dict[str, Any]:
    hashes = sorted({file.sha256 for file in one.files if file.sha256}) if one.type != "library" or _alone(one) else []
    made: dict[str, Any] = {"type": one.type, "bom-ref": one.ref, "name": one.name}
    made |= _given(version=one.version, purl=one.purl)
    if one.scope == "excluded":
        made["scope"] = one.scope
    made |= _given(
        hashes=[_hash(digest) for digest in hashes],
        licenses=_licences(one.licences),
        externalReferences=list(_references(one)),
        properties=_properties(one.properties),
        components=[_file(file) for file in one.contents],
    )
    if one.type == "machine-learning-model":
        card = [("nixgen:licence", licence.text) for licence in one.licences]
        card += [pair for pair in one.properties if pair[0] in {"nixgen:source", "nixgen:revision"}]
        made["modelCard"] = {"properties": _properties(tuple(card))}
    elif one.type == "data":
        made["data"] = [{"type": "dataset", "name": one.name} | _given(contents=_given(url=_url(one.source)))]
    return made


def _alone(one: Component) -> bool:
    """Whether the one file is the component, and not what it is built from."""
    return len(one.files) == 1 and not any(key == "nixgen:kind" and kind in _DOWNLOADS for key, kind in one.properties)


def _references(one: Component) -> Iterator[dict[str, Any]]:
    kinds = [value for name, value in one.properties if name == "nixgen:kind"]
    for file in one.files if one.type == "library" else ():
        if url := _url(file.url):
            kind = next((_DOWNLOADS[kind] for kind in kinds if kind in _DOWNLOADS), "distribution")
            kind = "distribution" if file.name.endswith(".whl") else kind
            hashes = [_hash(file.sha256)] if file.sha256 else []
            yield {"type": kind, "url": url, "comment": file.name} | _given(hashes=hashes)


def _file(file: File) -> dict[str, Any]:
    return {"type": "file", "name": file.name, "hashes": [_hash(file.sha256)]}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _licences(licences: tuple[Licence, ...]) -> list[dict[str, Any]]:
    if len(licences) == 1 and licences[0].spdx:
        return [{"expression": licences[0].text}]
    return [{"license": {"name": licence.text}} for licence in licences]


def _properties(pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _url(text: str) -> str:
    """An address that is a reference by RFC 3986, "" for what is none."""
    fits = text.isascii() and text.isprintable() and not set(text) & set(' "<>\\^`{|}')
    return text if fits and "://" in text else ""


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON
    """The values that say something."""
    return {key: value for key, value in values.items() if value}
