"""What a shell and a service see of models and data, and that a service does not start on a wrong byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab import tree as tree_of
from pinned import COMMIT, Rows
from support.nix import SYSTEM

if TYPE_CHECKING:
    from lab import Lab
    from support.nix import Output

REFUSED = 79
HUB = {
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_HOME",
    "HF_MODULES_CACHE",
}
OURS = {"NIXGEN_MODELS", "NIXGEN_DATA"}
FOREIGN: dict[str, Any] = {"TRANSFORMERS_CACHE": "/elsewhere", "SENTENCE_TRANSFORMERS_HOME": "/elsewhere"}
SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:], os.getcwd()]))"
WEIGHTS = os.urandom(1000)  # in no store that is kept between runs


@pytest.fixture
def rows(lab: Lab) -> Rows:
    rows = Rows(lab.index).add("models.minilm", {"config.json": b"{}", "w.bin": WEIGHTS}, repo="org/minilm")
    return rows.add("models.vad", {"vad.onnx": WEIGHTS[1:]}).add("data.sales", {"a.csv": b"a\n"})


def seen(output: Output) -> dict[str, str]:
    """The environment that SHOW printed."""
    found, _, _ = json.loads(output.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def in_shell(lab: Lab, command: str, **env: Any) -> Output:
    """Runs a command in the shell, without flakes."""
    return lab.nix.inside(lab.nix.bin / "nix-shell", "--run", command, "-E", f"({lab.expression()}).shell", **env)


def test_a_shell_names_the_cache_and_the_folders(each_lab: Lab, rows: Rows, tmp_path: Path) -> None:
    lab = rows.on(each_lab)
    around = {"NIXGEN_BYTECODE": "/elsewhere", **FOREIGN}  # of another shell
    found = seen(in_shell(lab, f"python -c '{SHOW}'", XDG_RUNTIME_DIR=str(tmp_path), **around))
    assert found["HF_HUB_CACHE"] == found["HUGGINGFACE_HUB_CACHE"] == str(lab.build("cache"))
    assert found["NIXGEN_MODELS"] == str(lab.build("models-all"))
    assert found["NIXGEN_DATA"] == str(lab.build("data-all"))
    assert [found[f"{name}_OFFLINE"] for name in ("HF_HUB", "TRANSFORMERS", "HF_DATASETS")] == ["1", "1", "1"]
    assert found["HF_HOME"].startswith(f"{tmp_path}/nixgen-hf-")
    assert found["HF_MODULES_CACHE"] == found["HF_HOME"] + "/modules"
    assert not around.keys() & found.keys()
    names = "/minilm/config.json:/vad/vad.onnx"
    paths = [found["NIXGEN_MODELS"] + name for name in names.split(":")] + [found["NIXGEN_DATA"] + "/sales/a.csv"]
    assert lab.nix.inside("cat", *paths).ok


def test_a_shell_without_models_has_none_of_it_and_one_without_the_hub_only_ours(lab: Lab, rows: Rows) -> None:
    assert not (HUB | OURS) & seen(in_shell(lab, f"python -c '{SHOW}'")).keys()
    rows.artifacts, rows.files = rows.artifacts[1:], rows.files[2:]
    assert (HUB | OURS) & seen(in_shell(rows.on(lab), f"python -c '{SHOW}'")).keys() == OURS


@pytest.mark.one_nix
def test_what_is_written_goes_into_a_folder_that_is_new_for_each_shell_and_gone_after_it(
    each_lab: Lab, rows: Rows, tmp_path: Path
) -> None:
    lab = rows.on(each_lab)
    command = 'mkdir "$HF_MODULES_CACHE"; touch "$HF_MODULES_CACHE/x"; stat -c %a "$HF_HOME"; echo "$HF_HOME"'
    shells = [in_shell(lab, command, XDG_RUNTIME_DIR=str(tmp_path)).stdout.split() for _ in range(2)]
    assert [mode for mode, _ in shells] == ["700", "700"]
    assert shells[0][1] != shells[1][1]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_that_became_another_program_is_removed_by_the_next(
    lab: Lab, rows: Rows, tmp_path: Path
) -> None:
    lab = rows.on(lab)
    (tmp_path / "nixgen-hf-note").mkdir()
    first = in_shell(lab, 'echo "$HF_HOME"; exec true', XDG_RUNTIME_DIR=str(tmp_path)).stdout.strip()
    assert Path(first).is_dir()
    in_shell(lab, f'[ -d "$HF_HOME" ] && [ ! -e {first} ]', XDG_RUNTIME_DIR=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["nixgen-hf-note"]


def test_a_service_verifies_then_becomes_the_command(each_lab: Lab, rows: Rows, tmp_path: Path) -> None:
    rows.service("api", "python", "-c", SHOW, "--first")
    lab = rows.on(each_lab)
    service = lab.build("services.api")
    compiled = {path.name.partition(".")[0] for path in lab.nix.real(service).rglob("__pycache__/*.pyc")}
    assert compiled >= {"serve", "private", "checking", "stamp"}
    env: dict[str, Any] = {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "NIXGEN_STAMP": "no",
        "PYTHONPATH": "/elsewhere",
        **FOREIGN,
    }
    done = lab.nix.inside(f"{service}/bin/api", "a b", "--", "*", cwd=tmp_path, **env)
    assert " in 4 files, " in done.stderr.splitlines()[0]
    found, arguments, folder = json.loads(done.stdout)
    assert arguments == ["--first", "a b", "--", "*"]
    assert folder == str(tmp_path)
    assert found.keys() >= HUB | OURS
    assert not FOREIGN.keys() & found.keys()
    environment = lab.build("environment")
    assert found["PATH"].startswith(f"{environment}/bin:")
    assert found["VIRTUAL_ENV"] == str(environment)
    assert found["HF_HUB_CACHE"] == str(lab.build("cache"))


def test_a_service_is_an_app_of_the_flake(lab: Lab, rows: Rows) -> None:
    lab = rows.service("api", "python").on(lab)
    service, apps = lab.nix.evaluate(f"with ({lab.expression()}); [ services.api.outPath apps ]")
    app = {"type": "app", "program": f"{service}/bin/api"}
    assert apps == {"api": app, "default": app}


def test_a_service_sees_only_its_own_models(lab: Lab, rows: Rows, tmp_path: Path) -> None:
    lab = rows.service("vad", "python", "-c", SHOW, models=["vad"]).on(lab)
    service = lab.build("services.vad")
    done = lab.nix.inside(f"{service}/bin/vad", XDG_RUNTIME_DIR=str(tmp_path), NIXGEN_STAMP="no")
    found = seen(done)
    assert done.stderr.startswith("verified: 999 B in 1 file, ")
    assert not HUB & found.keys()
    assert sorted(path.name for path in lab.nix.real(found["NIXGEN_MODELS"]).iterdir()) == ["vad"]
    assert list(lab.nix.real(found["NIXGEN_DATA"]).iterdir()) == []
    assert str(service) in found["NIXGEN_LOCK"]


@pytest.mark.one_nix
@pytest.mark.parametrize("known", [False, True], ids=["plain", "git"])
def test_the_projects_own_files_come_with_the_service(
    each_lab: Lab, rows: Rows, tmp_path: Path, *, known: bool
) -> None:
    """Case 12: without a build system it is what git knows, and without git what is not hidden."""
    root = tmp_path / "project"
    (root / "templates").mkdir(parents=True)
    word = os.urandom(4).hex()
    (root / "app.py").write_text(
        "import sys; print(open(__file__[:-6] + 'templates/index.html').read(), sys.argv[1:])\n"
    )
    (root / "templates/index.html").write_text(word)
    for name in (".secret", ".venv-1", "nixgen.hashes.json"):
        (root / name).write_text("")
    if known:
        (root / ".gitignore").write_text(".secret\nignored.bin\n")
        (root / ".streamlit").write_text("")
        (root / "ignored.bin").write_text("")
        each_lab.nix.inside("git", "init", "-q", cwd=root)
        each_lab.nix.inside("git", "add", "-A", cwd=root)
    lab = rows.service("api", "python", "-m", "app", "x").on(each_lab)
    service = lab.build("services.api", root=root)
    (root / "templates/index.html").write_text("changed")
    done = lab.nix.inside(f"{service}/bin/api", cwd=root, XDG_RUNTIME_DIR=str(tmp_path), NIXGEN_STAMP="no")
    assert done.stdout == f"{word} ['x']\n"
    settings = json.loads((lab.nix.real(service) / "share/api/settings.json").read_text())
    expected = ["app.py", "templates/index.html"]
    assert tree_of(lab.nix.real(settings["source"])) == ([".gitignore", ".streamlit"] if known else []) + expected


def test_a_package_of_the_project_comes_with_the_service_and_nothing_else_does(
    lab: Lab, rows: Rows, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    (root / "src/demo/data").mkdir(parents=True)
    word = os.urandom(4).hex()
    (root / "src/demo/__main__.py").write_text("from pathlib import Path\nimport demo\nprint(demo.text())\n")
    (root / "src/demo/__init__.py").write_text(
        "from pathlib import Path\ndef text():\n    return Path(__file__).with_name('data').joinpath('w').read_text()\n"
    )
    (root / "src/demo/data/w").write_text(word)
    (root / "notes.py").write_text("")
    tree = {"name": "demo", "version": "1", "path": ".", "roots": ["src"], "modules": ["demo"], "systems": [SYSTEM]}
    metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1\n"
    lab = rows.service("api", "python", "-m", "demo").on(lab)
    lab = lab.with_arguments(trees=[{**tree, "metadata": metadata, "entryPoints": ""}])
    service = lab.build("services.api", root=root)
    env: dict[str, Any] = {"XDG_RUNTIME_DIR": str(tmp_path), "NIXGEN_STAMP": "no", "NIXGEN_ROOT": "/elsewhere"}
    assert lab.nix.inside(f"{service}/bin/api", cwd=tmp_path, **env).stdout == f"{word}\n"
    settings = json.loads((lab.nix.real(service) / "share/api/settings.json").read_text())
    source = lab.nix.real(settings["source"])
    assert tree_of(source) == ["src/demo/__init__.py", "src/demo/__main__.py", "src/demo/data/w"]


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """One bit of a file in a store is another for a while; its times are set back, as an attacker would."""
    content, times = path.read_bytes(), path.stat()
    changed = bytearray(content)
    changed[place] ^= 1
    try:
        path.chmod(0o644)
        path.write_bytes(changed)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        yield
    finally:
        path.write_bytes(content)
        path.chmod(0o444)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.one_nix
@pytest.mark.parametrize("place", [0, 500, -1])
def test_one_flipped_bit_and_the_command_never_starts(each_lab: Lab, rows: Rows, tmp_path: Path, place: int) -> None:
    lab = rows.service("api", "touch", str(tmp_path / "started")).on(each_lab)
    program = f"{lab.build('services.api')}/bin/api"
    env: dict[str, Any] = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "NIXGEN_STAMP": str(tmp_path / "stamps")}
    (tmp_path / "run").mkdir()
    assert lab.nix.inside(program, **env).ok
    (tmp_path / "started").unlink()
    cache = lab.nix.real(lab.build("cache"))
    weights = lab.nix.real((cache / f"models--org--minilm/snapshots/{COMMIT}/w.bin").readlink())
    with flipped(weights, place):
        done = lab.nix.inside(program, check=False, **env)
        told = lab.nix.inside(program, check=False, NIXGEN_REPORT="json", **env)
    assert done.returncode == told.returncode == REFUSED
    assert "models.minilm: w.bin: is changed: SHA-256 " in done.stderr
    assert done.stderr.endswith("The command was not started.\n  hint: nix-store --verify --check-contents --repair\n")
    report = json.loads(told.stderr)
    assert {(item["artifact"], item["problem"]) for item in report["findings"]} >= {("models.minilm", "changed")}
    assert not (tmp_path / "started").exists()
    # The first start became the command and left its folder; the second removed that, and its own when it refused.
    assert list((tmp_path / "run").iterdir()) == []


def test_a_service_of_a_project_that_pins_nothing(lab: Lab, tmp_path: Path) -> None:
    """Nothing is verified, and nothing says that it was."""
    lab = Rows(lab.index).service("api", "python", "-c", "print('started')").on(lab)
    done = lab.nix.inside(f"{lab.build('services.api')}/bin/api", XDG_RUNTIME_DIR=str(tmp_path))
    assert (done.stdout, done.stderr) == ("started\n", "")


def test_a_service_names_what_there_is(lab: Lab, rows: Rows) -> None:
    said = Rows(lab.index, rows.artifacts, rows.files).service("api", "python", models=["gone"]).on(lab)
    assert "services.api: there is neither a model nor data named gone" in said.failure("services.api")
    assert "services.api: there is no command" in Rows(lab.index).service("api").on(lab).failure("services.api")
    bad = Rows(lab.index).service("../api", "python").on(lab)
    assert 'services.../api: "../api" is not a name that can be used' in bad.failure('services."../api"')


def test_a_service_needs_nothing_but_its_closure(lab: Lab, rows: Rows, tmp_path: Path) -> None:
    """As in a container: without a PATH, a home, or a folder for what runs."""
    lab = rows.service("api", "python", "-c", "import sys; print(sys.prefix)").on(lab)
    program = f"{lab.build('services.api')}/bin/api"
    done = lab.nix.inside("env", "-i", f"TMPDIR={tmp_path}", program)
    assert done.stdout.strip() == str(lab.build("environment"))
