"""``nixgen check`` whose builds happen in another store, over ssh-ng on loopback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import ssh
from support.index import serve
from support.nix import ROOT, SYSTEM, Nix, Output
from support.project import Project
from support.wheels import make_wheel

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
    pytest.mark.skipif(ssh.server() is None, reason="there is no sshd (Debian: openssh-server)"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    wheels = tmp_path_factory.mktemp("wheels")
    make_wheel(wheels, "far", "1.0")
    with serve(wheels) as index:
        made = Project.make(tmp_path_factory.mktemp("project") / "demo", "far", index=index.simple)
        made.must("init", "--base", "debian", "--python", "3.13", "--system", SYSTEM, "--ci", "none")
        yield made


@dataclass(frozen=True)
class Fleet:
    """A machine that decides (``near``, its store empty) and one that builds (``far``, behind ``host``)."""

    near: Nix
    far: Nix
    host: ssh.Host

    def check(self, project: Project, *options: str) -> Output:
        words = [sys.executable, "-m", "nixgen", "check", "--save", str(project.folder.parent / "saved.json"), *options]
        return self.near.inside(
            *words, cwd=project.folder, check=False, PYTHONPATH=str(ROOT), NO_COLOR="1", **self.host.environment
        )


@pytest.fixture
def fleet(both_nix: tuple[Nix, Nix], store: Path, tmp_path: Path) -> Iterator[Callable[[int, int], Fleet]]:
    """``fleet(0, 1)``: the older Nix decides, the current one builds."""
    with ExitStack() as stack:

        def make(near: int, far: int) -> Fleet:
            host = stack.enter_context(ssh.serve(tmp_path / "host", both_nix[far]))
            return Fleet(both_nix[near].with_store(store), both_nix[far], host)

        yield make


def saved(project: Project) -> dict[str, str]:
    """Path → NAR hash, as the check found it."""
    record = json.loads((project.folder.parent / "saved.json").read_text())
    return {name: path["narHash"] for name, path in record["systems"][SYSTEM]["closure"].items()}


PAIRS = pytest.mark.parametrize(
    ("near", "far"), [(0, 0), (1, 1), (0, 1), (1, 0)], ids=["28", "new", "28-new", "new-28"]
)


@PAIRS
def test_a_store_elsewhere(project: Project, fleet: Callable[[int, int], Fleet], near: int, far: int) -> None:
    made = fleet(near, far)
    done = made.check(project, "--store", made.host.url, "--update")
    assert done.ok, done.tail()
    assert made.host.sessions > 0
    found = saved(project)
    assert any(name.endswith("-far-1.0") for name in found)
    here = made.near.real("/nix/store")
    assert not here.exists() or not {path.name for path in here.iterdir()} & found.keys(), "nothing came back"
    for name, nar_hash in found.items():
        assert made.far.path_info(f"/nix/store/{name}")["narHash"] == nar_hash


@PAIRS
def test_builders_elsewhere(project: Project, fleet: Callable[[int, int], Fleet], near: int, far: int) -> None:
    made = fleet(near, far)
    builder = f"{made.host.url} {SYSTEM} - 2 1"
    trusting = replace(made, near=with_hook(made.near).with_settings(require_sigs="false"))
    done = trusting.check(project, "--builders", builder, "--update")
    assert done.ok, done.tail()
    assert made.host.sessions > 0
    found = saved(project)
    assert found
    for name in found:
        if not name.endswith("-busybox-static"):  # unpacked by Nix itself, wherever it runs
            assert not made.near.path_info(f"/nix/store/{name}").get("ultimate"), "built there, and copied back"


def with_hook(nix: Nix) -> Nix:
    """The Nix that speaks to builders: a current one cannot find itself where it was unpacked."""
    return nix.with_settings(build_hook=f"{nix.bin / 'nix'} __build-remote") if nix.version > (2, 20) else nix
