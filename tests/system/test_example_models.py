"""examples/inference and examples/embeddings, as their READMEs tell, on real Nix."""

from __future__ import annotations

import fcntl
import json
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.nix import ROOT, SYSTEM, Nix, enter
from support.project import Project
from support.waiting import PATIENCE

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

REFUSED = 79


@pytest.fixture(autouse=True)
def _one_at_a_time(stores: Path) -> Iterator[None]:
    """The tests run in several processes on one store, and some of these change a file in it for a while."""
    with (stores / "models.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.example("inference", tmp_path_factory.mktemp("inference"))


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.example("embeddings", tmp_path_factory.mktemp("embeddings"))


@contextmanager
def served(nix: Nix, project: Project, *command: str) -> Iterator[str]:
    """Runs the service while the block lasts; its address, which it prints when it is ready."""
    argv = [*enter(nix.store), str(nix.bin / "nix"), *command]
    with subprocess.Popen(
        argv, cwd=project.folder, env=nix.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        errors: list[str] = []
        reader = threading.Thread(target=errors.extend, args=(process.stderr,))
        reader.start()
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on http://"), "".join(errors[-20:]) or line
            yield line.split()[-1]
        finally:
            process.terminate()
            reader.join()
    assert any(line.startswith("verified: 2.2 MiB in 1 file, ") for line in errors)


def post(address: str, data: bytes) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def model(nix: Nix, project: Project) -> Path:
    """The model's file in the store, where it lies on the disk."""
    folder = nix.build(project.folder, "models-all")
    return nix.real(nix.inside("readlink", "-f", f"{folder}/vad/silero_vad.onnx").stdout.strip())


def test_the_service_verifies_its_model_and_hears_a_voice(inference: Project, nix: Nix) -> None:
    assert nix.develop(inference.folder, "python", "voice.py").stdout == "wrote voice.wav, 3.50 s\n"
    voice = (inference.folder / "voice.wav").read_bytes()
    with served(nix, inference, "run", ".#api", "--", "0") as address:
        assert post(f"{address}/speech", voice) == (200, {"speech": [[1.06, 1.22], [1.25, 2.53]]})
        assert post(f"{address}/speech", voice[:44] + bytes(64000)) == (200, {"speech": []})
        assert post(f"{address}/speech", b"no recording")[0] == 400
        assert post(f"{address}/other", b"")[0] == 404
        asked = nix.develop(inference.folder, "python", "voice.py", f"{address}/speech")
        assert asked.stdout.splitlines()[1] == '{"speech": [[1.06, 1.22], [1.25, 2.53]]}'


@pytest.mark.one_nix
@pytest.mark.parametrize("place", [0, 1000, -1])
def test_the_service_does_not_start_after_one_flipped_bit(inference: Project, nix: Nix, place: int) -> None:
    path = model(nix, inference)
    content = path.read_bytes()
    changed = bytearray(content)
    changed[place] ^= 4
    path.chmod(0o644)
    try:
        path.write_bytes(changed)
        done = nix.run("nix", "run", ".#api", "--", "0", cwd=inference.folder, check=False)
    finally:
        path.write_bytes(content)
        path.chmod(0o444)
    assert done.returncode == REFUSED
    assert "models.vad: silero_vad.onnx: is changed: SHA-256 " in done.stderr
    assert done.stderr.endswith("The command was not started.\n  hint: nix-store --verify --check-contents --repair\n")
    assert "listening" not in done.stdout


def test_the_pinned_model_comes_back_with_the_command_of_the_readme(inference: Project, nix28: Nix) -> None:
    path = model(nix28, inference)
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[:-1] + b"x")
    nix28.run("nix-store", "--repair-path", f"/nix/store/{path.name}")
    assert path.read_bytes() == content


def test_the_package_that_carries_the_model_is_not_installed(inference: Project, nix28: Nix) -> None:
    assert "silero-vad" not in nix28.evaluate(f"builtins.attrNames (import {inference.folder} {{}}).wheels")


@pytest.mark.one_nix
def test_sentences_are_embedded_without_a_network(embeddings: Project, nix: Nix) -> None:
    readme = (ROOT / "examples/embeddings/README.md").read_text()
    nix.build(embeddings.folder, "services.search")
    nix.develop(embeddings.folder, "true")
    alone = ["unshare", "--net", str(nix.bin / "nix")]
    for command in (["run", ".#search"], ["develop", "-c", "python", "-m", "search"]):
        said = nix.inside(*alone, *command, cwd=embeddings.folder).stdout
        assert said in readme
        assert said.splitlines()[1].endswith("A lock file records the exact version of every dependency.")
    asked = nix.inside(*alone, "run", ".#search", "--", "When should I water the garden?", cwd=embeddings.folder)
    assert asked.stdout.splitlines()[1].endswith("Tomatoes want more water in July.")


def test_the_flake_gives_the_models_and_another_folder_changes_nothing(embeddings: Project, nix: Nix) -> None:
    built = nix.build_flake(f"{embeddings.folder}#models")
    assert [path.name for path in nix.real(built).iterdir()] == ["minilm"]
    assert built == nix.build(embeddings.folder, "models-all")
    assert nix.build_flake(f"{embeddings.folder}#search") == nix.build(embeddings.folder, "services.search")
    assert list(nix.real(nix.build_flake(f"{embeddings.folder}#data")).iterdir()) == []
