"""Makes a program that says something and fails. Input, as environment variables: out, name, bash, message."""

import os
import shlex

given, out = os.environ, os.environ["out"]
os.makedirs(f"{out}/bin")
with open(f"{out}/bin/{given['name']}", "w", encoding="utf-8") as file:
    file.write(f"#!{given['bash']}\nprintf '%s\\n' {shlex.quote(given['message'])} >&2\nexit 2\n")
os.chmod(f"{out}/bin/{given['name']}", 0o755)
