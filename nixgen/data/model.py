"""What is known of a dataset. Frozen; no input or output."""

from __future__ import annotations

from dataclasses import dataclass

from nixgen.data.schema import Schema

ROWS = 32_768
"""Rows that are in memory at once."""


@dataclass(frozen=True, slots=True)
class DataManifest:
    """What ``nixgen lock`` found out about a dataset; docs/data.md defines the two hashes.

    ``record_count`` and ``schema_hash`` are None for formats without records. ``created_at`` (ISO 8601, UTC, whole
    seconds, "Z") stays while the content is the same.
    """

    dataset_name: str
    storage_uri: str
    record_count: int | None
    schema_hash: str | None
    content_hash: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds: the number of its records, and its schema."""

    records: int
    schema: Schema
