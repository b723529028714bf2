"""Runs the project's smoke commands, one after another, and stops at the first that fails.

Run with the environment's own Python. Input, as environment variables: out, bash, environment, source (the project's
code), packaged (whether it is one or more packages), tools (folders of programs, with colons), applets (a folder of
programs that count last), variables (JSON: name → value, those of the models and data), roots (JSON: what of the code is
on sys.path), built (what of it is compiled, see ownvenv.py), venv (the module that makes one), and ``commandsPath``, a file with a JSON list of commands. Each command
sees the sandbox's environment without these, runs in a copy of the code that it may write to, and has no standard input.
"""

import json
import os
import shutil
import stat
import subprocess
import sys

GIVEN = ("applets", "args", "bash", "builder", "built", "commandsPath", "environment", "name", "out", "outputs", "packaged", "roots", "source", "system", "tools", "variables", "venv")


def writable_copy(source, folder):
    """The code, copied, with that of packages beside it; in the store nothing may be written. Gives the project's folder."""
    store = os.path.dirname(os.environ["out"])
    path, *inner = os.path.relpath(source, store).split("/", 1)
    shutil.copytree(f"{store}/{path}", folder, symlinks=True)
    for path, _, files in os.walk(folder):
        for entry in (path, *(os.path.join(path, name) for name in files)):
            if not os.path.islink(entry):
                os.chmod(entry, os.stat(entry).st_mode | stat.S_IWUSR)
    place = os.path.join(folder, *inner)
    os.makedirs(place, exist_ok=True)
    return place


def variables(given, folder):
    """What a command finds set: the sandbox's, the models', and where the project is."""
    environment = given["environment"]
    if given["packaged"]:
        sys.path.insert(0, given["venv"])
        import ownvenv

        environment = os.path.join(os.environ["TMPDIR"], "venv")
        ownvenv.make(environment, given["environment"], folder, json.loads(given["roots"]), "smoke", built=json.loads(given["built"]))
    path = [f"{environment}/bin", *filter(None, given["tools"].split(":")), os.path.dirname(given["bash"]), *filter(None, [given["applets"]])]
    found = {name: value for name, value in os.environ.items() if name not in GIVEN}
    found |= json.loads(given["variables"])
    found |= {"PATH": ":".join(path), "VIRTUAL_ENV": environment, "NIXGEN_ROOT": folder}
    if not given["packaged"]:
        found["PYTHONPATH"] = folder
    return found


def main():
    given = {name: os.environ.get(name, "") for name in GIVEN}
    with open(given["commandsPath"], encoding="utf-8") as file:
        commands = json.load(file)
    folder = writable_copy(given["source"], os.path.join(os.environ["TMPDIR"], "project"))
    found = variables(given, folder)
    for command in commands:
        print(f"$ {command}", flush=True)
        code = subprocess.run([given["bash"], "-c", command], cwd=folder, env=found, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            ended = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
            sys.exit(f"this smoke command {ended}: {command}")
    with open(given["out"], "w", encoding="utf-8") as file:
        file.writelines(f"{command}\n" for command in commands)


main()
