"""The environment: a real venv of links, in which every wheel of a small garden works."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import relink
from lab import PYTHON, SITE, Lab
from support.nix import SYSTEM
from support.project import run, uv_binary
from support.wheels import make_wheel

MAIN = "import sys\n\n\ndef main():\n    print(__name__, *sys.argv[1:])\n    return len(sys.argv) - 1\n"
GARDEN = {
    "alpha": {
        "alpha/__init__.py": MAIN,
        "alpha/window.py": "class Window:\n    @staticmethod\n    def show():\n        print('window')\n",
        "alpha/deep/__init__.py": "",
        "alpha-1.0.data/scripts/alpha-script": "#!python -I\nimport sys\nprint(sys.prefix, sys.flags.isolated)\n",
        "alpha-1.0.data/scripts/alpha-shell": "#!/bin/sh\necho shell\n",
        "alpha-1.0.data/data/share/alpha/icon.svg": "<svg/>\n",
        "alpha-1.0.data/data/etc/alpha.conf": "colour = green\n",
        "alpha-1.0.data/headers/alpha.h": "#define ALPHA 1\n",
    },
    "beta-one": {"garden/one/__init__.py": "NAME = 'one'\n", "beta_one-1.0.data/data/share/common/one": "1"},
    "beta.two": {"garden/two.py": "NAME = 'two'\n", "beta_two-1.0.data/data/share/common/two": "2"},
}
POINTS = "[console_scripts]\nalpha = alpha:main\n[gui_scripts]\nalpha-window = alpha.window:Window.show\n"


@pytest.fixture(scope="module")
def garden(lab: Lab) -> list[Path]:
    """The wheels, and pip as a wheel among them."""
    folder = lab.folder / "pip"
    done = run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "pip"], lab.folder
    )
    assert done.ok, done.tail()
    (pip,) = folder.iterdir()
    return [
        make_wheel(lab.wheels, "alpha", "1.0", GARDEN["alpha"], entry_points=POINTS, requires=["beta-one>=1"]),
        make_wheel(lab.wheels, "beta-one", "1.0", GARDEN["beta-one"], requires=["beta.two"]),
        make_wheel(lab.wheels, "beta.two", "1.0", GARDEN["beta.two"]),
        Path(shutil.copy(pip, lab.wheels)),
    ]


@pytest.fixture(scope="module")
def environment(lab: Lab, garden: list[Path]) -> Path:
    return lab.environment(*garden)


@pytest.fixture(scope="module")
def real(lab: Lab, environment: Path) -> Path:
    """The environment as it lies on the disk."""
    return lab.nix.real(environment)


@pytest.mark.parametrize("program", ["python", "python3", f"python{PYTHON}"])
def test_it_is_a_venv(lab: Lab, environment: Path, program: str) -> None:
    code = "import sys; print(sys.prefix, sys.exec_prefix, sys.base_prefix != sys.prefix, sys.executable)"
    said = lab.nix.inside(f"{environment}/bin/{program}", "-c", code).stdout.split()
    assert said == [f"{environment}", f"{environment}", "True", f"{environment}/bin/{program}"]


def test_pyvenv_cfg(lab: Lab, environment: Path, real: Path) -> None:
    lines = dict(line.split(" = ") for line in (real / "pyvenv.cfg").read_text().splitlines())
    version, base = lab.value(environment, "answer = ['.'.join(map(str, sys.version_info[:3])), sys.base_prefix]")
    assert lines == {
        "home": f"{base}/bin",
        "implementation": "CPython",
        "version_info": version,
        "include-system-site-packages": "false",
        "prompt": "demo",
    }
    assert lab.nix.real(f"{base}/bin/python{PYTHON}").exists()


def test_a_link_to_it_is_a_venv_too(lab: Lab, environment: Path) -> None:
    link = lab.folder / "linked"
    link.symlink_to(environment)
    said = lab.nix.inside(f"{link}/bin/python", "-c", "import sys, alpha; print(sys.prefix, alpha.__file__)").stdout
    assert said.split() == [str(link), f"{link}/{SITE}/alpha/__init__.py"]


def test_nothing_but_the_environment_and_the_base_is_searched(lab: Lab, environment: Path) -> None:
    paths = lab.value(environment, "answer = sys.path[1:]")
    assert [path for path in paths if not path.startswith("/nix/store/")] == []
    assert paths[-1] == f"{environment}/{SITE}"


def test_metadata_knows_every_distribution(lab: Lab, environment: Path, garden: list[Path]) -> None:
    code = (
        "from importlib import metadata\n"
        "answer = {d.name: [d.version, d.read_text('INSTALLER')] for d in metadata.distributions()}"
    )
    found = lab.value(environment, code)
    pip = garden[-1].name.split("-")[1]
    assert found == {
        "alpha": ["1.0", "nixgen\n"],
        "beta-one": ["1.0", "nixgen\n"],
        "beta.two": ["1.0", "nixgen\n"],
        "pip": [pip, "nixgen\n"],
    }


def test_every_file_that_a_record_names_is_there(lab: Lab, environment: Path) -> None:
    code = (
        "from importlib import metadata\n"
        "files = [f for d in metadata.distributions() for f in d.files]\n"
        "answer = [len(files), [str(f) for f in files if not f.locate().exists()]]"
    )
    count, missing = lab.value(environment, code)
    assert count > 400
    assert missing == []


def test_pip_lists_and_checks(lab: Lab, environment: Path, garden: list[Path]) -> None:
    pip = [f"{environment}/bin/pip", "--disable-pip-version-check"]
    listed = json.loads(lab.nix.inside(*pip, "list", "--format", "json").stdout)
    assert listed == [{"name": name, "version": version} for name, version in versions(garden)]
    assert lab.nix.inside(*pip, "check").stdout == "No broken requirements found.\n"


def versions(wheels: list[Path]) -> list[tuple[str, str]]:
    names = {"beta_one": "beta-one", "beta_two": "beta.two"}
    return [(names.get(name, name), version) for name, version in (wheel.name.split("-")[:2] for wheel in wheels)]


def test_uv_lists_what_it_would_have_installed(lab: Lab, environment: Path, garden: list[Path]) -> None:
    venv = lab.folder / "theirs"
    uv = uv_binary()
    for argv in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(venv)],
        [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(venv), *map(str, garden)],
    ):
        done = run(argv, lab.folder)
        assert done.ok, done.tail()
    theirs = json.loads(run([uv, "pip", "list", "-p", str(venv), "--format", "json"], lab.folder).stdout)
    ours = json.loads(lab.nix.inside(uv, "pip", "list", "-p", environment, "--format", "json").stdout)
    assert ours == theirs
    assert len(ours) == len(garden)


def test_console_and_gui_scripts(lab: Lab, environment: Path) -> None:
    done = lab.nix.inside(f"{environment}/bin/alpha", "a", "b", check=False)
    assert (done.stdout, done.returncode) == ("alpha a b\n", 2)
    assert lab.nix.inside(f"{environment}/bin/alpha-window").stdout == "window\n"


def test_scripts_of_the_data_folder(lab: Lab, environment: Path, real: Path) -> None:
    """PEP 427: "#!python" becomes the environment's interpreter; anything else stays as it is."""
    assert lab.nix.inside(f"{environment}/bin/alpha-script").stdout == f"{environment} 1\n"
    assert (real / "bin/alpha-script").read_text().splitlines()[0] == f"#!{environment}/bin/python -I"
    assert lab.nix.inside(f"{environment}/bin/alpha-shell").stdout == "shell\n"
    assert (real / "bin/alpha-shell").is_symlink()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("share/alpha/icon.svg", "<svg/>\n"),
        ("etc/alpha.conf", "colour = green\n"),
        ("share/common/one", "1"),
        ("share/common/two", "2"),
        (f"include/site/python{PYTHON}/alpha/alpha.h", "#define ALPHA 1\n"),
    ],
)
def test_data_and_headers(lab: Lab, environment: Path, path: str, text: str) -> None:
    assert lab.nix.inside("cat", f"{environment}/{path}").stdout == text


def test_a_namespace_package_across_wheels(lab: Lab, environment: Path) -> None:
    code = (
        "import garden, garden.one, garden.two\nanswer = [garden.one.NAME, garden.two.NAME, len(list(garden.__path__))]"
    )
    assert lab.value(environment, code) == ["one", "two", 1]


def test_a_folder_of_one_wheel_is_one_link(real: Path) -> None:
    """But for .dist-info: uv takes only a real folder for a distribution."""
    site = real / SITE
    found = {path.name: path.is_symlink() for path in site.iterdir() if path.suffix != ".dist-info"}
    assert found == {
        "__pycache__": False,
        "_nixgen_bytecode.pth": False,
        "_nixgen_bytecode.py": False,
        "alpha": True,
        "garden": False,
        "nixgen": False,
        "pip": True,
    }
    infos = list(site.glob("*.dist-info"))
    assert len(infos) == 4
    assert [info for info in infos if info.is_symlink()] == []
    assert all(path.is_symlink() for info in infos for path in info.iterdir())
    assert {path.name: path.is_symlink() for path in (site / "garden").iterdir() if path.name != "__pycache__"} == {
        "one": True,
        "two.py": True,
    }
    assert not (real / "nixgen-facts").exists()


def test_the_environment_without_wheels(lab: Lab) -> None:
    environment = lab.environment()
    assert lab.value(environment, "from importlib import metadata\nanswer = list(metadata.distributions())") == []


def test_a_shared_object_finds_its_neighbour_in_another_wheel(lab: Lab) -> None:
    """$ORIGIN/../neighbour/lib, as CUDA's wheels use it: through the environment, since no wheel holds both."""
    core = lab.build("base.core")
    (folder,) = lab.nix.real(core).glob("usr/lib/*-linux-gnu")
    asking = relink.File((folder / "libexpat.so.1").resolve().read_bytes())
    asking.needed, asking.rpath = ["libneighbour-0.so", *asking.needed], ["$ORIGIN/../neighbour/lib"]
    wheels = [
        make_wheel(lab.wheels, "asking", "1.0", {
            "asking/__init__.py": "", "asking/_asking.so": asking.write(), "asking/plain/x.py": "",
        }),
        make_wheel(lab.wheels, "neighbour", "1.0", {
            "neighbour/__init__.py": "",
            "neighbour/lib/libneighbour-0.so": (folder / "libz.so.1").resolve().read_bytes(),
        }),
    ]  # fmt: skip
    environment = lab.environment(*wheels)
    code = (
        "import ctypes, asking\n"
        "ctypes.CDLL(asking.__path__[0] + '/_asking.so')\n"
        "answer = any('libneighbour-0' in line for line in open('/proc/self/maps'))"
    )
    assert lab.value(environment, code) is True
    site = lab.nix.real(environment) / SITE
    kinds = ("asking", "asking/_asking.so", "asking/plain", "neighbour", "neighbour/lib")
    assert [(site / name).is_symlink() for name in kinds] == [False, True, True, False, False]
    alone = lab.environment(wheels[0])
    done = lab.python(alone, code.replace("answer = any", "any"), check=False)
    assert "OSError: libneighbour-0.so: cannot open shared object file" in done.stderr


def test_the_machine_itself_has_no_such_program(environment: Path) -> None:
    """Outside of the namespace no store is at /nix: the tests cannot have run a host's program by chance."""
    with pytest.raises(FileNotFoundError):
        subprocess.run([f"{environment}/bin/alpha"], check=False)


@pytest.mark.one_nix
def test_what_seeds_is_there_where_no_package_is_called_nixgen(lab: Lab, environment: Path) -> None:
    code = "import nixgen; answer = [nixgen.seed_everything(7), nixgen.__file__, hasattr(nixgen, 'OWN')]"
    assert lab.value(environment, code) == [7, f"{environment}/{SITE}/nixgen/__init__.py", False]
    assert list(lab.nix.real(environment).glob(f"{SITE}/nixgen/__pycache__/*.pyc"))
    wheel = make_wheel(lab.wheels, "other-name", "1.0", {"nixgen.py": "OWN = 1\n"})
    assert lab.value(lab.environment(wheel), "import nixgen; answer = nixgen.OWN") == 1


@pytest.mark.one_nix
def test_a_package_of_the_project_called_nixgen_comes_first(lab: Lab) -> None:
    row = {"name": "own", "version": "1", "path": ".", "roots": ["src"], "metadata": "", "entryPoints": ""}
    found = []
    for module in ("nixgen", "other"):
        tree = {**row, "systems": [SYSTEM], "environments": {}, "modules": [module]}
        plan = f"({lab.with_arguments(trees=[tree]).expression()}).shell.stdenv.environment.plan"
        found.append(json.loads(lab.nix.evaluate(f"builtins.unsafeDiscardStringContext ({plan})"))["seeding"])
    assert found[0] is None
    assert found[1].endswith("-nixgen-seeding")
