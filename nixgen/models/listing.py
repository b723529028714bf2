"""What ``nixgen model list`` tells: size, commit, licence, and formats, of which some are better left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nixgen.artifacts.model import ArtifactSpec, Kind, PinnedArtifact
from nixgen.console import size, table

_SAFE = ("safetensors", "onnx", "gguf")
_SUFFIXES = {
    **{suffix: suffix for suffix in _SAFE},
    **dict.fromkeys(("pt", "pth", "ckpt", "pkl", "pickle", "joblib", "dill", "th", "nemo", "mar"), "pickle"),
    **dict.fromkeys(("h5", "keras"), "keras"),
    "msgpack": "flax",
    "pb": "tensorflow",
    "tflite": "tflite",
    "mlmodel": "coreml",
    "engine": "tensorrt",
    "parquet": "parquet",
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "arrow": "arrow",
}
# What torch.save and transformers write has no suffix of its own, and neither is every .bin a pickle.
_PICKLED_BIN = re.compile(
    r"(?:(?:diffusion_)?pytorch_model|pytorch_lora_weights|adapter_model|optimizer|scheduler|training_args|"
    r"consolidated|rng_state|random_states)\b.*\.bin"
)
_COMMIT = 12
_PACKED = (".gz", ".bz2", ".zst", ".xz")


@dataclass(frozen=True, slots=True)
class Row:
    """One artifact: as models.toml has it, and its pin (None when nixgen.lock lacks it or has another)."""

    spec: ArtifactSpec
    pin: PinnedArtifact | None


def format_of(path: str) -> str | None:
    """The format of a file by its name, None for what is no model and no data: a configuration, a README."""
    name = path.rpartition("/")[2].lower()
    if _PICKLED_BIN.fullmatch(name):
        return "pickle"
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return _SUFFIXES.get(name.rpartition(".")[2]) if "." in name else None


def formats(pin: PinnedArtifact) -> tuple[str, ...]:
    """The formats of an artifact's files, sorted."""
    return tuple(sorted({found for file in pin.files if (found := format_of(file.path))}))


def pickles(pin: PinnedArtifact) -> tuple[str, ...]:
    """The files that are pickles, which run whatever code they hold when they are loaded."""
    return tuple(file.path for file in pin.files if format_of(file.path) == "pickle")


def preferred(pin: PinnedArtifact) -> str | None:
    """What to do about pickles, None where there are none."""
    found = pickles(pin)
    if not found:
        return None
    safe = [name for name in formats(pin) if name in _SAFE]
    if safe:
        exclude = ", ".join(f'"{path}"' for path in found) if len(found) <= 2 else f'"*.{found[0].rpartition(".")[2]}"'  # noqa: PLR2004
        return f"the same weights are there as {safe[0]}: exclude = [{exclude}]"
    if pin.include and pin.scheme == "hf":
        return "prefer safetensors or ONNX, if the repo has them: change include"
    return "prefer safetensors or ONNX: look for a revision that has them, or convert it once and pin the result"


def as_text(kind: Kind, rows: Sequence[Row]) -> str:
    """A table, and below it a line for each artifact with pickles."""
    if not rows:
        return f"models.toml names no {kind}."
    head = ["name", "source", "commit", "files", "size", "licence", "formats"]
    if kind == "data":
        head.append("records")
    lines = table([head, *(_cells(kind, row) for row in rows)], right=frozenset((3, 4, 7)), indent="")
    for row in rows:
        advice = preferred(row.pin) if row.pin else None
        if row.pin and advice:
            found = pickles(row.pin)
            more = f" and {len(found) - 1} more are pickles" if len(found) > 1 else " is a pickle"
            lines += [
                "",
                f"! {row.spec.name}: {found[0]}{more}, and loading a pickle runs the code in it;",
                f"  {advice}",
            ]
    missing = [row.spec.name for row in rows if row.pin is None]
    if missing:
        lines += ["", f"Not pinned: {', '.join(missing)}. To pin: nixgen sync"]
    return "\n".join(lines)


def as_json(kind: Kind, rows: Iterable[Row]) -> str:
    """The same for programs: an object with the kind as its key, and a list of objects."""
    return json.dumps({kind: [_object(row) for row in rows]}, indent=2, ensure_ascii=False)


def _cells(kind: Kind, row: Row) -> list[str]:
    pin = row.pin
    if pin is None:
        return [row.spec.name, row.spec.source, "not pinned", "", "", "", "", *([""] if kind == "data" else [])]
    shown = ", ".join("pickle!" if name == "pickle" else name for name in formats(pin))
    cells = [
        row.spec.name,
        row.spec.source,
        pin.exact if pin.registered else (pin.commit or "")[:_COMMIT] if pin.scheme in {"hf", "github"} else "",
        str(len(pin.files)),
        size(pin.size),
        (pin.licence or "") + (" (gated)" if pin.gated else ""),
        pin.format or shown,
    ]
    if kind == "data":
        cells.append(str(pin.data.record_count) if pin.data and pin.data.record_count is not None else "")
    return cells


def _object(row: Row) -> dict[str, Any]:
    spec, pin = row.spec, row.pin
    found: dict[str, Any] = {
        "name": spec.name,
        "source": spec.source,
        "revision": spec.revision,
        "pinned": pin is not None,
    }
    if pin is None:
        return found
    found |= {
        "commit": pin.commit,
        "version": pin.registered.version if pin.registered else None,
        "repo": pin.repo,
        "size": pin.size,
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in pin.files],
        "layout": list(pin.layout),
        "licence": pin.licence,
        "gated": pin.gated,
        "formats": list(formats(pin)),
        "pickles": list(pickles(pin)),
        "prefer": preferred(pin),
    }
    if pin.data is not None:
        found["manifest"] = {key: getattr(pin.data, key) for key in pin.data.__dataclass_fields__}
    return found
