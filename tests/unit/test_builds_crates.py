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
from nixgen.project import cargo

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


def _named(folder: Path, top: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = Path(__file__).parents[2] / "nix/builders/source"
    code = "import sys\nsys.path.insert(0, sys.argv[1])\nimport crates\n"
    code += "print(crates.named(sys.argv[2], ['maturin'], sys.argv[3]))"
    words = [sys.executable, "-B", "-c", code, str(place), str(folder), str(top or folder)]
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


def test_the_lock_of_a_workspace_is_above_its_crates(tmp_path: Path) -> None:
    block = '[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "sparse+https://one.example.org/"\nchecksum = "{}"\n'
    (tmp_path / "Cargo.lock").write_text(block.format(SHA))
    (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["py"]\n[workspace.dependencies]\na = "1"\n')
    (tmp_path / "py").mkdir()
    (tmp_path / "py/Cargo.toml").write_text("[dependencies]\na.workspace = true\n")
    done = _named(tmp_path / "py", tmp_path)
    assert "'name': 'a'" in done.stdout, done.stderr
    assert "'unlocked': []" in done.stdout
    (tmp_path / "Cargo.lock").unlink()
    assert "'unlocked': ['a']" in _named(tmp_path / "py", tmp_path).stdout


def test_what_cannot_be_pinned_is_told(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text(
        '[dependencies]\nb = {path = "b"}\n[target."cfg(unix)".build-dependencies]\ncc = "1"\n'
        '[dev-dependencies]\nd = "1"\n'
    )
    assert _named(tmp_path).stdout == "([], {'git': [], 'unlocked': ['cc']})\n"
    source = "git+https://git.example.org/c?rev=abc#0123"
    (tmp_path / "Cargo.lock").write_text(f'[[package]]\nname = "c"\nversion = "1.0.0"\nsource = "{source}"\n')
    assert _named(tmp_path).stdout == "([], {'git': ['c from https://git.example.org/c'], 'unlocked': []})\n"
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text('[source.crates-io]\nreplace-with = "vendored"\n')
    assert _named(tmp_path).stdout == "([], {'git': [], 'unlocked': []})\n"


def test_the_folder_that_has_all_that_a_crate_is_built_with(tmp_path: Path) -> None:
    manifests = {
        "rust/Cargo.toml": '[workspace]\nmembers = ["*"]\n',
        "rust/py/Cargo.toml": '[dependencies]\ncore = {path = "../../shared/core"}\nout = {path = "../../../out"}\n',
        "shared/core/Cargo.toml": "[package]\n",
        "rust/Cargo.lock": "",
        "alone/Cargo.toml": "[package]\n",
        "alone/Cargo.lock": "",
        "bad/Cargo.toml": "[",
        "deep/own/native/Cargo.toml": '[package]\nworkspace = "../../../rust"\n',
    }
    for path, text in manifests.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def found(path: str, **maturin: str) -> tuple[str, tuple[str, ...]]:
        crates = cargo.manifests(tmp_path, path, {"tool": {"maturin": maturin}})
        return cargo.around(tmp_path, path, crates)

    assert found("rust/py") == (".", ("rust/Cargo.lock",))
    assert found("alone") == ("alone", ("alone/Cargo.lock",))
    assert found("alone", **{"manifest-path": "../rust/Cargo.toml"}) == (".", ("alone/Cargo.lock", "rust/Cargo.lock"))
    assert found("deep/own", **{"manifest-path": "native/Cargo.toml"}) == (".", ("rust/Cargo.lock",))
    assert found("bad") == ("bad", ())
