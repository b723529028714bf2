"""nixgen registry export --push into a real registry of artifacts on loopback (Debian's)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import MODEL, NAME, SIGNER, Lab
from support import debianregistry
from support.program import nixgen

from nixgen.artifacts.model import ArtifactSpec
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.store import Folder

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def programs() -> Path:
    return debianregistry.programs()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry of artifacts."""
    with debianregistry.registry(tmp_path) as address:
        yield address


def test_a_version_is_pushed_and_taken_as_a_model(served: str, programs: Path, tmp_path: Path) -> None:
    lab = Lab.make(tmp_path)
    lab.publish("1.0.0+one")
    lab.promote("1.0.0+one")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\n')
    environment = {"HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    words = ["registry", "export", f"{NAME}@prod", "--registry", "registry", "--log-key", str(SIGNER.verifier)]

    def exported(*more: str) -> tuple[int, str, str]:
        done = nixgen(*words, *more, cwd=tmp_path, **environment)
        return done.returncode, done.stdout, done.stderr

    code, out, err = exported("--push", f"{served}/team/fraud", "--out", "fraud.oci")
    assert (code, err) == (0, "")
    [written, pushed] = out.splitlines()
    digest = written.rpartition(" ")[2]
    assert written == f"fraud.oci: {MODEL}@1.0.0+one, 4 layers, 266 B; {digest}"
    assert pushed == f"{served}/team/fraud:1.0.0_one@{digest}: {MODEL}@1.0.0+one"

    inspect = [programs / "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{served}/team/fraud@{digest}"]
    raw = subprocess.run(inspect, capture_output=True, check=True).stdout
    assert (tmp_path / "fraud.oci/blobs/sha256" / digest.partition(":")[2]).read_bytes() == raw

    spec = ArtifactSpec("models", "fraud", f"oci:{served}/team/fraud@{digest}", where="models.toml: models.fraud")
    pin = resolve(spec, None, Context(tmp_path, None))
    assert [file.path for file in pin.files] == ["checksum.txt", "metrics.json", "model.bin", "more/vocabulary.txt"]
    places = fetch(pin, Context(tmp_path, Folder(tmp_path / "held")))
    assert places["model.bin"].read_bytes() == b"weights"

    code, _, err = exported("--push", "127.0.0.1:9/team/fraud", "--out", "again.oci")
    assert code == 3
    assert "127.0.0.1:9" in err
    assert "cannot be re" in err
    assert (tmp_path / "again.oci/index.json").is_file()
