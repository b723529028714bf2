"""Datasets: what is in their files, the manifest of a snapshot, and what differs between two. docs/data.md is its page.

Reading Parquet, CSV and Arrow, and all statistics, need pyarrow (the extra ``data``), which is imported when it is
first used: nothing here is heavy to import.
"""
