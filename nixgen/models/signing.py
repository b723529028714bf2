"""Signatures of models: sigstore bundles of the OpenSSF model signing format, by its own library (extra ``sign``).

The signature is compared with the hashes that nixgen.lock pins, after the guard has found the files on the disk to
have them: nothing is hashed twice, and nothing else than what was verified is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nixgen import guard
from nixgen.errors import Finding, MachineError, UserError

_LIBRARY = 'install it: uv tool install "nixgen[sign]"'
_HASH = "sha256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature is wanted: a public key's (PEM, elliptic curve), or an identity's that an issuer vouches for."""

    key: Path | None = None
    identity: str | None = None
    issuer: str | None = None


def verify(trees: Sequence[guard.Tree], bundle: Path, signer: Signer) -> tuple[str, ...]:
    """Checks that ``signer`` signed the files of the one artifact in ``trees``; the paths that it left out.

    The trees are those of a :func:`nixgen.guard.check` that found nothing. Raises Finding when the signature is not
    good, or is over other files; UserError for what cannot be read; MachineError when the library is missing.
    """
    name, files = _one(trees)
    config = _verifier(signer)
    pinned = _Pinned(files)
    serialization = _serialization(bundle)
    if serialization.get("method") != "files" or serialization.get("hash_type") != _HASH:
        what = f"is over {serialization.get('method')} with {serialization.get('hash_type')}, not files with {_HASH}"
        raise UserError.of(str(bundle), what, "sign it again: nixgen model sign")
    config.set_hashing_config(pinned)
    try:
        config.verify(Path(trees[0].folder), bundle)
    except Exception as error:  # the library's many dependencies raise what they like; all of it means no
        said = " ".join(str(error).split()) or type(error).__name__
        raise Finding.of(f"{name}: {bundle}", f"is not a good signature: {said}") from error
    return tuple(sorted(pinned.left_out))


def sign(trees: Sequence[guard.Tree], bundle: Path, key: Path | None, *, password: str | None = None) -> guard.Report:
    """Signs the files of the one artifact in ``trees`` and writes the bundle; what the check before it found.

    With a private ``key`` (PEM, elliptic curve) no network is used; without one, sigstore's keyless signing asks who
    you are. Raises Finding when a file on the disk is not the pinned one: nothing is signed then.
    """
    name, files = _one(trees)
    report = guard.check(trees)
    if not report.ok:
        raise Finding.of(name, f"is not signed: {report.text()}")
    signing = _library("signing")
    config = signing.Config()
    if key is None:
        config.use_sigstore_signer()
    else:
        secret = password.encode() if password is not None else None
        _reading(key, lambda: config.use_elliptic_key_signer(private_key=key, password=secret))
    config.set_hashing_config(_Pinned(files))
    config.sign(Path(trees[0].folder), bundle)
    return report


class _Pinned:
    """What the library asks for hashes: it gets the pinned ones, which the guard has compared with the disk."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._ignored: list[PurePosixPath] = []

    @property
    def left_out(self) -> list[str]:
        """The files that the signature says it does not cover."""
        return [path for path in self._files if any(PurePosixPath(path).is_relative_to(p) for p in self._ignored)]

    def add_ignored_paths(self, *, model_path: Path, paths: Iterable[str]) -> None:  # noqa: ARG002 - the library's
        """The library's way to say what a signature does not cover."""
        self._ignored += [PurePosixPath(path) for path in paths]

    def hash(self, model_path: Path, *, files_to_hash: object = None) -> Any:  # noqa: ANN401, ARG002 - the same
        """The manifest that the library compares or signs."""
        manifest = _library("manifest")
        digest = _library("_hashing.hashing").Digest
        left_out = set(self.left_out)
        items = [
            manifest.FileManifestItem(path=PurePosixPath(path), digest=digest(_HASH, bytes.fromhex(sha256)))
            for path, sha256 in sorted(self._files.items())
            if path not in left_out
        ]
        kind = {"method": "files", "hash_type": _HASH, "allow_symlinks": True}
        return manifest.Manifest(model_path.name, items, manifest.SerializationType.from_args(kind))


def _one(trees: Sequence[guard.Tree]) -> tuple[str, dict[str, str]]:
    """The artifact's name, and its files' hashes by its own paths."""
    names = sorted({tree.name for tree in trees})
    if len(names) != 1:
        raise UserError.of("", "a signature is one artifact's", f"name it: {', '.join(names) or 'nothing is pinned'}")
    tree = trees[0]
    start = tree.prefix
    files = {file.path.removeprefix(start): file.sha256 for file in tree.files if file.path.startswith(start)}
    return names[0], files


def _verifier(signer: Signer) -> Any:  # noqa: ANN401 - the library's, which is not there when types are checked
    config = _library("verifying").Config()
    if signer.key is not None:
        _reading(signer.key, lambda: config.use_elliptic_key_verifier(public_key=signer.key))
    elif signer.identity and signer.issuer:
        config.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.issuer)
    else:
        raise UserError.of("--signature", "whose it must be is not said", "add --key, or --identity and --issuer")
    return config


def _reading(key: Path, use: Any) -> None:  # noqa: ANN401 - any function
    try:
        use()
    except OSError as error:
        raise UserError.of(str(key), f"cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError.of(str(key), f"is no key that can be used: {error}", "an elliptic curve's, as PEM") from None


def _serialization(bundle: Path) -> Mapping[str, Any]:
    """How the bundle says that its hashes were made; the signature is checked afterwards."""
    try:
        document = json.loads(bundle.read_bytes())
        payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
        found = payload["predicate"]["serialization"]
        if isinstance(found, dict):
            return found
    except OSError as error:
        raise UserError.of(str(bundle), f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, binascii.Error):
        pass
    raise UserError.of(str(bundle), "is not a sigstore bundle of a model's signature")


def _library(module: str) -> Any:  # noqa: ANN401 - not there when types are checked
    import importlib

    try:
        return importlib.import_module(f"model_signing.{module}")
    except ImportError as error:
        raise MachineError.of("", f"the library model-signing cannot be used: {error}", _LIBRARY) from None
