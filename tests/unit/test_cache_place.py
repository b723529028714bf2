from __future__ import annotations

from pathlib import Path

import pytest

from nixgen.cache import place
from nixgen.cache.place import Place
from nixgen.errors import UserError

KEY = Path("/home/you/.config/nixgen/keys/team-1/cache.sec")


@pytest.mark.parametrize(
    ("text", "url", "log"),
    [
        ("file:///srv/cache", "file:///srv/cache", "file:///srv/cache/nixgen-log"),
        ("file:///srv/cache/", "file:///srv/cache", "file:///srv/cache/nixgen-log"),
        ("/srv/cache", "file:///srv/cache", "file:///srv/cache/nixgen-log"),
        ("https://cache.example.org", "https://cache.example.org", "https://cache.example.org/nixgen-log"),
        ("https://cache.example.org/a/#b", "https://cache.example.org/a", "https://cache.example.org/a/nixgen-log"),
        ("s3://team", "s3://team", "s3://team/nixgen-log"),
        (
            "s3://team/env?endpoint=127.0.0.1:9000&scheme=http&compression=xz",
            "s3://team/env?endpoint=127.0.0.1:9000&scheme=http",
            "s3://team/env/nixgen-log?endpoint=127.0.0.1:9000&scheme=http",
        ),
    ],
)
def test_the_log_lies_beside_the_cache(text: str, url: str, log: str) -> None:
    found = place.parse(text)
    assert (found.url, found.log) == (url, log)
    assert place.parse(found.url) == Place(url, log)  # what is noted is read back as the same


def test_a_folder_may_be_named_as_folders_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert place.parse("cache").url == f"file://{tmp_path}/cache"
    assert place.parse("~/cache").url == f"file://{tmp_path}/home/cache"
    assert place.parse("cache", "log").log == f"file://{tmp_path}/log"


def test_the_log_may_lie_elsewhere() -> None:
    assert place.parse("https://cache.example.org", "s3://logs/team").log == "s3://logs/team"
    found = place.parse("ssh-ng://nix@builder.example.org", "/srv/log")
    assert (found.url, found.log, found.of_files) == ("ssh-ng://nix@builder.example.org", "file:///srv/log", False)


def test_nix_is_told_of_the_key_by_its_file_and_how_to_pack() -> None:
    assert place.parse("file:///srv/cache").signing(KEY) == f"file:///srv/cache?compression=zstd&secret-key={KEY}"
    packed = place.parse("s3://team?region=eu&compression=xz&compression-level=9").signing(KEY)
    assert packed == f"s3://team?region=eu&compression=xz&compression-level=9&secret-key={KEY}"
    odd = place.parse("file:///srv/cache").signing(Path("/keys/a b&c/cache.sec"))
    assert odd.endswith("&secret-key=/keys/a%20b%26c/cache.sec")
    assert place.parse("ssh-ng://host", "/log").signing(KEY) == "ssh-ng://host"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ftp://host/cache", "ftp://host/cache: is not a cache that nixgen knows\n"),
        ("https://you:secret@host/", "https://…@host: has a user name or password in it\n"),
        ("s3://team?secret-key=/key", "s3://team: has secret-key in it\n  hint: name the key with --key"),
        ("https://host/cache?token=abc", "https://host/cache: has a token or signature in it\n"),
        ("file://srv/cache", "file://srv/cache: is not a whole address\n"),
        ("https:///cache", "https:///cache: is not a whole address\n"),
        ("file:///srv/my%20cache", "file:///srv/my%20cache: has characters that not every Nix reads alike"),
        ("/srv/my cache", "/srv/my cache: has characters that not every Nix reads alike in an address\n"),
        ("/srv/what?", "/srv/what?: has characters that not every Nix reads alike"),
        ("https://[::1", "https://…: is not an address that can be read\n  hint: write file:///folder, or"),  # case 35
        ("https://[abc]/", "https://…: is not an address that can be read\n"),
        ("https://you:abc@[::1/", "https://…: is not an address that can be read\n"),
        ("https://host:x/", "https://…: is not an address that can be read\n"),
        ("https://host:99999/", "https://…: is not an address that can be read\n"),
        ("https://:80/cache", "https://…: is not an address that can be read\n"),
        ("https://ho\u2100st/", "https://…: is not an address that can be read\n"),
        ("https://host/a\nb", "https://…: is not an address that can be read\n"),
        ("~nosuch/x", "~nosuch/x: is not a path: there is no user 'nosuch'\n"),
        ("a\0b", "a\0b: is not a path: it has a NUL byte\n"),
        ("ssh-ng://host", "ssh-ng://host: a store behind ssh has no place for a log\n"),
    ],
)  # fmt: skip
def test_what_is_no_place_for_a_cache(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        place.parse(text)
    assert str(caught.value).startswith(sentence)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("log", ["https://[::1", "~nosuch/x", "a\0b", "s3://you:abc@[/"])
def test_what_is_no_place_for_a_log(log: str) -> None:  # case 35
    with pytest.raises(UserError) as caught:
        place.parse("https://cache.example.org", log)
    assert "abc" not in str(caught.value)
