"""The guard: are the files of a model or dataset, byte for byte, the pinned ones? Standard library only.

It imports nothing of nixgen, on purpose: this folder is copied to machines that have no nixgen and run there as a
program, ahead of a service::

    python -I -S guard --expected FILE [--root DIR] [--stamp DIR | --no-stamp] [--report text|json] [NAME…] -- COMMAND…

or imported by the service itself::

    from guard import require
    model = require("minilm", lock="nixgen.lock")["minilm"].files["model.onnx"]

``FILE`` is nixgen.lock, or JSON of the form that :func:`parse` tells. Exit codes: those of COMMAND; 1 the files are not
the pinned ones and there is no COMMAND; 2 a mistake in the input; 3 the machine lacks something; 79
(:data:`REFUSED`) the files are not the pinned ones and COMMAND was not started; 126 and 127 COMMAND cannot be run, as
shells have it.

What a check at the start cannot promise: that the files stay as they were. Whoever may write them can change them
after they were hashed, before or while they are loaded. docs/guard.md tells what helps.
"""

from __future__ import annotations

from .checking import check, require
from .fields import path_problem
from .manifest import find_lock, locked, parse, read, select
from .model import REFUSED, VERSION, BadInput, File, GuardError, Tree
from .program import become, guard, main
from .report import Found, Refused, Report, Verified
from .stamp import SETTLED, STAMP_AGE, Stamp, boot_id, default_stamps
from .store import addresses
from .words import shown

__all__ = [
    "REFUSED",
    "SETTLED",
    "STAMP_AGE",
    "VERSION",
    "BadInput",
    "File",
    "Found",
    "GuardError",
    "Refused",
    "Report",
    "Stamp",
    "Tree",
    "Verified",
    "addresses",
    "become",
    "boot_id",
    "check",
    "default_stamps",
    "find_lock",
    "guard",
    "locked",
    "main",
    "parse",
    "path_problem",
    "read",
    "require",
    "select",
    "shown",
]
