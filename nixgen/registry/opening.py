"""Which files of a registry an address means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from nixgen.errors import UserError
from nixgen.registry.files import Files, FolderFiles


def open_files(url: str, *, own: bool = True) -> Files:
    """The files at an address: a folder, ``file:///…``, ``s3://…`` (``gs``, ``az``), ``https://…``.

    ``own`` says that the user named the address, and not only a project. Raises UserError for what nothing here reads.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        return FolderFiles(Path(unquote(urlsplit(url).path) if scheme else url))
    if scheme in ("http", "https"):
        from nixgen.registry.remotefiles import WebFiles

        return WebFiles(url)
    from nixgen.machine import objects
    from nixgen.registry.remotefiles import BucketFiles

    where = urlsplit(url)._replace(query="", fragment="").geturl()
    if scheme not in objects.SCHEMES:
        raise UserError.of(where, f"{scheme}: is no place for a registry", "use a folder, file://, s3:// or https://")
    settings = dict(parse_qsl(urlsplit(url).query))
    return BucketFiles(where, objects.open_store(where, settings, extra="cache,remote", own=own))
