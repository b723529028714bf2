"""What the user and uv wrote: pyproject.toml, its settings, uv.lock. No network, no target."""
