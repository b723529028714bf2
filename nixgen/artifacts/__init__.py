"""Models and data: what models.toml asks for, what nixgen.lock pins of it, and how it is fetched and stored."""
