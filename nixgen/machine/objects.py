"""Object stores, by obstore (extra ``remote``): opening one with the credentials that the store's own tools find.

obstore reads the variables of S3, GCS and Azure, and what their virtual machines and containers are given; what it does
not read is the AWS tools' files, which is done here for keys that stand in them.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine import extras
from nixgen.machine.addresses import confidential, loopback, origin

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint",
}
_SHOWN = 200  # letters of an error
_CREDENTIALS = (
    "the credentials come from where the store's own tools have them (for s3: AWS_PROFILE, ~/.aws); to an endpoint that"
    " only the project names they go where you name it, too: AWS_ENDPOINT_URL"
)
Failed = Callable[[type[NixgenError], str, str], NixgenError]
"""Makes an error of its class, what is wrong, and what mends it."""


def open_store(
    url: str, settings: Mapping[str, str], *, where: str = "", extra: str = "remote", own: bool = True
) -> ObjectStore:
    """The store at an address like ``s3://bucket/prefix``; paths are relative to the prefix.

    ``settings`` are those of Nix's S3 stores (Nix manual, "S3 Binary Cache Store"): endpoint, scheme, region, profile.
    ``own`` says that the user named the endpoint: what only a project names is asked without a signature, unless it is
    AWS, this machine, or what the user's own variables name, too.
    Raises UserError, at ``where`` (else the address), where the library is missing, or the address or profile is none.
    """
    scheme, where = url.partition(":")[0], where or url
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise UserError.of(where, f"{scheme}: needs a library that is not here", extras.install(extra)) from None
    config = _s3(where, settings) if scheme == "s3" else {}
    if not own and not signed(config.get("endpoint") if settings.get("endpoint") else None):
        config = {"endpoint": config["endpoint"], "skip_signature": True}
    client: Any = {
        "allow_http": str(config.get("endpoint", "")).startswith("http://"),
        "timeout": timedelta(days=1),  # of a whole answer, which may be large
        "read_timeout": timedelta(seconds=60),
    }
    retry: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
    opened: Callable[..., ObjectStore] = from_url
    try:
        return opened(url, config=config, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise UserError.of(where, f"{url} cannot be opened: {_sentence(error)}", "check the address") from None


def signed(endpoint: str | None) -> bool:
    """Whether an endpoint of a project gets requests with the user's signature (and session token)."""
    host = urlsplit(endpoint or "").hostname or ""
    own = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn")) and confidential(str(endpoint))
    return not endpoint or loopback(host) or aws or origin(endpoint) in [origin(one) for one in own if one]


@contextmanager
def guarded(failed: Failed) -> Iterator[None]:
    """Turns the library's errors into sentences, but for those that a condition failed."""
    from obstore import exceptions

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except FileNotFoundError:
        raise failed(UserError, "there is no such object", "check the address, and the endpoint") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise failed(MachineError, "may not be read or written", _CREDENTIALS) from None
    except exceptions.BaseError as error:
        if "status code: 404" in str(error):  # of a bucket
            raise failed(UserError, "there is no such object", "check the address, and the endpoint") from None
        mend = "check the network, the endpoint and the credentials"
        raise failed(MachineError, f"cannot be read or written: {_sentence(error)}", mend) from None


def _sentence(error: Exception) -> str:
    """What an error says last in its first line: the others say all of it again."""
    return str(error).splitlines()[0].rpartition(" - ")[2].strip(" :")[:_SHOWN]


def _s3(where: str, settings: Mapping[str, str]) -> dict[str, Any]:
    found = _profile(where, settings.get("profile"))
    if endpoint := settings.get("endpoint"):
        found["endpoint"] = endpoint if "://" in endpoint else f"{settings.get('scheme', 'https')}://{endpoint}"
    elif variable := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        found["endpoint"] = variable
    if region := settings.get("region"):
        found["region"] = region
    return found


def _profile(where: str, named: str | None) -> dict[str, Any]:
    """What the AWS tools' files say of a profile: the one that is named, or the default where no variable has a key."""
    name = named or os.environ.get("AWS_PROFILE")
    if name is None and "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    files = {
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config": f"profile {name}" if name else "default",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials": name or "default",
    }
    found: dict[str, Any] = {}
    for file, section in files.items():
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(Path(os.path.expanduser(file)), encoding="utf-8")  # noqa: PTH111 -- without a home, it stays
        except (configparser.Error, UnicodeDecodeError, OSError):
            raise UserError.of(file, "cannot be read", "mend it, or name another with AWS_CONFIG_FILE") from None
        for key in (section, "default") if name == "default" else (section,):
            if parser.has_section(key):
                found |= {_KEYS[row]: value for row, value in parser.items(key) if row in _KEYS}
    if name is not None and "secret_access_key" not in found:
        mend = f'eval "$(aws configure export-credentials --profile {name} --format env)"; unset AWS_PROFILE'
        raise UserError.of(where, f"the profile {name} of ~/.aws has no key in it (SSO, a role, or no profile)", mend)
    return found
