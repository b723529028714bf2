"""Images of containers, built by Nix: one digest in every store, and what such a container is and does."""

from __future__ import annotations

import hashlib
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
from support.loopback import listen
from support.nix import SYSTEM
from support.ociregistry import Double, digest
from support.wheels import make_wheel

from nixgen.nix.base32 import encode
from nixgen.oci import stored

if TYPE_CHECKING:
    from checking import Checked
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


def test_an_image_has_one_digest_with_both_versions_of_nix_and_with_one_core(demo: Demo, lab_new: Lab) -> None:
    wanted = demo.image().digest
    other = demo.on(lab_new)
    assert other.image().digest == wanted
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


def test_the_program_streams_the_archive(demo: Demo, tmp_path: Path) -> None:
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


def test_the_program_names_what_changed(demo: Demo, tmp_path: Path) -> None:
    mine = Demo.make(
        demo.lab, tmp_path / "mine", f"answer = {os.urandom(8).hex()!r}\n"
    )  # a path that no other test has
    nix = mine.lab.nix
    program = mine.build("images.api.program") / "bin" / "demo-api-image"
    source = next(path for path in mine.image().paths if path.endswith("-demo-source"))
    code = nix.real(source) / "src" / "demo" / "__init__.py"
    code.chmod(0o600)
    code.write_text("answer = 3\n")
    code.chmod(0o444)
    done = nix.inside("sh", "-c", f'{program} > "$1"', "sh", tmp_path / "image.tar", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {source}: changed on the disk: its NAR hash is sha256-")
    assert "nix-store --repair-path" in done.stderr
    # One that is not built yet is not built.
    told = mine.lab.failure('images.""', mine.wheels)
    assert f"error: {source}: changed on the disk" in told


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


def test_a_command_starts_where_the_files_are_that_it_names(lab: Lab, demo: Demo, tmp_path: Path) -> None:
    """Of a project that is no package; what is one is not there as files, and starts where it may write."""
    rows = Rows(lab.index).service("api", "python", "serve.py")
    (tmp_path / "serve.py").write_text("")
    mine = replace(lab.with_arguments(run="python main.py", images={}, **rows.given()), folder=tmp_path)

    def folder(project: Lab, name: str) -> str:
        return str(project.nix.evaluate(f'({project.expression()}).images."{name}".image.config.WorkingDir'))

    assert folder(mine, "api").endswith("-demo-source")
    assert folder(mine, "") == folder(mine, "api")
    plain = replace(lab.with_arguments(images={}, **rows.given()), folder=tmp_path)
    assert folder(plain, "") == "/tmp"
    assert folder(demo.lab, "") == "/tmp"


def test_the_hashes_of_an_image_are_those_of_the_database(demo: Demo) -> None:
    import base64

    for path, sri in demo.image().paths.items():
        digest = encode(base64.b64decode(sri.removeprefix("sha256-")))
        assert demo.lab.nix.nar_hash(path) == f"sha256:{digest}"


MODELS = """version = 1

[models.vad]
source = "weights/vad.onnx"

[services.api]
command = ["python", "-c", "print('served')"]
"""


@pytest.fixture(scope="module")
def project(first: Checked, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A project with a record, a model and a service."""
    folder = tmp_path_factory.mktemp("project") / "demo"
    shutil.copytree(first.folder, folder)
    (folder / "models.toml").write_text(MODELS)
    (folder / "weights").mkdir()
    (folder / "weights" / "vad.onnx").write_bytes(WEIGHTS)
    made = type(first)(type(first.project)(folder), first.nix, first.index)
    for words in (["lock"], ["generate"]):
        done = made.run(*words)
        assert done.ok, done.tail()
    return made


def built(project: Checked, *words: str | Path) -> Mapping[str, Any]:
    done = project.run("image", "build", *words, "--json")
    assert done.ok, done.tail()
    return dict(json.loads(done.stdout))


def test_a_command_writes_a_layout_and_an_archive_with_the_digest_that_nix_has(
    project: Checked, tmp_path: Path
) -> None:
    told = built(project, "api", "--out", tmp_path / "layout")
    assert told["name"].startswith("demo-api:")
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    assert [one["digest"] for one in index["manifests"]] == [told["digest"]]
    assert {"models", "project"} <= {layer["title"] for layer in told["images"][0]["layers"]}
    done = project.run("image", "build", "api", "--archive", tmp_path / "api.tar")
    assert done.stdout == f"{told['digest']}\n"
    assert done.stderr.endswith(f" layers, linux/amd64; wrote {tmp_path}/api.tar\n") or SYSTEM != "x86_64-linux"
    program = project.nix.build_expression(f"(import {project.folder} {{ }}).images.api.program")
    project.nix.inside("sh", "-c", f'{program}/bin/* > "$1"', "sh", tmp_path / "nix.tar")
    assert (tmp_path / "api.tar").read_bytes() == (tmp_path / "nix.tar").read_bytes()
    piped = project.run("image", "build", "api", "--archive", "-", "-q")
    assert len(piped.stdout) > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api.tar", "layout", "nix.tar"]
    again = project.run("image", "build", "api", "--archive", tmp_path / "api.tar")
    assert again.returncode == 2
    assert f"{tmp_path}/api.tar: is there already" in again.stderr


def test_a_model_alone_is_its_files(project: Checked, tmp_path: Path) -> None:
    told = built(project, "vad", "--out", tmp_path / "vad")
    assert told["name"] == "vad:latest"
    [layer] = told["images"][0]["layers"]
    assert layer["title"] == "vad.onnx"
    assert (tmp_path / "vad/blobs/sha256" / layer["digest"][7:]).read_bytes() == WEIGHTS
    assert built(project, "vad", "--model")["digest"] == told["digest"]


def test_layers_are_compressed_where_that_is_asked_for(project: Checked, tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not here")
    plain = built(project, "api")
    told = built(project, "api", "--compress", "zstd", "--out", tmp_path / "small")
    assert told["size"] < plain["size"] / 2
    [manifest] = json.loads((tmp_path / "small" / "index.json").read_text())["manifests"]
    blobs = tmp_path / "small" / "blobs" / "sha256"
    found = json.loads((blobs / manifest["digest"][7:]).read_text())
    assert {layer["mediaType"] for layer in found["layers"]} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    config = json.loads((blobs / found["config"]["digest"][7:]).read_text())
    unpacked = subprocess.run(
        ["zstd", "-dc", blobs / found["layers"][0]["digest"][7:]], capture_output=True, check=True
    ).stdout
    assert config["rootfs"]["diff_ids"][0] == f"sha256:{hashlib.sha256(unpacked).hexdigest()}"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_what_cannot_be_done_is_said(project: Checked, tmp_path: Path) -> None:
    done = project.run("image", "build", "apo")
    assert (done.returncode, done.stderr) == (
        2,
        "error: apo: there is no environment or service or model with this name\n  hint: did you mean api?\n",
    )
    assert "there is no model with this name" in project.run("image", "build", "api", "--model").stderr
    mac = project.run("image", "build", "--system", "aarch64-darwin").stderr
    assert mac.startswith("error: aarch64-darwin: is no system for images, which are of Linux")
    assert "are two kinds of image" in project.run("image", "build", "--env", "--service").stderr
    assert "are two forms" in project.run("image", "build", "--out", "x", "--archive", "y").stderr
    assert "write --compress zstd" in project.run("image", "build", "--compress", "gzip").stderr
    gone = project.run("image", "build", "--archive", tmp_path / "no" / "folder" / "image.tar")
    assert gone.ok
    full = project.run(
        "image", "build", "--archive", "full/image.tar", before="mkdir -p full; mount -t tmpfs -o size=1m none full"
    )
    assert full.returncode == 3
    assert "error: full/image.tar: cannot be written: No space left on device" in full.stderr


def test_a_path_that_changed_on_the_disk_is_named_and_nothing_is_written(project: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(project.folder, folder)
    mine = type(project)(type(project.project)(folder), project.nix, project.index)
    (folder / "weights" / "vad.onnx").write_bytes(os.urandom(100))  # a path that no other test has
    for words in (["lock"], ["generate"], ["image", "build", "api"]):
        assert (done := mine.run(*words)).ok, done.tail()
    image = stored.read(mine.nix.real(mine.nix.build(folder, "images.api")), str(mine.nix.store))
    weights = next(path for path in image.paths if path.endswith("-vad.onnx"))
    place = mine.nix.real(weights)
    place.chmod(0o600)
    place.write_bytes(b"rotten")
    place.chmod(0o444)
    (tmp_path / "out").mkdir()
    for words in (["api", "--archive", tmp_path / "out" / "image.tar"], ["api", "--out", tmp_path / "out" / "layout"]):
        done = mine.run("image", "build", *map(str, words))
        assert done.returncode == 1
        assert done.stderr.splitlines()[-2].startswith(
            f"error: {weights}: changed on the disk: its NAR hash is sha256-"
        )
    model = mine.run("image", "build", "vad", "--out", tmp_path / "out" / "model")
    assert model.returncode == 1
    assert [*(tmp_path / "out").iterdir()] == []


def test_a_path_that_is_not_as_recorded_is_named(project: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(project.folder, folder)
    other = type(project)(type(project.project)(folder), project.nix, project.index)
    entry = other.system()
    # What the record says of a path is another hash, and its digest fits that.
    from nixgen.check import record
    from nixgen.check.digest import closure_digest

    found = record.read_record(other.record)
    assert found is not None
    closure = dict(found.systems[SYSTEM].closure)
    plum = next(name for name in closure if "-plum-" in name)
    closure[plum] = replace(closure[plum], nar_hash="sha256-" + "A" * 43 + "=")
    entry["closure"][plum]["narHash"] = closure[plum].nar_hash
    other.change({"closure": entry["closure"], "digest": closure_digest(closure.values())})
    done = other.run("image", "build", "api")
    assert done.returncode == 1
    assert f"error: /nix/store/{plum}: has the NAR hash sha256-" in done.stderr


def test_an_image_is_pushed_with_its_documents(project: Checked) -> None:
    """To a double of a registry; the same again sends nothing."""
    double = Double()
    with listen(double.answer) as double.address:
        words = ("image", "push", f"{double.host}/team/demo", "api", "--tag", "1.2", "--tag", "latest", "--json")
        first, again = (project.run(*words) for _ in range(2))
    assert first.ok, first.tail()
    told = json.loads(first.stdout)
    assert told["digest"] == built(project, "api")["digest"] == digest(double.manifests["latest"])
    assert told["tags"] == ["1.2", "latest"]
    assert told["sent"] > 0
    assert json.loads(again.stdout) == {**told, "sent": 0}
    kinds = {}
    for row in json.loads(double.manifests[told["digest"].replace(":", "-")])["manifests"]:
        [layer] = json.loads(double.manifests[row["digest"]])["layers"]
        kinds[row["artifactType"]] = json.loads(double.blobs[layer["digest"]])
    assert kinds["application/vnd.cyclonedx+json"]["bomFormat"] == "CycloneDX"
    statement = kinds["application/vnd.in-toto+json"]
    assert statement["subject"][0]["digest"] == {"sha256": told["digest"][7:]}
    names = [one["name"] for one in statement["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert {"pyproject.toml", "models.toml", "nixgen.lock"} <= set(names)


def test_a_check_compares_the_digest_of_images_that_the_project_records(project: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(project.folder, folder)
    mine = type(project)(type(project.project)(folder), project.nix, project.index)
    text = (folder / "pyproject.toml").read_text()
    image = '[tool.nixgen.image]\nrecord = ["api"]\nports = [8000]\nlabels = {"com.example.team" = "search"}\n'
    (folder / "pyproject.toml").write_text(f"{text}\n{image}")
    for words in (["generate"], ["check", "--update"]):
        assert (done := mine.run(*words)).ok, done.tail()
    [told] = mine.system()["images"].items()
    assert told == ("image-api", built(mine, "api")["digest"])
    assert (done := mine.run("check")).ok, done.tail()
    mine.change({"images": {"image-api": f"sha256:{'0' * 64}"}})
    done = mine.run("check")
    assert done.returncode == 1
    assert f"nixgen.hashes.json: images.image-api: is sha256:{'0' * 64}, and this image is {told[1]}" in (
        done.stderr + done.stdout
    )
