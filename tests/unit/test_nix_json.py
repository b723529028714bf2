"""The JSON of Nix's commands in every shape that its versions have had, as they print it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.errors import MachineError
from nixgen.nix.json import Output, PathInfo, derivations, hexadecimal, path_infos, sri

STORE = "/nix/store"
OK, DEP = "894c2cwlj93g77k5x49vn95zsghwjm8r-ok", "9nr5xh37wy1gx5sv9j1cj9if5svcw4lj-dep"
DRV = "aqb5vyxvj1mi7njmnfm29caklav518km-ok.drv"
HASH = "sha256-7LbDw7WtaXyYkUf3lK4/XPnSf24DWHcygBgPAIKKa0I="
HEX = "ecb6c3c3b5ad697c989147f794ae3f5cf9d27f6e0358773280180f00828a6b42"
MISSING = f"{STORE}/00000000000000000000000000000000-x"
INFO = PathInfo(f"{STORE}/{OK}", HASH, 120, (f"{STORE}/{OK}", f"{STORE}/{DEP}"), f"{STORE}/{DRV}", True, ("key:c2ln",))

OLD = [
    {"path": MISSING, "valid": False},
    {"path": f"{STORE}/{OK}", "narHash": HASH, "narSize": 120, "references": [f"{STORE}/{DEP}", f"{STORE}/{OK}"],
     "deriver": f"{STORE}/{DRV}", "registrationTime": 1795259364, "ultimate": True, "signatures": ["key:c2ln"]},
]  # fmt: skip
MIDDLE = {
    MISSING: None,
    f"{STORE}/{OK}": {
        "ca": None, "deriver": f"{STORE}/{DRV}", "narHash": HASH, "narSize": 120,
        "references": [f"{STORE}/{DEP}", f"{STORE}/{OK}"], "registrationTime": 1795259369, "signatures": ["key:c2ln"],
        "storeDir": STORE, "ultimate": True, "version": 1,
    },
}  # fmt: skip
NEW = {
    "info": {
        MISSING.rpartition("/")[2]: None,
        OK: {"ca": None, "deriver": DRV, "narHash": HASH, "narSize": 120, "references": [DEP, OK],
             "registrationTime": 1795259369, "signatures": ["key:c2ln"], "storeDir": STORE, "ultimate": True,
             "version": 2},
    },
    "storeDir": STORE,
    "version": 2,
}  # fmt: skip
NEWER = json.loads(json.dumps(NEW))
NEWER["info"][OK]["narHash"] = {"algorithm": "sha256", "format": "base64", "hash": HASH.removeprefix("sha256-")}
NEWER["info"][OK]["signatures"] = [{"keyName": "key", "sig": "c2ln"}]


@pytest.mark.parametrize("document", [OLD, MIDDLE, NEW, NEWER], ids=["2.8", "2.19", "2.33", "structured"])
def test_every_shape_is_one(document: object) -> None:
    assert path_infos(json.dumps(document)) == {INFO.path: INFO}


def test_what_a_source_lacks_is_nothing() -> None:
    bare = [{"path": f"{STORE}/{OK}", "narHash": f"sha256:{HEX}", "narSize": 1, "references": []}]
    assert path_infos(json.dumps(bare)) == {INFO.path: PathInfo(INFO.path, HASH, 1, (), None, False, ())}


@pytest.mark.parametrize(
    "text", ["", "3", '"x"', "[3]", '[{"narHash": 3}]', '{"/nix/store/x": 3}', '{"/nix/store/x": {"narHash": 3}}',
             '{"/nix/store/x": {"narHash": "md5:x", "narSize": 1, "references": []}}'],
)  # fmt: skip
def test_another_shape_is_told(text: str) -> None:
    with pytest.raises(MachineError, match="nix path-info: printed JSON of a shape that this nixgen does not know"):
        path_infos(text)


OLD_DRV = {
    f"{STORE}/{DRV}": {
        "outputs": {"out": {"path": f"{STORE}/{OK}", "hashAlgo": "sha256", "hash": HEX}},
        "inputSrcs": [f"{STORE}/{DEP}"],
        "inputDrvs": {f"{STORE}/x.drv": ["out"]},
        "system": "builtin", "builder": "builtin:fetchurl", "args": ["-e"],
        "env": {"name": "ok", "out": f"{STORE}/{OK}", "url": "https://files.example.org/ok"},
    }
}  # fmt: skip
NEW_DRV = {
    "derivations": {
        DRV: {
            "args": ["-e"], "builder": "builtin:fetchurl",
            "env": {"name": "ok", "out": f"{STORE}/{OK}", "url": "https://files.example.org/ok"},
            "inputs": {"drvs": {"x.drv": {"dynamicOutputs": {}, "outputs": ["out"]}}, "srcs": [DEP]},
            "name": "ok", "outputs": {"out": {"hash": HASH, "method": "flat"}}, "system": "builtin", "version": 4,
        }
    },
    "version": 4,
}  # fmt: skip


@pytest.mark.parametrize("document", [OLD_DRV, NEW_DRV], ids=["2.8", "2.33"])
def test_derivations_too(document: object) -> None:
    found = derivations(json.dumps(document))
    assert list(found) == [f"{STORE}/{DRV}"]
    drv = found[f"{STORE}/{DRV}"]
    assert drv.outputs == {"out": Output(f"{STORE}/{OK}", HASH)}
    assert (drv.name, drv.system, drv.builder, drv.args) == ("ok", "builtin", "builtin:fetchurl", ("-e",))
    assert (drv.drvs, drv.sources, drv.fixed) == ((f"{STORE}/x.drv",), (f"{STORE}/{DEP}",), HASH)
    assert drv.env["url"] == "https://files.example.org/ok"


def test_what_is_built_has_no_fixed_hash() -> None:
    entry = {**OLD_DRV[f"{STORE}/{DRV}"], "outputs": {"out": {"path": f"{STORE}/{OK}"}}}
    assert derivations(json.dumps({f"{STORE}/{DRV}": entry}))[f"{STORE}/{DRV}"].fixed is None


def test_another_shape_of_a_derivation_is_told() -> None:
    with pytest.raises(MachineError, match="nix derivation show: printed JSON of a shape"):
        derivations(json.dumps({f"{STORE}/{DRV}": {"outputs": {}}}))


@given(st.binary(min_size=32, max_size=32))
def test_every_spelling_of_a_hash_is_one(digest: bytes) -> None:
    text = "sha256-" + base64.b64encode(digest).decode()
    assert sri(text) == sri(f"sha256:{digest.hex()}") == sri(f"sha256:{base32(digest)}") == text
    assert sri({"algorithm": "sha256", "format": "base16", "hash": digest.hex()}) == text
    assert hexadecimal(text) == digest.hex()


def base32(digest: bytes) -> str:
    """As Nix's manual has it: digits of five bits, from the last byte to the first."""
    number = int.from_bytes(digest, "little")
    return "".join("0123456789abcdfghijklmnpqrsvwxyz"[number >> 5 * place & 31] for place in reversed(range(52)))
