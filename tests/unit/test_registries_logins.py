"""Files with logins and credential helpers that are broken, or mean harm."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.waiting import until

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.registries import logins

HOST = "a.example.org"


def found(tmp_path: Path, content: str | dict[str, Any]) -> logins.Login | None:
    place = tmp_path / "auth.json"
    place.write_text(content if isinstance(content, str) else json.dumps(content))
    return logins.login(HOST, "team/demo", {"REGISTRY_AUTH_FILE": str(place)})


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    place = tmp_path / "bin/docker-credential-mine"
    place.write_text("")
    place.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(logins, "_TIMEOUT", 0.3)
    return place


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        '{"auths": ' * 100_000,
        "[]",
        "\ufeff{}",
        '{"a": 1' + "0" * 5000 + "}",
        {"auths": {HOST: {"username": "\ud800", "password": "x"}}},
        {"auths": {HOST: {"username": "a", "password": "\ud800"}}},
        {"auths": {HOST: {"identitytoken": "\ud800"}}},
        {"auths": {HOST: {"auth": "%%"}}},
        {"auths": {HOST: {"auth": [1]}}},
        {"credsStore": "../../tmp/evil"},
        {"credsStore": "a b"},
        {"credHelpers": {HOST: "-x"}},
        {"credHelpers": {HOST: {"a": 1}}},
    ],
)
def test_a_broken_file_is_a_sentence_without_what_is_in_it(tmp_path: Path, content: str | dict[str, Any]) -> None:
    with pytest.raises(NixgenError, match=r"auth\.json") as raised:
        found(tmp_path, content)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("content", [{"auths": []}, {"auths": {HOST: "x"}}, {"auths": {HOST: {}}}, {"credHelpers": 1}])
def test_a_file_without_a_login_has_none(tmp_path: Path, content: dict[str, Any]) -> None:
    assert found(tmp_path, content) is None


def test_what_is_no_file_is_not_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            logins.login(HOST, "", {"REGISTRY_AUTH_FILE": str(place)})


@pytest.mark.parametrize(
    "program",
    [
        "exec yes",
        "yes >&2",
        "sleep 100 & wait",
        "trap '' TERM; sleep 100",
        "echo '['; exit 0",
        "head -c 3000000 /dev/zero",
        "printf '%.0s[' $(seq 100000)",
        """echo '{"Username": "\\ud800", "Secret": "x"}'""",
        """echo '{"Username": "a", "Secret": "\\ud800"}'""",
        "exit 3",
        "kill -9 $$",
    ],
)
def test_a_helper_that_hangs_or_prints_what_it_likes_is_a_sentence(
    tmp_path: Path, helper: Path, program: str, capfd: pytest.CaptureFixture[str]
) -> None:
    helper.write_text(f"#!/bin/sh\n{program}\n")
    with pytest.raises(MachineError, match="docker-credential-mine"):
        found(tmp_path, {"credsStore": "mine"})
    assert capfd.readouterr() == ("", "")


def runs(number: str) -> bool:
    try:
        return "zombie" not in Path("/proc", number, "status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("to", ["", ">&2"])
def test_what_an_endless_helper_has_started_ends_too(tmp_path: Path, helper: Path, to: str) -> None:
    """It would fill the disk for as long as there is room, without anybody to see it."""
    noted = tmp_path / "noted"
    helper.write_text(f"#!/bin/sh\nyes {to} &\necho $! > {noted}\nwait\n")
    with pytest.raises(MachineError, match="does not answer"):
        found(tmp_path, {"credsStore": "mine"})
    until(lambda: not runs(noted.read_text().strip()))


def test_what_a_helper_leaves_running_is_not_waited_for(tmp_path: Path, helper: Path) -> None:
    """An agent, which keeps its output open."""
    helper.write_text("""#!/bin/sh\nsleep 30 &\necho '{"Username": "mona", "Secret": "s"}'\n""")
    assert found(tmp_path, {"credsStore": "mine"}) == logins.Login("mona", "s")


def test_a_helper_reads_the_host_and_may_warn(tmp_path: Path, helper: Path) -> None:
    answer = '{"Username": "mona", "Secret": "%s"}'
    helper.write_text(f"#!/bin/sh\nread -r host\necho warning >&2\nprintf '{answer}' \"$host\"\n")
    assert found(tmp_path, {"credsStore": "mine"}) == logins.Login("mona", HOST)
    helper.write_text("#!/bin/sh\nexec <&-\necho 'credentials not found in native keychain'; exit 1\n")
    assert found(tmp_path, {"credsStore": "mine"}) is None
