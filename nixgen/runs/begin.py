"""Runs in the environment, ahead of a recorded command: notes what the command begins with, then becomes it.

A program that starts at once, because it imports what Python has loaded anyway (the modules ``signal`` and ``json``
take as long as all of it): ``python -I -S begin.py NOTE COMMAND…``. That NOTE is there says that the command was
started: neither entering the environment nor the guard has kept it from that.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed does not have it
import os
import sys
import time

VARIABLES = (
    *("PYTHONHASHSEED", "NIXGEN_SEED", "PYTHONOPTIMIZE", "PYTHONUTF8", "LANG", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH"),
    *("OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_PLACES", "OMP_PROC_BIND", "OMP_SCHEDULE", "KMP_AFFINITY"),
    *("KMP_DETERMINISTIC_REDUCTION", "MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "OPENBLAS_NUM_THREADS"),
    *("OPENBLAS_CORETYPE", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES"),
    *("NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG"),
    *("CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_ORDER", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_CUDA_ALLOC_CONF", "NCCL_ALGO", "NCCL_PROTO", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC"),
    *("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE"),
)
"""What a record has of the environment's variables: what results hang on, and nothing that may be secret."""


def main(note: str, command: list[str]) -> int:
    """Becomes the command; returns 126 or 127 when that cannot be done, as shells have it."""
    venv = f"VIRTUAL_ENV={os.environ.get('VIRTUAL_ENV', '')}"
    found = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    try:
        with open(f"{note}.new", "wb") as file:  # noqa: PTH123
            file.write(os.fsencode("\0".join([str(time.monotonic()), venv, *found])))
        os.replace(f"{note}.new", note)  # noqa: PTH105 -- pathlib takes as long as all else here
    except OSError:  # a full disk: the record says less, and the command starts
        pass
    # Python ignores these two, and what is ignored stays so over exec.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 -- no shell
    except OSError as error:
        sys.stderr.write(f"error: {command[0]!a}: cannot be run: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
