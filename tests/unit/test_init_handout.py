"""What `nixgen init --enter` writes: ./enter on machines that lack things, and ENVIRONMENT.md."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.initproject import Run, made, runner

from nixgen.init import handout, installsource
from nixgen.machine.host import Host
from nixgen.nix import install

BUSYBOX = next((one for one in map(Path, ("/bin/busybox", "/usr/bin/busybox")) if one.exists()), None)
NOBODY = 65534
DEBIAN, UBUNTU = 'ID=debian\nPRETTY_NAME="Debian"\n', "ID=ubuntu\nID_LIKE=debian\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_both_files_are_written_on_request_and_once(project: Path, run: Run) -> None:
    run(project)
    assert not (project / "enter").exists()
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "remote", "add", "origin", "git@git.example.org:team/demo.git"], cwd=project, check=True)
    assert {"wrote enter", "wrote ENVIRONMENT.md"} <= set(run(project, enter=True))
    assert os.access(project / "enter", os.X_OK)
    listed = subprocess.run(["git", "ls-files"], cwd=project, check=True, capture_output=True, text=True).stdout
    assert {"enter", "ENVIRONMENT.md"} <= set(listed.split())
    assert "- https://git.example.org/team/demo.git" in (project / "ENVIRONMENT.md").read_text()
    assert run(project, enter=True)[-1] == "Everything is up to date."
    assert os.access(project / "enter", os.X_OK)


def test_what_is_the_users_stays_theirs(project: Path, run: Run) -> None:
    (project / "enter").write_text("#!/bin/sh\necho mine\n")
    (project / "ENVIRONMENT.md").write_text("mine\n")
    said = run(project, enter=True)
    assert "warning: enter stays as it is, because nixgen did not write it." in said
    assert any(line.startswith("warning: ENVIRONMENT.md stays as it is: it has no line <!--") for line in said)
    assert (project / "ENVIRONMENT.md").read_text() == "mine\n"
    # Between the marks it is nixgen's, around them the user's.
    (project / "ENVIRONMENT.md").write_text(f"before\n{handout.BEGIN}\nold\n{handout.END}\nafter\n")
    pyproject = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(
        pyproject.replace(
            'version = "0.1.0"', 'version = "0.1.0"\nauthors = [{name = "Ada", email = "ada@example.org"}]'
        )
    )
    run(project, enter=True)
    page = (project / "ENVIRONMENT.md").read_text()
    assert (page[:7], page[-6:], "\nold\n" in page, "- Ada, ada@example.org" in page) == (
        "before\n",
        "after\n",
        False,
        True,
    )


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("python -m app --year=2026", "./enter python -m app --year=2026"),
        ("a 'b' && c", "./enter sh -c 'a '\"'\"'b'\"'\"' && c'"),
    ],
)
def test_the_page_has_the_main_command(project: Path, run: Run, line: str, command: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.nixgen]\nrun = {json.dumps(line)}\n")
    run(project, enter=True)
    page = (project / "ENVIRONMENT.md").read_text()
    assert f"```sh\n{command}\n```\n\n`./enter` alone opens a shell" in page


def test_the_files_are_what_people_are_to_see(project: Path, run: Run, golden: Callable[[str, str], None]) -> None:
    run(project, enter=True)
    golden("handout/enter", (project / "enter").read_text())
    golden("handout/ENVIRONMENT.md", (project / "ENVIRONMENT.md").read_text())


def test_the_script_is_plain_posix(tmp_path: Path) -> None:
    script = tmp_path / "enter"
    script.write_text(handout.enter_sh())
    for program, *words in (("dash", "-n"), ("shellcheck", "-s", "sh"), ("bash", "--posix", "-n")):
        if shutil.which(program):
            done = subprocess.run([program, *words, script], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout + done.stderr) == (0, "")


class Bare:
    """A machine that has busybox and nothing else: a folder that is the root of the script's file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        assert BUSYBOX is not None
        for folder in ("bin", "etc", "tmp", "a project"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        for name in ("sh", "id", "uname", "grep", "sed", "dirname", "tail"):
            (root / "bin" / name).symlink_to("busybox")
        (root / "a project/enter").write_text(handout.enter_sh())
        self.put("dev/null", "", 0o666)
        self.put("etc/group", "root:x:0:\n")
        self.put("etc/passwd", "root:x:0:0::/:/bin/sh\nada:x:65534:65534::/:/bin/sh\n")

    def put(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def nix(self, said: str = "", code: int = 0) -> None:
        """Programs for Nix: one says something about the store, one prints what it is called with."""
        self.put("bin/nix-instantiate", f'#!/bin/sh\necho "{said}" >&2\nexit {code}\n', 0o755)
        self.put("bin/nix-shell", '#!/bin/sh\nprintf "<%s>" "$@" "${NIX_CONFIG:-}"\n', 0o755)
        (self.root / "nix/var/nix").mkdir(parents=True, exist_ok=True)

    def enter(self, *words: str, root: bool = False, **env: str) -> tuple[int, list[str]]:
        user = "0:0" if root else f"{NOBODY}:{NOBODY}"
        argv = ["/usr/sbin/chroot", f"--userspec={user}", str(self.root), "/bin/sh", "/a project/enter", *words]
        done = subprocess.run(argv, env={"PATH": "/bin", **env}, capture_output=True, text=True, check=False)
        return done.returncode, (done.stderr + done.stdout).splitlines()


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    if os.geteuid() != 0 or BUSYBOX is None:
        pytest.skip("a bare machine is made of busybox, by root")
    made = Bare(tmp_path / "root")
    if made.enter()[0] != 3:
        pytest.skip("this busybox is no static one")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    return made


def test_without_nix_it_says_what_the_doctor_says(bare: Bare) -> None:
    releases = (DEBIAN, UBUNTU, "ID=fedora\n", "ID=manjaro\nID_LIKE=arch\n", "ID=nixos\n", "ID=x\n", "")
    for systemd, release, root in itertools.product((False, True), releases, (False, True)):
        bare.put("etc/os-release", release)
        if systemd:
            bare.put("run/systemd/system/x", "")
        ids = tuple(line.partition("=")[2] for line in release.splitlines() if line.startswith("ID"))
        hint = install.nix(Host("linux", ids, systemd=systemd), root=root)
        assert bare.enter(root=root) == (3, ["error: Nix is not installed", f"  hint: {hint}"])


SOCKET = "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket'"


@pytest.mark.parametrize(
    ("said", "error", "hint"),
    [
        (f"{SOCKET}: Permission denied", "Nix's daemon does not let ada in", install.member(Host("linux"))),
        (f"{SOCKET}: Connection refused", "Nix's daemon does not answer", install.start(Host("linux"))),
        ("error: creating directory '/nix/store': Permission denied",
         "/nix is not ada's, and there is no Nix daemon", install.OWN),
        ("error: syntax error in nix.conf", "Nix does not work here: syntax error in nix.conf", "https://nixos.org/download"),
    ],
)  # fmt: skip
def test_a_nix_that_does_not_work_is_one_sentence(bare: Bare, said: str, error: str, hint: str) -> None:
    bare.nix(said, 1)
    assert bare.enter() == (3, [f"error: {error}", f"  hint: {hint}"])


def test_a_user_without_nixs_folder_gets_no_store_of_their_own(bare: Bare) -> None:
    bare.nix()
    shutil.rmtree(bare.root / "nix")
    assert bare.enter() == (3, ["error: Nix has no folder /nix here, and no daemon", f"  hint: {install.OWN}"])


def test_a_daemon_that_is_a_service_makes_the_folder(bare: Bare) -> None:
    bare.nix("error: creating directory '/nix/store': Permission denied", 1)
    bare.put("etc/os-release", DEBIAN)
    bare.put("run/systemd/system/x", "")
    machine = Host("linux", ("debian",), systemd=True)
    assert bare.enter()[1][1] == f"  hint: {install.nix(machine, root=False)}"
    bare.put("usr/lib/systemd/system/nix-daemon.service", "")
    assert bare.enter()[1][1] == f"  hint: {install.start(machine)}"


def test_a_command_arrives_as_it_was_typed(bare: Bare) -> None:
    bare.nix()
    code, lines = bare.enter("python", "a b", "it's", "$HOME\n")
    assert (code, "\n".join(lines)) == (
        0,
        "</a project/shell.nix><--run><exec 'python' 'a b' 'it'\\''s' '$HOME\n'><>",
    )
    assert bare.enter() == (0, ["</a project/shell.nix><>"])


@pytest.mark.parametrize(
    ("command", "jobs", "given"),
    [
        ("config show", "1", "<--max-jobs><4>"),
        ("show-config", "2", "<--max-jobs><4>"),
        ("config show", "4", ""),
        ("config show", "16", ""),
        ("config show", "0", ""),
        ("config show", "auto", ""),
    ],
)
def test_as_much_is_built_at_a_time_as_there_are_cores(bare: Bare, command: str, jobs: str, given: str) -> None:
    """As `nixgen shell` does; older versions of Nix name the command otherwise. 0 stays: others build for it."""
    bare.nix()
    known = f'[ "$*" = "--extra-experimental-features nix-command {command}" ] || exit 1'
    bare.put("bin/nix", f"#!/bin/sh\n{known}\necho max-jobs = {jobs}\necho max-silent-time = 0\n", 0o755)
    bare.put("bin/getconf", "#!/bin/sh\necho 4\n", 0o755)
    assert bare.enter() == (0, [f"{given}</a project/shell.nix><>"])
    assert bare.enter("true")[1] == [f"{given}</a project/shell.nix><--run><exec 'true'><>"]


def test_root_builds_as_root_where_there_is_nobody_else(bare: Bare) -> None:
    bare.nix()
    assert bare.enter(root=True)[1] == ["</a project/shell.nix><build-users-group =>"]
    assert bare.enter(root=True, NIX_CONFIG="cores = 1")[1] == [
        "</a project/shell.nix><cores = 1",
        "build-users-group =>",
    ]
    bare.put("etc/group", "nixbld:x:30000:\n")
    assert bare.enter(root=True)[1] == ["</a project/shell.nix><>"]


def test_nix_is_found_where_its_installers_put_it(bare: Bare) -> None:
    bare.nix()
    profile = bare.root / "nix/var/nix/profiles/default/bin"
    profile.mkdir(parents=True)
    for name in ("nix-shell", "nix-instantiate"):
        (bare.root / "bin" / name).rename(profile / name)
    assert bare.enter()[0] == 0


def test_windows_and_its_first_subsystem_are_told_what_to_do(tmp_path: Path) -> None:
    def on(kernel: str) -> str:
        (tmp_path / "uname").write_text(f"#!/bin/sh\necho '{kernel}'\n")
        (tmp_path / "uname").chmod(0o755)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WSL_DISTRO_NAME": "Ubuntu"}
        done = subprocess.run(["sh", script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        return done.stderr.splitlines()[1]

    script = tmp_path / "enter"
    script.write_text(handout.enter_sh())
    assert on("Linux 4.4.0-19041-Microsoft") == "  hint: in PowerShell: wsl --set-version Ubuntu 2"
    assert on("MINGW64_NT-10.0 3.4").startswith("  hint: in PowerShell: wsl --install")
