"""docs/guard.md: the units and the entry point that stand there do what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.tree import copied, fill, flip, lock, rows

from nixgen import guard

PAGE = (Path(__file__).resolve().parents[2] / "docs/guard.md").read_text(encoding="utf-8")
FILES = {"model.onnx": b"m" * 5000}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """What the page says lies where, below a folder that stands for the root."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/nixgen.lock").write_text(lock(models__m={"files": rows(FILES)}))
    copied(tmp_path / "app")
    fill(tmp_path / "models/m", FILES)
    return tmp_path


def test_the_entry_point_of_a_container(machine: Path) -> None:
    (script,) = blocks("sh")
    (machine / "app/entrypoint.sh").write_text(script.replace("/app/", f"{machine}/app/"))
    command = ["sh", machine / "app/entrypoint.sh", "sh", "-c", "echo started; exit 3"]
    env = {"PATH": "/usr/bin:/bin", "MODELS": str(machine / "models")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "started\n"), done.stderr
    flip(machine / "models/m/model.onnx", 2500)
    env["REPORT"] = "json"
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (79, "")
    assert '"verified": false' in done.stderr


@pytest.mark.parametrize("number", [0, 1])
def test_the_systemd_units(machine: Path, number: int) -> None:
    unit = blocks("ini")[number]
    if shutil.which("systemd-analyze") is not None:
        # systemd looks whether programs are there: the service's own stands in for itself.
        (machine / "api.service").write_text(unit.replace("/opt/api/bin/python -m app", "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", machine / "api.service"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert [line for line in done.stderr.splitlines() if "api.service" in line] == []
    places = {
        "/usr/local/lib/nixgen/guard": machine / "app/guard",
        "/etc/api/nixgen.lock": machine / "app/nixgen.lock",
        "/srv/models": machine / "models",
        "/var/lib/nixgen/stamps": machine / "stamps",
        "/opt/api/bin/python -m app": "/bin/echo started",
    }
    for place, here in places.items():
        unit = unit.replace(place, str(here))
    lines = re.findall(r"^ExecStart(?:Pre)?=\+?(.*)$", unit, re.MULTILINE)
    assert [_run(line) for line in lines][-1] == (0, "started\n")
    flip(machine / "models/m/model.onnx", 0)
    assert _run(lines[0])[0] == (79 if "RestartPreventExitStatus=79" in unit else 1)


def _run(line: str) -> tuple[int, str]:
    """A line of a unit, which uses nothing but blanks between words."""
    done = subprocess.run(line.split(" "), capture_output=True, text=True, check=False, env={"HOME": "/nowhere"})
    return done.returncode, done.stdout


def test_the_exit_codes_and_problems_that_the_page_names() -> None:
    assert f"| {guard.REFUSED} | a file is not the pinned one" in PAGE
    modules = Path(guard.__file__).parent.glob("*.py")
    source = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    told = set(re.findall(r'(?:_note\([^,]+, |Found\([^,]+, [^,]+, )"(\w+)"', source)) | {"unreadable", "link"}
    for problem in told:
        assert f"`{problem}`" in PAGE, problem
    assert guard.STAMP_AGE == 24 * 3600
