"""Everything a project is made from, kept by its hash: filled, read again, and used where an address fails."""
