"""A folder of a model for the guard to look at."""

from __future__ import annotations

FILES = {
    "config.json": b'{"a": 1}\n',
    "model.onnx": bytes(range(256)) * 5000,
    "nested/deep/vocab.txt": b"a\nb\n",
    "empty": b"",
}
