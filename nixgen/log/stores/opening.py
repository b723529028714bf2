"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from nixgen.log.stores.folder import Folder
from nixgen.log.stores.model import Storage


def open_storage(url: str, *, own: bool = True) -> Storage:
    """The store at an address: ``file:///…`` or a folder, ``https://…``, ``s3://bucket/prefix?endpoint=…&region=…``.

    What stands behind the question mark is what Nix has there for its stores; ``gs`` and ``az`` are buckets, too.
    ``own`` says that the user named the address, and not only a project. Raises UserError for what nothing here reads.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        return Folder(Path(unquote(urlsplit(url).path) if scheme else url))
    if scheme in ("http", "https"):
        from nixgen.log.stores.web import Web

        return Web(url)
    from nixgen.log.stores.bucket import Bucket

    return Bucket.open(url, own=own)
