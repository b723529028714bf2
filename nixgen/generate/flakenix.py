"""flake.nix of a project is the user's own, but for outputs that an older nixgen wrote and nobody has changed.

Those list each output, so that what is new (environments, apps) would never reach them. They become the one line that
takes all of them from nix/nixgen/outputs.nix.
"""

from __future__ import annotations

import hashlib

from nixgen.machine import files

NAME = "flake.nix"
NEWS = "flake.nix: its outputs come from nix/nixgen/outputs.nix now, environments and apps included"
_BEGIN = b"\n  outputs =\n"
_IMPORT = b"import ./nix/nixgen/outputs.nix"
_NOW = (
    b"\n  # To add to them: inputs: let ours = import \xe2\x80\xa6; in ours // { \xe2\x80\xa6 }"
    b"\n  outputs = inputs: import ./nix/nixgen/outputs.nix inputs;\n}\n"
)
_OLD = frozenset(
    (
        "06a0d53c690983c4be1107a9eb015dd8a5867706004bc702e548e535433df30e",
        "488899fe26fffe62cc40ceec81d25b241f1db0b576c6cbcb987b4e2ff9ede0b2",
        "860caf23e4141c7b9e0a45d29e29223de21906576153d6d015e830a84629ccef",
        "8ebb7d23fc119d2bd6f420cc4cb11bcc035e303cce1e3726e05966119a31860b",
        "a4905b7a78211001e9b9af524f149b31803e9d852d9137cbebd3c467886a6fc1",
        "af32a0b31d56faef57c53ebd36c13577e88cc61a3a8017655ae8bc23c47d96f3",
        "c3f41ce8debf79eec4554cb1e09351f0c676446c0145a64eec9d7c59f5544758",
        "d9245ec09a75c37bc58a86e9dad443d46d8e06fcdf9d0cb359aa72ca4d4f2289",
    )
)
"""SHA-256 of what older templates had from ``outputs`` to the end, for both bases."""


def renewed(text: bytes) -> bytes | None:
    """The file with the outputs of now, where an older nixgen wrote them and nobody has changed them; else None."""
    head, begin, outputs = text.partition(_BEGIN)
    if not files.written_by_nixgen(text) or hashlib.sha256(begin + outputs).hexdigest() not in _OLD:
        return None
    return head + _NOW


def lacks_environments(text: bytes) -> bool:
    """Whether it lists its outputs itself, and no environment with a name among them."""
    return bool(text) and _IMPORT not in text and b".environments" not in text
