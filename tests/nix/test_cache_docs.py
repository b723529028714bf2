"""docs/cache.md: the commands print what stands there, and what it shows by hand finds the same."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from cachelab import CacheLab
from support.nix import ROOT

pytest.importorskip("cryptography")

from nixgen.cache import anomalies, verify
from nixgen.log.findings import Kind
from nixgen.log.note import Signer

if TYPE_CHECKING:
    from support.nix import Nix

PAGE = (ROOT / "docs/cache.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["nix28", "nix_new"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CacheLab:
    nix: Nix = request.getfixturevalue(request.param)
    return CacheLab.make(nix, tmp_path_factory.mktemp("docs")).built()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def shape(text: str) -> list[str]:
    """Lines without what is another in each project: names, numbers, hashes, folders."""
    for pattern, sign in (
        (r"\x1b\[\d+m", ""),
        (r"(?:plot|demo)-1\+[0-9a-f]{8}\+\S+", "LOGKEY"),
        (r"(?:plot|demo)-1:\S+", "KEY"),
        (r"\S+/nixgen/keys/\S+-1", "KEYS"),
        (r"sha256-\S+", "HASH"),
        (r"root is \S+", "root is ROOT"),
        (r"file://\S+/cache", "CACHE"),
        (r"\b[0-9a-df-np-sv-z]{32}-\S+", "PATH"),
        (r"\b(?:wheels\.\w+|app|library)\b", "OUTPUT"),
        (r"\d+", "N"),
        (r" +", " "),
    ):
        text = re.sub(pattern, sign, text)
    return sorted(line for line in text.splitlines() if not line.endswith("…"))


@pytest.mark.one_nix
def test_the_commands_print_what_the_page_shows(lab: CacheLab) -> None:
    """In order, those that publish on one machine, the others on another one."""
    other = None
    commands = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    assert len(commands) == 5
    for part in commands:
        line, _, printed = part.partition("\n")
        words = line.replace("file:///srv/cache", lab.url).replace(
            "--only pyparsing --only six", "--only app --only library"
        )
        program, group, *argv = words.split()
        assert (program, group) == ("nixgen", "cache")
        if argv[0] == "pull":
            other = lab.other_machine()
        done = (other or lab).must(*argv)
        assert shape(done.stdout + done.stderr) == shape(printed), line


def test_what_the_page_does_by_hand(lab: CacheLab) -> None:
    if shutil.which("jq") is None or shutil.which("openssl") is None:
        pytest.skip("jq and openssl are not here")
    if not lab.cache.exists():
        lab.pushed()
    folder = lab.folder / "hand"
    folder.mkdir(exist_ok=True)
    shutil.copy(lab.keys / "log.pub", folder)
    looked, signed = (
        block.replace("/srv/cache", str(lab.cache)).replace("-six-1.17.0", "-library") for block in blocks("sh")
    )
    (program,) = blocks("python")
    (folder / "root.py").write_text(program.replace("/srv/cache", str(lab.cache)))
    env = {"PATH": f"{lab.nix.bin}:/usr/bin:/bin"}

    def run(script: str) -> tuple[int, str]:
        done = lab.nix.inside("sh", "-euc", script, cwd=folder, check=False, **env)
        return done.returncode, done.stdout

    code, printed = run(looked)
    logged, now = printed.split()
    assert (code, logged, f"sha256-{now}") == (0, lab.info("library").nar_hash, lab.info("library").nar_hash)
    code, printed = run(signed)
    assert (code, printed.strip()) == (0, "Signature Verified Successfully")
    root = lab.nix.inside(sys.executable, folder / "root.py").stdout.strip()
    assert root == lab.checkpoint().decode().splitlines()[2]
    # Each of them can fail.
    forged = Signer.generate("demo-1").verifier
    (folder / "log.pub").write_text(f"{forged}\n")
    assert run(signed)[0] != 0
    tile = next((lab.cache / "nixgen-log/tile/lines").rglob("3"))
    before = tile.read_bytes()
    tile.write_bytes(before.replace(b"library", b"librarx", 1))
    assert lab.nix.inside(sys.executable, folder / "root.py").stdout.strip() != root
    tile.write_bytes(before)


def test_nixs_own_check_is_as_the_page_says(lab: CacheLab) -> None:
    if not lab.cache.exists():
        lab.pushed()
    (command,) = re.findall(r"`(nix store verify .*?)`", PAGE)
    key = (lab.keys / "cache.pub").read_text().strip()
    words = [key if word == "KEY" else word.replace("file:///srv/cache", lab.url) for word in command.split()]
    done = lab.nix.run(*words, check=False)
    assert done.ok, done.tail()


@pytest.mark.one_nix
def test_what_nix_conf_is_told_is_what_keygen_prints(lab: CacheLab) -> None:
    (settings,) = blocks("ini")
    found = dict(line.split(" = ") for line in settings.splitlines())
    assert list(found) == ["extra-substituters", "extra-trusted-public-keys"]
    assert found["extra-trusted-public-keys"] in blocks("console")[0]
    key = (lab.keys / "cache.pub").read_text().strip()
    other = lab.nix.with_store(lab.folder / "substituted").with_settings(
        extra_substituters=lab.url, extra_trusted_public_keys=key
    )
    path = lab.paths()["root"]
    other.run("nix-store", "--realise", path)
    assert other.nar_hash(path) == lab.nix.nar_hash(path)


def test_every_kind_of_finding_is_explained() -> None:
    explained = re.findall(r"^\| (\w+) \| ", PAGE, re.MULTILINE)
    kinds = {*anomalies.Kind.__args__, *Kind.__args__}  # type: ignore[attr-defined]
    assert kinds <= set(explained)
    assert set(verify.MENDS) == set(anomalies.Kind.__args__)  # type: ignore[attr-defined]
