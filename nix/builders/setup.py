"""Writes the file that `nix develop` and `nix-shell` source: $stdenv/setup.

Input, as environment variables: out, environment, tools (PATH entries), hook (a bash file), title.
"""

import os
import shlex

environment, tools = os.environ["environment"], os.environ["tools"]
path = ":".join([f"{environment}/bin", *filter(None, tools.split(":"))])
with open(os.environ["hook"], encoding="utf-8") as file:
    hook = file.read()

os.mkdir(os.environ["out"])
with open(f"{os.environ['out']}/setup", "w", encoding="utf-8") as file:
    file.write(f"NIXGEN_ENVIRONMENT={shlex.quote(environment)}\n")
    file.write(f"export PATH={shlex.quote(path)}${{PATH:+:$PATH}}\n")
    file.write(f"NIXGEN_TITLE={shlex.quote(os.environ['title'])}\n")
    file.write(hook)
