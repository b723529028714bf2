"""Where the crates of a Cargo.lock are fetched from: what registries say of themselves, files or a git repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.gitserver import Repository, serving

from nixgen.builds.crates import Named, address, addressed
from nixgen.builds.model import Crate
from nixgen.errors import NixgenError

if TYPE_CHECKING:
    from support.index import Index

SHA = "0123456789abcdef" * 4
PATTERNS = [
    ("https://crates.example.org/api", "https://crates.example.org/api/Serde/1.0.0+x/download"),
    ("https://example.org/{crate}-{version}.crate", "https://example.org/Serde-1.0.0+x.crate"),
    ("https://example.org/{prefix}/{lowerprefix}/{crate}", "https://example.org/Se/rd/se/rd/Serde"),
    ("https://example.org/{sha256-checksum}", f"https://example.org/{SHA}"),
]


@pytest.mark.parametrize(("pattern", "found"), PATTERNS)
def test_the_address_of_a_crate(pattern: str, found: str) -> None:
    assert address(pattern, Named("Serde", "1.0.0+x", "sparse+https://example.org/", SHA)) == found


@pytest.mark.parametrize(("name", "folders"), [("a", "1"), ("ab", "2"), ("abc", "3/a"), ("abcd", "ab/cd")])
def test_the_folder_of_a_crate(name: str, folders: str) -> None:
    assert address("{prefix}", Named(name, "1.0.0", "", SHA)) == folders


def test_a_registry_of_files_and_one_in_git_are_each_asked_once(index: Callable[..., Index], tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    served = index(tmp_path / "files")
    (tmp_path / "files/config.json").write_text(json.dumps({"dl": "https://one.example.org"}))
    repository = Repository.make(tmp_path / "git/index", {"config.json": json.dumps({"dl": "https://two.example.org"})})
    repository.commit({f"{number}/crate": "{}" for number in range(50)})
    repository.git("config", "uploadpack.allowFilter", "true")
    with serving(tmp_path / "git") as server:
        registries = (f"sparse+{served.address}/files/", f"registry+{server.url('index')}")
        named = [Named(name, "1.0.0", registry, SHA) for name in ("b", "a") for registry in registries]
        patterns: dict[str, str] = {}
        found = addressed("one", named, patterns)
        again = addressed("two", named[:1], patterns)
    assert found == tuple(
        Crate(name, "1.0.0", f"https://{which}.example.org/{name}/1.0.0/download", SHA)
        for name in ("a", "b")
        for which in ("one", "two")
    )
    assert len(again) == 1
    assert served.requests == ["/files/config.json"]


WRONG = {
    "scheme": ("registry+ext::sh -c date", "names a registry that is neither https nor http"),
    "file": ("sparse+file:///etc/", "names a registry that is neither https nor http"),
    "host": ("registry+https://[x/", "names a registry that is neither https nor http"),
    "NUL": ("registry+https://x\x00y/", "names a registry that is neither https nor http"),
    "line": ("sparse+https://x\ny/", "names a registry that is neither https nor http"),
    "login": ("registry+https://me:s3cret@example.org/x", "a user name or password in its address: https://***@"),
    "nothing": ("sparse+{address}/files/", "does not say where its crates are"),
    "gone": ("sparse+{address}/nowhere/", "404"),
    "no-git": ("registry+{address}/nowhere", "which git cannot read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_registry_that_does_not_say(index: Callable[..., Index], tmp_path: Path, what: str) -> None:
    served = index(tmp_path)
    (tmp_path / "config.json").write_text('{"dl": "ftp://example.org"}')
    registry, said = WRONG[what]
    with pytest.raises(NixgenError) as caught:
        addressed("rusty", [Named("a", "1.0.0", registry.format(address=served.address), SHA)], {})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            '{"dl": "https://[x"}',
            '{"dl": "https://me:s3cret@example.org"}',
            '{"dl": "https://example.org/?token=s3cret"}',
        ),
        *('{"dl": "https://x y"}', '{"dl": "https://"}', '{"dl": "https://x/\\ud800"}', '{"dl": 5}', "[" * 100_000),
    ],
    ids=range(8),
)
def test_a_registry_that_says_what_no_lock_may_hold(index: Callable[..., Index], tmp_path: Path, text: str) -> None:
    served = index(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(NixgenError) as caught:
        addressed("rusty", [Named("a", "1.0.0", f"sparse+{served.address}/files/", SHA)], {})
    assert "does not say where its crates are" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def _named(folder: Path) -> subprocess.CompletedProcess[str]:
    place = Path(__file__).parents[2] / "nix/builders/source"
    code = "import sys\nsys.path.insert(0, sys.argv[1])\nimport crates\nprint(crates.named(sys.argv[2], ['maturin']))"
    words = [sys.executable, "-B", "-c", code, str(place), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_crate_of_two_registries_is_one_where_it_is_the_same(tmp_path: Path) -> None:
    """cargo finds crates in a folder by name and version, so two other ones are refused."""
    block = '[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "{}"\nchecksum = "{}"\n'
    registries = ("sparse+https://one.example.org/", "registry+https://two.example.org/x")
    (tmp_path / "Cargo.lock").write_text("".join(block.format(registry, SHA) for registry in registries))
    done = _named(tmp_path)
    assert done.stdout.count("'name': 'a'") == 1, done.stderr
    (tmp_path / "in").mkdir()
    (tmp_path / "in/Cargo.lock").write_text(block.format(registries[0], SHA[::-1]))
    done = _named(tmp_path)
    assert "Unclear: Cargo.lock: it names two crates a 1.0.0" in done.stderr
