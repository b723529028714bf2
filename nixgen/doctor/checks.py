"""The checks, each a function of the facts that gives what it finds wrong; its name is the stable id of its findings.

A fault is an error where nothing works before it is mended, a warning where something will surprise, else a note.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from nixgen.console import size
from nixgen.doctor.facts import Facts, Nix, Project
from nixgen.errors import Problem
from nixgen.generate import gitindex
from nixgen.machine.addresses import bare
from nixgen.nix import install

Severity = Literal["error", "warning", "note"]

OLDEST = (2, 8)
"""The oldest Nix that the library is tested with."""

NIXPKGS_NEEDS = (2, 18)
"""The oldest Nix that nixpkgs takes (its lib/minver.nix)."""

_CONF = "/etc/nix/nix.conf"
_FLAKES = ("nix-command", "flakes")
_MANY = 4  # cores
_MIB, _GIB = 1 << 20, 1 << 30
_ROOM = {True: (512 * _MIB, 5 * _GIB), False: (32 * _MIB, 512 * _MIB)}  # for the store, for others: error, warning
_FEW = (1_000, 20_000)  # files: error, warning
_SKEW = 300.0  # seconds that clocks may differ
_FUTURE = 3600.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and how grave it is."""

    severity: Severity
    problem: Problem

    @classmethod
    def of(cls, severity: Severity, where: str, what: str, mend: str = "") -> Fault:
        """A fault from its parts."""
        return cls(severity, Problem(where, what, mend))


class NotLookedAtError(Exception):
    """A check could not look: why."""


Check = Callable[[Facts], Iterator[Fault]]


def nix(facts: Facts) -> Iterator[Fault]:
    """Whether there is a Nix, and it can be started."""
    if facts.nix_problem is not None:
        mend = facts.nix_problem.mend or f"correct what it names, in {_CONF}, ~/.config/nix/nix.conf or NIX_CONFIG"
        yield Fault.of("error", facts.nix_problem.where, facts.nix_problem.what.partition("\n")[0], mend)
    elif facts.nix is None:
        yield Fault.of("error", "", "Nix is not installed", install.nix(facts.host, root=_is_root(facts)))
    elif not facts.nix.on_path:
        what = f"Nix is in {facts.nix.folder}, which is not in PATH"
        yield Fault.of("warning", "PATH", what, f"export PATH=$PATH:{shlex.quote(facts.nix.folder)}")


def nix_version(facts: Facts) -> Iterator[Fault]:
    """Whether Nix is new enough for the library, and for nixpkgs."""
    found = _nix(facts).version
    update = "install a current one: https://nixos.org/download"
    if found < OLDEST:
        yield Fault.of("error", "Nix", f"{_dotted(found)} is older than nixgen needs ({_dotted(OLDEST)})", update)
    elif found < NIXPKGS_NEEDS:
        what = f"{_dotted(found)} is older than nixpkgs asks for ({_dotted(NIXPKGS_NEEDS)})"
        base = facts.project.base if facts.project else ""
        if base != "debian":
            instead = f"{update}; or take the debian base: nixgen init --base debian"
            yield Fault.of("error" if base == "nixpkgs" else "warning", "Nix", what, instead)


def flakes(facts: Facts) -> Iterator[Fault]:
    """Whether `nix develop` is switched on."""
    _settings(facts)
    if off := [name for name in _FLAKES if name not in _nix(facts).features]:
        what = f"nix develop is off ({' and '.join(off)}); nix-shell works without"
        yield Fault.of("warning", "Nix", what, _set(facts, f"extra-experimental-features = {' '.join(_FLAKES)}"))


def daemon(facts: Facts) -> Iterator[Fault]:
    """Whether Nix's daemon answers this user."""
    found = _nix(facts)
    if found.own_store:
        mend = f"{install.nix(facts.host, root=False)}; or own /nix: {install.OWN}"
        what = f"is not there, nor a daemon: Nix keeps a store in {found.own_store}, and .venv leads nowhere"
        yield Fault.of("warning", "/nix", what, mend)
    if found.socket is None and not found.writable:
        mend = install.OWN
        if facts.host.systemd:
            mend = install.start(facts.host) if found.unit else install.nix(facts.host, root=False)
        yield Fault.of("error", "/nix", f"is not {facts.user.name}'s, and there is no Nix daemon", mend)
    if found.socket is None or not found.refused:
        return
    if "ermission" in found.refused:
        yield Fault.of("error", "Nix", f"its daemon does not let {facts.user.name} in", install.member(facts.host))
    elif facts.host.systemd and not found.unit:
        what = f"/nix is not {facts.user.name}'s, and no Nix daemon is installed"
        yield Fault.of("error", "Nix", what, install.nix(facts.host, root=False))
    else:
        what = f"its daemon does not answer at {found.socket} ({found.refused})"
        yield Fault.of("error", "Nix", what, install.start(facts.host))


def build_users(facts: Facts) -> Iterator[Fault]:
    """Whether root has the users that Nix builds as."""
    if facts.nix and not facts.nix.build_group:
        what = f"the group {_settings(facts).get('build-users-group')}, as which root builds, does not exist"
        mend = f"mkdir -p /etc/nix && echo 'build-users-group =' >> {_CONF}"
        yield Fault.of("error", f"{_CONF}: build-users-group", what, mend)


def trusted_user(facts: Facts) -> Iterator[Fault]:
    """Whether Nix's daemon works for this user, and believes what they say."""
    settings = _settings(facts)
    if _nix(facts).socket is None:
        return
    who = f"{_CONF}: allowed-users"
    if not _named(facts, settings.get("allowed-users", ["*"])):
        mend = _set(facts, f"extra-allowed-users = {facts.user.name}", system=True)
        yield Fault.of("error", who, f"Nix's daemon does not work for {facts.user.name}", mend)
    elif not _named(facts, settings.get("trusted-users", ["root"])):
        what = f"{facts.user.name} is not named, so only the daemon's own substituters and sandbox count"
        mend = _set(facts, f"extra-trusted-users = {facts.user.name}", system=True)
        yield Fault.of("note", f"{_CONF}: trusted-users", what, f"if they may have root's rights: {mend}")


def sandbox(facts: Facts) -> Iterator[Fault]:
    """Whether builds see nothing of the machine."""
    if facts.host.system != "linux":
        return  # macOS has none that all builds work in
    settings, able = _settings(facts), _nix(facts).sandboxes
    where = f"{_CONF}: sandbox"
    on = settings.get("sandbox") not in {False, "false"}
    if able is False:
        inside = f"in this {facts.host.container} container" if facts.host.container else "here"
        what = f"no sandbox can be made {inside}, so builds see this machine's files"
        if on and not settings.get("sandbox-fallback", True):
            yield Fault.of("error", where, f"{what}, and Nix refuses that", _set(facts, "sandbox-fallback = true"))
        else:
            yield Fault.of("note", where, what, "to have one in a container, start it with the right to mount")
    elif not on:
        mend = _set(facts, "sandbox = true", system=True)
        yield Fault.of("warning", where, "the sandbox is off, so builds see this machine's files", mend)


def jobs(facts: Facts) -> Iterator[Fault]:
    """Whether Nix builds as much at once as it could."""
    if _settings(facts).get("max-jobs") == 1 and facts.cores >= _MANY:
        what = f"Nix builds one thing at a time, on {facts.cores} cores"
        yield Fault.of("note", "Nix: max-jobs", what, _set(facts, "max-jobs = auto"))


def disk_space(facts: Facts) -> Iterator[Fault]:
    """Whether there is room."""
    for disk in facts.disks:
        little, tight = _ROOM[disk.store]
        mend = "nix-collect-garbage" if disk.store else f"free some room below {disk.path}"
        what = f"{size(disk.free)} are free for {' and '.join(disk.uses)}"
        if disk.free < tight:
            yield Fault.of("error" if disk.free < little else "warning", disk.path, what, mend)
        elif disk.files is not None and disk.files < _FEW[1]:
            severity: Severity = "error" if disk.files < _FEW[0] else "warning"
            yield Fault.of(severity, disk.path, f"only {disk.files} more files fit (inodes)", mend)


def letter_case(facts: Facts) -> Iterator[Fault]:
    """Whether names that differ in their case are two files."""
    hack = bool(facts.nix and (facts.nix.settings or {}).get("use-case-hack"))
    for disk in facts.disks:
        if disk.folds_case and not (disk.store and hack) and facts.host.system != "darwin":
            what = f"does not tell A from a, so a package with both cannot lie there ({' and '.join(disk.uses)})"
            yield Fault.of("warning", disk.path, what, "move it to a file system of Linux's own, such as ext4")


def home(facts: Facts) -> Iterator[Fault]:
    """Whether programs can keep what they have made."""
    if not facts.user.cache_writable:
        what = "cannot be written to, so nix develop does not start, and nothing that is fetched is kept"
        yield Fault.of("warning", facts.user.cache, what, "export XDG_CACHE_HOME=$(mktemp -d)")


def certificates(facts: Facts) -> Iterator[Fault]:
    """Whether servers can be told from impostors."""
    if facts.certificates is not None:
        yield Fault("error", facts.certificates)


def proxy(facts: Facts) -> Iterator[Fault]:
    """Whether Nix's daemon, which downloads, has the proxy that this shell has."""
    mine = [name for name in _PROXIES if facts.variables.get(name)]
    if not mine or facts.nix is None or facts.nix.socket is None:
        return
    if facts.nix.refused:
        raise NotLookedAtError("Nix's daemon does not answer")
    if facts.nix.environment is None:
        raise NotLookedAtError(f"{mine[0]} is set, and only root sees the variables of Nix's daemon")
    theirs = {name.lower() for name in _PROXIES if facts.nix.environment.get(name)}
    lacking = [name for name in mine if name.lower() not in theirs]
    if lacking:
        what = "this shell has it, and Nix's daemon, which downloads, does not"
        place = "/etc/systemd/system/nix-daemon.service.d"
        # The address may have a password in it: the shell writes it.
        words = " ".join(f'"{name}=${name}"' for name in lacking)
        lines = (
            f"{{ echo '[Service]'; printf 'Environment=\"%s\"\\n' {words}; }} | sudo tee {place}/proxy.conf >/dev/null"
        )
        mend = f"sudo mkdir -p {place} && {lines} && sudo systemctl daemon-reload && sudo systemctl restart nix-daemon"
        if not facts.host.systemd:
            mend = "start the daemon with it: sudo --preserve-env=" + ",".join(lacking) + " sh -c 'nix-daemon &'"
        yield Fault.of("warning", lacking[0], what, mend)


def substituters(facts: Facts) -> Iterator[Fault]:
    """Whether the binary caches answer that Nix asks first."""
    if facts.servers is None:
        raise NotLookedAtError("--offline" if facts.nix else "there is no Nix")
    for server in facts.servers:
        if server.silent:
            mend = _set(facts, "substituters =") if len(facts.servers) == 1 else "take it out of substituters"
            what = f"does not answer, and each build waits for it: {server.silent}"
            yield Fault.of("warning", bare(server.address), what, f"check the network or proxy; to do without: {mend}")


def git(facts: Facts) -> Iterator[Fault]:
    """Whether git is there."""
    if not facts.git:
        needed = facts.project is not None and facts.project.work_tree
        what = "is not installed, and Nix reads the project with it" if needed else "is not installed"
        yield Fault.of("error" if needed else "warning", "git", what, install.git(facts.host, root=_is_root(facts)))


def gpu_driver(facts: Facts) -> Iterator[Fault]:
    """Whether the graphics cards have a driver."""
    if facts.gpu.cards and not facts.gpu.driven:
        what = f"there is a card by {' and '.join(facts.gpu.cards)}, and no driver shows it: programs run on the CPU"
        yield Fault.of("warning", "GPU", what, "install its driver with this system's own tools, then restart")
    elif facts.gpu.problem:
        yield Fault("warning", facts.gpu.problem)
    elif "NVIDIA" in facts.gpu.cards and not facts.gpu.libcuda:
        what = "the driver of the card is there, and not its libcuda.so.1: programs run on the CPU"
        yield Fault.of(
            "warning", "GPU", what, "install the driver's libraries, or name their folder: NIXGEN_DRIVER=FOLDER"
        )


def kernels(facts: Facts) -> Iterator[Fault]:
    """Whether the kernels that nixgen installed for notebooks can start."""
    yield from (Fault("warning", problem) for problem in facts.kernels)


def clock(facts: Facts) -> Iterator[Fault]:
    """Whether the time is right, by servers and by what was made before."""
    mend = (
        "sudo timedatectl set-ntp true"
        if facts.host.systemd
        else "sudo date -u -s \"$(curl -sI https://nixos.org | sed -n 's/^[Dd]ate: //p')\""
    )
    if facts.host.system == "darwin":
        mend = "sudo sntp -sS time.apple.com"
    if facts.host.wsl:
        mend = "sudo hwclock -s"
    shown = datetime.fromtimestamp(facts.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    apart = [(abs(one.ahead), one) for one in facts.servers or () if one.ahead is not None]
    if apart and min(apart, key=lambda pair: pair[0])[0] > _SKEW:
        seconds, server = min(apart, key=lambda pair: pair[0])
        word = "slow" if (server.ahead or 0) > 0 else "fast"
        what = f"says {shown}, which is {_span(seconds)} {word}, by {bare(server.address)}"
        yield Fault.of("error" if seconds > _FUTURE * 24 else "warning", "clock", what, mend)
        return
    name, newest = max(facts.times.items(), key=lambda pair: pair[1], default=("", 0.0))
    if newest - facts.now > _FUTURE:
        what = f"says {shown}, and {name} was made {_span(newest - facts.now)} later"
        yield Fault.of("warning", "clock", what, mend)


def wsl(facts: Facts) -> Iterator[Fault]:
    """What is peculiar to the Windows Subsystem for Linux."""
    if facts.host.wsl == 1:
        what = "this is version 1, in which Nix does not work"
        yield Fault.of("error", "WSL", what, f"in PowerShell: wsl --set-version {_distribution(facts)} 2")
    elif facts.host.wsl and not facts.host.systemd:
        mend = "printf '[boot]\\nsystemd=true\\n' | sudo tee -a /etc/wsl.conf; then in PowerShell: wsl --shutdown"
        yield Fault.of("note", "WSL", "systemd is off, so Nix's daemon does not start by itself", mend)
    if facts.host.wsl and facts.project and facts.project.root.startswith("/mnt/"):
        what = "lies on a drive of Windows, which is slow and does not tell A from a"
        yield Fault.of("warning", facts.project.root, what, f"cp -r {shlex.quote(facts.project.root)} ~/")


def container(facts: Facts) -> Iterator[Fault]:
    """What is peculiar to containers."""
    if facts.host.container:
        what = "Nix's store is gone with the container, unless /nix is a volume"
        yield Fault.of("note", f"{facts.host.container} container", what)


def project(facts: Facts) -> Iterator[Fault]:
    """Whether nixgen can plan the project."""
    found = _project(facts)
    for problem in found.problems:
        yield Fault("error", problem)
    if "'" in found.root:
        yield Fault.of("warning", found.root, "nix develop cannot enter a folder with an apostrophe", "nix-shell")


def generated_files(facts: Facts) -> Iterator[Fault]:
    """Whether the generated files are those of the locks."""
    stale = _project(facts).stale
    if stale is None:
        raise NotLookedAtError("the project cannot be planned")
    if len(stale) > 1:
        what = f"and {len(stale) - 1} more generated files are not as nixgen would write them"
        yield Fault.of("error", stale[0].where, what, stale[-1].mend)
    elif stale:
        yield Fault("error", stale[0])


def systems(facts: Facts) -> Iterator[Fault]:
    """Whether the project serves machines like this one."""
    served = _project(facts).systems
    if served is None:
        raise NotLookedAtError("the project cannot be planned")
    if facts.system not in served:
        what = f"serves {', '.join(served)}, and this machine is {facts.system}"
        mend = f'add "{facts.system}" to tool.nixgen.systems in pyproject.toml, then: nixgen sync'
        yield Fault.of("error", "project", what, mend)


def tracked_files(facts: Facts) -> Iterator[Fault]:
    """Whether git knows what a flake needs."""
    found = _project(facts)
    if found.git_problem is not None:
        yield Fault("error", found.git_problem)
        return
    if not found.work_tree:
        return
    if not facts.git:
        raise NotLookedAtError("there is no git")
    for paths, more, what in (
        (found.hidden.added, "add -N", "is not known to git, so a flake does not see it"),
        (found.hidden.ignored, "add --force", "is ignored by git, so a flake does not see it"),
        (found.code, "add", "is not known to git, so a flake does not see it"),
    ):
        if paths:
            several = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            folders = dict.fromkeys(map(gitindex.folder_of, paths))
            mend = f"git {more} {'--all' if more == 'add' else shlex.join(folders)}"
            yield Fault.of("warning" if more == "add" else "error", paths[0] + several, what, mend)


def venv(facts: Facts) -> Iterator[Fault]:
    """Whether editors find the environment."""
    kind = _project(facts).venv
    if kind == "broken":
        yield Fault.of("warning", ".venv", "leads nowhere, so editors find no Python", "nixgen sync")
    elif kind == "foreign":
        what = "is not the shell's: who uses it, an editor say, has other packages"
        yield Fault.of("warning", ".venv", what, "mv .venv .venv.old && nixgen sync")


def record(facts: Facts) -> Iterator[Fault]:
    """Whether there is something that a build can be compared with."""
    found = _project(facts)
    for problem in found.record_problems:
        yield Fault("warning", problem)
    if found.recorded is False:
        what = f"has no hashes for {facts.system}, so a build cannot be compared"
        yield Fault.of("note", "nixgen.hashes.json", what, "nixgen check --update")


MACHINE: tuple[Check, ...] = (
    *(nix, nix_version, flakes, daemon, build_users, trusted_user, sandbox, jobs, disk_space, letter_case, home),
    *(certificates, proxy, substituters, git, gpu_driver, kernels, clock, wsl, container),
)
PROJECT: tuple[Check, ...] = (project, generated_files, systems, tracked_files, venv, record)


def _nix(facts: Facts) -> Nix:
    if facts.nix is None:
        raise NotLookedAtError("there is no Nix" if facts.nix_problem is None else "Nix cannot be used")
    return facts.nix


def _settings(facts: Facts) -> dict[str, object]:
    settings = _nix(facts).settings
    if settings is None:
        raise NotLookedAtError("Nix does not tell its settings")
    return dict(settings)


def _project(facts: Facts) -> Project:
    if facts.project is None:
        raise NotLookedAtError(facts.project_problem.what if facts.project_problem else "there is no project here")
    return facts.project


def _set(facts: Facts, line: str, *, system: bool = False) -> str:
    """The command that changes one of Nix's settings: the user's, or the ``system``'s, which its daemon reads."""
    if system:
        command = f"echo {shlex.quote(line)} | sudo tee -a {_CONF}"
        if facts.nix is not None and facts.nix.socket is not None and facts.host.systemd:
            command += " && sudo systemctl restart nix-daemon"
        return install.plain(command) if _is_root(facts) else command
    if not facts.user.cache_writable:
        return f"export NIX_CONFIG={shlex.quote(line)}"
    named = facts.variables.get("NIX_USER_CONF_FILES", "").partition(":")[0]
    if named:
        return f"echo {shlex.quote(line)} >> {shlex.quote(named)}"
    above = facts.variables.get("XDG_CONFIG_HOME")
    folder = f"{shlex.quote(above)}/nix" if above else "~/.config/nix"
    return f"mkdir -p {folder} && echo {shlex.quote(line)} >> {folder}/nix.conf"


def _named(facts: Facts, names: object) -> bool:
    """Whether a list of users and @groups names this one."""
    listed = names.split() if isinstance(names, str) else names
    mine = {"*", facts.user.name, *(f"@{group}" for group in facts.user.groups)}
    return isinstance(listed, list | tuple | set) and bool(mine & set(listed))


def _is_root(facts: Facts) -> bool:
    return facts.user.uid == 0


def _distribution(facts: Facts) -> str:
    return facts.variables.get("WSL_DISTRO_NAME", "DISTRIBUTION")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _span(seconds: float) -> str:
    """A length of time for people."""
    for count, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= count:
            number = int(seconds // count)
            return f"{number} {name}{'s' if number > 1 else ''}"
    return f"{int(seconds)} seconds"
