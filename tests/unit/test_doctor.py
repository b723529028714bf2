"""`nixgen doctor`: each check finds its fault, told by facts or made here; what was not looked at is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from projects import make
from support.driver import compiler, stand_in
from support.loopback import Asked, Reply, listen
from support.program import nixgen

from nixgen.doctor import checks, reading
from nixgen.doctor.facts import Disk, Facts, Gpu, Nix, Project, Server, User
from nixgen.doctor.report import Report, as_json, as_text, report
from nixgen.errors import Problem
from nixgen.local import venvs
from nixgen.machine import host
from nixgen.machine.git import Visibility
from nixgen.machine.host import Host
from nixgen.nix import install, tools

NOW = 1_800_000_000.0
SETTINGS: dict[str, Any] = {
    "allowed-users": ["*"],
    "build-users-group": "nixbld",
    "max-jobs": 8,
    "sandbox": True,
    "sandbox-fallback": False,
    "trusted-users": ["root", "@wheel"],
    "access-tokens": {"example.org": "s3cret"},
}
NIX = Nix((2, 34, 8), SETTINGS, frozenset({"flakes", "nix-command"}), socket="/nix/var/nix/daemon-socket/socket")
ALONE = replace(NIX, socket=None)
LINUX = Host("linux", ("debian",), "Debian GNU/Linux 13 (trixie)", systemd=True)
ADA = User("ada", 1000, frozenset({"ada", "wheel"}), "/home/ada/.cache")
CACHE = Server("https://cache.example.org")
DEMO = Project(
    "/home/ada/demo", "demo", "nixpkgs", "2.42", ("aarch64-linux", "x86_64-linux"), work_tree=True, venv="ours"
)
PLENTY = 100 << 30
FINE = Facts(
    host=LINUX,
    system="x86_64-linux",
    user=ADA,
    cores=8,
    now=NOW,
    times={"uv.lock": NOW - 5},
    disks=(Disk("/nix/store", ("Nix's store", "temporary files"), PLENTY, 1_000_000),),
    nix=NIX,
    servers=(replace(CACHE, ahead=1.0),),
    project=DEMO,
)


def with_nix(**changes: Any) -> Facts:
    return replace(FINE, nix=replace(NIX, **changes))


def with_settings(**changes: Any) -> Facts:
    return with_nix(settings={**SETTINGS, **{key.replace("_", "-"): value for key, value in changes.items()}})


def with_project(**changes: Any) -> Facts:
    return replace(FINE, project=replace(DEMO, **changes))


def with_host(**changes: Any) -> Facts:
    return replace(FINE, host=replace(LINUX, **changes))


def with_disk(**changes: Any) -> Facts:
    return replace(FINE, disks=(replace(FINE.disks[0], **changes),))


CURL = "curl -L https://nixos.org/nix/install | sh"
ROOT = User("root", 0, frozenset({"root"}), "/root/.cache")
PROXIED = replace(FINE, variables={"https_proxy": "http://ada:s3cret@proxy.example.org"})
STALE = (Problem("default.nix", "is stale: nixgen would write something else", "nixgen generate"),)
FAULTS: tuple[tuple[str, str, Facts, str, str], ...] = (
    ("nix", "error", replace(FINE, nix=None), "Nix is not installed", "sudo apt install nix-setup-systemd && "),
    ("nix", "error", replace(FINE, nix=None, user=ROOT), "not installed", "apt install nix-setup-systemd"),
    ("nix", "error", replace(FINE, nix=None, host=Host("darwin")), "Nix is not installed", CURL),
    ("nix", "error", replace(FINE, nix_problem=Problem("Nix", "cannot be used: x", "y")), "cannot be used: x", "y"),
    ("nix", "error", replace(FINE, nix_problem=Problem("Nix", "max-jobs\nTry")), "Nix: max-jobs\n  hint", "NIX_CONFIG"),
    ("nix", "warning", with_nix(on_path=False, folder="/n x/bin"), "not in PATH", "export PATH=$PATH:'/n x/bin'"),
    ("nix-version", "error", with_nix(version=(2, 3, 16)), "2.3.16 is older than nixgen needs (2.8)", "https://"),
    ("nix-version", "error", with_nix(version=(2, 8, 0)), "older than nixpkgs asks for (2.18)", "--base debian"),
    ("nix-version", "warning", replace(with_nix(version=(2, 8, 0)), project=None), "(2.18)", "--base debian"),
    ("flakes", "warning", with_nix(features=frozenset({"nix-command"})), "nix develop is off (flakes)", "nix.conf"),
    ("flakes", "warning", replace(with_nix(features=frozenset()), variables={"NIX_USER_CONF_FILES": "/a b:/c"}),
     "(nix-command and flakes)", "echo 'extra-experimental-features = nix-command flakes' >> '/a b'"),
    ("flakes", "warning", replace(with_nix(features=frozenset()), user=replace(ADA, cache_writable=False)),
     "nix-shell works", "export NIX_CONFIG='extra-experimental-features = nix-command flakes'"),
    ("daemon", "error", with_nix(refused="Permission denied"), "does not let ada in", "sudo usermod -aG nix-users"),
    ("daemon", "error", with_nix(refused="Connection refused"), "does not answer", "sudo systemctl start nix-daemon"),
    ("daemon", "error", replace(with_nix(refused="No such file"), host=replace(LINUX, systemd=False)), "not answer",
     "sudo sh -c 'nix-daemon &'"),
    ("daemon", "error", with_nix(refused="No such file", unit=False), "no Nix daemon is installed", "sudo apt install"),
    ("daemon", "warning", with_nix(socket=None, own_store="/home/ada/.local/share/nix/root"), "nor a daemon", "/nix"),
    ("daemon", "error", with_nix(socket=None, writable=False, unit=False), "/nix: is not ada's", "sudo apt install"),
    ("daemon", "error", with_nix(socket=None, writable=False), "there is no Nix daemon", "sudo systemctl start"),
    ("daemon", "error", replace(with_nix(socket=None, writable=False), host=Host("linux")), "is not", install.OWN),
    ("build-users", "error", replace(FINE, user=ROOT, nix=replace(ALONE, build_group=False)), "nixbld", "build-"),
    ("trusted-user", "note", with_settings(trusted_users=["root"]), "ada is not named", "extra-trusted-users = ada"),
    ("trusted-user", "error", with_settings(allowed_users=["@nix"]), "does not work for ada", "extra-allowed-users"),
    ("sandbox", "warning", with_settings(sandbox=False), "the sandbox is off", "echo 'sandbox = true' | sudo tee -a"),
    ("sandbox", "note", replace(FINE, nix=replace(ALONE, sandboxes=False, settings={"sandbox": 0})), "can be", ""),
    ("sandbox", "error", replace(FINE, nix=replace(ALONE, sandboxes=False)), "Nix refuses that", "fallback = true"),
    ("jobs", "note", with_settings(max_jobs=1), "one thing at a time, on 8 cores", "max-jobs = auto"),
    ("disk-space", "error", with_disk(free=1 << 20), "1.0 MiB are free for Nix's store", "nix-collect-garbage"),
    ("disk-space", "warning", with_disk(free=1 << 30), "1.0 GiB are free", "nix-collect-garbage"),
    ("disk-space", "error", with_disk(files=3), "only 3 more files", "nix-collect-garbage"),
    ("letter-case", "warning", with_disk(folds_case=True), "does not tell A from a", "move it"),
    ("home", "warning", replace(FINE, user=replace(ADA, cache_writable=False)), "cannot be written", "XDG_CACHE_HOME"),
    ("certificates", "error", replace(FINE, certificates=Problem("certificates", "none", "apt")), "none", "apt"),
    ("proxy", "warning", replace(PROXIED, nix=replace(NIX, environment={})), "Nix's daemon", "proxy.conf"),
    ("substituters", "warning", replace(FINE, servers=(replace(CACHE, silent="gone"),)), "gone", "substituters ="),
    ("git", "error", replace(FINE, git=False), "Nix reads the project with it", "sudo apt install git"),
    ("git", "warning", replace(FINE, git=False, project=None, host=Host("darwin")), "is not inst", "xcode-select"),
    ("gpu-driver", "warning", replace(FINE, gpu=Gpu(("NVIDIA",))), "a card by NVIDIA, and no driver", "install"),
    ("gpu-driver", "warning", replace(FINE, gpu=Gpu(("NVIDIA",), ("H200",))), "not its libcuda.so.1", "NIXGEN_DRIVER"),
    ("gpu-driver", "warning", replace(FINE, gpu=Gpu(problem=Problem("GPU", "is empty", "again"))), "is empty", "again"),
    ("kernels", "warning", replace(FINE, kernels=(Problem("kernel a", "is gone", "nixgen kernel"),)), "gone", "kernel"),
    ("clock", "warning", replace(FINE, servers=(replace(CACHE, ahead=7200.0),)), "2 hours slow", "timedatectl"),
    ("clock", "error", replace(FINE, servers=(replace(CACHE, ahead=-9e6),)), "104 days fast", "timedatectl"),
    ("clock", "warning", replace(FINE, times={"uv.lock": NOW + 9e5}), "uv.lock was made 10 days later", "timedatectl"),
    ("wsl", "error", with_host(wsl=1, systemd=False), "version 1", "wsl --set-version"),
    ("wsl", "note", with_host(wsl=2, systemd=False), "systemd is off", "/etc/wsl.conf"),
    ("wsl", "warning", replace(with_host(wsl=2), project=replace(DEMO, root="/mnt/c/x y")), "Windows", "cp -r '/mnt"),
    ("container", "note", with_host(container="podman"), "gone with the container", ""),
    ("project", "error", with_project(problems=(Problem("uv.lock", "is not", "uv lock"),)), "is not", "uv lock"),
    ("project", "warning", with_project(root="/home/ada/it's"), "apostrophe", "nix-shell"),
    ("generated-files", "error", with_project(stale=STALE), "is stale", "nixgen generate"),
    ("generated-files", "error", with_project(stale=(Problem("a", "x"), *STALE)), "a: and 1 more", "nixgen generate"),
    ("systems", "error", with_project(systems=("aarch64-darwin",)), "this machine is x86_64-linux", '"x86_64-linux"'),
    ("tracked-files", "error", with_project(hidden=Visibility(("flake.nix",))), "not known", "git add -N flake.nix"),
    ("tracked-files", "error", with_project(hidden=Visibility((), ("nix/nixgen/a", "nix/nixgen/b"))), "is ignored",
     "git add --force nix/nixgen"),
    ("tracked-files", "warning", with_project(code=("a.py", "b.py")), "is not known to git", "git add --all"),
    ("tracked-files", "error", with_project(git_problem=Problem("", "of another", "git config")), "another", "git"),
    ("venv", "warning", with_project(venv="broken"), "leads nowhere", "nixgen sync"),
    ("venv", "warning", with_project(venv="foreign"), "is not the shell's", "mv .venv .venv.old"),
    ("record", "note", with_project(recorded=False), "no hashes for x86_64-linux", "nixgen check --update"),
    ("record", "warning", with_project(record_problems=(Problem("r", "is bad", "git"),), recorded=None), "bad", "git"),
)  # fmt: skip


def ids(found: Report, severity: str = "") -> set[str]:
    return {one.id for one in found.found if not severity or one.fault.severity == severity}


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    found = report(FINE)
    assert (found.found, found.unseen, found.exit_code) == ((), (), 0)
    assert len(found.fine) == len(checks.MACHINE) + len(checks.PROJECT)


@pytest.mark.parametrize(("name", "severity", "facts", "what", "mend"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_fault_is_found_with_what_mends_it(name: str, severity: str, facts: Facts, what: str, mend: str) -> None:
    (fault, *_) = [one.fault for one in report(facts).found if one.id == name]
    assert (fault.severity, what in str(fault.problem), mend in fault.problem.mend) == (severity, True, True), fault


def test_every_check_has_a_fault_that_it_finds() -> None:
    named = {check.__name__.replace("_", "-") for check in (*checks.MACHINE, *checks.PROJECT)}
    assert {name for name, *_ in FAULTS} == named


def test_the_page_lists_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs/commands.md").read_text()
    for check in (*checks.MACHINE, *checks.PROJECT):
        name, first = check.__name__.replace("_", "-"), (check.__doc__ or "").splitlines()[0].rstrip(".")
        assert f"| `{name}` | {first} |" in page


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (FINE, 0),
        (with_settings(max_jobs=1), 0),
        (with_settings(sandbox=False), 1),
        (with_project(stale=STALE), 1),
        (replace(FINE, nix=None), 3),
        (replace(with_project(stale=STALE), git=False), 3),
    ],
)
def test_the_exit_code_is_that_of_the_gravest(facts: Facts, code: int) -> None:
    assert report(facts).exit_code == code


def test_what_could_not_be_looked_at_is_not_called_fine() -> None:
    found = report(replace(FINE, nix=None, servers=None, project=None))
    unseen = dict(found.unseen)
    assert set(unseen) == {
        *("nix-version", "flakes", "daemon", "trusted-user", "sandbox", "jobs", "substituters"),
        *(check.__name__.replace("_", "-") for check in checks.PROJECT),
    }
    assert not set(unseen) & set(found.fine)
    assert ("", "not looked at: substituters (--offline)") in as_text(report(replace(FINE, servers=None)))
    hidden = report(PROXIED)
    assert dict(hidden.unseen) == {"proxy": "https_proxy is set, and only root sees the variables of Nix's daemon"}
    settings = report(with_nix(settings=None))
    assert {"flakes", "sandbox", "jobs", "trusted-user"} <= dict(settings.unseen).keys()


def test_no_secret_is_told() -> None:
    everything = replace(
        PROXIED, nix=replace(NIX, environment={}), servers=(Server("https://u:s3cret@c.example.org", silent="no"),)
    )
    found = report(everything)
    text = "\n".join(line for _, line in as_text(found))
    assert "s3cret" not in as_json(found) + text
    assert '"https_proxy=$https_proxy"' in text


def test_json_has_ids_and_what_a_helper_asks_first() -> None:
    told = json.loads(as_json(report(with_settings(sandbox=False))))
    assert told["version"] == 1
    assert told["exit_code"] == 1
    assert told["machine"]["nix"] == "2.34.8"
    (only,) = told["findings"]
    assert (only["id"], only["severity"], only["about"]) == ("sandbox", "warning", "machine")
    assert only["mend"].endswith("sudo systemctl restart nix-daemon")


# What follows makes the faults on this machine.

PROGRAM = """#!/bin/sh
case "$*" in
*--version*) echo "nix (Nix) 2.34.8" ;;
*--json*) echo '{{{settings}}}' ;;
*) echo "experimental-features = {features}" ;;
esac
"""


@dataclass
class Machine:
    """A machine whose Nix is a program that tells settings, and nothing else."""

    folder: Path
    patch: pytest.MonkeyPatch

    def settle(self, features: str = "flakes nix-command", **settings: object) -> None:
        values = {key.replace("_", "-"): {"value": value} for key, value in settings.items()}
        text = PROGRAM.format(settings=json.dumps(values)[1:-1], features=features)
        for name in ("nix", "nix-store"):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        tools._version.cache_clear()

    def ask(self, *, offline: bool = True, project: Path | None = None, root: Path = Path("/")) -> Report:
        return report(reading.read(project or self.folder, offline=offline, root=root))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("NIX_REMOTE", "local")
    for name in (*reading._PROXIES, "NIX_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    made = Machine(folder, monkeypatch)
    made.settle()
    yield made
    tools._version.cache_clear()


def test_without_nix_on_the_path_it_is_missing(machine: Machine, tmp_path: Path) -> None:
    machine.patch.setenv("PATH", str(tmp_path))
    machine.patch.setattr(tools, "BESIDE", (str(tmp_path / "profile"),))
    assert {"nix", "git"} <= ids(machine.ask())
    assert as_text(machine.ask())[0][1].endswith(", no Nix")
    shutil.copytree(machine.folder, tmp_path / "profile")
    tools._version.cache_clear()
    (found,) = [one.fault for one in machine.ask().found if one.id == "nix"]
    assert found.problem.mend == f"export PATH=$PATH:{tmp_path / 'profile'}"


def test_settings_of_nix_are_read(machine: Machine) -> None:
    machine.settle("nix-command", sandbox=False, max_jobs=1, build_users_group="no-such-group")
    machine.patch.setattr(reading, "builder", lambda _: SimpleNamespace(cores=8))
    found = machine.ask()
    assert {"flakes", "sandbox", "jobs"} <= ids(found)
    assert ("build-users" in ids(found)) == (os.geteuid() == 0)


def test_a_nix_that_says_nothing_useful_is_told(machine: Machine) -> None:
    for name in ("nix", "nix-store"):
        (machine.folder / name).write_text("#!/bin/sh\necho 'error: nonsense in nix.conf' >&2\nexit 1\n")
    tools._version.cache_clear()
    (found,) = [one.fault for one in machine.ask().found if one.id == "nix"]
    assert "nonsense in nix.conf" in found.problem.what
    assert as_text(machine.ask())[0][1].endswith(", Nix, which cannot be used")


def test_kernels_that_cannot_start_are_told_with_what_mends_them(machine: Machine, tmp_path: Path) -> None:
    """Of a project that is gone, of environments that were never entered or are removed, and one that starts."""
    machine.patch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    machine.patch.setattr(venvs, "_SETUP", re.compile(rf"{tmp_path}/store/(.+)-setup"))
    for name in ("gone", "bare", "docs", "fine"):
        root, kernel = tmp_path / name, tmp_path / f"data/kernels/nixgen-{name}"
        spec = {"project": str(root), "environment": "docs" if name == "docs" else "", "full": name}
        for path, text in (
            (root / "default.nix", ""),
            (kernel / "kernel.json", json.dumps({"display_name": name, "metadata": {"nixgen": spec}})),
            *((kernel / part, "") for part in ("start", "start.sh")),
            (root / f".venv-key/share/jupyter/kernels/nixgen-{name}/kernel.json", ""),
            (root / ".venv-key/nixgen", f"# Made\n{tmp_path}/store/{name}-setup\n{root}\n3\nab cd\n"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (tmp_path / "store").mkdir()
    (tmp_path / "store/fine-setup").touch()
    shutil.rmtree(tmp_path / "gone")
    shutil.rmtree(tmp_path / "bare/.venv-key")
    told = [one.fault.problem for one in machine.ask().found if one.id == "kernels"]
    assert told == [
        Problem(*("kernel bare", "its environment was never entered"), f"cd {tmp_path}/bare && nixgen kernel install"),
        Problem(
            *("kernel docs", "its environment was removed by Nix's garbage collection"),
            f"cd {tmp_path}/docs && nixgen kernel install --env docs",
        ),
        Problem("kernel gone", f"its project is gone: {tmp_path}/gone", "nixgen kernel remove nixgen-gone"),
    ]
    machine.patch.setenv("HOME", "")
    machine.patch.setenv("JUPYTER_DATA_DIR", "")
    assert "kernels" not in ids(machine.ask())


def test_a_nix_that_hangs_is_not_waited_for(machine: Machine) -> None:
    machine.patch.setattr(reading, "_LONG", 0.2)
    (machine.folder / "nix-store").write_text("#!/bin/sh\nexec sleep 20\n")
    (found,) = [one.fault for one in machine.ask().found if one.id == "nix"]
    assert "did not answer" in found.problem.what


def test_a_daemon_is_knocked_at(machine: Machine, tmp_path: Path) -> None:
    machine.patch.setenv("NIX_REMOTE", "daemon")
    machine.patch.chdir(tmp_path)  # the name of a socket has 108 letters at most
    machine.patch.setenv("NIX_DAEMON_SOCKET_PATH", "socket")
    assert "daemon" in ids(machine.ask(), "error")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("socket")
        daemon.listen()
        assert "daemon" not in ids(machine.ask())


def test_the_daemons_variables_are_those_of_its_process(machine: Machine, tmp_path: Path) -> None:
    machine.patch.chdir(tmp_path)
    machine.patch.setenv("NIX_REMOTE", "daemon")
    machine.patch.setenv("NIX_DAEMON_SOCKET_PATH", "socket")
    machine.patch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    process = tmp_path / "root/proc/7"
    process.mkdir(parents=True)
    (process / "comm").write_text("nix-daemon\n")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("socket")
        daemon.listen()
        for variables, expected in ((b"A=b\0", {"proxy"}), (b"https_proxy=x\0", set())):
            (process / "environ").write_bytes(variables)
            assert ids(machine.ask(root=tmp_path / "root")) & {"proxy"} == expected


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_substituters_that_do_not_answer_are_named_and_not_waited_for(machine: Machine) -> None:
    machine.patch.setattr(reading, "PATIENCE", 0.2)
    with silent() as mute:
        closed = refusing()
        machine.settle(substituters=[mute, closed, "file:///nowhere", "s3://bucket"])
        found = machine.ask(offline=False)
    assert [one.fault.problem.where for one in found.found if one.id == "substituters"] == [mute, closed]


def test_the_clock_is_compared_with_that_of_a_substituter(machine: Machine) -> None:
    def answer(asked: Asked, _body: bytes) -> Reply:
        return Reply(200 if asked.path == "/nix-cache-info" else 404, body=b"StoreDir: /nix/store\n")

    machine.patch.setattr(reading, "PATIENCE", 60.0)
    machine.patch.setattr(reading, "_DEADLINE", 120.0)
    with listen(answer) as well:
        machine.settle(substituters=well)
        assert not ids(machine.ask(offline=False)) & {"substituters", "clock"}
        late = SimpleNamespace(time=lambda: time.time() + 1e6, monotonic=time.monotonic)
        machine.patch.setattr(reading, "time", late)
        assert "clock" in ids(machine.ask(offline=False), "error")


def test_a_name_that_nobody_looks_up_holds_nothing_up(machine: Machine) -> None:
    """getaddrinfo knows no limit of time."""
    machine.patch.setattr(reading, "_DEADLINE", 0.1)
    ended = threading.Event()
    machine.patch.setattr(reading, "_server", lambda _address: ended.wait(60))
    machine.settle(substituters=["https://cache.example.org"])
    (found,) = [one.fault for one in machine.ask(offline=False).found if one.id == "substituters"]
    ended.set()
    assert "no answer within" in found.problem.what


def test_a_full_disk_is_found(machine: Machine, mounted: Path) -> None:
    machine.patch.setattr(reading, "tempfile", SimpleNamespace(gettempdir=lambda: str(mounted)))
    with pytest.raises(OSError), (mounted / "much").open("wb") as file:  # noqa: PT011 -- it is full
        file.write(bytes(1 << 20))
    faults = [one.fault for one in machine.ask().found if one.id == "disk-space"]
    assert [(one.severity, one.problem.where) for one in faults if "temporary" in one.problem.what] == [
        ("error", str(mounted))
    ]


def test_a_folder_that_folds_case_is_found(tmp_path: Path) -> None:
    (tmp_path / "a1").touch()
    assert not reading._folds_case(tmp_path)
    (tmp_path / "A1").symlink_to("a1")  # as one file by two names
    assert reading._folds_case(tmp_path)


def test_certificates_that_a_variable_names_and_nobody_has(machine: Machine, tmp_path: Path) -> None:
    machine.patch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    (found,) = [one.fault for one in machine.ask().found if one.id == "certificates"]
    assert found.problem.where == "SSL_CERT_FILE"
    assert "unset it" in found.problem.mend


def test_a_cache_that_cannot_be_written(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine.patch.setenv("XDG_CACHE_HOME", "/proc/1")
    assert "home" in ids(machine.ask())


def test_the_machine_is_known_by_its_files(tmp_path: Path) -> None:
    def at(**files: str) -> Host:
        root = Path(shutil.copytree(tmp_path / "empty", tmp_path / str(len(list(tmp_path.iterdir())))))
        for name, text in files.items():
            path = root / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return host.here(root, {})

    (tmp_path / "empty").mkdir()
    ubuntu = at(etc__os_release="", **{"etc/os-release": 'ID=ubuntu\nID_LIKE="debian"\nPRETTY_NAME="Ubuntu 26.04"\n'})
    assert (ubuntu.ids, ubuntu.name, ubuntu.container, ubuntu.wsl) == (("ubuntu", "debian"), "Ubuntu 26.04", "", 0)
    assert at(**{"usr/lib/os-release": "ID=arch\n"}).ids == ("arch",)
    assert at(**{".dockerenv": ""}).container == "docker"
    assert at(**{"run/systemd/container": "lxc\n"}).container == "lxc"
    kernel = "proc/sys/kernel/osrelease"
    assert at(**{kernel: "4.4.0-19041-Microsoft\n"}).wsl == 1
    assert at(**{kernel: "5.15.153.1-microsoft-standard-WSL2\n"}).wsl == 2
    assert at(**{kernel: "6.1-microsoft-standard-WSL2\n", ".dockerenv": ""}).wsl == 0
    assert at(**{"run/systemd/system/x": ""}).systemd


def test_a_card_without_a_driver(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")
    assert reading._gpu(tmp_path, "") == Gpu(("NVIDIA",))
    card = tmp_path / "proc/driver/nvidia/gpus/0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H200\n")
    assert reading._gpu(tmp_path, "").driven == ("NVIDIA H200",)
    (device / "class").write_text("0x040300\n")  # its sound
    assert reading._gpu(tmp_path, "") == Gpu()
    library = tmp_path / "run/opengl-driver/lib/libcuda.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    broken = reading._gpu(tmp_path, "").problem
    assert broken is not None
    assert broken.what == f"{library} is not a library for this machine"


@pytest.mark.skipif(compiler() is None, reason="a driver's stand-in is compiled")
def test_a_driver_that_the_base_is_too_old_for(tmp_path: Path) -> None:
    stand_in(tmp_path / "run/opengl-driver/lib", "570.1.2", wants=("libc.so.6", "GLIBC_2.99"))
    found = reading._gpu(tmp_path, "")
    assert (found.libcuda, found.problem) == (f"{tmp_path}/run/opengl-driver/lib/libcuda.so.1", None)
    problem = reading._gpu(tmp_path, "2.36").problem
    assert problem is not None
    assert problem.what == "the driver 570.1.2 needs glibc 2.99, and the base has glibc 2.36"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A uv project in git that nixgen never saw."""
    root = make(tmp_path / "demo")
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def test_a_project_without_a_lock_says_what_makes_it(machine: Machine, project: Path) -> None:
    found = machine.ask(project=project)
    (fault,) = [one.fault for one in found.found if one.id == "project"]
    assert fault.problem.where == "nixgen.lock"
    assert fault.problem.mend.endswith("nixgen init")
    assert {"generated-files", "systems"} <= dict(found.unseen).keys()
    assert "record" in ids(found, "note")


def test_what_is_broken_in_a_project_is_found_at_once(machine: Machine, project: Path) -> None:
    (project / ".venv").symlink_to("/nix/store/gone")
    (project / "flake.nix").write_text("{ }")
    (project / "code.py").touch()
    (project / "nixgen.hashes.json").write_text("{")
    (project / ".gitignore").write_text("default.nix\n")
    (project / "default.nix").write_text("{ }")
    os.utime(project / "uv.lock", (4e9, 4e9))
    found = machine.ask(project=project)
    assert {"project", "venv", "tracked-files", "record", "clock"} <= ids(found)
    text = "\n".join(line for _, line in as_text(found))
    assert "git add -N flake.nix" in text
    assert "git add --force default.nix" in text
    assert "git add --all" in text
    (project / ".venv").unlink()
    subprocess.run(["python3", "-m", "venv", "--without-pip", project / ".venv"], check=True)
    assert machine.ask(project=project).facts.project.venv == "foreign"  # type: ignore[union-attr]


def test_a_pyproject_that_cannot_be_read_is_a_finding(machine: Machine, project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    found = machine.ask(project=project)
    assert "project" in ids(found, "error")


def test_the_command_prints_and_ends_as_it_found(machine: Machine, tmp_path: Path) -> None:
    machine.settle(sandbox=False)
    done = nixgen("doctor", "--offline", cwd=tmp_path)
    assert done.returncode in {1, 3}
    assert "not looked at: substituters (--offline)" in done.stdout
    told = json.loads(nixgen("doctor", "--offline", "--json", cwd=tmp_path).stdout)
    assert told["exit_code"] == done.returncode
    assert told["project"] is None


# One place says how Nix is installed.


@pytest.mark.parametrize(
    ("machine", "root", "command"),
    [
        (LINUX, False, "sudo apt install nix-setup-systemd && sudo usermod -aG nix-users $USER, then log in again"),
        (LINUX, True, "apt install nix-setup-systemd"),
        (Host("linux", ("ubuntu", "debian")), True, "apt install nix-setup-systemd"),
        (Host("linux", ("ubuntu", "debian")), False, f"{CURL} -s -- --no-daemon"),
        (Host("linux", ("fedora",), systemd=True), False,
         "sudo dnf install nix nix-daemon && sudo systemctl enable --now nix-daemon"),
        (Host("linux", ("manjaro", "arch"), systemd=True), False,
         "sudo pacman -S nix && sudo systemctl enable --now nix-daemon && sudo usermod -aG nix-users $USER, "
         "then log in again"),
        (Host("linux", ("opensuse-tumbleweed", "suse"), systemd=True), False, f"{CURL} -s -- --daemon"),
        (Host("linux"), False, f"{CURL} -s -- --no-daemon"),
        (Host("linux", ("nixos",), systemd=True), False, "export PATH=$PATH:/run/current-system/sw/bin"),
        (Host("darwin"), False, CURL),
    ],
)  # fmt: skip
def test_how_nix_is_installed(machine: Host, root: bool, command: str) -> None:  # noqa: FBT001 -- a parameter
    assert install.nix(machine, root=root) == command


def test_the_scripts_of_this_repository_say_the_same() -> None:
    text = (Path(__file__).parents[2] / ".ci/lib.sh").read_text()
    packages = install.DEBIAN.nix.replace("apt install", "apt-get install")
    assert f'"install it: {packages} && {install.DEBIAN.member.replace("$USER", "$me")}"' in text
    assert install.start(LINUX) in text
    assert install.start(Host("linux")) in text
