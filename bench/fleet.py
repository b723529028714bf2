"""Many projects over a shared pool of wheels: evaluating them, and building them with real workers; a model of more.

Builds are counted in processor time, of a worker with all that it starts: so eight can be measured on two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.evaluation import version
from bench.manywheels import many_wheels
from bench.measure import Row
from bench.project import CACHE, ROOT, nix_versions
from nixgen.fleet import model
from nixgen.fleet.sharding import shards

if TYPE_CHECKING:
    from support.fleet import Made
    from support.nix import Nix

    from nixgen.fleet.model import Plan

PROJECTS, POOL, EACH = 1000, 200, 12
BUILT = int(
    os.environ.get("NIXGEN_BENCH_FLEET", "120")
)  # of these, how many are built: a second of processor time each
WORKERS = 8
MODELLED = (8, 32, 100, 300)
NETWORK = 1.25e9  # bytes a second that the cache gives to all workers together: 10 Gbit/s
_FOLDER = CACHE / "fleet"
_URL = f"file://{_FOLDER}/cache-"


def fleet() -> list[Row]:
    """Evaluating and sharding 1,000 projects; building some of them; what follows for more workers."""
    made = _made("all", PROJECTS)
    rows = []
    for nix in nix_versions():
        started = time.perf_counter()
        text = _nixgen(nix, made.folder, "plan", "--json").out
        plan = model.parse(text)
        shards(plan.units.values(), WORKERS)
        seconds = time.perf_counter() - started
        what = f"evaluating and sharding {PROJECTS:,} projects, {len(plan.units):,} derivations, Nix {version(nix)}"
        note = "the peer nix-eval-jobs is not in Debian" if nix is nix_versions()[-1] else ""
        rows.append(Row(what, f"{seconds:.1f} s, once", "≤ 60 s", seconds <= 60, note))
    return [*rows, *_building(nix_versions()[-1])]


@dataclass(frozen=True)
class Ended:
    """A command that ended: what it printed, and the seconds of processor time that it took."""

    out: str
    seconds: float


@dataclass(frozen=True)
class Times:
    """Seconds of processor time: of a base, of a wheel and an environment with publishing, and of logging a path."""

    base: float
    wheel: float
    environment: float
    logged: float
    packed: int  # bytes of the base, as the cache has it


def _building(nix: Nix) -> list[Row]:
    some = _made("some", BUILT)
    for name in ("cache-one", "cache-many", "home"):
        shutil.rmtree(_FOLDER / name, ignore_errors=True)
    machines = [nix.with_store(_FOLDER / "stores" / str(number)) for number in range(WORKERS + 1)]
    for machine in machines:
        _emptied(machine)
    for key in ("fleet-1", "team-1"):
        _nixgen(nix, some.folder, "cache", "keygen", "--name", key)
    plan = model.parse(_nixgen(nix, some.folder, "plan", "--json").out)
    (_FOLDER / "plan.json").write_text(plan.json())
    # One worker alone, a stage after the other: the work.
    alone = {stage: _worker(machines[0], some, 1, 1, "one", "--stage", stage).seconds for stage in model.STAGES}
    work = sum(alone.values())
    with ThreadPoolExecutor(WORKERS) as pool:
        ended = list(
            pool.map(lambda index: _worker(machines[index], some, index, WORKERS, "many"), range(1, WORKERS + 1))
        )
    collected = _nixgen(nix, some.folder, *_collect("many"))
    most, together = max(one.seconds for one in ended), sum(one.seconds for one in ended)
    ratio = most / (work / WORKERS)
    built = sum(int(one.out.split(": built ")[1].split()[0]) for one in ended)
    what = f"{WORKERS} workers build {BUILT} projects, {len(plan.units)} derivations: the one with most to do"
    measured = (
        f"{ratio:.2f} x (work ÷ workers) ({most:.1f} s; one worker alone: {work:.1f} s; all of them: {together:.1f} s)"
    )
    paths = int(collected.out.split(" entries")[0].split()[-1])
    times = Times(
        alone["base"],
        alone["wheels"] / sum(unit.stage == "wheels" for unit in plan.units.values()),
        alone["environments"] / BUILT,
        collected.seconds / paths,
        sum(_packed(name) for name, unit in plan.units.items() if unit.stage == "base"),
    )
    rows = [
        Row(what, measured, "≤ 1.30", ratio <= 1.3, "processor time"),
        Row(
            "derivations that were built, and that there are",
            f"{built} of {len(plan.units)}",
            "once",
            built == len(plan.units),
        ),
        Row(
            "logging and signing what they published",
            f"{collected.seconds:.1f} s for {paths} paths",
            "",
            None,
            "processor time",
        ),
    ]
    return rows + modelled(_made("all", PROJECTS), times, nix)


def modelled(made: Made, times: Times, nix: Nix) -> list[Row]:
    """What 1,000 projects take on more workers, of a core each, by the measured times."""
    plan = model.parse(_nixgen(nix, made.folder, "plan", "--json").out)
    rows = []
    for count in MODELLED:
        total, parts = simulated(plan, count, times)
        later, _ = simulated(plan, count, replace(times, base=0.0))
        rest = times.wheel * parts["wheels"] + times.environment * parts["environments"]
        told = (
            f"{total:.0f} s, {times.base:.0f} s of them for the base, {total / ((times.base + rest) / count):.2f} x; "
            f"with the base in the cache {later:.1f} s, {later / (rest / count):.2f} x; "
            f"the base moves to all in {count * times.packed / NETWORK:.1f} s; logging {parts['logging']:.0f} s"
        )
        rows.append(
            Row(f"model: {count} workers build {PROJECTS:,} projects ({times.base + rest:.0f} s of work)", told)
        )
    return rows


def simulated(plan: Plan, count: int, times: Times) -> tuple[float, Mapping[str, float]]:
    """When the last worker ends, and what there was to do.

    Each has a core. It waits for the base; builds its wheels; then those environments first whose wheels are there.
    Moving bytes to and from the cache takes no time here.
    """
    where = shards(plan.units.values(), count)
    ready: dict[str, float] = {}
    free = [times.base] * count
    for unit in sorted(plan.units.values(), key=lambda one: (-one.cost, one.name)):
        if unit.stage == "wheels":
            free[where[unit.name]] += times.wheel
            ready[unit.name] = free[where[unit.name]]
    needs = {one.root: max((ready[name] for name in one.wheels), default=0.0) for one in plan.members}
    for root, there in sorted(needs.items(), key=lambda item: item[1]):
        free[where[root]] = max(free[where[root]], there) + times.environment
    environments = sum(one.stage == "environments" for one in plan.units.values())
    parts = {
        "wheels": len(ready),
        "environments": environments,
        "logging": times.logged * (len(ready) + 3 * environments),
    }
    return max(free), parts


def _packed(name: str) -> int:
    """How many bytes the file of a path has in the cache."""
    text = (_FOLDER / "cache-many" / f"{name[:32]}.narinfo").read_text()
    return int(text.split("FileSize: ")[1].split()[0])


def _made(name: str, count: int) -> Made:
    from support import fleet

    first = many_wheels()
    folder = _FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return fleet.real(folder, first, count, POOL, EACH)


def _worker(nix: Nix, made: Made, index: int, count: int, cache: str, *more: str) -> Ended:
    words = ("--plan", str(_FOLDER / "plan.json"), "--cache", _URL + cache, "--key", "fleet-1", "--wait", "600")
    return _nixgen(nix, made.folder, "build", "--shard", f"{index}/{count}", *words, *more)


def _collect(cache: str) -> Sequence[str]:
    worker = str(_FOLDER / "home/.config/nixgen/keys/fleet-1/log.pub")
    words = ("--plan", str(_FOLDER / "plan.json"), "--cache", _URL + cache, "--key", "team-1", "--worker-key", worker)
    return ("build", "--collect", *words)


def _nixgen(nix: Nix, folder: Path, *words: str) -> Ended:
    """Runs nixgen on a machine; its processor time is that of all that it starts and waits for."""
    (nix.store / "nix").mkdir(parents=True, exist_ok=True)
    home = _FOLDER / "home"
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_CACHE_HOME": f"{nix.store}/cache"}
    child = subprocess.Popen(
        [*nix.entered(), sys.executable, "-m", "nixgen", *words],
        cwd=folder,
        env={**nix.environ(), **own, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"failed: nixgen {' '.join(words)}")
    return Ended(out, used.ru_utime + used.ru_stime)


def _emptied(nix: Nix) -> None:
    """Removes a store, whose folders are read-only."""
    if nix.store.exists():
        if os.geteuid() != 0:
            subprocess.run(["chmod", "-R", "u+w", nix.store], check=True)
        subprocess.run(["rm", "-rf", nix.store], check=True)  # several times as quick as Python
