"""The closure's digest, also by other means than nixgen's."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import RECORD, SYSTEM, X86, closures

from nixgen.check import record
from nixgen.check.digest import closure_digest, spoken
from nixgen.check.model import ClosurePath

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"


def test_it_is_the_sha256_of_the_lines() -> None:
    paths = [
        ClosurePath("b" * 32 + "-b", "sha256-B", 2, ("a" * 32 + "-a",)),
        ClosurePath("a" * 32 + "-a", "sha256-A", 1),
    ]
    text = f"{'a' * 32}-a sha256-A 1 \n{'b' * 32}-b sha256-B 2 {'a' * 32}-a\n"
    assert closure_digest(paths) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@given(closures(), st.data())
def test_it_changes_with_everything_and_not_with_the_order(paths: dict[str, ClosurePath], data: st.DataObject) -> None:
    values = list(paths.values())
    digest = closure_digest(values)
    assert closure_digest(data.draw(st.permutations(values))) == digest
    assert closure_digest(values[1:]) != digest
    one = data.draw(st.sampled_from(values))
    others = [value for value in values if value != one]
    for changed in (
        ClosurePath("0" * 32 + "-other", one.nar_hash, one.nar_size, one.references),
        ClosurePath(one.name, "sha256-" + "A" * 43 + "=", one.nar_size, one.references),
        ClosurePath(one.name, one.nar_hash, one.nar_size + 1, one.references),
        ClosurePath(one.name, one.nar_hash, one.nar_size, (*one.references, "0" * 32 + "-other")),
    ):
        assert changed == one or closure_digest([*others, changed]) != digest


def test_the_command_of_the_page_gives_it_without_nixgen(tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not here")
    (command,) = re.findall(r"^```sh\n(jq .*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / record.NAME).write_text(record.dump_record(RECORD))
    done = subprocess.run(["sh", "-euc", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == SYSTEM.digest.removeprefix("sha256:") + "  -\n"


def test_it_can_be_read_out() -> None:
    line = spoken(X86, SYSTEM.digest)
    system, *groups = line.split(" ")
    assert system == X86
    assert [len(group) for group in groups] == [4] * 16
    assert "sha256:" + "".join(groups) == SYSTEM.digest
