"""What reaches the terminal: nothing that comes from outside moves its cursor, or looks like nixgen's own words."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import PYPROJECT, make
from typer.testing import CliRunner

from nixgen.cli import app
from nixgen.console import Line, console, visible
from nixgen.errors import UserError

EVIL = "a\x1b[2K\r\x9b1m\u202eb\u2028\udc80\nerror: forged\nwarning: forged"
SEEN = r"a\u001b[2K\u000d\u009b1m\u202eb\u2028\udc80"


def test_errors_are_seen_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Case 38."""
    console.error(UserError.of(EVIL, EVIL, EVIL))
    console.warn(EVIL)
    console.info(EVIL)
    console.result(EVIL)
    told = capsys.readouterr()
    where = SEEN + r"\nerror: forged\nwarning: forged"
    assert told.err.splitlines() == [
        f"error: {where}: {SEEN}",
        "    error: forged",
        "    warning: forged",
        f"  hint: {SEEN}",
        "    error: forged",
        "    warning: forged",
        f"warning: {SEEN}",
        "    error: forged",
        "    warning: forged",
        SEEN,
        "  error: forged",
        "  warning: forged",
    ]
    assert told.out == f"{SEEN}\nerror: forged\nwarning: forged\n"


def test_no_line_is_an_order_to_a_runner(capsys: pytest.CaptureFixture[str]) -> None:
    """Case 38: GitHub's runner obeys lines that begin with ::, behind blanks, too."""
    text = "a\n::error::forged\n  ##[warning]forged"
    console.error(UserError.of("x", text))
    console.info(f"::stop-commands::x\n{text}")
    told = capsys.readouterr().err
    assert told == (
        "error: x: a\n    > ::error::forged\n  > ##[warning]forged\n"
        "> ::stop-commands::x\na\n> ::error::forged\n  > ##[warning]forged\n"
    )


def test_a_line_of_a_terminal_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    Line().write(EVIL)
    assert screen.getvalue() == f"\r{SEEN} error: forged warning: forged"[:81]


@given(st.text(st.characters(), max_size=50))
def test_json_says_what_it_said(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text
    assert visible(text).replace("\n", "").replace("\t", "").encode("utf-8") is not None


@pytest.mark.parametrize(
    "toml",
    [
        '"\\u001b[2K\\nerror: forged" = 1',
        '[tool.nixgen."\\u001b[2K\\nerror: forged"]',
        '[tool.uv.sources]\n"\\u001b[2K\\nerror: forged" = 1',
        '[project.scripts]\n"\\u001b[2K\\nerror: forged" = "x"',
        '[dependency-groups]\n"\\u001b[2K\\nerror: forged" = 1',
    ],
)
@pytest.mark.parametrize("command", ["show", "generate"])
def test_keys_of_toml(tmp_path: Path, toml: str, command: str) -> None:
    """Case 38."""
    root = make(tmp_path, PYPROJECT + "\n[tool.nixgen]\n" * toml.startswith('"') + toml + "\n")
    done = CliRunner().invoke(app, [command, "--project", str(root)])
    assert "\x1b" not in done.output
    assert not [line for line in done.output.splitlines() if line.startswith("error: forged")]
