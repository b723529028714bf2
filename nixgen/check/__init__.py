"""``nixgen check``: the record of what was built, the comparison with it, and the report."""
