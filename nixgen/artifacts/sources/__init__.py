"""Where models and data come from: one module for each kind of source, each with ``resolve`` and ``fetch``."""
