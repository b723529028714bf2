"""nixgen generate: what it owns, what it refuses, and that a second run changes nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.plans import DEBIAN, DEBIAN_PLAN, NIXPKGS, NIXPKGS_PLAN
from test_generate_flakenix import old

from nixgen import resources
from nixgen.artifacts.model import Manifest, ServiceSpec
from nixgen.errors import Finding, Problem, UserError
from nixgen.generate import flakelock, flakenix, planning, render, write
from nixgen.generate.model import Plan
from nixgen.lock import fit
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.machine import files
from nixgen.nix import vendored
from nixgen.nix.nar import hash_path
from nixgen.project.project import Project
from nixgen.project.settings import EnvironmentSettings, Settings
from nixgen.resolve.model import Resolution, Target
from nixgen.resolve.resolution import merged_problems

Run = Callable[..., tuple[tuple[str, ...], list[str]]]
TARBALLS = {entry.file: entry.system.encode() for entry in DEBIAN.bootstrap}
LIBRARY = {
    name: name.encode() for name in ("builders/wheel.py", "default.nix", "flake.nix", "outputs.nix", "wheel.nix")
}
OLDER = "# Written by nixgen; this folder belongs to it.\n"
PINNED = replace(
    DEBIAN,
    bootstrap=tuple(
        replace(entry, sha256=hashlib.sha256(TARBALLS[entry.file]).hexdigest()) for entry in DEBIAN.bootstrap
    ),
)
FOREIGN_LOCK = {"nodes": {"root": {"inputs": {"other": "other"}}}, "root": "root", "version": 7}


UP_TO_DATE = "The generated files are up to date with uv.lock and nixgen.lock."
SETTINGS = Settings(base="debian", libraries=("libgomp1",), tools=("ffmpeg", "git"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A locked project on the debian base, whose resolution is that of the hand-made plan."""
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "nixgen.lock").write_text(dump_lock(Lock(PINNED)))
    bootstrap = tmp_path / "nix/nixgen/bootstrap"
    bootstrap.mkdir(parents=True)
    for file, data in TARBALLS.items():
        (bootstrap / file).write_bytes(data)

    def plan(_: Project, pins: planning.Pins) -> Plan:
        return replace(DEBIAN_PLAN, base=pins.lock.base)

    monkeypatch.setattr(resources, "library", lambda: LIBRARY)
    monkeypatch.setattr(planning, "plan", plan)
    return Project(tmp_path, "demo", {}, SETTINGS, None, has_lock=True)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """generate; gives the paths that changed and the lines that it said."""

    def call(project: Project, *, force: bool = False) -> tuple[tuple[str, ...], list[str]]:
        capsys.readouterr()
        changed = write.generate(project, force=force)
        return changed, capsys.readouterr().err.splitlines()

    return call


def problems(error: type[Exception], call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(error) as caught:
        call(*arguments)
    return [str(problem) for problem in caught.value.problems]  # type: ignore[attr-defined]


def check(project: Project) -> None:
    write.check(project.root, planning.outputs(project))


def test_services_and_environments_have_names_of_their_own() -> None:
    settings = Settings.parse({"environments": {"gpu": {}, "api": {}}})
    services = (ServiceSpec("api", ("x",)), ServiceSpec("job", ("x",), environment="tpu"))
    assert list(map(str, planning.service_problems(settings, Manifest(services=services)))) == [
        "pyproject.toml: tool.nixgen.environments.api: is the name of a service in models.toml, too\n"
        "  hint: give one of the two another name",
        'models.toml: services.job.environment: "tpu" is not one of tool.nixgen.environments in pyproject.toml\n'
        "  hint: those are: api, gpu",
    ]


def test_what_is_written(project: Project, run: Run) -> None:
    changed, said = run(project)
    assert said == ["wrote default.nix", f"nix/nixgen/: {len(changed) - 1} written"]
    assert changed[-1] == "default.nix"
    tarballs = {f"nix/nixgen/bootstrap/{name}" for name in TARBALLS}
    assert vendored.present(project.root) == {*vendored.NAMES, *tarballs}
    for name in vendored.NAMES:
        assert (project.root / name).read_text().startswith("# Written by nixgen")


def test_code_that_git_does_not_know_is_named(project: Project, run: Run) -> None:
    subprocess.run(["git", "init", "-q", str(project.root)], check=True)
    (project.root / "tools").mkdir()
    (project.root / "tools/new.py").touch()
    (project.root / ".gitignore").write_text("scratch.py\n")
    (project.root / "scratch.py").touch()
    warning = "warning: tools/new.py is not known to git, so a flake does not see it. To change that: git add --all"
    for _ in range(2):
        assert warning in run(project)[1]
    subprocess.run(["git", "add", "--all"], cwd=project.root / "tools", check=True)
    assert not [line for line in run(project)[1] if line.startswith("warning: ")]


def test_a_second_run_changes_nothing(project: Project, run: Run) -> None:
    run(project)
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*")}
    assert run(project) == ((), [UP_TO_DATE])
    check(project)
    assert {path: path.stat().st_mtime_ns for path in project.root.rglob("*")} == before


def test_check_names_each_file(project: Project, run: Run) -> None:
    run(project)
    (project.root / "default.nix").write_text("# Written by nixgen, then by me")
    (project.root / "nix/nixgen/outputs.nix").unlink()
    (project.root / "nix/nixgen/library").chmod(0o755)
    (project.root / "nix/nixgen/files").write_text(OLDER + "gone.nix\n")
    (project.root / "nix/nixgen/gone.nix").write_text("of an older version")
    assert problems(Finding, check, project) == [
        "default.nix: is stale: nixgen would write something else",
        "nix/nixgen/files: is extra: nixgen would not write it",
        "nix/nixgen/gone.nix: is extra: nixgen would not write it",
        "nix/nixgen/library: is stale: it is marked as a program",
        "nix/nixgen/outputs.nix: is missing\n  hint: write them again: nixgen sync",
    ]
    changed, said = run(project)
    assert sorted(changed) == [
        "default.nix",
        "nix/nixgen/files",
        "nix/nixgen/gone.nix",
        "nix/nixgen/library",
        "nix/nixgen/outputs.nix",
    ]
    assert said == ["wrote default.nix", "nix/nixgen/: 2 written, 2 removed"]
    check(project)


def test_check_names_both_revisions_of_nixpkgs(tmp_path: Path) -> None:
    """`nix flake update` moved flake.lock: a shell on it would not be what nixgen.lock pins."""
    wanted = {flakelock.NAME: flakelock.fresh(NIXPKGS, {})}
    moved = flakelock.fresh(replace(NIXPKGS, rev="5" * 40), {})
    (tmp_path / flakelock.NAME).write_bytes(moved)
    with pytest.raises(Finding) as caught:
        write.check(tmp_path, wanted)
    assert str(caught.value) == (
        f"flake.lock: has nixpkgs 555555555555, and nixgen.lock has {NIXPKGS.rev[:12]}\n"
        "  hint: write them again: nixgen sync"
    )
    other = moved.replace(b'"version": 7', b'"version": 8').replace(b"5" * 40, NIXPKGS.rev.encode())
    for text in (other, b"{}", b"no JSON"):
        assert flakelock.moved(text, wanted[flakelock.NAME]) == ""


def test_a_file_of_somebody_else_stays_unless_forced(project: Project, run: Run) -> None:
    run(project)
    (project.root / "default.nix").write_text("{ mine = true; }")
    (project.root / "nix/nixgen/mine.nix").write_text("mine")
    assert problems(Finding, check, project) == [
        "default.nix: is stale: nixgen would write something else",
        (
            "nix/nixgen/mine.nix: is extra: nixgen did not write it, and the folder is nixgen's\n"
            "  hint: write them again: nixgen generate --force"
        ),
    ]
    mend = "move it elsewhere, or give it up: nixgen generate --force"
    assert problems(UserError, write.generate, project) == [
        f"default.nix: is in the way, and nixgen did not write it\n  hint: {mend}",
        f"nix/nixgen/mine.nix: is in the way, and nixgen did not write it\n  hint: {mend}",
    ]
    assert (project.root / "default.nix").read_text() == "{ mine = true; }"
    changed, said = run(project, force=True)
    assert changed == ("default.nix", "nix/nixgen/mine.nix")
    assert said[:2] == [
        "warning: default.nix was not written by nixgen: it is replaced (--force).",
        "warning: nix/nixgen/mine.nix was not written by nixgen: it is removed (--force).",
    ]
    check(project)


def test_a_folder_that_was_there_before_is_not_overwritten(project: Project) -> None:
    (project.root / "nix/nixgen/default.nix").write_text("mine")
    assert problems(UserError, write.generate, project)[0].startswith("nix/nixgen/default.nix: is in the way")
    assert (project.root / "nix/nixgen/default.nix").read_text() == "mine"


def test_caches_and_leftovers_are_not_extra(project: Project, run: Run) -> None:
    run(project)
    (project.root / "nix/nixgen/builders/__pycache__").mkdir(parents=True)
    (project.root / "nix/nixgen/builders/__pycache__/a.pyc").touch()
    (project.root / "nix/nixgen/.base.nix.new.1.nixgen-tmp").touch()
    check(project)


@pytest.mark.parametrize("listing", ["files", "MANIFEST"])
def test_the_many_files_of_an_older_nixgen_are_brought_along(project: Project, run: Run, listing: str) -> None:
    """They are those that its list names; it had the name MANIFEST first (case 17). What is somebody else's stays."""
    theirs = {
        "base.nix": "{ }",
        "default.nix": "{ }",
        "builders/setup.py": "",
        "builders/wheel/elf.py": "",
        "ruff.toml": "",
    }
    folder = project.root / "nix/nixgen"
    files.write_all(folder, {name: text.encode() for name, text in theirs.items()})
    (folder / listing).write_text(
        OLDER + "".join(f"{name}\n" for name in (*theirs, *(f"bootstrap/{t}" for t in TARBALLS)))
    )
    (folder / "builders/mine.py").write_text("mine")
    assert [one.partition(":")[0] for one in problems(UserError, write.generate, project)] == [
        "nix/nixgen/builders/mine.py"
    ]
    (folder / "builders/mine.py").unlink()
    _, said = run(project)
    assert f"nix/nixgen/: {len(vendored.NAMES)} written, 4 removed" in said
    assert {path.name for path in folder.iterdir()} == {
        "bootstrap",
        *(name.rpartition("/")[2] for name in vendored.NAMES),
    }
    check(project)


IGNORED = """__pycache__/ *.py[cod] *$py.class *.so .Python build/ develop-eggs/ dist/ downloads/ eggs/ .eggs/ lib/
lib64/ parts/ sdist/ var/ wheels/
share/python-wheels/ *.egg-info/ .installed.cfg *.egg MANIFEST *.manifest *.spec pip-log.txt
htmlcov/ .tox/ .nox/ .coverage .coverage.* .cache nosetests.xml coverage.xml *.cover *.py,cover .hypothesis/
.pytest_cache/ cover/ *.mo *.pot *.log local_settings.py db.sqlite3 instance/ .webassets-cache .scrapy docs/_build/
.pybuilder/ target/ .ipynb_checkpoints profile_default/ ipython_config.py .pdm.toml __pypackages__/ celerybeat-schedule
*.sage.py .env .venv env/ venv/ ENV/ env.bak/ venv.bak/ .spyderproject .ropeproject /site .mypy_cache/ .dmypy.json
.pyre/ .pytype/ cython_debug/ .idea/ .vscode/ .ruff_cache/ .pypirc"""


def test_the_usual_gitignore_leaves_out_nothing_that_is_written(project: Project, run: Run) -> None:
    """Case 17."""
    changed, _ = run(project)
    (project.root / ".gitignore").write_text("\n".join(IGNORED.split()))
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", *changed], cwd=project.root, check=False, capture_output=True
    )
    assert asked.stdout == b""
    assert asked.returncode == 1


def test_the_tarballs_are_kept_and_verified(project: Project, run: Run) -> None:
    run(project)
    folder = project.root / "nix/nixgen/bootstrap"
    (folder / "busybox-aarch64-linux.tar.xz").write_bytes(b"other")
    (folder / "busybox-x86_64-linux.tar.xz").unlink()
    assert problems(UserError, write.generate, project) == [
        (
            "nix/nixgen/bootstrap/busybox-aarch64-linux.tar.xz: is not the file that nixgen.lock pins\n"
            "  hint: restore it, or: nixgen sync"
        ),
        "nix/nixgen/bootstrap/busybox-x86_64-linux.tar.xz: is missing\n  hint: write it again: nixgen sync",
    ]


def test_a_tarball_of_a_system_that_was_left_is_removed(project: Project, run: Run) -> None:
    run(project)
    fewer = replace(PINNED, bootstrap=PINNED.bootstrap[:1], debs=tuple(d for d in PINNED.debs if d.system[0] == "x"))
    (project.root / "nixgen.lock").write_text(dump_lock(Lock(fewer)))
    assert "nix/nixgen/bootstrap/busybox-aarch64-linux.tar.xz" in run(project)[0]
    assert sorted(path.name for path in (project.root / "nix/nixgen/bootstrap").iterdir()) == [
        "busybox-x86_64-linux.tar.xz"
    ]


def test_no_lock(project: Project) -> None:
    """Without settings, ``nixgen lock`` would pin a base that nobody has chosen."""
    (project.root / "nixgen.lock").unlink()
    assert problems(UserError, write.generate, project) == ["nixgen.lock: is missing\n  hint: make it: nixgen init"]
    project = replace(project, table={"base": "debian"})
    assert problems(UserError, write.generate, project) == ["nixgen.lock: is missing\n  hint: make it: nixgen sync"]
    (project.root / "nixgen.lock").write_bytes(b"\xff")
    assert problems(UserError, write.generate, project) == [
        "nixgen.lock: is not UTF-8 text\n  hint: write it again: nixgen sync"
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"base": "nixpkgs"}, "base debian, and the settings say nixpkgs"),
        ({"python": "3.13"}, "python 3.11, and the settings say 3.13"),
        ({"suite": "trixie"}, "suite bookworm, and the settings say trixie"),
        ({"tools": ()}, "tools ffmpeg, git, and the settings say none"),
        ({"libraries": ("libgomp1", "libasound2")}, "libraries libgomp1, and the settings say libasound2, libgomp1"),
        (
            {"systems": ("x86_64-linux", "riscv64-linux")},
            "systems aarch64-linux, x86_64-linux, and the settings say riscv64-linux",
        ),
    ],
)
def test_a_lock_that_is_older_than_the_settings(project: Project, changed: dict[str, Any], expected: str) -> None:
    other = replace(project, settings=replace(project.settings, **changed))
    assert problems(UserError, write.generate, other) == [f"nixgen.lock: was made for {expected}\n  hint: nixgen sync"]


def test_several_settings_have_one_hint() -> None:
    found = fit.problems(replace(SETTINGS, tools=(), libraries=()), Lock(PINNED))
    assert [problem.mend for problem in found] == ["", "nixgen sync"]


@pytest.mark.parametrize(
    ("nixpkgs", "expected"),
    [
        (None, []),
        ("nixos-26.05", []),
        ("nixos-unstable", ["nixpkgs nixos-26.05, and the settings say nixos-unstable"]),
        ({"rev": NIXPKGS.rev, "narHash": NIXPKGS.nar_hash}, []),
        (
            {"rev": "7" * 40, "narHash": "sha256-x"},
            [
                f"nixpkgs {NIXPKGS.rev} with {NIXPKGS.nar_hash}, and the settings say {'7' * 40} with sha256-x",
            ],
        ),
    ],
)
def test_a_lock_of_another_nixpkgs(nixpkgs: Any, expected: list[str]) -> None:
    settings = Settings(base="nixpkgs", nixpkgs=nixpkgs, libraries=("ffmpeg",), tools=("git", "ripgrep"))
    found = fit.problems(settings, Lock(NIXPKGS))
    assert [problem.what for problem in found] == [f"was made for {sentence}" for sentence in expected]


def test_a_shared_problem_is_told_once_with_its_systems() -> None:
    shared, alone = Problem("torch", "has no wheel", "wait"), Problem("apex", "is from git", "")
    everywhere = Problem("zulip", "is from git", "")
    found = merged_problems(
        (
            Resolution(Target("x86_64-darwin", "3.11"), (), (shared, everywhere)),
            Resolution(Target("aarch64-linux", "3.11"), (), (shared, alone, everywhere)),
            Resolution(Target("x86_64-linux", "3.11"), (), (everywhere,)),
        )
    )
    assert [str(problem) for problem in found] == [
        "zulip: is from git",
        "torch (aarch64-linux, x86_64-darwin): has no wheel\n  hint: wait",
        "apex (aarch64-linux): is from git",
    ]


def test_the_nixpkgs_base_has_no_tarballs() -> None:
    pins = planning.Pins(Lock(NIXPKGS), b"", {})
    wanted = planning.rendered(NIXPKGS_PLAN, pins, None)
    assert "flake.lock" not in wanted
    assert not [path for path in wanted if "bootstrap/" in path or path.endswith("flake.nix")]


def test_flake_lock_follows_the_folder(project: Project, run: Run) -> None:
    fresh = flakelock.fresh(PINNED, planning.outputs(project))
    (project.root / "flake.lock").write_bytes(fresh)
    (project.root / "flake.nix").write_text(f'{{ inputs.nixpkgs.url = "{flakelock.DEBIAN_URL}"; }}')
    assert "flake.lock" not in run(project)[0]
    node = json.loads(fresh)["nodes"]["nixpkgs"]
    assert node["locked"]["narHash"] == hash_path(project.root / "nix/nixgen")

    (project.root / "nixgen.lock").write_text(dump_lock(Lock(replace(PINNED, tools=("git", "ffmpeg", "jq")))))
    changed, _ = run(replace(project, settings=replace(project.settings, tools=("git", "ffmpeg", "jq"))))
    assert changed == ("nix/nixgen/base.nix", "flake.lock", "default.nix")
    newer = json.loads((project.root / "flake.lock").read_bytes())["nodes"]["nixpkgs"]
    assert newer["locked"]["narHash"] == hash_path(project.root / "nix/nixgen") != node["locked"]["narHash"]


def test_outputs_of_an_older_nixgen_are_brought_along(project: Project, run: Run) -> None:
    """With a word; what somebody has changed stays, and is told of when it hides environments."""
    now = render.flake_nix("demo", PINNED, flakelock.DEBIAN_URL)
    run(project)
    wanted = {path: data for path, data in planning.outputs(project).items() if path.startswith("nix/")}
    (project.root / "flake.lock").write_bytes(flakelock.fresh(PINNED, wanted))
    (project.root / "flake.nix").write_text(old(now))
    assert problems(Finding, check, project)[0].startswith("flake.nix: is stale")
    changed, said = run(project)
    assert changed == ("flake.nix",)
    assert said[-1] == flakenix.NEWS
    assert (project.root / "flake.nix").read_text() == now
    (project.root / "flake.nix").write_text(old(now).replace("project.shell", "project.shell // { }"))
    assert run(project)[0] == ()
    more = replace(project, settings=replace(project.settings, environments={"gpu": EnvironmentSettings()}))
    assert "flake.nix lists its outputs itself" in "\n".join(run(more)[1])


def test_other_nodes_of_flake_lock_stay(project: Project, run: Run) -> None:
    lock = json.loads(flakelock.fresh(PINNED, {"nix/nixgen/a": b"old"}))
    lock["nodes"]["nixpkgs_2"] = lock["nodes"].pop("nixpkgs")
    lock["nodes"]["nixpkgs"] = {"locked": {"type": "github", "rev": "theirs"}}
    lock["nodes"]["root"]["inputs"] = {"nixpkgs": "nixpkgs_2", "other": "nixpkgs"}
    (project.root / "flake.lock").write_text(json.dumps(lock))
    (project.root / "flake.nix").write_text(f'{{ inputs.nixpkgs.url = "{flakelock.DEBIAN_URL}"; }}')
    run(project)
    found = json.loads((project.root / "flake.lock").read_bytes())
    assert found["nodes"]["nixpkgs"] == lock["nodes"]["nixpkgs"]
    assert found["nodes"]["root"] == lock["nodes"]["root"]
    assert found["nodes"]["nixpkgs_2"]["locked"]["narHash"] == hash_path(project.root / "nix/nixgen")


@pytest.mark.parametrize(
    "lock",
    [
        FOREIGN_LOCK,
        {"nodes": {"root": {}}, "root": "root", "version": 7},
        {"nodes": {"root": {"inputs": {"nixpkgs": ["a", "nixpkgs"]}}}, "root": "root", "version": 7},
    ],
)
def test_a_flake_lock_without_the_folder_stays_as_it_is(lock: Any) -> None:
    data = json.dumps(lock).encode()
    assert flakelock.in_step(flakelock.Flake(data, b"{ }"), PINNED, {}) == data


@pytest.mark.parametrize(
    "locked",
    [
        {"type": "tarball", "url": "https://files.example.org/a.tar.gz", "narHash": f"sha256-{'A' * 43}="},
        {"type": "path", "path": "/nix/store/00000000000000000000000000000000-source"},
        "x",
    ],
)
@pytest.mark.parametrize("original", [{"type": "path", "path": "./nix/nixgen"}, {"type": "tarball"}, "x", None])
def test_what_flake_lock_says_is_judged_by_the_pins(project: Project, run: Run, locked: Any, original: Any) -> None:
    """Case 27: the shell's bash comes from this input, so nothing but the pinned folder may stand there."""
    text = f'{{ inputs.nixpkgs.url = "{flakelock.DEBIAN_URL}"; }}'
    (project.root / "flake.nix").write_text(text)
    (project.root / "flake.lock").write_bytes(flakelock.fresh(PINNED, planning.outputs(project)))
    run(project)
    good = (project.root / "flake.lock").read_bytes()
    lock = json.loads(good)
    lock["nodes"]["nixpkgs"] = {"locked": locked, "original": original}
    (project.root / "flake.lock").write_text(json.dumps(lock))
    (problem,) = problems(Finding, write.check, project.root, planning.outputs(project))
    assert problem.startswith("flake.lock: is stale")
    assert run(project)[0] == ("flake.lock",)
    assert (project.root / "flake.lock").read_bytes() == good


def test_another_nixpkgs_in_flake_lock_is_stale() -> None:
    """Case 27: after `nix flake update` the shell would be another than the one that a check proves."""
    good = flakelock.fresh(NIXPKGS, {})
    assert flakelock.in_step(flakelock.Flake(good, b""), NIXPKGS, {}) == good
    others = {"rev": "7" * 40, "narHash": f"sha256-{'A' * 43}=", "owner": "somebody", "type": "tarball"}
    for key, value in others.items():
        lock = json.loads(good)
        lock["nodes"]["nixpkgs"]["locked"][key] = value
        assert flakelock.in_step(flakelock.Flake(json.dumps(lock).encode(), b""), NIXPKGS, {}) == good
    lock = json.loads(good)
    lock["nodes"]["nixpkgs"]["original"]["ref"] = "nixos-unstable"  # as flake.nix has it: Nix would lock anew
    theirs = json.dumps(lock, indent=2, sort_keys=True).encode() + b"\n"
    assert flakelock.in_step(flakelock.Flake(theirs, b""), NIXPKGS, {}) == theirs


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"nodes": {}, "root": "root"}', b"\xff", b'{"nodes": 1}'])
def test_a_damaged_flake_lock(data: bytes) -> None:
    assert problems(UserError, flakelock.in_step, flakelock.Flake(data, b""), PINNED, {}) == [
        "flake.lock: is not a lock file of Nix flakes\n  hint: restore it, or remove it and run: nixgen init"
    ]


@pytest.mark.skipif(shutil.which("nix-hash") is None, reason="no Nix on this machine")
def test_the_hash_of_the_folder_is_that_of_nix(project: Project, run: Run) -> None:
    run(project)
    nix = subprocess.run(
        ["nix-hash", "--type", "sha256", "--base32", project.root / "nix/nixgen"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    sri = subprocess.run(
        ["nix-hash", "--type", "sha256", "--to-base16", nix.stdout.strip()], check=True, capture_output=True, text=True
    )
    locked = json.loads(flakelock.fresh(PINNED, planning.outputs(project)))["nodes"]["nixpkgs"]["locked"]["narHash"]
    assert base64.b64decode(locked.removeprefix("sha256-")).hex() == sri.stdout.strip()


def test_the_library_that_is_delivered() -> None:
    found = resources.library()
    assert {"default.nix", "flake.nix", "base/debian.nix"} <= found.keys()
    assert not [path for path in found if path.startswith("tests/") or "__pycache__" in path or "/." in path]
    assert list(found) == sorted(found)


def test_the_same_input_gives_the_same_bytes(project: Project) -> None:
    assert planning.outputs(project) == planning.outputs(project)
    assert list(planning.outputs(project)) == list(planning.outputs(project))


def test_git_is_told_of_files_that_are_new_to_it(project: Project, run: Run) -> None:
    """A repository made after init, or a library that has grown: a flake would not see the files."""
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    _, said = run(project)
    assert [line for line in said if line.startswith("Staged ")]
    known = subprocess.run(["git", "ls-files"], cwd=project.root, check=True, capture_output=True, text=True).stdout
    assert {"default.nix", "uv.lock", "nixgen.lock", "nix/nixgen/default.nix"} <= set(known.splitlines())
    assert run(project) == ((), [UP_TO_DATE])
    (project.root / ".gitignore").write_text("nix/\n")
    subprocess.run(["git", "rm", "-rq", "--cached", "nix"], cwd=project.root, check=True)
    assert run(project)[1][0].endswith(
        "nix/nixgen is ignored by git, so a flake does not see it. To change that: git add --force nix/nixgen"
    )
