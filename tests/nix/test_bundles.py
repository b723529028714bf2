"""A bundle on real Nix: the same bytes from two stores, opened without a network, and run where there is no Nix."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from checking import Checked, make
from support.nix import SYSTEM, current

from nixgen.bundle import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.index import Index
    from support.nix import Nix

Bare: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a bare root, and a store over /nix")

APPLETS = (
    "chmod chroot cat dirname env gzip id ln ls mkdir mount mv pivot_root readlink rm rmdir sed sh su tail tar umount "
    "uname unshare"
)
ENTER = """
mount --bind "$1" "$1"; cd "$1"; mount -t proc proc proc; mount --rbind /dev dev; pivot_root . old; cd /; umount -l /old
exec env -i PATH=/bin su -s /bin/sh "$3" -c "$2"
"""
SHOW = "import plum, sys, os; print(plum.COLOUR, sys.prefix, os.getcwd(), os.path.exists('/nix/var'))"


@pytest.fixture(scope="module")
def checked(pins: Path, served: Index, nix28: Nix, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A project with a record, known to git."""
    found = make(tmp_path_factory.mktemp("bundle") / "demo", pins, served, nix28)
    subprocess.run(["git", "init", "-q"], cwd=found.folder, check=True)
    found.check("--update")
    subprocess.run(["git", "add", "-A"], cwd=found.folder, check=True)
    return found


@pytest.fixture(scope="module")
def file(checked: Checked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("file") / "demo.nixgen"
    done = checked.run("bundle", "-o", place, "--json")
    assert done.ok, done.tail()
    told = json.loads(done.stdout)
    assert told["paths"] == told["recorded"] > 0
    return place


def test_the_same_project_has_the_same_bytes_on_both_versions_of_nix(
    checked: Checked, file: Path, nix_new: Nix, tmp_path: Path
) -> None:
    done = checked.with_nix(nix_new).run("bundle", "create", "--out", tmp_path / "b.nixgen")
    assert done.ok, done.tail()
    assert (tmp_path / "b.nixgen").read_bytes() == file.read_bytes()


def test_it_opens_in_an_empty_store_without_a_network(checked: Checked, file: Path, nix: Nix, tmp_path: Path) -> None:
    alone = checked.with_nix(replace(nix.with_store(tmp_path / "store"), within=("unshare", "--net", "--")))
    (tmp_path / "store/nix").mkdir(parents=True)
    damaged = tmp_path / "damaged.nixgen"
    data = bytearray(file.read_bytes())
    data[-5000] ^= 1
    damaged.write_bytes(data)
    folder = tmp_path / "opened"
    refused = alone.run("bundle", "open", damaged, folder)
    assert refused.returncode == 1, refused.tail()
    assert "is damaged" in refused.stderr
    assert not folder.exists()
    done = alone.run("bundle", "open", file, folder, "--json")
    assert done.ok, done.tail()
    told = json.loads(done.stdout)
    assert told["environments"] == {"": (folder / ".nixgen-bundle").readlink().name}
    assert (told["folder"], told["project"], told["signer"]) == (str(folder), "demo", None)
    assert (folder / "nixgen.hashes.json").read_bytes() == checked.record.read_bytes()
    wanted = checked.system()["closure"]
    held = alone.nix.requisites((folder / ".nixgen-bundle").readlink())
    assert len(held) > 3
    for path in held:
        assert alone.nix.nar_hash(path) == checked.nix.nar_hash(path)
        assert path.removeprefix("/nix/store/") in wanted
    again = alone.run("bundle", "open", file, folder)
    assert "is there already" in again.stderr


def test_a_full_store_is_named_and_no_folder_is_left(checked: Checked, file: Path, nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "store/nix").mkdir(parents=True)
    alone = checked.with_nix(nix.with_store(tmp_path / "store"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "test", tmp_path / "store/nix"], check=True)
    try:
        done = alone.run("bundle", "open", file, tmp_path / "opened")
    finally:
        subprocess.run(["umount", "-l", tmp_path / "store/nix"], check=True)
    assert done.returncode == 3, done.tail()
    said = r"^error: Nix does not take what the bundle has: .*No space left on device$"
    assert re.search(said, done.stderr, re.MULTILINE)
    assert [one.name for one in tmp_path.iterdir()] == ["store"]


@pytest.fixture
def bare(file: Path, tmp_path: Path) -> Bare:
    """A root with busybox and the bundle; what it gives runs words there, as a user."""
    busybox = shutil.which("busybox")
    if busybox is None or SYSTEM != "x86_64-linux":
        pytest.skip("busybox is not here")
    for name in ("bin", "tmp", "proc", "dev", "etc", "old"):
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "tmp").chmod(0o1777)
    shutil.copy(busybox, tmp_path / "bin/busybox")
    for name in APPLETS.split():
        (tmp_path / "bin" / name).symlink_to("busybox")
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("nobody:x:65534:\n")
    shutil.copy(file, tmp_path / "demo.nixgen")
    (tmp_path / "tmp/show.py").write_text(SHOW)
    enter = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-ec", ENTER, "sh", tmp_path]

    def run(words: str, user: str = "nobody") -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*enter, words, user], capture_output=True, text=True, check=False)
        if "Operation not permitted" in done.stderr or "user namespaces" in done.stderr:
            pytest.skip("this kernel gives users no namespaces")
        return done

    return run


def test_it_runs_as_nobody_where_there_is_neither_nix_nor_nixgen(bare: Bare, file: Path, tmp_path: Path) -> None:
    asked = "cd /tmp && sh /demo.nixgen run --dir /tmp/x python show.py"
    for _ in range(2):  # the second time it is unpacked already
        done = bare(asked)
        assert done.returncode == 0, done.stderr
        colour, prefix, folder, state = done.stdout.split()
        assert (colour, folder, state) == ("purple", "/tmp", "False")
        assert prefix.startswith("/tmp/x/")
    # Cut off: nothing is left of it.
    data = file.read_bytes()
    (tmp_path / "demo.nixgen").write_bytes(data[: start.SIZE + 200_000])
    shutil.rmtree(tmp_path / "tmp/x")
    done = bare(asked)
    assert done.returncode == 3
    assert "cannot be unpacked" in done.stderr
    assert list((tmp_path / "tmp/x").iterdir()) == []


@pytest.mark.parametrize("bubblewrap", [True, False])
def test_it_runs_whatever_lies_at_nix_and_where_only_another_user_may_look(
    bare: Bare, tmp_path: Path, *, bubblewrap: bool
) -> None:
    if bubblewrap:
        shutil.copytree(current("bubblewrap"), tmp_path / "opt")
        (tmp_path / "bin/bwrap").symlink_to("/opt/bwrap")
    (tmp_path / "other/var").mkdir(parents=True)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    place = tmp_path / "nix"
    for target, user in itertools.product((None, "", "/other", "/gone"), ("nobody", "root")):
        if target is not None:
            place.symlink_to(target) if target else place.mkdir()
        done = bare(f"cd /home && sh /demo.nixgen run --dir /tmp/{user} python /tmp/show.py", user)
        assert done.returncode == 0, (target, user, done.stderr)
        assert done.stdout.split()[2:] == ["/home", "False"]
        assert "made /nix" not in done.stderr
        if target is not None:
            place.unlink() if target else place.rmdir()


@pytest.mark.usefixtures("bare")
def test_without_any_namespace_root_makes_a_link(tmp_path: Path) -> None:
    """In a chroot nobody may make namespaces of users, and without the right to mount, root makes none either."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not here")
    (tmp_path / "dev/null").touch(0o666)

    def run(folder: str) -> subprocess.CompletedProcess[str]:
        command = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "chroot", tmp_path]
        command += ["/bin/env", "-i", "PATH=/bin", "/bin/sh", "-c"]
        words = f"cd /tmp && sh /demo.nixgen run --dir {folder} python show.py"
        return subprocess.run([*command, words], capture_output=True, text=True, check=False)

    shown = run("/tmp/x")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.startswith("made /nix, a link to /tmp/x/")
    assert run("/tmp/y").stderr == ""
    place = tmp_path / "nix"
    place.unlink()
    place.symlink_to("/gone")
    refused = run("/tmp/x")
    assert refused.returncode == 3
    assert "rm /nix && ln -s /tmp/x/" in refused.stderr
    assert "(it is a link to /gone)" in refused.stderr
    place.unlink()
    place.mkdir()
    assert "; mount --bind /tmp/x/" in run("/tmp/x").stderr
