"""Programs inside wheels: the one kind of file that is changed, so that it starts at all; the log says which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from builders import relink
from lab import PYTHON, SITE, Lab, lines_with, rows
from support.wheels import make_wheel
from test_wheels import verify

LOADER = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}[os.uname().machine]


@pytest.fixture(scope="module")
def core(lab: Lab) -> Path:
    """The base's tree, as Nix names it."""
    return lab.build("base.core")


@pytest.fixture(scope="module")
def program(lab: Lab, core: Path) -> bytes:
    """A dynamically linked program that asks for the host's loader, as publishers ship them: the base's bash."""
    made = relink.File((lab.nix.real(core) / "usr/bin/bash").read_bytes())
    made.interpreter, made.rpath = LOADER.encode(), []
    return bytes(made.write())


@pytest.fixture(scope="module")
def wheel(lab: Lab, program: bytes) -> Path:
    files: dict[str, str | bytes] = {
        "tooled/__init__.py": "",
        "tooled/bin/tool": program,
        "tooled/not-started.so": program,
        "tooled-1.0.data/scripts/tool": program,
    }
    return make_wheel(lab.wheels, "tooled", "1.0", files, executable=["tooled/bin/tool"])


def test_each_program_of_a_wheel_is_given_the_interpreter_and_the_log_names_it(
    lab: Lab, wheel: Path, core: Path
) -> None:
    (installed,) = lab.installed(wheel)
    changed = ("tooled/bin/tool", "tooled/not-started.so", "../../../bin/tool")
    verify(wheel, installed, patched=changed)
    loader = lab.nix.evaluate(f"({lab.expression()}).base.loader")
    said = [
        f"{wheel.name}: patched {place}: a program that was given the interpreter path {loader}"
        for place in ("bin/tool", f"{SITE}/tooled/bin/tool", f"{SITE}/tooled/not-started.so")
    ]
    assert lab.log("wheels.tooled", [wheel]).splitlines() == said
    assert loader.startswith(str(core))
    assert set(rows(installed / SITE / "tooled-1.0.dist-info/RECORD")) >= set(changed)


def test_a_program_runs_from_the_environment(lab: Lab, wheel: Path) -> None:
    environment = lab.environment(wheel)
    for place in ("bin/tool", f"{SITE}/tooled/bin/tool"):
        assert lab.nix.inside(f"{environment}/{place}", "--version").stdout.startswith("GNU bash")


def test_a_program_runs_in_the_sandbox_where_there_is_no_other_loader(lab: Lab, wheel: Path) -> None:
    environment = lab.environment(wheel)
    assert lab.in_sandbox(f"{environment}/bin/tool --version > $out").startswith("GNU bash")
    left = lab.in_sandbox(f"[ -e {LOADER} ] || echo none > $out")
    assert left == "none\n"


def test_the_publishers_bytes_cannot_start_in_the_sandbox(lab: Lab, program: bytes, core: Path) -> None:
    """Why programs are patched: the same program as it was, carried in as data, finds no interpreter there."""
    wheel = make_wheel(lab.wheels, "kept", "1.0", {"kept/tool": b"-" + program})
    (installed,) = lab.installed(wheel)
    path = f"/nix/store/{installed.name}/{SITE}/kept/tool"
    code = (
        "import os, subprocess, sys; open('tool', 'wb').write(open(sys.argv[1], 'rb').read()[1:]); "
        "os.chmod('tool', 0o755); subprocess.run(['./tool'])"
    )
    said = lab.in_sandbox(f'{core}/usr/bin/python{PYTHON} -c "{code}" {path} 2> $out || true')
    assert said.splitlines()[-1] == "FileNotFoundError: [Errno 2] No such file or directory: './tool'"


def test_a_program_for_another_machine_or_for_musl_is_left_alone(lab: Lab, program: bytes) -> None:
    other = bytearray(program)
    other[18:20] = (0xF3).to_bytes(2, "little")  # RISC-V
    musl = program.replace(LOADER.encode() + b"\0", b"/lib/ld-musl-any".ljust(len(LOADER) + 1, b"\0"))
    files: dict[str, str | bytes] = {"foreign/riscv": bytes(other), "foreign/musl": musl}
    wheel = make_wheel(lab.wheels, "foreign", "1.0", files, executable=files)
    (installed,) = lab.installed(wheel)
    verify(wheel, installed)
    assert lines_with(lab.log("wheels.foreign", [wheel]), ["patched"]) == []
