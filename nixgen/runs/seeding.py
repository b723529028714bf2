"""Seeds every source of chance that a program has: ``nixgen.seed_everything``. Standard library only, Python 3.9 on.

A project needs no dependency for it: environments that nixgen builds have this file as their package ``nixgen``, where
no package of the project is called so. What it did goes into the record of ``nixgen run --record``.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any, ClassVar

__all__ = ["seed_everything"]

_LARGEST = (1 << 32) - 1  # NumPy's, and that of PYTHONHASHSEED
_VARIABLE, _RECORD = "NIXGEN_SEED", "NIXGEN_RUN_SEEDS"
_WORKSPACE = ":4096:8"  # with it, cuBLAS gives the same each time (NVIDIA's manual, "Results reproducibility")
_XLA = "--xla_gpu_deterministic_ops=true"
_ASK = "seed_everything(deterministic=True)"
_Seeder = Callable[[Any, "_Report"], None]


def seed_everything(seed: int | None = None, deterministic: bool | str = False) -> int:  # noqa: FBT001, FBT002 -- short to type
    """Seeds ``random``, NumPy (and so scikit-learn), PyTorch, TensorFlow and JAX; gives the seed.

    ``seed`` is from 0 to 4294967295; without one it is that of ``nixgen run --seed``, else one by chance, which the
    record has. A framework that is installed and not yet imported is seeded when it is: nothing is imported for this.
    JAX has no seed of its own: give the result to ``jax.random.key``.

    ``deterministic`` turns on the algorithms that give the same result each time, which may be slower: an operation
    that has none raises an error, with "warn" a warning. Call it before the first computation on a GPU.
    """
    if seed is None:
        given = os.environ.get(_VARIABLE, "")
        seed = int(given) if given.isdigit() else int.from_bytes(os.urandom(4), "little")
    if type(seed) is not int or not 0 <= seed <= _LARGEST:  # NumPy's own integers are refused by others
        raise ValueError(f"the seed is {seed!r}, not a whole number from 0 to {_LARGEST}")
    report = _Report(seed, deterministic)
    report.set(_VARIABLE, str(seed))
    if os.environ.get("PYTHONHASHSEED", "random") == "random":
        if sys.flags.hash_randomization:
            report.nondeterministic.append(
                "the order of sets of texts: start Python with PYTHONHASHSEED (nixgen run --seed)"
            )
        report.set("PYTHONHASHSEED", str(seed))  # of what this process starts
    random.seed(seed)
    report.libraries["random"] = str(seed)
    if deterministic:
        _before(report)
    report.write()
    _Later.waiting = {}
    for name, does in (("numpy", _numpy), ("torch", _torch), ("tensorflow", _tensorflow), ("jax", _jax)):
        later = _Report(seed, deterministic)
        if name in sys.modules:
            _seeded(name, does, later)
        else:
            _Later.waiting[name] = (does, later)
    if not any(isinstance(finder, _Later) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Later())
    return seed


class _Report:
    """What was done, as the record has it: a line of JSON for each part."""

    def __init__(self, seed: int, deterministic: bool | str) -> None:  # noqa: FBT001 -- as above
        self.seed, self.deterministic = seed, deterministic
        self.variables: dict[str, str] = {}
        self.libraries: dict[str, str] = {}
        self.nondeterministic: list[str] = []

    def set(self, name: str, value: str) -> None:
        os.environ[name] = self.variables[name] = value

    def write(self) -> None:
        place = os.environ.get(_RECORD)
        if not place:
            return
        line = {
            "seed": self.seed,
            "variables": self.variables,
            "libraries": self.libraries,
            "deterministic": bool(self.deterministic),
            "nondeterministic": self.nondeterministic,
        }
        try:
            # At once: processes that a program starts may write, too.
            file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(file, (json.dumps(line) + "\n").encode())
            finally:
                os.close(file)
        except OSError:  # a full disk: the program is worth more than this line
            pass


class _Later(importlib.abc.MetaPathFinder):
    """Seeds a framework as soon as it is imported."""

    waiting: ClassVar[dict[str, tuple[_Seeder, _Report]]] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ANN401 -- importlib's
        if name not in self.waiting:
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in finders if (spec := finder.find_spec(name, path, target))), None)
        loader: Any = spec and spec.loader
        run = getattr(loader, "exec_module", None)
        if run is None:
            return spec

        def exec_module(module: Any) -> None:  # noqa: ANN401 -- the same
            run(module)
            if name in self.waiting:
                _seeded(name, *self.waiting.pop(name))

        loader.exec_module = exec_module
        return spec


def _seeded(name: str, does: _Seeder, report: _Report) -> None:
    """A framework of another version may lack what is asked of it: that is told, and the program goes on."""
    try:
        does(sys.modules[name], report)
    except Exception as error:  # noqa: BLE001 -- whatever it raises
        report.nondeterministic.append(f"{name}: could not be seeded: {type(error).__name__}: {error}")
        print(f"warning: seed_everything: {report.nondeterministic[-1]}", file=sys.stderr)  # noqa: T201
    report.write()


def _before(report: _Report) -> None:
    """What counts only when a library starts."""
    if "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        report.set("CUBLAS_WORKSPACE_CONFIG", _WORKSPACE)
    if "jax" not in sys.modules and "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
        report.set("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {_XLA}".strip())


def _gpu() -> bool:
    """Whether there is a GPU. No driver is started for the answer: who forks could not use it then."""
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/kfd")


def _numpy(numpy: Any, report: _Report) -> None:  # noqa: ANN401 -- a module that may not be there
    numpy.random.seed(report.seed)
    report.libraries["numpy"] = str(report.seed)


def _torch(torch: Any, report: _Report) -> None:  # noqa: ANN401 -- a module that may not be there
    torch.manual_seed(report.seed)  # of every device, also of those that are first used later
    report.libraries["torch"] = str(report.seed)
    if report.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=report.deterministic == "warn")
        torch.backends.cudnn.benchmark = False
        if report.deterministic == "warn":
            report.nondeterministic.append("torch: operations that have no deterministic algorithm only warn")
    elif _gpu() and (torch.version.cuda or getattr(torch.version, "hip", None)):
        report.nondeterministic.append(f"torch: sums by atomics and cuDNN's choice of algorithms on the GPU: {_ASK}")


def _tensorflow(tensorflow: Any, report: _Report) -> None:  # noqa: ANN401 -- a module that may not be there
    tensorflow.random.set_seed(report.seed)
    report.libraries["tensorflow"] = str(report.seed)
    if report.deterministic:
        tensorflow.config.experimental.enable_op_determinism()
    else:
        report.nondeterministic.append(f"tensorflow: parallel input pipelines, and sums on the GPU: {_ASK}")


def _jax(_module: Any, report: _Report) -> None:  # noqa: ANN401 -- a module that may not be there
    report.libraries["jax"] = "none of its own: jax.random.key"
    if _gpu() and _XLA not in os.environ.get("XLA_FLAGS", ""):
        report.nondeterministic.append(f"jax: sums on the GPU: {_ASK}, before jax is imported")
