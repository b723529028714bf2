"""Caches that are no folder: a bucket, a web server, another machine's store behind ssh."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cachelab import CacheLab
from support import ssh

if TYPE_CHECKING:
    from support.nix import Nix

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nixgen.lock import lockfile

BUCKETS = (2, 33)  # older ones need a library that Debian builds them without


@pytest.fixture
def lab(nix: Nix, tmp_path: Path, store: Path) -> CacheLab:
    """A project on an empty store."""
    assert store.is_dir()
    return CacheLab.make(nix, tmp_path)


WRITING = threading.Lock()


def tag(file: Path) -> str | None:
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"' if file.is_file() else None


class Files(SimpleHTTPRequestHandler):
    """A folder behind a web server that takes uploads; it looks at conditions, unless it is ``careless``."""

    protocol_version = "HTTP/1.1"
    careless = False

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        target = Path(self.translate_path(self.path))
        wanted, none = self.headers["If-Match"], self.headers["If-None-Match"]
        with WRITING:
            found = tag(target)
            refused = (wanted not in {None, found} or (none and found)) and not self.careless
            if not refused:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        self.send_response(412 if refused else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def end_headers(self) -> None:
        if self.command == "GET" and (found := tag(Path(self.translate_path(self.path)))):
            self.send_header("ETag", found)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in http.server
        """Says nothing."""


@contextmanager
def web(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """The address of a server over a folder; with a certificate (and its key in the same file), a TLS one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certify(file: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)
    )
    return file


def keys_of(lab: CacheLab) -> list[str]:
    return ["--log-key", str(lab.keys / "log.pub"), "--public-key", str(lab.keys / "cache.pub")]


def test_a_folder_that_a_web_server_shows_is_read_over_https(lab: CacheLab) -> None:
    lab.pushed()
    certificate = certify(lab.folder / "loopback.pem")
    trusting = {"NIX_SSL_CERT_FILE": str(certificate), "SSL_CERT_FILE": str(certificate)}
    with web(lab.cache, certificate) as url:
        reader = replace(lab, env=trusting)
        code, report = reader.verdict(url, *keys_of(lab))
        assert (code, report["paths"], report["nars"]) == (0, 3, 3), json.dumps(report)
        assert report["notes"] == ["https:// cannot be listed: paths that are extra were not looked for."]
        other = replace(lab.other_machine(), env=trusting)
        assert "3 paths taken as they were logged" in other.must("pull", url, *keys_of(lab)).stdout
        # What Nix remembers of the server is not used: the change is seen at once.
        lab.edited("library")
        assert [kind for _, kind in reader.anomalies(url, *keys_of(lab))] == ["rewritten"]
        lab.sign("library")
        assert [kind for _, kind in reader.anomalies(url, *keys_of(lab))] == ["resigned"]
        lab.narinfo("library").unlink()
        assert [kind for _, kind in reader.anomalies(url, *keys_of(lab))] == ["missing"]


def test_a_web_server_that_takes_uploads(lab: CacheLab) -> None:
    folder = lab.folder / "uploads"
    folder.mkdir()
    lab.built().must("keygen")
    with web(folder) as url:
        assert "3 paths published" in lab.must("push", f"{url}?compression=none").stdout
        assert (folder / "nixgen-log/checkpoint").exists()
        assert "0 paths published, 3 were there" in lab.must("push").stdout
        # What is gone is brought again, although Nix remembers that it was there.
        for file in folder.glob("*.narinfo"):
            file.unlink()
        assert "3 paths published" in lab.must("push").stdout
        assert lab.verdict()[0] == 0


@pytest.mark.one_nix
def test_a_web_server_that_ignores_conditions_is_not_pushed_to(
    lab: CacheLab, monkeypatch: pytest.MonkeyPatch
) -> None:  # case 43
    monkeypatch.setattr(Files, "careless", True)
    folder = lab.folder / "uploads"
    folder.mkdir()
    lab.built().must("keygen")
    with web(folder) as url:
        done = lab.run("push", url)
        assert done.returncode == 2, done.tail()
        assert f"{url}/nixgen-log: ignores If-None-Match or If-Match, so two pushes" in done.stderr
        assert "keep the log elsewhere: --log file:///folder" in done.stderr
        assert {path.name for path in folder.rglob("*") if path.is_file()} <= {"conditions", "nix-cache-info"}
        assert "3 paths published" in lab.must("push", url, "--log", str(lab.folder / "log")).stdout


@pytest.mark.one_nix
def test_a_web_server_that_only_shows_files(lab: CacheLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Files, "do_PUT")  # Nix would make a cache of it
    (lab.folder / "site").mkdir()
    lab.built().must("keygen")
    with web(lab.folder / "site") as url:
        done = [lab.run("push", url), lab.run("verify", url, *keys_of(lab))]
    said = f"error: {url}: has no cache, and takes no uploads\n"
    said += "  hint: check the address; push to the folder or bucket behind it\n"
    assert [(one.returncode, one.stderr) for one in done] == [(3, said)] * 2


@pytest.mark.one_nix
def test_a_server_that_does_not_answer_is_the_machines_matter(lab: CacheLab) -> None:
    lab.pushed()
    with web(lab.cache) as url:
        gone = url
    done = lab.run("verify", gone, *keys_of(lab))
    assert done.returncode == 3, done.tail()
    assert "/nixgen-log/checkpoint: cannot be read: " in done.stderr


def readable(files: Any) -> None:
    """Lets everybody read: Debian's Nix does not sign what it asks a bucket for."""
    for row in files.objects.all():
        row.Acl().put(ACL="public-read")


def test_a_bucket(lab: CacheLab, bucket: tuple[str, Any]) -> None:
    settings, files = bucket
    lab.built().must("keygen")
    url = f"s3://team/cache?{settings}"
    if lab.nix.version < BUCKETS:
        done = lab.run("push", url)
        assert done.returncode == 3
        assert "this Nix cannot open s3:// stores" in done.stderr
        return
    assert "3 paths published" in lab.must("push", f"{url}&compression=none").stdout
    (pin,) = lockfile.read_lock(lab.project / "nixgen.lock").cache
    assert pin.url == url
    assert "cache/nixgen-log/checkpoint" in {row.key for row in files.objects.all()}
    readable(files)
    code, report = lab.verdict()
    assert (code, report["paths"], report["nars"], report["notes"]) == (0, 3, 3, []), report
    other = lab.other_machine()
    assert "3 paths taken as they were logged" in other.must("pull").stdout
    assert "0 paths published, 3 were there" in lab.must("push").stdout
    # A bucket can be listed: what is extra is found.
    extra = lab.folder / "more"
    extra.write_text("more\n")
    # Nix remembers in its cache what a bucket had, whatever its endpoint.
    lab.nix.with_env(XDG_CACHE_HOME=str(lab.folder / "fresh")).run("nix", "copy", "--to", url, lab.added(extra))
    files.Object(f"cache/{lab.name('library')[:32]}.narinfo").delete()
    readable(files)
    assert lab.anomalies() == [("library", "missing"), ("more", "extra")]


@pytest.mark.skipif(ssh.server() is None, reason="there is no sshd (Debian: openssh-server)")
def test_another_machines_store(lab: CacheLab, tmp_path: Path) -> None:
    lab.built().must("keygen")
    key = (lab.keys / "cache.pub").read_text().strip()
    far = lab.nix.with_store(tmp_path / "far/store").with_settings(trusted_public_keys=key)
    (tmp_path / "far/store/nix").mkdir(parents=True)
    with ssh.serve(tmp_path / "host", far) as host:
        near = replace(lab, env=host.environment)
        needs = near.run("push", host.url)
        assert needs.returncode == 2
        assert "a store behind ssh has no place for a log" in needs.stderr
        log = str(tmp_path / "log")
        assert "3 paths published" in near.must("push", host.url, "--log", log).stdout
        (pin,) = lockfile.read_lock(lab.project / "nixgen.lock").cache
        assert (pin.url, pin.log) == (host.url, f"file://{log}")
        code, report = near.verdict()
        assert (code, report["paths"], report["nars"]) == (0, 3, 3), json.dumps(report)
        assert "0 paths published, 3 were there" in near.must("push").stdout
        other = replace(near.other_machine(), env=host.environment)
        assert "3 paths taken as they were logged" in other.must("pull").stdout
        # A bit flips on the other machine's disk: its database does not know.
        real = far.real(lab.paths()["library"])
        real.chmod(0o644)
        real.write_text("evil\n")
        assert near.anomalies() == [("library", "rewritten")]
