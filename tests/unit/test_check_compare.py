"""What differs between two records, and in which words."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from records import ARM, INPUTS, OUTPUTS, PATHS, RECORD, SYSTEM, closure, closures, path, recipe, sri, store_name
from records import system_record as recorded

from nixgen.check.compare import Change, compare, in_order, input_changes, recipe_changes
from nixgen.check.model import ArtifactInput, ClosurePath, Inputs, WheelInput
from nixgen.check.report import messages

RECORDED, HERE = "in the record", "here"


def said(new: Inputs) -> list[str]:
    return [str(messages.change_problem(change, RECORDED, HERE)) for change in input_changes(INPUTS, new)]


def test_what_is_the_same_differs_in_nothing() -> None:
    found = compare(SYSTEM, RECORD.systems[ARM])  # another builder
    assert (found.inputs, found.recipes, found.paths) == ((), (), ())
    assert found.same_bytes
    assert found.shared == len(PATHS)


def test_each_input_is_named_with_both_values() -> None:
    file = "numpy-2.5.0-cp311-cp311-linux_x86_64.whl"
    assert said(replace(INPUTS, wheels={"numpy": WheelInput("2.5.0", file, "0" * 64)})) == [
        "wheels.numpy: version is 2.4.6 in the record, and 2.5.0 here",
        f"wheels.numpy: file is numpy-2.4.6-cp311-cp311-linux_x86_64.whl in the record, and {file} here",
        f"wheels.numpy: sha256 is {'e' * 64} in the record, and {'0' * 64} here",
    ]
    assert said(replace(INPUTS, base=replace(INPUTS.base, digest="9" * 64))) == [
        f"base: pin is {'d' * 64} in the record, and {'9' * 64} here"
    ]
    packages = {"bash": "5.2.15-3", "zlib1g": "1.2"}
    assert said(replace(INPUTS, base=replace(INPUTS.base, digest="9" * 64, packages=packages))) == [
        "base.bash: version is 5.2.15-2+b7 in the record, and 5.2.15-3 here",
        "base.libc6: is only in the record (2.36-9), not here",
        "base.zlib1g: is only here (1.2), not in the record",
    ]
    assert said(replace(INPUTS, base=replace(INPUTS.base, name="trixie", python="3.13"))) == [
        "base: name is bookworm in the record, and trixie here",
        "base: python is 3.11 in the record, and 3.13 here",
    ]
    assert said(replace(INPUTS, library=sri("newer"))) == [
        f"nixgen's library: NAR hash is {sri('library')} in the record, and {sri('newer')} here"
    ]
    moved = {**INPUTS.artifacts, "models.minilm": ArtifactInput("3" * 40, "2" * 64)}
    assert said(replace(INPUTS, artifacts=moved)) == [
        f"models.minilm: commit is {'1' * 40} in the record, and {'3' * 40} here"
    ]
    lost = {**INPUTS.artifacts, "models.minilm": ArtifactInput(None, "2" * 64)}
    assert said(replace(INPUTS, artifacts=lost)) == [
        f"models.minilm: commit is {'1' * 40} in the record, and none here"
    ]
    assert said(replace(INPUTS, files={**INPUTS.files, "models.toml": "7" * 64})) == [
        f"models.toml: SHA-256 is none in the record, and {'7' * 64} here"
    ]


def test_what_only_one_side_has_is_said_so() -> None:
    assert said(replace(INPUTS, wheels={})) == ["wheels.numpy: is only in the record (2.4.6), not here"]
    more = {**INPUTS.wheels, "six": WheelInput("1.17.0", "six.whl", "0" * 64)}
    assert said(replace(INPUTS, wheels=more)) == ["wheels.six: is only here (1.17.0), not in the record"]


def test_without_a_named_input_what_is_left_is_told() -> None:
    address = recipe_changes(OUTPUTS, {**OUTPUTS, "wheels.numpy": recipe("numpy", "2")})
    assert "only how something is fetched can be another way" in str(messages.why_unnamed(address))
    service = {"services.api": recipe("api")}
    code = recipe_changes(service, {"services.api": recipe("api-2")})
    assert str(messages.why_unnamed(code)) == "the project's own code: changed: services hold a copy of it"
    other = recipe_changes(OUTPUTS, {**OUTPUTS, "environment": recipe("environment-2")})
    assert str(messages.why_unnamed(other)) == ("inputs: no input that the record names changed, so another input did")


def test_the_recipe_step_names_inputs_first_and_says_how_to_go_on() -> None:
    changes = recipe_changes(OUTPUTS, {**OUTPUTS, "wheels.numpy": recipe("numpy-2")})
    causes = [Change("wheels.numpy", "version", "1", "2")]
    step = messages.recipe_step(changes, causes, 3, "nixgen.hashes.json")
    assert (step.ok, step.code) == (False, 4)
    assert step.summary == "inputs changed: 1 of 3 derivations are not those of nixgen.hashes.json"
    assert str(step.findings[0]) == "wheels.numpy: version is 1 in the record, and 2 here"
    assert str(step.findings[-1]).endswith("\n  hint: when the change is meant: nixgen check --update")
    assert messages.recipe_step(changes, causes, 3, "r", update=True).code == 0
    untouched = messages.recipe_step((), [Change("uv.lock", "SHA-256", "1", "2")], 3, "r")
    assert untouched.ok
    assert untouched.summary == "the 3 derivations are those of r; uv.lock changed without an effect on them"


def test_paths_with_other_contents_come_with_dependencies_first() -> None:
    changed = closure(*(replace(one, nar_hash=sri(one.name)) for one in PATHS.values()))
    names = [old.name.partition("-")[2] for old, _ in compare(SYSTEM, recorded(changed)).paths]
    assert names == ["base", "numpy", "environment", "root"]


def test_other_references_or_sizes_are_other_contents() -> None:
    for one in (path("numpy"), path("numpy", "base", size=121)):
        found = compare(SYSTEM, recorded({**PATHS, one.name: one}))
        assert [old.name for old, _ in found.paths] == [store_name("numpy")]
        assert not found.same_bytes


def test_paths_of_only_one_closure_are_told_apart() -> None:
    found = compare(SYSTEM, recorded({**PATHS, store_name("more"): path("more", size=7)}))
    assert (found.added, found.removed) == ((store_name("more"),), ())
    assert found.sizes == (480, 487)
    assert not found.same_bytes


@given(closures())
def test_the_order_has_every_path_once_and_dependencies_before(paths: dict[str, ClosurePath]) -> None:
    order = in_order(paths)
    assert sorted(order) == sorted(paths)
    acyclic = {
        name: replace(one, references=tuple(each for each in one.references if each <= name))
        for name, one in paths.items()
    }
    order = in_order(acyclic)
    for name, one in acyclic.items():
        assert all(order.index(reference) <= order.index(name) for reference in one.references)
