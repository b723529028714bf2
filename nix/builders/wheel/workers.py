"""Splits work over the cores that Nix grants. What is written never depends on how many there are."""

import os
import sys

# Less work than this, in the units of `weight`, is done sooner than a second process is started.
WORTH_A_PROCESS = 1_000_000


def cores():
    """The cores that this build may use: NIX_BUILD_CORES, where 0 means all of the machine (nix.conf(5), cores)."""
    return int(os.environ.get("NIX_BUILD_CORES", "1")) or os.cpu_count() or 1


def spread(items, weight, work):
    """Runs ``work(share)`` in forked processes, the shares of about equal total weight; joins the lines they return.

    The result is sorted. A worker's error ends the build with its message.
    """
    total = sum(map(weight, items))
    count = max(1, min(cores(), len(items), total // WORTH_A_PROCESS))
    shares = [[] for _ in range(count)]
    sums = [0] * count
    for item in sorted(items, key=weight, reverse=True):
        lightest = sums.index(min(sums))
        shares[lightest].append(item)
        sums[lightest] += weight(item)
    if count == 1:
        return sorted(work(shares[0]))
    running = []
    for share in shares:
        source, target = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(source)
            _run(work, share, target)
        os.close(target)
        running.append((pid, source))
    lines, problems = [], []
    for pid, source in running:
        with open(source, encoding="utf-8") as pipe:
            said = pipe.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        (problems if status else lines).extend(said)
        if status < 0 or (status and not said):
            problems.append(f"{os.environ.get('file', '')}: a process of the build ended with status {status}")
    if problems:
        raise SystemExit("\n".join(sorted(problems)))
    return sorted(lines)


def _run(work, share, target):
    """A worker's life: what it found, or what went wrong, goes into the pipe; never returns."""
    status = 1
    with open(target, "w", encoding="utf-8") as pipe:
        try:
            pipe.writelines(line + "\n" for line in work(share))
            status = 0
        except Exception as error:
            name = os.environ.get("file", "")
            pipe.writelines(f"{name}: {problem}\n" for problem in getattr(error, "problems", [repr(error)]))
    sys.stdout.flush()
    os._exit(status)
