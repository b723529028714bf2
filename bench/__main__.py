"""``python -m bench [MEASUREMENT…] [--write]``: measures, and prints a table or writes it into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import (
    building,
    checking,
    command,
    evaluation,
    fleet,
    images,
    logs,
    pinning,
    registry,
    runs,
    shipping,
    sources,
    verification,
)
from bench.measure import Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by make bench: begin -->", "<!-- written by make bench: end -->"

MEASUREMENTS = {
    "help": command.help_text,
    "generate": command.generate,
    "show": command.show,
    "sbom": command.sbom,
    "report": command.report,
    "evaluation": evaluation.evaluation,
    "build": building.build,
    "entry": building.entry,
    "rebuild": building.rebuild,
    "locking": sources.locking,
    "extension": sources.extension,
    "develop": evaluation.develop,
    "imports": building.imports,
    "verification": verification.verification,
    "pinning": pinning.pinning,
    "log": logs.logs,
    "runs": runs.runs,
    "registry": registry.registry,
    "checking": checking.checking,
    "rebuilding": checking.rebuilding,
    "images": images.images,
    "pushing": shipping.pushing,
    "archiving": shipping.archiving,
    "bundling": shipping.bundling,
    "fleet": fleet.fleet,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MEASUREMENT", help=f"of: {', '.join(MEASUREMENTS)} (default: all)")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(MEASUREMENTS)):
        parser.error(f"no such measurement: {', '.join(unknown)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed nixgen has byte code
    rows: list[Row] = []
    for name, measure in MEASUREMENTS.items():
        if not given.names or name in given.names:
            print(f"measuring {name} …", file=sys.stderr)
            rows += measure()
    text = f"{machine()}\n\n{table(rows)}"
    print(text)
    if given.write:
        head, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")
    return 1 if any(row.kept is False for row in rows) else 0


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | limit | kept |", "|---|---|---|---|"]
    words = {True: "yes", False: "**no**", None: ""}
    for row in rows:
        what = f"{row.what} ({row.note})" if row.note else row.what
        lines.append(f"| {what} | {row.measured} | {row.limit} | {words[row.kept]} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What it was measured on, in a line."""
    model = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"Measured on {os.cpu_count()} cores ({model}), Linux {platform.release().split('-')[0]}. Medians; what is "
        "compared was run in turn in the same run."
    )


if __name__ == "__main__":
    sys.exit(main())
