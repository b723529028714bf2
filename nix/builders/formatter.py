"""Makes bin/nixgen-format: format.py, started by the base's Python, with the environment's ruff when it has one.

Input, as environment variables: out, environment, interpreter, program.
"""

import os

ruff = f"{os.environ['environment']}/bin/ruff"
os.makedirs(f"{os.environ['out']}/bin")
path = f"{os.environ['out']}/bin/nixgen-format"
with open(os.environ["program"], encoding="utf-8") as file:
    text = file.read()
with open(path, "w", encoding="utf-8") as file:
    file.write(f"#!{os.environ['interpreter']} -IB\nRUFF = {ruff if os.path.exists(ruff) else None!r}\n{text}")
os.chmod(path, 0o755)
