"""A source in Rust: maturin builds it with the crates of its Cargo.lock, which a registry on loopback has."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from checking import Checked
from support.index import serve
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project
from support.sdists import make_sdist
from support.wheels import sha256

pytestmark = [
    pytest.mark.timeout(4 * 3600),
    pytest.mark.network,
    pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="Debian's Rust is 100 MB: one system's is enough"),
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
]
SETTINGS = f"""
[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]
packages = {{rusty = {{build-tools = ["cargo", "rustc"]}}}}
"""
CARGO = """
[package]
name = "rusty"
version = "1.0.0"
edition = "2021"

[dependencies]
greet = {{ version = "1", registry-index = "{registry}" }}
"""
CARGO_LOCK = """
version = 3

[[package]]
name = "greet"
version = "1.0.0"
source = "{registry}"
checksum = "{sha256}"

[[package]]
name = "rusty"
version = "1.0.0"
dependencies = ["greet"]
"""


def crate(folder: Path) -> Path:
    """A crate on the registry whose files the index serves."""
    path = folder / "greet-1.0.0.crate"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            ("Cargo.toml", '[package]\nname = "greet"\nversion = "1.0.0"\nedition = "2021"\n'),
            ("src/lib.rs", 'pub fn greeting(name: &str) -> String { format!("hello {name} from {}", file!()) }\n'),
        ):
            member = tarfile.TarInfo(f"greet-1.0.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture(scope="module")
def project(nix28: Nix, pins: Path, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("crates") / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    with serve(tmp_path_factory.mktemp("registry")) as index:
        made = crate(index.folder)
        pattern = f"{index.address}/files/{{crate}}-{{version}}.crate"
        (index.folder / "config.json").write_text(json.dumps({"dl": pattern}))
        registry = f"sparse+{index.address}/files/"
        source = make_sdist(
            folder,
            "rusty",
            "1.0",
            {
                "pyproject.toml": '[build-system]\nrequires = ["maturin>=1,<2"]\nbuild-backend = "maturin"\n'
                '[project]\nname = "rusty"\nversion = "1.0"\n[tool.maturin]\nbindings = "bin"\n',
                "Cargo.toml": CARGO.format(registry=registry),
                "Cargo.lock": CARGO_LOCK.format(registry=registry, sha256=sha256(made)),
                "src/main.rs": 'fn main() { println!("{}", greet::greeting("nix")); }\n',
            },
        )
        text = PYPROJECT.format(dependencies='"rusty"')
        (folder / "pyproject.toml").write_text(
            f'{text}\n[tool.uv.sources]\nrusty = {{path = "{source.name}"}}\n'
            f'{SETTINGS}crate-registries = ["{registry}"]\n'
        )
        checked = Checked(Project(folder), nix28, index)
        checked.project.lock()
        for words in (("lock",), ("generate",)):
            done = checked.run(*words)
            assert done.ok, done.tail()
        checked.nix.build(folder, "environment", "--cores", "1")
    return checked


def test_its_crates_are_pinned(project: Checked) -> None:
    (build,) = json.loads((project.folder / "nixgen.lock").read_text())["builds"]
    (found,) = build["crates"]
    assert (found["name"], found["version"]) == ("greet", "1.0.0")
    assert found["url"].endswith("/files/greet-1.0.0.crate")


def test_it_is_built_with_them_and_the_same_again(project: Checked) -> None:
    environment = project.nix.build(project.folder, "environment")
    said = project.nix.run(str(environment / "bin/rusty")).stdout
    assert said == "hello nix from /build/crates/greet-1.0.0/src/lib.rs\n"
    project.nix.run("nix-build", "--no-out-link", "--check", "--cores", "2", "-A", "wheels.rusty", project.folder)
    path = project.nix.build(project.folder, "wheels.rusty")
    assert [one for one in project.nix.requisites(path) if "needs" in one or "toolchain" in one] == []
