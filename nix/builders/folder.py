"""Makes a folder of links and small texts.

Input: the environment variable ``planPath``, a file with JSON: {"links": [[path, target]], "texts": [[path, text]]},
all paths relative, with forward slashes; and ``out``.
"""

import json
import os

OUT = os.environ["out"]
with open(os.environ["planPath"], encoding="utf-8") as file:
    PLAN = json.load(file)


def collect(entries):
    """Path → what is to be there. One path twice is an error, unless both mean the same."""
    found = {}
    for path, value in entries:
        if any(part in {"", ".", ".."} for part in path.split("/")):
            raise SystemExit(f"{path!r} is not a path inside a folder")
        if found.setdefault(path, value) != value:
            kinds = "two commits" if value[0] == "text" else "two files"
            raise SystemExit(f"{path} would be {kinds}: {found[path][1]} and {value[1]}. Pin one of them in models.toml, then run: nixgen sync")
    return found


def main():
    wanted = collect([*((path, ("link", target)) for path, target in PLAN["links"]), *((path, ("text", text)) for path, text in PLAN["texts"])])
    os.mkdir(OUT)
    folders = {OUT}
    for path, (kind, value) in sorted(wanted.items()):
        place = f"{OUT}/{path}"
        parent = os.path.dirname(place)
        try:
            if parent not in folders:
                os.makedirs(parent, exist_ok=True)
                folders.add(parent)
            if kind == "link":
                os.symlink(value, place)
            else:
                with open(place, "x", encoding="utf-8", newline="") as file:
                    file.write(value)
        except (FileExistsError, NotADirectoryError):
            raise SystemExit(f"{path} is to be a file, and a folder is to have that name, or the other way round") from None


main()
