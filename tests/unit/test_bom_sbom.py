"""``nixgen sbom``: what a bill of materials says of an environment, and that it is CycloneDX."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import records
from projects import HASH, PYPROJECT, make, package, uv_lock, wheel
from support import plans
from support.program import nixgen

from nixgen.bom import cyclonedx, diff, licences
from nixgen.bom.inventory import Facts, inventory
from nixgen.bom.model import Bom, Licence
from nixgen.bom.purl import purl, unversioned
from nixgen.check import record
from nixgen.errors import UserError
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock

X86, ARM = "x86_64-linux", "aarch64-linux"
PLAN = replace(plans.DEBIAN_PLAN, artifacts=plans.MODELS)
MINILM = replace(plans.MODELS[0], licence="apache-2.0")


def described(*systems: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"plan": PLAN, "environment": "", "facts": Facts("0.1.0")} | changes
    return cyclonedx.document(inventory(given["plan"], given["environment"], systems or (X86, ARM), given["facts"]))


def components(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {one["bom-ref"]: one for one in document["components"]}
    assert len(found) == len(document["components"])
    return found


def test_each_document_is_valid_by_the_schema_of_the_standard() -> None:
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    licensed = {("six", "1.17.0"): (Licence("MIT", spdx=True),), ("numpy", "2.4.6"): (Licence("Own", spdx=False),)}
    whole = replace(PLAN, artifacts=(*plans.MODELS, replace(MINILM, name="licensed")))
    for made, environment in (
        (whole, ""),
        (plans.NIXPKGS_PLAN, ""),
        (plans.ENVIRONMENTS_PLAN, "cpu"),
        (plans.EMPTY_PLAN, ""),
    ):
        facts = Facts("0.1.0", records.RECORD, licensed, {("", ""): [("six", "1.17.0")]})
        found = inventory(made, environment, made.systems, facts)
        for when in (None, 0):
            text = cyclonedx.text(cyclonedx.document(found, when))
            assert validator.validate_str(text) is None, made.name


def test_a_wheel_has_the_hash_of_its_file_and_one_per_system_where_they_differ() -> None:
    found = components(described())
    six = found["pkg:pypi/six@1.17.0"]
    assert six["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    numpy = found["pkg:pypi/numpy@2.4.6"]
    assert {one["hashes"][0]["content"] for one in numpy["externalReferences"]} == {"a" * 64, "b" * 64}
    alone = components(described(X86))["pkg:pypi/numpy@2.4.6"]
    assert alone["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert [one["comment"] for one in alone["externalReferences"]] == [plans.NUMPY_X86.file]


def test_what_is_built_has_the_hash_of_its_source_beside_the_source() -> None:
    found = components(described(X86, plan=plans.ENVIRONMENTS_PLAN, environment="cpu"))
    solver = found["pkg:pypi/solver@1.0"]
    assert "hashes" not in solver
    assert [(one["type"], one["hashes"][0]["content"]) for one in solver["externalReferences"]] == [
        ("source-distribution", "9" * 64)
    ]
    assert found["pkg:pypi/torch@2.13.0%2Bcpu"]["version"] == "2.13.0+cpu"
    assert "pkg:pypi/torch@2.13.0%2Bcu128" not in found


def test_debian_packages_have_their_architecture_their_release_and_their_source() -> None:
    deb = replace(
        plans.DEBIAN.debs[0], url="https://debian.example.org/pool/main/g/glibc/libc6_2.36-9%2bdeb12u10_amd64.deb"
    )
    ours = replace(deb, version="2.36-9+deb12u10")
    compiler = replace(plans.deb("gcc", X86, "core", "7"), part="build")
    found = components(described(plan=replace(PLAN, base=replace(plans.DEBIAN, debs=(ours, compiler)))))
    named = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc"
    assert found[named]["hashes"] == [{"alg": "SHA-256", "content": "3" * 64}]
    assert "scope" not in found[named]
    assert found["pkg:deb/debian/gcc@1.0%2Bb1?arch=amd64&distro=debian-12"]["scope"] == "excluded"


def test_nixpkgs_is_named_by_its_revision_and_its_packages_by_what_the_record_has() -> None:
    found = components(described(X86, plan=plans.NIXPKGS_PLAN))
    assert found[f"pkg:github/nixos/nixpkgs@{plans.NIXPKGS.rev}"]["version"] == plans.NIXPKGS.rev
    assert found["pkg:nix/ffmpeg"]["name"] == "ffmpeg"
    kept = records.path("glibc-2.42-61")
    seen = replace(records.RECORD.systems[X86], closure={**records.RECORD.systems[X86].closure, kept.name: kept})
    recorded = replace(records.RECORD, systems={X86: seen})
    found = components(described(X86, plan=plans.NIXPKGS_PLAN, facts=Facts(record=recorded)))
    stored = {"name": "nixgen:storePath", "value": f"/nix/store/{kept.name}"}
    assert stored in found["pkg:nix/glibc@2.42-61"]["properties"]


def test_models_and_data_have_their_files_their_licence_and_their_source() -> None:
    found = components(described(plan=replace(PLAN, artifacts=(MINILM, *plans.MODELS[1:]))))
    model = found["models.minilm"]
    assert model["type"] == "machine-learning-model"
    assert model["purl"] == f"pkg:huggingface/org/minilm@{plans.COMMIT}"
    assert model["licenses"] == [{"expression": "Apache-2.0"}]
    assert [one["hashes"][0]["content"] for one in model["components"]] == ["8" * 64, "9" * 64]
    card = {one["name"]: one["value"] for one in model["modelCard"]["properties"]}
    assert card == {"nixgen:licence": "Apache-2.0", "nixgen:source": "hf:org/minilm", "nixgen:revision": "refs/pr/1"}
    assert found["data.sales"]["type"] == "data"
    assert found["data.sales"]["data"][0]["contents"] == {"url": "s3://bucket/sales/"}
    assert "purl" not in found["models.vad"]


def test_the_record_gives_store_paths_and_nar_hashes() -> None:
    out, path = records.recipe("numpy-2.4.6"), records.path("numpy-2.4.6")
    seen = records.RECORD.systems[X86]
    seen = replace(seen, outputs={**seen.outputs, "wheels.numpy": out}, closure={**seen.closure, path.name: path})
    found = components(described(facts=Facts(record=replace(records.RECORD, systems={X86: seen}))))
    told = [(one["name"], one["value"]) for one in found["pkg:pypi/numpy@2.4.6"]["properties"]]
    assert ("nixgen:storePath", out.out) in told
    assert ("nixgen:narHash", path.nar_hash) in told


def test_what_nothing_requires_the_project_does() -> None:
    requires = {("", ""): [("numpy", "2.4.6")], ("numpy", "2.4.6"): [("six", "1.17.0")]}
    document = described(X86, facts=Facts(requires=requires))
    depends = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert depends["pkg:pypi/numpy@2.4.6"] == ["pkg:pypi/six@1.17.0"]
    mine = depends["project:demo"]
    assert "pkg:pypi/numpy@2.4.6" in mine
    assert "pkg:pypi/six@1.17.0" not in mine
    assert "models.minilm" in mine


def test_the_same_project_gives_the_same_bytes_and_another_another_serial_number() -> None:
    assert described() == described()
    assert described()["serialNumber"] != described(facts=Facts("0.2.0"))["serialNumber"]
    bom: Bom = inventory(PLAN, "", (X86,), Facts())
    assert "timestamp" not in cyclonedx.document(bom)["metadata"]
    dated = cyclonedx.document(bom, cyclonedx.epoch({"SOURCE_DATE_EPOCH": "86400"}))
    assert dated["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
    assert dated["serialNumber"] == cyclonedx.document(bom)["serialNumber"]
    for odd in ("soon", "-1", "1" * 40, "٣"):
        with pytest.raises(UserError, match="SOURCE_DATE_EPOCH"):
            cyclonedx.epoch({"SOURCE_DATE_EPOCH": odd})


def test_no_address_carries_a_login() -> None:
    secret = replace(plans.SIX, url=f"https://me:hunter2@files.example.org/{plans.SIX.file}")
    plan = replace(PLAN, resolutions=(replace(plans.RESOLUTIONS[0], packages=(secret,)),))
    assert "hunter2" not in json.dumps(described(X86, plan=plan))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: mit or apache-2.0\nLicense: other", [("MIT OR Apache-2.0", True)]),
        ("License: BSD-3-Clause", [("BSD-3-Clause", True)]),
        ("License: BSD", [("BSD", False)]),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", [("MIT License", False)]),
        (f"License: Copyright\n        {'all rights ' * 20}\nClassifier: License :: OSI Approved", []),
        ("Name: x\n\nLicense: MIT", []),
        ("", []),
    ],
)
def test_licences_are_what_the_metadata_says(metadata: str, expected: list[tuple[str, bool]]) -> None:
    assert [(one.text, one.spdx) for one in licences.of_metadata(metadata)] == expected


def test_licences_are_read_of_a_wheel_that_is_here(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "six.whl", "w") as archive:
        archive.writestr("six-1.dist-info/METADATA", "License-Expression: MIT\n")
    here = replace(plans.SIX, path="six.whl")
    assert licences.of_wheel(tmp_path, None, here, "") == (Licence("MIT", spdx=True),)
    (tmp_path / "six.whl").write_bytes(b"PK\x03\x04 not a zip")
    assert licences.of_wheel(tmp_path, None, here, "") == ()
    site = tmp_path / "out" / "lib" / "python3.11" / "site-packages" / "six-1.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("License: Zlib\n")
    assert licences.of_wheel(tmp_path, None, here, str(tmp_path / "out")) == (Licence("Zlib", spdx=True),)


def test_package_urls_are_those_of_the_reference_implementation() -> None:
    reference = pytest.importorskip("packageurl").PackageURL
    for kind, path, version, asked in (
        ("pypi", "torch", "2.13.0+cpu", {}),
        ("deb", "debian/libstdc++6", "1:12.2.0-14~x", {"arch": "amd64", "distro": "debian-12"}),
        ("pypi", "repo", "2", {"vcs_url": "git+https://example.org/a b/repo.git@" + "a" * 40}),
        ("nix", "ffmpeg", "", {}),
    ):
        made = purl(kind, path, version, asked)
        read = reference.from_string(made)
        assert (read.type, read.version or "", read.qualifiers) == (kind, version, asked)
        assert "/".join(filter(None, (read.namespace, read.name))) == path
    assert unversioned("pkg:deb/debian/a@1?arch=amd64&distro=x") == "pkg:deb/debian/a?arch=amd64"
    assert unversioned("pkg:npm/%40scope/a") == "pkg:npm/%40scope/a"


def test_the_difference_tells_added_removed_and_changed() -> None:
    newer = replace(plans.SIX, version="1.18.0")
    rebuilt = replace(plans.NUMPY_X86, sha256="f" * 64)
    changed = replace(plans.RESOLUTIONS[0], packages=(newer, rebuilt, plans.SOLVER))
    old, new = described(X86), described(X86, plan=replace(PLAN, resolutions=(changed,)))
    found = diff.changes(old, new)
    assert diff.as_text(found).splitlines() == [
        "+ solver 1.0",
        "- typing-extensions 4.16.0",
        "~ numpy 2.4.6: other bytes (aaaaaaaaaaaa -> ffffffffffff)",
        "~ six 1.17.0 -> 1.18.0",
        "1 added, 1 removed, 2 changed",
    ]
    told = json.loads(diff.as_json(found))
    assert [one["name"] for one in told["added"]] == ["solver"]
    assert [one["name"] for one in told["changed"]] == ["numpy", "six"]
    assert diff.as_text(diff.changes(old, old)) == "no differences"


def project(tmp_path: Path) -> Path:
    needs = 'dependencies = [{ name = "six" }]'
    lock = uv_lock(
        package("numpy", "2.4.6", wheel("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl"), extra=needs),
        package("six", "1.17.0", wheel("six-1.17.0-py2.py3-none-any.whl")),
        dependencies=("numpy",),
        requires='{ name = "numpy" }',
    )
    text = PYPROJECT.replace('"six", "numpy>=2"', '"numpy"')
    make(tmp_path, f'{text}\n[tool.nixgen]\nbase = "nixpkgs"\npython = "3.11"\nsystems = ["{X86}"]\n', lock)
    (tmp_path / "nixgen.lock").write_text(dump_lock(Lock(replace(plans.NIXPKGS, libraries=(), tools=()))))
    return tmp_path


def test_the_command_writes_prints_and_compares(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    done = nixgen("sbom", cwd=root)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["metadata"]["component"]["version"] == "0.1.0"
    depends = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert depends["pkg:pypi/numpy@2.4.6"] == ["pkg:pypi/six@1.17.0"]
    assert components(document)["pkg:pypi/six@1.17.0"]["hashes"][0]["content"] == HASH
    assert nixgen("sbom", "--out", "old.json", cwd=root).returncode == 0
    assert (root / "old.json").read_text() == done.stdout
    assert nixgen("sbom", "--diff", "old.json", cwd=root).returncode == 0
    (root / "new.json").write_text(done.stdout.replace("1.17.0", "1.18.0"))
    done = nixgen("sbom", "--diff", "old.json", "--new", "new.json", cwd=root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "~ six 1.17.0 -> 1.18.0")


def test_a_record_that_is_there_is_read(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    (root / record.NAME).write_text("{")
    done = nixgen("sbom", cwd=root)
    assert done.returncode == 2
    assert record.NAME in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--system", "riscv64-linux"), "does not serve"),
        (("--environment", "gpu"), "has no environment gpu"),
        (("--json",), "--diff"),
        (("--diff", "gone.json"), "is not there"),
        (("--diff", "pyproject.toml"), "is not JSON"),
        (("--diff", "list.json"), "is not a CycloneDX document"),
        (("--diff", "deep.json"), "nested too deeply"),
        (("--diff", "."), "cannot be read"),
        (("--out", "gone/sbom.json"), "is not a folder"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    root = project(tmp_path / "demo")
    (root / "list.json").write_text("[]")
    (root / "deep.json").write_text("[" * 100_000)
    done = nixgen("sbom", *words, cwd=root)
    assert done.returncode in {2, 3}
    assert said in done.stderr
    assert done.stdout == ""
