"""Typed reading of JSON and TOML, in one way for all files. Holds no file's own schema."""
