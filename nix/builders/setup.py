"""Writes the file that `nix develop` and `nix-shell` source: $stdenv/setup.

Input, as environment variables: out, project (its name), environment, tools (PATH entries), hook (a bash file), bash,
title, variables (JSON: what is exported as it is), private (a program that makes a folder for what huggingface_hub
writes), python (the program below the environment).
"""

import json
import os
import shlex

environment, tools, python = os.environ["environment"], os.environ["tools"], os.environ["python"]
path = ":".join([f"{environment}/bin", *filter(None, tools.split(":"))])
with open(os.environ["hook"], encoding="utf-8") as file:
    hook = file.read()

os.mkdir(os.environ["out"])
with open(f"{os.environ['out']}/setup", "w", encoding="utf-8") as file:
    file.write(f"NIXGEN_ENVIRONMENT={shlex.quote(environment)}\n")
    file.write(f"NIXGEN_PATH={shlex.quote(path)}\n")
    file.write("export PATH=$NIXGEN_PATH${PATH:+:$PATH}\n")
    for name, value in {"NAME": "project", "BASH": "bash", "TITLE": "title"}.items():
        file.write(f"NIXGEN_{name}={shlex.quote(os.environ[value])}\n")
    variables = json.loads(os.environ["variables"])
    for name, value in sorted(variables.items()):
        file.write(f"export {name}={shlex.quote(value)}\n")
    if "HF_HUB_CACHE" in variables:
        file.write(f"NIXGEN_PRIVATE={shlex.quote(os.environ['private'])}\n")
    # Where it says that nothing is to be installed into it (PEP 668).
    if os.path.exists(f"{os.path.dirname(python)}/../lib/{os.path.basename(python)}/EXTERNALLY-MANAGED"):
        file.write(f"NIXGEN_BASE={shlex.quote(python)}\n")
    file.write(hook)
