"""Installs one wheel into $out as PEP 427 says, verified against its own RECORD, its bytes untouched.

Input, as environment variables: src (the .whl), file (its name), out, python ("3.11"), libdeflate (a library, or
empty), and for the programs that a wheel may hold: loader, rpath (empty where programs need no patching).

The output holds lib/pythonX.Y/site-packages, and bin, share, … where the wheel has them; beside them the file
nixgen-facts with what the environment's builder must know, a line each: ``native PATH`` for what the system's loader
reads, ``script NAME MODULE:OBJECT`` for the entry points; the words are parted by tabs.

Start-up counts as much as speed here: a wheel is often a few files. So imports are few, and late where they are rare.
"""

import binascii
import hashlib
import mmap
import os
import sys

import elf
import workers
from archive import Archive, Damaged, files_and_folders

OUT = os.environ["out"]
FILE = os.environ["file"]
SITE = f"lib/python{os.environ['python']}/site-packages"
FACTS = "nixgen-facts"
LOADER = os.environ["loader"]
# A text of the metadata, and RECORD's lines.
LARGEST_TEXT, MOST_LINES = 1 << 25, 250_000
HASHES = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s"}


def as_recorded(hasher):
    """A hash as RECORD writes it: URL-safe base64 without padding (PEP 376)."""
    raw = binascii.b2a_base64(hasher.digest(), newline=False)
    return raw.rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")).decode()


class Wheel:
    """The archive, its metadata folder, and where each of its members goes."""

    def __init__(self, path):
        self.archive = Archive(path, os.environ["libdeflate"])
        folders = [name.split("/")[0] for name in self.archive.members if name.count("/") == 1 and name.endswith(".dist-info/WHEEL")]
        if len(folders) != 1:
            raise Damaged(f"a wheel has one .dist-info folder with a WHEEL file, this one has {len(folders)}")
        self.info = folders[0]
        self.distribution = self.info.split("-")[0]
        self.data = self.info.removesuffix(".dist-info") + ".data/"
        if f"{self.info}/RECORD" not in self.archive.members:
            raise Damaged(f"it has no {self.info}/RECORD")
        self.record = dict(self.read_record())
        self.places = {name: self.destination(name) for name in self.archive.members}
        if any(name.startswith(self.data) for name in self.places):
            self.check_places()

    def check_places(self):
        """Refuses members that meet each other, or nixgen's own file, when those of .data go to their places."""
        by_place = {}
        for name, place in self.places.items():
            by_place.setdefault(place, []).append(name)
        problems = [f"the members {' and '.join(names)} are the same file when installed" for names in by_place.values() if len(names) > 1]
        problems += [f"the member {by_place[place][0]!r} is a file where others need a folder" for place in files_and_folders(by_place)]
        if any(place == FACTS or place.startswith(FACTS + "/") for place in by_place):
            problems.append(f"a member would be installed as {FACTS}, which is nixgen's own file")
        if problems:
            raise Damaged(*problems)

    def text(self, name):
        """A member of the metadata folder as text."""
        size = self.archive.members[f"{self.info}/{name}"].size
        if size > LARGEST_TEXT:
            raise Damaged(f"{self.info}/{name} is too large to be read: {size} bytes")
        try:
            return bytes(self.archive.read(f"{self.info}/{name}")).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.info}/{name} is not UTF-8: {error}") from None

    def read_record(self):
        """RECORD as (member, "algorithm=digest") pairs; the second is empty where no hash is given."""
        text = self.text("RECORD")
        if text.count("\n") > MOST_LINES:
            raise Damaged(f"{self.info}/RECORD has more than {MOST_LINES} lines")
        if '"' in text:
            import csv
            import io

            try:
                rows = list(csv.reader(io.StringIO(text, newline="")))
            except csv.Error as error:
                raise Damaged(f"{self.info}/RECORD cannot be read: {error}") from None
        else:
            rows = (line.split(",") for line in text.replace("\r", "").split("\n"))
        return ((row[0], row[1] if len(row) > 1 else "") for row in rows if row and row[0])

    def destination(self, name):
        """Where a member goes below $out (PEP 427, "Installing a wheel": the .data folder's keys)."""
        if not name.startswith(self.data):
            return f"{SITE}/{name}"
        key, _, rest = name.removeprefix(self.data).partition("/")
        headers = f"include/site/python{os.environ['python']}/{self.distribution}/"
        prefix = {"purelib": f"{SITE}/", "platlib": f"{SITE}/", "scripts": "bin/", "data": "", "headers": headers}.get(key)
        if prefix is None or not rest:
            raise Damaged(f"the member {name!r} has no place: {key!r} is none of purelib, platlib, scripts, data, headers")
        return prefix + rest


def patch_program(path, content):
    """Gives a program inside a wheel the interpreter path without which it cannot start; whether it did."""
    facts = elf.read(content)
    if facts is None or not facts.program or not LOADER or facts.machine != elf.MACHINES.get(os.uname().machine):
        return False
    if b"ld-musl" in facts.interpreter:
        return False
    import relink

    try:
        wanted = relink.File(content)
        wanted.interpreter = LOADER.encode()
        wanted.rpath = [*wanted.rpath, *os.environ["rpath"].split(":")]
        changed = wanted.write()
    except relink.Unwritable as problem:
        raise Damaged(f"{path.removeprefix(OUT + '/')} is a program that cannot be given an interpreter path: {problem}") from None
    with open(path, "wb") as file:
        file.write(changed)
    return True


def verify(name, hasher, wanted):
    """What is wrong with a member's bytes, which were hashed, given its hash in RECORD; empty where nothing is."""
    if hasher is None:
        return "" if not wanted else f"RECORD gives {name} a hash of a kind that is not known here: {wanted[:200]}"
    algorithm, _, digest = wanted.partition("=")
    found = as_recorded(hasher)
    return "" if found == digest.rstrip("=") else f"{name} is not what RECORD says: {algorithm}={found} instead of {wanted[:200]}"


def write(path, pieces, mode, made, hasher):
    """Writes a new file, and the folders to it that are not ``made`` yet; hashes what it writes."""
    folder = path.rpartition("/")[0]
    if folder not in made:
        os.makedirs(folder, exist_ok=True)
        made.add(folder)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb", buffering=0) as file:
        for piece in pieces:
            if hasher is not None:
                hasher.update(piece)
            rest = memoryview(piece)
            while rest := rest[file.write(rest) :]:  # one write takes 2 GiB at the most: write(2)
                pass


def install(wheel, share):
    """Unpacks and verifies a share of the members; returns ``native PLACE`` and ``patched PLACE`` lines."""
    lines, problems, made = [], [], set()
    for name in share:
        member, place, wanted = wheel.archive.members[name], wheel.places[name], wheel.record.get(name, "")
        algorithm = wanted.partition("=")[0]
        hasher = hashlib.new(algorithm) if algorithm in HASHES else None
        content = wheel.archive.read(name) if member.in_one_piece else None
        path = f"{OUT}/{place}"
        try:
            pieces = wheel.archive.pieces(name) if content is None else [content]
            write(path, pieces, 0o755 if member.executable or place.startswith("bin/") else 0o644, made, hasher)
            if problem := verify(name, hasher, wanted):
                problems.append(problem)
                continue
            if content is None:
                with open(path, "rb") as file:
                    head = file.read(4)
                    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if elf.is_native(head) else head
        except OSError as error:
            raise Damaged(f"{name} cannot be written: {error.strerror}") from None
        if not name.endswith(".py") and elf.is_native(content):
            lines.append(f"native\t{place}")
            if patch_program(path, content):
                lines.append(f"patched\t{place}")
    if problems:
        raise Damaged(*problems)
    return lines


def entry_points(wheel):
    """console_scripts and gui_scripts (entry points specification) as (name, "module:object") pairs."""
    if f"{wheel.info}/entry_points.txt" not in wheel.archive.members:
        return []
    text = wheel.text("entry_points.txt")
    if "_scripts" not in text:
        return []
    import entrypoints

    try:
        return entrypoints.scripts(text)
    except entrypoints.Refused as problem:
        raise Damaged(f"entry_points.txt: {problem}") from None


def write_metadata(wheel, scripts):
    """INSTALLER, and RECORD as installed: the wheel's own lines with the paths that the files got (PEP 376)."""
    folder = f"{OUT}/{SITE}/{wheel.info}"
    installer = b"nixgen\n"
    with open(f"{folder}/INSTALLER", "wb") as file:
        file.write(installer)
    rows = [
        (f"{wheel.info}/INSTALLER", f"sha256={as_recorded(hashlib.sha256(installer))}", str(len(installer))),
        (f"{wheel.info}/RECORD", "", ""),
        *((f"../../../bin/{name}", "", "") for name, _ in scripts),
    ]
    for name, place in wheel.places.items():
        if name not in (f"{wheel.info}/RECORD", f"{wheel.info}/INSTALLER"):
            path = place[len(SITE) + 1 :] if place.startswith(SITE + "/") else f"../../../{place}"
            rows.append((path, wheel.record.get(name, ""), str(wheel.archive.members[name].size)))
    os.unlink(f"{folder}/RECORD")
    with open(f"{folder}/RECORD", "w", encoding="utf-8", newline="") as file:
        if any("," in row[0] or '"' in row[0] for row in rows):
            import csv

            csv.writer(file, lineterminator="\n").writerows(sorted(rows))
        else:
            file.writelines(",".join(row) + "\n" for row in sorted(rows))


def report(wheel, lines):
    """What the build log should say of this wheel."""
    for line in lines:
        if line.startswith("patched"):
            print(f"{FILE}: patched {line.partition(chr(9))[2]}: a program that was given the interpreter path {LOADER}")
    own = {f"{wheel.info}/{name}" for name in ("RECORD", "RECORD.jws", "RECORD.p7s")}
    for name in sorted(set(wheel.archive.members) - own):
        if not wheel.record.get(name):
            print(f"{FILE}: {name} {'has no hash' if name in wheel.record else 'is not listed'} in RECORD")
    for name in sorted(set(wheel.record) - set(wheel.archive.members)):
        print(f"{FILE}: RECORD lists {name}, which is not in the wheel")


def main():
    try:
        wheel = Wheel(os.environ["src"])
        scripts = entry_points(wheel)
        members = wheel.archive.members
        lines = workers.spread(
            list(members),
            lambda name: members[name].size,
            lambda share: install(wheel, share),
        )
        write_metadata(wheel, scripts)
    except Damaged as damage:
        raise SystemExit("\n".join(f"{FILE}: {problem}" for problem in damage.problems)) from None
    report(wheel, lines)
    with open(f"{OUT}/{FACTS}", "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
        file.writelines(f"script\t{name}\t{target}\n" for name, target in sorted(scripts))
    sys.stdout.flush()
    os._exit(0)  # to take the interpreter down in order costs a fifth of a small wheel's time, and serves nobody
