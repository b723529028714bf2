"""A report as a page, as Markdown and as JSON. What is spliced into a template is escaped by ``finalize``, always."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nixgen import __version__, resources
from nixgen.check.digest import spoken
from nixgen.check.report.markdown import escaped
from nixgen.console import size
from nixgen.machine import process
from nixgen.reports import lineage, plots, treemap
from nixgen.reports.model import Report
from nixgen.runs import recordfile
from nixgen.runs.listing import number, took
from nixgen.runs.model import Run

if TYPE_CHECKING:
    from jinja2 import Environment

VERSION = 1
"""Of the JSON's form."""

WORDS = {"yes": "holds", "no": "does not hold", "unknown": "unknown"}
_CAMEL = re.compile("_([a-z])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def as_html(report: Report) -> str:
    """The page: one file, without scripts, that loads nothing."""
    return _environment("html").get_template("report.html.j2").render(**_values(report))


def as_markdown(report: Report) -> str:
    """The same as tables, for a repository."""
    text = _environment("md").get_template("report.md.j2").render(**_values(report))
    return re.sub(r"\n{3,}", "\n\n", text)


def as_json(report: Report) -> str:
    """The facts and what follows from them; a metric that is no number is a text."""
    facts = _plain(report.facts)
    document = {
        "version": VERSION,
        "project": {"name": facts.pop("project"), "version": facts.pop("version")},
        "checks": _plain(report.checks),
        "checklist": _plain(report.checklist),
        **facts,
    }
    return json.dumps(document, indent=2, allow_nan=False)


@cache
def _environment(kind: str) -> Environment:
    from markupsafe import Markup

    def finalize(value: object) -> object:
        """A value as text of which every character is seen; None is nothing."""
        if isinstance(value, Markup):
            return value
        text = "" if value is None else visible(str(value))
        return text if kind == "html" else Markup(escaped(text))  # noqa: S704 -- escaped, for Markdown

    made = resources.templates(finalize, autoescape=True)
    made.filters |= {"size": size, "number": number, "took": took, "words": process.shown, "day": _day}
    return made


def visible(text: str) -> str:
    """A text of which every character is seen, and none turns the direction of what stands behind it."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _values(report: Report) -> dict[str, Any]:
    facts = report.facts
    packages = sorted(facts.packages or (), key=lambda one: (one.build, one.kind != "Python", one.kind, one.name))
    inside = [one for one in packages if not one.build]
    licensed = sum(bool(one.licence) for one in inside)
    names = plots.metrics(facts.runs, facts.run)
    total = size(sum(one.size or 0 for one in inside))
    held = sum(one.state == "yes" for one in report.checklist)
    return {
        "report": report,
        "facts": facts,
        "run": facts.run,
        "held": held,
        "tiles": treemap.treemap(packages),
        "graph": lineage.lineage(facts),
        "plots": plots.plots(facts.runs, facts.run),
        "metrics": names[: plots.MOST],
        "unshown": len(names[plots.MOST :]),
        "digest": spoken(facts.system, facts.closure.digest) if facts.closure else "",
        "packages": packages,
        "summary": f"{len(inside):,} packages in the environment, {total}; the licence of {licensed:,} is known",
        "map": treemap,
        "line": lineage,
        "plot": plots,
        "word": WORDS,
        "nixgen": __version__,
    }


def _day(time: str) -> str:
    """A time as people read it: "2026-05-03 12:00 UTC"."""
    return f"{time[:10]} {time[11:16]} UTC" if time else ""


def _plain(value: Any) -> Any:  # noqa: ANN401 -- any value of a report
    """A value as JSON has it: a run with the keys of run.yaml, other fields in camel case."""
    if isinstance(value, Run):
        return _plain(recordfile.values(value))
    if is_dataclass(value):
        return {
            _CAMEL.sub(lambda hit: hit[1].upper(), one.name): _plain(getattr(value, one.name)) for one in fields(value)
        }
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
