"""The pages say what is so: help texts, settings, messages, links."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from support.program import nixgen

from nixgen import __version__
from nixgen.builds.known import KNOWN, Known
from nixgen.cli import COMMANDS
from nixgen.cli import command as full
from nixgen.nix import vendored
from nixgen.project import settings
from nixgen.project.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
)
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("anaconda", "org"),
    )
]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> Iterator[str]:
    """The fenced blocks of one kind."""
    for found in re.finditer(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found[1]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def help_of(*command: str) -> str:
    done = nixgen(*command, "--help", COLUMNS="80", NO_COLOR="1", TERMINAL_WIDTH="80")
    assert done.returncode == 0
    return done.stdout.strip("\n")


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return {name: help_of(*name.split()) for name in ("", *COMMANDS)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(linked), f"{target} names no heading"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_registry_or_a_path_of_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8").lower()
    assert [host for host in HOSTS if host in text] == []
    assert re.findall(r"(?<![\w.~…])/(?:work|root|home/(?!you\b))[\w/]*", text) == []


def test_the_commands_page_shows_what_the_program_prints(helps: dict[str, str], *, update_goldens: bool) -> None:
    """With --update-goldens, what is there is written anew; a new command still needs its own heading and block."""
    path = ROOT / "docs" / "commands.md"
    block = re.compile(r"(?<=^```console\n)\$ nixgen ?(\w*) --help\n(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
    if update_goldens:
        text = path.read_text(encoding="utf-8")
        path.write_text(block.sub(lambda hit: f"{hit[0].partition(chr(10))[0]}\n{helps[hit[1]]}\n", text), "utf-8")
    shown = {name: printed.strip("\n") for name, printed in block.findall(path.read_text(encoding="utf-8"))}
    assert sorted(shown) == sorted(helps)
    for name, printed in helps.items():
        assert shown[name] == printed


def test_no_summary_in_a_list_of_commands_is_cut(helps: dict[str, str]) -> None:
    lists = [text.partition("\nCommands:\n")[2] for text in helps.values()]
    assert [line for text in lists for line in text.splitlines() if line.endswith("...")] == []
    lines = [line for text in lists for line in text.partition("\n\n")[0].splitlines()]
    assert len(lines) > len(COMMANDS)
    assert [line for line in lines if not re.match(r"  [a-z-]+ {2,}\S", line)] == [], "a summary fits its line"


def test_pages_that_show_the_same_project_show_the_same_numbers() -> None:
    """Case 58: docs/first-project.md, docs/check.md and docs/cache.md all show examples/plot on the same day."""
    first = "docs/first-project.md"
    pages = {name: page(name) for name in (first, "docs/check.md", "docs/cache.md")}
    counts = re.compile(
        r"(?:1 of |^file://\S+: )(\d+) paths\b|\b(\d+) store paths\b|log of (\d+) entries", re.MULTILINE
    )
    found = {name: {int("".join(numbers)) for numbers in counts.findall(text)} for name, text in pages.items()}
    assert found == dict.fromkeys(pages, found[first])
    assert len(found[first]) == 1
    assert (
        len({digest for text in pages.values() for digest in re.findall(r"^digest: \S+ (.*)$", text, re.MULTILINE)})
        == 1
    )


def test_the_first_screen_of_the_readme_has_what_a_newcomer_types() -> None:
    screen, ours = page("README.md").splitlines()[:24], page("Makefile")
    for target in ("demo", "test"):
        assert any(line.startswith(f"make {target} ") for line in screen)
        assert f"\n{target}: ## " in ours
    commands = next(blocks(page("README.md"), "sh"))
    assert "nixgen init " in commands
    assert "nix develop" in commands
    assert "nixgen shell -- " in commands  # the author's: also with flakes off, as apt's Nix has them
    assert len(commands.splitlines()) <= 10


def test_the_site_has_every_page_in_its_navigation() -> None:
    """`make docs` says so, too; this is quicker."""
    named = re.findall(r"^ +- (\S+\.md)$", page(".ci/mkdocs.yml"), re.MULTILINE)
    pages = {str(path.relative_to(ROOT)) for path in PAGES}
    assert sorted(named) == sorted(name for name in pages if not name.startswith("tests/"))


def known_row(row: Known) -> str:
    kinds = {"build-libraries": row.build_libraries, "build-tools": row.build_tools, "libraries": row.libraries}
    added = "; ".join(f"`{key}`: {', '.join(names)}" for key, names in kinds.items() if names)
    return f"| {row.name} | {row.tried} on {row.suite} | {added} |"


def test_the_settings_page_has_the_table_of_known_needs(*, update_goldens: bool) -> None:
    path = ROOT / "docs" / "settings.md"
    table = re.compile(r"(?<=^\| package \| tried \| what is added \|\n\|---\|---\|---\|\n)(?:\|.*\n)+", re.MULTILINE)
    rows = "".join(f"{known_row(row)}\n" for row in KNOWN)
    if update_goldens:
        path.write_text(table.sub(rows, path.read_text(encoding="utf-8")), "utf-8")
    assert table.findall(path.read_text(encoding="utf-8")) == [rows]
    assert sorted(KNOWN, key=lambda row: row.name) == list(KNOWN)


whole = cache(full)


def options_of(words: list[str]) -> set[str]:
    """The options of the command that these words begin with: ["data", "diff", "OLD", "NEW"] is ``data diff``."""
    command: Any = whole(words[0])
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return {"--help", *(option for parameter in command.params for option in parameter.opts)}


def test_every_command_and_option_that_a_page_shows_exists() -> None:
    for path in PAGES:
        for command, rest in re.findall(r"\bnixgen ([a-z]+)([^`|\n&;,]*)", path.read_text(encoding="utf-8")):
            if command in COMMANDS and command not in {"add", "remove"}:  # those take uv's options, too
                shown = re.findall(r"(?<!\S)--[a-z-]+", rest)
                assert set(shown) <= options_of([command, *rest.split()]), f"{path.name}: nixgen {command}{rest}"
    shown = "".join(map(page, ("README.md", "docs/first-project.md", "docs/troubleshooting.md")))
    for command in re.findall(r"[`$] ?nixgen ([a-z]+)", shown):
        assert command in COMMANDS


def setting_rows() -> dict[str, tuple[str, str]]:
    """Default and example of each key in the table of docs/settings.md."""
    rows = re.findall(
        r"^\| \[`([\w-]+)`\]\(#[\w-]+\) \| .*? \| (.*?) \| `(.*?)` \|$", page("docs/settings.md"), re.MULTILINE
    )
    return {key: (default, example) for key, default, example in rows}


def test_the_settings_page_has_every_key_in_order_with_its_default() -> None:
    assert list(setting_rows()) == list(settings._READERS)
    assert re.findall(r"^## (.*)$", page("docs/settings.md"), re.MULTILINE) == list(settings._READERS)
    names = [field.name.replace("_", "-") for field in fields(Settings)]
    derived = {"python-full", "environment"}  # of python, and whose settings these are
    assert [name for name in names if name not in derived] == list(settings._READERS)
    defaults = Settings()
    for key, (text, _) in setting_rows().items():
        value: Any = getattr(defaults, key.replace("-", "_"))
        if value in ((), {}):
            assert text == "none"
        elif value is False:
            assert text == "`false`"
        elif value is not None:
            assert text == f'`"{value}"`'


def test_every_example_of_the_settings_page_is_accepted() -> None:
    for key, (_, example) in setting_rows().items():
        table = tomllib.loads(example)
        assert list(table) == [key]
        Settings.parse({"base": "debian"} | table if key == "suite" else table)
    found = list(blocks(page("docs/settings.md"), "toml"))
    assert found
    for block in found:
        Settings.parse(tomllib.loads(block)["tool"]["nixgen"])


def sentences() -> str:
    """All that the program and the library may say: Python's strings, with … for what is filled in."""
    texts = []
    for path in sorted([*(ROOT / "nixgen").rglob("*.py"), *(ROOT / "nix").rglob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
    others = sorted([*(ROOT / "nix").rglob("*.nix"), *(ROOT / "nix").rglob("*.sh")])
    texts += [re.sub(r"\$\{[^}]*\}", "…", path.read_text(encoding="utf-8")) for path in others]
    return "\n".join(texts)


def test_the_messages_that_troubleshooting_explains_are_said() -> None:
    said = sentences()
    ours = page("docs/troubleshooting.md").partition("## What Nix says")[0]
    theirs = {"HTTP error 404"}
    headings = re.findall(r"^### (.*)$", ours, re.MULTILINE)
    assert len(headings) > 30
    for heading in headings:
        for message in re.findall(r"`([^`]+)`", heading):
            if message in theirs or message == ".deb":
                continue
            for part in re.sub(r"^[\w.]+: ", "", message).split("…"):
                assert part.strip(' "().') in said, f"nothing says {part!r} of {message!r}"


def test_every_error_of_the_library_is_explained() -> None:
    """What Nix shows a teammate, who has no nixgen to ask."""
    explained = page("docs/troubleshooting.md")
    for sentence in (
        "changed after default.nix was generated",
        "is not set up for",
        "two packages own the same file:",
        "modules cannot be imported:",
        "this smoke command",
    ):
        assert sentence in explained


def test_each_dependency_has_its_reason() -> None:
    table = page("docs/design.md").partition("## Dependencies")[2].partition("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| ([\w, -]+?)(?: \(build\))? \|", table, re.MULTILINE)
        for name in row.split(", ")
    }
    project = tomllib.loads(page("pyproject.toml"))
    texts = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    assert {Requirement(text).name for text in texts} - named == set()


def test_the_first_project_names_every_file_that_init_writes() -> None:
    from support.project import WRITTEN

    table = page("docs/first-project.md").partition("## The files")[2].partition("\n## ")[0]
    for name in WRITTEN - {".gitignore"}:
        assert f"`{name}`" in table


def test_the_first_project_counts_the_files_that_init_writes() -> None:
    """Case 58. Beside the library itself, two tarballs; and what lies beside the folder."""
    library = len(vendored.NAMES) + 2
    assert f"nix/nixgen/: {library} written\n…\nStaged {library + 8} new files" in page("docs/first-project.md")


def test_the_benchmarks_page_has_the_place_that_bench_writes_into() -> None:
    from bench.__main__ import BEGIN, END

    text = page("docs/benchmarks.md")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)


def test_the_changelog_tells_of_this_version() -> None:
    text = page("CHANGELOG.md")
    assert __version__ in text
    assert re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\]", text, re.MULTILINE)


def test_every_row_of_what_uv_can_say_names_a_test_or_a_project() -> None:
    rows = [row for row in page("docs/uv.md").splitlines() if row.startswith("| ") and not row.startswith("| what a")]
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    shapes = {folder.name for folder in (ROOT / "tests" / "corpus").iterdir()}
    fewest = 30
    assert len(rows) >= fewest
    for row in rows:
        named = re.findall(r"`([\w-]+)`", row.split("|")[3])
        assert named, row
        assert set(named) <= there | shapes, row
