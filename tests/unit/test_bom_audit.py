"""``nixgen audit``: which versions an advisory is about, and databases that mean no good."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import plans
from support.program import nixgen
from test_bom_sbom import project

from nixgen.bom import audit, database, debversion, osv
from nixgen.bom.inventory import Facts, inventory
from nixgen.bom.model import Advised
from nixgen.errors import UserError

ORDERED = (
    *(
        "0~~",
        "0~",
        "0",
        "0+",
        "1.0~beta1~svn1245",
        "1.0~beta1",
        "1.0",
        "1.0-0+b1",
        "1.0-1~bpo12+1",
        "1.0-1",
        "1.0-1+b1",
    ),
    *("1.0-1+deb12u1", "1.0-1.1", "1.0-2", "1.0-10", "1.0a", "1.0a1", "1.0b", "1.0+dfsg-1", "1.0.1-1", "1.00002-1"),
    *(
        "1.2.3-1",
        "1.10-1",
        "2a-1",
        "2+1-1",
        "2-1-1",
        "2.36-9",
        "2.36-9+deb12u10",
        "10-1",
        "1:0.1-1",
        "1:1.0-1",
        "2:0-0",
    ),
)
EQUAL = (("1.0", "1.0-0"), ("1.0", "0:1.0"), ("1.00", "1.0"), ("1.", "1.0"), ("00:1", "1"))


def test_debians_versions_are_in_the_order_of_its_manual() -> None:
    keys = [debversion.parse(text) for text in ORDERED]
    assert None not in keys
    for (one, first), (other, second) in pairwise(zip(ORDERED, keys, strict=True)):
        assert first is not None
        assert second is not None
        assert first < second, f"{one} < {other}"
    for one, other in EQUAL:
        assert debversion.parse(one) == debversion.parse(other)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="there is no dpkg")
def test_dpkg_has_the_same_order() -> None:
    chance = random.Random(0)
    made = ["".join(chance.choices("01290az~+.-", k=chance.randint(1, 6))) for _ in range(60)]
    texts = [*ORDERED, *(f"1{text}" for text in made)]
    pairs = [*pairwise(ORDERED), *EQUAL, *(chance.sample(texts, 2) for _ in range(150))]
    for one, other in pairs:
        first, second = debversion.parse(one), debversion.parse(other)
        if first is None or second is None:
            continue
        relation = "lt" if first < second else "eq" if first == second else "gt"
        done = subprocess.run(
            ["dpkg", "--compare-versions", one, relation, other], check=False, stderr=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{one} {relation} {other}"


@pytest.mark.parametrize("text", ["", "-", ":1", "a:1", "1:", "1 0", "1-", "1_0", "é", "9" * 2000])
def test_what_is_no_version_of_debian_has_no_place(text: str) -> None:
    assert debversion.parse(text) is None


def advisory(*events: dict[str, str], **more: Any) -> dict[str, Any]:
    affected: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "Num.Py"}}
    if events:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected |= more.pop("affected", {})
    return {"id": "GHSA-1", "affected": [affected], **more}


def said(document: dict[str, Any], version: str, ecosystem: str = "PyPI", name: str = "num-py") -> str:
    found = osv.advisory(document)
    if found is None:
        return "withdrawn"
    verdict = osv.verdict(found, Advised(ecosystem, name, version))
    if verdict is None:
        return "another"
    return "affected" if verdict.affected else "unknown" if verdict.unknown else "good"


ZERO = {"introduced": "0"}


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        ((ZERO, {"fixed": "2.0"}), "1.9.9", "affected"),
        ((ZERO, {"fixed": "2.0"}), "2.0", "good"),
        ((ZERO, {"fixed": "2.0"}), "2.0rc1", "affected"),
        ((ZERO, {"fixed": "2.0"}), "2.0.post1", "good"),
        ((ZERO, {"fixed": "10.0"}), "9.0", "affected"),
        ((ZERO, {"last_affected": "2.0"}), "2.0", "affected"),
        ((ZERO, {"last_affected": "2.0"}), "2.0.1", "good"),
        ((ZERO, {"last_affected": "2.0"}), "2.0+cu128", "affected"),
        (({"introduced": "1.0"}, {"fixed": "2.0"}), "0.9", "good"),
        (({"introduced": "1.0"},), "1!0.1", "affected"),
        # Two branches, told in any order.
        (({"fixed": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.3"}, {"introduced": "1.0"}), "1.7", "good"),
        (({"fixed": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.3"}, {"introduced": "1.0"}), "2.2", "affected"),
        # A range that ends where the next begins, and one that is empty.
        (({"introduced": "1"}, {"fixed": "2"}, {"introduced": "2"}, {"fixed": "3"}), "2", "affected"),
        (({"introduced": "2"}, {"fixed": "2"}), "2", "good"),
        ((ZERO, {"limit": "2.0"}), "1.0", "affected"),
        ((ZERO, {"limit": "2.0"}), "2.0", "good"),
        ((ZERO, {"limit": "*"}), "2.0", "affected"),
        ((ZERO,), "2004d", "affected"),
        ((ZERO,), "", "affected"),
        ((ZERO, {"fixed": "2.0"}), "2004d-1-x", "unknown"),
        ((ZERO, {"fixed": "2.0"}), "", "unknown"),
        ((ZERO, {"fixed": "two"}), "1.0", "unknown"),
        ((ZERO, {"fixed": "9" * 6000}), "1.0", "unknown"),
        (({"fixed": "2.0"},), "1.0", "unknown"),
        ((), "1.0", "unknown"),
    ],
)
def test_ranges_are_read_as_the_schema_says(events: tuple[dict[str, str], ...], version: str, expected: str) -> None:
    assert said(advisory(*events), version) == expected


def test_lists_of_versions_count_beside_ranges() -> None:
    listed = {"versions": ["1.0", "1.5.0"]}
    assert said(advisory(affected=listed), "1.5") == "affected"
    assert said(advisory(affected=listed), "1.6") == "good"
    assert said(advisory(ZERO, {"fixed": "1.2"}, affected=listed), "1.5") == "affected"
    assert said(advisory(affected={"versions": ["odd one"]}), "odd one") == "affected"
    git = {"ranges": [{"type": "GIT", "repo": "https://example.org/r", "events": [ZERO]}]}
    assert said(advisory(affected=git), "1.0") == "unknown"
    assert said(advisory(affected={**git, **listed}), "1.6") == "good"


def test_withdrawn_advisories_and_those_of_others_do_not_count() -> None:
    assert said(advisory(ZERO, withdrawn="2024-01-01T00:00:00Z"), "1.0") == "withdrawn"
    assert said(advisory(ZERO), "1.0", name="other") == "another"
    assert said(advisory(ZERO), "1.0", ecosystem="Debian:12") == "another"
    assert said({"id": "X", "affected": None}, "1.0") == "another"
    assert said({"id": "X", "affected": [1, {"package": {"name": 1}}]}, "1.0") == "another"


def debian(ecosystem: str, *events: dict[str, str]) -> dict[str, Any]:
    entry = {
        "package": {"ecosystem": ecosystem, "name": "glibc"},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
    }
    return {"id": "DSA-1", "upstream": ["CVE-1"], "affected": [entry]}


def test_a_distributions_release_counts_and_its_own_order() -> None:
    document = debian("Debian:12", ZERO, {"fixed": "2.36-9+deb12u7"})
    assert said(document, "2.36-9+deb12u4", "Debian:12", "glibc") == "affected"
    assert said(document, "2.36-9+deb12u10", "Debian:12", "glibc") == "good"
    assert said(document, "2.36-9", "Debian:13", "glibc") == "another"
    assert said(debian("Debian", ZERO), "2.36-9", "Debian:13", "glibc") == "affected"
    assert said(document, "not a version", "Debian:12", "glibc") == "unknown"
    ubuntu = debian("Ubuntu:24.04:LTS", ZERO, {"fixed": "2.39-0ubuntu8.2"})
    assert said(ubuntu, "2.39-0ubuntu8.1", "Ubuntu:24.04", "glibc") == "affected"
    assert said(ubuntu, "2.39-0ubuntu8.10", "Ubuntu:24.04", "glibc") == "good"
    assert said(debian("Ubuntu:Pro:24.04:LTS", ZERO), "2.39-0ubuntu8", "Ubuntu:24.04", "glibc") == "another"


def looked_up(*documents: dict[str, Any]) -> audit.Audit:
    deb = replace(
        plans.DEBIAN.debs[0],
        version="2.36-9+b1",
        url="https://debian.example.org/pool/main/g/glibc/libc6_2.36-9%2bb1_amd64.deb",
    )
    plan = replace(plans.DEBIAN_PLAN, base=replace(plans.DEBIAN, debs=(deb,)), artifacts=plans.MODELS)
    given = [found for found in map(osv.advisory, documents) if found is not None]
    return audit.audit(inventory(plan, "", ("x86_64-linux",), Facts()), given)


def of(name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    document = advisory(*events, **more)
    document["affected"][0]["package"]["name"] = name
    return document


def test_one_vulnerability_under_several_identifiers_is_told_once() -> None:
    found = looked_up(
        of("numpy", ZERO, {"fixed": "3.0"}, id="PYSEC-1", aliases=["CVE-7"], summary="Reads\n too much"),
        of("NumPy", ZERO, {"fixed": "2.9"}, id="GHSA-2", aliases=["CVE-7"], database_specific={"severity": "HIGH"}),
        of("six", ZERO, {"fixed": "1.0"}),
        debian("Debian:12", ZERO, {"fixed": "2.36-9+deb12u7"}),
    )
    assert [text for _, text in audit.as_text(found)] == [
        "glibc 2.36-9 (libc6): DSA-1, CVE-1",
        "    fixed in 2.36-9+deb12u7",
        "numpy 2.4.6: GHSA-2, PYSEC-1, CVE-7",
        "    high, Reads too much",
        "    fixed in 2.9, 3.0",
        "unknown, because data has no advisories: garden, sales",
        "unknown, because models have no advisories: llama, minilm, vad",
        "2 known vulnerabilities in 4 packages, by 4 advisories",
    ]
    told = json.loads(audit.as_json(found))
    assert [one["id"] for one in told["findings"]] == ["DSA-1", "GHSA-2"]
    assert told["findings"][1]["aliases"] == ["PYSEC-1", "CVE-7"]


def test_what_cannot_be_compared_is_unknown_and_never_good() -> None:
    found = looked_up(of("numpy", ZERO, {"fixed": "two"}))
    assert found.findings == ()
    assert [one.ids for one in found.undecided] == [("GHSA-1",)]
    lines = [text for _, text in audit.as_text(found)]
    assert lines[0] == "numpy 2.4.6: unknown whether GHSA-1 is about it"
    assert "unknown, because the database has no advisories for Debian:12: libc6" in lines
    assert lines[-1].startswith("0 known vulnerabilities, 1 undecided in 3 packages")
    sure = looked_up(of("numpy", ZERO, {"fixed": "two"}), of("numpy", ZERO, id="PYSEC-1", aliases=["GHSA-1"]))
    assert sure.undecided == ()


def test_a_database_of_other_ecosystems_is_an_error() -> None:
    with pytest.raises(UserError, match="has no advisories for Debian:12, PyPI; it has: Debian:11"):
        looked_up(debian("Debian:11", ZERO))


def packed(path: Path, **documents: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in documents.items():
            archive.writestr(f"{name}.json", data)
        archive.writestr("README", "no advisory")
    return path


def test_a_folder_and_a_zip_say_the_same(tmp_path: Path) -> None:
    data = json.dumps(advisory(ZERO)).encode()
    (tmp_path / "all" / "PyPI").mkdir(parents=True)
    (tmp_path / "all" / "PyPI" / "a.json").write_bytes(data)
    (tmp_path / "all" / "loop").symlink_to(tmp_path / "all")
    packed(tmp_path / "all.zip", a=data)
    for place in (tmp_path / "all", tmp_path / "all.zip", (tmp_path / "all.zip").as_uri()):
        assert [one.id for one in database.advisories(str(place))] == ["GHSA-1"]


def test_every_file_that_is_no_advisory_is_told(tmp_path: Path) -> None:
    odd = {
        "broken": (b"{", "is not JSON"),
        "deep": (b"[" * 200_000, "nested too deeply"),
        "digits": (b'{"id": ' + b"9" * 10_000 + b"}", "thousands of digits"),
        "latin": (b'{"id": "\xe9"}', "is not UTF-8"),
        "list": (b"[]", 'has no "id"'),
        "shape": (b'{"id": "X", "affected": {}}', '"affected" is not a list'),
    }
    path = packed(tmp_path / "all.zip", **{name: data for name, (data, _) in odd.items()})
    with pytest.raises(UserError) as raised:
        list(database.advisories(str(path)))
    problems = {one.where.rpartition(" ")[2]: one.what for one in raised.value.problems}
    assert problems.keys() == {f"{name}.json" for name in odd}
    assert all(sentence in problems[f"{name}.json"] for name, (_, sentence) in odd.items())


def refused(place: Path, limits: database.Limits = database.LIMITS) -> str:
    with pytest.raises(UserError) as raised:
        list(database.advisories(str(place), limits))
    return str(raised.value)


def test_a_database_that_means_no_good_is_a_sentence(tmp_path: Path) -> None:
    data = json.dumps(advisory(ZERO)).encode()
    bomb = packed(tmp_path / "bomb.zip", a=b" " * (64 << 20))
    assert bomb.stat().st_size < 1 << 20
    assert "has more than 32 MiB" in refused(bomb)
    many = packed(tmp_path / "many.zip", a=data, b=data, c=data)
    assert "files" in refused(many, database.Limits(files=2))
    assert "of advisories" in refused(many, database.Limits(whole=len(data)))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(many.read_bytes()[:-30])
    assert "no whole zip" in refused(cut)
    wrong = bytearray(packed(tmp_path / "crc.zip", a=data * 9).read_bytes())
    wrong[60] ^= 0xFF
    (tmp_path / "crc.zip").write_bytes(wrong)
    assert "no whole zip" in refused(tmp_path / "crc.zip")
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.json", data)
    assert "OSV does not use" in refused(tmp_path / "odd.zip")
    assert "is not there" in refused(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    assert "has no advisory" in refused(tmp_path / "empty")
    os.mkfifo(tmp_path / "empty" / "pipe.json")
    assert "is no regular file" in refused(tmp_path / "empty")


def test_the_command_exits_with_1_for_a_finding(tmp_path: Path) -> None:
    root = project(tmp_path / "demo")
    harmless = packed(tmp_path / "good.zip", a=json.dumps(of("six", ZERO, {"fixed": "1.0"})).encode())
    done = nixgen("audit", "--database", str(harmless), cwd=root)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "0 known vulnerabilities in 2 packages, by 1 advisory",
    )
    bad = packed(tmp_path / "bad.zip", a=json.dumps(of("six", ZERO, summary="\x1b[2Jgone")).encode())
    done = nixgen("audit", cwd=root, NIXGEN_ADVISORIES=str(bad))
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    done = nixgen("audit", "--database", str(harmless), "--database", str(bad), "--json", cwd=root)
    assert (done.returncode, [one["package"] for one in json.loads(done.stdout)["findings"]]) == (1, ["six"])
    odd = packed(tmp_path / "odd.zip", a=json.dumps(of("six", ZERO, {"fixed": "two"})).encode())
    assert nixgen("audit", "--database", str(odd), cwd=root).returncode == 1


def test_without_a_database_an_error_says_where_to_name_one(tmp_path: Path) -> None:
    done = nixgen("audit", cwd=tmp_path)
    assert done.returncode == 2
    assert "--database" in done.stderr
    assert "NIXGEN_ADVISORIES" in done.stderr
