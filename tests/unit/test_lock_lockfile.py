"""nixgen.lock: what is written is read back, and what is wrong is told with the path to it."""

# ruff: noqa: E501 -- a table of sentences, one line each

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.bases.model import Bootstrap, Deb, DebianBase, NixpkgsBase
from nixgen.errors import UserError
from nixgen.lock.lockfile import dump_lock, parse_lock, read_lock
from nixgen.lock.model import Lock
from nixgen.resolve.model import FileHash

SHA = "0123456789abcdef" * 4
DEB = Deb("zlib1g", "1:1.2.13.dfsg-1", "x86_64-linux", "core", "https://mirror.example.org/z%2b.deb", SHA, 86684)
DEBIAN = DebianBase(
    suite="bookworm",
    python="3.11",
    glibc="2.36",
    libraries=("libsndfile1",),
    tools=("g++",),
    bootstrap=(Bootstrap("x86_64-linux", "busybox-x86_64-linux.tar.xz", SHA),),
    debs=(DEB,),
)
NIXPKGS = NixpkgsBase(
    name="nixos-26.05",
    rev="5880666fd9eb563038431edb35c2d0aa595884e6",
    nar_hash="sha256-OURZPknrTjQrlNyxPdqzyqmU/81Wes1CUP/Ft1Rv/YI=",
    last_modified=1787204541,
    glibc="2.42",
    python="3.13",
    libraries=("ffmpeg", "python3Packages.x'"),
    tools=(),
)

DEBIAN_TEXT = f"""\
{{
  "base": {{
    "bootstrap": {{
      "x86_64-linux": {{"file": "busybox-x86_64-linux.tar.xz", "sha256": "{SHA}"}}
    }},
    "debs": {{
      "x86_64-linux": {{
        "core": [
          {{"name": "zlib1g", "sha256": "{SHA}", "size": 86684, "url": "https://mirror.example.org/z%2b.deb", \
"version": "1:1.2.13.dfsg-1"}}
        ],
        "extra": []
      }}
    }},
    "glibc": "2.36",
    "kind": "debian",
    "libraries": ["libsndfile1"],
    "python": "3.11",
    "suite": "bookworm",
    "tools": ["g++"]
  }},
  "hashes": {{
    "https://files.example.org/a-1-py3-none-any.whl": {{"sha256": "{SHA}", "size": 12}}
  }},
  "version": 1
}}
"""


def changed(path: str, value: Any) -> str:
    """The lock's text with one value replaced; "-" as value takes the key out."""
    document = json.loads(dump_lock(Lock(DEBIAN)))
    here: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        here = here[part]
    if value == "-":
        del here[last]
    else:
        here[last] = value
    return json.dumps(document)


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_lock(text)
    return [f"{problem.where}: {problem.what}" for problem in caught.value.problems]


def test_the_text_of_a_debian_lock() -> None:
    lock = Lock(DEBIAN, (FileHash("https://files.example.org/a-1-py3-none-any.whl", SHA, 12),))
    assert dump_lock(lock) == DEBIAN_TEXT
    assert parse_lock(DEBIAN_TEXT) == lock


def test_the_text_of_a_nixpkgs_lock() -> None:
    text = dump_lock(Lock(NIXPKGS))
    assert text.startswith(
        '{\n  "base": {\n    "glibc": "2.42",\n    "kind": "nixpkgs",\n    "lastModified": 1787204541,\n'
    )
    assert parse_lock(text) == Lock(NIXPKGS)


names = st.from_regex(r"[a-z0-9][a-z0-9+.\-]{1,20}", fullmatch=True)
versions = st.from_regex(r"([0-9]{1,2}:)?[0-9][A-Za-z0-9.+~\-]{0,20}", fullmatch=True)
urls = st.from_regex(r"https://[a-z]{1,9}\.example\.org/[A-Za-z0-9%+~._\-]{0,30}", fullmatch=True)
shas = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
sizes = st.integers(min_value=0, max_value=2**40)
dotted = st.from_regex(r"[0-9]\.[0-9]{1,2}", fullmatch=True)
systems = st.lists(st.sampled_from(["aarch64-linux", "x86_64-linux"]), unique=True)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    found = tuple(sorted(draw(systems)))
    debs = [
        Deb(name, draw(versions), system, draw(st.sampled_from(["core", "extra"])), draw(urls), draw(shas), draw(sizes))
        for system in found
        for name in draw(st.lists(names, unique=True, max_size=4))
    ]
    base = DebianBase(
        suite=draw(st.sampled_from(["bookworm", "forky"])),
        python=draw(dotted),
        glibc=draw(dotted),
        libraries=tuple(draw(st.lists(names, max_size=3))),
        tools=tuple(draw(st.lists(names, max_size=3))),
        bootstrap=tuple(Bootstrap(system, f"busybox-{system}.tar.xz", draw(shas)) for system in found),
        debs=tuple(sorted(debs, key=lambda deb: (deb.system, deb.part, deb.name))),
    )
    hashes = draw(st.dictionaries(urls, st.tuples(shas, sizes), max_size=3))
    return Lock(base, tuple(FileHash(url, *hashes[url]) for url in sorted(hashes)))


@given(locks())
def test_what_is_written_is_read_back(lock: Lock) -> None:
    text = dump_lock(lock)
    assert parse_lock(text) == lock
    assert dump_lock(parse_lock(text)) == text
    assert json.loads(text) == json.loads(json.dumps(json.loads(text), sort_keys=True))


@given(st.text())
def test_no_text_is_more_than_a_users_mistake(text: str) -> None:
    with pytest.raises(UserError):
        parse_lock(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    "version", "base", "hashes", "base/kind", "base/suite", "base/glibc", "base/libraries", "base/bootstrap", "base/debs",
    "base/bootstrap/x86_64-linux", "base/bootstrap/x86_64-linux/file", "base/debs/x86_64-linux",
    "base/debs/x86_64-linux/core", "base/debs/x86_64-linux/core/0", "base/debs/x86_64-linux/core/0/name",
    "base/debs/x86_64-linux/core/0/url", "base/debs/x86_64-linux/core/0/sha256", "base/debs/x86_64-linux/core/0/size",
]  # fmt: skip


@given(st.sampled_from(PATHS), json_values)
def test_any_value_is_read_back_or_refused(path: str, value: Any) -> None:
    text = changed(path, value)
    try:
        lock = parse_lock(text)
    except UserError:
        return
    assert parse_lock(dump_lock(lock)) == lock


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("base/debs/x86_64-linux/core/0/sha256", "-", "base.debs.x86_64-linux.core[0].sha256: is missing"),
        ("base/debs/x86_64-linux/core/0/sha256", "A" * 64, f"base.debs.x86_64-linux.core[0].sha256: has an impossible value: '{'A' * 57}...'"),
        ("base/debs/x86_64-linux/core/0/size", "12", "base.debs.x86_64-linux.core[0].size: is a text, not a number"),
        ("base/debs/x86_64-linux/core/0/size", True, "base.debs.x86_64-linux.core[0].size: is true or false, not a number"),
        ("base/debs/x86_64-linux/core/0/size", -1, "base.debs.x86_64-linux.core[0].size: is -1, below zero"),
        ("base/debs/x86_64-linux/core/0/name", "../x", "base.debs.x86_64-linux.core[0].name: has an impossible value: '../x'"),
        ("base/debs/x86_64-linux/core/0/version", "1.0\n", "base.debs.x86_64-linux.core[0].version: has an impossible value: '1.0\\n'"),
        ("base/debs/x86_64-linux/core/0/url", "ftp://mirror.example.org/a", "base.debs.x86_64-linux.core[0].url: is not an address that starts with https:// or http://"),
        ("base/debs/x86_64-linux/core/0/url", "https://mirror.example.org/a b", "base.debs.x86_64-linux.core[0].url: is not an address: it has white space or quotes in it"),
        ("base/debs/x86_64-linux/core/0/url", "https://me:pw@mirror.example.org/a", "base.debs.x86_64-linux.core[0]: has an address with a user name or password in it; netrc is the place for logins"),
        ("base/debs/x86_64-linux/core/0/url", "https://mirror.example.org/a?token=pw", "base.debs.x86_64-linux.core[0]: has an address with a token or signature in it; netrc is the place for logins"),
        ("base/debs/x86_64-linux/core/0/url", "https://[", "base.debs.x86_64-linux.core[0].url: is not an address"),
        ("base/debs/x86_64-linux/core/0/verison", "1", 'base.debs.x86_64-linux.core[0].verison: is not a known key; did you mean "version"?'),
        ("base/debs/x86_64-linux/core/0", None, "base.debs.x86_64-linux.core[0]: is nothing, not an object"),
        ("base/debs/x86_64-linux/extra", [json.loads(DEBIAN_TEXT)["base"]["debs"]["x86_64-linux"]["core"][0]], 'base.debs.x86_64-linux.extra[0].name: "zlib1g" is there twice'),
        ("base/debs/mips-linux", {}, "base.debs.mips-linux: is not a known key"),
        ("base/debs/x86_64-linux", [], "base.debs.x86_64-linux: is a list, not an object"),
        ("base/debs", {}, "base.debs.x86_64-linux: is missing"),
        ("base/bootstrap", {}, "base.bootstrap.x86_64-linux: is missing"),
        ("base/bootstrap/x86_64-linux/file", "../busybox", "base.bootstrap.x86_64-linux.file: has an impossible value: '../busybox'"),
        ("base/kind", "gentoo", 'base.kind: is "gentoo", not one of debian, nixpkgs'),
        ("base/tools", ["git", 3], "base.tools[1]: is a number, not a text"),
        ("base/libraries", ["Bad Name"], "base.libraries[0]: has an impossible value: 'Bad Name'"),
        ("hashes/x", {"sha256": SHA, "size": 1}, "hashes.x: is not an address that starts with https:// or http:// or file://"),
        ("hashes/https:~~a.example.org", {"sha256": SHA}, 'hashes."https://a.example.org".size: is missing'),
        ("base", "-", "base: is missing"),
        ("version", "-", "version: is missing"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_sentence(path: str, value: Any, expected: str) -> None:
    text = changed(path, value).replace("~~", "//")
    assert problems(text) == [f"nixgen.lock: {expected}"]


def test_all_mistakes_are_told_at_once() -> None:
    document = json.loads(changed("base/glibc", "new"))
    document["base"]["debs"]["x86_64-linux"]["core"][0]["size"] = None
    document["haches"] = {}
    assert problems(json.dumps(document)) == [
        'nixgen.lock: haches: is not a known key; did you mean "hashes"?',
        "nixgen.lock: base.debs.x86_64-linux.core[0].size: is nothing, not a number",
        "nixgen.lock: base.glibc: has an impossible value: 'new'",
    ]


def test_a_password_is_not_repeated() -> None:
    text = changed("base/debs/x86_64-linux/core/0/url", "https://me:hunter2@mirror.example.org/a")
    assert "hunter2" not in "".join(problems(text))
    for url in ("https://me:hunter2@mirror.example.org/a.whl", "https://mirror.example.org/a.whl?sig=hunter2"):
        said = "".join(problems(changed("hashes", {url: {"sha256": SHA, "size": 1}})))
        assert "has an address with" in said
        assert "hunter2" not in said


def test_an_unknown_version_names_the_command() -> None:
    with pytest.raises(UserError) as caught:
        parse_lock(changed("version", 3))
    assert str(caught.value) == (
        "nixgen.lock: version: is 3, and this nixgen knows 1 to 2\n"
        "  hint: use the nixgen that wrote it, or write it again: nixgen lock --upgrade"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n"version" 1\n}', "nixgen.lock: line 2: is not JSON: Expecting ':' delimiter"),
        ('{"version": 1, "version": 1}', 'nixgen.lock: is not a lock: the key "version" is there twice in one object'),
        ("[]", "nixgen.lock: is a list, not an object"),
        ("[" * 100_000, "nixgen.lock: is not a lock: it is nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_lock_at_all(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_a_lock_that_a_merge_broke_is_restored() -> None:
    """Pinned anew, it would have other versions of all."""
    with pytest.raises(UserError) as caught:
        parse_lock(DEBIAN_TEXT.replace("{", "{\n<<<<<<< HEAD\n", 1))
    assert caught.value.problems[0].mend.startswith("restore it: git checkout HEAD -- nixgen.lock && nixgen lock (")


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "nixgen.lock"
    with pytest.raises(UserError, match=r"^nixgen\.lock: is not there\n  hint: make it: nixgen sync$"):
        read_lock(path)
    with pytest.raises(UserError, match=r"^nixgen\.lock: is not there\n  hint: make it: nixgen init$"):
        read_lock(path, "nixgen init")
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"^nixgen\.lock: is not UTF-8 text\n"):
        read_lock(path)
    path.write_text(DEBIAN_TEXT)
    assert read_lock(path).base == DEBIAN
