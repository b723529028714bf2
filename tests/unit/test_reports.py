"""``nixgen report``: what follows from facts, that nothing escapes into the page, and that people can read it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from exported import keys
from records import RECORD, X86
from support.program import nixgen
from test_bom_audit import ZERO, of
from test_bom_sbom import project
from test_releases_commands import POLICY, Home

from nixgen import __version__, resources
from nixgen.check import record
from nixgen.check.model import Report, Step
from nixgen.check.report.text import as_json
from nixgen.errors import Problem
from nixgen.lock.lockfile import dump_lock, read_lock
from nixgen.reports import lineage, plots, render, treemap
from nixgen.reports.checklist import report
from nixgen.reports.model import (
    Artifact,
    Audited,
    Checked,
    Closure,
    Event,
    Facts,
    Item,
    Package,
    Published,
    Remade,
    Shelf,
    Vulnerability,
)
from nixgen.runs import recordfile, reproductions
from nixgen.runs.model import NAME as RUN
from nixgen.runs.model import REPORT_MARK, ConfigFile, Environment, Git, Machine, Output, Run, Seeds
from nixgen.runs.model import Artifact as Used

SHA, OTHER = "ab" * 32, "cd" * 32
DIGEST = f"sha256:{SHA}"
STARTED = datetime(2026, 11, 30, 13, 15, tzinfo=UTC)
WHOLE = Run(
    id="20261130-131500-3fa2c1",
    status="finished",
    command=("python", "train.py"),
    started=STARTED,
    seconds=752.0,
    exit=0,
    git=Git("1" * 40, "main", "https://git.example.org/fraud.git"),
    environment=Environment("", "x86_64-linux", "debian bookworm", closure=DIGEST, recorded=DIGEST, python="3.11.2"),
    machine=Machine("Debian 12", "Linux 6.1", "a CPU", 2, 8 << 30),
    data={"sales": Used("sales.csv", "", SHA)},
    config=(ConfigFile("train.yaml", SHA, "config/train.yaml"),),
    seeds=Seeds(7, {"PYTHONHASHSEED": "7"}, {"numpy": "7"}),
    metrics={"auc": 0.93, "loss": 0.25},
    outputs=(Output("model.bin", 7, OTHER),),
)
EARLIER = replace(WHOLE, id="20261129-131500-3fa2c0", metrics={"auc": 0.91, "loss": math.nan}, status="failed", exit=1)
MODEL = "demo/fraud"
CLOSURE = Closure(DIGEST, 17, 269 << 20, "Nix 2.34.8, Linux 6.1, a CPU", "2026-11-29T12:00:00Z", changed=())
FACTS = Facts(
    project="demo",
    version="0.1.0",
    system="x86_64-linux",
    packages=(
        Package("numpy", "2.4.6", "Python", "BSD-3-Clause", 50 << 20, installed=True, sha256=SHA),
        Package("libc6", "2.36-9", "base", "", 2 << 20, sha256=OTHER),
        Package("gcc", "12", "base", "", 9 << 20, build=True),
        Package("demo", "0.1.0", "project"),
    ),
    artifacts=(Artifact("data", "sales", "sales.csv", "", "CC-BY-4.0", SHA, 1, 3000, 120, used=True),),
    closure=CLOSURE,
    checked=(
        Checked("demo", "x86_64-linux", 0, "identical: 17 store paths match nixgen.hashes.json", DIGEST,
                "2026-11-30T12:00:00Z",
                (Item("bytes", "yes", "the same"), Item("rebuild", "unknown", "was not asked for"))),
    ),
    run=WHOLE,
    runs=(EARLIER, WHOLE),
    commit_here=True,
    copies={"train.yaml": "yes"},
    remade=(Remade("2026-11-30T14:00:00Z", "same bytes", "a CPU, 1 cores", counts=True),),
    shelves=(
        Shelf(
            "registry",
            3,
            (Published(MODEL, "0.1.0", "2026-11-30T15:00:00.000000Z", "ann", WHOLE.id, OTHER, ("prod",)),),
            (
                Event("2026-11-30T16:00:00.000000Z", MODEL, "prod promoted: nothing → 0.1.0", "ann", "good",
                      (Item("auc", "yes", "0.93 (wanted: at least 0.9)"), Item("loss", "no", "0.25 (wanted: …)"))),
            ),
            {f"{MODEL}@0.1.0": {"model.bin": OTHER}},
            statements=(Item(f"Statement about {MODEL}@0.1.0", "yes", "signed by the key 0f3a, which is key.pub"),),
        ),
    ),
    audited=Audited(
        3,
        1200,
        (
            Vulnerability("numpy", "2.4.5", ("GHSA-1", "CVE-7"), "high", "reads too far", ("2.4.6",)),
            Vulnerability("libc6", "2.36-9", ("CVE-8",), unknown="the version cannot be compared"),
        ),
        ("1: data has no advisories",),
    ),
    policy=("prod",),
    policy_when="2026-11-29T12:00:00Z",
)  # fmt: skip
EMPTY = Facts(project="demo", packages=(), artifacts=())
HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>|`[a](javascript:b)\u202e\x1b[2J\ud800"


class Page(HTMLParser):
    """A page as its elements; anything that is left open or closed twice is an error."""

    VOID = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), tag
        self.found.append((tag, dict(attrs)))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def spoiled(value: Any) -> Any:
    """A value with every text in it replaced by the hostile one, but for what has a closed set of values."""
    kept = {"state", "status", "kind", "when", "at", "made", "system"}
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(map(spoiled, value))
    if isinstance(value, dict):
        return {spoiled(key): spoiled(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        changed = {name: spoiled(getattr(value, name)) for name in value.__dataclass_fields__ if name not in kept}
        return replace(value, **changed)
    return value


def states(facts: Facts) -> dict[str, str]:
    return {one.name: one.state for one in report(facts).checklist}


@pytest.mark.parametrize("facts", [FACTS, EMPTY], ids=["whole", "empty"])
def test_the_forms_are_goldens(facts: Facts, golden: Callable[[str, str], None]) -> None:
    name = "whole" if facts is FACTS else "empty"
    page = render.as_html(report(facts)).replace(style(), "/* templates/report.css */\n")
    golden(f"report/{name}.html", page.replace(f"nixgen {__version__}", "nixgen VERSION"))
    golden(f"report/{name}.md", render.as_markdown(report(facts)))


def style() -> str:
    return (resources.folder("templates") / "report.css").read_text()


@pytest.mark.parametrize("facts", [FACTS, EMPTY, spoiled(FACTS)], ids=["whole", "empty", "hostile"])
def test_the_page_is_whole_and_loads_nothing(facts: Facts) -> None:
    text = render.as_html(report(facts))
    page = Page(text)
    assert page.all("script", "link", "img", "iframe", "object", "embed", "base", "form") == []
    assert not {name for _, attributes in page.found for name in attributes if name.startswith("on") or name == "src"}
    assert [one["href"] for one in page.all("a") if not (one["href"] or "").startswith("#")] == []
    assert {(one["href"] or "")[1:] for one in page.all("a")} <= {*page.ids}
    assert len({*page.ids}) == len(page.ids)
    assert not re.search(r"@import|url\(", style())
    assert REPORT_MARK in text[:1000]
    text.encode()


def test_nothing_escapes_into_the_page_or_the_markdown() -> None:
    facts = replace(spoiled(FACTS), problems=(Problem(HOSTILE, HOSTILE, HOSTILE),))
    page = Page(render.as_html(report(facts)))
    said = "".join(page.texts)
    assert "<script>alert(1)</script>" in said  # as text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", said)
    markdown = render.as_markdown(report(facts))
    assert "<script" not in markdown.replace("\\<", "")
    assert not re.search(r"(?<!\\)[`\[]", markdown)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    for first, second in pairwise(rows):
        if set(second) <= {"|", "-"}:
            assert columns(first) == columns(second)
    assert json.loads(render.as_json(report(facts)))["version"] == 1


def test_json_has_all_facts_and_the_record_of_the_run() -> None:
    told = json.loads(render.as_json(report(replace(FACTS, run=EARLIER))))
    assert told["project"] == {"name": "demo", "version": "0.1.0"}
    assert told["run"]["metrics"] == {"auc": 0.91, "loss": "nan"}
    assert told["run"]["environment"]["closure"] == DIGEST
    assert [one["id"] for one in told["runs"]] == [EARLIER.id, WHOLE.id]
    assert (told["commitHere"], told["policyWhen"]) == (True, "2026-11-29T12:00:00Z")
    assert told["shelves"][0]["hashes"] == {"demo/fraud@0.1.0": {"model.bin": OTHER}}


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_each_graph_has_a_text_and_each_table_its_headings() -> None:
    page = Page(render.as_html(report(FACTS)))
    graphs = page.all("svg")
    assert len(graphs) == 2 + len(FACTS.run.metrics if FACTS.run else {})
    assert all(one.get("role") == "img" and one.get("aria-label") for one in graphs)
    assert all(one.get("scope") in {"col", "row"} for one in page.all("th"))
    scrolled = [one for one in page.all("div") if (one.get("class") or "").startswith("scroll")]
    assert all(one.get("tabindex") == "0" and one.get("aria-label") for one in scrolled)
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(second - first <= 1 for first, second in pairwise(levels))


def themes() -> Iterator[dict[str, str]]:
    """The colours of each theme, by name."""
    light: dict[str, str] = {}
    for block in re.findall(r":root \{(.*?)\}", style(), re.DOTALL):
        light = {**light, **dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))}
        yield light


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_text_has_contrast_in_light_dark_and_print() -> None:
    found = list(themes())
    assert len(found) == 3
    for theme in found:
        own = [name.removesuffix("-bg") for name in theme if name.endswith("-bg") and name != "panel-bg"]
        pairs = [(f"{name}-ink", f"{name}-bg") for name in own]
        pairs += [(ink, ground) for ink in ("page-ink", "soft-ink", "link-ink") for ground in ("page-bg", "panel-bg")]
        pairs.append(("no-ink", "page-bg"))  # the point of a failed run
        for ink, ground in pairs:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    rest = re.sub(r":root \{.*?\}", "", style(), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl", rest) == []


def test_what_holds_is_said_to_hold() -> None:
    assert set(states(FACTS).values()) == {"yes"}
    checks = {one.name: one for one in report(FACTS).checks}
    assert checks["nixgen check"].state == "yes"
    assert checks["nixgen check"].when == "2026-11-30T12:00:00Z"
    assert checks["nixgen check: rebuild"].state == "unknown"
    assert checks["Reproduction"].state == "yes"
    assert checks["Known vulnerabilities"].state == "no"


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"git": None}, "Commit recorded", "no"),
        ({"git": Git("1" * 40, dirty=True, diff="diff.patch", sha256=SHA)}, "Commit recorded", "no"),
        ({"missing": ("diff.patch: .env (such a file may hold secrets)",)}, "Commit recorded", "no"),
        ({"environment": None}, "Environment pinned", "no"),
        ({"environment": Environment(closure=DIGEST)}, "Environment pinned", "no"),
        ({"environment": Environment(recorded=f"sha256:{OTHER}")}, "Environment pinned", "no"),
        ({"data": {}}, "Data snapshot with checksum", "unknown"),
        ({"data": {"sales": Used("sales.csv")}}, "Data snapshot with checksum", "no"),
        ({"config": ()}, "Configuration saved", "no"),
        ({"seeds": None}, "Seeds set", "no"),
        ({"seeds": Seeds()}, "Seeds set", "no"),
        ({"outputs": ()}, "Artifacts named and checksummed", "no"),
        ({"outputs": (Output("model.bin", 7, SHA),)}, "Artifacts named and checksummed", "no"),
    ],
)
def test_what_a_run_lacks_does_not_hold(changes: dict[str, Any], name: str, state: str) -> None:
    facts = replace(FACTS, run=replace(WHOLE, **changes))
    assert states(facts) == {key: state if key == name else "yes" for key in states(FACTS)}
    assert next(one for one in report(facts).checklist if one.name == name).mend


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"commit_here": False}, "Commit recorded", "unknown"),
        ({"commit_here": None}, "Commit recorded", "unknown"),
        ({"closure": None}, "Environment pinned", "no"),
        ({"packages": None}, "Environment pinned", "no"),
        ({"copies": {"train.yaml": "no"}}, "Configuration saved", "no"),
        ({"copies": {"train.yaml": "unknown"}}, "Configuration saved", "unknown"),
        ({"shelves": ()}, "Artifacts named and checksummed", "no"),
        ({"policy": None}, "Promotion policy written", "no"),
        ({"policy_when": ""}, "Promotion policy written", "no"),
    ],
)
def test_what_a_project_lacks_does_not_hold(changes: dict[str, Any], name: str, state: str) -> None:
    assert states(replace(FACTS, **changes)) == {key: state if key == name else "yes" for key in states(FACTS)}


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"closure": None}, "Record of the environment", "unknown"),
        ({"closure": replace(CLOSURE, changed=("wheels.numpy",))}, "Record of the environment", "no"),
        ({"closure": replace(CLOSURE, changed=None)}, "Record of the environment", "unknown"),
        ({"checked": ()}, "nixgen check", "unknown"),
        ({"checked": (replace(FACTS.checked[0], digest=f"sha256:{OTHER}"),)}, "nixgen check", "unknown"),
        ({"checked": (replace(FACTS.checked[0], project="another"),)}, "nixgen check", "unknown"),
        ({"checked": (replace(FACTS.checked[0], digest=""),)}, "nixgen check", "unknown"),
        ({"checked": FACTS.checked, "closure": None}, "nixgen check", "unknown"),
        ({"checked": (replace(FACTS.checked[0], system="aarch64-linux"),)}, "nixgen check", "unknown"),
        ({"checked": (replace(FACTS.checked[0], code=1),)}, "nixgen check", "no"),
        ({"checked": (replace(FACTS.checked[0], code=5, digest=""),)}, "nixgen check", "no"),
        ({"remade": ()}, "Reproduction", "unknown"),
        ({"remade": (replace(FACTS.remade[0], counts=False),)}, "Reproduction", "unknown"),
        ({"remade": (replace(FACTS.remade[0], verdict="differs"),)}, "Reproduction", "no"),
        ({"run": None}, "The run's environment", "unknown"),
    ],
)
def test_what_was_not_checked_is_unknown(changes: dict[str, Any], name: str, state: str) -> None:
    facts = replace(FACTS, **changes)
    assert next(one for one in report(facts).checks if one.name == name).state == state


def test_without_anything_nothing_holds_and_each_point_has_a_command() -> None:
    assert set(states(EMPTY).values()) == {"no"}
    assert all(one.mend for one in report(EMPTY).checklist)
    assert "yes" not in {one.state for one in report(EMPTY).checks}


def test_a_treemap_has_the_areas_of_the_sizes() -> None:
    sizes = [600.0, 300.0, 60.0, 30.0, 10.0]
    places = treemap.squarified(sizes, 960, 400)
    assert [round(width * height) for _, _, width, height in places] == [round(one * 384) for one in sizes]
    assert all(x >= 0 and y >= 0 and x + w < 960.01 and y + h < 400.01 for x, y, w, h in places)
    assert treemap.squarified([], 960, 400) == []
    many = tuple(Package(f"p{number}", "1", "Python", size=number + 1) for number in range(500))
    tiles = treemap.treemap(many)
    assert len(tiles) == 60
    assert tiles[-1].title.startswith("441 smaller ones: ")
    assert all(len(line) * 7 < tile.width for tile in tiles for line in tile.lines)


def test_a_plot_leaves_out_what_is_no_number() -> None:
    values: list[dict[str, float]] = [
        *({"auc": 0.5}, {"auc": 0.7}, {"auc": math.nan}, {}),
        *({"auc": 0.9}, {"auc": math.inf}, {"auc": -1e308, "n": 1e308}),
    ]
    runs = [replace(WHOLE, id=f"run-{at}", metrics=one) for at, one in enumerate(values)]
    auc, count = plots.plots(runs, runs[-1])
    assert (auc.metric, len(auc.points), len(auc.lines)) == ("auc", 4, 1)
    assert auc.said == "auc of 4 runs: from -1e+308 to 0.9, -1e+308 in the last one; 3 without a number"
    assert [point.shown for point in auc.points] == [False, False, False, True]
    assert len(count.points) == 1
    big = [replace(WHOLE, metrics={"x": value}) for value in (-1.7e308, 1.7e308)]
    assert [point.y for point in plots.plots(big, None)[0].points] == [106.0, 14.0]
    assert plots.plots([replace(WHOLE, metrics={"x": math.nan})], None) == ()


def test_the_graph_leads_from_inputs_to_aliases() -> None:
    graph = lineage.lineage(FACTS)
    assert graph is not None
    kinds = [[node.kind for node in column] for column in graph.columns]
    assert kinds == [["commit", "environment", "data", "config", "seed"], ["run"], ["output"], ["version"], ["alias"]]
    assert [(left.name, right.name) for left, right in graph.edges][-2:] == [
        ("model.bin", "fraud@0.1.0"), ("fraud@0.1.0", "fraud@prod"),
    ]  # fmt: skip
    many = replace(WHOLE, outputs=tuple(Output(f"part-{at}", 1, SHA) for at in range(1000)), git=None)
    graph = lineage.lineage(replace(FACTS, run=many))
    assert graph is not None
    assert [node.name for node in graph.columns[2]][-1] == "993 more"
    assert graph.columns[0][0].missing
    assert lineage.lineage(EMPTY) is None


def test_a_large_registry_and_many_metrics_are_cut_and_said_to_be() -> None:
    many = replace(WHOLE, metrics={f"folds.{at:03}": float(at) for at in range(500)})
    (shelf,) = FACTS.shelves
    found = report(replace(FACTS, run=many, runs=(many,), shelves=(replace(shelf, more=9950),)))
    text = "".join(Page(render.as_html(found)).texts)
    assert "488 more metrics are in the records" in text
    assert "9950 earlier ones without an alias are left out" in text
    assert "9950 earlier versions without an alias are left out" in render.as_markdown(found)


def write_run(root: Path, run: Run = WHOLE) -> Path:
    folder = root / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / RUN).write_bytes(recordfile.dump(run))
    return folder


def test_a_project_without_runs_registry_and_models(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    done = nixgen("report", cwd=root)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("report.html: 0 of 7 points of the checklist hold\n")
    first = (root / "report.html").read_bytes()
    text = "".join(Page(first.decode()).texts)
    for said in ("none is recorded", "nixgen.lock pins none", "no run is recorded", "numpy", "six", "2.4.6"):
        assert said in text
    assert nixgen("report", cwd=root).returncode == 0  # its own page is written over
    assert (root / "report.html").read_bytes() == first
    assert nixgen("report", "--out", "-", cwd=root).stdout.encode() == first
    dated = nixgen("report", "--out", "-", cwd=root, SOURCE_DATE_EPOCH="86400").stdout
    assert "1970-01-02 00:00 UTC" in dated
    (root / "report.html").write_text("mine")
    done = nixgen("report", cwd=root)
    assert (done.returncode, (root / "report.html").read_text()) == (2, "mine")
    assert "no report wrote it" in done.stderr


def test_what_is_damaged_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    write_run(root)
    (write_run(root, EARLIER) / RUN).write_text("version: 1\nid: nothing\n")
    (root / record.NAME).write_text("{")
    (root / "promotion.toml").write_text("version = 9")
    done = nixgen("report", "--json", cwd=root)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    named = " ".join(one["where"] for one in told["problems"])
    for place in (EARLIER.id, record.NAME, "promotion.toml"):
        assert place in named
        assert place in done.stderr
    assert told["run"]["id"] == WHOLE.id
    assert {one["name"]: one["state"] for one in told["checklist"]}["Seeds set"] == "yes"
    (root / "nixgen.lock").write_text("{")
    done = nixgen("report", "--markdown", cwd=root)
    assert done.returncode == 1
    assert "Which packages it has is unknown." in done.stdout
    assert "nixgen.lock" in done.stderr
    (root / "nixgen.lock").unlink()
    assert nixgen("report", "--markdown", cwd=root).returncode == 1


def test_reproductions_count_for_the_record_that_they_were_compared_with(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    folder = write_run(root)
    made = replace(WHOLE, id="20261130-141500-3fa2c2", started=STARTED.replace(hour=14))
    reproductions.write(folder, reproductions.Reproduction(WHOLE.id, reproductions.digest(folder), "bytes", made))
    told = {one["name"]: one for one in json.loads(nixgen("report", "--json", cwd=root).stdout)["checks"]}
    assert (told["Reproduction"]["state"], told["Reproduction"]["when"]) == ("yes", "2026-11-30T14:15:00Z")
    (folder / RUN).write_bytes(recordfile.dump(replace(WHOLE, exit=3)))
    told = {one["name"]: one for one in json.loads(nixgen("report", "--json", cwd=root).stdout)["checks"]}
    assert told["Reproduction"]["state"] == "unknown"


def test_the_registry_is_read_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NIXGEN_BY", "ann@example.com")
    root = tmp_path / "project"
    root.mkdir()
    home = Home(root)
    home.told("init")
    noted = read_lock(root / "nixgen.lock").registry
    project(root)
    lock = read_lock(root / "nixgen.lock")
    (root / "nixgen.lock").write_text(dump_lock(replace(lock, registry=noted)))
    (root / "pyproject.toml").write_text((root / "pyproject.toml").read_text().replace("Demo.App", "demo"))
    (root / "uv.lock").write_text((root / "uv.lock").read_text().replace("demo-app", "demo"))
    (root / "promotion.toml").write_text(POLICY)
    home.publish(1, "0.1.0")
    home.told("promote", "fraud@0.1.0", "staging")
    told = json.loads(nixgen("report", "--json", cwd=root).stdout)
    (shelf,) = told["shelves"]
    assert (shelf["address"], shelf["entries"]) == ("registry", 2)
    assert shelf["versions"][0]["aliases"] == ["staging"]
    assert shelf["moves"][0]["conditions"][1]["value"] == "0.95 (wanted: at least 0.9)"
    points = {one["name"]: one for one in told["checklist"]}
    assert points["Artifacts named and checksummed"]["value"] == "demo/fraud@0.1.0: 1 file, with the run's hashes"
    assert points["Promotion policy written"]["state"] == "no"  # it is not committed: there is no repository
    (root / "registry" / "log" / "checkpoint").write_text("rewritten")
    done = nixgen("report", "--json", cwd=root)
    assert done.returncode == 1
    assert json.loads(done.stdout)["shelves"] == []
    assert "Registry log" not in json.dumps(json.loads(done.stdout)["checks"])


def test_a_result_of_the_check_is_taken(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    seen = RECORD.systems["x86_64-linux"]
    named = replace(RECORD, project="demo-app", systems={"x86_64-linux": seen})
    (root / record.NAME).write_text(record.dump_record(named))
    steps = (Step("bytes", True, "the same"), Step("rebuild", None, "was not asked for"))
    (root / "check.json").write_text(as_json([Report("demo-app", X86, steps, seen.digest)], STARTED))
    told = json.loads(nixgen("report", "--check", "check.json", "--json", cwd=root).stdout)
    found = {one["name"]: one for one in told["checks"]}
    assert (found["nixgen check"]["state"], found["nixgen check"]["when"]) == ("yes", "2026-11-30T13:15:00Z")
    assert found["nixgen check: rebuild"]["state"] == "unknown"
    assert found["Record of the environment"]["state"] == "no"
    assert "changed since: wheels.numpy" in found["Record of the environment"]["value"]
    assert told["closure"]["paths"] == len(seen.closure)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "latest"), "has no runs"),
        (("--environment", "gpu"), "has no environment gpu"),
        (("--system", "riscv64-linux"), "does not serve"),
        (("--markdown", "--json"), "two forms"),
        (("--check", "gone.json"), "is not there"),
        (("--check", "pyproject.toml"), "is not JSON"),
        (("--check", "list.json"), "not an object"),
        (("--check", "empty.json"), "reports: is missing"),
        (("--check", "deep.json"), "nested too deeply"),
        (("--check", "nested.json"), "reports[0]: is a list, not an object"),
        (("--out", "gone/report.html"), "is not a folder"),
        (("--project", "gone"), "gone"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    root = project(tmp_path / "demo")
    (root / "list.json").write_text("[]")
    (root / "empty.json").write_text('{"version": 1}')
    (root / "deep.json").write_text("[" * 100_000)
    (root / "nested.json").write_text(f'{{"version": 1, "reports": [{"[" * 900}{"]" * 900}]}}')
    done = nixgen("report", *words, cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("audited", "state", "said"),
    [
        (None, "unknown", "not looked up for this report"),
        (Audited(2, 9), "yes", "none in 2 packages, by 9 advisories"),
        (Audited(2, 9, (), ("1: data has no advisories",)), "yes", "not looked up: 1: data has no advisories"),
        (Audited(0, 9, (), ("1: data has no advisories",)), "unknown", "none in 0 packages"),
        (Audited(2, 9, (Vulnerability("a", "1", ("CVE-1",), unknown="why"),)), "unknown", "; 1 undecided"),
        (FACTS.audited, "no", "1 in 3 packages, by 1,200 advisories"),
    ],
)
def test_vulnerabilities_that_were_not_looked_up_are_not_taken_for_none(
    audited: Audited | None, state: str, said: str
) -> None:
    (item,) = [one for one in report(replace(FACTS, audited=audited)).checks if one.name == "Known vulnerabilities"]
    assert (item.state, said in item.value) == (state, True)


def test_a_database_of_advisories_makes_a_section(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    (root / "advisories").mkdir()
    (root / "advisories/a.json").write_text(json.dumps(of("six", ZERO, summary="gone")))
    for given in ({"NIXGEN_ADVISORIES": "advisories"}, {}):
        words = () if given else ("--database", "advisories")
        told = json.loads(nixgen("report", "--json", *words, cwd=root, **given).stdout)
        assert [one["package"] for one in told["audited"]["found"]] == ["six"]
        assert {one["name"]: one["state"] for one in told["checks"]}["Known vulnerabilities"] == "no"
    done = nixgen("report", "--database", "gone", cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert "gone: " in done.stderr


def test_a_signed_statement_says_by_whom_and_whether_it_was_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("model_signing")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NIXGEN_BY", "ann@example.com")
    private, public = keys(tmp_path, "key")
    _, other = keys(tmp_path, "other")
    root = tmp_path / "project"
    root.mkdir()
    home = Home(root)
    home.told("init")
    home.publish(1, "0.1.0")

    def found(*words: str) -> dict[str, tuple[str, str]]:
        (shelf,) = json.loads(nixgen("report", "--json", *words, cwd=root).stdout)["shelves"]
        return {one["name"]: (one["state"], one["value"]) for one in shelf["statements"]}

    assert found() == {"Statement about demo/fraud@0.1.0": ("no", "is not signed")}
    home.told("publish", home.run(2), "fraud", "--version", "0.2.0", "--sign", str(private))
    ((name, (state, said)),) = found().items()
    assert (name, state) == ("Statement about demo/fraud@0.2.0", "unknown")
    assert re.fullmatch("signed by the key [^ ]{12}; not verified", said)
    (verified,) = found("--signed-by", str(public)).values()
    assert verified == ("yes", said.replace("; not verified", ", which is key.pub, and about this run and these files"))
    ((state, said),) = found("--signed-by", str(other)).values()
    assert (state, "is not a good signature" in said) == ("no", True)
    ((state, said),) = found("--signed-by", "nothing").values()
    assert (state, "not verified: nothing cannot be read" in said) == ("unknown", True)
