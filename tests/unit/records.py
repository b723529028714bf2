"""Small records made by hand, for the tests of the check; and strategies that make any record."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

from hypothesis import strategies as st

from nixgen.check.digest import closure_digest
from nixgen.check.model import (
    ArtifactInput,
    BaseInput,
    Builder,
    ClosurePath,
    Inputs,
    Recipe,
    Record,
    SystemRecord,
    WheelInput,
)

_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"
X86, ARM = "x86_64-linux", "aarch64-linux"


def store_name(name: str) -> str:
    """The name of a store path; another name gives another hash."""
    digest = hashlib.sha256(name.encode()).digest()
    return "".join(_NIX32[byte & 31] for byte in digest) + f"-{name}"


def sri(text: str) -> str:
    """A NAR hash."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def path(name: str, *references: str, content: str = "", size: int = 120) -> ClosurePath:
    """A store path named ``name`` that refers to those of the other names."""
    return ClosurePath(store_name(name), sri(content or name), size, tuple(sorted(map(store_name, references))))


def recipe(name: str, version: str = "1") -> Recipe:
    """The recipe of the store path of this name."""
    return Recipe(f"/nix/store/{store_name(f'{name}-{version}.drv')}", f"/nix/store/{store_name(name)}")


def closure(*paths: ClosurePath) -> dict[str, ClosurePath]:
    """By name, sorted."""
    return {one.name: one for one in sorted(paths)}


INPUTS = Inputs(
    files={"nixgen.lock": "a" * 64, "uv.lock": "b" * 64},
    library=sri("library"),
    project="c" * 64,
    base=BaseInput("debian", "bookworm", "3.11", "d" * 64, {"bash": "5.2.15-2+b7", "libc6": "2.36-9"}),
    wheels={"numpy": WheelInput("2.4.6", "numpy-2.4.6-cp311-cp311-linux_x86_64.whl", "e" * 64)},
    artifacts={"data.sales": ArtifactInput(None, "f" * 64), "models.minilm": ArtifactInput("1" * 40, "2" * 64)},
)
PATHS = closure(
    path("base"),
    path("numpy", "base"),
    path("environment", "base", "numpy", "environment"),
    path("root", "environment"),
)
OUTPUTS = {name: recipe(name) for name in ("environment", "root")} | {"wheels.numpy": recipe("numpy")}
BUILDER = Builder("2.8.0", "Linux 6.1", "a processor", 2)


def system_record(
    paths: dict[str, ClosurePath] = PATHS, outputs: dict[str, Recipe] = OUTPUTS, inputs: Inputs = INPUTS
) -> SystemRecord:
    """The record of one system, its digest right."""
    return SystemRecord(closure_digest(paths.values()), inputs, outputs, paths, BUILDER)


SYSTEM = system_record()
RECORD = Record("plot", {ARM: replace(SYSTEM, builder=Builder("2.34.8", "Linux 6.6", "another", 4)), X86: SYSTEM})

_names = st.from_regex(r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[A-Za-z0-9+._?=-]{1,20}", fullmatch=True)
_hex = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
_sri = st.binary(min_size=32, max_size=32).map(lambda raw: "sha256-" + base64.b64encode(raw).decode())
_keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
_recipes = st.builds(Recipe, _names.map("/nix/store/{}.drv".format), _names.map("/nix/store/{}".format))


@st.composite
def closures(draw: st.DrawFn) -> dict[str, ClosurePath]:
    """A closure whose references stay inside."""
    names = draw(st.lists(_names, min_size=1, max_size=6, unique=True))
    return closure(
        *(
            ClosurePath(
                name, draw(_sri), draw(st.integers(0, 2**63 - 1)), tuple(sorted(draw(st.sets(st.sampled_from(names)))))
            )
            for name in names
        )
    )


@st.composite
def system_records(draw: st.DrawFn) -> SystemRecord:
    """Any system's record that is whole."""
    paths = draw(closures())
    root = Recipe(draw(_recipes).drv, f"/nix/store/{draw(st.sampled_from(sorted(paths)))}")
    return SystemRecord(
        closure_digest(paths.values()),
        draw(
            st.builds(
                Inputs,
                files=st.fixed_dictionaries(
                    {"nixgen.lock": _hex, "uv.lock": _hex}, optional={"models.toml": _hex, "pyproject.toml": _hex}
                ),
                library=_sri,
                project=_hex,
                base=st.builds(
                    BaseInput,
                    kind=st.sampled_from(("debian", "nixpkgs")),
                    name=_lines,
                    python=st.just("3.11"),
                    digest=_hex | _sri,
                    packages=st.dictionaries(_keys, _lines, max_size=3),
                ),
                wheels=st.dictionaries(_keys, st.builds(WheelInput, _lines, _lines, _hex), max_size=3),
                artifacts=st.dictionaries(_keys, st.builds(ArtifactInput, st.none() | _lines, _hex), max_size=3),
            )
        ),
        {**draw(st.dictionaries(_keys, _recipes, max_size=3)), "root": root},
        paths,
        draw(st.builds(Builder, _lines, _lines, _lines, st.integers(0, 512))),
        draw(st.dictionaries(_keys, _hex.map("sha256:{}".format), max_size=2)),
    )


records = st.builds(
    Record,
    _lines,
    st.dictionaries(st.sampled_from((X86, ARM, "aarch64-darwin")), system_records(), max_size=2),
)
