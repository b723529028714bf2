"""The development shell, by `nix develop` and by `nix-shell`, in both versions of Nix."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lab import PYTHON, SITE, locked
from support.index import serve
from support.nix import ROOT, SYSTEM, Nix, Output
from support.project import Project, uv_binary
from support.wheels import make_wheel

from nixgen.init import handout
from nixgen.nix.json import sri
from nixgen.runs import finding

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
VARIABLES = (
    "PATH",
    "VIRTUAL_ENV",
    "UV_NO_SYNC",
    "UV_PYTHON_DOWNLOADS",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "NIXGEN_ROOT",
    "PYTHONPATH",
)

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
    outside = {"PYTHONPATH": "/from/outside", "VIRTUAL_ENV": "/another", "PYTHONHOME": "/wrong"}
    found = variables(enter(project, "env", UV_PROJECT_ENVIRONMENT="/yet/another", **outside))
    path = found.pop("PATH").split(":")
    assert path[0] == f"{found['VIRTUAL_ENV']}/bin"
    assert path[1].startswith("/nix/store/")
    assert re.search(r"-extra-[a-z]+/usr/bin$", path[1])
    assert path[-1] == os.environ["PATH"].split(":")[-1]
    assert found == {
        "VIRTUAL_ENV": str(project.folder / (project.folder / ".venv").readlink()),
        "UV_PROJECT_ENVIRONMENT": found["VIRTUAL_ENV"],
        "UV_NO_SYNC": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": found["UV_PYTHON"],
        "NIXGEN_ROOT": str(project.folder),
    }
    assert re.fullmatch(r"/nix/store/[^/]+-launcher/bin/python3\.\d+", found["UV_PYTHON"])


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


def test_the_error_about_nixpkgs_is_explained(project: Project, nix: Nix) -> None:
    """nix-shell looks for its bash in <nixpkgs> before it reads anything of the project."""
    title = f"demo: Python {PYTHON}, 2 packages\n"
    done = nix.shell(project.folder, "nixgen_greet")
    assert "file 'nixpkgs' was not found" in done.stderr
    assert done.stdout.endswith(f" does no harm: nix-shell looked for a bash there. {AVOID}\n{title}")
    quiet = nix.shell(project.folder, "nixgen_greet", NIX_BUILD_SHELL="bash")
    assert quiet.stdout == title
    assert "nixpkgs" not in quiet.stderr


AVOID = "To avoid it: NIX_BUILD_SHELL=bash nix-shell"


def test_an_edit_of_the_code_asks_no_cache(project: Project, nix: Nix) -> None:
    """Case 57: where the cache is out of reach, asking it costs 4.5 s and five warnings, at each edit."""
    nix.run("nix", "flake", "check", cwd=project.folder)
    nix.run("nix", "run", cwd=project.folder)  # what only a start by Nix needs
    nix.develop(project.folder, "true")
    with (project.folder / "src/demo/__init__.py").open("a") as file:
        file.write(f"# {project.folder}\n")  # new to a store that is kept
    asking = replace(nix, settings={**nix.settings, "substituters": "http://127.0.0.1:9/?trusted=1"})
    for words in (("develop", "-c", "demo"), ("flake", "check"), ("build", "--no-link"), ("run",)):
        done = asking.run("nix", *words, cwd=project.folder)
        assert "127.0.0.1" not in done.stderr, done.stderr


@pytest.mark.one_nix
def test_uv_installs_nothing_in_the_shell(project: Project, nix: Nix) -> None:
    """uv does not ask a venv whether it is managed (PEP 668): so it is given the Python below."""
    make_wheel(project.folder / "more", "beta", "1.0", {"beta.py": ""})
    environment = links(nix, project)
    before = nix.run("nix-store", "--dump", environment).stdout
    uv, beta = uv_binary(), f"--no-index --find-links {project.folder}/more beta"
    done = nix.develop(project.folder, "sh", "-c", f"{uv} pip install {beta}", check=False)
    assert done.returncode == 2
    refusal = "is externally managed, and indicates the following"
    assert refusal in " ".join(done.stderr.split())  # uv breaks its lines by the length of the paths in them
    assert "For the project: nixgen add NAME" in done.stderr
    removed = nix.develop(project.folder, uv, "pip", "uninstall", "alpha", check=False)
    assert refusal in " ".join(removed.stderr.split())
    assert nix.run("nix-store", "--dump", environment).stdout == before
    command = f"{uv} lock --offline --check && {uv} venv -q own && {uv} pip install -q -p own {beta}"
    nix.develop(project.folder, "sh", "-c", command)
    assert list(project.folder.glob("own/lib/*/site-packages/beta.py"))


def links(nix: Nix, project: Project) -> str:
    """The environment in the store: what .venv is a venv over."""
    note = nix.build(project.folder, "shell")
    return nix.real(note).read_text().strip()


RUN = "import alpha, demo, os, sys; print(sys.prefix, alpha.__file__, demo.__file__)"
OLD = "home = /usr/bin\nversion_info = 3.11.2\n"


@pytest.mark.one_nix
@pytest.mark.parametrize(
    "found", ["nothing", "an older venv", "an older link", "set by the user", "variables of uv", "another project"]
)
def test_uv_run_sees_the_environment_of_the_shell(project: Project, enter: Enter, nix: Nix, found: str) -> None:
    """Case 6: with a .venv of uv's own, for root in a fresh clone, and with UV_PROJECT_ENVIRONMENT."""
    venv, uv, env = project.folder / ".venv", uv_binary(), {}
    if found == "an older venv":
        (venv / "bin").mkdir(parents=True)
        (venv / "pyvenv.cfg").write_text(OLD)
        (venv / "bin/python").symlink_to("/usr/bin/python3")
    elif found == "an older link":
        venv.symlink_to("/nix/store/00000000000000000000000000000000-older-environment")
    elif found == "set by the user":
        env["UV_PROJECT_ENVIRONMENT"] = str(project.folder / "another")
    elif found == "variables of uv":
        env |= {"UV_ISOLATED": "1", "UV_NO_PROJECT": "1", "UV_WORKING_DIR": "/", "UV_MANAGED_PYTHON": "1"}
    elif found == "another project":
        env["UV_PROJECT"] = str(project.folder / "another")
    done = enter(project, f"{uv} run --offline python -c '{RUN}'; {uv} run --offline demo; python -c '{RUN}'", **env)
    prefix, alpha, demo = done.stdout.splitlines()[0].split()
    assert done.stdout.splitlines()[2].split() == [prefix, alpha, demo]
    assert alpha.startswith(f"{links(nix, project)}/lib/")
    assert demo == f"{project.folder}/src/demo/__init__.py"
    assert "warning: `VIRTUAL_ENV" not in done.stderr
    assert not (project.folder / "another").exists()
    if found == "an older venv":
        assert prefix != str(venv)
        assert (venv / "pyvenv.cfg").read_text() == OLD
    else:
        assert prefix == str(project.folder / venv.readlink())


@pytest.mark.one_nix
def test_uv_outside_the_shell_does_no_harm(project: Project, nix: Nix) -> None:
    """Case 49: .venv is a venv to uv. What it puts there is taken for what it is, until the shell is entered again."""
    environment, uv, site = links(nix, project), uv_binary(), project.folder / f".venv/{SITE}"
    nix.develop(project.folder, "true")
    before = nix.run("nix-store", "--dump", environment).stdout
    make_wheel(project.folder / "more", "beta", "1.0", {"beta.py": ""})
    assert "alpha" in nix.inside(uv, "pip", "list", cwd=project.folder).stdout
    install = (
        f"{uv} pip install -q --no-index --find-links more beta && {uv} run --no-sync python -c 'import beta; {RUN}'"
    )
    done = nix.inside("sh", "-c", install, cwd=project.folder)
    assert done.stdout.split()[1].startswith(environment)
    assert "beta.py" in {path.name for path in site.iterdir()}
    said = "nixgen: removed from .venv what was installed there: beta. To add a package: nixgen add NAME\n"
    assert nix.develop(project.folder, "true").stderr == said
    assert nix.inside(uv, "sync", "--offline", "--no-install-project", cwd=project.folder).ok
    nix.inside(uv, "pip", "uninstall", "alpha", cwd=project.folder)
    assert nix.run("nix-store", "--dump", environment).stdout == before
    again = nix.develop(project.folder, "python", "-c", RUN)
    assert again.stdout.split()[1].startswith(environment)
    said = "nixgen: put back into .venv what was removed there: alpha, demo. To remove a package: nixgen remove NAME\n"
    assert again.stderr == said
    assert ".venv" not in nix.develop(project.folder, "true").stderr
    # What Python writes by itself is nothing that was installed.
    assert nix.develop(project.folder, "python", "-m", "pip", "install", "six", check=False).returncode == 1
    (site / "__pycache__").mkdir(exist_ok=True)
    entered = nix.develop(project.folder, "python", "-c", "import alpha; print(alpha.__file__)")
    assert (entered.stdout.startswith(environment), ".venv" in entered.stderr) == (True, False)


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


@pytest.mark.one_nix
def test_every_library_comes_from_the_store(project: Project, nix: Nix) -> None:
    code = "import ctypes; ctypes.CDLL('libyaml-0.so.2'); print(*(l.split()[-1] for l in open('/proc/self/maps')))"
    mapped = nix.develop(project.folder, "python", "-c", code, LC_ALL="C").stdout.split()
    files = {name for name in mapped if name.startswith("/")}
    assert [name for name in files if not name.startswith("/nix/store/")] == []
    assert [name for name in files if "-extra-" in name and "libyaml" in name]


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


def test_a_venv_for_editors_is_made_and_refreshed(project: Project, enter: Enter, nix: Nix) -> None:
    """Cases 5 and 49: without a shell it has the packages and the project's own code; activate is there."""
    venv = project.folder / ".venv"
    enter(project, "true")
    made = (venv / "bin").stat().st_mtime_ns
    enter(project, "true")
    assert (venv / "bin").stat().st_mtime_ns == made
    assert sorted(path.name for path in project.folder.glob(".venv*")) == [".venv", str(venv.readlink())]
    expected = f"{venv} {links(nix, project)}/{SITE}/alpha.py {project.folder}/src/demo/__init__.py\n"
    assert nix.inside(venv / "bin/python", "-c", RUN, cwd=Path("/")).stdout == expected
    assert nix.inside(venv / "bin/demo", cwd=Path("/")).stdout == f"demo {project.folder}/src/demo/__init__.py\n"
    activated = nix.inside("bash", "-c", f". {venv}/bin/activate; demo; python -c '{RUN}'", cwd=Path("/")).stdout
    assert activated.splitlines()[1].split()[1:] == expected.split()[1:]
    assert {"activate.fish", "activate.csh"} <= {path.name for path in (venv / "bin").iterdir()}
    status = nix.inside("git", "status", "--porcelain", "--ignored", cwd=project.folder, check=False).stdout
    assert "?? .venv" not in status
    # An edit of the code changes nothing in it.
    (project.folder / "src/demo/more.py").write_text("")
    enter(project, "true")
    assert (venv / "bin").stat().st_mtime_ns == made


@pytest.mark.one_nix
def test_a_running_shell_keeps_its_environment(project: Project, nix: Nix) -> None:
    """What another shell makes after a change of the project is its own."""
    before = nix.develop(project.folder, "python", "-c", RUN).stdout
    project.replace('demo = "demo:main"', 'another = "demo:main"')
    project.must("generate")
    assert nix.develop(project.folder, "another").ok
    first = before.split()[0]
    assert nix.inside(f"{first}/bin/python", "-c", RUN).stdout == before
    assert nix.inside(f"{first}/bin/demo").ok
    assert len(list(project.folder.glob(".venv-*"))) == 2
    assert (project.folder / ".venv/bin/another").exists()


@pytest.mark.one_nix
def test_a_copy_of_a_project_has_its_own_code(project: Project, nix: Nix, tmp_path: Path) -> None:
    nix.develop(project.folder, "true")
    shutil.copytree(project.folder, tmp_path / "copy", symlinks=True)
    said = nix.inside(tmp_path / "copy/.venv/bin/python", "-c", "import demo; print(demo.__file__)", cwd=project.folder)
    assert said.stdout == f"{tmp_path}/copy/src/demo/__init__.py\n"
    said = nix.develop(tmp_path / "copy", ".venv/bin/demo")
    assert said.stdout == f"demo {tmp_path}/copy/src/demo/__init__.py\n"


def test_a_shell_is_tied_to_the_project_that_was_entered(project: Project, nix: Nix, tmp_path: Path) -> None:
    """Case 5: from outside, from another project, and below a folder that only looks like the project."""
    code, own = "demo", f"demo {project.folder}/src/demo/__init__.py\n"
    for place, entered in (("/", False), (str(project.folder / "src/demo"), True)):
        done = nix.inside(nix.bin / "nix", "develop", str(project.folder), "-c", code, cwd=Path(place))
        assert (done.stdout == own) == entered
        assert done.stdout.endswith("/src/demo/__init__.py\n")
        done = nix.inside(nix.bin / "nix-shell", project.folder / "shell.nix", "--run", code, cwd=Path(place))
        assert done.stdout == own
    other = tmp_path / "other"
    shutil.copytree(project.folder, other, ignore=shutil.ignore_patterns(".venv*"))
    (other / "src/demo/__init__.py").write_text("def main():\n    print('the other project')\n")
    for folder in (other, other / "src"):
        done = nix.inside(nix.bin / "nix", "develop", str(project.folder), "-c", code, cwd=folder)
        assert done.stdout.startswith("demo /nix/store/")
        assert "is not what Nix has read: this shell uses Nix's copy" in done.stderr
    assert nix.develop(other, code).stdout == "the other project\n"
    # Inside a shell of one project, the other's .venv is the other's; and a shell in a shell is the inner one's.
    nested = f"{other}/.venv/bin/demo; cd {project.folder} && nix develop -c demo"
    assert nix.develop(other, "sh", "-c", nested).stdout == f"the other project\n{own}"


def outside(nix: Nix, project: Project, code: str, cache: Path, before: str = "", **env: str) -> Output:
    """A shell that is entered from the root folder."""
    script = f"{before} cd / && exec nix develop {project.folder} -c sh -c '{code}'"
    return nix.inside("sh", "-c", script, cwd=project.folder, XDG_CACHE_HOME=str(cache), **env)


@pytest.mark.one_nix
def test_the_venv_of_shells_from_outside_is_kept(project: Project, nix: Nix, tmp_path: Path) -> None:
    """Once for each copy of the code, in the user's cache; what was put into it does not stay."""
    code, cache = "echo $VIRTUAL_ENV; demo", tmp_path / "user"
    cache.mkdir()
    first, said = outside(nix, project, code, cache).stdout.splitlines()
    venv = Path(first)
    assert venv.parent == cache / "nixgen/venvs"
    assert said.startswith("demo /nix/store/")
    assert (venv.parent.stat().st_mode & 0o777, list(venv.parent.iterdir())) == (0o700, [venv])
    made = (venv / "pyvenv.cfg").stat().st_ino
    assert outside(nix, project, code, cache).stdout.splitlines() == [first, said]
    assert (venv / "pyvenv.cfg").stat().st_ino == made
    (venv / SITE / "planted.py").touch()
    assert outside(nix, project, code, cache).stdout.splitlines() == [first, said]
    assert not (venv / SITE / "planted.py").exists()
    (project.folder / "src/demo/__init__.py").write_text("def main():\n    print('edited')\n")
    second, said = outside(nix, project, code, cache).stdout.splitlines()
    assert said == "edited"
    assert set(venv.parent.iterdir()) == {venv, Path(second)}
    # Of many, those go that nobody has entered for a day.
    for number in range(12):
        old = venv.parent / f".venv-{number}"
        old.mkdir()
        (old / "nixgen").touch()
        os.utime(old / "nixgen", (number, number))
    (project.folder / "src/demo/__init__.py").write_text("def main():\n    print('again')\n")
    third, said = outside(nix, project, code, cache).stdout.splitlines()
    assert said == "again"
    left = {path.name for path in venv.parent.iterdir()}
    assert left == {venv.name, Path(second).name, Path(third).name, *(f".venv-{number}" for number in range(5, 12))}


@pytest.mark.one_nix
def test_a_cache_that_is_not_the_users_alone_has_no_venv(project: Project, nix: Nix, tmp_path: Path) -> None:
    """A shell from outside works there, too, and takes its venv along: what others could have written is not run."""
    cache = tmp_path / "user"
    (cache / "nixgen/venvs").mkdir(parents=True)
    steps = (
        "chmod 777 nixgen/venvs",
        "chmod 755 nixgen/venvs && chown 12345 nixgen",
        "chown 0 nixgen && chown 12345 .",
        "chown 0 . && chmod 700 nixgen/venvs && mount --bind -o ro nixgen/venvs nixgen/venvs",
    )
    for step in steps:
        if os.getuid() != 0 and "chown" in step:
            continue
        before = f"cd {cache} && {step} &&"
        venv, said = outside(nix, project, "echo $VIRTUAL_ENV; demo", cache, before).stdout.splitlines()
        assert not venv.startswith(str(cache)), step
        assert said.startswith("demo /nix/store/")
        assert list((cache / "nixgen/venvs").iterdir()) == []


@pytest.mark.one_nix
def test_a_lock_in_a_folder_above_is_not_believed(project: Project, nix: Nix, tmp_path: Path) -> None:
    """Case 5: whoever wrote it, and with the .venv that goes with it."""
    nix.develop(project.folder, "true")
    above, below = tmp_path / "above", tmp_path / "above/x/y"
    below.mkdir(parents=True)
    for name in ("nixgen.lock", "default.nix"):
        shutil.copy(project.folder / name, above / name)
    for name in (".venv", (project.folder / ".venv").readlink()):
        shutil.copytree(project.folder / name, above / name, symlinks=True)
    (above / "src/demo").mkdir(parents=True)
    (above / "src/demo/__init__.py").write_text("def main():\n    print('planted')\n")
    done = nix.inside(nix.bin / "nix", "develop", str(project.folder), "-c", "demo", cwd=below)
    assert done.stdout.startswith("demo /nix/store/")
    source = done.stdout.split()[1].rpartition("/")[0]
    assert [path.name for path in nix.real(source).iterdir()] == ["__init__.py"]  # root wrote no byte code
    shutil.copy(project.folder / "src/demo/__init__.py", above / "src/demo/__init__.py")
    for path in (above, above / "default.nix", above / "src/demo/__init__.py"):
        os.chown(path, 12345, 12345)
    done = nix.inside(nix.bin / "nix", "develop", str(project.folder), "-c", "demo", cwd=below)
    assert done.stdout.startswith("demo /nix/store/")


def test_a_project_in_a_folder_of_its_repository_is_entered_from_the_root(project: Project, nix: Nix) -> None:
    """Case 5: `nix develop ./services/api` at the root of a monorepo; an edit is seen."""
    root = project.folder.parent / "mono"
    shutil.copytree(project.folder, root / "services/api")
    git = ["git", "-c", "init.defaultBranch=main"]
    nix.inside(*git, "init", "-q", cwd=root)
    nix.inside(*git, "add", "-A", cwd=root)
    own = f"demo {root}/services/api/src/demo/__init__.py\n"
    for folder, flake in ((root, "./services/api"), (root / "services", "./api"), (root / "services/api/src", "..")):
        done = nix.inside(nix.bin / "nix", "develop", flake, "-c", "demo", cwd=folder)
        assert done.stdout == own, done.tail()
    assert (root / "services/api/.venv/nixgen").exists()
    assert (root / "services/api/.venv").readlink().name.startswith(".venv-")
    assert not (root / ".venv").exists()


@pytest.mark.one_nix
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
    entered = nix.shell(project.folder, "echo in; demo; echo $VIRTUAL_ENV").stdout.splitlines()
    assert entered[:2] == ["in", f"demo {project.folder}/src/demo/__init__.py"]
    assert entered[2].startswith(f"{project.folder}/.venv-")
    assert (link.lstat().st_mode, link.lstat().st_mtime_ns) == before


@pytest.mark.one_nix
def test_a_subfolder_belongs_to_the_project(project: Project, nix: Nix) -> None:
    folder = project.folder / "src/demo"
    done = nix.inside(nix.bin / "nix-shell", "../../shell.nix", "--run", "echo $NIXGEN_ROOT; demo", cwd=folder)
    assert done.stdout.splitlines() == [str(project.folder), f"demo {project.folder}/src/demo/__init__.py"]
    assert not (folder / ".venv").exists()


@pytest.mark.one_nix
def test_a_read_only_project_can_be_entered(project: Project, nix: Nix) -> None:
    """.venv is an offer: without it all works."""
    command = f"mount --bind -o ro {project.folder} {project.folder} && cd {project.folder} && nix-shell --run 'demo'"
    done = nix.inside("sh", "-c", command)
    assert done.stdout == f"demo {project.folder}/src/demo/__init__.py\n"
    assert not (project.folder / ".venv").exists()


def test_the_outputs_of_the_flake(project: Project, nix: Nix) -> None:
    environment = nix.build_flake(f"{project.folder}#packages.{SYSTEM}.default")
    assert environment == nix.build(project.folder, "environment")
    shell = nix.build_flake(f"{project.folder}#devShells.{SYSTEM}.default")
    assert nix.real(shell).read_text() == f"{links(nix, project)}\n"
    assert nix.inside(f"{environment}/bin/demo", cwd=Path("/")).stdout.startswith("demo /nix/store/")
    modules = nix.real(nix.build_flake(f"{project.folder}#checks.{SYSTEM}.imports")).read_text()
    assert modules.split() == ["alpha", "demo"]
    assert nix.build_flake(f"{project.folder}#formatter.{SYSTEM}").name.endswith("-nixgen-format")


def test_scripts_are_apps_of_the_flake(project: Project, nix: Nix) -> None:
    """Case 56."""

    def run(*argv: str) -> Output:
        return nix.inside(nix.bin / "nix", "run", *argv, cwd=project.folder, check=False)

    assert run().stdout.startswith("demo /nix/store/")
    assert run(".#demo").stdout == run().stdout
    project.replace('demo = "demo:main"', 'demo = "demo:main"\nother = "demo:main"')
    project.must("generate")
    assert run(".#other").stdout.startswith("demo /nix/store/")
    several = run()
    assert several.returncode == 2
    assert several.stderr.endswith("demo has several programs:\n  nix run .#demo\n  nix run .#other\n")
    project.replace('[project.scripts]\ndemo = "demo:main"\nother = "demo:main"\n', "")
    project.must("generate")
    assert run().stderr.endswith(
        "demo has no run in [tool.nixgen], no task, no service and no [project.scripts]; to run a file:\n"
        "  nix develop -c python FILE\n"
    )


@pytest.mark.one_nix
def test_nixgen_shell_in_the_users_bash(project: Project, nix: Nix, tmp_path: Path) -> None:
    """What somebody types: the prompt, the code, pip, and that the prompt tells of a lock that changed, once."""
    typed = (
        'echo "<$PS1>"',
        "demo; python -c 'import alpha; print(alpha.NAME)'",
        "pip install six; command -v pip",
        'until [ uv.lock -nt "$NIXGEN_MARK" ]; do touch uv.lock; done',
        "true",
        "exit 6",
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.bashrc").write_text("PS1='own> '\n")
    lines = " ".join(map(shlex.quote, typed))
    command = f"printf '%s\\n' {lines} | {sys.executable} -m nixgen shell"
    env = {"PYTHONPATH": str(ROOT), "SHELL": shutil.which("bash") or "", "HOME": str(tmp_path / "home")}
    done = nix.inside("bash", "-c", command, cwd=project.folder, check=False, **env)
    venv = project.folder / (project.folder / ".venv").readlink()
    assert done.returncode == 6, done.stderr
    assert done.stdout.splitlines() == [
        "<(demo) own> >",
        f"demo {project.folder}/src/demo/__init__.py",
        "alpha",
        f"{venv}/bin/pip",
    ]
    assert "To add packages: nixgen add six\n" in done.stderr
    assert done.stderr.count("nixgen: uv.lock changed since this shell was entered.") == 1
    assert not list(venv.glob("entered-*"))


TASKS = """
run = 'python -c "import demo; demo.main()"; echo ran'

[tool.nixgen.tasks]
first = "echo first"
show = { cmd = "python -c 'import alpha, sys; print(alpha.NAME, sys.argv[1:])'", depends-on = ["first"] }
fail = "exit 7"
"""


def test_tasks_and_the_main_command(project: Project, nix: Nix) -> None:
    """By `nix run`, with the code in the store, and by `nixgen run`, from a folder of the project and in its shell."""

    def run(*argv: str) -> Output:
        return nix.inside(nix.bin / "nix", "run", *argv, cwd=project.folder, check=False)

    project.append(TASKS)
    project.must("sync", "--no-build")
    assert re.fullmatch(r"demo /nix/store/.*\nran\n", run().stdout)
    shown = run(".#show", "--", "x y", "-z")
    assert shown.stdout == "first\nalpha ['x y', '-z']\n"
    assert "nixgen: first\nnixgen: show\n" in shown.stderr
    assert run(".#fail").returncode == 7
    inside = nix.nixgen("run", "show", "x y", cwd=project.folder / "src")
    assert inside.stdout == "first\nalpha ['x y']\n", inside.stderr
    assert nix.nixgen("run", cwd=project.folder / "src").stdout == f"demo {project.folder}/src/demo/__init__.py\nran\n"
    assert nix.nixgen("run", "fail", cwd=project.folder).returncode == 7


def test_each_way_is_the_same_shell(project: Project, both_nix: tuple[Nix, Nix]) -> None:
    """Only the project's place is told apart: without flakes, Nix knows it."""
    derivations = set()
    for nix in both_nix:
        derivations.add(nix.evaluate(f"(import {project.folder} {{}}).shell.stdenv.drvPath"))
        name = f"{project.folder}#devShells.{SYSTEM}.default.stdenv.drvPath"
        derivations.add(json.loads(nix.run("nix", "eval", "--json", name).stdout))
    assert len(derivations) == 1


def test_the_setup_file_quotes_what_it_is_given(nix28: Nix, tmp_path: Path) -> None:
    """setup.py by itself: a title with quotes and dollars is text, not code."""
    (tmp_path / "hook.sh").write_text('echo "$NIXGEN_TITLE" "$NIXGEN_TOOLS" "$NIXGEN_BASE" "$NIXGEN_NAME" "$VALUE"\n')
    title, value = 'it\'s $(touch /tmp/no) "x"', "a b'$HOME\\"
    done = nix28.inside(
        "sh", "-c", f"python3 {ROOT}/nix/builders/setup.py && . {tmp_path}/out/setup",
        out=str(tmp_path / "out"), environment="/e 1", tools="/t 1/bin", hook=str(tmp_path / "hook.sh"), title=title,
        label="",
        variables=json.dumps({"VALUE": value}), python="/b 1/python3.11", project="de'mo", bash="/bin/bash",
        roots="[]", built="null", venv=f"{ROOT}/nix/builders/own", cuda="auto",
        driver=f"{ROOT}/nixgen/machine/driver.py",
    )  # fmt: skip
    assert done.stdout == f"{title} /t 1/bin /b 1/python3.11 de'mo {value}\n"


@pytest.mark.one_nix
def test_a_run_is_recorded_with_the_environment_that_it_ran_in(project: Project, nix: Nix) -> None:
    """From outside of the shell and inside of it; with the seeds, set by what every environment has."""
    program = "import alpha, demo, nixgen; nixgen.seed_everything(); print(nixgen.__file__)"
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nixgen.__main__ import main; main()"
    command = [sys.executable, "-c", start, "run", "--record", "--seed", "7", "--", "python", "-c", program]
    done = nix.inside(*command, cwd=project.folder, HOME=str(project.folder.parent))
    assert re.fullmatch(r"/nix/store/.*-demo-environment/lib/python3\..*/nixgen/__init__.py\n", done.stdout), (
        done.tail()
    )
    assert nix.shell(project.folder, shlex.join(command)).stdout == done.stdout
    both = finding.runs(project.folder)
    bare = done.stdout.partition("/lib/")[0]
    assert len(both) == 2
    for run in both:
        assert run.missing == ()
        assert (run.exit, run.environment) == (0, both[0].environment)
        assert run.environment is not None
        assert (run.environment.path, run.environment.system) == (bare, SYSTEM)
        assert run.environment.nar_hash == sri(nix.nar_hash(bare))
        assert re.fullmatch("sha256:[0-9a-f]{64}", run.environment.closure)
        assert run.environment.python.startswith(f"{PYTHON}.")
        assert run.seeds is not None
        assert (run.seeds.seed, run.seeds.libraries, run.seeds.nondeterministic) == (7, {"random": "7"}, ())


def test_sync_builds_what_the_next_shell_needs(project: Project, nix: Nix) -> None:
    """Locks, Nix files, environment and .venv by one command, which says so; a second one changes nothing."""
    project.replace('demo = "demo:main"', 'another = "demo:main"')
    stale = nix.nixgen("sync", "--check", cwd=project.folder)
    assert stale.returncode == 1
    assert "default.nix: is stale: nixgen would write something else" in stale.stderr
    done = nix.nixgen("sync", cwd=project.folder)
    assert done.stderr.splitlines()[0] == "wrote default.nix"
    assert re.fullmatch(r"environment: \d+ built", done.stderr.splitlines()[1])
    assert nix.inside(project.folder / ".venv/bin/another", cwd=Path("/")).stdout.startswith("demo ")
    again = nix.nixgen("sync", "--json", cwd=project.folder)
    assert again.stderr == "Everything is up to date.\n"
    found = json.loads(again.stdout)
    assert found["changed"] == []
    assert found["environment"] == {
        "built": 0,
        "fetched": 0,
        "venv": f"{project.folder}/{(project.folder / '.venv').readlink()}",
    }


def test_nixgen_shell_enters_without_flakes(project: Project, nix: Nix) -> None:
    plain = nix.with_settings(experimental_features="")
    done = plain.nixgen("shell", "--", "python", "-c", f"{RUN}; sys.exit(7)", cwd=project.folder / "src")
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == [
        str(project.folder / (project.folder / ".venv").readlink()),
        f"{links(nix, project)}/{SITE}/alpha.py",
        f"{project.folder}/src/demo/__init__.py",
    ]
    missing = plain.nixgen("shell", "--", "no-such-program", cwd=project.folder)
    assert missing.returncode == 127
    project.replace('demo = "demo:main"', 'another = "demo:main"')
    stale = plain.nixgen("shell", "true", cwd=project.folder)
    assert (stale.returncode, stale.stderr) == (
        4,
        "error: pyproject.toml: changed after default.nix was generated\n  hint: nixgen sync\n",
    )


def test_the_script_for_newcomers_runs_a_command_from_anywhere(origin: Project, nix: Nix, tmp_path: Path) -> None:
    """./enter, with nothing switched on, a path with blanks and a quote, and words that a shell would change."""
    folder = Path(shutil.copytree(origin.folder, tmp_path / "it's a demo"))
    (folder / "enter").write_text(handout.enter_sh())
    (folder / "enter").chmod(0o755)
    code = "import alpha, demo, os, sys; print([alpha.NAME, os.getcwd(), *sys.argv[1:]])"
    bare = nix.with_settings(experimental_features="")
    done = bare.inside(folder / "enter", "python", "-c", code, "a  b", "it's $HOME", "end\n", cwd=tmp_path)
    assert done.stdout == f"{['alpha', str(tmp_path), 'a  b', chr(39).join(('it', 's $HOME')), 'end' + chr(10)]}\n"
    assert bare.inside(folder / "enter", "sh", "-c", "exit 7", cwd=tmp_path, check=False).returncode == 7
    # Without a network, and with a home that cannot be written.
    (home := tmp_path / "home").mkdir()
    script = 'mount -t tmpfs -o ro none "$HOME" && unset XDG_CACHE_HOME && exec unshare --net "$@"'
    done = bare.inside("sh", "-c", script, "sh", folder / "enter", "python", "-c", "print(7)", HOME=str(home))
    assert done.stdout == "7\n"
