"""Fixtures of the Nix library's tests: pins of the debian base (asked of apt once a run), and a laboratory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from checking import Checked, make
from lab import PYTHON, Lab, locked, make_library
from support.emulated import LackingError, emulation
from support.index import Index, serve
from support.nix import SYSTEM, Nix
from support.project import Project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands on the pins needs a Debian mirror, and a system that the debian base serves."""
    for item in items:
        if "pins" in getattr(item, "fixturenames", ()):
            item.add_marker("network")
            item.add_marker(pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"))


@pytest.fixture(scope="session")
def pins(stores: Path) -> Path:
    """A project without any package on the debian base: what it has in nixgen.lock and nix/nixgen serves all tests."""
    folder = stores / "pins"
    with locked(stores / "pins.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            Project.make(folder).must("init", "--base", "debian", "--python", PYTHON)
            (folder / "done").touch()
        else:
            Project(folder).must("generate")  # kept ones may be an older library's
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index over an empty folder, for as long as the tests run."""
    with serve(tmp_path_factory.mktemp("served")) as index:
        yield index


@pytest.fixture(scope="session")
def library(pins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What nix/nixgen holds in a project on the debian base."""
    return make_library(tmp_path_factory.mktemp("library"), pins)


@pytest.fixture(scope="session")
def lab(nix28: Nix, library: Path, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The laboratory with the machine's Nix."""
    return Lab(nix28, library, served, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def lab_new(nix_new: Nix, library: Path, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The laboratory with a current Nix."""
    return Lab(nix_new, library, served, tmp_path_factory.mktemp("lab-new"))


@pytest.fixture(params=["lab", "lab_new"], ids=["nix28", "nix_new"])
def each_lab(request: pytest.FixtureRequest) -> Lab:
    """Each of both."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Lab)
    return found


@pytest.fixture(scope="session")
def aarch64(nix28: Nix) -> Iterator[Nix]:
    """The machine's Nix where it also builds for aarch64-linux, and runs what it built."""
    with ExitStack() as stack:
        try:
            within = stack.enter_context(emulation())
        except LackingError as error:
            pytest.skip(str(error))
        yield replace(nix28, within=within).with_settings(extra_platforms="aarch64-linux")


@pytest.fixture(scope="session")
def plums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index for the projects that are checked: what other tests put on theirs changes no lock there."""
    with serve(tmp_path_factory.mktemp("plums")) as index:
        yield index


@pytest.fixture(scope="session")
def first(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A project with a record, made with the machine's Nix."""
    checked = make(tmp_path_factory.mktemp("first") / "demo", pins, plums, nix28)
    checked.check("--update")
    return checked


@pytest.fixture(scope="session")
def first_new(first: Checked, nix_new: Nix) -> Checked:
    """The same project with a current Nix and its store."""
    checked = first.with_nix(nix_new)
    checked.check()
    return checked


@pytest.fixture(params=["first", "first_new"], ids=["nix28", "nix_new"])
def checked(request: pytest.FixtureRequest, tmp_path: Path) -> Checked:
    """A copy of the project, with each of both."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Checked)
    shutil.copytree(found.folder, tmp_path / "demo")
    return Checked(type(found.project)(tmp_path / "demo"), found.nix, found.index)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """The settings of an empty bucket called "team" that everybody may read and write; and the bucket."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("obstore")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        files = boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket("team")
        if files.creation_date:  # all of moto's servers of a process have the same buckets
            files.objects.all().delete()
            files.delete()
        files.create(ACL="public-read-write")
        policy = (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",'
            '"Resource":["arn:aws:s3:::team","arn:aws:s3:::team/*"]}]}'
        )
        files.Policy().put(Policy=policy)
        yield f"endpoint={host}:{port}&scheme=http&region=us-east-1", files
    finally:
        running.stop()
