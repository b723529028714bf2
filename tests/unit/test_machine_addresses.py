"""Secrets in addresses: what counts as one, that all are refused, and that none is repeated."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

import projects
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.errors import UserError
from nixgen.machine import addresses
from nixgen.project.project import find_project

SECRET_KEYS = """
    token access_token ACCESS-TOKEN private_token job_token auth_token authtoken X-Amz-Security-Token api_key apikey sig
    X-Amz-Signature X-Amz-Credential X-Goog-Signature X-Goog-Credential Signature AWSAccessKeyId password passwd pwd
    client_secret jwt auth authorization Proxy-Authorization bearer key code sas x-functions-key account_key
    subscription-key passphrase oauth session_id cookie %74oken
""".split()  # noqa: SIM905 -- quoted one by one, the words would take ten lines
OTHER_KEYS = """
    sha256 egg subdirectory rev tag branch q page download format version X-Amz-Date Expires keyword sortkey publickey
    author encode barcode passed compass
""".split()  # noqa: SIM905 -- the same


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        find_project(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://me:s3cret@index.example.org/simple", "https://index.example.org/?token=s3cret"]
)
def test_credentials_are_refused_wherever_they_stand_and_never_repeated(tmp_path: Path, address: str) -> None:
    shown = address.replace("me:s3cret", "***").replace("s3cret", "***")
    index = f'[[tool.uv.index]]\nname = "ours"\nurl = "{address}"\n'
    lock = projects.uv_lock(projects.SIX.replace("https://index.example.org/simple", address))
    said = refused(projects.make(tmp_path, projects.PYPROJECT + index, lock))
    assert "s3cret" not in said
    assert said.startswith(
        f"pyproject.toml: carries credentials in {shown}\n"
        "  hint: keep the address without them and put them into ~/.netrc: machine HOST login USER password SECRET"
    )
    assert f"uv.lock: carries credentials in {shown}" in said


@pytest.mark.parametrize("name", ["demo/uv.toml", "uv.toml", "pyproject.toml"])
def test_credentials_in_other_files_of_uv_s_settings(tmp_path: Path, name: str) -> None:
    root = projects.make(tmp_path / "demo")
    (tmp_path / ".git").mkdir()
    head = "[tool.uv]\n" if name == "pyproject.toml" else ""
    (tmp_path / name).write_text(f'{head}index-url = "https://me:s3cret@index.example.org/simple"\n')
    said = refused(root)
    assert said.startswith("uv.toml: carries credentials in https://***@index.example.org/simple\n")
    assert "s3cret" not in said


def test_the_token_of_a_badge_is_for_everybody(tmp_path: Path) -> None:
    urls = '[project.urls]\nCoverage = "https://example.org/badge.svg?token=abc"\n'
    root = projects.make(tmp_path, projects.PYPROJECT + urls)
    assert find_project(root).name == "demo-app"
    (root / "pyproject.toml").write_text(projects.PYPROJECT + urls.replace("https://", "https://me:s3cret@"))
    assert "carries credentials in https://***@example.org/badge.svg?token=***" in refused(root)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git+https://token@example.org/x.git", "https://***@example.org/x.git"),
        ("ssh://git:pass@example.org/x", "ssh://***@example.org/x"),
        ("HTTPS://u:p@example.org/x", "HTTPS://***@example.org/x"),
        ("https://u:p@ss@example.org/x", "https://***@example.org/x"),
        ("https://u:p@example.org/x?a=1", "https://***@example.org/x?a=1"),
        ("https://u:p@example.org/x?sig=s", "https://***@example.org/x?sig=***"),
        ("https://example.org/x.whl?a=1&sig=s#sha256=0", "https://example.org/x.whl?sig=***"),
        ("https://example.org/x.whl#sha256=0&token=s", "https://example.org/x.whl#token=***"),
        ("demo @ https://example.org/x.whl?token=s ; python_version > '3'", "https://example.org/x.whl?token=***"),
        ("https://example.org/x?a=1;token=s", "https://example.org/x?token=***"),
        ("git+ssh://git@example.org/x?token=s", "ssh://***@example.org/x?token=***"),
        ("ssh://git@example.org/x", None),
        ("https://example.org/x@1.0", None),
        ("https://example.org/?q=a@b", None),
        ("demo @ https://example.org/x", None),
        ("git+https://example.org/x.git?subdirectory=a&rev=main#0123", None),
    ],
)
def test_what_counts_as_credentials(text: str, shown: str | None) -> None:
    assert list(addresses.found(text)) == ([] if shown is None else [shown])


@pytest.mark.parametrize("place", "?#")
@pytest.mark.parametrize("key", SECRET_KEYS + OTHER_KEYS)
def test_which_keys_hold_a_secret(place: str, key: str) -> None:
    url = f"https://example.org/x.whl{place}a=1&{key}=v"
    assert bool(list(addresses.found(url))) is (key in SECRET_KEYS)
    assert addresses.in_parts(urlsplit(url)) == ("a token or signature" if key in SECRET_KEYS else None)


@given(st.text(alphabet="abc123%._~-", min_size=1), st.text(alphabet="xyz789%!$&*", min_size=1))
def test_no_password_survives(user: str, password: str) -> None:
    (shown,) = addresses.found(f'url = "https://{user}:{password}@example.org/a"')
    assert shown == "https://***@example.org/a"


@given(st.sampled_from(SECRET_KEYS[:-1]), st.text(min_size=1), st.booleans())
def test_no_token_survives(key: str, token: str, userinfo: bool) -> None:  # noqa: FBT001 -- from hypothesis
    user = "me:s3cret@" if userinfo else ""
    (shown,) = addresses.found(f'url = "https://{user}example.org/a?b=1&{key}={quote(token, safe="")}&c=2"')
    assert shown == f"https://{'***@' if userinfo else ''}example.org/a?{key}=***"


@pytest.mark.timeout(300)  # what is quadratic takes hours
@pytest.mark.parametrize("part", ["a.", "a+", "+", "-_.", "https://", "https://a@", "ssh://a:", "https://x?token", "@"])
@pytest.mark.parametrize("end", [" @", "@", "?", "https://a@b.example"])
def test_a_long_address_is_read_in_linear_time(part: str, end: str) -> None:  # case 36
    text = part * (400_000 // len(part)) + end
    assert all("s3cret" not in shown for shown in addresses.found(text))


def test_a_lock_of_megabytes() -> None:
    text = projects.uv_lock(*([projects.NUMPY] * 5000))
    assert not list(addresses.found(text))
    assert list(addresses.found(text + '\nurl = "https://example.org/?token=1"')) == ["https://example.org/?token=***"]
