"""``nixgen cache challenge`` on real Nix: a build here against what a cache has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cachelab import CacheLab

if TYPE_CHECKING:
    from support.nix import Nix

pytest.importorskip("cryptography")

RANDOM = "read x < /proc/sys/kernel/random/uuid; echo library $x > $out"


@pytest.fixture
def lab(nix: Nix, tmp_path: Path, store: Path) -> CacheLab:
    """A published project on an empty store."""
    assert store.is_dir()
    return CacheLab.make(nix, tmp_path)


def verdicts(lab: CacheLab, *argv: str) -> tuple[int, dict[str, Any]]:
    done = lab.run("challenge", "--json", *argv)
    assert done.stdout, done.tail()
    return done.returncode, json.loads(done.stdout)


def answers(lab: CacheLab, *argv: str) -> tuple[int, dict[str, str]]:
    code, report = verdicts(lab, *argv)
    return code, {item["output"]: item["verdict"] for item in report["verdicts"]}


def test_what_is_built_here_is_what_the_cache_has(lab: CacheLab) -> None:
    lab.pushed()
    assert answers(lab) == (0, {"app": "identical", "library": "identical", "root": "identical"})
    other = lab.other_machine()  # where nothing was built yet
    assert answers(other, "--only", "app") == (0, {"app": "identical"})
    printed = other.must("challenge", "--only", "app").stdout
    assert printed.startswith(f"identical  app  {lab.name('app')}  built here, too, with NAR hash sha256-")


@pytest.mark.one_nix
def test_a_sample_can_be_had_again(lab: CacheLab) -> None:
    lab.pushed()
    printed = lab.must("challenge", "--sample", "1").stdout
    again = re.search(r"^To repeat this sample: --sample 1 --seed (\d+)$", printed, re.MULTILINE)
    assert again, printed
    assert lab.must("challenge", "--sample", "1", "--seed", again[1]).stdout == printed


@pytest.mark.one_nix
def test_what_was_rewritten_differs_whoever_signed_it(lab: CacheLab) -> None:
    lab.pushed()
    lab.edited("library")
    lab.sign("library")
    code, report = verdicts(lab)
    assert code == 1
    (differs,) = [item for item in report["verdicts"] if item["verdict"] == "differs"]
    assert differs["path"] == lab.name("library")
    assert differs["why"].startswith(f"the cache has NAR hash {lab.info('library').nar_hash}, what was built here has ")
    assert [(file["path"], file["change"]) for file in differs["files"]] == [("", "content")]
    done = lab.run("challenge")
    assert (done.returncode, f"error: {lab.name('library')}: differs: the cache has" in done.stderr) == (1, True)
    assert not list(Path("/tmp").glob("nixgen-challenge-*"))


def test_a_recipe_that_gives_other_bytes_each_time_differs(lab: CacheLab) -> None:
    lab.write(RANDOM)
    lab.pushed()
    code, report = verdicts(lab, "--only", "library")
    assert (code, report["verdicts"][0]["why"]) == (1, "two builds here differ from each other")
    other = lab.other_machine()
    other.must("pull")
    code, report = verdicts(other, "--only", "library")
    assert (code, report["verdicts"][0]["why"]) == (1, "a build here gave different bytes from the cache has")


@pytest.mark.one_nix
def test_what_the_cache_does_not_have_is_inconclusive(lab: CacheLab) -> None:
    lab.built().must("keygen")
    lab.must("push", f"{lab.url}?compression=none", "--only", "app")
    assert answers(lab) == (0, {"app": "identical", "library": "identical"})  # the root was never published
    assert answers(lab, "--only", "root", "--only", "app") == (0, {"app": "identical", "root": "inconclusive"})
    done = lab.run("challenge", "--only", "root")
    assert done.returncode == 3
    assert f"error: {lab.url}: nothing could be compared: the cache does not have it\n" in done.stderr
    lab.nar("app").unlink()
    assert answers(lab, "--only", "app") == (3, {"app": "inconclusive"})
    lab.narinfo("app").unlink()
    assert "it was logged, and the cache does not have it any more" in lab.run("challenge", "--only", "app").stdout


def test_a_nar_that_is_none_differs(lab: CacheLab) -> None:
    lab.pushed()
    lab.nar("app").chmod(0o644)
    lab.nar("app").write_bytes(b"rubbish")
    code, report = verdicts(lab, "--only", "app")
    assert (code, report["verdicts"][0]["verdict"], report["verdicts"][0]["files"]) == (1, "differs", [])


@pytest.mark.one_nix
def test_an_output_that_is_not_known(lab: CacheLab) -> None:
    lab.pushed()
    done = lab.run("challenge", "--only", "librari")
    assert done.returncode == 2
    assert "there is no output librari" in done.stderr
