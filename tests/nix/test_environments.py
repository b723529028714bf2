"""A project whose extras conflict, with an environment for each: from one lock to shells and a record, on real Nix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, findings, make, steps
from support.nix import SYSTEM, Nix
from support.wheels import make_wheel

from nixgen.runs import finding, recordfile, reproductions

if TYPE_CHECKING:
    from support.index import Index

TABLES = f"""
[project.optional-dependencies]
cpu = ["torchlet==1.0"]
gpu = ["torchlet==2.0", "driver"]
[tool.uv]
conflicts = [[{{extra = "cpu"}}, {{extra = "gpu"}}]]
[tool.nixgen.environments.gpu]
extras = ["gpu"]
systems = ["{SYSTEM}"]
smoke = ["python -c 'import torchlet, driver; assert torchlet.KIND == 2'"]
[tool.nixgen.environments.cpu]
extras = ["cpu"]
"""
SERVICES = """version = 1
[services.train]
command = ["python", "-c", "import torchlet; print(torchlet.KIND)"]
environment = "gpu"
[services.plain]
command = ["python", "-c", "import plum, importlib.util as util; print(util.find_spec('torchlet'))"]
"""
KIND = "import plum, torchlet; print(torchlet.KIND)"


@pytest.fixture(scope="module")
def several(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    for version, content in (("1.0", "KIND = 1\n"), ("2.0", "KIND = 2\n")):
        make_wheel(plums.folder, "torchlet", version, {"torchlet.py": content})
    make_wheel(plums.folder, "driver", "1.0", {"driver.py": ""})
    checked = make(tmp_path_factory.mktemp("several") / "demo", pins, plums, nix28)
    checked.project.append(TABLES)
    (checked.folder / "models.toml").write_text(SERVICES)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


@pytest.fixture(params=["nix28", "nix_new"])
def each(request: pytest.FixtureRequest, several: Checked) -> Checked:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Nix)
    return several.with_nix(found)


def test_rows_that_environments_share_are_there_once(several: Checked) -> None:
    rows = (several.folder / "default.nix").read_text()
    assert rows.count("plum-1.0") == 2  # its file's name, and its address
    assert rows.count(f'systems = [ ]; environments = {{ gpu = [ "{SYSTEM}" ]; }};') == 2
    assert f'; environments = {{ cpu = [ "aarch64-linux" "x86_64-linux" ]; gpu = [ "{SYSTEM}" ]; }};' in rows
    assert several.run("lock", "--offline").stderr == "nixgen.lock: nothing to do, every pin still fits.\n"
    assert several.run("generate", "--check").ok


def test_extras_that_conflict_are_both_built_and_entered(each: Checked) -> None:
    for name, kind in (("cpu", "1"), ("gpu", "2")):
        environment = each.nix.build(each.folder, f"environments.{name}.environment")
        assert each.nix.run(str(environment / "bin/python"), "-c", KIND).stdout == f"{kind}\n"
        shell = ("nix-shell", each.folder / "shell.nix", "-A", name, "--run", f'python -c "{KIND}"; echo $NIXGEN_LABEL')
        assert each.nix.run(*map(str, shell)).stdout.splitlines() == [kind, name]
    default = each.nix.build(each.folder, "environment")
    assert not list(default.glob("lib/python*/site-packages/torchlet.py"))


IMAGES = ["image", "image-cpu", "image-gpu", "image-plain", "image-train"]


def test_they_are_outputs_of_the_flake(several: Checked, nix_new: Nix, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(several.folder, folder, symlinks=True)
    outputs = f"import {folder}/nix/nixgen/outputs.nix {{ }}"
    names = f"map (of: builtins.attrNames outputs.${{of}}.{SYSTEM})"
    expression = f'let outputs = {outputs}; in {names} [ "packages" "devShells" "checks" "apps" ]'
    assert nix_new.evaluate(expression) == [
        sorted(["cpu", "data", "default", "gpu", "models", "plain", "train", *IMAGES]),
        ["cpu", "default", "gpu"],
        ["cpu-imports", "gpu-imports", "gpu-smoke", "imports"],
        sorted(["cpu", "default", "gpu", "plain", "train", *IMAGES]),
    ]


def test_the_flake_enters_one(several: Checked, nix_new: Nix, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(several.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv*"))
    done = nix_new.run("nix", "develop", ".#gpu", "-c", "python", "-c", KIND, cwd=folder)
    assert done.stdout == "2\n"
    nix_new.run("nix", "flake", "check", cwd=folder)


@pytest.mark.one_nix
def test_a_service_runs_in_the_environment_that_it_names(each: Checked) -> None:
    for name, said in (("train", "2\n"), ("plain", "None\n")):
        program = each.nix.build(each.folder, f"services.{name}") / f"bin/{name}"
        assert each.nix.run(str(program)).stdout == said
        assert each.run("run", "--service", name).stdout == said
    programs = f"builtins.mapAttrs (_: app: app.program) (import {each.folder} {{ }}).apps"
    found = each.nix.evaluate(programs)
    assert found["gpu"] == found["train"]  # the only one there
    assert found["default"].endswith("/bin/demo-run")  # says that there are two


def test_each_is_a_part_of_the_record(several: Checked) -> None:
    several.check("--update")
    system = several.system()
    assert {name for name in system["outputs"] if "." in name and not name.startswith("base.")} == {
        *("cpu.environment", "cpu.shell", "cpu.wheels.torchlet", "gpu.environment", "gpu.shell"),
        *("gpu.wheels.driver", "gpu.wheels.torchlet", "wheels.plum", "services.plain", "services.train"),
        *("bytecode.plum", "gpu.bytecode-all", "gpu.bytecode.driver", "gpu.bytecode.torchlet"),
    }
    versions = {name: wheel["version"] for name, wheel in system["inputs"]["wheels"].items()}
    assert versions.pop("gpu.torchlet") == "2.0"
    assert versions == dict.fromkeys(["cpu.plum", "cpu.torchlet", "gpu.driver", "gpu.plum", "plum"], "1.0")
    done = several.check("--json", "--rebuild=gpu.wheels.torchlet")
    assert steps(done)["works"]["summary"].endswith("; and in the environments cpu, gpu")
    assert findings(done, "rebuild") == []


def test_a_check_of_one_that_fails_names_it(several: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(several.folder, folder, symlinks=True)
    checked = Checked(type(several.project)(folder), several.nix, several.index)
    checked.project.replace("KIND == 2", "KIND == 3")
    assert checked.run("generate").ok
    done = checked.check("--json", code=5)
    assert "the smoke commands of the environment gpu" in steps(done)["works"]["summary"]


def test_a_command_is_run_in_one(several: Checked) -> None:
    done = several.run("show", "--environment", "gpu")
    assert "demo, environment gpu, for x86_64-linux: Python 3.13" in done.stdout
    assert "torchlet-2.0-py3-none-any.whl" in done.stdout
    assert "no environment tpu" in several.run("show", "--environment", "tpu").stderr


@pytest.mark.one_nix
def test_sync_brings_the_one_up_that_is_named(each: Checked, tmp_path: Path) -> None:
    """Its venv is the one that .venv leads to, and no other is made."""
    folder = tmp_path / "demo"
    shutil.copytree(each.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv*", "runs"))
    for words, name in ((("--env", "gpu"), "demo-gpu"), ((), "demo")):
        done = each.nix.nixgen("sync", "--offline", *words, cwd=folder)
        assert done.ok, done.stderr
        assert f"-{name}-setup\n" in (folder / ".venv/nixgen").read_text()
        assert len(list(folder.glob(".venv-*/nixgen"))) == (1 if words else 2)


@pytest.mark.network
def test_a_source_is_built_for_the_environment_that_asks_for_it(
    nix28: Nix, pins: Path, plums: Index, tmp_path: Path
) -> None:
    checked = make(tmp_path / "demo", pins, plums, nix28)
    pyproject = (checked.folder / "pyproject.toml").read_text()
    base, _, settings = pyproject.partition("\n[[tool.uv.index]]\n")
    settings = settings.partition("[tool.nixgen]")[2]
    groups = '[dependency-groups]\nold = ["docopt==0.6.2"]\n'
    text = base.replace('"plum==1.0"', "") + groups + "[tool.nixgen]" + settings
    (checked.folder / "pyproject.toml").write_text(f'{text}\n[tool.nixgen.environments.old]\ngroups = ["old"]\n')
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    environment = checked.nix.build(checked.folder, "environments.old.environment")
    assert checked.nix.run(
        str(environment / "bin/python"), "-c", "import docopt; print(docopt.__version__)"
    ).stdout == ("0.6.2\n")
    assert not list(checked.nix.build(checked.folder, "environment").glob("lib/python*/site-packages/docopt*"))
    assert checked.run("lock", "--offline").stderr == "nixgen.lock: nothing to do, every pin still fits.\n"
    checked.check("--update")
    assert "old.wheels.docopt" in checked.system()["outputs"]


@pytest.mark.one_nix
def test_a_run_in_one_is_recorded_and_made_again(each: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(each.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv*", "runs"))
    checked = Checked(type(each.project)(folder), each.nix, each.index)
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "all"]):
        given = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *given, *words], cwd=folder, check=True)
    code = "import torchlet, os; open('out', 'w').write(f'{torchlet.KIND} {os.environ[\"NIXGEN_SEED\"]}')"
    words = ["--environment", "gpu", "--seed", "7", "--output", "out", "--", "python", "-c", code]
    done = checked.run("run", "--record", *words)
    assert done.ok, done.tail()
    assert (folder / "out").read_text() == "2 7"
    done = checked.run("reproduce", "latest")
    assert done.ok, done.tail()
    assert ": same bytes on 1 core\n" in done.stdout
    (run,) = finding.folders(folder)
    (found,) = reproductions.reproductions(run)
    assert (found.verdict, found.differences) == ("bytes", ())
    old, new = recordfile.read(run).environment, found.made.environment
    assert old is not None
    assert old == new
    assert (old.name, bool(old.closure)) == ("gpu", True)
