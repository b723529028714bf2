"""Unpacks a source distribution, which may be made to harm: nothing is written outside its folder or through a link."""

import errno
import lzma
import os
import posixpath
import resource
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
import zlib

MOST_FILES, MOST_BYTES, LONGEST_NAME, LONGEST_LINK = 500_000, 8 << 30, 1024, 4096
# Real sources are packed to a third or a tenth; what is packed to less than a hundredth is made to fill a disk.
_SMALL, _MOST_PACKED = 100 << 20, 100
_MOST_MEMORY = 1 << 30  # for what reads a member's header, whose size is the archive's to say
# From 1980, where ZIP's times begin, to the end of this century: what the time of a build may be.
FIRST, LAST = 315_532_800, 4_102_444_799
# What Python's own readers raise on damaged archives (tests/fuzz): more than they say.
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError),
    *(ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError),
)


class Refused(Exception):
    """The archive is broken, or would be unpacked to somewhere else."""


class _Tree:
    """What is written so far, below one folder."""

    def __init__(self, folder, size):
        self.folder, self.files, self.bytes, self.links, self.newest = folder, 0, 0, {}, 0
        self.most = min(MOST_BYTES, _SMALL + _MOST_PACKED * size)

    def place(self, name):
        """Where a member goes; None for the folder itself."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name or "\\" in name or len(name) > LONGEST_NAME:
            raise Refused(f"{name[:200]!r} would be written outside of the archive's own folder, or is no name for a file")
        self.files += 1
        if self.files > MOST_FILES:
            raise Refused(f"it has more than {MOST_FILES} files")
        return "/".join(parts) or None

    def room(self, name, size):
        """Counts the bytes before they are written."""
        self.bytes += size
        if self.bytes > self.most:
            raise Refused(f"it is larger than {self.most >> 20} MiB at {name[:200]!r}: that is too much for an archive of its size")

    def path(self, place):
        """The path of a new file: its folders are made; of a file that is there twice the last one counts."""
        path = f"{self.folder}/{place}"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.lexists(path):
                os.unlink(path)
        except OSError:
            raise Refused(f"{place!r} is a file and a folder") from None
        self.links.pop(place, None)
        return path

    def write(self, place, source, size, *, executable, time):
        path = self.path(place)
        with open(path, "xb") as target:
            while size and (piece := source.read(min(size, 1 << 20))):
                target.write(piece)
                size -= len(piece)
        if size:
            raise Refused(f"{place!r} is shorter than the archive says")
        os.chmod(path, 0o755 if executable else 0o644)
        time = min(max(int(time), FIRST), LAST)
        self.newest = max(self.newest, time)
        os.utime(path, (time, time))

    def copy(self, place, name):
        """A hard link: the file that was unpacked before, once more."""
        other = self.place(name)
        source = f"{self.folder}/{other}"
        if other is None or other == place or os.path.islink(source) or not os.path.isfile(source):
            raise Refused(f"{place!r} is a link to {name[:200]!r}, which is no file that comes before it")
        self.room(place, os.path.getsize(source))
        shutil.copy2(source, self.path(place))

    def link(self, place, target):
        """A symbolic link; it is made when all files are written, so that none goes through it."""
        end = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if target.startswith("/") or not target or "\0" in target or len(target) > LONGEST_LINK or end.split("/")[0] == "..":
            raise Refused(f"{place!r} is a link to {target[:200]!r}, outside of the archive's own folder")
        if os.path.lexists(f"{self.folder}/{place}"):
            raise Refused(f"{place!r} is there twice, once as a link")
        self.links[place] = target

    def finish(self):
        """Makes the links, and sees that none leads out by way of others."""
        top = os.path.realpath(self.folder)
        for place, target in sorted(self.links.items()):
            path = f"{self.folder}/{place}"
            parent = os.path.dirname(path)
            try:
                os.makedirs(parent, exist_ok=True)
                if os.path.realpath(parent) != os.path.normpath(os.path.join(top, os.path.dirname(place))):
                    raise Refused(f"{place!r} lies below a link")
                os.symlink(target, path)
            except OSError:
                raise Refused(f"{place!r} is a link and a folder") from None
        for place in sorted(self.links):
            if not (os.path.realpath(f"{self.folder}/{place}") + "/").startswith(top + "/"):
                raise Refused(f"{place!r} is a link that leads outside of the archive's own folder")


def unpack(archive, folder):
    """Unpacks a .zip or .tar.* into a new folder; the newest time of its files, in the range of a build's. Raises Refused."""
    os.mkdir(folder)
    tree = _Tree(folder, os.path.getsize(archive))
    with open(archive, "rb") as file:
        magic = file.read(4)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_within(limits), limits[1]))
        (_zip if magic[:2] == b"PK" else _tar)(archive, tree)
        tree.finish()
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refused(f"there is no room for it: {error.strerror}") from None
        raise Refused(f"it cannot be read: {error or 'it takes too much memory'}") from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    if not tree.files:
        raise Refused("it is empty")
    return max(tree.newest, FIRST)


def _within(limits):
    """The limit of memory: ours, unless there is a lower one. macOS takes none."""
    soft = limits[0]
    if sys.platform != "linux":
        return soft
    return _MOST_MEMORY if soft == resource.RLIM_INFINITY else min(soft, _MOST_MEMORY)


def _tar(archive, tree):
    try:
        members = tarfile.open(archive)
    except tarfile.ReadError:
        raise Refused("it cannot be read: it is neither a zip nor a tar archive") from None
    with members:
        for member in members:
            place = tree.place(member.name)
            if member.isdir():
                if place:
                    _folder(tree, place)
            elif place is None or not (member.isreg() or member.issym() or member.islnk()):
                raise Refused(f"{member.name[:200]!r} is neither a file nor a folder nor a link, but a device or the like")
            elif member.issym():
                tree.link(place, member.linkname)
            elif member.islnk():
                tree.copy(place, member.linkname)
            else:
                tree.room(place, member.size)
                tree.write(place, members.extractfile(member), member.size, executable=bool(member.mode & 0o111), time=member.mtime)


def _zip(archive, tree):
    import calendar

    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            place, mode = tree.place(member.filename), member.external_attr >> 16
            if member.is_dir():
                if place:
                    _folder(tree, place)
            elif place is None or stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
                raise Refused(f"{member.filename[:200]!r} is neither a file nor a folder nor a link, but a device or the like")
            else:
                tree.room(place, member.file_size)
                with members.open(member) as source:
                    if stat.S_ISLNK(mode):
                        tree.link(place, source.read(LONGEST_LINK + 1).decode("utf-8", "surrogateescape"))
                    else:
                        time = calendar.timegm((*member.date_time, 0, 0, 0))
                        tree.write(place, source, member.file_size, executable=bool(mode & 0o111), time=time)


def _folder(tree, place):
    try:
        os.makedirs(f"{tree.folder}/{place}", exist_ok=True)
    except OSError:
        raise Refused(f"{place!r} is a file and a folder") from None
