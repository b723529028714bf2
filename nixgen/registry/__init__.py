"""A registry of published models: plain files by version, and an append-only log that says what happened to them."""
