"""One wheel, installed: its files are what RECORD says, but for programs; byte code; metadata; the build's log."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from lab import PYTHON, SITE, Lab, rows, tree
from support.wheels import make_wheel

FILES: dict[str, str | bytes] = {
    "alpha/__init__.py": "NAME = 'alpha'\n",
    "alpha/tests/test_alpha.py": "assert True\n",
    "alpha/template.py": "print 'not Python 3'\n",
    "alpha/_native.so": b"\x7fELF\x02\x01 not a real one",
    "alpha-1.0.data/scripts/alpha-script": "#!python -I\nprint('alpha-script')\n",
    "alpha-1.0.data/data/share/alpha/icon.svg": "<svg/>\n",
    "alpha-1.0.data/data/etc/alpha.conf": "colour = green\n",
    "alpha-1.0.data/headers/alpha.h": "#define ALPHA 1\n",
    "alpha-1.0.data/purelib/alpha_extra.py": "EXTRA = 1\n",
    "alpha-1.0.data/platlib/alpha_platform.py": "PLATFORM = 1\n",
}
SCRIPTS = "[console_scripts]\nalpha = alpha:main\n\n[gui_scripts]\nalpha-window = alpha.window:Window.show [extra]\n"


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def verify(wheel: Path, installed: Path, *, patched: tuple[str, ...] = ()) -> int:
    """Compares what is in the store with both RECORDs; the number of files that were compared."""
    site = installed / SITE
    (info,) = site.glob("*.dist-info")
    record = rows(info / "RECORD")
    for path, (wanted, size) in record.items():
        if wanted and path not in patched:
            content = (site / path).read_bytes()
            assert (path, digest(content), str(len(content))) == (path, wanted, size)
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(f"{info.name}/RECORD").decode().splitlines()
        own = {path: wanted for path, wanted, _ in csv.reader(lines)}
        members = [entry for entry in archive.infolist() if not entry.is_dir()]
        for member in members:
            if member.filename == f"{info.name}/RECORD":
                continue
            place = next(path for path in record if places(member.filename, path, info.name))
            if place not in patched:
                assert (site / place).read_bytes() == archive.read(member)
            assert record[place][0] == own[member.filename]
    listed = {os.path.normpath(f"{SITE}/{path}") for path in record}
    unlisted = [path for path in tree(installed) if path not in listed]
    assert unlisted == ["nixgen-facts"]
    return len(members) - 1


def places(member: str, path: str, info: str) -> bool:
    """Whether the installed path is that of a member."""
    data = info.removesuffix(".dist-info") + ".data/"
    if not member.startswith(data):
        return path == member
    key, _, rest = member.removeprefix(data).partition("/")
    name = info.split("-", maxsplit=1)[0]
    below = {"purelib": "", "platlib": "", "scripts": "../../../bin/", "data": "../../../"}
    return path == below.get(key, f"../../../include/site/python{PYTHON}/{name}/") + rest


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "alpha", "1.0", FILES, entry_points=SCRIPTS, executable=["alpha/_native.so"])


def test_every_file_is_what_both_records_say(lab: Lab, alpha: Path) -> None:
    (installed,) = lab.installed(alpha)
    assert verify(alpha, installed) == len(FILES) + 3  # METADATA, WHEEL, entry_points.txt


def test_each_key_of_the_data_folder_has_its_place(lab: Lab, alpha: Path) -> None:
    (installed,) = lab.installed(alpha)
    found = [path for path in tree(installed) if ".dist-info" not in path]
    assert found == sorted([
        "bin/alpha-script", "etc/alpha.conf", "include/site/python3.13/alpha/alpha.h", "nixgen-facts",
        "share/alpha/icon.svg", f"{SITE}/alpha_extra.py", f"{SITE}/alpha_platform.py",
        *(f"{SITE}/{name}" for name in FILES if ".data/" not in name),
    ])  # fmt: skip


def test_the_facts_for_the_environment(lab: Lab, alpha: Path) -> None:
    (installed,) = lab.installed(alpha)
    assert (installed / "nixgen-facts").read_text().splitlines() == [
        f"native\t{SITE}/alpha/_native.so",
        "script\talpha\talpha:main",
        "script\talpha-window\talpha.window:Window.show",
    ]


def test_installed_metadata(lab: Lab, alpha: Path) -> None:
    (installed,) = lab.installed(alpha)
    info = installed / SITE / "alpha-1.0.dist-info"
    assert (info / "INSTALLER").read_text() == "nixgen\n"
    record = rows(info / "RECORD")
    assert record["alpha-1.0.dist-info/INSTALLER"] == (digest(b"nixgen\n"), "7")
    assert record["alpha-1.0.dist-info/RECORD"] == ("", "")
    assert record["../../../bin/alpha"] == ("", "")
    assert record["../../../bin/alpha-window"] == ("", "")


def test_what_is_executable(lab: Lab, alpha: Path) -> None:
    """Scripts, and what the archive marks; nothing else."""
    (installed,) = lab.installed(alpha)
    runnable = {path for path in tree(installed) if (installed / path).stat().st_mode & stat.S_IXUSR}
    assert runnable == {"bin/alpha-script", f"{SITE}/alpha/_native.so"}


def test_the_log_tells_what_record_does_not_list_and_what_the_wheel_lacks(lab: Lab) -> None:
    wheel = make_wheel(
        lab.wheels, "untold", "1.0", unrecorded={"untold_more.py": "x = 1\n"}, missing=["untold_gone.py"]
    )
    (installed,) = lab.installed(wheel)
    assert (installed / SITE / "untold_more.py").exists()
    assert "../untold_more.py" not in rows(installed / SITE / "untold-1.0.dist-info/RECORD")
    assert lab.log("wheels.untold", [wheel]).splitlines() == [
        f"{wheel.name}: untold_more.py is not listed in RECORD",
        f"{wheel.name}: RECORD lists untold_gone.py, which is not in the wheel",
    ]


def test_names_with_commas_and_quotes_in_record(lab: Lab) -> None:
    names = ["punctuated/one, two.txt", 'punctuated/a "word".txt', "punctuated/naïve 😀.txt"]
    info = "punctuated-1.0.dist-info"
    plain = make_wheel(lab.wheels / "plain", "punctuated", "1.0", dict.fromkeys(names, "x"))
    with zipfile.ZipFile(plain) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
    text = io.StringIO()
    csv.writer(text).writerows((name, digest(data), len(data)) for name, data in contents.items())
    record = text.getvalue() + f"{info}/RECORD,,\r\n"
    wheel = make_wheel(lab.wheels, "punctuated", "1.0", dict.fromkeys(names, "x"), record=record)
    (installed,) = lab.installed(wheel)
    assert verify(wheel, installed) == 5
    assert set(rows(installed / SITE / info / "RECORD")) >= set(names)


def test_a_name_that_no_store_path_may_have(lab: Lab) -> None:
    wheel = make_wheel(lab.wheels, "odd", "1.0+local.1")
    strange = wheel.with_name(wheel.name.replace("py3", "1~!py3"))
    wheel.rename(strange)
    entry = {**lab.entry(strange), "version": "1!1.0+local.1"}
    built = lab.with_arguments(wheels=[entry]).build("wheels.odd")
    assert built.name.partition("-")[2] == "odd-1_1.0+local.1"


def test_byte_code_that_the_publisher_made_is_kept(lab: Lab) -> None:
    pyc = "compiled/__pycache__/__init__.cpython-313.pyc"
    wheel = make_wheel(lab.wheels, "compiled", "1.0", {"compiled/__init__.py": "x = 1\n", pyc: b"their own"})
    (installed,) = lab.installed(wheel)
    assert (installed / SITE / pyc).read_bytes() == b"their own"
    verify(wheel, installed)


def test_an_installer_that_the_wheel_brings_is_replaced(lab: Lab) -> None:
    info = "claimed-1.0.dist-info"
    wheel = make_wheel(lab.wheels, "claimed", "1.0", {"claimed.py": "", f"{info}/INSTALLER": "somebody\n"})
    (installed,) = lab.installed(wheel)
    assert (installed / SITE / info / "INSTALLER").read_text() == "nixgen\n"
    text = (installed / SITE / info / "RECORD").read_text()
    assert [line for line in text.splitlines() if "INSTALLER" in line] == [
        f"{info}/INSTALLER,{digest(b'nixgen' + bytes([10]))},7"
    ]


def test_entry_points_with_spaces_and_extras(lab: Lab) -> None:
    """The entry points specification allows both, and installers ignore the extras."""
    points = "[console_scripts]\nspaced = spaced : main.run [extra, other]\n[other.group]\nx = anything at all\n"
    wheel = make_wheel(lab.wheels, "spaced", "1.0", entry_points=points)
    (installed,) = lab.installed(wheel)
    assert (installed / "nixgen-facts").read_text() == "script\tspaced\tspaced:main.run\n"
