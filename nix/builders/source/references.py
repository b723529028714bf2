"""Blanks the store paths of a build's tools where they stand in a wheel, as in a file that says what it was built with.

Nix would keep the whole toolchain beside such a wheel. What is blanked keeps its length, so that programs stay whole, and
RECORD (PEP 376) gets the new hashes. What a wheel needs when it runs is never among these paths.
"""

import base64
import csv
import hashlib
import io
import lzma
import os
import re
import struct
import zipfile
import zlib

_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_HASH = re.compile(r"/([0-9a-z]{32})-")


class Damaged(Exception):
    """The wheel cannot be read."""


def blank(wheel, paths):
    """Rewrites the wheel where it has to be; the names of the members that were changed. Raises Damaged."""
    hashes = [found[1].encode() for path in paths if (found := _HASH.search(path))]
    if not hashes:
        return []
    looked_for = re.compile(b"|".join(map(re.escape, hashes)))
    try:
        return _blank(wheel, looked_for)
    except _BROKEN as error:
        raise Damaged(error) from None


def _blank(wheel, looked_for):
    with zipfile.ZipFile(wheel) as archive:
        members = archive.infolist()
        changed = {}
        for member in members:
            content = archive.read(member)
            new = looked_for.sub(b"e" * 32, content)
            if new != content:
                changed[member.filename] = new
        if not changed:
            return []
        with zipfile.ZipFile(wheel + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
            for member in members:
                content = changed.get(member.filename)
                if content is None:
                    content = archive.read(member)
                if re.fullmatch(r"[^/]+\.dist-info/RECORD", member.filename):
                    content = _recorded(content, changed)
                target.writestr(member, content, zipfile.ZIP_DEFLATED, 1)
    os.replace(wheel + ".new", wheel)
    return sorted(changed)


def _recorded(record, changed):
    """RECORD with the hashes of what changed."""
    rows = []
    for row in csv.reader(io.StringIO(record.decode("utf-8"), newline="")):
        if row and row[0] in changed and len(row) > 1 and row[1]:
            digest = base64.urlsafe_b64encode(hashlib.sha256(changed[row[0]]).digest()).rstrip(b"=").decode()
            row = [row[0], f"sha256={digest}", str(len(changed[row[0]]))]
        rows.append(row)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
