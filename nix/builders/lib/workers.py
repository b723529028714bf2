"""Splits work over the cores that Nix grants. What is written never depends on how many there are."""

import os
import sys
import traceback


def cores():
    """The cores that this build may use: NIX_BUILD_CORES, where 0 means all of the machine (nix.conf(5), cores)."""
    return int(os.environ.get("NIX_BUILD_CORES", "1")) or os.cpu_count() or 1


def spread(items, weight, work):
    """Runs ``work(share)`` in forked processes, the shares of about equal total weight; joins what they return.

    ``work`` returns text lines. A worker that fails ends the build: its message stands in the log already.
    """
    count = max(1, min(cores(), len(items)))
    shares = [[] for _ in range(count)]
    sums = [0] * count
    for item in sorted(items, key=weight, reverse=True):
        lightest = sums.index(min(sums))
        shares[lightest].append(item)
        sums[lightest] += weight(item)
    if count == 1:
        return work(shares[0])
    running = []
    for share in shares:
        source, target = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(source)
            status = 1
            try:
                with open(target, "w", encoding="utf-8") as pipe:
                    pipe.writelines(line + "\n" for line in work(share))
                status = 0
            except SystemExit as stop:
                print(stop, file=sys.stderr)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(target)
        running.append((pid, source))
    lines, failed = [], False
    for pid, source in running:
        with open(source, encoding="utf-8") as pipe:
            lines += pipe.read().splitlines()
        failed |= os.waitpid(pid, 0)[1] != 0
    if failed:
        raise SystemExit(1)
    return sorted(lines)
