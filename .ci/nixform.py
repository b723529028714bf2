"""The form of every .nix file of this repository: it parses, and its blanks are in order.

No formatter for the Nix language can be had from the package indexes that this project builds from, so this checks what
can be checked without one: no tab, no blank at a line's end, no two empty lines in a row, one newline at the end, at
most 120 columns. ``--write`` mends all of that but the long lines.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 120


def files() -> list[Path]:
    """The .nix files that git knows or would add, sorted; golden files are somebody's expected output, so not these."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.nix"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [ROOT / name for name in sorted(set(listed)) if (ROOT / name).is_file() and "golden" not in Path(name).parts]


def mended(text: str) -> str:
    """The text with its blanks in order."""
    text = text.replace("\r\n", "\n").replace("\t", "  ")
    text = re.sub(r"[ ]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def problems(path: Path, text: str) -> Iterator[str]:
    """What is wrong with one file, as ``file:line: sentence``."""
    name = path.relative_to(ROOT)
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line or "\r" in line:
            yield f"{name}:{number}: a tab or carriage return"
        if line.rstrip() != line:
            yield f"{name}:{number}: blanks at the end"
        if len(line) > COLUMNS and "://" not in line:
            yield f"{name}:{number}: {len(line)} columns, more than {COLUMNS}"
    if mended(text) != text:
        yield f"{name}: empty lines at its start or end, two in a row, or no newline at the end"


def parse_error(path: Path) -> str:
    """What Nix says about a file that it cannot parse; empty where it can."""
    done = subprocess.run(["nix-instantiate", "--parse", path], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()


def main() -> int:
    """Checks, or with ``--write`` mends, and gives the exit code."""
    found = 0
    for path in files():
        text = path.read_text(encoding="utf-8")
        if "--write" in sys.argv[1:]:
            if mended(text) != text:
                path.write_text(mended(text), encoding="utf-8")
                print(f"written: {path.relative_to(ROOT)}")
            continue
        for problem in [*problems(path, text), *filter(None, [parse_error(path)])]:
            found += 1
            print(problem)
    if "--write" not in sys.argv[1:]:
        print(f"{len(files())} .nix files, {found} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
