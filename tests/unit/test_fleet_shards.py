"""Fleets: the plan's form, shards, receipts, and what ``nixgen build`` is asked for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.program import nixgen

from nixgen.cache.entry import Entry
from nixgen.errors import MachineError, Problem, UserError
from nixgen.fleet import asked, model, planning, report
from nixgen.fleet.model import STAGES, Member, Plan, Stage, Unit
from nixgen.fleet.receipts import Receipts
from nixgen.fleet.sharding import BOUND, shards
from nixgen.fleet.worker import Share
from nixgen.log.note import Signer
from nixgen.log.stores.folder import Folder

SYSTEM = "x86_64-linux"
HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def unit(number: int, stage: Stage = "wheels", cost: float = 1.0, *features: str) -> Unit:
    digits = f"{number:032d}"
    return Unit(f"{digits}-{stage}", f"{digits}-{stage}.drv", stage, SYSTEM, f"key-{number}", 100, cost, features)


def plan(*units: Unit) -> Plan:
    by = {stage: tuple(one.name for one in units if one.stage == stage) for stage in STAGES}
    members = tuple(Member(f"p/{name}", SYSTEM, name, by["base"], by["wheels"]) for name in by["environments"])
    return Plan({one.name: one for one in units}, members)


def test_a_plan_is_read_as_it_was_written() -> None:
    one = plan(unit(1, "base", 5.0), unit(2, "wheels", 0.25, "gpu"), unit(3, "environments"))
    assert model.parse(one.json()) == one
    assert model.parse(one.json()).json() == one.json()


def test_all_that_is_wrong_with_a_plan_is_told_at_once() -> None:
    table = json.loads(plan(unit(1), unit(2, "environments")).json())
    del table["derivations"][unit(1).name]
    table["derivations"][unit(2, "environments").name]["stage"] = "roof"
    table["more"] = 1
    with pytest.raises(UserError) as caught:
        model.parse(json.dumps(table), "plan.json")
    told = str(caught.value)
    assert 'stage: is "roof", not one of base, wheels, environments' in told
    assert "plan.json: more: is not a known key" in told
    assert f"needs {unit(1).name}, which is not among its derivations" in told
    assert "hint: write it again: nixgen plan --json FOLDER > FILE" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows, name: rows.update({"../../etc/x": rows.pop(name)}), "is no name of a store path"),
        (lambda rows, name: rows.update({f"{'9' * 32}-x": rows[name]}), "is of no project"),
        (lambda rows, name: rows[name].update(cost=float("nan")), "cost: is no number of seconds"),
        (lambda rows, name: rows[name].update(cost=float("inf")), "cost: is no number of seconds"),
        (lambda rows, name: rows[name].update(cost=10**400), "cost: is no number of seconds"),
        (lambda rows, name: rows[name].update(cost=-1), "cost: is no number of seconds"),
        (lambda rows, name: rows[name].update(drv="../x.drv"), "drv: has an impossible value"),
        (lambda rows, name: rows[name].update(key="\ud800"), "key: has an impossible value"),
    ],
)
def test_a_plan_that_was_edited_by_hand(change: Callable[[dict[str, Any], str], object], told: str) -> None:
    table = json.loads(plan(unit(1), unit(2, "environments")).json())
    change(table["derivations"], unit(1).name)
    with pytest.raises(UserError, match=told):
        model.parse(json.dumps(table), "plan.json")


def test_a_folder_that_cannot_be_read_hides_no_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(place: str) -> object:
        if Path(place).name == "shut":
            raise PermissionError(13, "Permission denied", place)
        return real(place)

    real = os.scandir
    for name in ("a", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nixgen.lock").touch()
    assert len(planning.projects(tmp_path)) == 2
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(MachineError, match="shut: cannot be read: Permission denied"):
        planning.projects(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"new\nline", b"\x1b[2J"])
def test_a_folder_whose_name_no_plan_has_is_named(tmp_path: Path, name: bytes) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/" + name))
    folder.mkdir()
    (folder / "nixgen.lock").touch()
    with pytest.raises(UserError, match="has characters in its name that a plan cannot have"):
        planning.projects(tmp_path)


def test_a_hint_can_be_typed_whatever_a_folder_is_called() -> None:
    told = planning._of("a b; $(rm -rf x)", UserError.of("uv.lock", "changed", "nixgen sync"))
    assert told.problems[0].mend == "nixgen sync --project 'a b; $(rm -rf x)'"


COSTS = st.lists(st.floats(0.1, 100), min_size=1, max_size=60)


@given(COSTS, st.integers(1, 12))
def test_each_unit_has_one_shard_and_none_has_more_than_its_part(costs: list[float], count: int) -> None:
    units = [unit(number, "wheels", cost) for number, cost in enumerate(costs)]
    where = shards(units, count)
    assert where == shards(reversed(units), count)  # whatever the order
    assert where.keys() == {one.name for one in units}
    assert set(where.values()) <= set(range(count))
    loads = dict.fromkeys(range(count), 0.0)
    for one in units:
        loads[where[one.name]] += one.cost
    # At most the bound, and one unit more where none fits any more.
    assert max(loads.values()) <= BOUND * sum(costs) / count + max(costs)


def test_a_thousand_are_even_and_one_more_moves_few() -> None:
    units = [unit(number, "environments", 0.5 + 0.02 * (number % 17)) for number in range(1000)]
    before = shards(units, 8)
    loads = Counter[int]()
    for one in units:
        loads[before[one.name]] += round(1000 * one.cost)
    assert max(loads.values()) <= BOUND * sum(loads.values()) / 8
    for number in range(2000, 2020):
        after = shards([*units, unit(number, "environments", 0.7)], 8)
        assert sum(after[name] != shard for name, shard in before.items()) <= 20
    # Of a worker more, as many move as it gets, and some that had no room.
    after = shards(units, 9)
    assert sum(after[name] != shard for name, shard in before.items()) < 300


def test_a_base_stays_together_and_features_have_machines_of_their_own() -> None:
    chain = [replace(unit(number, "base"), key="chain") for number in range(5)]
    units = [*chain, *(unit(number, "wheels", 1.0, *(["gpu"] if number % 5 == 0 else [])) for number in range(10, 40))]
    whole = plan(*units)
    plain = [Share(SYSTEM, index, 3).units(whole) for index in (1, 2, 3)]
    gpu = [Share(SYSTEM, index, 2, ("gpu",)).units(whole) for index in (1, 2)]
    assert sorted(one.name for some in (*plain, *gpu) for one in some) == sorted(whole.units)
    assert [sum(one.stage == "base" for one in some) for some in plain].count(5) == 1
    assert {one.features for some in gpu for one in some} == {("gpu",)}
    assert Share("aarch64-linux").units(whole) == []
    assert {one.stage for one in Share(SYSTEM, stages=("base",)).units(whole)} == {"base"}


def test_the_first_receipt_of_a_path_decides(tmp_path: Path) -> None:
    ours, other = Signer.generate("fleet-1"), Signer.generate("stranger")
    receipts = Receipts(Folder(tmp_path), (ours.verifier,))
    name = f"{'0' * 32}-numpy"
    entry = Entry(name, HASH, 100, ())
    assert receipts.read(name) is None
    assert receipts.claim([entry], ours) == []
    assert receipts.claim([entry], ours) == []  # again, with the same bytes
    assert receipts.read(name) == entry
    (problem,) = receipts.claim([replace(entry, nar_size=101)], ours)
    assert problem.what.startswith(f"was built with other bytes before: NAR hash {HASH}")
    assert receipts.read(name) == entry
    # What no worker signed does not count, nor what one signed of another path.
    for text in (f"nixgen fleet built\n{entry.line().decode()}\n", f"{entry.line().decode()}\n", "nothing\n"):
        for signer, file in ((other, "0" * 32), (ours, "1" * 32)):
            (tmp_path / f"{file}.receipt").write_text(signer.sign(text))
            found = receipts.read(f"{file}-numpy")
            assert isinstance(found, Problem), (text, signer.name)
            assert found.what.endswith(": it does not count")
    (tmp_path / f"{'0' * 32}.receipt").write_bytes(b"\xff" * 100)
    assert isinstance(receipts.read(name), Problem)
    assert len(receipts.claim([entry], ours)) == 1


def test_receipts_lead_to_all_that_they_refer_to(tmp_path: Path) -> None:
    ours = Signer.generate("fleet-1")
    receipts = Receipts(Folder(tmp_path), (ours.verifier,))
    names = [f"{number:032d}-part" for number in range(4)]
    entries = [Entry(name, HASH, 1, tuple(names[: number + 1])) for number, name in enumerate(names)]
    receipts.claim([entries[0], *entries[2:]], ours)
    assert dict(receipts.closure([names[3]])) == {**dict(zip(names, entries, strict=True)), names[1]: None}


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1/99999"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="is not I/N"):
        asked.shard(text)


def test_the_table_names_what_takes_longest() -> None:
    text = report.table(
        plan(unit(1, "base", 90.0), *(unit(n, "wheels", n) for n in range(2, 12)), unit(20, "environments"))
    )
    assert [line.split()[:2] for line in text.splitlines() if line[:1] not in {" ", ""}][:3] == [
        ["base", "1"],
        ["wheels", "10"],
        ["environments", "1"],
    ]
    assert text.endswith("1 project, which name 12 derivations, 0 of them more than once")
    assert "1.5 min" in text
    assert "  5 more" in text


def test_what_an_engine_cannot_do_is_said_before_projects_are_evaluated(tmp_path: Path) -> None:
    (tmp_path / "nixgen.lock").write_text("broken")
    done = nixgen("plan", "--for", "azure", ".", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: --for: 'azure' is no engine that nixgen knows")
    done = nixgen("plan", "--for", "github", "--cache", "file:///srv/cache", ".", cwd=tmp_path)
    assert "warning: --cache: GitHub's own machines share no folder file:///srv/cache; name a bucket" in done.stderr


def test_mistakes_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(plan(unit(1), unit(2, "environments")).json())
    for words, told in (
        (["--shard", "9/8"], "error: --shard: '9/8' is not I/N\n  hint: count from 1"),
        (["--shard", "1/8"], "error: --cache: is missing"),
        (["--stage", "roof"], "error: --stage: 'roof' is no stage\n  hint: they are base, wheels, environments"),
        (["--collect", "--plan", "plan.json"], "error: --cache: is missing: what is to be logged lies there"),
        (["--cache", "file:///srv/cache"], "error: --key: is missing: receipts are signed\n  hint: "),
        (["--plan", "other.json"], "error: other.json: there is no such file\n  hint: write it again: nixgen plan"),
        (["--plan", "plan.json", "."], "error: --plan: has its projects, and folders are named, too"),
        (["nowhere"], "error: nowhere: is not a folder"),
        (["."], "error: .: has no project: no nixgen.lock in it, nor below\n  hint: set one up: nixgen init"),
    ):
        done = nixgen("build", *words, cwd=tmp_path)
        assert (done.returncode, done.stderr[: len(told)]) == (2, told), done.stderr
