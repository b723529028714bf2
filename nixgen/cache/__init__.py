"""A binary cache of Nix that cannot be rewritten unnoticed: its log, and what nixgen does with both.

The log is an RFC 6962 Merkle tree over JSON lines (``merkle``, ``entry``), laid out as C2SP tlog-tiles (``tiles``) in a
folder, a bucket or behind a web server (``storage``), its checkpoints signed as C2SP notes (``note``, ``checkpoint``).
``log`` reads and checks it, ``append`` adds to it, ``known`` remembers what was in it.
"""
