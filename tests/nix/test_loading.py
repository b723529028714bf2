"""What a Python of the environment loads by name: what is declared, whichever library asks, and never the machine's.

Case 2 (ctypes.util.find_library), case 3 (libraries with a RUNPATH of their own), case 4 (locales), case 44 (NSS).
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from builders import relink
from lab import SITE, Lab, locked, make_library
from support.index import Index  # noqa: TC002 -- the type of a fixture
from support.nix import SYSTEM, Nix
from support.project import Project
from support.wheels import make_wheel

WANTED = """
[tool.nixgen]
base = "debian"
suite = "trixie"
systems = ["{system}"]
libraries = ["libportaudio2", "libnss-extrausers", "locales-all"]
"""
# What a machine has and the project did not declare: its ldconfig, compiler and linker all know libmadeup.
LDCONFIG = '#!/bin/sh\nprintf "1 libs found\\n\\tlibmadeup.so.3 (libc6,x86-64,AArch64) => /lib/libmadeup.so.3\\n"\n'
COMPILER = "#!/bin/sh\necho /lib/libmadeup.so.3 >&2\necho /lib/libmadeup.so.3\n"
FIND = "import ctypes.util; answer = [ctypes.util.find_library(n) for n in ('portaudio', 'c', 'z', 'madeup', 'porta')]"
LOCALES = (
    "import locale\n"
    "def tried(name):\n"
    "    try:\n"
    "        locale.setlocale(locale.LC_ALL, name)\n"
    "        return ''.join(sorted('aÄzB', key=locale.strxfrm))\n"
    "    except locale.Error:\n"
    "        return None\n"
    "answer = [tried(name) for name in ('C.UTF-8', 'de_DE.UTF-8', 'en_US.UTF-8', 'xx_YY.UTF-8')]"
)


@pytest.fixture(scope="module")
def declared(stores: Path, nix28: Nix, served: Index, tmp_path_factory: pytest.TempPathFactory, pins: Path) -> Lab:  # noqa: ARG001 -- pins: marked as it is
    """A laboratory whose project declares libraries, locales and a name service."""
    folder = stores / "declared"
    with locked(stores / "declared.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            Project.make(folder, more=WANTED.format(system=SYSTEM)).must("init", "--base", "debian", "--ci", "none")
            (folder / "done").touch()
    library = make_library(tmp_path_factory.mktemp("library"), folder)
    return Lab(nix28, library, served, tmp_path_factory.mktemp("declared"))


@pytest.fixture(scope="module")
def environment(declared: Lab) -> Path:
    return declared.environment()


def on_machine(lab: Lab, over: dict[str, Path], environment: Path, code: str) -> str:
    """Runs code where files of the machine are others: ``over`` is path → what lies there; what it printed."""
    mounts = [f'mount --bind "{source}" "{target}"' for target, source in over.items()]
    code = f"import json, sys\n{code}\nprint(json.dumps(answer))"
    script = " && ".join([*mounts, 'exec "$@"'])
    path = f"{lab.folder}/programs:/usr/sbin:/usr/bin:/sbin:/bin"
    return lab.nix.inside("sh", "-c", script, "sh", f"{environment}/bin/python", "-I", "-c", code, PATH=path).stdout


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("isolated", ["-I", "-S", "-E"])
def test_find_library_finds_what_is_declared(declared: Lab, environment: Path, isolated: str) -> None:
    code = f"import json\n{FIND}\nprint(json.dumps(answer))"
    said = declared.nix.inside(f"{environment}/bin/python", isolated, "-c", code, cwd=declared.folder).stdout
    assert said == '["libportaudio.so.2", "libc.so.6", "libz.so.1", null, null]\n'


def test_find_library_asks_nothing_of_the_machine(lab: Lab) -> None:
    ldconfig = program(lab.folder / "ldconfig", LDCONFIG)
    for name in ("gcc", "cc", "ld", "objdump"):
        program(lab.folder / "programs" / name, COMPILER)
    over = {"/sbin/ldconfig": ldconfig} if Path("/sbin/ldconfig").exists() else {}
    assert on_machine(lab, over, lab.environment(), FIND) == '[null, "libc.so.6", "libz.so.1", null, null]\n'


def with_runpath(data: bytes, needed: str) -> bytes:
    """A library with a RUNPATH of its own that needs another."""
    made = relink.File(data)
    made.needed, made.rpath = [needed, *made.needed], ["$ORIGIN/nowhere"]
    content = bytearray(made.write())
    header = next(entry for entry in relink.File(bytes(content)).headers if entry[0] == 2)
    for place in range(header[2], header[2] + header[5], 16):
        if struct.unpack_from("<q", content, place) == (15,):
            struct.pack_into("<q", content, place, 29)
    return bytes(content)


def test_a_library_with_a_runpath_finds_what_is_declared(declared: Lab, environment: Path) -> None:
    core = declared.nix.real(declared.build("base.core"))
    library = next(core.glob("usr/lib/*/libexpat.so.1")).read_bytes()
    files: dict[str, str | bytes] = {"asks/__init__.py": "", "asks/one.so": with_runpath(library, "libportaudio.so.2")}
    files["asks/two.so"] = with_runpath(library, "libmount.so.1")
    wheel = make_wheel(declared.wheels, "asks", "1.0", files)
    code = (
        "import ctypes, asks\nanswer = [ctypes.CDLL(f'{asks.__path__[0]}/{n}.so')._name[-6:] for n in ('one', 'two')]"
    )
    assert declared.value(declared.environment(wheel), code) == ["one.so", "two.so"]
    # By its soname, too, whoever asks: here the loader itself, for the program.
    assert (
        declared.value(environment, "import ctypes\nanswer = ctypes.CDLL('libasound.so.2')._name") == "libasound.so.2"
    )


def test_a_program_of_a_wheel_finds_what_is_declared(declared: Lab) -> None:
    """As QtWebEngineProcess has to: the wheel is the same path in each project, so the environment has a copy."""
    core = declared.nix.real(declared.build("base.core"))
    program = with_runpath((core / "usr/bin/bash").read_bytes(), "libportaudio.so.2")
    files: dict[str, str | bytes] = {"starts/__init__.py": "", "starts/tool": program}
    wheel = make_wheel(declared.wheels, "starts", "1.0", files, executable=["starts/tool"])
    environment = declared.environment(wheel)
    tool = f"{environment}/{SITE}/starts/tool"
    assert declared.nix.inside(tool, "-c", "echo started").stdout == "started\n"


def test_locales_are_those_that_are_declared(declared: Lab, environment: Path) -> None:
    assert declared.value(environment, LOCALES) == ["BazÄ", "aÄBz", "aÄBz", None]


def test_the_locales_of_the_machine_do_not_count(declared: Lab, lab: Lab, tmp_path: Path) -> None:
    extra = declared.nix.real(declared.build("base.built.extra"))
    shutil.copy(extra / "usr/lib/locale/locale-archive", tmp_path)
    over = {"/usr/lib/locale": tmp_path} if Path("/usr/lib/locale").is_dir() else {}
    said = on_machine(lab, over, lab.environment(), LOCALES.replace("'xx", "'de_DE', 'xx"))
    assert said.encode().decode("unicode_escape") == '["BazÄ", null, null, null, null]\n'


def test_a_time_zone_has_the_rules_of_the_base(lab: Lab, tmp_path: Path) -> None:
    """The C library's, which time.localtime goes by; zoneinfo's are the base's already."""
    code = "import os, time\nos.environ['TZ'] = 'Europe/Berlin'\ntime.tzset()\nanswer = time.tzname"
    over = {"/usr/share/zoneinfo": tmp_path} if Path("/usr/share/zoneinfo").is_dir() else {}
    assert on_machine(lab, over, lab.environment(), code) == '["CET", "CEST"]\n'


def test_names_of_users_come_from_a_declared_service(declared: Lab, environment: Path, tmp_path: Path) -> None:
    """nsswitch.conf is the machine's, and names the module; the module is the project's (sssd's is libnss-sss)."""
    (tmp_path / "nsswitch.conf").write_text("passwd: files extrausers\n")
    (tmp_path / "extrausers").mkdir()
    (tmp_path / "extrausers/passwd").write_text("heidi:x:12345:12345:Heidi:/home/heidi:/bin/sh\n")
    code = "import pwd\ntry:\n    answer = pwd.getpwnam('heidi').pw_uid\nexcept KeyError:\n    answer = None"
    if not Path("/etc/nsswitch.conf").exists():
        pytest.skip("this machine has no nsswitch.conf to lay another over")
    mounts = {"/etc/nsswitch.conf": tmp_path / "nsswitch.conf", "/var/lib": tmp_path}
    assert on_machine(declared, mounts, environment, code) == "12345\n"
