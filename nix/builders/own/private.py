"""Makes a folder of one's own, for what a process and its children write, and prints its path.

A process cannot tidy up after itself once it has become another program. So the folder's name tells its owner's process
id, and whoever makes the next folder removes those whose owner has ended. Usage: private.py PID, where 0 means that
nobody removes it.
"""

import os
import re
import shutil
import sys
import tempfile


def private_folder(owner, kind="hf"):
    """A new folder that only this user may enter. Raises SystemExit where none can be made."""
    places = [os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR"), "/tmp"]
    for place in filter(None, places):
        try:
            _remove_abandoned(place)
            return tempfile.mkdtemp(prefix=f"nixgen-{kind}-{_namespace()}-{owner}-", dir=place)
        except OSError:
            continue
    raise SystemExit("nixgen: no folder can be made for files of this shell: set TMPDIR to one that is writable")


def _namespace():
    """Process ids mean something only among the processes that see each other (pid_namespaces(7))."""
    try:
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        return "0"


def _remove_abandoned(place):
    pattern = re.compile(rf"nixgen-(?:hf|venv)-{_namespace()}-([1-9][0-9]*)-[^-]+")
    with os.scandir(place) as entries:
        for entry in entries:
            name = pattern.fullmatch(entry.name)
            if name and entry.stat(follow_symlinks=False).st_uid == os.getuid() and not _alive(int(name[1])):
                shutil.rmtree(entry.path, ignore_errors=True)


def _alive(process):
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    print(private_folder(int(sys.argv[1])))
