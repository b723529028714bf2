"""elf.py, bytecode.py and workers.py by themselves: against readelf, against py_compile, with processes that fail."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import py_compile
import random
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import FOLDER, alternatives, bytecode, elf, entrypoints, hostpaths, toolchain, workers
from hypothesis import given
from hypothesis import strategies as st

CANDIDATES = ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/libexec")


def some_elf_files() -> list[Path]:
    """Programs and libraries of this machine, a few of each folder, and the Python that runs the tests."""
    found = [Path(sys.executable).resolve()]
    for folder in map(Path, CANDIDATES):
        files = sorted(path for path in folder.glob("*") if path.is_file() and not path.is_symlink())
        for path in files[:: max(1, len(files) // 25)]:
            with path.open("rb") as file:
                if file.read(6) == b"\x7fELF\x02\x01":
                    found.append(path)
    return found


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf (binutils) is not here to compare with")
def test_what_readelf_says_of_the_programs_and_libraries_of_this_machine() -> None:
    programs = 0
    for path in some_elf_files():
        said = subprocess.run(
            ["readelf", "--wide", "-hld", path], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
        ).stdout
        facts = elf.read(path.read_bytes())
        asked = re.search(r"Requesting program interpreter: (.*)\]", said)
        kind = re.search(r"Type:\s+(\w+)", said)
        assert kind
        pie = bool(re.search(r"\(FLAGS_1\).*\bPIE\b", said))
        program = asked is not None and (kind[1] == "EXEC" or pie)
        assert facts.interpreter == (asked[1].encode() if asked else None), path
        assert facts.dynamic == ("(NEEDED)" in said or "(STRTAB)" in said), path
        assert facts.has_runpath == ("(RUNPATH)" in said or "(RPATH)" in said), path
        assert facts.program == program, path
        assert facts.needed == re.findall(r"\(NEEDED\).*\[(.*)\]", said), path
        assert [facts.soname] == (re.findall(r"\(SONAME\).*\[(.*)\]", said) or [""]), path
        search = re.findall(r"\(RUNPATH\).*\[(.*)\]", said) or re.findall(r"\(RPATH\).*\[(.*)\]", said) or [""]
        assert facts.search == [folder for folder in search[0].split(":") if folder], path
        assert facts.machine == elf.MACHINES[os.uname().machine], path
        programs += program
    assert programs > 0


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_magic_number_are_read_or_are_data(rest: bytes) -> None:
    facts = elf.read(b"\x7fELF\x02\x01" + rest)
    assert facts is None or isinstance(facts.program, bool)


@given(st.integers(0, 1199), st.integers(0, 255))
def test_a_damaged_program_is_read_or_is_data(place: int, value: int) -> None:
    data = bytearray(Path(sys.executable).resolve().read_bytes()[:1200])
    data[place] = value
    facts = elf.read(bytes(data))
    assert facts is None or isinstance(facts.program, bool)


@pytest.mark.parametrize(
    ("data", "native"),
    [
        (b"\x7fELF\x01\x01 of 32 bits", True),
        (b"\xcf\xfa\xed\xfe Mach-O", True),
        (b"\xca\xfe\xba\xbe Mach-O for several machines", True),
        (b"#!/bin/sh", False),
        (b"", False),
    ],
)
def test_what_the_loader_of_a_system_reads(data: bytes, native: bool) -> None:  # noqa: FBT001 -- a parameter of the table
    assert elf.is_native(data) is native
    assert elf.read(data) is None


def test_byte_code_is_what_py_compile_makes(tmp_path: Path) -> None:
    source = b'"""A module."""\nimport sys\n\n\ndef f(x):\n    assert x, sys\n    return [y for y in x]\n'
    path = tmp_path / "module.py"
    path.write_bytes(source)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(
        str(path), str(tmp_path / "theirs.pyc"), dfile="pkg/module.py", invalidation_mode=mode, optimize=0
    )
    bytecode.write(source, str(path), "pkg/module.py", set())
    ours = tmp_path / "__pycache__" / f"module.{sys.implementation.cache_tag}.pyc"
    assert ours.read_bytes() == (tmp_path / "theirs.pyc").read_bytes()
    assert bytecode.place(str(path)) == importlib.util.cache_from_source(str(path)) == str(ours)


@pytest.mark.parametrize(
    "source", [b"print 'Python 2'", b"\0", b"x = '\xff'", b"{% template %}", b"(" * 500, b"# coding: nowhere\n"]
)
def test_what_does_not_compile_gets_no_byte_code(source: bytes, tmp_path: Path) -> None:
    assert bytecode.pyc(source, "x.py") is None
    bytecode.write(source, str(tmp_path / "x.py"), "x.py", set())
    assert list(tmp_path.iterdir()) == []


def test_byte_code_is_the_same_in_every_process() -> None:
    """With the fixed hash seed that every builder gets, also for sets of texts inside code objects."""
    source = "b\"def f(x): return x in {1, None, 'a', 'b', 'c', 'd', 'e'}\""
    code = (
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import bytecode; print(bytecode.pyc({source}, 'm.py').hex())"
    )
    argv = [sys.executable, "-S", "-c", code]
    said = {
        subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "0"}).stdout
        for _ in range(3)
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("pkg/a.py", True),
        ("pkg/tests/a.py", False),
        ("test/a.py", False),
        ("pkg/testing/a.py", True),
        ("pkg/test_a.py", True),
    ],
)
def test_what_deserves_byte_code(place: str, wanted: bool) -> None:  # noqa: FBT001 -- a parameter of the table
    assert bytecode.wanted(place) is wanted


HEAVY = workers.WORTH_A_PROCESS


@pytest.mark.parametrize("cores", ["1", "2", "7", "0"])
def test_the_work_is_done_once_and_its_lines_are_sorted(cores: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_BUILD_CORES", cores)
    items = [f"item-{number:02}" for number in range(20)]
    assert workers.spread(items, lambda _: HEAVY, list) == items


def test_little_work_stays_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_BUILD_CORES", "8")
    assert workers.spread(["a", "b"], lambda _: 10, lambda _: [str(os.getpid())]) == [str(os.getpid())]
    ways = workers.spread(["a", "b"], lambda _: HEAVY, lambda _: [str(os.getpid())])
    assert str(os.getpid()) not in ways
    assert len(ways) == 2


def test_the_weight_is_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_BUILD_CORES", "2")
    weights = {str(number): number * HEAVY for number in range(1, 9)}
    sums = workers.spread(
        list(weights), weights.__getitem__, lambda share: [str(sum(weights[one] for one in share) // HEAVY)]
    )
    assert sums == ["18", "18"]


def failing(error: Callable[[], BaseException]) -> Callable[[list[str]], list[str]]:
    def work(share: list[str]) -> list[str]:
        if "bad" in share:
            raise error()
        return share

    return work


class _Problems(Exception):  # noqa: N818 -- as archive.Damaged
    problems = ("one", "two")


def test_what_goes_wrong_in_a_worker_ends_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_BUILD_CORES", "2")
    monkeypatch.setenv("file", "x.whl")
    with pytest.raises(SystemExit, match=r"^x\.whl: one\nx\.whl: two$"):
        workers.spread(["bad", "good"], lambda _: HEAVY, failing(_Problems))
    with pytest.raises(SystemExit, match=r"x\.whl: RuntimeError\('no reason'\)"):
        workers.spread(["bad", "good"], lambda _: HEAVY, failing(lambda: RuntimeError("no reason")))


def test_a_worker_that_is_killed_ends_the_build_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does that when memory runs out."""
    monkeypatch.setenv("NIX_BUILD_CORES", "2")
    monkeypatch.setenv("file", "x.whl")

    def work(share: list[str]) -> list[str]:
        if "bad" in share:
            os.kill(os.getpid(), 9)
        return share

    with pytest.raises(SystemExit, match=r"x\.whl: a process of the build ended with status -9"):
        workers.spread(["bad", "good"], lambda _: HEAVY, work)


def test_the_layout_is_that_of_the_abi() -> None:
    """A file whose one program header is PT_INTERP: System V ABI, figures 4-3 and 5-1."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    facts = elf.read(head + struct.pack("<IIQQQQQQ", 3, 4, 120, 120, 120, 4, 4, 1) + b"/ld\0")
    assert (facts.interpreter, facts.program, facts.dynamic, facts.machine) == (b"/ld", True, False, 62)


POINTS = """# a comment
[console_scripts]
plain=pkg:main
with+plus.and-more@1 = pkg.sub : Object.run [extra, other]
twice = pkg:first
twice = pkg:second
[other]
anything = at all
[gui_scripts]
  window = pkg:show
"""


def test_the_scripts_of_entry_points() -> None:
    """As importlib.metadata reads them (a name may hold almost anything: case 22)."""
    assert entrypoints.scripts(POINTS) == [
        ("plain", "pkg:main"),
        ("with+plus.and-more@1", "pkg.sub:Object.run"),
        ("twice", "pkg:second"),
        ("window", "pkg:show"),
    ]


@given(st.text(st.sampled_from("[]=:ab \n\t#;.\x00"), max_size=80))
def test_any_text_has_scripts_or_is_refused(text: str) -> None:
    with contextlib.suppress(entrypoints.Refused):
        assert all("/" not in name and ":" in target for name, target in entrypoints.scripts(text))


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\nx" + " " * 2_000_000 + "y",
        "[console_scripts]\nx = a" + " " * 2_000_000 + "b",
        "[console_scripts]\nx = " + "a." * 1_000_000 + " :",
        "[console_scripts]\n" + "x" * 2_000_000 + "/ = a:b",
    ],
    ids=["blanks", "blanks-in-target", "dots", "name"],
)
def test_a_long_line_takes_no_longer_than_it_is_long(text: str) -> None:
    """Case 36: 60 KB took 21 s; a square of these 2 MB would be hours, and end at the test's time limit."""
    with pytest.raises(entrypoints.Refused):
        entrypoints.scripts(text)


POSTINST = """#!/bin/sh
set -e
. /usr/share/debconf/confmodule
touch {folder}/touched
echo > {folder}/written
/bin/touch {folder}/started
if [ -e {folder} ] || test -d {folder}; then
    update-alternatives --install /usr/bin/machines machines /usr/bin/real 9
fi
if [ -x /usr/bin/real ] && ! dpkg --compare-versions "$2" lt 2; then
    for name in vi ex; do
        update-alternatives --quiet --install /usr/bin/$name $name /usr/bin/real 30 \\
            --slave /usr/share/man/$name.1.gz $name.1.gz /usr/share/man/real.1.gz \\
            --slave /usr/bin/${{name}}er er /usr/bin/real
    done
fi
update-alternatives --install /usr/bin/ex ex /usr/bin/worse 5 >/dev/null 2>&1 || true
update-alternatives --install /usr/bin/missing missing /usr/bin/nothing 30
update-alternatives --install /usr/bin/editor editor /usr/bin/vi 0
update-alternatives --remove old /usr/bin/real
exit 0
"""


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="bash is not here")
def test_the_names_that_maintainer_scripts_ask_for(tmp_path: Path) -> None:
    """Case 1: they are read, and do nothing else: no file is written, none of the machine's is seen."""
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    for name in ("real", "worse"):
        (tree / "usr/bin" / name).touch(0o755)
    scripts = [tmp_path / "one", tmp_path / "perl", tmp_path / "none"]
    scripts[0].write_text(POSTINST.format(folder=tmp_path))
    scripts[1].write_text("#!/usr/bin/perl\nupdate-alternatives --install /usr/bin/p p /usr/bin/real 1\n")
    scripts[2].write_text("#!/bin/sh\ntouch here\n")
    before = sorted(tmp_path.iterdir())
    found = alternatives.asked(scripts, ["/bin/bash"], [str(tmp_path / "other"), str(tree)])
    asked = {f"/usr/bin/{name}": (30, "/usr/bin/real") for name in ("vi", "vier", "ex", "exer")}
    assert found == {**asked, "/usr/bin/editor": (0, "/usr/bin/vi")}
    assert sorted(tmp_path.iterdir()) == before


def test_a_program_without_a_dynamic_section_uses_no_file_of_the_machines(tmp_path: Path) -> None:
    """Case 1: a path is found too where it was cut into pieces, or where no zero ends it, as in Go's programs."""
    header = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HH", 2, 62) + bytes(44)
    content = (
        header
        + b"\0/usr/share/zoneinfo/37252run-on\0\x48\xb8/usr/sha\x48\xba"
        + b"re/some/\0/etc/passwd\0/usr/bin/env\0\x48\xb9/etc/fon\xc7\x40\x08ts\0\0\x48\xb9/etc/loc\xc7\x40\x08ltim"
    )
    for name in ("fonts", "localtime"):
        (tmp_path / "etc" / name).mkdir(parents=True)
    go = content + b"\xff Go build ID: x\0lsb_release/usr/share/mime/globs2run-on\0"
    facts = elf.read(content)
    assert (facts.started, facts.program, facts.dynamic) == (True, False, False)
    new, left = hostpaths.unled(content, hostpaths.Trees(str(tmp_path)))
    assert new == content.replace(b"/usr/sha", b"/NIX/sha").replace(b"/etc/fon", b"/NIX/fon")
    assert left == ["/usr/share/zoneinfo/37252run-on"]
    new, left = hostpaths.unled(go, hostpaths.Trees(str(tmp_path)))
    assert left == ["/usr/share/mime/globs2run-on", "/usr/share/zoneinfo"]
    assert hostpaths.variables(left) == {"ZONEINFO"}
    assert b"lsb_release/NIX/share/mime" in new
    assert b"/usr/share/zoneinfo/37252run-on" in new


def test_paths_are_found_where_their_pattern_finds_them() -> None:
    """It is tried where a path can begin, not at each byte of a program."""
    pieces = [b"/usr/", b"/etc/", b"/lib/", b"x86_64-linux-gnu/", b"a", b"share", b"-", b"\0", b" ", b"\xff", b"="]
    chance = random.Random(3)
    for data in (b"".join(chance.choices(pieces, k=60)) for _ in range(500)):
        assert [hit.span() for hit in hostpaths.paths(data)] == [hit.span() for hit in hostpaths.PATH.finditer(data)]


def test_where_a_library_tells_that_it_is_becomes_the_tree(tmp_path: Path) -> None:
    """hdf5-serial.pc has whole paths behind -I and -L; gssapi's build looks for a header below krb5-config's prefix."""
    tree = str(tmp_path)
    told = {
        "usr/lib/x86_64-linux-gnu/pkgconfig/hdf5-serial.pc": (
            "Cflags: -I/usr/include/hdf5/serial -I/usr/include/absent\nLibs: -L/usr/lib/x86_64-linux-gnu/hdf5 -lhdf5\n",
            f"Cflags: -I{tree}/usr/include/hdf5/serial -I/usr/include/absent\n"
            f"Libs: -L{tree}/usr/lib/x86_64-linux-gnu/hdf5 -lhdf5\n",
        ),
        "usr/bin/krb5-config.mit": (
            "#!/bin/sh\nprefix=/usr\necho --prefix=/usr/x\n",
            f"#!/bin/sh\nprefix={tree}/usr\necho --prefix=/usr/x\n",
        ),
        "usr/bin/gdal-config": ('#!/bin/sh\nCONFIG_PREFIX="/usr"\n', f'#!/bin/sh\nCONFIG_PREFIX="{tree}/usr"\n'),
        "usr/bin/program": ("\x7fELF\0prefix=/usr\n", "\x7fELF\0prefix=/usr\n"),
    }
    for folder in ("usr/include/hdf5/serial", "usr/lib/x86_64-linux-gnu/hdf5"):
        (tmp_path / folder).mkdir(parents=True)
    for name, (text, _) in told.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o555)
    (tmp_path / "usr/bin/krb5-config").symlink_to("krb5-config.mit")
    toolchain.join(tree, str(tmp_path / "none"))
    assert {name: (tmp_path / name).read_text() for name in told} == {name: after for name, (_, after) in told.items()}
    assert (tmp_path / "usr/bin/krb5-config").is_symlink()
    assert (tmp_path / "usr/bin/gdal-config").stat().st_mode & 0o777 == 0o555
