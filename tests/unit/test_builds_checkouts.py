"""Commits of git repositories as folders, by the program that the sandbox runs, too: from servers on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gitserver import TIME, Repository, Server, serving
from support.nix import ROOT
from support.tls import certified

from nixgen.nix import nar

pytestmark = [pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"), pytest.mark.heavy]

PROGRAM = ROOT / "nix/builders/git.py"
LOGIN = "!f() { echo username=demo; echo password=plum; }; f"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "served") as found:
        yield found


def fetch(url: str, commit: str, out: Path, **env: str) -> str:
    """Fetches; what is said on stderr. Without a login of the machine's."""
    given = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(out.parent), "XDG_CONFIG_HOME": str(out.parent)}
    given |= {"out": str(out), "project": "plum", **env}
    command = [sys.executable, "-I", str(PROGRAM), str(shutil.which("git")), url, commit]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == (3 if done.stderr else 0), done.stderr
    assert done.stderr or done.stdout == f"{TIME}\n"
    return done.stderr


def listed(folder: Path) -> list[str]:
    """All that is in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_commit_without_git_s_folder(server: Server, tmp_path: Path) -> None:
    made = Repository.make(server.folder / "plum", {"a": "1\r\n", "b/run": "", "modes": ""})
    (made.folder / "b/run").chmod(0o755)
    (made.folder / "link").symlink_to("b/run")
    commit = made.commit({"a": "2\r\n"})
    made.commit({"a": "3\n"})
    assert fetch(server.url("plum"), commit, tmp_path / "out") == ""
    assert listed(tmp_path / "out") == ["a", "b", "b/run", "link", "modes"]
    assert (tmp_path / "out/a").read_bytes() == b"2\r\n"
    assert os.access(tmp_path / "out/b/run", os.X_OK)
    assert (tmp_path / "out/link").is_symlink()
    # From the disk, which gives no single commits, it is the same.
    assert fetch(f"file://{made.folder}", commit, tmp_path / "other") == ""
    assert nar.hash_path(tmp_path / "other") == nar.hash_path(tmp_path / "out")


def test_the_settings_of_a_machine_change_nothing(server: Server, tmp_path: Path) -> None:
    made = Repository.make(server.folder / "plum", {"a.txt": "1\n2\n", ".gitattributes": "*.txt text\n"})
    commit = made.git("rev-parse", "HEAD")
    assert fetch(server.url("plum"), commit, tmp_path / "out") == ""
    (tmp_path / ".gitconfig").write_text(
        "[core]\nautocrlf = true\neol = crlf\nsymlinks = false\nfileMode = false\nhooksPath = /tmp\n"
        "attributesFile = ~/attributes\n[init]\ndefaultObjectFormat = sha256\n[log]\nshowSignature = true\n"
        '[filter "upper"]\nsmudge = tr a-z A-Z\n[fetch]\nrecurseSubmodules = true\n'
    )
    (tmp_path / "attributes").write_text("* filter=upper\n")
    assert fetch(server.url("plum"), commit, tmp_path / "other") == ""
    assert nar.hash_path(tmp_path / "other") == nar.hash_path(tmp_path / "out")
    # Nor does another repository, where a hook of its own runs nixgen.
    inner = {"GIT_DIR": str(made.folder / ".git"), "GIT_WORK_TREE": str(made.folder), "GIT_INDEX_FILE": "/nowhere"}
    assert fetch(server.url("plum"), commit, tmp_path / "third", **inner) == ""
    assert nar.hash_path(tmp_path / "third") == nar.hash_path(tmp_path / "out")


def test_submodules_of_submodules_with_relative_addresses(server: Server, tmp_path: Path) -> None:
    inner = Repository.make(server.folder / "deep/inner", {"text": "inner\n"})
    middle = Repository.make(server.folder / "middle", {"text": "middle\n"})
    middle.module("in it", "../deep/inner", inner.git("rev-parse", "HEAD"))
    outer = Repository.make(server.folder / "outer", {"text": "outer\n"})
    outer.module("modules/middle", server.url("middle"), middle.git("rev-parse", "HEAD"))
    assert fetch(server.url("outer"), outer.git("rev-parse", "HEAD"), tmp_path / "out") == ""
    assert (tmp_path / "out/modules/middle/in it/text").read_text() == "inner\n"
    assert not list((tmp_path / "out").rglob(".git"))


def test_a_submodule_does_not_read_this_machine_s_disk(server: Server, tmp_path: Path) -> None:
    """CVE-2022-39253: git itself refuses the same."""
    inner = Repository.make(tmp_path / "inner", {"text": "inner\n"})
    outer = Repository.make(server.folder / "outer", {"text": "outer\n"})
    outer.module("inner", f"file://{inner.folder}", inner.git("rev-parse", "HEAD"))
    said = fetch(server.url("outer"), outer.git("rev-parse", "HEAD"), tmp_path / "out")
    assert "transport 'file' not allowed" in said


def test_a_submodule_does_not_run_commands(server: Server, tmp_path: Path) -> None:
    outer = Repository.make(server.folder / "outer", {"text": "outer\n"})
    outer.module("inner", f"ext::sh -c 'touch% {tmp_path}/ran'", "a" * 40)
    said = fetch(server.url("outer"), outer.git("rev-parse", "HEAD"), tmp_path / "out")
    assert "transport 'ext' not allowed" in said
    assert not (tmp_path / "ran").exists()


def test_what_is_gone_is_a_sentence(server: Server, tmp_path: Path) -> None:
    Repository.make(server.folder / "plum", {"a": ""})
    url = server.url("plum")
    assert (
        fetch(url, "a" * 40, tmp_path / "out")
        == f"{url} has no commit {'a' * 40} any more\nuv lock --upgrade-package plum\n"
    )
    said = fetch(server.url("gone"), "a" * 40, tmp_path / "out").splitlines()
    assert said[0].startswith(f"{server.url('gone')} is gone, or private: ")
    assert said[1] == f"see what git says: git ls-remote {server.url('gone')}"
    assert fetch("http://127.0.0.1:9/x", "a" * 40, tmp_path / "out").startswith(
        "http://127.0.0.1:9/x cannot be reached: "
    )


def test_a_login_is_the_machine_s_and_stays_there(server: Server, tmp_path: Path) -> None:
    made = Repository.make(server.folder / "private/plum", {"a": ""})
    commit, url = made.git("rev-parse", "HEAD"), server.url("private/plum")
    assert fetch(url, commit, tmp_path / "out").startswith(f"{url} asks for a login that git does not have: ")
    (tmp_path / ".gitconfig").write_text(f'[credential]\nhelper = "{LOGIN}"\n')
    assert fetch(url, commit, tmp_path / "out") == ""
    assert listed(tmp_path / "out") == ["a"]
    said = fetch(url, commit, tmp_path / "other", sandbox="1")
    assert "Where git may read it, `nixgen lock` puts it into the store: plum at" in said


def test_a_repository_behind_ssh(tmp_path: Path) -> None:
    """By the machine's own ssh, whichever git is told to take: a stand-in, which is another machine to git."""
    made = Repository.make(tmp_path / "plum", {"a": ""})
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$*" >> {tmp_path}/log\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    url, commit = f"ssh://git@git.example.org{made.folder}", made.git("rev-parse", "HEAD")
    assert fetch(url, commit, tmp_path / "out", GIT_SSH_COMMAND=str(ssh)) == ""
    assert listed(tmp_path / "out") == ["a"]
    assert "git@git.example.org git-upload-pack" in (tmp_path / "log").read_text()
    ssh.write_text("#!/bin/sh\necho 'git@git.example.org: Permission denied (publickey).' >&2\nexit 255\n")
    said = fetch(url, commit, tmp_path / "other", GIT_SSH_COMMAND=str(ssh))
    assert said.startswith(f"{url} asks for a login that git does not have: ")


def test_what_the_sandbox_cannot_fetch_says_so(tmp_path: Path) -> None:
    for url in ("ssh://git@example.org/plum", "file:///nowhere"):
        said = fetch(url, "a" * 40, tmp_path / "out", sandbox="1")
        assert said.splitlines()[0] == f"{url} cannot be fetched in Nix's sandbox"


def test_the_sandbox_has_no_certificates_and_needs_none(tmp_path: Path) -> None:
    """Nix has the hash of what comes, as for what it fetches itself."""
    context, _ = certified(tmp_path)
    made = Repository.make(tmp_path / "served/plum", {"a": ""})
    with serving(tmp_path / "served", context) as server:
        url, commit = server.url("plum"), made.git("rev-parse", "HEAD")
        assert fetch(url, commit, tmp_path / "out", sandbox="1") == ""
        assert fetch(url, commit, tmp_path / "other").startswith(f"{url} cannot be fetched: ")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n"


def test_files_in_lfs_without_the_program(server: Server, tmp_path: Path) -> None:
    files = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": POINTER.format("a" * 64)}
    made = Repository.make(server.folder / "plum", files)
    url, commit = server.url("plum"), made.git("rev-parse", "HEAD")
    only = tmp_path / "bin"
    only.mkdir()
    (only / "git").symlink_to(str(shutil.which("git")))
    said = fetch(url, commit, tmp_path / "out", PATH=str(only))
    assert said == f"{url} keeps a.bin in Git LFS, and there is no git-lfs\ninstall git-lfs, then: nixgen sync\n"


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="there is no git-lfs")
@pytest.mark.heavy
def test_files_in_lfs(tmp_path: Path) -> None:
    """From the disk, which git-lfs reads by itself: the file, and not the pointer that the commit has."""
    files = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "b.txt": "text\n"}
    made = Repository.make(tmp_path / "plum", files)
    for words in (("lfs", "install", "--local"), ("config", "lfs.standalonetransferagent", "lfs-standalone-file")):
        made.git(*words)
    commit = made.commit({"a.bin": "large"})
    assert made.git("show", "HEAD:a.bin").startswith("version https://git-lfs")
    assert fetch(f"file://{made.folder}", commit, tmp_path / "out") == ""
    assert (tmp_path / "out/a.bin").read_text() == "large"
    assert listed(tmp_path / "out") == [".gitattributes", "a.bin", "b.txt"]
