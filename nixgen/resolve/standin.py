"""The Python that uv is shown while it compares uv.lock with pyproject.toml. Run by its path; imports only the library.

uv wants an interpreter that requires-python allows even where it only reads, and which ones a machine has must not
change its answer. So this one answers uv's question about itself with the version that it is told, on Linux, and
refuses everything else: no build backend can run on it.

Its answer depends on nothing but what asks and what answers, so it is kept: the next stand-in of the same two only
prints it (:func:`nixgen.resolve.uv.stand_in`), in 2 ms where a Python takes 50.

Arguments: the path that uv knows it by, the whole version, what asks and answers, the file to keep the answer in, then
uv's own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

QUESTION = "get_interpreter_info"
"""The name of uv's script, which it gives to ``python -c``."""

REFUSAL = "nixgen builds nothing here"


def main() -> None:
    """Answers uv, or ends with exit code 1."""
    path, full, sides, kept, *_, code = sys.argv[1:]
    if QUESTION not in code:
        sys.exit(REFUSAL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": "__main__"})  # noqa: S102 -- uv's script, which knows what this uv asks for
    told = json.loads(printed.getvalue())
    told |= {"sys_executable": path, "sys_base_executable": path}
    told["markers"] |= {
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": full.rpartition(".")[0],
        "sys_platform": "linux",
    }
    sys.stdout.write(json.dumps(told))
    with contextlib.suppress(OSError):  # a cache that cannot be written is one without this
        _keep(kept, json.dumps({"of": sides, "answer": told}))


def _keep(file: str, text: str) -> None:
    """Writes a file whole or not at all, its SHA-256 in the first line."""
    import hashlib

    os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120 -- pathlib takes longer than all else here
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as opened:  # noqa: PTH123 -- the same
        opened.write(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    os.replace(temporary, file)  # noqa: PTH105 -- the same


if __name__ == "__main__":
    main()
