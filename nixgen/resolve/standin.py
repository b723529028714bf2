"""The Python that uv is shown while it compares uv.lock with pyproject.toml. Run by its path; imports only the library.

uv wants an interpreter that requires-python allows even where it only reads, and which ones a machine has must not
change its answer. So this one answers uv's question about itself with the version that it is told, on Linux, and
refuses everything else: no build backend can run on it.

Arguments: the path that uv knows it by, the whole version, then uv's own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

_QUESTION = "get_interpreter_info"  # the name of uv's script, which it gives to python -c


def main() -> None:
    """Answers uv, or ends with exit code 1."""
    path, full, *_, code = sys.argv[1:]
    if _QUESTION not in code:
        sys.exit("nixgen builds nothing here")
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


if __name__ == "__main__":
    main()
