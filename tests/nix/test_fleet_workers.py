"""A fleet: workers as processes, each with a store of its own, that share a cache; and the one who logs."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import fleet
from support.nix import ROOT, SHELL, SYSTEM, Nix, Output, enter
from support.waiting import until

if TYPE_CHECKING:
    from checking import Checked

PROJECTS, POOL, EACH, WORKERS = 20, 12, 4, 3


@dataclass(frozen=True)
class Fleet:
    """Projects, a cache in a folder, keys of the workers and of the one who logs; ``nix`` is on no store yet."""

    nix: Nix
    folder: Path
    made: fleet.Made
    bucket: str = ""

    @property
    def url(self) -> str:
        """The cache: a bucket, or else a folder."""
        return self.bucket or f"file://{self.folder}/cache?compression=none"

    def machine(self, name: object) -> Nix:
        """Nix on the store of a machine, in whose sandbox builds may count themselves."""
        built = self.folder / "built"
        return self.nix.with_store(self.folder / f"store-{name}").with_settings(sandbox_paths=f"{SHELL} {built}")

    def environment(self) -> dict[str, str]:
        """What nixgen runs with."""
        home = self.folder / "home"
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_CACHE_HOME": str(home / ".cache")}
        return {**own, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def run(self, machine: object, *words: str) -> Output:
        """Runs nixgen on a machine, whatever comes out."""
        return self.machine(machine).nixgen(*words, cwd=self.made.folder, **self.environment())

    def must(self, machine: object, *words: str) -> Output:
        """Runs it; a failure shows what it printed."""
        done = self.run(machine, *words)
        assert done.ok, done.tail()
        return done

    def words(self, index: int, *more: str, count: int = WORKERS) -> list[str]:
        """The command of a worker, on the plan that all have."""
        plan = ["--plan", str(self.folder / "plan.json")]
        return ["build", "--shard", f"{index}/{count}", *plan, "--cache", self.url, "--key", "fleet-1", *more]

    def start(self, index: int, *more: str) -> subprocess.Popen[bytes]:
        """Starts a worker in a process group of its own."""
        return self.begin(index, self.words(index, *more))

    def begin(self, machine: object, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Starts nixgen on a machine, in a process group of its own."""
        nix = self.machine(machine)
        (nix.store / "nix").mkdir(parents=True, exist_ok=True)
        with (self.folder / f"worker-{machine}.txt").open("ab") as log:
            return subprocess.Popen(
                [*enter(nix.store), sys.executable, "-m", "nixgen", *words],
                cwd=self.made.folder,
                env={**nix.environ(), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self, machine: object) -> str:
        """All that a worker has printed."""
        return (self.folder / f"worker-{machine}.txt").read_text()

    def collect(self, *more: str, machine: object = "log") -> Output:
        """``nixgen build --collect`` by the one who logs, whatever comes out."""
        return self.run(machine, *self.collecting(), *more)

    def collecting(self) -> list[str]:
        """The command of the one who logs."""
        workers = ["--worker-key", str(self.folder / "home/.config/nixgen/keys/fleet-1/log.pub")]
        plan = ["--plan", str(self.folder / "plan.json")]
        return ["build", "--collect", *plan, "--cache", self.url, "--key", "team-1", *workers]

    def write_plan(self) -> Any:
        """Makes the plan, and gives it."""
        text = self.must("log", "plan", "--json").stdout
        (self.folder / "plan.json").write_text(text)
        return json.loads(text)

    def path(self, name: str) -> str:
        """The output of a derivation of the plan by its name: "<hash>-NAME"."""
        plan = json.loads((self.folder / "plan.json").read_text())
        (found,) = (one for one in plan["derivations"] if one.partition("-")[2] == name)
        return str(found)

    def signed(self) -> set[str]:
        """The hashes of the paths that the one who logs has signed."""
        files = (self.folder / "cache").glob("*.narinfo")
        return {path.name[:32] for path in files if "Sig: team-1:" in path.read_text()}

    def built(self) -> Mapping[str, int]:
        """How often each derivation ran, on all machines together."""
        return {path.name: len(path.read_text().splitlines()) for path in (self.folder / "built").iterdir()}

    def narinfos(self) -> dict[str, str]:
        """What the cache says of each path, but for who signed it."""
        files = (self.folder / "cache").glob("*.narinfo")
        return {path.name: path.read_text().partition("Sig:")[0] for path in files}


def make(nix: Nix, folder: Path, projects: int, pool: int, each: int) -> Fleet:
    """A fleet with keys, and no plan yet."""
    (folder / "built").mkdir()
    made = Fleet(nix, folder, fleet.stand_ins(folder / "projects", projects, pool, each, folder / "built"))
    for name in ("fleet-1", "team-1"):
        made.must("log", "cache", "keygen", "--name", name)
    return made


def test_a_worker_is_killed_and_nothing_is_lost_nor_built_twice(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, PROJECTS, POOL, EACH)
    plan = made.write_plan()
    assert len(plan["projects"]) == PROJECTS
    assert len(plan["derivations"]) == PROJECTS + len(made.made.wheels) + 1  # each wheel once, and the base
    workers = {index: made.start(index, "--wait", "1000") for index in range(1, WORKERS + 1)}
    dice = random.Random()
    goal = dice.randrange(1, 2 * PROJECTS)
    victim = dice.randrange(1, WORKERS + 1)
    until(lambda: workers[victim].poll() is not None or len(list((made.folder / "built").iterdir())) >= goal)
    if workers[victim].poll() is None:
        os.killpg(workers[victim].pid, signal.SIGKILL)
        workers[victim].wait()
    else:  # it was through before: then its second run finds all of it done
        assert workers[victim].returncode == 0, made.said(victim)
    workers[victim] = made.start(victim, "--wait", "1000")
    for index, worker in workers.items():
        assert worker.wait() == 0, (goal, victim, index, made.said(index))
    counts = made.built()
    # What ran while its machine was killed may have run once more; all else ran once, wherever it was needed.
    again = {name for name, count in counts.items() if count > 1}
    assert counts.keys() >= made.made.wheels
    assert len(again) <= 2 * (os.cpu_count() or 1), (again, goal, victim)
    before = made.narinfos()
    done = made.collect()
    assert done.ok, done.tail()
    assert f"signed {len(before)} paths" in done.stdout
    assert made.collect().stdout.endswith("0 of them new; signed 0 paths\n")
    # Idempotent: nothing is built nor published again, on a machine that has none of it.
    for index in range(1, WORKERS + 1):
        said = made.must("fresh", *made.words(index)).stdout
        assert f"shard {index}/{WORKERS}: built 0 derivations, " in said
        assert "published 0 paths, took 0" in said
    assert made.built() == counts
    assert made.narinfos() == before


@pytest.mark.one_nix
def test_three_of_one_share_and_three_who_log_at_once(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, projects=6, pool=5, each=3)
    plan = made.write_plan()

    def at_once(*names: str, words: Sequence[str]) -> None:
        for name, one in [(name, made.begin(name, words)) for name in names]:
            assert one.wait() == 0, made.said(name)

    at_once("a", "b", "c", words=made.words(1, count=1))
    published = {name[:32] for name in made.narinfos()}
    assert published >= {name[:32] for name in plan["derivations"]}
    at_once("log-a", "log-b", "log-c", words=made.collecting())
    assert made.signed() == published
    assert made.collect().stdout.endswith(f"the log has {len(published)} entries, 0 of them new; signed 0 paths\n")


def test_other_bytes_and_forged_receipts_are_found_and_not_published(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, projects=2, pool=2, each=2)
    # A builder that gives other bytes each time.
    for file in made.made.folder.glob("*/default.nix"):
        file.write_text(file.read_text().replace("echo $needs > $out", "cat /proc/sys/kernel/random/uuid > $out"))
    made.write_plan()
    wheel = made.path("wheel-000")
    # A bit flips on the disk of a worker, after the build and before the upload.
    made.must("first", "build", "--plan", str(tmp_path / "plan.json"))
    real = made.machine("first").real(f"/nix/store/{wheel}")
    kept = real.read_text()
    real.chmod(0o644)
    real.write_text(kept[::-1])
    done = made.run("first", *made.words(1, count=1))
    assert done.returncode == 1, done.tail()
    assert f"error: {wheel}: is damaged on the disk, so nothing was published" in done.stderr
    assert f"{wheel[:32]}.narinfo" not in made.narinfos()
    real.write_text(kept)
    made.must("first", *made.words(1, count=1))
    before = made.narinfos()
    # What is gone from the cache is built again elsewhere, with other bytes: the receipt knows.
    for file in (made.folder / "cache").glob("*.narinfo"):
        if file.name[:32] != made.path("core")[:32]:
            file.unlink()
    done = made.run("second", *made.words(1, count=1))
    assert done.returncode == 1, done.tail()
    assert f"error: {wheel}: was built with other bytes before: NAR hash sha256-" in done.stderr
    assert len(made.narinfos()) == 1
    # The machine that built it first still has it.
    made.must("first", *made.words(1, count=1))
    assert made.narinfos() == before
    # A receipt that nobody of the fleet signed, and a narinfo that is not what its receipt says.
    receipt = made.folder / f"cache/nixgen-fleet/{wheel[:32]}.receipt"
    kept = receipt.read_text()
    text, _, signature = kept.rpartition("\n\n")
    receipt.write_text(f"{text.replace('sha256-', 'sha256-A', 1)}\n\n{signature}")
    other = made.folder / f"cache/{made.path('wheel-001')[:32]}.narinfo"
    narinfo = other.read_text()
    other.write_text(narinfo.replace("NarSize: ", "NarSize: 9"))
    found = made.collect()
    assert found.returncode == 1, found.tail()
    assert f"{receipt}: has a wrong signature by fleet-1+" in found.stderr
    assert f"{made.path('wheel-001')}: rewritten: has a narinfo that is not what was logged" in found.stderr
    # These were neither logged nor signed; when they are right, they are, too.
    assert made.signed() == {name[:32] for name in before} - {wheel[:32], other.name[:32]}
    receipt.write_text(kept)
    other.write_text(narinfo)
    done = made.collect()
    assert done.ok, done.tail()
    assert made.signed() == {name.partition(".")[0] for name in before}


@pytest.mark.one_nix
def test_a_receipt_that_does_not_count_keeps_no_other_path_back(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, projects=3, pool=3, each=2)
    plan = made.write_plan()
    wheel = made.path("wheel-000")
    receipt = tmp_path / f"cache/nixgen-fleet/{wheel[:32]}.receipt"
    receipt.parent.mkdir(parents=True)
    receipt.write_text("of a stranger\n")
    done = made.run("first", *made.words(1, count=1))
    assert done.returncode == 1, done.tail()
    assert f"{receipt}: is not a note" in done.stderr
    needing = {one["root"] for one in plan["projects"] if wheel in one["wheels"]}
    assert needing
    held_back = {name[:32] for name in (wheel, *needing)}
    assert {name[:32] for name in made.narinfos()} >= {name[:32] for name in plan["derivations"]} - held_back
    assert not held_back & {name[:32] for name in made.narinfos()}
    receipt.unlink()
    made.must("first", *made.words(1, count=1))
    assert made.collect().ok


def test_the_faults_of_one_project_hide_no_other(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, projects=4, pool=3, each=2)
    stale, broken, failing = (made.made.folder / f"project-000{number}/default.nix" for number in (0, 1, 2))
    whole = stale.read_text()
    stale.write_text('_: throw "uv.lock changed after default.nix was generated\\n  hint: nixgen sync"')
    broken.write_text("{ this is no Nix")
    failing.write_text(failing.read_text().replace("echo $needs > $out", "exit 1"))
    done = made.run("log", "plan", "--json")
    assert done.returncode == 2, done.tail()
    assert "error: project-0000: uv.lock: changed after default.nix was generated\n" in done.stderr
    assert "  hint: nixgen sync --project project-0000\n" in done.stderr
    assert "error: project-0001: default.nix: cannot be evaluated: syntax error" in done.stderr
    plan = json.loads(done.stdout)
    assert [one["folder"] for one in plan["projects"]] == ["project-0002", "project-0003"]
    assert [one["where"] for one in plan["problems"]] == ["project-0000: uv.lock", "project-0001: default.nix"]
    # A build that fails: all else is built and published.
    (made.folder / "plan.json").write_text(done.stdout)
    built = made.run("one", *made.words(1, count=1))
    assert built.returncode == 5, built.tail()
    roots = {one["folder"]: one["root"] for one in plan["projects"]}
    assert f"{roots['project-0003'][:32]}.narinfo" in made.narinfos()
    assert f"{roots['project-0002'][:32]}.narinfo" not in made.narinfos()
    # Without a plan: what cannot be planned is told beside what cannot be built, and the rest is there.
    plain = made.run("one", "build", ".", "--cache", made.url, "--key", "fleet-1")
    assert plain.returncode == 5, plain.tail()
    assert plain.stdout.startswith("shard 1/1: built 0 derivations, 4 were there; ")
    assert plain.stderr.count("error: ") >= 3, plain.stderr
    missing = made.collect()
    assert missing.returncode == 1
    assert f"error: {roots['project-0002']}: is in the plan, and no worker has published it\n" in missing.stderr
    # Files that are not those of the plan.
    failing.write_text(whole)
    other = made.run("two", *made.words(1, count=1))
    assert other.returncode == 4, other.tail()
    assert "error: project-0002: core is not what the plan was made from" in other.stderr


def test_hydra_sees_each_project_as_a_job(both_nix: tuple[Nix, Nix], tmp_path: Path) -> None:
    made = make(both_nix[0], tmp_path, projects=3, pool=3, each=2)
    roots = {one["folder"]: one["root"] for one in made.write_plan()["projects"]}
    text = made.must("log", "plan", "--for", "hydra", ".").stdout
    (made.made.folder / "flake.nix").write_text(text)
    flake = f"path:{made.made.folder}"
    ask = "builtins.mapAttrs (_: builtins.mapAttrs (_: job: [ job.type (baseNameOf job.outPath) ]))"
    for nix in both_nix:
        machine = nix.with_store(made.folder / "store-log")
        machine.run("nix", "flake", "check", "--no-build", flake)
        told = machine.run("nix", "eval", "--json", f"{flake}#hydraJobs", "--apply", ask).stdout
        assert json.loads(told) == {SYSTEM: {name: ["derivation", root] for name, root in roots.items()}}
    # What asks for a machine with something special has shards of its own.
    file = made.made.folder / "project-0001/default.nix"
    asked = ' // { requiredSystemFeatures = [ "gpu" ]; };\n  root = '
    file.write_text(file.read_text().replace(";\n  root = ", asked))
    units = made.write_plan()["derivations"]
    assert [one["key"] for one in units.values() if one["features"] == ["gpu"]] == ["project-0001"]
    assert "project-0001-root (gpu)" in made.must("log", "plan").stdout
    done = made.must("log", "plan", "--for", "slurm", ".")
    assert "Not in it: 1 derivations that need gpu; theirs: nixgen plan --for slurm --feature gpu" in done.stderr


def test_wheels_that_only_a_named_environment_has_are_wheels(both_nix: tuple[Nix, Nix], tmp_path: Path) -> None:
    made = make(both_nix[0], tmp_path, projects=1, pool=1, each=1)
    file = made.made.folder / "project-0000/default.nix"
    text = file.read_text()
    docs = """
  docs = {
    wheel-000 = make "wheel-000" "newer" // { file = "wheel-000-2.whl"; };
    gpu = make "gpu" "" // { file = "gpu.whl"; requiredSystemFeatures = [ "gpu" ]; };
    source = make "source" "" // { file = "source.tar.gz"; };
  };
in"""
    text = text.replace("\nin", docs).replace(
        "inherit environment wheels",
        "environments.docs = { inherit environment; wheels = docs; };\n  inherit environment wheels",
    )
    file.write_text(text.replace('under "wheels" wheels', 'under "wheels" wheels // under "docs.wheels" docs'))
    units = made.write_plan()["derivations"]
    found = sorted(
        (name[33:], one["cost"] > 60, one["features"]) for name, one in units.items() if one["stage"] == "wheels"
    )
    assert found == [
        ("gpu", False, ["gpu"]),
        ("source", True, []),
        *[(name, False, []) for name in ("wheel-000", "wheel-000")],
    ]


def test_a_fleet_shares_a_bucket(nix_new: Nix, bucket: tuple[str, Any], tmp_path: Path) -> None:
    settings, files = bucket
    made = replace(make(nix_new, tmp_path, projects=2, pool=3, each=2), bucket=f"s3://team/cache?{settings}")
    units = made.write_plan()["derivations"]

    def readable() -> None:  # what Nix asks this bucket for, it does not sign
        for row in files.objects.all():
            row.Acl().put(ACL="public-read")

    for stage in ("base", "wheels", "environments"):
        done = made.must(stage, *made.words(1, "--stage", stage, count=1))
        assert f"built {sum(one['stage'] == stage for one in units.values())} derivations, 0 were there" in done.stdout
        readable()
    assert made.built() == dict.fromkeys(made.built(), 1)
    done = made.collect()
    assert done.ok, done.tail()
    keys = {row.key for row in files.objects.all()}
    for name in units:
        assert {f"cache/{name[:32]}.narinfo", f"cache/nixgen-fleet/{name[:32]}.receipt"} <= keys
        assert b"Sig: team-1:" in files.Object(f"cache/{name[:32]}.narinfo").get()["Body"].read()


SLURM = """ClusterName=nixgen
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={worker}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}
SlurmdSpoolDir={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


@pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="only with NIXGEN_TEST_BUILDS=1")
@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("munged", "slurmctld", "slurmd", "sbatch"))),
    reason="needs root, and Debian's slurmctld, slurmd, slurm-client and munge",
)
def test_a_slurm_array_builds_a_fleet(nix28: Nix, tmp_path: Path) -> None:
    made = make(nix28, tmp_path, projects=6, pool=5, each=3)
    plan = made.write_plan()
    shutil.copy(tmp_path / "plan.json", made.made.folder)
    text = made.must("log", "plan", "--for", "slurm", "--shards", "3", "--cache", made.url, ".").stdout
    (made.made.folder / "fleet.sh").write_text(text)
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "worker": free_port()}
    (folder / "slurm.conf").write_text(SLURM.format(host=host, folder=folder, **ports))
    files = [f"--{name}-file={folder}/{name}" for name in ("key", "pid", "log", "seed")]
    node = made.machine("node")
    (node.store / "nix").mkdir(parents=True)
    environment = {**node.environ(), **made.environment(), "SLURM_CONF": str(folder / "slurm.conf")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def run(*argv: str) -> str:
        done = subprocess.run(argv, cwd=made.made.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout + done.stderr

    daemons = []
    try:
        # All in the namespace of the node's store: what a job runs is a child of slurmd.
        for daemon in (
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            with (folder / f"{daemon[0]}.txt").open("wb") as log:
                command = [*enter(node.store), *daemon]
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            until((folder / "munge.socket").exists, running=daemons[0])
        until(lambda: "idle" in run("sinfo"))
        assert "to start at" in run("sbatch", "--test-only", "fleet.sh")
        run("sbatch", "--wait", "fleet.sh")
    finally:
        for one in reversed(daemons):
            one.terminate()
            one.wait()
    said = [(made.made.folder / f"nixgen-fleet-{index}.out").read_text() for index in (1, 2, 3)]
    assert ["/3: built " in one for one in said] == [True] * 3, said
    assert made.built().keys() >= made.made.wheels
    done = made.collect()
    assert done.ok, done.tail()
    assert (
        made.signed()
        == {name.partition(".")[0] for name in made.narinfos()}
        >= {name[:32] for name in plan["derivations"]}
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_real_project_is_planned_as_it_is_recorded(first: Checked) -> None:
    done = first.run("plan", "--json")
    assert done.ok, done.tail()
    plan = json.loads(done.stdout)
    recorded = first.system()
    outputs = {one["outPath"][11:]: one["drvPath"][11:] for one in recorded["outputs"].values()}
    (project,) = plan["projects"]
    assert project["root"] == recorded["outputs"]["root"]["outPath"][11:]
    assert [name.partition("-")[2] for name in project["wheels"]] == ["plum-1.0"]
    assert len(project["base"]) >= 3
    for name, unit in plan["derivations"].items():
        assert unit["drv"] == outputs[name]
        if unit["stage"] == "wheels":
            assert unit["size"] == recorded["closure"][name]["narSize"]
    assert {unit["stage"] for unit in plan["derivations"].values()} == {"base", "wheels", "environments"}
