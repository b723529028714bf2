"""The step "bytes": record, Nix's database and the disk against each other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from records import PATHS, SYSTEM, closure, path, sri, store_name

from nixgen.check.closure import bytes_step, noted
from nixgen.check.model import ClosurePath, Difference, Step, SystemRecord
from nixgen.errors import MachineError
from nixgen.nix.tools import PathInfo

RECORD = "nixgen.hashes.json"
NUMPY = store_name("numpy")
OTHER = {**PATHS, NUMPY: path("numpy", "base", content="other")}


def explain(expected: Mapping[str, ClosurePath]) -> tuple[Difference, ...]:
    return (Difference(NUMPY, expected[NUMPY].nar_hash, "found", said="explained"),)


def step(
    database: Mapping[str, ClosurePath],
    disk: Mapping[str, ClosurePath],
    recorded: SystemRecord | None = SYSTEM,
    *,
    same_recipe: bool = True,
) -> Step:
    return bytes_step(recorded, database, disk, explain, same_recipe=same_recipe, where=RECORD)


def said(found: Step) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in found.findings]


def test_identical_is_said_of_every_path_or_not_at_all() -> None:
    found = step(PATHS, PATHS)
    assert (found.ok, found.code) == (True, 0)
    assert found.summary == "4 store paths (480 B) match nixgen.hashes.json"
    for other in (step(PATHS, PATHS, None), step(PATHS, PATHS, same_recipe=False)):
        assert "nixgen.hashes.json" not in other.summary
    assert "it was not compared with a record" in step(PATHS, PATHS, None).summary


@pytest.mark.parametrize(("database", "disk"), [(PATHS, OTHER), (OTHER, OTHER)], ids=["disk", "built"])
def test_other_bytes_than_the_records_differ(database: dict[str, ClosurePath], disk: dict[str, ClosurePath]) -> None:
    found = step(database, disk)
    assert (found.ok, found.code) == (False, 1)
    assert found.summary == f"1 of 4 paths is not what was expected; the first is {NUMPY}"
    assert found.differences[0].expected == sri("numpy")


def test_without_a_record_the_database_is_what_is_expected() -> None:
    assert step(OTHER, OTHER, None).code == 0
    assert step(PATHS, OTHER, None).code == 1


def test_a_database_that_says_something_else_is_a_finding() -> None:
    found = step(OTHER, PATHS)
    assert (found.ok, found.code) == (False, 1)
    assert said(found) == [f"{NUMPY}: is {sri('numpy')} on the disk, and Nix's database says {sri('other')}"]


def test_a_path_that_is_gone_from_the_disk() -> None:
    disk = {name: one for name, one in PATHS.items() if name != NUMPY}
    assert said(step(PATHS, disk)) == [f"{NUMPY}: is not on the disk, and Nix's database has it"]


def test_a_store_that_lies_elsewhere_is_not_one_that_differs() -> None:
    """Case 45: what was not looked at is neither good nor bad."""
    found = step(PATHS, {})
    assert (found.ok, found.code) == (None, 3)
    assert found.summary == "none of 4 paths is where this store should lie: nothing was compared"


def test_another_set_of_paths_from_the_same_recipe_differs() -> None:
    more = {**PATHS, store_name("more"): path("more")}
    assert said(step(more, more)) == [f"{store_name('more')}: is in the closure here, and not in the record's"]
    fewer = {name: one for name, one in PATHS.items() if name != NUMPY}
    assert said(step(fewer, fewer)) == [f"{NUMPY}: is in the record's closure, and not in the one here"]
    assert step(more, more, same_recipe=False).code == 0


def test_nothing_in_common_is_nothing_compared() -> None:
    other = closure(path("another"))
    found = step(other, other, same_recipe=False)
    assert (found.ok, found.code) == (None, 3)
    assert said(found) == [f"{RECORD}: has nothing that could be compared with what is here"]


def test_a_difference_is_told_even_when_its_cause_cannot_be_found_out() -> None:
    def fails(_expected: Mapping[str, ClosurePath]) -> tuple[Difference, ...]:
        raise MachineError.of("", "the network is gone")

    found = bytes_step(SYSTEM, PATHS, OTHER, fails, same_recipe=True, where=RECORD)
    assert found.code == 1
    (difference,) = found.differences
    assert (difference.expected, difference.found, difference.database) == (sri("numpy"), sri("other"), sri("numpy"))
    assert difference.said == "why could not be found out: the network is gone"


def test_names_and_references_are_sorted() -> None:
    folder = "/nix/store/"
    references = tuple(sorted(folder + store_name(name) for name in ("base", "numpy")))
    info = PathInfo(folder + store_name("environment"), sri("e"), 7, references, None, ultimate=True, signatures=())
    (found,) = noted([info]).values()
    assert found == path("environment", "base", "numpy", content="e", size=7)
