"""Fixtures for all tests: real Nix (the machine's and a current one), empty stores, a package index, wheels.

Options: ``--update-goldens`` writes the files of tests/golden anew. Environment: ``NIXGEN_TEST_STORES`` names a folder
whose stores are used and kept between runs (quick while working on one test; CI never sets it).
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from support.index import Index, serve
from support.nix import Nix, current_nix, machine_nix, nix_version, stores_can_be_entered

from nixgen import console
from nixgen.artifacts import progress

NIX_FIXTURES = {"nix28", "nix_new", "nix", "both_nix"}
# Of each test, its fixtures included. So generous that only what hangs comes there, on a busy machine, too.
LIMIT, LIMIT_ON_NIX = 300, 1500  # seconds

# The same examples in each run, and none is judged by the time that it takes; tests/fuzz looks for new ones.
settings.register_profile(
    "nixgen", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("nixgen"), max_examples=10)  # make test-fast
settings.load_profile("nixgen")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-goldens``."""
    parser.addoption("--update-goldens", action="store_true", help="write the files of tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    """Names the markers, and makes the folder that the stores of all workers lie in."""
    if config.getoption("--update-goldens") and os.environ.get("CI"):
        raise pytest.UsageError("goldens are updated by a person, never in CI")
    gc.disable()  # until all is collected
    # What is started in the background by a shell, and all that it starts, is deaf to Ctrl-C: these tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "network: needs a package index and a Debian mirror")
    if not hasattr(config, "workerinput") and "NIXGEN_TEST_STORES" not in os.environ:
        os.environ["NIXGEN_TEST_STORES"] = tempfile.mkdtemp(prefix="nixgen-stores-")
        config.add_cleanup(lambda: _remove(Path(os.environ.pop("NIXGEN_TEST_STORES"))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs Nix, so that ``-m 'not nix'`` is the quick half; gives each a time limit, and an order."""
    items[:] = [item for item in items if not (item.get_closest_marker("one_nix") and _with_current_nix(item))]
    for item in items:
        if _needs_nix(item):
            item.add_marker("nix")
        if item.get_closest_marker("timeout") is None:
            slow = any(item.get_closest_marker(name) for name in ("nix", "network"))
            item.add_marker(pytest.mark.timeout(LIMIT_ON_NIX if slow else LIMIT))
    # Files with real builds first: a long one that starts last would leave all other workers idle.
    building = {item.path for item in items if item.get_closest_marker("nix")}
    items.sort(key=lambda item: item.path not in building)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: to look through it again and again for what is in circles takes a while."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    """Nothing reaches Nix unmarked: ``-m 'not nix'`` would need it."""
    if fixturedef.argname in NIX_FIXTURES and request._pyfuncitem.get_closest_marker("nix") is None:
        pytest.fail(f"{fixturedef.argname} is used without the marker nix")


def _with_current_nix(item: pytest.Item) -> bool:
    """Whether it is the variant of a test on both versions that stands on the current one: nix_new, lab_new, …"""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return any(isinstance(one, str) and one.endswith("_new") for one in parameters.values())


def _needs_nix(item: pytest.Item) -> bool:
    """Whether a fixture of real Nix is among those that it asks for, or that one of its parameters names."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    names = [*getattr(item, "fixturenames", ()), *(one for one in parameters.values() if isinstance(one, str))]
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in NIX_FIXTURES:
            return True
        if name not in seen:
            seen.add(name)
            for definition in item.session._fixturemanager.getfixturedefs(name, item) or ():
                names += definition.argnames
    return False


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests reaches them, nor how slow it is: no step is announced."""
    monkeypatch.setattr(console, "_PATIENCE", 1e6)
    monkeypatch.setattr(progress, "_PATIENCE", 1e6)
    for name in list(os.environ):
        if name.startswith(("UV_", "NIXGEN_BENCH", "VIRTUAL_ENV", "PYTHONPATH")) and name not in KEPT:
            monkeypatch.delenv(name)


KEPT = {"UV_CACHE_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_DEFAULT_INDEX", "UV_INDEX_URL"}


@pytest.fixture(scope="session")
def stores() -> Path:
    """The folder of the stores that all tests of this run share, one for each version of Nix."""
    return Path(os.environ["NIXGEN_TEST_STORES"])


@pytest.fixture(scope="session")
def nix28(stores: Path) -> Nix:
    """The machine's Nix (2.8.0 on Debian bookworm) on the store that the tests of this run share."""
    found = machine_nix()
    if found is None:
        _lacking("Nix is not installed; `make test` installs it")
    return _nix(found, stores)


@pytest.fixture(scope="session")
def nix_new(stores: Path) -> Nix:
    """A current Nix (2.34, unpacked from Debian's forky) on the store that the tests of this run share."""
    if shutil.which("apt-get") is None:
        _lacking("a current Nix is unpacked with apt-get, which is not here")
    return _nix(current_nix(), stores)


@pytest.fixture(params=["nix28", "nix_new"])
def nix(request: pytest.FixtureRequest) -> Nix:
    """Each of both versions."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Nix)
    return found


@pytest.fixture(scope="session")
def both_nix(nix28: Nix, nix_new: Nix) -> tuple[Nix, Nix]:
    """Both versions, for tests that compare what they give."""
    return nix28, nix_new


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """An empty store for this test alone: ``nix.with_store(store)``."""
    folder = tmp_path / "store"
    folder.mkdir()
    yield folder
    _remove(folder)


@pytest.fixture
def index() -> Iterator[Callable[..., Index]]:
    """Serves a folder of wheels on loopback until the test ends: ``index(folder, hashes=False)``."""
    with ExitStack() as stack:
        yield lambda folder, **options: stack.enter_context(serve(folder, **options))


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are written instead of compared; never in CI."""
    return bool(request.config.getoption("--update-goldens"))


def _nix(folder: Path, stores: Path) -> Nix:
    if reason := stores_can_be_entered():
        _lacking(reason)
    store = stores / ".".join(map(str, nix_version(folder)))
    store.mkdir(parents=True, exist_ok=True)
    # Nix 2.8 does not stand two processes that use an evaluation cache at once: each worker has one of its own.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    nix = Nix(folder, store, env={"XDG_CACHE_HOME": str(stores / f"cache-{worker}")})
    # Nor two that make a store at once: the first worker does, the others wait for it.
    with (stores / f"{store.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nix.run("nix-instantiate", "-E", 'derivation { name = "first"; system = "none"; builder = "none"; }')
    return nix


def _lacking(reason: str) -> None:
    """A machine without what a test needs: skipped for a person, a failure in CI, where all is to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _remove(folder: Path) -> None:
    """Removes a store, whose folders are read-only."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            entry = Path(path, name)
            if not entry.is_symlink():
                entry.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)
