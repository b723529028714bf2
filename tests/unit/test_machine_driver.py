"""Finding and linking a GPU's driver, tried with a stand-in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.driver import ANSWER, VERSION, compile_library, compiler, stand_in

from nixgen.machine import driver

pytestmark = pytest.mark.skipif(compiler() is None or sys.platform != "linux", reason="needs Linux and a C compiler")

GET = "library.cuDriverGetVersion(ctypes.byref(n)) or n.value"
OWN = {
    "libcuda.so",
    "libcuda.so.1",
    f"libcuda.so.{VERSION}",
    f"libnvidia-gpucomp.so.{VERSION}",
    *(f"lib{name}.{end}" for name, one in (("nvidia-ml.so", 1), ("nvidia-ptxjitcompiler.so", 1), ("nvidia-nvvm.so", 4))
      for end in (one, VERSION)),
}  # fmt: skip


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the machine with a driver, and with a library that is none of it."""
    return stand_in(tmp_path_factory.mktemp("driver"))


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a driver, for a user with a folder of the session's."""
    (tmp_path / "run").mkdir(mode=0o700)
    for name in ("LD_LIBRARY_PATH", "TRITON_LIBCUDA_PATH", "NIXGEN_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("FIRST", ()), ("USUAL", ()), ("CACHE", "/no/such")):
        monkeypatch.setattr(driver, name, value)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    return tmp_path / "run"


def find(folder: Path) -> driver.Driver:
    found = driver.find(first=[str(folder)], cache="/no/such", usual=[])
    assert found is not None
    return found


def test_only_the_driver_s_own_libraries_are_linked(host: Path, own: Path) -> None:
    found = find(host)
    assert (found.version, found.path) == (VERSION, f"{host}/libcuda.so.1")
    folder = Path(driver.link(driver.usable(found)))
    assert {path.name for path in folder.iterdir()} == OWN
    assert all(path.resolve().parent == host for path in folder.iterdir())
    assert folder.parent == own
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_same_driver_has_the_same_folder_and_a_new_one_another(tmp_path: Path, own: Path) -> None:
    stand_in(tmp_path / "driver")
    first = driver.link(find(tmp_path / "driver"))
    assert driver.link(find(tmp_path / "driver")) == first
    assert [path.name for path in own.iterdir()] == [Path(first).name]
    shutil.rmtree(tmp_path / "driver")
    stand_in(tmp_path / "driver", "560.1")
    assert driver.link(find(tmp_path / "driver")) != first


@pytest.mark.parametrize("spoilt", ["a file more", "another link", "writable", "a link", "a file"])
def test_a_folder_that_is_not_as_it_was_made_is_made_again_or_not_believed(
    host: Path, tmp_path: Path, spoilt: str
) -> None:
    folder = Path(driver.link(find(host)))
    if spoilt == "a file more":
        (folder / "libc.so.6").write_text("")
    elif spoilt == "another link":
        (folder / "libcuda.so.1").unlink()
        (folder / "libcuda.so.1").symlink_to("/elsewhere/libcuda.so.1")
    elif spoilt == "writable":
        folder.chmod(0o777)
    else:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved") if spoilt == "a link" else folder.write_text("")
    again = Path(driver.link(find(host)))
    assert (again == folder) == (spoilt in {"a file more", "another link"})
    assert {path.name for path in again.iterdir()} == OWN
    assert (again / "libcuda.so.1").resolve().parent == host
    assert again.stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_folder_of_the_session(
    host: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    own.chmod(0o777)  # not this user's alone
    assert Path(driver.link(find(host))).parent == tmp_path / "home/.cache/nixgen"
    monkeypatch.setenv("HOME", "/no/such")
    assert Path(driver.link(find(host))).parent == tmp_path


@pytest.mark.parametrize("form", ["new", "compat"])
def test_what_the_loader_s_cache_knows(host: Path, tmp_path: Path, form: str) -> None:
    program = shutil.which("ldconfig", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("ldconfig is not here")
    (tmp_path / "conf").write_text(f"{host}\n")
    cache = str(tmp_path / "cache")
    done = subprocess.run(
        [program, "-c", form, "-X", "-f", tmp_path / "conf", "-C", cache], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(done.stderr.decode())
    found = driver.find(first=[], cache=cache, usual=[])
    assert found is not None
    assert found.path == f"{host}/libcuda.so.1"
    assert found.libraries.keys() == OWN


@pytest.mark.parametrize("content", [b"", b"glibc-ld.so.cache1.1", b"glibc-ld.so.cache1.1" + b"\xff" * 60])
def test_a_cache_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cache").write_bytes(content)
    assert driver.cached(str(tmp_path / "cache")) == {}


def test_a_folder_that_is_named_from_the_current_one(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(host.parent)
    found = driver.find(host.name)
    assert found is not None
    folder = Path(driver.link(driver.usable(found)))
    assert {path.readlink().parent for path in folder.iterdir()} == {host}


def test_of_two_drivers_one_is_taken_whole(host: Path, tmp_path: Path) -> None:
    """CUDA's "compat" folder has a newer libcuda than the machine, and no libnvidia-ml."""
    newer = tmp_path / "compat"
    stand_in(newer, "560.35.03")
    for path in newer.glob("libnvidia-ml*"):
        path.unlink()
    found = driver.find(first=[str(newer), str(host)], cache="/no/such", usual=[])
    assert found is not None
    assert found.version == "560.35.03"
    assert {Path(path).parent for path in found.libraries.values()} == {newer}
    shutil.copy(host / "libnvidia-ml.so.1", newer)
    assert "libnvidia-ml.so.1" not in find(newer).libraries


def test_libraries_without_a_version_as_wsl_has_them(host: Path, tmp_path: Path) -> None:
    wsl = tmp_path / "wsl/lib"
    wsl.mkdir(parents=True)
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        shutil.copy(host / name, wsl)
    compile_library(wsl / "libdxcore.so")
    compile_library(wsl / "libd3d12.so")
    found = find(wsl)
    assert found.version == ""
    assert found.libraries.keys() == {"libcuda.so", "libcuda.so.1", "libdxcore.so", "libnvidia-ml.so.1"}
    (wsl / "libcuda.so.1").unlink()  # an AMD card: ROCm asks for this one
    assert find(wsl).libraries.keys() == {"libdxcore.so"}


WSL = (
    *("libcuda.so", "libcuda.so.1", "libcuda.so.1.1", "libcudadebugger.so.1", "libdxcore.so", "libnvcuvid.so.1"),
    *("libnvdxgdmal.so.1", "libnvidia-encode.so.1", "libnvidia-ml.so.1", "libnvidia-opticalflow.so.1"),
)
PROXY = """
#include <dlfcn.h>
int cuDriverGetVersion(int *version) {
    void *other = dlopen("libdxcore.so", RTLD_NOW);
    int (*answer)(void) = other ? (int (*)(void))dlsym(other, "answer") : 0;
    *version = answer ? answer() : 0;
    return 0;
}
"""
"""What WSL's libcuda.so.1 does: the driver itself lies with Windows, and libdxcore.so leads to it."""


@pytest.fixture(scope="module")
def wsl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/usr/lib/wsl/lib: three copies of libcuda and no links, DirectX, and a program."""
    folder = tmp_path_factory.mktemp("wsl") / "lib"
    for name in (*WSL, "libd3d12.so", "libd3d12core.so", "libdirectml.so", "libnvwgf2umx.so"):
        cuda = name.startswith("libcuda.so")
        text = PROXY if cuda else "int answer(void) { return 31; }" if name == "libdxcore.so" else ""
        compile_library(
            folder / name,
            text or "int other(void) { return 1; }",
            soname="libcuda.so.1" if cuda else "",
            needs=["-ldl"],
        )
    (folder / "nvidia-smi").write_text("#!/bin/sh\n")
    return folder


def loaded(folder: str, name: str, call: str) -> tuple[str, set[str]]:
    """What a function of a library answers that is loaded by its name, and what was loaded for that."""
    code = (
        "import ctypes\n"
        "def maps(): return {line.split(None, 5)[5].strip() for line in open('/proc/self/maps') if '/' in line}\n"
        f"before, n = maps(), ctypes.c_int()\nlibrary = ctypes.CDLL('{name}')\n"
        f"print({call}, *sorted(maps() - before), sep='\\n')\n"
    )
    command, env = [sys.executable, "-c", code], {**os.environ, "LD_LIBRARY_PATH": folder}
    first, *paths = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    return first, {path for path in paths if "/libc.so" not in path and "/libdl" not in path}


def test_wsl_s_folder_goes_before_a_driver_that_was_installed_in_the_distribution(wsl: Path, host: Path) -> None:
    found = driver.find(first=[str(wsl)], cache="/no/such", usual=[str(host)])
    assert found is not None
    assert (found.version, found.libraries) == ("", {name: f"{wsl}/{name}" for name in sorted(WSL)})
    answer, paths = loaded(driver.link(driver.usable(found)), "libcuda.so.1", GET)
    assert (answer, paths) == ("31", {f"{wsl}/libcuda.so.1", f"{wsl}/libdxcore.so"})


def test_a_container_in_wsl_has_the_driver_in_another_folder(wsl: Path, tmp_path: Path) -> None:
    """NVIDIA's container toolkit mounts libdxcore.so alone at its place, and the driver as Windows has it."""
    store, place = tmp_path / "wsl/drivers/nv_dispsi.inf_amd64_7cc7738d8e428783", tmp_path / "wsl/lib"
    store.mkdir(parents=True)
    place.mkdir()
    for name in ("libcuda.so.1.1", "libnvdxgdmal.so.1", "libnvidia-ml.so.1"):
        shutil.copy(wsl / name, store)
    (store / "libcuda.so.1").symlink_to("libcuda.so.1.1")  # ldconfig's
    shutil.copy(wsl / "libdxcore.so", place)
    found = driver.find(first=[str(place)], cache="/no/such", usual=[str(store)])
    assert found is not None
    assert {Path(path).name: Path(path).parent for path in found.libraries.values()} == {
        **dict.fromkeys(("libcuda.so.1", "libcuda.so.1.1", "libnvdxgdmal.so.1", "libnvidia-ml.so.1"), store),
        "libdxcore.so": place,
    }
    assert loaded(driver.link(found), "libcuda.so.1", GET)[0] == "31"


def test_rocm_finds_windows_driver_in_wsl(wsl: Path, tmp_path: Path) -> None:
    """Its libhsa-runtime64 is in PyTorch's wheel, and loads libdxcore.so by its name."""
    (tmp_path / "amd").mkdir()
    for name in ("libdxcore.so", "libd3d12.so"):
        shutil.copy(wsl / name, tmp_path / "amd")
    folder = driver.link(driver.usable(find(tmp_path / "amd")))
    hsa = compile_library(tmp_path / "env/torch/lib/libhsa-runtime64.so", PROXY, needs=["-ldl"])
    answer, paths = loaded(folder, str(hsa), GET)
    assert (answer, paths) == ("31", {str(hsa), f"{tmp_path}/amd/libdxcore.so"})


def test_of_a_machine_s_rocm_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wheels bring ROCm, all but the kernel's module; another version of it would be loaded in its place."""
    rocm, wheel = tmp_path / "opt/rocm/lib", tmp_path / "env/lib/python3.13/site-packages/torch/lib"
    for name in ("libamdhip64.so.7", "libhsa-runtime64.so.1", "librocdxg.so"):
        compile_library(rocm / name)
    for name in ("libamdhip64.so.7", "libhsa-runtime64.so.1"):
        compile_library(wheel / name)
    for more in ({"usual": [str(rocm)]}, {"first": [str(rocm)]}):
        assert driver.find(**{"first": [], "usual": [], "cache": "/no/such", **more}) is None
    monkeypatch.setenv("LD_LIBRARY_PATH", str(rocm))
    assert driver.variables("auto", [str(tmp_path / "env")]) == {"LD_LIBRARY_PATH": "", "TRITON_LIBCUDA_PATH": ""}
    what = f"LD_LIBRARY_PATH is used without {rocm}: its libamdhip64.so.7 would replace the environment's"
    assert capfd.readouterr().err == f"nixgen: {what}\n"


def test_what_is_no_driver(host: Path, tmp_path: Path) -> None:
    assert driver.find(first=["/no/such"], cache="/no/such", usual=[]) is None
    stubs = tmp_path / "cuda/lib64/stubs"
    stubs.mkdir(parents=True)
    shutil.copy(host / "libcuda.so.1", stubs)
    assert driver.find(first=[str(stubs)], cache="/no/such", usual=[]) is None
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "libcuda.so.1").touch()  # a container that was not started with the GPU's runtime
    with pytest.raises(driver.DriverError, match=rf"^{empty}/libcuda.so.1 is not a library for this machine$"):
        driver.find(first=[str(empty)], cache="/no/such", usual=[])
    found = driver.find(first=[str(empty)], cache="/no/such", usual=[str(host)])
    assert found is not None
    assert found.path == f"{host}/libcuda.so.1"
    with pytest.raises(driver.DriverError, match=r"^NIXGEN_DRIVER=/no/such has no libcuda\.so\.1$"):
        driver.find("/no/such")


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        (("libc.so.6", "GLIBC_9.99"), r"needs glibc 9\.99, and this environment has glibc 2\.\d+"),
        (("libm.so.6", "GLIBC_3.0"), r"needs glibc 3\.0, and this environment has glibc 2\.\d+"),
    ],
)
def test_a_driver_that_needs_a_newer_glibc_is_refused(tmp_path: Path, wants: tuple[str, str], said: str) -> None:
    host = stand_in(tmp_path / "driver", wants=wants)
    with pytest.raises(driver.DriverError) as caught:
        driver.usable(find(host))
    title = re.escape(f"NVIDIA's driver {VERSION} ({host}/libcuda.so.1)")
    assert re.fullmatch(rf"{title} {said}", str(caught.value))
    assert caught.value.hint.startswith("a newer base (suite or nixpkgs under [tool.nixgen]), then: nixgen sync")


def test_one_that_needs_a_newer_libstdcxx_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = compile_library(tmp_path / "own/libstdc++.so.6", 'const char *has[] = {"", "GLIBCXX_3.4", "GLIBCXX_3.4.29"};')
    data = own.read_bytes()
    assert b"\0GLIBCXX_3.4\0" in data
    monkeypatch.setattr(driver, "_loaded", lambda: {"libstdc++.so.6": str(own)})
    host = stand_in(tmp_path / "driver", wants=("libstdc++.so.6", "GLIBCXX_3.4.30"))
    said = r"needs libstdc\+\+\.so\.6 with GLIBCXX_3\.4\.30, and this environment's ends with GLIBCXX_3\.4\.29$"
    with pytest.raises(driver.DriverError, match=said):
        driver.usable(find(host))
    assert find(stand_in(tmp_path / "older", wants=("libstdc++.so.6", "GLIBCXX_3.4.29")))
    assert driver.usable(find(tmp_path / "older")).libraries.keys() == OWN


def test_a_driver_that_would_bring_more_of_the_machine_is_refused(tmp_path: Path) -> None:
    host = stand_in(tmp_path / "driver", search="/usr/lib/x86_64-linux-gnu")
    with pytest.raises(
        driver.DriverError, match="looks for its libraries in /usr/lib/x86_64-linux-gnu, a folder of this"
    ):
        driver.usable(find(host))
    assert driver.usable(find(stand_in(tmp_path / "nixos", search="$ORIGIN:/nix/store/abc-glibc/lib")))


def test_what_another_library_of_it_lacks_keeps_out_that_one_alone(tmp_path: Path) -> None:
    host = stand_in(tmp_path / "driver")
    compile_library(
        host / f"libnvidia-nscq.so.{VERSION}", soname="libnvidia-nscq.so.2", wants=("libc.so.6", "GLIBC_9.9")
    )
    assert "libnvidia-nscq.so.2" in find(host).libraries
    assert driver.usable(find(host)).libraries.keys() == OWN


def test_the_variables(
    host: Path, own: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    nothing = {"LD_LIBRARY_PATH": "", "TRITON_LIBCUDA_PATH": ""}
    assert driver.variables("auto", []) == nothing
    monkeypatch.setenv("NIXGEN_DRIVER", str(host))
    found = driver.variables("auto", [])
    folder = found["LD_LIBRARY_PATH"]
    assert re.fullmatch(rf"{own}/nixgen-driver-\d+-[0-9a-f]{{20}}", folder)
    assert found["TRITON_LIBCUDA_PATH"] == folder
    assert driver.variables("off", []) == nothing
    # A shell within a shell; and what the user set.
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}:/opt/mpi/lib::/opt/mpi/lib")
    monkeypatch.setenv("TRITON_LIBCUDA_PATH", "/mine")
    expected = {"LD_LIBRARY_PATH": f"{folder}:/opt/mpi/lib", "TRITON_LIBCUDA_PATH": "/mine"}
    assert driver.variables("auto", []) == expected
    monkeypatch.setenv("NIXGEN_DRIVER", "off")
    assert driver.find("off") is None
    assert driver.variables("auto", [])["LD_LIBRARY_PATH"] == "/opt/mpi/lib"
    monkeypatch.delenv("NIXGEN_DRIVER")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(host))  # where Colab and clusters tell of it
    assert driver.variables("auto", [])["LD_LIBRARY_PATH"] == f"{folder}:{host}"
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}:/opt/mpi/lib")
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("NIXGEN_DRIVER", "/no/such")
    assert driver.variables("auto", [])["LD_LIBRARY_PATH"] == "/opt/mpi/lib"
    assert capfd.readouterr().err.splitlines() == [
        "nixgen: NIXGEN_DRIVER=/no/such has no libcuda.so.1",
        "  hint: install the driver again, or name its folder: NIXGEN_DRIVER=FOLDER",
    ]


def test_no_older_library_of_the_machine_goes_before_the_environment_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """LD_LIBRARY_PATH counts before a library's own RUNPATH: torch took the libcudart of the machine's CUDA."""
    for place in ("env/lib/python3.13/site-packages/nvidia/cuda_runtime/lib", "cuda/lib64", "system", "mpi"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "env/lib/python3.13/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12").touch()
    for path in ("cuda/lib64/libcudart.so.12", "system/libz.so.1", "mpi/libmpi.so.40"):
        (tmp_path / path).touch()
    (tmp_path / "base/lib").mkdir(parents=True)
    (tmp_path / "base/lib/ld.so.libraries").write_text("libz.so.1\n")
    names = driver.libraries_of([str(tmp_path / "env")], str(tmp_path / "base"))
    before = [str(tmp_path / name) for name in ("cuda/lib64", "mpi", "system", "gone")]
    assert driver.kept(before, names) == (
        [f"{tmp_path}/mpi", f"{tmp_path}/gone"],
        [(f"{tmp_path}/cuda/lib64", "libcudart.so.12"), (f"{tmp_path}/system", "libz.so.1")],
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}/cuda/lib64")
    assert driver.variables("off", [str(tmp_path / "env")])["LD_LIBRARY_PATH"] == ""
    what = f"LD_LIBRARY_PATH is used without {tmp_path}/cuda/lib64: its libcudart.so.12 would replace the environment's"
    assert capfd.readouterr().err == f"nixgen: {what}\n"


def test_a_process_finds_it_by_its_name_and_loads_nothing_else(host: Path) -> None:
    answer, paths = loaded(driver.link(driver.usable(find(host))), "libcuda.so.1", GET)
    assert answer == str(ANSWER)
    assert {path for path in paths if path.startswith(str(host))} == {f"{host}/libcuda.so.{VERSION}"}


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "tcsh"])
def test_a_shell_sets_what_is_printed_for_it(host: Path, own: Path, shell: str, tmp_path: Path) -> None:
    """By what the venv's scripts for activating do, and with any characters in the folders' names."""
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    form = {"fish": "fish", "tcsh": "csh"}.get(shell, "sh")
    theirs = tmp_path / "it's $HOME \\ `x` !y"
    (theirs / "driver").mkdir(parents=True)
    for path in host.iterdir():
        (theirs / "driver" / path.name).symlink_to(path.resolve())
    finder = f"{sys.executable} -ISB {driver.__file__} auto {tmp_path}/none {form}"
    script = {"fish": f"{finder} | source", "csh": f'if (-x /bin/sh) then\n  eval "`{finder}`"\nendif'}
    (tmp_path / "script").write_text(script.get(form, f'eval "$({finder})"') + "\nenv\n")
    env = {**os.environ, "NIXGEN_DRIVER": f"{theirs}/driver", "LD_LIBRARY_PATH": str(theirs)}
    done = subprocess.run([program, tmp_path / "script"], env=env, capture_output=True, text=True, check=True)
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    (made,) = own.iterdir()
    assert found["LD_LIBRARY_PATH"] == f"{made}:{theirs}"
    assert found["TRITON_LIBCUDA_PATH"] == str(made)
