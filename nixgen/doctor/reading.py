"""Reading the facts: of this machine, its Nix, the servers and the project, once and in bounded time."""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import nixgen
from nixgen.check import record, steps
from nixgen.check.facts import builder, system
from nixgen.doctor import facts
from nixgen.errors import MachineError, NixgenError, Problem
from nixgen.generate import gitindex
from nixgen.local import kernels
from nixgen.machine import download, driver, folders, git, host, process
from nixgen.machine.background import Beside
from nixgen.nix import install, stores, tools
from nixgen.nix.json import STORE
from nixgen.project.project import find_project
from nixgen.runs.facts import gpus

PATIENCE = 3.0
"""Seconds for each step of a server that is asked; all of them are asked at once."""

_DEADLINE = 8.0  # for what a step's limit does not hold: looking a name up, headers that come a byte at a time
_LONG = 30.0  # for programs that answer at once, on a busy machine
_VARIABLES = ("NIX_USER_CONF_FILES", "WSL_DISTRO_NAME", "XDG_CONFIG_HOME")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD"}
_DISPLAY = "0x03"  # of the class of a device on the PCI bus
_T = TypeVar("_T")


def read(start: Path, *, offline: bool = False, root: Path = Path("/")) -> facts.Facts:
    """All facts, for the project that the folder ``start`` is in. Without a network where ``offline``.

    ``root`` is where the files of the machine are looked for.
    """
    machine = host.here(root)
    try:
        nix, nix_problem = Beside(lambda: _nix(root)).result(_LONG)
    except TimeoutError:
        what = f"did not answer within {_LONG:g} seconds"
        nix, nix_problem = None, Problem("Nix", what, "nix-store --version says why, typed by hand")
    servers = _asked(nix.settings or {}) if nix is not None and not offline else None
    project, project_problem, times = _project(start)
    user = _user()
    variables = {name: value for name in (*_VARIABLES, *_PROXIES) if (value := os.environ.get(name))}
    return facts.Facts(
        host=machine,
        system=system(),
        user=user,
        cores=builder(()).cores,
        now=time.time(),
        times={"nixgen itself": Path(nixgen.__file__).stat().st_mtime, **times},
        variables=variables,
        git=shutil.which("git") is not None,
        certificates=_certificates(),
        disks=_disks(nix, user, project),
        nix=nix,
        nix_problem=nix_problem,
        servers=servers() if servers is not None else None,
        gpu=_gpu(root, project.glibc if project else ""),
        kernels=_kernels(),
        project=project,
        project_problem=project_problem,
    )


def _kernels() -> tuple[Problem, ...]:
    with contextlib.suppress(MachineError):  # without a home there are none
        every = ((one, one.broken() or one.problem()) for one in kernels.known())
        return tuple(Problem(f"kernel {one.title}", what, one.mend()) for one, what in every if what)
    return ()


def _user() -> facts.User:
    names = set()
    for number in {*os.getgroups(), os.getegid()}:
        with contextlib.suppress(KeyError):
            names.add(grp.getgrgid(number).gr_name)
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user that only a number is known of
        name = str(os.geteuid())
    try:
        cache = folders.cache()
    except MachineError:
        return facts.User(name, os.geteuid(), frozenset(names), "the home folder", cache_writable=False)
    return facts.User(name, os.geteuid(), frozenset(names), str(cache.parent), os.access(_there(cache), os.W_OK))


def _nix(root: Path) -> tuple[facts.Nix | None, Problem | None]:
    place = tools.located("nix-store")
    if not shutil.which(place):
        return None, None
    asked = tools.Nix()
    try:
        version = asked.version()
    except MachineError as error:
        return None, error.problems[0]
    settings, problem = _settled(asked.settings)
    features, _ = _settled(asked.features)
    given = settings or {}
    location = tools.daemon()
    refused = ""
    if location is not None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            try:
                connection.connect(location)
            except OSError as error:
                refused = error.strerror or str(error)
    group = str(given.get("build-users-group") or "")
    alone = location is None and os.geteuid() == 0
    own = stores.configured("auto", version) if given.get("store", "auto") == "auto" else ""
    found = facts.Nix(
        version=version,
        settings=settings,
        features=features or frozenset(),
        on_path="/" not in place,
        folder=str(Path(place).parent),
        socket=location,
        refused=refused,
        unit=any((root / f"{folder}/nix-daemon.service".lstrip("/")).exists() for folder in install.UNITS),
        writable=location is not None or bool(own) or os.access(_there(Path(STORE)), os.W_OK),
        environment=_daemon_environment(root) if location is not None and not refused else None,
        own_store=own,
        build_group=not (alone and group) or _has_group(group),
        sandboxes=stores.can_sandbox() if location is None else None,
    )
    # Settings that cannot be read are Nix's own mistake to tell, unless the daemon's is told already.
    return found, None if refused else problem


def _settled(ask: Callable[[], _T]) -> tuple[_T | None, Problem | None]:
    try:
        return ask(), None
    except NixgenError as error:
        return None, error.problems[0]


def _has_group(name: str) -> bool:
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


def _daemon_environment(root: Path) -> Mapping[str, str] | None:
    """The variables of Nix's daemon: those of its process, else those that systemd gives it."""
    for place in (root / "proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if place.read_text().strip() == "nix-daemon":
                entries = (place.parent / "environ").read_bytes().decode(errors="replace").split("\0")
                return dict(entry.split("=", 1) for entry in entries if "=" in entry)
    if shutil.which("systemctl") is None or not (root / "run/systemd/system").is_dir():
        return None
    with contextlib.suppress(MachineError, ValueError):
        words = ["systemctl", "show", "nix-daemon", "--property=Environment", "--value"]
        shown = process.run(words, timeout=_LONG).out
        return dict(entry.split("=", 1) for entry in shlex.split(shown) if "=" in entry)
    return None


def _asked(settings: Mapping[str, Any]) -> Callable[[], tuple[facts.Server, ...]]:
    """Asks the binary caches of the settings, all at once; what is returned waits for the answers."""
    listed = settings.get("substituters", ())
    addresses = listed.split() if isinstance(listed, str) else list(map(str, listed))
    web = [one for one in addresses if one.startswith(("http://", "https://"))]
    asked = [(one, Beside(lambda one=one: _server(one))) for one in web]  # type: ignore[misc]
    until = time.monotonic() + _DEADLINE

    def answers() -> Iterator[facts.Server]:
        for address, answer in asked:
            try:
                yield answer.result(max(until - time.monotonic(), 0))
            except TimeoutError:
                yield facts.Server(address, f"no answer within {_DEADLINE:g} seconds")

    return lambda: tuple(answers())


def _server(address: str) -> facts.Server:
    client = download.Client(patience=PATIENCE)
    try:
        with client.open(f"{address.partition('?')[0].rstrip('/')}/nix-cache-info") as answer:
            date = answer.header("Date")
    except NixgenError as error:
        return facts.Server(address, error.problems[0].what)
    ahead = None
    with contextlib.suppress(ValueError, TypeError):
        ahead = parsedate_to_datetime(date).timestamp() - time.time() if date else None
    return facts.Server(address, ahead=ahead)


def _certificates() -> Problem | None:
    try:
        there = download.trusts_somebody()
    except NixgenError as error:
        return error.problems[0]
    what = "this machine has none, so no server is believed"
    return None if there else Problem("certificates", what, install.certificates())


def _disks(nix: facts.Nix | None, user: facts.User, project: facts.Project | None) -> tuple[facts.Disk, ...]:
    """The file systems that count, each once."""
    wanted: list[tuple[Path, str]] = []
    if nix is not None:
        wanted.append((stores.place(nix.own_store, STORE) or Path(STORE), facts.STORE))
    wanted += [(Path(tempfile.gettempdir()), "temporary files"), (Path(user.cache), "what is kept of downloads")]
    if project is not None:
        wanted.append((Path(project.root), "the project"))
    found: dict[int, facts.Disk] = {}
    for path, use in wanted:
        with contextlib.suppress(OSError):
            there = _there(path)
            device, state = there.stat().st_dev, os.statvfs(there)
            uses = (*(found[device].uses if device in found else ()), use)
            limited = state.f_files > 0
            found[device] = facts.Disk(
                path=found[device].path if device in found else str(path),
                uses=uses,
                free=state.f_bavail * state.f_frsize,
                files=state.f_favail if limited else None,
                folds_case=found[device].folds_case if device in found else _folds_case(there),
            )
    return tuple(found.values())


def _folds_case(folder: Path) -> bool:
    """Whether a file in a folder is also found by its name in the other case."""
    with contextlib.suppress(OSError, StopIteration):
        entry = next(entry for entry in os.scandir(folder) if entry.name.swapcase() != entry.name)
        return (folder / entry.name.swapcase()).samefile(folder / entry.name)
    return False


def _there(path: Path) -> Path:
    """The nearest folder above that is there, or the path itself."""
    return next((one for one in (path, *path.parents) if one.exists()), Path("/"))


def _gpu(root: Path, glibc: str) -> facts.Gpu:
    cards = []
    for place in sorted((root / "sys/bus/pci/devices").glob("*/vendor")):
        with contextlib.suppress(OSError):
            vendor = _VENDORS.get(place.read_text().strip())
            if vendor and place.with_name("class").read_text().startswith(_DISPLAY):
                cards.append(vendor)
    shown = gpus(root / "proc/driver/nvidia") if "NVIDIA" in cards else ()
    libcuda, problem = "", None
    try:
        under = str(root).rstrip("/")
        places = [[f"{under}{place}" for place in some] for some in (driver.FIRST, driver.USUAL)]
        override = os.environ.get(driver.OVERRIDE, "")
        found = driver.find(override, places[0], f"{under}{driver.CACHE}", places[1]) if override != "off" else None
        libcuda = found.path if found else ""
        if found and glibc and (newer := _newer_than(found, glibc)):
            problem = Problem("GPU", newer, driver.NEWER)
    except driver.DriverError as error:
        problem = Problem("GPU", str(error), error.hint)
    driven = [one.name for one in shown]
    if "AMD" in cards and (root / "dev/kfd").exists():
        driven.append("AMD")
    version = shown[0].driver if shown else ""
    return facts.Gpu(tuple(dict.fromkeys(cards)), tuple(driven), version, libcuda, problem)


def _newer_than(found: driver.Driver, glibc: str) -> str:
    """What of a driver is too new for a base with this glibc, "" where nothing is."""
    library = driver.read(found.path)
    what = driver.too_new(library, glibc, {}) if library is not None else ""
    return f"the driver {found.version} {what.replace('this environment', 'the base')}" if what else ""


def _project(start: Path) -> tuple[facts.Project | None, Problem | None, Mapping[str, float]]:
    """The project, why there is none, and times that a clock is not before."""
    try:
        root = find_project(start, lock=False).root
    except NixgenError as error:
        if not any((folder / "pyproject.toml").exists() for folder in (start.resolve(), *start.resolve().parents)):
            return None, error.problems[0], {}
        return facts.Project(str(start), problems=error.problems, stale=None, recorded=None), None, {}
    work_tree, git_problem = False, None
    try:
        work_tree = git.in_work_tree(root)
    except MachineError as error:
        work_tree, git_problem = True, None if shutil.which("git") is None else error.problems[0]
    known = work_tree and git_problem is None and shutil.which("git") is not None
    planned = _planned(root)
    recorded, record_problems = _recorded(root)
    found = facts.Project(
        root=str(root),
        name=planned.name,
        base=planned.base,
        glibc=planned.glibc,
        systems=planned.systems,
        problems=planned.problems,
        stale=planned.stale,
        work_tree=work_tree,
        git_problem=git_problem,
        hidden=git.invisible(root, gitindex.needed(root, planned.locks)) if known else git.Visibility(),
        code=tuple(git.unknown_files(root, "*.py")) if known else (),
        venv=_venv(root / ".venv"),
        recorded=recorded,
        record_problems=record_problems,
    )
    return found, None, _times(root, known=known)


@dataclass(frozen=True, slots=True)
class _Planned:
    """What planning gave."""

    name: str = ""
    base: str = ""
    glibc: str = ""
    systems: tuple[str, ...] | None = None
    locks: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    stale: tuple[Problem, ...] | None = None


def _planned(root: Path) -> _Planned:
    found = _Planned()
    try:
        project = find_project(root)
        settings = project.settings
        found = _Planned(project.name, settings.base, systems=settings.systems, locks=tuple(project.locks))
        plan, stale = steps.generated_files(project)
    except NixgenError as error:
        return replace(found, problems=error.problems)
    return replace(found, glibc=plan.base.glibc, systems=tuple(plan.systems), stale=stale)


def _recorded(root: Path) -> tuple[bool | None, tuple[Problem, ...]]:
    try:
        found = record.read_record(root / record.NAME)
    except NixgenError as error:
        return None, error.problems
    return found is not None and system() in found.systems, ()


def _venv(place: Path) -> facts.Venv:
    if not os.path.lexists(place):
        return "none"
    if not (place / "bin/python").exists():
        return "broken"
    return "ours" if place.is_symlink() or (place / "nixgen").exists() else "foreign"


def _times(root: Path, *, known: bool) -> Mapping[str, float]:
    found = {}
    for name in ("pyproject.toml", "uv.lock", "nixgen.lock"):
        with contextlib.suppress(OSError):
            found[name] = (root / name).stat().st_mtime
    if known and (last := git.last_commit(root)) is not None:
        found["the last commit"] = last
    return found
