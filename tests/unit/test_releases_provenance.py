"""provenance.json of a published version: the statement about its run, signed or not, and what is refused."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import test_releases_commands as commands
from exported import keys, sha256

Home, home = commands.Home, commands.home
needs_sign = pytest.mark.skipif(find_spec("model_signing") is None, reason="needs the extra sign")


def text(home: Home, version: str) -> str:
    return (home.root / "registry/demo/fraud" / version / "provenance.json").read_text()


def test_the_statement_is_published(home: Home) -> None:
    home.told("init")
    home.publish(1, "1.0.0")
    document = json.loads(text(home, "1.0.0"))
    assert document["subject"] == [{"name": "model.bin", "digest": {"sha256": sha256(b"weights")}}]
    record = sha256((home.root / "runs/20261103-120001-abcdef/run.yaml").read_bytes())
    assert document["predicate"]["runDetails"]["byproducts"][0]["digest"] == {"sha256": record}
    checksums = (home.root / "registry/demo/fraud/1.0.0/checksum.txt").read_text()
    assert f"{sha256(text(home, '1.0.0').encode())}  provenance.json" in checksums
    (home.root / "registry/demo/fraud/1.0.0/provenance.json").write_text("{}")
    assert "provenance.json: has SHA-256" in home.told("verify", code=1)[1]


@needs_sign
def test_signed(home: Home, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "key")
    _, other = keys(tmp_path, "other")
    home.told("init")
    run = home.run(1)
    publish = ("publish", run, "fraud", "--version", "1.0.0")
    home.told(*publish, "--sign", str(private))
    assert json.loads(text(home, "1.0.0"))["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    out, _ = home.told("verify", "--signed-by", str(public))
    assert "1 versions of 1 models" in out
    assert (
        "provenance.json: is not a good signature: Key mismatch"
        in home.told("verify", "--signed-by", str(other), code=1)[1]
    )
    assert "nothing: cannot be read" in home.told("verify", "--signed-by", "nothing", code=2)[1]
    for more in ((), ("--sign", str(private))):
        assert "published already, with equal bytes" in home.told(*publish, *more)[0]
    another, _ = keys(tmp_path, "another")
    assert "is published with different bytes" in home.told(*publish, "--sign", str(another), code=1)[1]
    home.publish(2, "1.1.0")
    home.told("verify")
    assert "fraud/1.1.0/provenance.json: is not signed" in home.told("verify", "--signed-by", str(public), code=1)[1]
    found = home.json("show", "fraud@1.0.0")
    assert "provenance.json" in found["files"]


@needs_sign
def test_a_statement_of_another_run(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may publish, and has no signing key, puts a statement that is good for other files beside theirs."""
    from nixgen.releases import provenance

    private, public = keys(tmp_path, "key")
    home.told("init")
    home.told("publish", home.run(1), "fraud", "--version", "1.0.0", "--sign", str(private))
    good = text(home, "1.0.0").encode()
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "document", lambda *_: good)
        home.publish(2, "1.1.0", content=b"others")
        home.publish(3, "1.2.0")
    said = home.told("verify", "--signed-by", str(public), code=1)[1]
    assert "fraud/1.1.0/provenance.json: is signed, and about other files: those of run 20261103-120001-abcdef" in said
    assert "fraud/1.2.0/provenance.json: is signed, and about another run: 20261103-120001-abcdef" in said
    assert "1.0.0" not in said
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "document", lambda *_: b"[]")
        home.publish(4, "2.0.0")
    assert "2.0.0/provenance.json: is neither" in home.told("verify", "--signed-by", str(public), code=1)[1]


@needs_sign
def test_a_promotion_can_ask_for_it(home: Home, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "key")
    home.told("init")
    (home.root / "promotion.toml").write_text('version = 1\n[aliases.prod]\nsigned = "keys/release.pub"\n')
    home.told("publish", home.run(1), "fraud", "--version", "1.0.0")
    home.told("publish", home.run(2), "fraud", "--version", "1.1.0", "--sign", str(private))
    said = home.told("promote", "fraud@1.1.0", "prod", code=1)[0]
    assert "FAILS  signed" in said
    assert "cannot be read: No such file" in said
    (home.root / "keys").mkdir()
    (home.root / "keys/release.pub").write_bytes(public.read_bytes())
    assert "is not signed  by keys/release.pub" in home.told("promote", "fraud@1.0.0", "prod", code=1)[0]
    said = home.told("promote", "fraud@1.1.0", "prod")[0]
    assert "ok  signed     it is         by keys/release.pub" in said
    (home.root / "promotion.toml").write_text('version = 1\n[aliases.prod]\nsigned = ""\n')
    assert "promotion.toml: aliases.prod.signed: " in home.told("promote", "fraud@1.1.0", "prod", code=2)[1]


@needs_sign
def test_a_fetched_version_is_verified_without_its_project(home: Home, tmp_path: Path) -> None:
    from support.program import nixgen

    private, public = keys(tmp_path, "key")
    home.told("init")
    home.told("publish", home.run(1), "fraud", "--version", "1.0.0", "--sign", str(private))
    out = tmp_path / "fetched"
    home.told("fetch", "fraud@1.0.0", "--out", str(out))
    words = ("runs", "verify", str(out / "provenance.json"), "--key", str(public), "--path", str(out))
    done = nixgen(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout[-50:]) == (0, "1 outputs are those of run 20261103-120001-abcdef\n"), (
        done.stderr
    )
