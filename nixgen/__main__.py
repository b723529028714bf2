"""``python -m nixgen``."""

from __future__ import annotations

from nixgen.cli import main

if __name__ == "__main__":
    main()
