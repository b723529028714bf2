"""Builds a source into a wheel and installs that as any wheel; or says what the source needs to be built.

Input, as environment variables: out, mode (static, dynamic or wheel), name, version, src (an archive or a folder), file
(its name, for messages), subdirectory, patches (paths); lib (the folder of this and the modules beside it); and but for
``static``: environment (a venv with what the source requires), epoch, timeout (seconds), path (folders of programs),
variables and settings (JSON), crates (JSON: name, version, sha256 and file of each, where there are any), tools (store paths that no wheel needs when it runs), and what wheel/install.py reads, with its modules in ``wheels``.

Output: ``static`` and ``dynamic`` give a file with JSON; ``wheel`` what install.py gives.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import archive
import crates
import leftovers
import project
import references
import shell

GIVEN = os.environ
OUT, MODE = GIVEN["out"], GIVEN["mode"]
TOP = os.getcwd()
CORES = str(int(GIVEN.get("NIX_BUILD_CORES", "1")) or os.cpu_count() or 1)
# A line that says why, for the end of the log: compilers', linkers', Python's, and those of build tools.
# Options (-Werror) and names of files (error.c) are in each command that a build prints.
_REASON = re.compile(r"(?<![-\w/.])error\b(?![./=])|Error:|cannot find|not found|No such file|undefined reference|No module named", re.IGNORECASE)
# Where tools that take versions from git's history read one instead. hatch-vcs has no name to ask setuptools-scm for.
_VERSIONS = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS", "UV_DYNAMIC_VERSIONING_BYPASS", "PBR_VERSION")
# Others, which read one of PKG-INFO alone.
_NOTED = re.compile(r"(?:versioningit|setuptools[-_.]git[-_.]versioning)\b", re.IGNORECASE)
# What they make where they find none: versioneer's "0+unknown", setuptools' "0.0.0".
_NO_VERSION = re.compile(r"0(\.0)*(\+.*)?")
_MOST_REASONS, _LAST_LINES = 6, 5
_LONGEST_LINE, _LARGEST_ANSWER = 1 << 16, 1 << 20


def told(what):
    return f"{' '.join(filter(None, [GIVEN['project'], GIVEN['version']]))}: {what}"


def stop(what):
    raise SystemExit(told(what))


def unpacked():
    """The folder of the source, and the newest time in it."""
    folder, src = f"{TOP}/source", GIVEN["src"]
    if os.path.isdir(src):
        shutil.copytree(src, folder, symlinks=True)
        newest = archive.FIRST
        for parent, folders, files in os.walk(folder):
            os.chmod(parent, 0o755)
            for name in files:
                path = os.path.join(parent, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
                    os.utime(path, (int(GIVEN.get("epoch") or newest),) * 2)
    else:
        try:
            newest = archive.unpack(src, folder)
        except archive.Refused as problem:
            stop(f"{GIVEN['file']} is not unpacked: {problem}")
        entries = os.listdir(folder)
        if len(entries) == 1 and os.path.isdir(f"{folder}/{entries[0]}") and not os.path.islink(f"{folder}/{entries[0]}"):
            folder = f"{folder}/{entries[0]}"
    inside = os.path.realpath(f"{folder}/{GIVEN['subdirectory']}")
    if not (inside + "/").startswith(os.path.realpath(folder) + "/") or not os.path.isdir(inside):
        stop(f"{GIVEN['file']} has no folder {GIVEN['subdirectory']}")
    for patch in GIVEN["patches"].split():
        done = subprocess.run(["patch", "-p1", "-i", patch], cwd=folder, env={"PATH": GIVEN["path"]}, check=False)
        if done.returncode:
            stop(f"the patch {patch.split('-', 1)[-1]} does not apply")
    return inside, newest


def surroundings(folder):
    """The environment variables of the backend: nothing of the host's, and one value wherever builds are known to differ."""
    for name in ("home", "tmp"):
        os.makedirs(f"{TOP}/{name}", exist_ok=True)
    given = {
        "PATH": ":".join([f"{GIVEN['environment']}/bin", *GIVEN["path"].split(":")]),
        "HOME": f"{TOP}/home",
        "TMPDIR": f"{TOP}/tmp",
        "NIX_BUILD_TOP": TOP,
        "NIX_STORE": GIVEN.get("NIX_STORE", "/nix/store"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "SHELL": GIVEN["shell"],
        "CONFIG_SHELL": GIVEN["shell"],
        "VIRTUAL_ENV": GIVEN["environment"],
        "SOURCE_DATE_EPOCH": GIVEN["epoch"],
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # There is no network; what would ask it all the same is to say so at once.
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_OFFLINE": "1",
        "CARGO_NET_OFFLINE": "true",
        "CARGO_HOME": f"{TOP}/cargo",
        "NIX_BUILD_CORES": CORES,
        "MAKEFLAGS": f"-j{CORES}",
        "CMAKE_BUILD_PARALLEL_LEVEL": CORES,
        "CARGO_BUILD_JOBS": CORES,
        "NPY_NUM_BUILD_JOBS": CORES,
        "MAX_JOBS": CORES,
    }
    if not os.path.isfile(f"{folder}/PKG-INFO") and GIVEN["version"]:
        # A checkout: the version was found when it was locked, and its history is not here.
        word = re.sub(r"[-_.]+", "_", GIVEN["project"]).upper()
        for name in (f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{word}", *_VERSIONS):
            given[name] = GIVEN["version"]
    return {**given, **json.loads(GIVEN["variables"])}


def settings(backend):
    """The config settings: the project's, and the cores for the backend that takes them in no other way."""
    found = json.loads(GIVEN["settings"])
    if backend == "mesonpy" and "compile-args" not in found:
        return {**found, "compile-args": [f"-j{CORES}"]}
    return found


def ask(asked, folder, found):
    """Calls a hook; its answer. What the backend prints goes into the log as it comes."""
    leftovers.adopt()
    os.makedirs(f"{TOP}/wheel", exist_ok=True)
    answer = f"{TOP}/answer"
    python = f"{GIVEN['environment']}/bin/python"
    backend = found["backend"]
    command = [python, "-s", "-P", f"{GIVEN['lib']}/hooks.py", backend, json.dumps(found["backendPath"]), asked, json.dumps(settings(backend)), f"{TOP}/wheel", answer]
    os.makedirs(f"{TOP}/root", exist_ok=True)

    def provide():
        shell.provide(GIVEN["shell"], f"{TOP}/root")

    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=surroundings(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=provide)
    limit = int(GIVEN["timeout"])

    def end(*_):
        os.killpg(process.pid, signal.SIGKILL)
        print()
        sys.stdout.flush()
        what = f"its build took longer than {limit} seconds and was ended. To give it more: timeout under [tool.nixgen.packages.{GIVEN['project']}] in pyproject.toml"
        os.write(2, f"{told(what)}\n".encode())
        os._exit(1)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(limit)
    last, reasons = [], []

    def read():
        for line in iter(lambda: process.stdout.readline(_LONGEST_LINE), b""):
            text = line.decode("utf-8", "replace").rstrip()
            print(text, flush=True)
            if text:
                last[:] = [*last, text][-_LAST_LINES:]
            if _REASON.search(text) and len(reasons) < 100:
                reasons.append(text)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    status = process.wait()
    # What was left behind would keep the output open, and could change what comes next.
    if left := leftovers.end(process.pid):
        print(f"{left} processes that {backend} left behind were ended" if left > 1 else f"a process that {backend} left behind was ended")
    reader.join()
    signal.alarm(0)
    if status:
        hook = "build_wheel" if asked == "wheel" else "get_requires_for_build_wheel"
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        shown = [line.strip()[:300] for line in dict.fromkeys([*reasons[: _MOST_REASONS - 2], *reasons[-2:]] or last)]
        lacks = "" if shell.possible(GIVEN["shell"], f"{TOP}/root") else "\n  (this Nix's sandbox has no /bin/sh, which build tools ask for: see sandbox-paths in nix.conf)"
        advice = "\n  What to write into pyproject.toml, if it lacks something of the system: nixgen check" if asked == "wheel" else ""
        stop("\n  ".join([f"not built: {backend} {how} in {hook} after {time.monotonic() - started:.0f} s", *shown]) + lacks + advice)
    try:
        with open(answer, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_size <= _LARGEST_ANSWER:
                return json.load(file)
    except (FileNotFoundError, ValueError):
        pass
    stop(f"not built: {backend} ended without the answer that PEP 517 asks for, or with one that is no text")


def answer(value):
    """Writes the output of a question."""
    with open(OUT, "w", encoding="utf-8") as file:
        json.dump(value, file, sort_keys=True)
        file.write("\n")


def install(wheel):
    """Becomes the program that installs any wheel."""
    path = f"{TOP}/wheel/{wheel}"
    if not isinstance(wheel, str) or "/" in wheel or not wheel.endswith(".whl") or not os.path.isfile(path):
        stop(f"its backend says that it made {wheel!r}, which is no wheel")
    normal = re.sub(r"[-_.]+", "-", wheel.split("-")[0]).lower()
    if normal != re.sub(r"[-_.]+", "-", GIVEN["project"]).lower():
        stop(f"its backend made a wheel of {normal}")
    try:
        for name in references.blank(path, GIVEN["tools"].split()):
            print(f"{name}: names the tools that it was built with; their paths are blanked")
    except references.Damaged as problem:
        stop(f"its backend made a wheel that cannot be read: {problem}")
    made = wheel.split("-")[1]
    if _NO_VERSION.fullmatch(made) and GIVEN["version"] and not _NO_VERSION.fullmatch(GIVEN["version"]):
        stop(f"its backend made version {made}, as it does not see git's history. Tell it the version, under env of [tool.nixgen.packages.{GIVEN['project']}] in pyproject.toml, or by a patch")
    os.environ.update(src=path, file=wheel, PYTHONPATH=GIVEN["wheels"])
    sys.stdout.flush()
    python = f"{GIVEN['PYTHONHOME']}/bin/python{GIVEN['python']}"
    os.execv(python, [python, "-S", "-s", "-c", "import install; install.main()"])


def refuse_host():
    """Ends the build where the machine's files are there: a backend takes what it finds, and the source may do harm."""
    found = [place for place in ("/home", "/root", "/usr/lib", "/var") if os.path.exists(place)]
    if sys.platform == "linux" and found:
        stop(
            f"not built: this Nix builds without its sandbox ({found[0]} is there), so what comes out would depend on the machine.\n"
            "  To turn the sandbox on: put the line sandbox = true into /etc/nix/nix.conf, in the place of sandbox = false\n"
            "  (for one command: --option sandbox true)"
        )


def required(folder, found):
    """What the backend asks for."""
    wanted = ask("requires", folder, found)
    if not isinstance(wanted, list) or not all(isinstance(entry, str) for entry in wanted):
        stop(f"{found['backend']} asks for what is no text: {wanted!r}")
    return wanted


def refuse_more(wanted, asked):
    """Stops where the backend asks for what is not there: its answer on the system ``asked`` was another one."""
    folder = f"{GIVEN['environment']}/lib/python{GIVEN['python']}/site-packages"
    there = {_named(entry.partition("-")[0]) for entry in os.listdir(folder) if entry.endswith(".dist-info")} if os.path.isdir(folder) else set()
    # Markers are left to whoever resolves them.
    more = [entry for entry in wanted if ";" not in entry and _named(re.match(r"[A-Za-z0-9._-]*", entry)[0]) not in there]
    if more:
        stop(
            f"not built: on {GIVEN['system']} its backend asks for {', '.join(more)}, which nixgen.lock does not pin, since it was asked on {asked}.\n"
            f"  In pyproject.toml, under [tool.uv.extra-build-dependencies], then: nixgen sync\n"
            f"    {GIVEN['project']} = {json.dumps(more)}"
        )


def _named(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def main():
    os.umask(0o022)
    refuse_host()
    folder, newest = unpacked()
    try:
        found = project.read(folder)
    except project.Unclear as problem:
        stop(problem)
    try:
        named, lacking = crates.named(folder, found["requires"], f"{TOP}/source")
    except crates.Unclear as problem:
        stop(problem)
    if MODE == "static":
        answer({**found, "epoch": newest, "crates": named, "lacking": lacking})
        return
    if fetched := json.loads(GIVEN.get("crates", "[]")):
        registries = {(one["name"], one["version"]): one["registry"] for one in named}
        try:
            crates.provide([{**one, "registry": registries[one["name"], one["version"]]} for one in fetched], f"{TOP}/cargo", f"{TOP}/crates")
        except archive.Refused as problem:
            stop(f"a crate is not unpacked: {problem}")
    if any(_NOTED.match(entry) for entry in found["requires"]) and not os.path.exists(f"{folder}/PKG-INFO"):
        # They read no variable, but what a source distribution says.
        with open(f"{folder}/PKG-INFO", "x", encoding="utf-8") as file:
            file.write(f"Metadata-Version: 2.1\nName: {GIVEN['project']}\nVersion: {GIVEN['version']}\n")
    if MODE == "dynamic":
        answer({"requires": required(folder, found)})
    else:
        if asked := GIVEN.get("asked"):
            refuse_more(required(folder, found), asked)
        install(ask("wheel", folder, found))


if __name__ == "__main__":
    main()
