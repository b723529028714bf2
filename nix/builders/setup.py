"""Writes the file that `nix develop` and `nix-shell` source: $stdenv/setup; beside it, in lib, the programs that it runs.

And kernel, what starts a notebook's kernel with all that the shell sets: kernel ROOT -f CONNECTION-FILE.

Input, as environment variables: out, project (its name), label (the environment's), environment, tools (PATH entries),
hook (a bash file), bash, title, variables (JSON: what is exported as it is), roots (JSON: what of the project is on
sys.path), built (JSON: the same of what is compiled, and its modules), venv (a folder of programs), driver (one
more), cuda (the setting), python (the program below the environment).
"""

import glob
import json
import os
import runpy
import shlex
import shutil

KERNEL = """#!{bash}
. {out}/setup
nixgen_enter_again "$1"
shift
exec "$VIRTUAL_ENV/bin/python" -Xfrozen_modules=off {out}/lib/kernel.py "$NIXGEN_ROOT" "$@"
"""

given, out = os.environ, os.environ["out"]
variables = json.loads(given["variables"])
os.makedirs(f"{out}/lib")
for module in glob.glob(f"{glob.escape(given['venv'])}/*.py"):
    shutil.copyfile(module, f"{out}/lib/{os.path.basename(module)}")
shutil.copyfile(given["driver"], f"{out}/lib/driver.py")
# Short, and another one when anything of the shell changes.
key = os.path.basename(out)[:8]
signs = runpy.run_path(given["driver"])["SIGNS"]
settings = {"environment": given["environment"], "roots": json.loads(given["roots"]), "built": json.loads(given["built"]), "name": given["project"], "key": key, "python": given["python"], "cuda": given["cuda"], "signs": signs}
with open(f"{out}/lib/settings.json", "w", encoding="utf-8") as file:
    json.dump(settings, file)
with open(given["hook"], encoding="utf-8") as file:
    hook = file.read()
ours = {
    "NAME": given["project"],
    "LABEL": given["label"],
    "TITLE": given["title"],
    "BASH": given["bash"],
    "BASE": given["python"],
    "ENVIRONMENT": given["environment"],
    "TOOLS": given["tools"],
    "SETUP": out,
    "KEY": key,
    "CUDA": given["cuda"],
    "SIGNS": " ".join(signs),
    "HUB": "1" if "HF_HUB_CACHE" in variables else "",
}
with open(f"{out}/setup", "w", encoding="utf-8") as file:
    file.writelines(f"NIXGEN_{name}={shlex.quote(value)}\n" for name, value in ours.items())
    # Of a shell around this one: with it, what it has not compiled would be compiled at each start.
    file.write("unset NIXGEN_BYTECODE\n")
    file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
    file.write(hook)
with open(os.open(f"{out}/kernel", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "w", encoding="utf-8") as file:
    file.write(KERNEL.format(bash=given["bash"], out=out))
