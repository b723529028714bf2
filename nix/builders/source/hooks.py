"""Calls one hook of a source's build backend (PEP 517), in the source's folder, with the Python of the build's environment.

Arguments: the backend ("setuptools.build_meta:__legacy__"), its backend-path (JSON), what is asked (``requires`` or
``wheel``), the config settings (JSON), the folder for the wheel, and the file for the answer (JSON).
"""

import importlib
import itertools
import json
import os
import sys
import tempfile

BACKEND, PATH, ASKED, SETTINGS, FOLDER, ANSWER = sys.argv[1:]

# Names of temporary folders end up in what some backends build.
tempfile._name_sequence = map("{:08d}".format, itertools.count())
sys.argv[:] = [""]
sys.path[:0] = [os.path.abspath(folder) for folder in json.loads(PATH)]
module, _, attributes = BACKEND.partition(":")
backend = importlib.import_module(module)
for attribute in filter(None, attributes.split(".")):
    backend = getattr(backend, attribute)
settings = json.loads(SETTINGS) or None
if ASKED == "wheel":
    answer = backend.build_wheel(FOLDER, settings)
else:
    ask = getattr(backend, "get_requires_for_build_wheel", None)
    answer = [] if ask is None else list(ask(settings))
with open(ANSWER, "w", encoding="utf-8") as file:
    json.dump(answer, file)
