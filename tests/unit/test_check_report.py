"""A report in its four forms, and the words that it uses."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import SYSTEM, X86, path, sri, store_name

from nixgen.check import steps
from nixgen.check.digest import spoken
from nixgen.check.model import Difference, FileDifference, PathVerdict, Report, Step, Verdict
from nixgen.check.report import output
from nixgen.check.report import text as report
from nixgen.check.report.junit import as_junit
from nixgen.check.report.markdown import as_markdown, escaped
from nixgen.check.report.messages import bytes_same, bytes_updated, imports, no_record, rebuild_step, works
from nixgen.errors import Problem, UserError
from nixgen.project.project import Project
from nixgen.project.settings import Settings

GOOD = Report(
    "plot",
    X86,
    (
        Step("stale", True, "the generated files are up to date", seconds=0.4),
        Step("recipe", True, "the 3 derivations are those of nixgen.hashes.json"),
        Step("build", True, "all is built: 3 outputs"),
        Step("bytes", True, bytes_same(4, 480, "nixgen.hashes.json"), seconds=1.25),
        Step("works", True, works(23)),
    ),
    SYSTEM.digest,
    4,
    480,
)
DIFFERENCE = Difference(
    path=store_name("numpy"),
    expected=sri("numpy"),
    found=sri("other"),
    database=sri("numpy"),
    said="the disk changed after the build",
    files=(FileDifference("lib/a.pyc", "content", "first difference at offset 8", ("a .pyc file with a time",)),),
    causes=("a .pyc file with a time",),
    repeat="nix-store --verify-path X",
    diffoscope="--- a\n+++ b",
)
BAD = Report(
    "plot",
    X86,
    (
        Step("stale", False, "1 generated file not as nixgen would write it", 4, (Problem("default.nix", "is stale"),)),
        Step("bytes", False, "1 of 4 paths is not what was expected", 1, differences=(DIFFERENCE,)),
        Step("rebuild", None, "1 could not be told", 3, verdicts=(PathVerdict("wheels.numpy", "inconclusive", "why"),)),
    ),
    SYSTEM.digest,
    4,
    480,
)


@pytest.mark.parametrize(
    ("codes", "decided"),
    [
        ((0,), 0),
        ((3, 4), 4),
        ((4, 1), 1),
        ((3, 1, 4), 1),
        ((1, 5), 5),
        ((3, 4, 1, 5), 5),
        ((3, 0), 3),
        ((), 0),
        ((6, 0), 6),
        ((6, 3), 3),
    ],
)
def test_the_gravest_code_decides(codes: tuple[int, ...], decided: int) -> None:
    assert Report("p", X86, tuple(Step("stale", None, "", code) for code in codes)).exit_code == decided
    assert report.exit_code([Report("p", X86, (Step("stale", None, "", code),)) for code in codes]) == decided


def test_the_last_lines_are_the_verdict_and_the_digest() -> None:
    lines = report.as_text([GOOD]).splitlines()
    assert lines == [
        "verdict: identical: 4 store paths (480 B) match nixgen.hashes.json",
        f"digest: {spoken(X86, SYSTEM.digest)}",
    ]


def test_everything_that_was_found_is_shown() -> None:
    assert report.as_text([BAD]).splitlines() == [
        "generated: 1 generated file not as nixgen would write it",
        "  default.nix: is stale",
        "",
        "bytes: 1 of 4 paths is not what was expected",
        f"  {store_name('numpy')}: the disk changed after the build",
        f"    expected {sri('numpy')}",
        f"    found    {sri('other')}",
        "    lib/a.pyc: content: first difference at offset 8",
        "      cause: a .pyc file with a time",
        "    see it again: nix-store --verify-path X",
        "    | --- a",
        "    | +++ b",
        "",
        "rebuild: 1 could not be told",
        "  inconclusive: wheels.numpy (why)",
        "",
        "verdict: differs: 1 of 4 paths is not what was expected",
        f"digest: {spoken(X86, SYSTEM.digest)}",
    ]


def test_what_many_files_share_is_told_once() -> None:
    """The reason and what to do; the files that it is about are the list."""
    away = "cannot be fetched: Could not resolve host"
    lost = Problem("old 1.0", "old.whl at https://x.example/old.whl is not there any more (HTTP error 404)", "look")
    many = [Problem(f"w {n}.0", f"w{n}.whl at https://x.example/w{n}.whl {away}", "try again") for n in (1, 2)]
    step = Step("build", None, "it could not be built here", 3, (many[0], lost, many[1]))
    assert list(report.finding_lines(step)) == [
        away,
        "  hint: try again",
        "  w 1.0: w1.whl at https://x.example/w1.whl",
        "  w 2.0: w2.whl at https://x.example/w2.whl",
        *report.problem_lines(lost),
    ]
    same = [Problem(f"uv{n}.lock", "changed after default.nix was generated", "nixgen sync") for n in (1, 2)]
    stale = Step("recipe", False, "stale", 4, tuple(same))
    assert list(report.finding_lines(stale)) == [line for one in same for line in report.problem_lines(one)]


def test_the_text_is_cut_where_the_json_is_not() -> None:
    many = tuple(Problem(f"wheels.w{number}", "changed") for number in range(100))
    found = Report("plot", X86, (Step("recipe", False, "inputs changed", 4, many),))
    assert "and 60 lines more (--json has all)" in report.as_text([found])
    assert len(json.loads(report.as_json([found]))["reports"][0]["steps"][0]["findings"]) == 100


def test_the_json_has_all() -> None:
    document = json.loads(report.as_json([BAD]))
    assert (document["version"], document["exitCode"]) == (1, 1)
    (found,) = document["reports"]
    assert {key: found[key] for key in ("project", "system", "exitCode", "digest", "paths", "size", "updated")} == {
        "project": "plot",
        "system": X86,
        "exitCode": 1,
        "digest": SYSTEM.digest,
        "paths": 4,
        "size": 480,
        "updated": False,
    }
    assert [step["ok"] for step in found["steps"]] == [False, False, None]
    assert found["steps"][1]["differences"][0]["files"] == [
        {
            "path": "lib/a.pyc",
            "change": "content",
            "detail": "first difference at offset 8",
            "causes": ["a .pyc file with a time"],
        }
    ]
    assert found["steps"][2]["verdicts"] == [{"name": "wheels.numpy", "verdict": "inconclusive", "why": "why"}]


def test_the_markdown_is_a_summary_with_a_table() -> None:
    text = as_markdown([GOOD])
    assert text.startswith("## plot on x86\\_64-linux: identical\n")
    assert "| Are the bytes the same? | yes | 4 store paths" in text
    assert f"Digest of the closure (4 paths): `{spoken(X86, SYSTEM.digest)}`" in text
    text = as_markdown([BAD])
    assert "| Are the generated files up to date? | **no** |" in text
    assert "<details><summary>bytes: 8 lines</summary>" in text
    assert "lib/a.pyc: content: first difference at offset 8" in text


def test_markdown_of_a_hostile_name_stays_text() -> None:
    hostile = "</details><img src=x>`|**a**\n# b"
    found = Report(hostile, X86, (Step("recipe", False, hostile, 4, (Problem("```\nx", "````"),)),))
    text = as_markdown([found])
    assert "<img" not in re.sub(r"`{3,}text.*?`{3,}", "", text, flags=re.DOTALL).replace("\\<", "")
    assert "`````text" in text


@given(st.text())
def test_nothing_means_anything_in_escaped_text(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    bare = re.sub(r"\\[" + re.escape(string.punctuation) + "]", "", shown)
    assert not set(bare) & set("`*_<>[]|#\\&")


def test_the_junit_report_has_a_case_for_each_step() -> None:
    suite = ET.fromstring(as_junit([BAD])).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "2",
        "errors": "1",
        "skipped": "0",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {"stale": ["failure"], "bytes": ["failure"], "rebuild": ["error"]}
    good = ET.fromstring(as_junit([GOOD])).find("testsuite")
    assert good is not None
    assert [len(case) for case in good.iter("testcase")] == [0] * 5
    assert good.findtext("system-out") == report.as_text([GOOD])


@given(st.text(st.characters(codec="utf-8")))
def test_junit_is_xml_whatever_the_text(text: str) -> None:
    found = Report(text, text, (Step("bytes", False, text, 1, (Problem(text, text, text),)), Step("works", None, text)))
    assert ET.fromstring(as_junit([found])).tag == "testsuites"


@pytest.mark.parametrize(
    ("verdicts", "ok", "code", "summary"),
    [
        (["reproduced"], True, 0, "1 of 1 derivation built again gave the same bytes"),
        (
            ["reproduced", "differs"],
            False,
            1,
            "1 of 2 derivations built again gave the same bytes, 1 gave others",
        ),
        (
            ["reproduced", "inconclusive"],
            None,
            3,
            "1 of 2 derivations built again gave the same bytes, 1 could not be told",
        ),
        ([], None, 3, "there was nothing to build again"),
    ],
)
def test_a_rebuild_claims_what_was_built_and_no_more(
    verdicts: list[Verdict], *, ok: bool | None, code: int, summary: str
) -> None:
    step = rebuild_step([PathVerdict(f"n{number}", verdict) for number, verdict in enumerate(verdicts)], ())
    assert (step.ok, step.code, step.summary) == (ok, code, summary)


def test_a_record_that_is_written_anew_says_what_it_had() -> None:
    noted = "2 store paths (7 B) match what Nix noted; "
    assert bytes_updated(2, 7, 0, "r.json") == noted + "r.json had the same, from the same recipe"
    assert bytes_updated(2, 7, 1, "r.json") == noted + "1 path is not what r.json had, from the same recipe"


def test_one_form_goes_to_stdout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output.write([GOOD], json=True, markdown=tmp_path / "m.md", junit=tmp_path / "j.xml")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["version"] == 1
    assert printed.err.splitlines()[-1] == f"digest: {spoken(X86, SYSTEM.digest)}"
    assert (tmp_path / "m.md").read_text().startswith("## plot")
    assert (tmp_path / "j.xml").read_text().startswith("<?xml")
    output.write([GOOD], json=False, markdown=Path("-"), junit=None)
    assert capsys.readouterr().out.startswith("## plot")
    with pytest.raises(UserError, match=r"--json and --junit - both print to stdout"):
        output.write([GOOD], json=True, markdown=None, junit=Path("-"))


def test_the_path_helper_is_what_the_forms_show() -> None:
    assert path("numpy").name == DIFFERENCE.path


@pytest.mark.parametrize(
    ("imported", "checks", "sentence"),
    [
        (0, "imports", "there is no module to import"),
        (0, "imports smoke", "there is no module to import; the smoke commands succeed, in a build by Nix"),
        (1, "imports", "1 module can be imported, in a build by Nix"),
        (23, "imports smoke", "23 modules can be imported, and the smoke commands succeed, in a build by Nix"),
        (None, "imports", "modules can be imported, in a build by Nix"),
        (
            2,
            "gpu-imports gpu-smoke imports",
            "2 modules can be imported, in a build by Nix; and in the environment gpu",
        ),
        (
            2,
            "cpu-imports gpu-imports imports",
            "2 modules can be imported, in a build by Nix; and in the environments cpu, gpu",
        ),
    ],
)
def test_of_no_module_nothing_is_claimed(imported: int | None, checks: str, sentence: str) -> None:
    """Cases 10 and 61: the number is said, and of none that it is none."""
    assert works(imported, checks.split()) == sentence


def test_what_the_import_check_wrote_is_counted_and_its_warnings_told() -> None:
    text = "numpy\nscipy\nwarning: libx.so.1: one/libx.so.1 of one and libx.so.1 of the base differ\n"
    told = Problem("libx.so.1", "one/libx.so.1 of one and libx.so.1 of the base differ")
    assert imports(text, "/out") == (2, (told,))
    short, long = "a.so cannot be loaded without libz.so.1", "b.so cannot be loaded without libx.so.1, liby.so.2"
    text += f"note: qt: {short}\nnote: qt: {long}\nnote: sql: {short}\n"
    notes = (Problem("qt", long, "1 more note like this: cat /out"), Problem("sql", short))
    assert imports(text, "/out") == (2, (told, *notes))
    assert imports("", "/out") == (0, ())


@pytest.mark.parametrize(
    ("named", "command"),
    [
        (None, "nixgen check --update"),
        (Path("not there.json"), "nixgen check --update --record 'not there.json'"),
    ],
)
def test_a_hint_writes_the_record_that_was_named(tmp_path: Path, named: Path | None, command: str) -> None:
    project = Project(tmp_path, "demo", {}, Settings(), None, has_lock=True)
    run = steps._Check(project, steps.Options(record=named), X86, tmp_path / "record.json", None)
    run.add(no_record("record.json", X86, None, update=False))
    (problem,) = run.report().steps[0].findings
    assert problem.mend == f"make it, and commit it: {command}"
