"""The pages on the check and on CI: the format, the exit codes and the commands that they show are so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml  # type: ignore[import-untyped]
from records import ARM, RECORD, SYSTEM, X86

from nixgen import errors
from nixgen.check.model import GRAVITY, Record, StepName, SystemRecord, Verdict
from nixgen.check.record import dump_record, parse_record
from nixgen.check.report.messages import LABELS
from nixgen.init import cijob
from nixgen.init.cijob import Job

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHECK, CI = (DOCS / name for name in ("check.md", "ci.md"))


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def keys(value: Any) -> Any:
    """The shape of JSON: what its objects' keys are."""
    return {key: keys(item) for key, item in value.items()} if isinstance(value, dict) else None


def test_the_format_that_is_shown_is_the_format() -> None:
    (shown,) = (json.loads(block) for block in blocks(CHECK, "json"))
    real = json.loads(dump_record(RECORD))
    assert shown.keys() == real.keys()
    assert shown["version"] == real["version"]
    shown_system, real_system = shown["systems"][X86], real["systems"][X86]
    assert shown_system.keys() == real_system.keys() | {"images"} == {field.name for field in fields(SystemRecord)}
    assert keys(shown_system["builder"]) == keys(real_system["builder"])
    for name in ("closure", "outputs"):
        (one,) = shown_system[name].values()
        assert all(keys(one) == keys(other) for other in real_system[name].values())
    table = re.findall(r"^\| `(\w+)` \|", CHECK.read_text().partition("below `systems.SYSTEM`")[2], re.MULTILINE)
    assert sorted(table) == sorted(shown_system)


def test_every_exit_code_is_explained_with_its_rank() -> None:
    rows = dict(re.findall(r"^\| (\d) \| .* \| (.*?) ?\|$", CHECK.read_text(), re.MULTILINE))
    classes = (errors.Finding, errors.UserError, errors.MachineError, errors.Stale, errors.BuildFailed, errors.NoRecord)
    assert sorted(rows) == sorted(["0", *(str(one.exit_code) for one in classes)])
    ranks = ["first", "second", "third", "fourth", "last"]
    assert [rows[str(code)] for code in GRAVITY] == ranks


def test_every_step_and_verdict_is_explained() -> None:
    text = CHECK.read_text()
    table = text.partition("| step | the question |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == [LABELS.get(name, name) for name in get_args(StepName)]
    for verdict in get_args(Verdict):
        assert f"- *{verdict}*: " in text


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
def test_a_record_of_ci_is_merged_as_the_page_shows(tmp_path: Path) -> None:
    (command,) = (block for block in blocks(CI, "sh") if block.startswith("jq "))
    changed = replace(SYSTEM, inputs=replace(SYSTEM.inputs, library="sha256-" + "A" * 43 + "="))
    (tmp_path / "nixgen.hashes.json").write_text(dump_record(Record("plot", {X86: SYSTEM, ARM: SYSTEM})))
    (tmp_path / "first.json").write_text(dump_record(Record("plot", {ARM: changed})))
    subprocess.run(["sh", "-e", "-c", command], cwd=tmp_path, check=True)
    merged = parse_record((tmp_path / "nixgen.hashes.json").read_text())
    assert merged == Record("plot", {X86: SYSTEM, ARM: changed})


def test_the_step_that_is_to_be_added_fits_into_the_job() -> None:
    (added,) = (block for block in blocks(CI, "yaml") if "HF_TOKEN" in block)
    text = cijob.render("github", Job((X86,), "debian", "nixgen==1"))
    before = "      - name: Build, and compare with nixgen.hashes.json\n"
    steps = yaml.safe_load(text.replace(before, added + before))["jobs"]["first"]["steps"]
    assert [step.get("name") for step in steps[2:5]] == [
        "Install nixgen",
        "Fetch what needs a login",
        "Build, and compare with nixgen.hashes.json",
    ]


def test_the_line_that_says_where_nixgen_comes_from_is_read_back() -> None:
    (shown,) = (block for block in blocks(CI, "yaml") if "NIXGEN" in block)
    requirement = yaml.safe_load(shown)["env"]["NIXGEN"]
    text = cijob.render("github", Job((X86,), "debian", requirement))
    assert shown in text


def test_the_page_names_the_files_and_images_of_the_jobs() -> None:
    text = CI.read_text()
    for name in (*cijob.FILES.values(), cijob.GITLAB_ENTRY):
        assert f"`{name}`" in text
    gitlab = yaml.safe_load(cijob.render("gitlab", Job((X86,), "debian", "nixgen==1")))
    for build in ("first", "second"):
        assert f"`{gitlab[f'reproducibility-{build}-{X86}']['image']}`" in text
