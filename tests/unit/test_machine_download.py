"""The HTTP client: who is told a login, where redirects end, what a server may make it keep in memory."""

from __future__ import annotations

import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate
from pathlib import Path

import pytest
from support.loopback import Asked, Reply, listen
from support.tls import certified

from nixgen.artifacts.http.client import Client, parsed
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine import download
from nixgen.resolve import hashes

Serve = Callable[[Callable[[Asked], Reply]], str]
LOGIN = "Basic bWU6c2VjcmV0"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Somebody without any login or proxy; the seconds that were waited for."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NETRC", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(listen(lambda asked, _: answer(asked)))


def refusal(url: str, kind: type[NixgenError] = MachineError) -> str:
    with pytest.raises(kind) as caught, download.open_url(url) as stream:
        download.digest(stream)
    return str(caught.value)


def secured(stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Asked], Reply]) -> str:
    """The address of a server that speaks TLS, and that is believed."""
    context, bundle = certified(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return stack.enter_context(listen(lambda asked, _: answer(asked), tls=context))


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("sent", ["HTTP/1.1 200 OK\r\nX-Slow: ", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_server_that_sends_a_byte_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float], sent: str, *, tls: bool
) -> None:
    """Case 31: it keeps nobody for ever, neither with its headers nor with what follows them."""
    monkeypatch.setattr(download, "_HEAD", 0.5)
    monkeypatch.setattr(download, "_CHUNK", 0.5)
    context, bundle = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    left = threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with suppress(OSError), context.wrap_socket(connection, server_side=True) if tls else connection as talk:
            talk.recv(4096)
            talk.sendall(sent.encode())
            while not left.wait(0.01):
                talk.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            url = f"http{'s' if tls else ''}://127.0.0.1:{server.getsockname()[1]}/a"
            assert "sends too slowly: it was given up" in refusal(url)
        finally:
            left.set()
            dripping.join()
    assert not waits


@pytest.mark.parametrize("steps", [1, 2])
def test_https_is_never_followed_to_http(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Case 33: also not over another https address, and not when it is the first hash that is taken."""
    plain = serve(lambda _: Reply(body=b"evil"))
    with ExitStack() as stack:

        def answer(asked: Asked) -> Reply:
            left = int(asked.path[1:])
            return Reply(302, {"Location": f"/{left - 1}" if left > 1 else f"{plain}/x.whl"})

        url = secured(stack, tmp_path, monkeypatch, answer)
        with pytest.raises(MachineError) as caught:
            hashes.hash_urls([f"{url}/{steps}"])
    assert "the server answered 302: it redirects from https to http, where nixgen does not follow" in str(caught.value)


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        url = secured(stack, tmp_path, monkeypatch, lambda _: Reply(body=b"x"))
        with download.open_url(url) as stream:
            assert stream.read(10) == b"x"
        monkeypatch.setenv("NIX_SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.delenv("SSL_CERT_FILE")
        with download.open_url(url) as stream:
            assert stream.read(10) == b"x"
        monkeypatch.delenv("NIX_SSL_CERT_FILE")
        assert "certificate verify failed" in refusal(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
        assert refusal(url, UserError).startswith(f"SSL_CERT_FILE: names {tmp_path}/absent.pem, which holds no ")


def test_redirects_end(serve: Serve) -> None:
    """Case 31."""
    asked: list[str] = []

    def answer(one: Asked) -> Reply:
        asked.append(one.path)
        return Reply(302, {"Location": f"/{len(asked)}"})

    assert "it redirects more than 10 times" in refusal(serve(answer) + "/x")
    assert len(asked) == 11


@pytest.mark.parametrize("target", ["ftp://example.org/x", "file:///etc/passwd", "data:,x", "http://[::1", "//[::1"])
def test_redirects_to_what_is_not_the_web(serve: Serve, target: str) -> None:
    said = refusal(serve(lambda _: Reply(302, {"Location": target})) + "/x")
    assert "the server answered 302: it redirects from http to " in said


def test_pages_end(serve: Serve) -> None:
    """Case 31: each page names one that was not there before."""
    asked: list[str] = []

    def answer(one: Asked) -> Reply:
        asked.append(one.path)
        return Reply.json([], Link=f'<https://a.example.org>; rel="prev", </{len(asked)}>; rel="next"')

    client = Client()
    with pytest.raises(MachineError, match="the pages of its listing loop"):
        list(client.pages(serve(answer)))
    client.close()
    assert len(asked) == 1000


@pytest.mark.parametrize(
    ("start", "piece", "times", "end"),
    [
        (b"[", b"{},", 8_000_000, b"1]"),
        (b"", b"[", 20_000_000, b""),
        (b"", b"{", 20_000_000, b""),
        (b"", b"1", 6000, b""),
    ],
)
def test_json_takes_little_memory(start: bytes, piece: bytes, times: int, end: bytes) -> None:
    """Case 31: 24 MB of empty objects are 2 GB of Python's."""
    body = start + piece * times + end
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"."):
        parsed(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_an_endless_answer(serve: Serve) -> None:
    """Case 31: no Content-Length, or one that promises less or more than a machine has."""
    body = json.dumps("x" * (30 << 20)).encode()
    for length in (None, "9" * 5000, str(1 << 62)):
        headers = {"Content-Length": length} if length else {"Transfer-Encoding": "chunked", "Content-Length": ""}
        sent = body if length else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        url = serve(lambda _, headers=headers, sent=sent: Reply(200, headers, sent))  # type: ignore[misc]
        with pytest.raises(MachineError, match=r"the answer is longer than 24 MiB|cannot be read: "):
            Client().json(url)


def through_a_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str = "http_proxy") -> list[Asked]:
    """What a proxy sees."""
    seen: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply(401)

    monkeypatch.setenv(variable, serve(answer).replace("//", "//us:er@"))
    return seen


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_no_login_goes_over_http(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Case 26: not to a host that netrc names, and not the token of a client's own host."""
    seen = through_a_proxy(serve, monkeypatch, variable)
    (tmp_path / ".netrc").write_text("machine files.example.org login me password secret\n")
    assert refusal("http://files.example.org/a") == (
        "http://files.example.org/a: the server answered 401 Unauthorized\n"
        "  hint: use its https address: a login is never sent over http"
    )
    for home in ("http://files.example.org", "http://127.0.0.1:9"):  # the second, too, is sent through the proxy
        with pytest.raises(MachineError), Client(home, "t0ken").open(f"{home}/a"):
            pass
    assert [asked.target for asked in seen] == ["http://files.example.org/a"] * 2 + ["http://127.0.0.1:9/a"]
    assert [asked.token for asked in seen] == [None] * 3
    assert {asked.headers.get("Proxy-Authorization") for asked in seen} == {"Basic dXM6ZXI="}


def test_no_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = through_a_proxy(serve, monkeypatch)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with download.open_url(serve(lambda _: Reply(body=b"x"))) as stream:
        assert stream.read(10) == b"x"
    assert not seen
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    assert "socks5: proxies are not supported" in refusal("https://files.example.org/x", UserError)


def test_whose_login(serve: Serve, tmp_path: Path) -> None:
    """Case 26: netrc's entry for all other hosts is for none, and a client with a home asks for its own alone."""
    seen: list[str | None] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked.token)
        return Reply(302, {"Location": asked.path[1:]}) if len(asked.path) > 1 else Reply()

    url = serve(answer)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\ndefault login you password word\n")
    other = url.replace("127.0.0.1", "localhost")
    for client in (Client(), Client(url), Client(other), Client(other, "t0ken")):
        with client.open(f"{other}/{url}"):
            pass
        client.close()
    assert seen == [None, LOGIN, None, LOGIN, None, None, "Bearer t0ken", None]


def test_how_long_a_busy_server_is_waited_for(serve: Serve, waits: list[float]) -> None:
    replies = [
        Reply(503, {"Retry-After": "7"}),
        Reply(429, {"RateLimit": '"api";r=0;t=9'}),
        Reply(500, {"Retry-After": formatdate(time.time() - 60, usegmt=True)}),
        Reply(502, {"Retry-After": "9" * 5000}),
        Reply(body=b"x"),
    ]
    url = serve(lambda _: replies.pop(0))
    with download.open_url(url) as stream:
        assert stream.read(10) == b"x"
    assert waits == [7, 9, 0, 4]
    replies += [Reply(429, {"Retry-After": "3600"})]
    assert refusal(url).endswith("the server answered 429: too many requests\n  hint: try again in 3600 seconds")


def test_what_changes_something_is_asked_once(serve: Serve, waits: list[float]) -> None:
    url = serve(lambda _: Reply(503))
    with pytest.raises(MachineError, match="503 Service Unavailable to PUT"), Client().open(url, method="PUT"):
        pass
    assert not waits


@pytest.mark.parametrize(
    "url", ["https://[::1/x", "https:///x", "https://", "http://a:99999/x", "https://example.org\\@evil.example.org/"]
)
def test_what_is_not_an_address(url: str) -> None:
    """Case 35."""
    assert "is not an address" in refusal(url, UserError)


def test_the_client_is_loaded_when_it_is_needed() -> None:
    import subprocess
    import sys

    modules = "nixgen.cli, nixgen.machine.download, nixgen.artifacts.sources.hf"
    code = f"import sys, {modules}; sys.exit('urllib3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
