"""``python -m nixgen``."""

from nixgen.cli import main

if __name__ == "__main__":
    main()
