"""Builds in nixgen.lock: what is written is read back, and all that is wrong is told at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.bases.model import NixpkgsBase
from nixgen.builds.model import Build, Builds, BuildWheel, Crate
from nixgen.builds.pins import sorted_builds
from nixgen.errors import UserError
from nixgen.lock.lockfile import dump_lock, parse_lock
from nixgen.lock.model import Lock

SHA = "0123456789abcdef" * 4
BASE = NixpkgsBase("nixos-26.05", "5" * 40, f"sha256-{'O' * 43}=", 1787204541, "2.42", "3.13", (), ())
SETUPTOOLS = BuildWheel(
    "setuptools",
    "80.9.0",
    "setuptools-80.9.0-py3-none-any.whl",
    "https://files.example.org/setuptools-80.9.0-py3-none-any.whl",
    SHA,
    1201486,
)
DOCOPT = Build(
    "docopt",
    "0.6.2",
    "https://files.example.org/docopt-0.6.2.tar.gz",
    1402958400,
    SHA,
    {"aarch64-linux": (SETUPTOOLS.file,), "x86_64-linux": (SETUPTOOLS.file,)},
    file="docopt-0.6.2.tar.gz",
    sha256=SHA,
    size=25901,
    pure=True,
    asked="x86_64-linux",
)
FROM_GIT = Build(
    "shop",
    "1.0+local.1",
    f"git+https://example.org/shop@{'c' * 40}#subdirectory=py",
    1700000000,
    SHA,
    {"x86_64-linux": (SETUPTOOLS.file, "docopt==0.6.2")},
    nar_hash=f"sha256-{'A' * 43}=",
    crates=(Crate("serde", "1.0.200+x", "https://crates.example.org/serde-1.0.200.crate", SHA),),
)
LOCK = Lock(BASE, builds=Builds((DOCOPT, FROM_GIT), (SETUPTOOLS,)))


def problems(document: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_lock(json.dumps(document))
    return [f"{problem.where}: {problem.what}" for problem in caught.value.problems]


def test_a_lock_without_builds_has_the_first_version() -> None:
    assert json.loads(dump_lock(Lock(BASE)))["version"] == 1
    assert "builds" not in dump_lock(Lock(BASE))


def test_the_text_of_builds() -> None:
    text = dump_lock(LOCK)
    assert parse_lock(text) == LOCK
    assert (
        text[text.index('  "buildWheels"') : text.index('  "hashes"')]
        == f"""\
  "buildWheels": [
    {{"file": "setuptools-80.9.0-py3-none-any.whl", "name": "setuptools", "sha256": "{SHA}", "size": 1201486, \
"url": "https://files.example.org/setuptools-80.9.0-py3-none-any.whl", "version": "80.9.0"}}
  ],
  "builds": [
    {{
      "asked": "x86_64-linux",
      "epoch": 1402958400,
      "file": "docopt-0.6.2.tar.gz",
      "inputs": "{SHA}",
      "name": "docopt",
      "pure": true,
      "requires": {{
        "aarch64-linux": ["setuptools-80.9.0-py3-none-any.whl"],
        "x86_64-linux": ["setuptools-80.9.0-py3-none-any.whl"]
      }},
      "sha256": "{SHA}",
      "size": 25901,
      "source": "https://files.example.org/docopt-0.6.2.tar.gz",
      "version": "0.6.2"
    }},
    {{
      "crates": [
        {{"name": "serde", "sha256": "{SHA}", "url": "https://crates.example.org/serde-1.0.200.crate", "version": \
"1.0.200+x"}}
      ],
      "epoch": 1700000000,
      "inputs": "{SHA}",
      "name": "shop",
      "narHash": "sha256-{"A" * 43}=",
      "requires": {{
        "x86_64-linux": ["setuptools-80.9.0-py3-none-any.whl", "docopt==0.6.2"]
      }},
      "source": "git+https://example.org/shop@{"c" * 40}#subdirectory=py",
      "version": "1.0+local.1"
    }}
  ],
"""
    )
    assert text.endswith('  "version": 2\n}\n')


def test_all_that_is_wrong_is_told() -> None:
    document = json.loads(dump_lock(LOCK))
    docopt, shop = document["builds"]
    (wheel,) = document["buildWheels"]
    docopt |= {"requires": {"mips-linux": [], "x86_64-linux": ["../a.whl", "gone-1-py3-none-any.whl"]}, "narHash": "x"}
    docopt["source"] = "https://me:pw@example.org/a"
    shop |= {"source": "git+https://example.org/shop@main", "epoch": -1, "inputs": "z"}
    document["builds"].append(shop)
    wheel |= {"url": "file:%2e%2e/setuptools.whl", "file": "setuptools.tar.gz"}
    assert problems(document) == [
        "nixgen.lock: buildWheels[0].url: is not a path in the project",
        "nixgen.lock: buildWheels[0].file: has an impossible value: 'setuptools.tar.gz'",
        "nixgen.lock: builds[0].narHash: is not a known key",
        "nixgen.lock: builds[0]: has an address with a user name or password in it; netrc is the place for logins",
        "nixgen.lock: builds[0].requires.mips-linux: is not a known key",
        "nixgen.lock: builds[0].requires.x86_64-linux[0]: has an impossible value: '../a.whl'",
        "nixgen.lock: builds[1].source: is not git+, an address, @ and a commit of 40 hexadecimal digits",
        "nixgen.lock: builds[1].epoch: is -1, below zero",
        "nixgen.lock: builds[1].inputs: has an impossible value: 'z'",
        "nixgen.lock: builds[2].source: is not git+, an address, @ and a commit of 40 hexadecimal digits",
        "nixgen.lock: builds[2].epoch: is -1, below zero",
        "nixgen.lock: builds[2].inputs: has an impossible value: 'z'",
        'nixgen.lock: builds: "shop==1.0+local.1" is there twice',
        'nixgen.lock: builds: docopt==0.6.2 requires "../a.whl", which is not pinned',
        'nixgen.lock: builds: docopt==0.6.2 requires "gone-1-py3-none-any.whl", which is not pinned',
        'nixgen.lock: builds: shop==1.0+local.1 requires "setuptools-80.9.0-py3-none-any.whl", which is not pinned',
    ]


def test_a_circle_is_named() -> None:
    one = replace(DOCOPT, requires={"x86_64-linux": ("shop==1.0+local.1",)})
    found = problems(json.loads(dump_lock(Lock(BASE, builds=Builds((one, FROM_GIT), (SETUPTOOLS,))))))
    assert len(found) == 1
    assert found[0].startswith("nixgen.lock: builds: run in a circle: ")
    assert "docopt==0.6.2 needs shop==1.0+local.1" in found[0]


names = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,4})?", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(\+l)?", fullmatch=True)
shas = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@st.composite
def found_builds(draw: st.DrawFn) -> Builds:
    wheels = [
        BuildWheel(name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", url, draw(shas), size)
        for name, version, url, size in draw(
            st.lists(
                st.tuples(
                    names, versions, st.sampled_from(["https://example.org/a", "file:vendor/a.whl"]), st.integers(0, 9)
                ),
                unique_by=lambda one: one[:2],
                max_size=3,
            )
        )
    ]
    files = [one.file for one in wheels]
    sources = [
        replace(DOCOPT, name=name, version=version, requires={"x86_64-linux": tuple(files[:count])})
        for name, version, count in draw(
            st.lists(st.tuples(names, versions, st.integers(0, 3)), unique_by=lambda one: one[:2], max_size=3)
        )
    ]
    return sorted_builds(sources, wheels)


@given(found_builds())
def test_what_is_written_is_read_back(builds: Builds) -> None:
    lock = Lock(BASE, builds=builds)
    assert parse_lock(dump_lock(lock)) == lock
    assert dump_lock(parse_lock(dump_lock(lock))) == dump_lock(lock)


def test_a_login_in_the_address_of_a_repository_is_refused_and_not_printed() -> None:
    document = json.loads(dump_lock(LOCK))
    (shop,) = (one for one in document["builds"] if one["name"] == "shop")
    shop["source"] = f"git+https://demo:plum@example.org/shop@{'c' * 40}"
    with pytest.raises(UserError) as error:
        parse_lock(json.dumps(document))
    assert "source: is an address with a login in it" in str(error.value)
    assert "plum" not in str(error.value)
