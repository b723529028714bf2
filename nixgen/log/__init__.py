"""An append-only log: an RFC 6962 Merkle tree over lines (``merkle``), laid out as C2SP tlog-tiles (``tiles``).

It lies in a folder, a bucket or behind a web server (``stores``), its checkpoints signed as C2SP notes (``note``,
``checkpoint``). ``log`` reads and checks it, ``append`` adds to it, ``seen`` remembers what was in it; ``entry`` is
what it is a log of.
"""
