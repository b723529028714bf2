"""Takes one file out of an archive (zip, wheel, tar and its compressed forms). Nix checks what comes out by its hash.

Input, as environment variables: out, archive, member (its path in the archive), where (for messages).
"""

import os
import shutil
import tarfile
import zipfile

WHERE, MEMBER = os.environ["where"], os.environ["member"]


def stop(what):
    raise SystemExit(f"{WHERE}: {what}")


def from_zip(archive):
    found = [entry for entry in archive.infolist() if entry.filename == MEMBER]
    kind = found[0].external_attr >> 28 if found else 0
    return found, not found or (not found[0].is_dir() and kind in {0, 8}), archive.open


def from_tar(archive):
    # "./a" and "a" are the same place in a tar.
    found = [entry for entry in archive if entry.name.removeprefix("./") == MEMBER.removeprefix("./")]
    return found, not found or found[0].isreg(), archive.extractfile


def main():
    path = os.environ["archive"]
    if zipfile.is_zipfile(path):
        archive, look = zipfile.ZipFile(path), from_zip
    else:
        try:
            archive, look = tarfile.open(path), from_tar
        except tarfile.TarError:
            stop("the archive is neither a zip (or wheel) nor a tar that this Python reads")
    with archive:
        found, regular, opened = look(archive)
        if not found:
            stop(f"the archive has no {MEMBER}")
        if len(found) > 1:
            stop(f"the archive has {MEMBER} {len(found)} times")
        if not regular:
            stop(f"{MEMBER} is not a file in the archive, but a folder, a link or something else")
        with opened(found[0]) as source, open(os.environ["out"], "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


main()
