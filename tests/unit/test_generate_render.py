"""The generated Nix: byte-exact against goldens, and evaluated by real Nix to the values that went in."""

from __future__ import annotations

import json
import shutil
import string
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.plans import (
    COMMIT,
    DEBIAN_PLAN,
    EMPTY_PLAN,
    ENVIRONMENTS_PLAN,
    MODELS_PLAN,
    NIXPKGS_PLAN,
    NUMPY_X86,
    SIX,
    TREE,
    WHEEL,
)

from nixgen.artifacts.model import PinnedArtifact, PinnedFile, ServiceSpec
from nixgen.artifacts.store import archive_name
from nixgen.bases.model import Bootstrap, Deb, DebianBase, NixpkgsBase
from nixgen.generate import render
from nixgen.generate.model import Plan, SourceTree
from nixgen.nix import templates
from nixgen.nix.nixtext import to_nix
from nixgen.resolve.model import Package, Resolution, Target

Golden = Callable[[str, str], None]
needs_nix = pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="no Nix on this machine")
STUB = """{
  project = given: { artifacts = [ ]; files = [ ]; services = [ ]; builds = [ ]; }
    // removeAttrs given [ "root" "system" "nixpkgs" ];
}
"""


def evaluate(folder: Path, plan: Plan) -> Any:
    """What real Nix reads in the files of ``plan``; the library is a stub that returns its argument."""
    library = folder / "nix/nixgen"
    library.mkdir(parents=True, exist_ok=True)
    (library / "default.nix").write_text(STUB)
    (library / "base.nix").write_text(render.base_nix(plan))
    (folder / "default.nix").write_text(render.default_nix(plan))
    command = ["nix-instantiate", "--eval", "--strict", "--json", "default.nix", "--argstr", "system", "any"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PLANS = [
    ("debian", DEBIAN_PLAN),
    ("nixpkgs", NIXPKGS_PLAN),
    ("empty", EMPTY_PLAN),
    ("models", MODELS_PLAN),
    ("environments", ENVIRONMENTS_PLAN),
]


@pytest.mark.parametrize(("name", "plan"), PLANS)
def test_default_and_base_are_as_the_goldens(golden: Golden, name: str, plan: Plan) -> None:
    golden(f"{name}/default.nix", render.default_nix(plan))
    golden(f"{name}/nix/nixgen/base.nix", render.base_nix(plan))


def test_the_commands_of_a_project_are_text() -> None:
    plan = replace(DEBIAN_PLAN, run='python -m app "$@"', tasks={"b.c": "echo ${x}\necho 2", "a": "true"})
    assert """
  run = "python -m app \\"$@\\"";
  tasks = {
    a = "true";
    "b.c" = "echo \\${x}\\necho 2";
  };
""" in render.default_nix(plan)


def test_what_init_writes_once_is_as_the_goldens(golden: Golden) -> None:
    golden("debian/flake.nix", render.flake_nix("demo", DEBIAN_PLAN.base, "path:./nix/nixgen"))
    golden("nixpkgs/flake.nix", render.flake_nix("demo", NIXPKGS_PLAN.base, "github:NixOS/nixpkgs/nixos-26.05"))
    golden("debian/shell.nix", render.shell_nix())


def test_the_order_of_what_goes_in_does_not_matter() -> None:
    turned = replace(
        DEBIAN_PLAN,
        systems=DEBIAN_PLAN.systems[::-1],
        resolutions=tuple(replace(one, packages=one.packages[::-1]) for one in DEBIAN_PLAN.resolutions[::-1]),
        digests=dict(reversed(DEBIAN_PLAN.digests.items())),
    )
    assert render.default_nix(turned) == render.default_nix(DEBIAN_PLAN)
    assert render.base_nix(turned) == render.base_nix(DEBIAN_PLAN)


def test_a_changed_version_changes_one_line() -> None:
    newer = replace(SIX, version="1.18.0", file="six-1.18.0-py2.py3-none-any.whl")
    bumped = replace(
        DEBIAN_PLAN,
        resolutions=tuple(
            replace(one, packages=tuple(newer if package is SIX else package for package in one.packages))
            for one in DEBIAN_PLAN.resolutions
        ),
    )
    before = render.default_nix(DEBIAN_PLAN).splitlines()
    after = render.default_nix(bumped).splitlines()
    assert len(before) == len(after)
    assert [line.split(";")[0].strip() for line, other in zip(before, after, strict=True) if line != other] == [
        '{ name = "six"'
    ]


def test_a_wheel_without_a_version_in_the_lock_takes_that_of_its_file() -> None:
    plan = replace(EMPTY_PLAN, resolutions=(Resolution(Target("x86_64-linux", "3.11"), (replace(SIX, version=None),)),))
    assert [row["version"] for row in render.wheel_rows(plan)] == ["1.17.0"]


def test_two_files_of_one_version_are_two_rows() -> None:
    other = replace(NUMPY_X86, url="https://mirror.example.org/numpy.whl")
    target = Target("x86_64-linux", "3.11")
    plan = replace(EMPTY_PLAN, resolutions=(Resolution(target, (NUMPY_X86, other)),))
    assert [row["url"] for row in render.wheel_rows(plan)] == [NUMPY_X86.url, other.url]


def test_debs_of_systems_that_the_project_does_not_have_are_left_out() -> None:
    text = render.base_nix(replace(DEBIAN_PLAN, systems=("aarch64-linux",)))
    assert "x86_64-linux" not in text


def test_a_template_cannot_splice_a_raw_string() -> None:
    template = templates.environment().from_string("{{ a }} {{ a ~ a }} {{ [a] }} {{ a | upper }} {{ 'x;' }}")
    assert template.render(a='"; evil') == r'"\"; evil" "\"; evil\"; evil" [ "\"; evil" ] "\"; EVIL" "x;"'
    assert template.render(a=to_nix("fine")).startswith('"fine" "\\"fine\\"')


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="a StrictUndefined cannot become Nix"):
        templates.environment().from_string("{{ nothing }}").render()


@needs_nix
@pytest.mark.parametrize("plan", [plan for _, plan in PLANS])
def test_the_goldens_evaluate(tmp_path: Path, plan: Plan) -> None:
    seen = evaluate(tmp_path, plan)
    rows = {
        "wheels": render.wheel_rows(plan),
        "builds": render.build_rows(plan),
        "artifacts": render.artifact_rows(plan),
        "files": render.file_rows(plan),
        "services": render.service_rows(plan),
    }
    assert {key: seen[key] for key in rows} == json.loads(json.dumps(rows))


def test_what_only_models_and_services_need_is_not_written_without_them() -> None:
    text = render.default_nix(EMPTY_PLAN)
    assert not any(word in text for word in ("artifacts", "files", "services"))


def test_the_order_of_models_does_not_matter() -> None:
    turned = replace(
        MODELS_PLAN,
        artifacts=tuple(replace(one, files=one.files[::-1]) for one in MODELS_PLAN.artifacts[::-1]),
        services=MODELS_PLAN.services[::-1],
    )
    assert render.default_nix(turned) == render.default_nix(MODELS_PLAN)


def test_a_gated_model_names_the_page_on_which_access_is_asked_for() -> None:
    pages = {row["name"]: row.get("gated") for row in render.artifact_rows(MODELS_PLAN)}
    assert pages["llama"] == "https://hub.example.org/org/llama"
    assert pages["minilm"] is None


def test_an_archive_has_the_name_that_it_has_in_the_store() -> None:
    (row,) = [row for row in render.file_rows(MODELS_PLAN) if "archive" in row]
    assert row["archive"] == {
        "name": archive_name(WHEEL),
        "sha256": "7" * 64,
        "url": "https://files.example.org/silero%2Bvad-6.2.3-py3-none-any.whl",
    }
    assert COMMIT not in str(row)


TEXT = st.text(alphabet=st.one_of(st.sampled_from("$\\\"{}'\n\r\t ;#"), st.characters(exclude_categories=["Cs"])))
FIT = TEXT.filter(lambda text: "\0" not in text)
HEX = st.text(alphabet=string.hexdigits, min_size=64, max_size=64)
SYSTEMS = st.sampled_from(["x86_64-linux", "aarch64-linux", "x86_64-darwin"])
PACKAGES = st.builds(Package, FIT, FIT, st.just("wheel"), FIT, FIT, HEX, st.none(), st.none())
TREES = st.builds(SourceTree, FIT, FIT, FIT, st.tuples(FIT), st.tuples(FIT, FIT), FIT, FIT)
DEBS = st.builds(Deb, FIT, FIT, SYSTEMS, st.sampled_from(["core", "extra"]), FIT, HEX, st.just(1))
DEBIAN_BASES = st.builds(
    DebianBase,
    suite=FIT,
    python=FIT,
    glibc=FIT,
    libraries=st.tuples(FIT, FIT),
    tools=st.tuples(FIT),
    bootstrap=st.lists(st.builds(Bootstrap, FIT, FIT, HEX), unique_by=lambda one: one.system).map(tuple),
    debs=st.lists(DEBS, max_size=30).map(tuple),
)
PINNED_FILES = st.builds(PinnedFile, FIT, st.integers(0, 2**62), HEX, url=st.none() | FIT, local=st.none() | FIT)
PINNED = st.builds(
    PinnedArtifact,
    st.sampled_from(["models", "data"]),
    FIT,
    FIT,
    st.just("https"),
    st.lists(PINNED_FILES, max_size=4).map(tuple),
    revision=st.none() | FIT,
    repo=st.none() | FIT,
    gated=st.booleans(),
)
SERVICE_SPECS = st.builds(ServiceSpec, FIT, st.lists(FIT, max_size=4).map(tuple), st.lists(FIT, max_size=3).map(tuple))
NIXPKGS_BASES = st.builds(
    NixpkgsBase, FIT, FIT, FIT, st.just(1), FIT, FIT, st.tuples(FIT, FIT), st.tuples(FIT), st.just("nixpkgs")
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    base = draw(st.one_of(DEBIAN_BASES, NIXPKGS_BASES))
    systems = {"x86_64-linux"}
    if isinstance(base, DebianBase):
        systems |= {one.system for one in base.bootstrap} | {one.system for one in base.debs}
    resolutions = tuple(
        Resolution(Target(system, "3.11"), tuple(draw(st.lists(PACKAGES, max_size=20)))) for system in sorted(systems)
    )
    trees = tuple(draw(st.lists(TREES, max_size=5)))
    digests = draw(st.dictionaries(FIT, HEX, max_size=3))
    artifacts = tuple(draw(st.lists(PINNED, max_size=4)))
    services = tuple(draw(st.lists(SERVICE_SPECS, max_size=3)))
    smoke = tuple(draw(st.lists(FIT, max_size=2)))
    made = Plan(
        draw(FIT),
        base,
        tuple(systems),
        resolutions,
        trees,
        digests,
        smoke=smoke,
        cuda=draw(st.sampled_from(["auto", "off"])),
    )
    return replace(made, artifacts=artifacts, services=services)


@needs_nix
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(plan=plans())
@pytest.mark.heavy
def test_nix_reads_exactly_what_went_in(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    seen = evaluate(tmp_path_factory.mktemp("plan"), plan)
    base = plan.base
    assert seen["name"] == plan.name
    assert seen["locks"] == plan.digests
    assert seen.get("smoke", []) == list(plan.smoke)
    assert seen.get("cuda", "auto") == plan.cuda
    assert seen["wheels"] == render.wheel_rows(plan)
    assert seen["trees"] == json.loads(json.dumps(render.tree_rows(plan)))
    for key, rows in (
        ("artifacts", render.artifact_rows),
        ("files", render.file_rows),
        ("services", render.service_rows),
    ):
        assert seen[key] == json.loads(json.dumps(rows(plan)))
    assert seen["base"]["systems"] == sorted(plan.systems)
    assert seen["base"]["kind"] == base.kind
    assert seen["base"]["libraries"] == sorted(base.libraries)
    assert seen["base"]["tools"] == sorted(base.tools)
    if isinstance(base, DebianBase):
        assert seen["base"]["bootstrap"] == {
            one.system: {"file": one.file, "sha256": one.sha256} for one in base.bootstrap
        }
        assert sorted((one["name"], one["version"], one["url"], one["sha256"]) for one in seen["base"]["debs"]) == (
            sorted((one.name, one.version, one.url, one.sha256) for one in base.debs)
        )
    else:
        assert (seen["base"]["rev"], seen["base"]["narHash"]) == (base.rev, base.nar_hash)


def test_a_tree_names_the_systems_that_need_it() -> None:
    assert [row["systems"] for row in render.tree_rows(DEBIAN_PLAN)] == [["aarch64-linux", "x86_64-linux"]]
    assert render.tree_rows(replace(DEBIAN_PLAN, trees=(replace(TREE, path="libs/demo"),)))[0]["systems"] == []
