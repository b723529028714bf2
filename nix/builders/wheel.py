"""Installs one wheel into $out as PEP 427 says, verified against its own RECORD, its bytes untouched, byte-compiled.

Input, as environment variables: src (the .whl), file (its name), out, lib (the shared modules), python ("3.11"),
loader, patchelf, rpath (for the programs that a wheel may hold; empty where programs need no patching).

The output holds lib/pythonX.Y/site-packages, and bin, share, … where the wheel has them; beside them nixgen.json with
what the environment's builder must know: which files the system's loader reads, the entry points.
"""

import base64
import configparser
import csv
import hashlib
import io
import json
import mmap
import os
import platform
import re
import stat
import struct
import subprocess
import sys
import zipfile
import zlib

sys.path.insert(0, os.environ["lib"])

import bytecode  # noqa: E402
import elf  # noqa: E402
import workers  # noqa: E402

OUT = os.environ["out"]
FILE = os.environ["file"]
SITE = f"lib/python{os.environ['python']}/site-packages"
LOADER = os.environ["loader"]
STORED, DEFLATED = 0, 8


def fail(problems):
    """Ends the build with every problem that was found."""
    raise SystemExit("\n".join(f"{FILE}: {problem}" for problem in problems))


def checked_names(members):
    """The members, each name once and none that leaves the folder it is unpacked into."""
    problems, seen = [], set()
    for member in members:
        name = member.orig_filename
        parts = name.split("/")
        if "\0" in name or "\\" in name or name.startswith("/") or ".." in parts or "." in parts or "" in parts[:-1]:
            problems.append(f"the member {name!r} would be written outside the wheel's own folder")
        elif name in seen:
            problems.append(f"the member {name!r} is there twice")
        elif member.compress_type not in (STORED, DEFLATED) or member.flag_bits & 1:
            problems.append(f"the member {name!r} is packed in a way that wheels do not use")
        seen.add(name)
    folders = {name.rpartition("/")[0] for name in seen if not name.endswith("/")}
    problems += [f"the member {name!r} is a file and a folder" for name in sorted(folders & seen)]
    if problems:
        fail(problems)
    return [member for member in members if not member.filename.endswith("/")]


class Wheel:
    """The archive, mapped into memory, and where each of its members goes."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            try:
                with zipfile.ZipFile(file) as archive:
                    self.members = {member.filename: member for member in checked_names(archive.infolist())}
            except zipfile.BadZipFile as error:
                fail([f"not a wheel: {error}"])
        infos = {name.split("/")[0] for name in self.members if re.fullmatch(r"[^/]+\.dist-info/WHEEL", name)}
        if len(infos) != 1:
            fail([f"one .dist-info folder with a WHEEL file is needed, found {len(infos)}"])
        self.info = infos.pop()
        self.data_folder = self.info.removesuffix(".dist-info") + ".data"
        self.record = self.read_record()

    def read(self, name):
        """The content of a member. Its size is what the archive says, or the build ends."""
        member = self.members[name]
        header = member.header_offset
        if self.data[header : header + 4] != b"PK\x03\x04":
            fail([f"the member {name!r} has no local header"])
        name_size, extra_size = struct.unpack_from("<HH", self.data, header + 26)
        start = header + 30 + name_size + extra_size
        raw = self.data[start : start + member.compress_size]
        if member.compress_type == DEFLATED:
            try:
                raw = zlib.decompressobj(-15).decompress(raw, member.file_size + 1)
            except zlib.error as error:
                fail([f"the member {name!r} is damaged: {error}"])
        if len(raw) != member.file_size:
            fail([f"the member {name!r} is not of the size that the archive gives"])
        return raw

    def read_record(self):
        """RECORD as member → (algorithm, digest); either is empty where RECORD gives no hash."""
        name = f"{self.info}/RECORD"
        if name not in self.members:
            fail([f"it has no {name}"])
        rows = {}
        for row in csv.reader(io.StringIO(self.read(name).decode("utf-8"), newline="")):
            if row:
                algorithm, _, digest = row[1].partition("=") if len(row) > 1 else ("", "", "")
                rows[row[0]] = (algorithm, digest)
        return rows

    def destination(self, name):
        """Where a member goes below $out (PEP 427, "Installing a wheel": the .data folder's keys)."""
        if not name.startswith(self.data_folder + "/"):
            return f"{SITE}/{name}"
        key, _, rest = name.removeprefix(self.data_folder + "/").partition("/")
        distribution = self.info.split("-")[0]
        folders = {"purelib": SITE, "platlib": SITE, "scripts": "bin", "data": "", "headers": f"include/site/python{os.environ['python']}/{distribution}"}
        if key not in folders or not rest:
            fail([f"the member {name!r} is of an unknown kind: {key!r} is not one of {', '.join(folders)}"])
        return f"{folders[key]}/{rest}".lstrip("/")


def patch_program(path, content):
    """Gives a program inside a wheel the interpreter path without which it cannot start; whether it did."""
    facts = elf.read(content)
    if facts is None or not facts.program or not LOADER or facts.machine != elf.MACHINES.get(platform.machine()):
        return False
    if b"ld-musl" in facts.interpreter:
        return False
    run_path = [] if not facts.dynamic else ["--force-rpath", "--add-rpath", os.environ["rpath"]]
    subprocess.run([os.environ["patchelf"], "--set-interpreter", LOADER, *run_path, path], check=True)
    return True


def install(wheel, share):
    """Unpacks, verifies and compiles a share of the members; returns a line of JSON for each that is worth one."""
    lines, problems, made = [], [], set()
    for name in share:
        content = wheel.read(name)
        algorithm, digest = wheel.record.get(name, ("", ""))
        if digest and algorithm in hashlib.algorithms_available:
            found = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode().rstrip("=")
            if found != digest.rstrip("="):
                problems.append(f"{name} is not what RECORD says: {algorithm}={found} instead of {algorithm}={digest}")
                continue
        place = wheel.destination(name)
        path = f"{OUT}/{place}"
        folder = os.path.dirname(path)
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        program = wheel.members[name].external_attr >> 16 & 0o111 or place.startswith("bin/")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if program else 0o644), "wb", buffering=0) as file:
            file.write(content)
        if name.endswith(".py") and place.startswith(SITE):
            bytecode.write(content, path, place[len(SITE) + 1 :])
        elif elf.is_native(content):
            patched = patch_program(path, content)
            lines.append(json.dumps({"native": place, "patched": patched}))
    if problems:
        fail(problems)
    return lines


def entry_points(wheel):
    """console_scripts and gui_scripts (entry points specification) as name → "module:object"."""
    name = f"{wheel.info}/entry_points.txt"
    if name not in wheel.members:
        return {}
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str
    try:
        parser.read_string(wheel.read(name).decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        fail([f"{name} cannot be read: {error}"])
    scripts = {}
    for group in ("console_scripts", "gui_scripts"):
        for script, target in parser.items(group) if parser.has_section(group) else ():
            target = target.partition("[")[0].strip()
            if not re.fullmatch(r"[\w.]+:[\w.]+", target) or not re.fullmatch(r"[\w.\-][\w.\- ]*", script) or script in (".", ".."):
                fail([f"{name}: {group}: {script} = {target!r} is not a name with module:object"])
            scripts[script] = target
    return scripts


def write_metadata(wheel, scripts):
    """INSTALLER, and RECORD as installed: the wheel's own lines with the paths that the files got (PEP 376)."""
    folder = f"{OUT}/{SITE}/{wheel.info}"
    installer = b"nixgen\n"
    with open(f"{folder}/INSTALLER", "wb") as file:
        file.write(installer)
    digest = base64.urlsafe_b64encode(hashlib.sha256(installer).digest()).decode().rstrip("=")
    rows = {f"{wheel.info}/INSTALLER": (f"sha256={digest}", str(len(installer))), f"{wheel.info}/RECORD": ("", "")}
    for script in scripts:
        rows[os.path.relpath(f"bin/{script}", SITE)] = ("", "")
    for name, member in wheel.members.items():
        if name != f"{wheel.info}/RECORD":
            algorithm, digest = wheel.record.get(name, ("", ""))
            rows[os.path.relpath(wheel.destination(name), SITE)] = (f"{algorithm}={digest}" if digest else "", str(member.file_size))
    os.unlink(f"{folder}/RECORD")
    with open(f"{folder}/RECORD", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows((path, *row) for path, row in sorted(rows.items()))


def main():
    wheel = Wheel(os.environ["src"])
    places = {}
    for name in wheel.members:
        places.setdefault(wheel.destination(name), []).append(name)
    if twice := [names for names in places.values() if len(names) > 1]:
        fail([f"the members {' and '.join(names)} are the same file when installed" for names in twice])
    scripts = entry_points(wheel)
    lines = [json.loads(line) for line in workers.spread(list(wheel.members), lambda name: 2000 + wheel.members[name].file_size * (8 if name.endswith(".py") else 1), lambda share: install(wheel, share))]
    write_metadata(wheel, scripts)
    for line in lines:
        if line["patched"]:
            print(f"{FILE}: patched {line['native']}: it was given the interpreter path {LOADER}")
    signatures = {f"{wheel.info}/RECORD", f"{wheel.info}/RECORD.jws", f"{wheel.info}/RECORD.p7s"}
    for name in sorted(set(wheel.members) - set(wheel.record) - signatures):
        print(f"{FILE}: {name} is not listed in RECORD")
    for name in sorted(set(wheel.record) - set(wheel.members)):
        print(f"{FILE}: RECORD lists {name}, which is not there")
    facts = {"file": FILE, "native": [line["native"] for line in lines], "patched": [line["native"] for line in lines if line["patched"]], "scripts": scripts}
    with open(f"{OUT}/nixgen.json", "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1, sort_keys=True)


main()
