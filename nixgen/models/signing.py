"""Signatures of models: sigstore bundles of the OpenSSF model signing format, by its own library (extra ``sign``).

An in-toto Statement about anything else is signed and checked by the same library, keys and bundles.

A model's signature is compared with the hashes that nixgen.lock pins, after the guard has found the files on the disk
to have them: nothing is hashed twice, and nothing else than what was verified is signed.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from nixgen import guard
from nixgen.errors import Finding, MachineError, UserError
from nixgen.formats.foreign import lookup
from nixgen.machine import extras

_HASH = "sha256"
_SHOWN = 12  # letters of a key's hash
_IN_TOTO = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"


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
    config = _signing(key, password)
    config.set_hashing_config(_Pinned(files))
    _asking(key, lambda: config.sign(Path(trees[0].folder), bundle))
    return report


def sign_statement(document: Mapping[str, Any], key: Path | None, *, password: str | None = None) -> str:
    """Signs an in-toto Statement; the bundle's text. Keys are as in :func:`sign`.

    The document's numbers must be none: the library's own form of it, which is signed, has floating point ones.
    """
    config = _signing(key, password)
    found = _module("in_toto_attestation.v1.statement").Statement([], "", {})
    _module("google.protobuf.json_format").ParseDict(dict(document), found.pb)
    found.validate()
    payload = SimpleNamespace(statement=found)
    signature = _asking(key, lambda: config._signer.sign(payload))  # noqa: SLF001 -- it signs models in public only
    return str(signature.bundle.to_json())


def verify_statement(data: bytes, name: str, signer: Signer) -> dict[str, Any]:
    """The in-toto Statement that ``signer`` signed with a bundle; ``name`` is the file's, for problems.

    Raises Finding when it is not signed or the signature is not good, UserError for what is no bundle of a statement.
    """
    config = _verifier(signer)
    if not statement(data, name).signed:
        raise Finding.of(name, "is not signed", "sign it: nixgen runs export --format in-toto --key FILE")
    kinds = _library("_signing.sign_sigstore" if config._uses_sigstore else "_signing.sign_sigstore_pb")  # noqa: SLF001 -- the library verifies models in public only
    with tempfile.TemporaryDirectory(prefix="nixgen-") as made:
        bundle = Path(made, "bundle")
        bundle.write_bytes(data)
        try:
            kind, payload = config._verifier._verify_signed_content(kinds.Signature.read(bundle))  # noqa: SLF001 -- the same
            found = json.loads(payload)
        except Exception as error:  # as in verify()
            said = " ".join(str(error).split()) or type(error).__name__
            raise Finding.of(name, f"is not a good signature: {said}") from error
    if kind != _IN_TOTO:
        raise Finding.of(name, f"is a signature over {kind}, not over a statement")
    return dict(found)


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto Statement as it was found; of a ``signed`` one the signature is still to be checked.

    ``signer`` is what its bundle says of who signed: a public key's hash, or a certificate.
    """

    document: Mapping[str, Any]
    signed: bool = False
    signer: Any = None

    @property
    def who(self) -> str:
        """The signer in words: a key by the beginning of its hash."""
        hint = lookup(self.signer, "publicKey", "hint")
        return f"the key {hint[:_SHOWN]}" if isinstance(hint, str) and hint else "the owner of a certificate"


def statement(data: bytes, name: str) -> Statement:
    """What a file says, a statement or a bundle of one; ``name`` is the file's. Raises UserError."""
    try:
        document = json.loads(data)
        found = _payload(document) if "dsseEnvelope" in document else document
        if found["_type"] == _STATEMENT:
            return Statement(found, found is not document, document.get("verificationMaterial"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError.of(name, "is neither an in-toto Statement nor a sigstore bundle of one")


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


def _signing(key: Path | None, password: str | None) -> Any:  # noqa: ANN401 -- not there when types are checked
    config = _library("signing").Config()
    if key is None:
        _asking(key, config.use_sigstore_signer)
    else:
        secret = password.encode() if password is not None else None
        _reading(key, lambda: config.use_elliptic_key_signer(private_key=key, password=secret))
    return config


def _verifier(signer: Signer) -> Any:  # noqa: ANN401 - the library's, which is not there when types are checked
    config = _library("verifying").Config()
    if signer.key is not None:
        _reading(signer.key, lambda: config.use_elliptic_key_verifier(public_key=signer.key))
    elif signer.identity and signer.issuer:
        who = {"identity": signer.identity, "oidc_issuer": signer.issuer}
        _asking(None, lambda: config.use_sigstore_verifier(**who))
    else:
        raise UserError.of("", "no expected signer", "add --key, or --identity and --issuer")
    return config


_MAKE = (
    "make a pair: openssl ecparam -genkey -name prime256v1 -noout -out release.pem; "
    "openssl ec -in release.pem -pubout -out release.pub"
)


def _reading(key: Path, use: Any) -> None:  # noqa: ANN401 - any function
    try:
        use()
    except OSError as error:
        raise UserError.of(str(key), f"cannot be read: {error.strerror}") from None
    except AttributeError:  # the library asks a key of another kind for its curve
        raise UserError.of(str(key), "is not a key of an elliptic curve", _MAKE) from None
    except (ValueError, TypeError) as error:
        raise UserError.of(str(key), f"is no key that can be used: {error}", _MAKE) from None


def _asking(key: Path | None, use: Callable[[], Any]) -> Any:  # noqa: ANN401 -- what it gives
    """Does what asks sigstore where there is no ``key``."""
    if key is not None:
        return use()
    try:
        return use()
    except Exception as error:  # a network, a browser, a person: the library raises what they do
        said = " ".join(str(error).split()) or type(error).__name__
        raise MachineError.of("sigstore", f"cannot be asked: {said}", "use a key: --key FILE") from error


def _payload(document: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """What a bundle is over, unverified. Raises ValueError, KeyError, TypeError."""
    return json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))


def _serialization(bundle: Path) -> Mapping[str, Any]:
    """How the bundle says that its hashes were made; the signature is checked afterwards."""
    try:
        found = _payload(json.loads(bundle.read_bytes()))["predicate"]["serialization"]
        if isinstance(found, dict):
            return found
    except OSError as error:
        raise UserError.of(str(bundle), f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError.of(str(bundle), "is not a sigstore bundle of a model's signature")


def _library(module: str) -> Any:  # noqa: ANN401 -- not there when types are checked
    return _module(f"model_signing.{module}")


def _module(name: str) -> Any:  # noqa: ANN401 -- the same
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MachineError.of(
            "", f"the library model-signing cannot be used: {error}", extras.install("sign")
        ) from None
