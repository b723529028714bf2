"""Asks a driver for its devices, and has the first compile and run a kernel. What it finds wrong ends it.

With ``--stand-in`` it asks only what the tests' stand-in answers.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

SIZE = 1000
# Adds one to each number. The driver compiles it, by libnvidia-ptxjitcompiler.
PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry add_one(.param .u64 numbers, .param .u32 count) {
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %d<4>;
  ld.param.u64 %d1, [numbers];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra DONE;
  cvta.to.global.u64 %d2, %d1;
  mul.wide.u32 %d3, %r5, 4;
  add.s64 %d2, %d2, %d3;
  ld.global.u32 %r2, [%d2];
  add.u32 %r2, %r2, 1;
  st.global.u32 [%d2], %r2;
DONE:
  ret;
}
\0"""


def of_the_machine() -> list[str]:
    """What this process has loaded that is not the environment's."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {line.split(None, 5)[5] for line in lines if "/" in line}
    stores = tuple({os.path.realpath("/nix/store") + "/", "/nix/store/"})
    return sorted(path for path in paths if path.startswith("/") and ".so" in path and not path.startswith(stores))


def by_name() -> tuple[int, int]:
    """The driver, by ctypes: its version and the number of devices."""
    cuda = ctypes.CDLL("libcuda.so.1")
    version, count = ctypes.c_int(), ctypes.c_int()
    for code in (
        cuda.cuInit(0),
        cuda.cuDriverGetVersion(ctypes.byref(version)),
        cuda.cuDeviceGetCount(ctypes.byref(count)),
    ):
        assert code == 0, f"the driver answers {code}"
    return version.value, count.value


def runtime() -> str:
    """CUDA's runtime is the wheel's, as cuda.pathfinder finds it."""
    from cuda.pathfinder import load_nvidia_dynamic_lib

    path = str(load_nvidia_dynamic_lib("cudart").abs_path)
    assert "/site-packages/nvidia/" in path, path
    return path


def by_bindings() -> list[str]:
    """Names of the devices, by cuda-bindings; the first runs a kernel."""
    from cuda.bindings import driver

    def ask(answer: Any) -> Any:
        code, *values = answer
        assert code == driver.CUresult.CUDA_SUCCESS, code
        return values[0] if len(values) == 1 else values

    ask(driver.cuInit(0))
    devices = [ask(driver.cuDeviceGet(number)) for number in range(ask(driver.cuDeviceGetCount()))]
    names = [ask(driver.cuDeviceGetName(128, device)).split(b"\0")[0].decode() for device in devices]
    ask(driver.cuCtxSetCurrent(ask(driver.cuDevicePrimaryCtxRetain(devices[0]))))
    kernel = ask(driver.cuModuleGetFunction(ask(driver.cuModuleLoadData(PTX)), b"add_one"))
    numbers = (ctypes.c_uint32 * SIZE)(*range(SIZE))
    place = ask(driver.cuMemAlloc(ctypes.sizeof(numbers)))
    ask(driver.cuMemcpyHtoD(place, ctypes.addressof(numbers), ctypes.sizeof(numbers)))
    values = ((int(place), SIZE), (ctypes.c_void_p, ctypes.c_uint32))
    ask(driver.cuLaunchKernel(kernel, (SIZE + 255) // 256, 1, 1, 256, 1, 1, 0, 0, values, 0))
    ask(driver.cuCtxSynchronize())
    ask(driver.cuMemcpyDtoH(ctypes.addressof(numbers), place, ctypes.sizeof(numbers)))
    assert list(numbers) == list(range(1, SIZE + 1)), "the kernel counts wrong"
    return names


def management() -> str:
    """The driver's version, by libnvidia-ml."""
    nvml, text = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.create_string_buffer(96)
    assert nvml.nvmlInit_v2() == 0
    assert nvml.nvmlSystemGetDriverVersion(text, len(text)) == 0
    return text.value.decode()


def main(*arguments: str) -> None:
    print("LD_LIBRARY_PATH:", os.environ.get("LD_LIBRARY_PATH"))
    print("CUDA that the driver knows, devices:", *by_name())
    print("runtime:", runtime())
    if "--stand-in" not in arguments:
        print("devices:", *by_bindings(), sep="\n  ")
        print("driver:", management())
    print("loaded of the machine:", *of_the_machine(), sep="\n  ")


main(*sys.argv[1:])
