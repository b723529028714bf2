"""docs/models.md, typed as it stands there, against the double of the hub: what is printed is what it shows."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

from support.hub import Big, Hub
from test_lock_artifacts_whole import Project, project

from nixgen.artifacts.manifest import parse_manifest

__all__ = ["project"]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
NAME = "sentence-transformers/all-MiniLM-L6-v2"
MIB = 1 << 20


def session() -> list[tuple[str, str]]:
    """The commands of the console blocks, each with what the page shows."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


def repos(hub: Hub) -> Callable[[], object]:
    """The repos of the page; what moves the first one's branch."""
    files: dict[str, bytes | Big] = {
        "README.md": b"x",
        "config.json": b"x" * 612,
        "tokenizer.json": Big(declared=(466247, "b" * 64)),
        "vocab.txt": b"x" * 100,
        "model.safetensors": Big(declared=(90868376, "a" * 64)),
        "pytorch_model.bin": Big(declared=(90868376, "c" * 64)),
    }
    minilm = hub.repo(NAME, files, card={"license": "apache-2.0"})
    weights = Big(declared=(256 * MIB, "d" * 64))
    sentiment: dict[str, bytes | Big] = {
        "config.json": b"{}",
        "model.safetensors": weights,
        "pytorch_model.bin": weights,
    }
    hub.repo("org/sentiment", sentiment, card={"license": "mit"})
    hub.repo("org/llama", {"config.json": b"{}"}, gated="manual")
    return lambda: minilm.commit({**files, "config.json": b"x" * 650})


def shown(text: str) -> str:
    """What does not depend on the double: its address and its commits are other ones."""
    text = re.sub(r"http://127\.0\.0\.1:\d+", "https://huggingface.co", text)
    return re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", text)


def test_the_page_shows_what_is_printed(project: Project) -> None:
    move = repos(project.hub)
    (project.root / "weights").mkdir()
    (project.root / "weights" / "vad.onnx").write_bytes(b"onnx")
    assert project.nixgen("lock")[0] == 0
    assert project.nixgen("generate")[0] == 0
    steps = session()
    assert len(steps) > 10
    moved = False
    for command, expected in steps:
        if "--upgrade" in command and not moved:
            move()
            moved = True
        _, printed = project.nixgen(*shlex.split(command)[1:])
        assert shown(printed) == shown(expected), f"$ {command}"


def test_every_key_and_source_on_the_page_is_one(tmp_path: Path) -> None:
    entries = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(entries) == 4
    for number, text in enumerate(entries):
        (tmp_path / str(number)).write_text(text)
        assert parse_manifest({"version": 1, **tomllib.loads(text)}).models
