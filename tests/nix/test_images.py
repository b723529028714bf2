"""Images of containers, built by Nix: one digest in every store, and what such a container is and does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pinned import Rows
from support.nix import SYSTEM
from support.wheels import make_wheel

from nixgen.nix.base32 import encode
from nixgen.oci import stored

if TYPE_CHECKING:
    from lab import Lab

WEIGHTS = bytes(range(256)) * 10
SHOW = "import json, os, sys, demo; print(json.dumps([dict(os.environ), sys.argv[1:], os.getcwd(), demo.answer]))"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change into a container's folder")


@dataclass(frozen=True)
class Demo:
    """A project with two wheels, a model, code of its own and a service."""

    lab: Lab
    wheels: tuple[Path, ...]

    @classmethod
    def make(cls, lab: Lab, folder: Path, code: str = "answer = 1\n", **images: Any) -> Demo:
        (folder / "src" / "demo").mkdir(parents=True, exist_ok=True)
        (folder / "src" / "demo" / "__init__.py").write_text(code)
        rows = Rows(lab.index).add("models.vad", {"vad.onnx": WEIGHTS})
        rows.service("api", "python", "-c", SHOW, "--first", health=["python", "-c", "pass"])
        tree = {"name": "demo", "version": "1.2", "path": ".", "roots": ["src"], "modules": ["demo"],
                "systems": [SYSTEM], "metadata": "Name: demo\nVersion: 1.2\n", "entryPoints": ""}  # fmt: skip
        settings = {"version": "1.2", "labels": {"org.opencontainers.image.licenses": "MIT"}, **images}
        large = make_wheel(lab.wheels, "big", "1.0", {"big/__init__.py": "", "big/data.bin": b"x" * (2 << 20)})
        certifi = make_wheel(lab.wheels, "certifi", "1.0", {"certifi/__init__.py": "", "certifi/cacert.pem": "PEM\n"})
        given = lab.with_arguments(trees=[tree], images=settings, **rows.given())
        return cls(replace(given, folder=folder), (large, certifi))

    def on(self, lab: Lab) -> Demo:
        """The same with another Nix or store."""
        return Demo(replace(self.lab, nix=lab.nix), self.wheels)

    def build(self, attribute: str) -> Path:
        return self.lab.build(attribute, self.wheels)

    def image(self, name: str = "api") -> stored.Stored:
        root = str(self.lab.nix.store)
        return stored.read(self.lab.nix.real(self.build(f'images."{name}"')), root)


@pytest.fixture(scope="module")
def demo(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo.make(lab, tmp_path_factory.mktemp("demo"))


def config(image: stored.Stored) -> Mapping[str, Any]:
    return dict(json.loads(b"".join(image.image.blobs[0].open())))


def unpack(image: stored.Stored, folder: Path) -> Path:
    """The container's file system."""
    folder.mkdir()
    for number, blob in enumerate(image.image.blobs[1:]):
        place = folder.with_name(f"layer-{number}.tar")
        place.write_bytes(b"".join(blob.checked()))
        subprocess.run(["tar", "-xpf", place, "-C", folder], check=True)
    return folder


def run(image: stored.Stored, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What an engine does, without its isolation: the image's command as its user, with its variables alone."""
    made = config(image)["config"]
    words = [*made.get("Entrypoint", []), *(arguments or made.get("Cmd", []))]
    inside = f'cd "$1{made["WorkingDir"]}" && shift && exec "$@"'
    command = [
        shutil.which("chroot") or "chroot",
        f"--userspec={made['User']}",
        root,
        "/bin/sh",
        "-c",
        inside,
        "sh",
        "",
        *words,
    ]
    env = dict(one.split("=", 1) for one in made["Env"])
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@needs_root
def test_a_service_in_a_container_verifies_then_becomes_the_command(demo: Demo, tmp_path: Path) -> None:
    image = demo.image()
    assert image.name == "demo-api:1.2"
    made = config(image)
    told = made["config"]
    assert told["Entrypoint"] == [f"{demo.build('services.api')}/bin/api"]
    assert (told["User"], told["StopSignal"], told["WorkingDir"]) == ("1000:1000", "SIGINT", "/tmp")
    assert told["Healthcheck"] == {"Test": ["CMD", "python", "-c", "pass"]}
    assert told["Labels"]["org.opencontainers.image.version"] == "1.2"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert told["Labels"]["nixgen.closure"].startswith("sha256:")
    assert json.loads(b"".join(image.image.manifest.open()))["annotations"] == told["Labels"]
    assert image.titles[0] == "system"
    assert image.titles[1].startswith("python3")
    assert image.titles[-4:] == ("big-1.0", "environment", "models", "project")
    root = unpack(image, tmp_path / "root")
    done = run(image, root, "a b", "*")
    assert done.stderr.startswith("verified: 2.5 KiB in 1 file, "), done.stderr
    seen, arguments, folder, answer = json.loads(done.stdout)
    assert (arguments, folder, answer) == (["--first", "a b", "*"], "/tmp", 1)
    assert seen["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"
    # A wrong byte, and the command never starts.
    [weights] = root.glob("nix/store/*vad.onnx")
    weights.chmod(0o600)
    weights.write_bytes(WEIGHTS[:-1] + b"x")
    weights.chmod(0o444)
    assert run(image, root).returncode == 79


@needs_root
def test_a_container_of_the_environment_is_its_python(demo: Demo, tmp_path: Path) -> None:
    image = demo.image("")
    assert config(image)["config"]["Cmd"] == [f"{demo.build('environment')}/bin/python"]
    assert "models" not in image.titles
    root = unpack(image, tmp_path / "root")
    code = (
        "import os, subprocess, tempfile, zoneinfo, pwd, big, demo; tempfile.TemporaryFile(); "
        "print(open(os.environ['SSL_CERT_FILE']).read().strip(), "
        "zoneinfo.ZoneInfo('Europe/Paris'), pwd.getpwuid(os.getuid()).pw_name, demo.answer, "
        "subprocess.check_output('echo shell', shell=True, text=True).strip(), "
        "subprocess.check_output(['/usr/bin/env', 'python', '-c', 'print(2)'], text=True).strip())"
    )
    done = run(image, root, "python", "-c", code)
    assert done.stdout == "PEM Europe/Paris app 1 shell 2\n", done.stderr


def test_an_image_has_one_digest_with_both_versions_of_nix_one_core_and_an_optimised_store(
    demo: Demo, lab_new: Lab
) -> None:
    wanted = demo.image().digest
    other = demo.on(lab_new)
    assert other.image().digest == wanted
    other.lab.nix.run("nix-store", "--optimise")
    expression = f"({other.lab.expression(other.wheels)}).images.api"
    options = ["--check", "--option", "cores", "1"]
    other.lab.nix.run("nix-build", "--no-out-link", *options, "-E", expression)
    image = other.image()
    assert image.digest == wanted
    for blob in image.image.blobs:
        assert sum(map(len, blob.checked())) == blob.descriptor.size


def test_a_change_of_the_code_changes_one_small_layer(demo: Demo, tmp_path: Path) -> None:
    before = {blob.descriptor.digest for blob in demo.image().image.blobs}
    after = Demo.make(demo.lab, tmp_path / "changed", "answer = 2\n").image()
    new = [blob.descriptor.size for blob in after.image.blobs if blob.descriptor.digest not in before]
    assert len(new) == 2  # and the configuration
    assert sum(new) < 600_000


def test_the_program_streams_the_archive_and_names_what_changed(demo: Demo, tmp_path: Path) -> None:
    nix = demo.lab.nix
    program = demo.build("images.api.program") / "bin" / "demo-api-image"
    digest = nix.inside(program, "--digest").stdout.strip()
    image = demo.image()
    assert digest == image.digest
    archive = tmp_path / "image.tar"
    nix.inside("sh", "-c", f'{program} > "$1"', "sh", archive)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        file = tar.extractfile("index.json")
        assert file is not None
        [described] = json.loads(file.read())["manifests"]
    assert described["digest"] == digest
    assert described["platform"]["os"] == "linux"
    assert {f"blobs/sha256/{blob.descriptor.sha256}" for blob in image.image.blobs} <= {*names}
    assert "manifest.json" in names
    # Nothing of the image lies in the store but text.
    assert sum(path.stat().st_size for path in nix.real(demo.build("images.api")).iterdir()) < 100_000
    big = next(path for path in image.paths if path.endswith("-big-1.0"))
    [data] = nix.real(big).rglob("data.bin")
    whole = data.read_bytes()
    data.chmod(0o600)
    try:
        data.write_bytes(b"y" + whole[1:])
        done = nix.inside("sh", "-c", f'{program} > "$1"', "sh", archive, check=False)
    finally:
        data.write_bytes(whole)
        data.chmod(0o444)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {big}: changed on the disk: its NAR hash is sha256-")
    assert "nix-store --repair-path" in done.stderr


def test_a_flake_has_images_as_packages_and_apps(demo: Demo) -> None:
    expression = demo.lab.expression(demo.wheels)
    found = demo.lab.nix.evaluate(
        f"let outputs = ({expression}).outputs; in {{ packages = builtins.attrNames outputs.packages; "
        "apps = builtins.attrNames outputs.apps; program = outputs.apps.image-api.program; }"
    )
    assert {"image", "image-api"} <= {*found["packages"]} & {*found["apps"]}
    assert found["program"].endswith("/bin/demo-api-image")


def test_settings_of_images_are_in_the_configuration(demo: Demo, tmp_path: Path) -> None:
    settings = {"user": "7:8", "ports": [8000], "variables": {"LANG": "C", "MORE": "1"}, "layers": 8}
    image = Demo.make(demo.lab, tmp_path / "set", **settings).image("")
    told = config(image)["config"]
    assert (told["User"], told["ExposedPorts"]) == ("7:8", {"8000/tcp": {}})
    assert {"LANG=C", "MORE=1"} <= {*told["Env"]}
    assert len(image.titles) <= 9


def test_the_hashes_of_an_image_are_those_of_the_database(demo: Demo) -> None:
    import base64

    for path, sri in demo.image().paths.items():
        digest = encode(base64.b64decode(sri.removeprefix("sha256-")))
        assert demo.lab.nix.nar_hash(path) == f"sha256:{digest}"
