"""Times commands in turn; a program of its own, so that the loop can run inside a store's mount namespace.

Takes one argument, JSON: ``commands`` (argument lists), ``before`` (for each an argument list or null, run untimed
ahead of it), ``runs`` and ``warm``. Prints a JSON list with a list of seconds for each command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> int:
    plan = json.loads(sys.argv[1])
    commands, before = plan["commands"], plan["before"] or [None] * len(plan["commands"])
    times: list[list[float]] = [[] for _ in commands]
    for turn in range(plan["warm"] + plan["runs"]):
        for index, (argv, first) in enumerate(zip(commands, before, strict=True)):
            if first:
                _run(first)
            started = time.perf_counter()
            _run(argv)
            if turn >= plan["warm"]:
                times[index].append(time.perf_counter() - started)
    print(json.dumps(times))
    return 0


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout.decode(errors="replace")[-4000:])
        sys.exit(f"failed: {' '.join(argv)}")


if __name__ == "__main__":
    sys.exit(main())
