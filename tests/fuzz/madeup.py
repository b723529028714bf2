"""Reads made-up answers of servers, or made-up archives: anything but a sentence ends it with the seed.

Usage: madeup.py answers|archives FOLDER SEED COUNT SECONDS; with SECONDS it goes on for as long. It may use 300 MB.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import resource
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.sources import archive

from nixgen.artifacts.http.client import Client
from nixgen.artifacts.http.transfer import Wanted, read
from nixgen.artifacts.sources import archive as archives
from nixgen.artifacts.sources import oci
from nixgen.errors import NixgenError

MEMORY = 300_000_000
MEMBERS = {"pkg/model.onnx": b"abc" * 1000, "pkg/sub/labels.txt": b"a\nb\n", "x" * 150 + "/é.bin": b"q"}
ANSWERS = [
    b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nLink: <http://HOST/x>; rel="next"\r\nETag: "a"\r\n\r\n[1, 2, 3]',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1, 2, 3]\r\n0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
    b'HTTP/1.1 429 Busy\r\nRateLimit: "a";r=0;t=3\r\nContent-Length: 2\r\n\r\nxx',
    b"HTTP/1.1 206 Part\r\nContent-Range: bytes 3-8/9\r\nContent-Length: 6\r\n\r\n 2, 3]",
    b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://HOST/t",service="x"\r\nContent-Length: 0\r\n\r\n',
]
ODD = [b"9" * 5000, b"\r\n", b": ", b"<>;", b"http://[::1", b"//", b"-", b"\xff\xfe", b"Location: http://u:p@h/\r\n"]


def changed(good: bytes, chance: random.Random) -> bytes:
    """The bytes with some of them others, gone or new."""
    data = bytearray(good)
    for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
        at, what = chance.randrange(len(data) + 1), chance.random()
        if what < 0.5:
            data[at : at + 1] = bytes([chance.choice([0, 255, 128, 10, 13, 32, 57, chance.randrange(256)])])
        elif what < 0.7:
            del data[at : at + chance.choice([1, 10, 100, 512])]
        elif what < 0.85:
            data[at:at] = chance.choice(ODD)
        else:
            data[at:at] = chance.randbytes(chance.choice([1, 8, 512]))
    return bytes(data)


def archive_reader(folder: Path) -> Callable[[random.Random], None]:
    good = [archive(kind, MEMBERS) for kind in ("zip", "tar", "tar.gz", "tar.xz", "tar.bz2")]
    with tarfile.open(fileobj=(out := io.BytesIO()), mode="w", format=tarfile.GNU_FORMAT) as old:
        for name, content in MEMBERS.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            old.addfile(entry, io.BytesIO(content))
    good.append(out.getvalue())
    path = folder / "made-up"

    def one(chance: random.Random) -> None:
        path.write_bytes(changed(chance.choice(good), chance))
        with archives.opened(path, "here") as members:
            for name in members.names:
                with members.open(name) as stream:
                    while stream.read(1 << 20):
                        pass

    return one


def answer_reader(_folder: Path) -> Callable[[random.Random], None]:
    os.environ["HOME"] = os.devnull
    time.sleep = lambda _: None
    server = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{server.getsockname()[1]}"
    given: list[random.Random] = []

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                connection.recv(1 << 16)
                connection.sendall(changed(given[-1].choice(ANSWERS).replace(b"HOST", host.encode()), given[-1]))

    threading.Thread(target=serve, daemon=True).start()

    def one(chance: random.Random) -> None:
        given.append(chance)
        client = Client(f"http://{host}")
        what = chance.randrange(3)
        try:
            if what == 0:
                list(itertools.islice(client.pages(f"http://{host}/a"), 4))
            elif what == 1:
                read(Wanted(f"http://{host}/a", "a", "here", None, 9), client, None)
            else:
                registry, by = oci._opened(f"oci:{host}/a:b", "here")
                oci._manifest(registry, by, "here")
        finally:
            client.close()
            given.clear()
            given.append(chance)

    return one


def main(what: str, folder: Path, seed: int, count: int, seconds: float) -> None:
    one = {"answers": answer_reader, "archives": archive_reader}[what](folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    until = time.monotonic() + seconds
    for number in itertools.count(seed):
        if number - seed >= count and time.monotonic() >= until:
            break
        try:
            one(random.Random(number))
        except NixgenError:
            pass
        except BaseException:
            print(f"{what}: seed {number}", file=sys.stderr)
            raise


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
