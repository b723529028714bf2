"""What a record says of the machine, the environment and what came out, where a real one is hard to come by."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from support.tree import fill

from nixgen.machine import addresses
from nixgen.runs import facts, metrics, outputs
from nixgen.runs.model import Gpu, Output

VERSIONS = [
    (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 UTC 2024\nGCC version: 12.2.0 x\n",
        "550.54.15",
    ),
    ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (a@b)\n", "575.57.08"),
    ("something else\n", ""),
]


def test_amds_gpus(tmp_path: Path) -> None:
    amd = {"vendor": b"0x1002\n", "device": b"0x74a1\n"}
    cards = {
        "card0/device": {**amd, "product_name": b"AMD Instinct MI300X\n"},
        "card1/device": amd,
        "card1-DP-1/device": amd,
        "card2/device": {"vendor": b"0x8086\n", "device": b"0x46a6\n"},
    }
    content = {f"class/drm/{card}/{name}": data for card, of in cards.items() for name, data in of.items()}
    seen = facts.amd_gpus(fill(tmp_path, {"module/amdgpu/version": b"6.12.12\n", **content}))
    assert seen == (Gpu("AMD Instinct MI300X", "6.12.12"), Gpu("AMD 0x74a1", "6.12.12"))


@pytest.mark.parametrize(("version", "driver"), VERSIONS)
def test_gpus_as_the_kernel_tells_them(tmp_path: Path, version: str, driver: str) -> None:
    model = b"Model: \t\t NVIDIA  H200\nIRQ:   \t\t 12\nGPU UUID: \t GPU-x\n"
    places = {f"gpus/0000:0{number}:00.0/information": model for number in range(2)}
    assert facts.gpus(fill(tmp_path, {"version": version.encode(), **places})) == (Gpu("NVIDIA H200", driver),) * 2


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo NVIDIA A100-SXM4-80GB, 550.54", (Gpu("NVIDIA A100-SXM4-80GB", "550.54"),)),
        ("echo 'NVIDIA-SMI has failed'; exit 9", ()),
        ("echo 'No devices were found'", ()),
    ],
)
def test_gpus_as_nvidias_program_tells_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: tuple[Gpu, ...]
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert facts.gpus(tmp_path / "nowhere") == found


def test_the_environment_that_a_venv_is_over(tmp_path: Path) -> None:
    path = "/nix/store/" + "a" * 32 + "-demo-environment"
    text = f"{path}/lib/python3.13/site-packages\nimport os\n/nix/store/{'b' * 32}-other\n"
    fill(
        tmp_path, {"lib/python3.13/site-packages/_nixgen.pth": text.encode(), "pyvenv.cfg": b"version_info = 3.13.5\n"}
    )
    assert facts._store_path(str(tmp_path)) == path
    assert facts._store_path(path) == path
    assert facts._store_path(f"{path}/bin") == path
    assert facts._store_path(str(tmp_path / "nothing")) == ""
    assert facts._python(tmp_path) == "3.13.5"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://me:hunter2@git.example.org/a.git", "https://git.example.org/a.git"),
        ("https://hunter2@git.example.org:8443/a.git?private_token=hunter2", "https://git.example.org:8443/a.git"),
        ("ssh://git@git.example.org/a.git", "ssh://git@git.example.org/a.git"),
        ("ssh://git:hunter2@git.example.org/a.git", "ssh://git@git.example.org/a.git"),
        ("git@git.example.org:a/b.git", "git@git.example.org:a/b.git"),
        ("me:hunter2@git.example.org:a/b.git", "***@git.example.org:a/b.git"),
        ("/srv/git/a b.git", "/srv/git/a b.git"),
        ("https://git.example.org/a.git?x=1", "https://git.example.org/a.git?x=1"),
    ],
)
def test_an_address_without_its_login_leads_to_the_same_place(url: str, bare: str) -> None:
    assert addresses.bare(url) == bare


def test_metrics_of_lines(tmp_path: Path) -> None:
    lines = (
        b"nixgen-metric: a=1 b=x c\nno nixgen-metric: a=2\nnixgen-metric: \xff=3 a=4\r\n\rnixgen-metric: d=-inf e=1e-3"
    )
    (tmp_path / "stdout").write_bytes(lines)
    assert metrics.from_lines(tmp_path / "stdout") == {"a": 4.0, "\ufffd": 3.0, "d": float("-inf"), "e": 0.001}
    (tmp_path / "stdout").write_bytes(b"")
    assert metrics.from_lines(tmp_path / "stdout") == {}
    (tmp_path / "stdout").write_bytes(b"x" * 70000 + b"\nnixgen-metric: a=5 " + b"y" * 70000)
    assert metrics.from_lines(tmp_path / "stdout") == {"a": 5.0}


def test_metrics_of_a_yaml_file(tmp_path: Path) -> None:
    text = "test: {auc: 0.9, best: true, name: x}\nfolds: [1, 2.5]\nloops: &a\n  again: *a\n  n: 1\n"
    (tmp_path / "m.yaml").write_text(text)
    found = metrics.from_file(tmp_path / "m.yaml")
    assert found == {"test.auc": 0.9, "folds.0": 1, "folds.1": 2.5, "loops.n": 1}


def test_outputs_are_hashed_as_they_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    long = "/".join(["n\u00e4me with blanks " * 10] * 2)
    files = {f"out/{long}": b"1", "out/a": b"22", "out/b/c": b"", "z": b"333"}
    fill(tmp_path, files)
    Path("out/link").symlink_to("a")
    Path("out/nowhere").symlink_to("gone")
    Path("out/folder").symlink_to("b")
    os.mkfifo("out/pipe")
    found = outputs.collect([Path("z"), Path("out"), Path("out/a"), Path("../missing")], {})
    expected = {**files, "out/link": b"22"}
    names = ["z", *sorted(name for name in expected if name != "z")]
    assert sorted(found.outputs[1:], key=lambda one: one.path) == [
        Output(name, len(expected[name]), hashlib.sha256(expected[name]).hexdigest()) for name in names[1:]
    ]
    assert found.outputs[0].path == "z"
    assert found.lacks == (
        "../missing: the command did not make it",
        "out/folder: it is not a file",
        "out/nowhere: No such file or directory",
        "out/pipe: it is not a file",
    )
