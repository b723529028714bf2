"""Which Debian mirror this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from nixgen.bases.debian import sources
from nixgen.bases.debian.sources import Mirror, Source, machine_mirror, parse_deb822, parse_one_line
from nixgen.errors import MachineError, UserError

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {key}

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 {key}
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /etc/apt, and Debian's keyring."""
    keyring = tmp_path / "debian-archive-keyring.gpg"
    keyring.write_bytes(b"key")
    monkeypatch.setattr(sources, "KEYRINGS", (keyring,))
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    return folder


def test_a_machine_of_ubuntus_has_a_mirror_of_ubuntus(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 42."""
    ubuntu = "deb http://mirror.example.org/ubuntu noble{} main universe\n"
    text = "".join(ubuntu.format(pocket) for pocket in ("", "-updates", "-security"))
    (apt / "sources.list").write_text(
        text.replace("mirror.example.org/ubuntu noble-s", "security.example.org/ubuntu noble-s")
    )
    monkeypatch.setattr(sources, "UBUNTU_KEYRINGS", (apt.parent / "debian-archive-keyring.gpg",))
    mirror = machine_mirror(apt, vendor="Ubuntu")
    wanted = [
        "http://mirror.example.org/ubuntu",
        "http://mirror.example.org/ubuntu",
        "http://security.example.org/ubuntu",
    ]
    found = mirror.sources("noble", stable=True, components=("main", "universe"))
    assert [(source.uri, source.suite) for source in found] == list(
        zip(wanted, ["noble", "noble-updates", "noble-security"], strict=True)
    )
    named = machine_mirror(apt, (wanted[0], wanted[2]), "Ubuntu")
    assert (named.archive, named.security) == (wanted[0], wanted[2])
    with pytest.raises(MachineError) as caught:
        machine_mirror(apt)
    assert caught.value.problems[0].mend.startswith(
        'it knows Ubuntu\'s: set base = "debian" and suite = "noble", which has Python 3.12; or name'
    )
    monkeypatch.setattr(sources, "UBUNTU_KEYRINGS", ())
    with pytest.raises(MachineError, match="apt-get install ubuntu-keyring"):
        machine_mirror(apt, vendor="Ubuntu")


def test_deb822_gives_a_source_for_each_address_and_suite() -> None:
    assert list(parse_deb822(DEB822.format(key="/k.gpg"))) == [
        Source("http://mirror.example.org/debian", "bookworm", ("/k.gpg",), ("main", "contrib")),
        Source("http://mirror.example.org/debian", "bookworm-updates", ("/k.gpg",), ("main", "contrib")),
        Source("http://mirror.example.org/debian-security", "bookworm-security", ("/k.gpg",), ("main",)),
    ]


@pytest.mark.parametrize("line", ["Enabled: no", "Types: deb-src"])
def test_deb822_leaves_out_what_gives_no_packages(line: str) -> None:
    stanza = f"Types: deb\nURIs: http://mirror.example.org/debian\nSuites: sid\nComponents: main\n{line}\n"
    assert list(parse_deb822(stanza)) == []


def test_a_key_inside_deb822_is_no_path() -> None:
    block = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc/def\n"
    stanza = f"Types: deb\nURIs: http://mirror.example.org/debian\nSuites: sid\nComponents: main\n{block}"
    assert [source.keyrings for source in parse_deb822(stanza)] == [()]


def test_one_line_format() -> None:
    text = """\
    # deb http://old.example.org/debian bookworm main
    deb-src http://mirror.example.org/debian bookworm main
    deb [arch=amd64 signed-by=/a.gpg,/b.gpg] https://mirror.example.org/debian bookworm main non-free # ours
    deb http://mirror.example.org/debian sid main
    """
    assert list(parse_one_line(text)) == [
        Source("https://mirror.example.org/debian", "bookworm", ("/a.gpg", "/b.gpg"), ("main", "non-free")),
        Source("http://mirror.example.org/debian", "sid", (), ("main",)),
    ]


def test_the_machines_own_mirror(apt: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gpg"
    own.write_bytes(b"key")
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822.format(key=own))
    mirror = machine_mirror(apt)
    assert mirror == Mirror(
        archive="http://mirror.example.org/debian",
        security="http://mirror.example.org/debian-security",
        updates=True,
        keyrings=(str(tmp_path / "debian-archive-keyring.gpg"), str(own)),
    )
    assert [source.suite for source in mirror.sources("trixie", stable=True)] == [
        "trixie",
        "trixie-updates",
        "trixie-security",
    ]
    assert [source.suite for source in mirror.sources("forky", stable=False)] == ["forky"]


def test_other_vendors_sources_are_not_taken(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "deb http://vendor.example.com/bookworm-tools stable main\n"
        "deb [signed-by=/v.gpg] http://vendor.example.com/debian bookworm-pgdg main\n"
        "deb http://ubuntu.example.com/ubuntu noble main\n"
        "deb http://mirror.example.org/debian bookworm main\n"
    )
    mirror = machine_mirror(apt)
    assert (mirror.archive, mirror.security, mirror.updates) == ("http://mirror.example.org/debian", None, False)


def test_a_machine_without_a_debian_mirror(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://vendor.example.com/tools kinetic main\n")
    with pytest.raises(MachineError) as caught:
        machine_mirror(apt)
    assert str(caught.value) == (
        "this machine's apt knows no Debian mirror, which the debian base is pinned from\n"
        '  hint: name one: --mirror https://mirror.example.org/debian; or set base = "nixpkgs"'
    )


def test_the_option_overrides(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://mirror.example.org/debian bookworm main\n")
    ours = ("https://ours.example.com/debian", "https://ours.example.com/debian-security")
    mirror = machine_mirror(apt, ours)
    assert (mirror.archive, mirror.security, mirror.updates) == (*ours, True)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://me:secret@mirror.example.org/debian", "the mirror's address carries a user name or password"),
        ("http://mirror.example.org/debian?token=x", "the mirror's address carries a token or signature"),
        ("cdrom:[Debian]/", "Nix cannot fetch packages from cdrom:[Debian]/"),
        ("file:///srv/debian", "Nix cannot fetch packages from file:///srv/debian"),
    ],
)
def test_addresses_that_nix_cannot_use(apt: Path, uri: str, problem: str) -> None:
    (apt / "sources.list").write_text(f"deb {uri} bookworm main\n")
    with pytest.raises(UserError, match=r"sources\.list: ") as caught:
        machine_mirror(apt)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match=r"^--mirror: "):
        machine_mirror(apt, (uri,))


def test_no_keys(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "KEYRINGS", ())
    with pytest.raises(MachineError, match="apt-get install debian-archive-keyring"):
        machine_mirror(apt, ("https://ours.example.com/debian",))
