"""What a rebuild means by its words, what it reads in Nix's log, and how it shares out the cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from nixgen.check import recheck
from nixgen.check.model import Recipe
from nixgen.check.rebuild import Choice, _Todo, choose
from nixgen.errors import UserError
from nixgen.nix.tools import PathInfo

DRV = "/nix/store/1111111111111111111111111111111a-demo.drv"
NAMES = ("environment", "root", "models.minilm", "wheels.numpy", "wheels.six", "data.six")
RECIPES = {name: Recipe(f"/nix/store/{name}.drv", f"/nix/store/{name}") for name in NAMES}


class TestChoose:
    def test_all_the_environment_and_names(self) -> None:
        assert choose(RECIPES, ["all"]) == Choice(tuple(sorted(NAMES)))
        assert choose(RECIPES, ["env"]) == Choice(("environment",))
        assert choose(RECIPES, ["numpy", "wheels.six", "root"]) == Choice(("root", "wheels.numpy", "wheels.six"))

    def test_a_name_that_two_have(self) -> None:
        with pytest.raises(UserError) as raised:
            choose(RECIPES, ["six"])
        assert str(raised.value) == "six may be wheels.six or data.six\n  hint: name the one that is meant"

    def test_every_unknown_name_is_told(self) -> None:
        with pytest.raises(UserError) as raised:
            choose(RECIPES, ["nunpy", "xyz"])
        assert [str(problem) for problem in raised.value.problems] == [
            "there is no output nunpy\n  hint: did you mean wheels.numpy?",
            "there is no output xyz\n  hint: outputs have the names that nixgen.hashes.json gives them",
        ]

    def test_no_name_is_no_output(self) -> None:
        with pytest.raises(UserError, match=r"^there is no output without a name\n"):
            choose(RECIPES, [""])

    def test_a_sample_is_repeated_by_its_seed(self) -> None:
        first = choose(RECIPES, ["all"], sample=3)
        assert first.seed is not None
        assert len(set(first.names)) == 3
        assert choose(RECIPES, ["all"], sample=3, seed=first.seed) == first
        assert choose(RECIPES, ["all"], sample=3, seed=7) == choose(dict(reversed(RECIPES.items())), ["all"], 3, 7)

    def test_a_sample_of_more_than_there_are_is_all(self) -> None:
        assert choose(RECIPES, ["all"], sample=6) == Choice(tuple(sorted(NAMES)))


START = '@nix {"action":"start","fields":["%s","%s",1,1],"id":7,"level":3,"text":"checking outputs of","type":105}\n'
MISMATCH = (
    r'@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m derivation \'X\' may not be deterministic: '
    r'output \'/nix/store/a\' differs from \'/nix/store/a.check\'"}' + "\n"
)


class TestLog:
    def test_a_build_here(self) -> None:
        assert recheck.read(START % (DRV, ""), DRV) == recheck.Said(machine="")

    def test_a_build_elsewhere(self) -> None:
        assert recheck.read(START % (DRV, "ssh://builder"), DRV).machine == "ssh://builder"

    def test_the_build_of_another_derivation_is_not_this_one(self) -> None:
        assert recheck.read(START % (DRV.replace("demo", "other"), ""), DRV).machine is None

    def test_other_bytes(self) -> None:
        said = recheck.read(START % (DRV, "") + MISMATCH.replace("\\'", "'"), DRV)
        assert said.other_bytes
        assert said.error.startswith("derivation 'X' may not be deterministic")

    @pytest.mark.parametrize(
        ("printed", "kept"),
        [
            ("'/tmp/nix-build-demo.drv-0'", "/tmp/nix-build-demo.drv-0"),
            (r"\"/nix/var/nix/builds/nix-12-3456/build\"", "/nix/var/nix/builds/nix-12-3456/build"),
            ("'/tmp/nix-build-demo.drv-12-3/build'", "/tmp/nix-build-demo.drv-12-3/build"),
            ("'/home/somebody'", None),
            ("'/tmp/nix-build-other.drv-0'", None),
            ("'/tmp/../home/nix-build-demo.drv-0'", None),
            ("'/nix/var/nix/builds/nix-12-3456'", "/nix/var/nix/builds/nix-12-3456"),
            ("'/home/nix-1-2'", None),
            ("'/home/somebody/build'", None),
        ],
    )
    def test_only_folders_of_builds_are_believed_to_be_left(self, printed: str, kept: str | None) -> None:
        line = f'@nix {{"action":"msg","level":0,"msg":"note: keeping build directory {printed}"}}\n'
        assert recheck.read(line, DRV).kept == (() if kept is None else (Path(kept),))

    def test_the_whole_folder_of_a_build(self) -> None:
        new, old = Path("/nix/var/nix/builds/nix-1-2/build"), Path("/tmp/nix-build-demo.drv-0")
        assert recheck.build_folder(new) == new.parent
        assert recheck.build_folder(old) == old

    def test_a_log_that_ends_in_the_middle(self) -> None:
        assert recheck.read(START % (DRV, "") + '@nix {"action":"msg","msg":"err', DRV) == recheck.Said(machine="")

    def test_a_failed_build_shows_its_last_lines(self) -> None:
        lines = "".join(
            f'@nix {{"action":"result","fields":["line {number}"],"id":7,"type":101}}\n' for number in range(12)
        )
        failed = '@nix {"action":"msg","level":0,"msg":"error: builder for \'x.drv\' failed with exit code 3;"}\n'
        said = recheck.read(START % (DRV, "") + lines + failed, DRV)
        assert recheck.inconclusive(said) == "\n    ".join(
            (
                "the build failed this time: builder for 'x.drv' failed with exit code 3; its last lines:",
                *(f"line {number}" for number in range(2, 12)),
            )
        )

    def test_what_was_not_built(self) -> None:
        failed = '@nix {"action":"msg","level":0,"msg":"error: a \'riscv64-linux\' is required to build \'x.drv\'"}\n'
        said = recheck.read(failed, DRV)
        assert recheck.inconclusive(said) == "Nix did not build it: a 'riscv64-linux' is required to build 'x.drv'"
        assert recheck.inconclusive(recheck.Said()) == "Nix did not build it"

    def test_an_error_of_several_lines_without_the_log(self) -> None:
        error = "Cannot build 'x.drv'.\n  Reason: builder failed with exit code 3.\n  Output paths:\n    /nix/store/x"
        assert recheck.inconclusive(recheck.Said(machine="", error=error)) == (
            "the build failed this time: Cannot build 'x.drv'. Reason: builder failed with exit code 3"
        )


def todo(sizes: dict[str, int], processors: int) -> list[tuple[str, int]]:
    """The order in which outputs of these sizes are rebuilt, each with its number of cores."""
    recipes = {name: Recipe(f"/nix/store/{name}.drv", f"/nix/store/{name}") for name in sizes}
    infos = {
        recipes[name].out: PathInfo(recipes[name].out, "", size, (), None, ultimate=True, signatures=())
        for name, size in sizes.items()
    }
    left = _Todo.of(recipes, infos)
    left.processors = processors
    return [(name, cores) for name, _, cores in (left.next() for _ in sizes)]


def test_the_largest_is_first_and_gets_cores_by_its_share() -> None:
    assert todo({"small": 10, "large": 60, "middle": 30}, 10) == [("large", 6), ("middle", 8), ("small", 11)]


def test_no_build_gets_as_many_cores_as_nix_gives_by_default() -> None:
    """Else a build that depends on their number would be the same again."""
    for processors in (1, 2, 3, 8):
        assert all(cores != processors for _, cores in todo({"a": 5, "b": 5, "c": 900}, processors)) or processors == 1
