"""apt, on a small signed archive of the test's own."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.debian import Archive, serve_archive
from support.tree import flip

from nixgen.bases.debian import apt
from nixgen.bases.debian.apt import Package, RefusedError, open_apt, parse_plan
from nixgen.bases.debian.sources import Source
from nixgen.errors import MachineError
from nixgen.machine.process import Result

needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "gpg", "gpgv")), reason="needs apt and gpg"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with serve_archive(tmp_path_factory.mktemp("archive")) as made:
        made.add("bookworm", "shell", "1:5.2-1+b1", Depends="base, libone (>= 1)", content=b"shell")
        made.add("bookworm", "base", Pre_Depends="awk")
        made.add("bookworm", "mawk", Provides="awk")
        made.add("bookworm", "libone", Recommends="chatter")
        made.add("bookworm", "chatter")
        made.add("bookworm", "fighter", Conflicts="shell")
        made.publish("bookworm")
        yield made


@pytest.fixture
def sources(archive: Archive) -> list[Source]:
    return [Source(archive.address, "bookworm", (str(archive.keyring),))]


@needs_apt
def test_the_plan_is_the_closure_without_recommends(archive: Archive, sources: list[Source], tmp_path: Path) -> None:
    with open_apt(sources, "aarch64-linux", tmp_path) as tool:
        assert [package.name for package in tool.plan(["shell"])] == ["base", "libone", "mawk", "shell"]
        shell = tool.plan(["shell"])[-1]
    assert shell == Package(
        name="shell",
        version="1:5.2-1+b1",
        url=f"{archive.address}/pool/main/shell/shell_1%253a5.2-1%2bb1_arm64.deb",
        sha256=hashlib.sha256(b"shell").hexdigest(),
        size=5,
    )


@needs_apt
def test_what_is_left_out_takes_along_what_only_it_needs(sources: list[Source], tmp_path: Path) -> None:
    with open_apt(sources, "x86_64-linux", tmp_path) as tool:
        assert [package.name for package in tool.plan(["shell"], ["base"])] == ["libone", "shell"]
        assert [package.name for package in tool.plan(["shell", "mawk"], ["base"])] == ["libone", "mawk", "shell"]
        assert [package.name for package in tool.plan(["shell", "base"], ["base"])] == [
            "base",
            "libone",
            "mawk",
            "shell",
        ]


@needs_apt
def test_a_conflict_is_refused_with_apts_reason(sources: list[Source], tmp_path: Path) -> None:
    with (
        open_apt(sources, "x86_64-linux", tmp_path) as tool,
        pytest.raises(RefusedError, match="fighter : Conflicts: shell"),
    ):
        tool.plan(["shell", "fighter"])


@needs_apt
@pytest.mark.heavy
def test_a_changed_index_of_the_same_size_and_time_is_read(archive: Archive, tmp_path: Path) -> None:
    """What apt has parsed of the one before stays; some mirrors give all files one time."""
    sources = [Source(archive.address, "trixie", (str(archive.keyring),))]
    for version in ("1.0-1", "1.0-2"):
        archive.packages.pop("trixie amd64", None)
        archive.add("trixie", "lone", version)
        archive.publish("trixie")
        for path in (archive.folder / "dists/trixie").rglob("Packages"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        for _ in range(2):
            with open_apt(sources, "x86_64-linux", tmp_path) as tool:
                assert [package.version for package in tool.plan(["lone"])] == [version]


@needs_apt
@pytest.mark.heavy
def test_apt_is_asked_once_until_what_it_reads_or_apt_itself_changes(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Source(archive.address, "sid", (str(archive.keyring),))]
    asked: list[str] = []
    run = apt.Apt._run

    def noted(tool: apt.Apt, *words: str) -> Result:
        asked.append(words[1])
        return run(tool, *words)

    monkeypatch.setattr(apt.Apt, "_run", noted)

    def version(*without: str) -> tuple[str, list[str]]:
        asked.clear()
        with open_apt(sources, "x86_64-linux", tmp_path / "cache") as tool:
            (package,) = (one for one in tool.plan(["lone"], without) if one.name == "lone")
        return package.version, [word for word in asked if word != "update"]

    archive.add("sid", "other")
    archive.add("sid", "lone", "1.0-1", Depends="other")
    archive.publish("sid")
    assert version() == ("1.0-1", ["install"])
    assert version() == ("1.0-1", [])
    assert version("other") == ("1.0-1", ["show", "install"])  # another question
    assert version("other") == ("1.0-1", [])
    archive.packages.pop("sid amd64")
    archive.add("sid", "lone", "1.0-2")
    archive.publish("sid")
    assert version() == ("1.0-2", ["install"])
    (kept,) = (path for path in (tmp_path / "cache").rglob("answers/*/*"))  # those of the index before are gone
    flip(kept, -1)
    assert version() == ("1.0-2", ["install"])
    program = Path(shutil.which("apt-get") or "")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apt-get").write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    (tmp_path / "bin/apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert version() == ("1.0-2", ["install"])
    assert version() == ("1.0-2", [])


@needs_apt
def test_show_knows_packages_and_nothing_else(sources: list[Source], tmp_path: Path) -> None:
    with open_apt(sources, "x86_64-linux", tmp_path) as tool:
        assert set(tool.show(["shell", "awk", "nothing"])) == {"shell"}
        assert tool.show([]) == {}
        assert tool.nearest("shel") == ("shell",)
        assert tool.nearest("zzzzzzzz") == ()


@needs_apt
def test_an_index_signed_with_another_key_is_not_taken(sources: list[Source], tmp_path: Path) -> None:
    with serve_archive(tmp_path) as other:
        foreign = [Source(source.uri, source.suite, (str(other.keyring),)) for source in sources]
        with pytest.raises(MachineError) as caught, open_apt(foreign, "x86_64-linux", tmp_path / "cache"):
            pass
    assert "NO_PUBKEY" in str(caught.value)
    assert caught.value.problems[0].mend == "install the newest keys: apt-get install debian-archive-keyring"


@needs_apt
def test_a_mirror_that_does_not_answer(sources: list[Source], tmp_path: Path) -> None:
    gone = [Source("http://127.0.0.1:9/debian", "bookworm", sources[0].keyrings)]
    with pytest.raises(MachineError) as caught, open_apt(gone, "x86_64-linux", tmp_path):
        pass
    problem = caught.value.problems[0]
    assert problem.what.startswith("apt could not fetch Debian's package index\n")
    assert "127.0.0.1" in problem.what
    assert problem.mend == (
        "check the network, the proxy and the mirror; or use another mirror: --mirror https://mirror.example.org/debian"
    )


@needs_apt
def test_a_mirror_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine's settings none counts: one may allow it."""
    (tmp_path / "apt.conf").write_text('Dir::Etc::Parts "/nowhere"; Dir::Etc::Main "/dev/null";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with serve_archive(tmp_path) as archive:
        archive.publish("bookworm", until="Sun, 02 Aug 2026 00:00:00 UTC")
        frozen = [Source(archive.address, "bookworm", (str(archive.keyring),))]
        with pytest.raises(MachineError) as caught, open_apt(frozen, "x86_64-linux", tmp_path / "cache"):
            pass
    assert "is expired" in str(caught.value)
    assert caught.value.problems[0].mend.startswith("use a mirror that is up to date: --mirror ")


@needs_apt
def test_a_cache_folder_without_room_is_told_at_once(sources: list[Source], mounted: Path) -> None:
    with pytest.raises(MachineError) as caught, open_apt(sources, "x86_64-linux", mounted):
        pass
    assert "free, and what apt fetches needs 128 MiB" in str(caught.value)


def test_a_machine_without_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught, open_apt([Source("u", "s")], "x86_64-linux", tmp_path):
        pass
    assert str(caught.value) == (
        "there is no apt on this machine, which the debian base is pinned with\n"
        "  hint: run nixgen lock on Debian or Ubuntu (a container is enough; the result serves all), "
        'or set base = "nixpkgs"'
    )


@needs_apt
def test_a_folder_that_cannot_be_written(sources: list[Source], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="XDG_CACHE_HOME"), open_apt(sources, "x86_64-linux", tmp_path / "file"):
        pass


def test_the_plan_as_apt_prints_it() -> None:
    line = (
        f"'http://mirror.example.org/debian/pool/z_1%2b_amd64.deb' zlib1g_1%3a1.2+d_amd64.deb 86684 SHA256:{'d' * 64}"
    )
    assert list(parse_plan(f"Reading package lists...\n{line}\n")) == [
        Package("zlib1g", "1:1.2+d", "http://mirror.example.org/debian/pool/z_1%2b_amd64.deb", "d" * 64, 86684)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "'http://mirror.example.org/a.deb' a_1_amd64.deb 12 MD5Sum:0123",
        "'http://mirror.example.org/a.deb' a.deb 12 SHA256:" + "d" * 64,
    ],
)
def test_a_line_without_what_is_needed_is_an_error(line: str) -> None:
    with pytest.raises(MachineError, match="does not understand"):
        list(parse_plan(line))


@needs_apt
def test_only_the_machines_network_settings_are_taken_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sources: list[Source]
) -> None:
    machine = tmp_path / "machine.conf"
    machine.write_text(
        'Acquire::http::Proxy::proxied.example.org "http://proxy.example.org:3128";\n'
        'APT::Update::Post-Invoke { "touch ' + str(tmp_path / "ran") + '"; };\n'
        'APT::Install-Recommends "true";\nAcquire::AllowInsecureRepositories "true";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(machine))
    with open_apt(sources, "x86_64-linux", tmp_path / "cache") as tool:
        (written,) = (tmp_path / "cache").rglob("apt.conf")
        assert [package.name for package in tool.plan(["libone"])] == ["libone"]
    assert 'Acquire::http::Proxy::proxied.example.org "http://proxy.example.org:3128";' in written.read_text()
    assert "Insecure" not in written.read_text()
    assert not (tmp_path / "ran").exists()


def test_debians_names_for_systems() -> None:
    assert apt.ARCHITECTURES == {"aarch64-linux": "arm64", "x86_64-linux": "amd64"}
