"""The development shell, by `nix develop` and by `nix-shell`, in both versions of Nix."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import PYTHON, locked
from support.index import serve
from support.nix import ROOT, SYSTEM, Nix, Output
from support.project import Project, uv_binary
from support.wheels import make_wheel

MORE = """
[project.scripts]
demo = "demo:main"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.nixgen]
tools = ["jq"]
libraries = ["libyaml-0-2"]
"""
VARIABLES = ("PATH", "VIRTUAL_ENV", "UV_NO_SYNC", "UV_PYTHON_DOWNLOADS", "UV_PYTHON", "NIXGEN_ROOT", "PYTHONPATH")

pytestmark = pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")


@pytest.fixture(scope="module")
def origin(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a wheel, a package of its own, a tool and a library, as `nixgen init` leaves it."""
    folder = tmp_path_factory.mktemp("shell")
    make_wheel(folder / "index", "alpha", "1.0", {"alpha.py": "NAME = 'alpha'\n"})
    with serve(folder / "index") as index, locked(stores / "pins.lock"):
        project = Project.make(folder / "demo", "alpha", index=index.simple, more=MORE)
        (project.folder / "src/demo").mkdir(parents=True)
        (project.folder / "src/demo/__init__.py").write_text("def main():\n    print('demo', __file__)\n")
        project.must("init", "--base", "debian", "--python", PYTHON, "--system", SYSTEM)
        yield project


@pytest.fixture
def project(origin: Project, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    shutil.copytree(origin.folder, tmp_path / "demo")
    return Project(tmp_path / "demo")


Enter = Callable[..., Output]


@pytest.fixture(params=["develop", "shell"])
def enter(request: pytest.FixtureRequest, nix: Nix) -> Enter:
    """Runs a command in the shell, in each of both ways and both versions: ``enter(project, command, **env)``."""

    def run(project: Project, command: str, **env: str) -> Output:
        if request.param == "develop":
            return nix.develop(project.folder, "bash", "-c", command, **env)  # type: ignore[arg-type]
        return nix.shell(project.folder, command, **env)  # type: ignore[arg-type]

    return run


def variables(done: Output) -> dict[str, str]:
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in lines if name in VARIABLES}


def test_the_variables(project: Project, enter: Enter) -> None:
    found = variables(enter(project, "env", PYTHONPATH="/from/outside", VIRTUAL_ENV="/another", PYTHONHOME="/wrong"))
    environment = found["VIRTUAL_ENV"]
    assert environment.startswith("/nix/store/")
    assert environment.endswith("-demo-environment")
    path = found.pop("PATH").split(":")
    assert path[0] == f"{environment}/bin"
    assert path[1].startswith("/nix/store/")
    assert path[1].endswith("-extra-bookworm/usr/bin")
    assert path[-1] == os.environ["PATH"].split(":")[-1]
    assert found == {
        "VIRTUAL_ENV": environment,
        "UV_NO_SYNC": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": found["UV_PYTHON"],
        "NIXGEN_ROOT": str(project.folder),
    }


def as_user_with(shell: str, tmp_path: Path) -> str:
    """The beginning of a script in which /etc/passwd says that this user's shell is another one."""
    (tmp_path / "passwd").write_text(f"me:x:{os.getuid()}:0:me:/:{shell}\n")
    return f"mount --bind {tmp_path}/passwd /etc/passwd && "


@pytest.mark.parametrize("command", ["nix develop -c env", "nix-shell --run env"])
def test_the_shell_that_programs_start_exists(project: Project, nix: Nix, tmp_path: Path, command: str) -> None:
    """Cases 7 and 46: Nix 2.8 has /noshell there, from its build; and in PATH /path-not-set."""
    base = nix.evaluate(f"(import {project.folder} {{}}).base.bash")
    for theirs, outside in (("/bin/sh", "/no/such"), ("/no/such", "/no/such"), ("/usr/sbin/nologin", "bash")):
        script = f"{as_user_with(theirs, tmp_path)} SHELL={outside} {command}"
        lines = nix.inside("sh", "-c", script, cwd=project.folder).stdout.splitlines()
        found = {name: value for name, _, value in (line.partition("=") for line in lines)}
        assert "/path-not-set" not in found["PATH"].split(":")
        assert found["SHELL"] == (theirs if theirs == "/bin/sh" else base)


@pytest.mark.skipif(shutil.which("script") is None, reason="script (bsdutils) is not here")
def test_a_program_that_starts_a_shell_works(project: Project, enter: Enter) -> None:
    assert "typed" in enter(project, "script -qc 'echo typed' /dev/null").stdout


def test_the_prompt_shows_the_environment(project: Project, nix: Nix) -> None:
    """Case 57: behind the empty line with which nix-shell's prompt begins."""
    for prompt, shown in (("$ ", "(demo) $ "), (r"\n\n$ ", r"\n\n(demo) $ ")):
        code = 'PS1=$PROMPT; nixgen_enter; echo "<$PS1>"'
        done = nix.inside(nix.bin / "nix-shell", "--run", code, cwd=project.folder, PROMPT=prompt)
        assert done.stdout == f"<{shown}>\n"


READ_ONLY = "mount --bind /nix/store /nix/store && mount -o remount,bind,ro /nix/store && "


def test_uv_does_not_install_into_the_store_even_for_root(project: Project, nix: Nix) -> None:
    """uv does not ask a venv whether it is managed (PEP 668): who may write there is given the base's Python."""
    make_wheel(project.folder / "more", "beta", "1.0", {"beta.py": ""})
    environment = nix.build(project.folder, "environment")
    before = nix.run("nix-store", "--dump", environment).stdout
    uv, beta = uv_binary(), f"--no-index --find-links {project.folder}/more beta"
    done = nix.develop(project.folder, "sh", "-c", f"{uv} pip install {beta}", check=False)
    assert done.returncode == 2
    refusal = "is externally managed, and indicates the following"
    assert refusal in " ".join(done.stderr.split())  # uv breaks its lines by the length of the paths in them
    assert "uv add NAME, then: nixgen generate" in done.stderr
    removed = nix.develop(project.folder, uv, "pip", "uninstall", "alpha", check=False)
    assert refusal in " ".join(removed.stderr.split())
    assert nix.run("nix-store", "--dump", environment).stdout == before
    command = f"{uv} lock --offline --check && {uv} venv -q own && {uv} pip install -q -p own {beta}"
    nix.develop(project.folder, "sh", "-c", command)
    assert list(project.folder.glob("own/lib/*/site-packages/beta.py"))


def test_everybody_else_has_the_environment_for_uv(project: Project, nix: Nix) -> None:
    nix.build(project.folder, "shell")
    script = f"{READ_ONLY} nix-shell --run 'echo $UV_PYTHON; {uv_binary()} pip list -q --format json'"
    python, packages = nix.inside("sh", "-c", script, cwd=project.folder).stdout.splitlines()
    assert python == f"{nix.build(project.folder, 'environment')}/bin/python"
    assert {package["name"] for package in json.loads(packages)} == {"alpha", "demo"}


def test_what_is_in_the_shell(project: Project, enter: Enter) -> None:
    """A wheel, the project from the work tree with its entry point, a tool, and a library."""
    code = "import alpha, ctypes; print(alpha.NAME, ctypes.CDLL('libyaml-0.so.2').yaml_get_version_string is not None)"
    done = enter(project, f'demo; python -c "{code}"; command -v jq; echo "[1, 2]" | jq length; python --version')
    lines = done.stdout.splitlines()
    assert lines[0] == f"demo {project.folder}/src/demo/__init__.py"
    assert lines[1] == "alpha True"
    assert lines[2].startswith("/nix/store/")
    assert lines[3] == "2"
    assert lines[4].startswith(f"Python {PYTHON}.")


def test_every_library_comes_from_the_store(project: Project, nix: Nix) -> None:
    code = "import ctypes; ctypes.CDLL('libyaml-0.so.2'); print(*(l.split()[-1] for l in open('/proc/self/maps')))"
    mapped = nix.develop(project.folder, "python", "-c", code, LC_ALL="C").stdout.split()
    files = {name for name in mapped if name.startswith("/")}
    assert [name for name in files if not name.startswith("/nix/store/")] == []
    assert [name for name in files if "-extra-bookworm/" in name and "libyaml" in name]


def test_entering_a_built_shell_without_a_network_prints_nothing(project: Project, nix: Nix) -> None:
    nix.develop(project.folder, "true")
    done = nix.inside("unshare", "--net", nix.bin / "nix", "develop", "-c", "echo", "inside", cwd=project.folder)
    assert done.stdout == "inside\n"
    assert [line for line in done.stderr.splitlines() if not line.startswith("warning: ")] == []


def test_bash_comes_from_the_base(project: Project, nix: Nix) -> None:
    """`nix develop` takes its bash from the input nixpkgs, which is the base here; without it, it would ask for one."""
    name = f"{project.folder}/nix/nixgen#legacyPackages.{SYSTEM}.bashInteractive"
    bash = nix.run("nix", "eval", "--raw", f"path:{name}.outPath").stdout
    assert bash == nix.evaluate(f"(import {project.folder} {{}}).base.core.outPath")
    done = nix.inside("env", f"PATH={nix.bin}", nix.bin / "nix", "develop", "-c", "python", "-V", cwd=project.folder)
    assert done.stdout.startswith(f"Python {PYTHON}.")
    assert "error" not in done.stderr


def test_the_flakes_input_is_the_path_that_the_shell_keeps(project: Project, nix: Nix) -> None:
    locked = json.loads((project.folder / "flake.lock").read_text())["nodes"]["nixpkgs"]["locked"]
    assert nix.evaluate(f"(import {project.folder} {{}}).base.keep") == locked["path"]


@pytest.mark.parametrize("command", ["nix develop -c true", "nix-shell --run true"])
def test_a_link_for_editors_is_made_and_refreshed(project: Project, nix: Nix, command: str) -> None:
    link = project.folder / ".venv"
    environment = str(nix.build(project.folder, "environment"))
    # What root cannot write to either is as for everybody else.
    script = f"mount --bind {environment} {environment} && mount -o remount,bind,ro {environment} && {command}"
    nix.inside("sh", "-c", script, cwd=project.folder)
    assert str(link.readlink()) == environment
    made = link.lstat().st_mtime_ns
    nix.inside("sh", "-c", script, cwd=project.folder)
    assert link.lstat().st_mtime_ns == made
    link.unlink()
    link.symlink_to("/nix/store/00000000000000000000000000000000-older-environment")
    nix.inside("sh", "-c", script, cwd=project.folder)
    assert str(link.readlink()) == environment


def test_no_link_leads_root_into_the_store(project: Project, enter: Enter) -> None:
    """uv, run by root outside the shell, would install through it."""
    link = project.folder / ".venv"
    enter(project, "true")
    assert not link.is_symlink()
    link.symlink_to("/nix/store/00000000000000000000000000000000-older-environment")
    enter(project, "true")
    assert not link.is_symlink()


@pytest.mark.parametrize("kind", ["folder", "link", "file", "dangling"])
def test_what_somebody_else_made_is_left_alone(project: Project, nix: Nix, tmp_path: Path, kind: str) -> None:
    link = project.folder / ".venv"
    if kind == "folder":
        link.mkdir()
        (link / "pyvenv.cfg").write_text("home = /usr/bin\n")
    elif kind == "file":
        link.write_text("mine\n")
    else:
        (tmp_path / "real").mkdir()
        link.symlink_to(tmp_path / ("real" if kind == "link" else "nowhere"))
    before = (link.lstat().st_mode, link.lstat().st_mtime_ns)
    assert nix.shell(project.folder, "echo in").stdout == "in\n"
    assert (link.lstat().st_mode, link.lstat().st_mtime_ns) == before


def test_a_subfolder_belongs_to_the_project(project: Project, nix: Nix) -> None:
    folder = project.folder / "src/demo"
    done = nix.inside(nix.bin / "nix-shell", "../../shell.nix", "--run", "echo $NIXGEN_ROOT; demo", cwd=folder)
    assert done.stdout.splitlines() == [str(project.folder), f"demo {project.folder}/src/demo/__init__.py"]
    assert not (folder / ".venv").is_symlink()


def test_a_read_only_project_can_be_entered(project: Project, nix: Nix) -> None:
    """The link is an offer: without it all works."""
    command = f"mount --bind -o ro {project.folder} {project.folder} && cd {project.folder} && nix-shell --run 'demo'"
    done = nix.inside("sh", "-c", command)
    assert done.stdout == f"demo {project.folder}/src/demo/__init__.py\n"
    assert not (project.folder / ".venv").is_symlink()


def test_the_outputs_of_the_flake(project: Project, nix: Nix) -> None:
    environment = nix.build_flake(f"{project.folder}#packages.{SYSTEM}.default")
    assert environment == nix.build(project.folder, "environment")
    shell = nix.build_flake(f"{project.folder}#devShells.{SYSTEM}.default")
    assert nix.real(shell).read_text() == f"{environment}\n"
    modules = nix.real(nix.build_flake(f"{project.folder}#checks.{SYSTEM}.imports")).read_text()
    assert modules.split() == ["alpha", "demo"]
    assert nix.build_flake(f"{project.folder}#formatter.{SYSTEM}").name.endswith("-nixgen-format")


def test_each_way_is_the_same_shell(project: Project, both_nix: tuple[Nix, Nix]) -> None:
    derivations = set()
    for nix in both_nix:
        derivations.add(nix.evaluate(f"(import {project.folder} {{}}).shell.drvPath"))
        name = f"{project.folder}#devShells.{SYSTEM}.default.drvPath"
        derivations.add(json.loads(nix.run("nix", "eval", "--json", name).stdout))
    assert len(derivations) == 1


def test_the_setup_file_quotes_what_it_is_given(nix28: Nix, tmp_path: Path) -> None:
    """setup.py by itself: a title with quotes and dollars is text, not code."""
    (tmp_path / "hook.sh").write_text('echo "$NIXGEN_TITLE" "$PATH" "$NIXGEN_BASE" "$VALUE"\n')
    base = tmp_path / "b 1"
    (base / "bin").mkdir(parents=True)
    (base / "lib/python3.11").mkdir(parents=True)
    (base / "lib/python3.11/EXTERNALLY-MANAGED").touch()
    title, value = 'it\'s $(touch /tmp/no) "x"', "a b'$HOME\\"
    done = nix28.inside(
        "sh", "-c", f"python3 {ROOT}/nix/builders/setup.py && . {tmp_path}/out/setup",
        out=str(tmp_path / "out"), environment="/e 1", tools=":/t/bin", hook=str(tmp_path / "hook.sh"), title=title,
        variables=json.dumps({"VALUE": value}), private="", python=f"{base}/bin/python3.11",
    )  # fmt: skip
    assert done.stdout.startswith(f"{title} /e 1/bin:/t/bin:")
    assert done.stdout.endswith(f" {base}/bin/python3.11 {value}\n")
