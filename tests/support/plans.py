"""Small plans made by hand, for the tests of what is rendered and written."""

from __future__ import annotations

from dataclasses import replace

from nixgen.artifacts.model import PinnedArchive, PinnedArtifact, PinnedFile, ServiceSpec
from nixgen.bases.model import Bootstrap, Deb, DebianBase, NixpkgsBase
from nixgen.generate.model import Plan, SourceTree
from nixgen.resolve.model import Package, Resolution, Target

HASH = "0123456789abcdef" * 4


def wheel(name: str, version: str, tags: str, digit: str) -> Package:
    file = f"{name.replace('-', '_')}-{version}-{tags}.whl"
    return Package(name, version, "wheel", file, f"https://files.example.org/{file}", digit * 64, 1000)


NUMPY_X86 = wheel("numpy", "2.4.6", "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64", "a")
NUMPY_ARM = wheel("numpy", "2.4.6", "cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64", "b")
SIX = wheel("six", "1.17.0", "py2.py3-none-any", "c")
EXTENSIONS = wheel("typing-extensions", "4.16.0", "py3-none-any", "d")
DEMO = Package("demo", "0.1.0", "directory", path=".")
TREE = SourceTree(
    "demo",
    "0.1.0",
    ".",
    ("src",),
    ("demo",),
    'Metadata-Version: 2.4\nName: demo\nVersion: 0.1.0\nSummary: A "demo" for ${USER}\n',
    "[console_scripts]\ndemo = demo:main\n",
)

RESOLUTIONS = (
    Resolution(Target("x86_64-linux", "3.11"), (DEMO, NUMPY_X86, SIX, EXTENSIONS)),
    Resolution(Target("aarch64-linux", "3.11"), (DEMO, NUMPY_ARM, SIX)),
)
DIGESTS = {"uv.lock": "1" * 64, "nixgen.lock": "2" * 64}


def deb(name: str, system: str, part: str, digit: str) -> Deb:
    arch = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}[system]
    url = f"https://debian.example.org/pool/{name}_1.0%2Bb1_{arch}.deb"
    return Deb(name, "1.0+b1", system, "core" if part == "core" else "extra", url, digit * 64, 2000)


DEBIAN = DebianBase(
    suite="bookworm",
    python="3.11",
    glibc="2.36",
    libraries=("libgomp1",),
    tools=("git", "ffmpeg"),
    bootstrap=(
        Bootstrap("x86_64-linux", "busybox-x86_64-linux.tar.xz", "e" * 64),
        Bootstrap("aarch64-linux", "busybox-aarch64-linux.tar.xz", "f" * 64),
    ),
    debs=(
        deb("libc6", "x86_64-linux", "core", "3"),
        deb("ffmpeg", "x86_64-linux", "extra", "4"),
        deb("bash", "x86_64-linux", "core", "5"),
        deb("bash", "aarch64-linux", "core", "6"),
    ),
)
NIXPKGS = NixpkgsBase(
    name="nixos-26.05",
    rev="5880666fd9eb563038431edb35c2d0aa595884e6",
    nar_hash="sha256-OURZPknrTjQrlNyxPdqzyqmU/81Wes1CUP/Ft1Rv/YI=",
    last_modified=1787204541,
    glibc="2.42",
    python="3.11",
    libraries=("ffmpeg",),
    tools=("ripgrep", "git"),
)

DEBIAN_PLAN = Plan("demo", DEBIAN, ("x86_64-linux", "aarch64-linux"), RESOLUTIONS, (TREE,), DIGESTS)
NIXPKGS_PLAN = Plan("demo", NIXPKGS, ("x86_64-linux", "aarch64-linux"), RESOLUTIONS, (TREE,), DIGESTS)
CPU = wheel("torch", "2.13.0+cpu", "cp311-cp311-manylinux_2_28_x86_64", "7")
CUDA = wheel("torch", "2.13.0+cu128", "cp311-cp311-manylinux_2_28_x86_64", "8")
SOLVER = Package("solver", "1.0", "sdist", "solver-1.0.tar.gz", "https://files.example.org/solver-1.0.tar.gz", "9" * 64)
ENVIRONMENTS_PLAN = replace(
    NIXPKGS_PLAN,
    resolutions=(
        *RESOLUTIONS,
        Resolution(Target("aarch64-linux", "3.11"), (DEMO, SIX, SOLVER), environment="cpu"),
        Resolution(Target("x86_64-linux", "3.11"), (DEMO, SIX, CPU, SOLVER), environment="cpu"),
        Resolution(Target("x86_64-linux", "3.11"), (DEMO, SIX, CUDA), environment="in"),
    ),
    environments={"in": ("python -c 'import torch'",), "cpu": ()},
    builds=(
        {"name": "maker", "version": "2.0", "systems": ["aarch64-linux", "x86_64-linux"], "installed": False},
        {"name": "solver", "version": "1.0", "systems": ["aarch64-linux", "x86_64-linux"]},
    ),
)
EMPTY_PLAN = Plan("empty", NIXPKGS, ("x86_64-linux",), (Resolution(Target("x86_64-linux", "3.11"), ()),), (), DIGESTS)

COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
HUB = f"https://hub.example.org/org/minilm/resolve/{COMMIT}"
WHEEL = PinnedArchive("7" * 64, 11317527, url="https://files.example.org/silero%2Bvad-6.2.3-py3-none-any.whl")
MODELS = (
    PinnedArtifact(
        "models",
        "minilm",
        "hf:org/minilm",
        "hf",
        (
            PinnedFile("config.json", 612, "8" * 64, url=f"{HUB}/config.json"),
            PinnedFile("1_Pooling/config.json", 190, "9" * 64, url=f"{HUB}/1_Pooling/config.json"),
        ),
        layout=("hf",),
        revision="refs/pr/1",
        commit=COMMIT,
        repo="org/minilm",
    ),
    PinnedArtifact(
        "models",
        "llama",
        "hf:org/llama",
        "hf",
        (PinnedFile("w.bin", 7, "a" * 64, url=f"https://hub.example.org/org/llama/resolve/{COMMIT}/w.bin"),),
        layout=("hf", "plain"),
        commit=COMMIT,
        repo="org/llama",
        gated=True,
    ),
    PinnedArtifact(
        "models",
        "vad",
        "archive:silero-vad",
        "archive",
        (PinnedFile("vad.onnx", 2327524, "b" * 64, member="silero_vad/data/vad.onnx", archive=WHEEL),),
        member="silero_vad/data/vad.onnx",
    ),
    PinnedArtifact(
        "data",
        "garden",
        "weather/${day}.csv",
        "file",
        (PinnedFile("${day}.csv", 3000, "c" * 64, local="weather/${day}.csv"),),
        format="csv",
    ),
    PinnedArtifact(
        "data", "sales", "s3://bucket/sales/", "s3", (PinnedFile("2024/a.parquet", 9, "d" * 64),), format="parquet"
    ),
)
SERVICES = (
    ServiceSpec("api", ("python", "-m", "app")),
    ServiceSpec("listen", ("python", "-c", 'print("$1")'), ("vad",)),
)
SMOKE = ("python -m app --help", 'python -c "import app" && test -d "${NIXGEN_MODELS}"')
MODELS_PLAN = replace(EMPTY_PLAN, name="models", artifacts=MODELS, services=SERVICES, smoke=SMOKE)
