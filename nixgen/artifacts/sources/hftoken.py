"""The user's token for the Hugging Face hub, from where huggingface_hub finds it. Never written, shown or passed on.

It is for the hub that the user named, and not for one that only a project names. huggingface_hub's documentation,
"Environment variables" and "Authentication".
"""

from __future__ import annotations

import os
from pathlib import Path

from nixgen.errors import MachineError, UserError
from nixgen.machine.addresses import origin

ENDPOINT = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else the public one; without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")


def trusted(hub: str) -> bool:
    """Whether a hub is one that the user has a token for: the public one, or that of HF_ENDPOINT.

    An endpoint of models.toml is the project's word, whoever wrote it.
    """
    return origin(hub) in (origin(ENDPOINT), origin(endpoint()))


def token() -> str | None:
    """HF_TOKEN, HUGGING_FACE_HUB_TOKEN, else the file HF_TOKEN_PATH, HF_HOME/token or ~/.cache/huggingface/token.

    With HF_OIDC_RESOURCE set (trusted publishing in CI) huggingface_hub itself is asked, which must then be installed
    beside nixgen. None where there is no token, and where HF_HUB_DISABLE_IMPLICIT_TOKEN is set.
    """
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in _TRUE:
        return None
    if os.environ.get("HF_OIDC_RESOURCE"):
        return _from_library()
    named = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    return _clean(named or _from_file(token_path()))


def token_path() -> Path:
    """The file that ``hf auth login`` writes the token to."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    home = os.environ.get("HF_HOME") or str(Path(cache, "huggingface"))
    named = os.environ.get("HF_TOKEN_PATH") or str(Path(home, "token"))
    return Path(os.path.expandvars(named)).expanduser()


def _from_file(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise MachineError.of(str(path), "cannot be read", "make it readable, or run: hf auth login") from None


def _from_library() -> str | None:
    try:
        import huggingface_hub  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        mend = "install huggingface_hub beside nixgen, or unset it and set HF_TOKEN"
        raise UserError.of("HF_OIDC_RESOURCE", "asks for a token that huggingface_hub fetches", mend) from None
    try:
        found: str | None = huggingface_hub.get_token()
    except Exception as error:  # noqa: BLE001 -- another library's own errors, whichever version it is
        raise MachineError.of("HF_OIDC_RESOURCE", f"huggingface_hub got no token: {type(error).__name__}") from None
    return found


def _clean(found: str | None) -> str | None:
    """A token without blanks and line ends, which an editor may have put there; an empty one is none."""
    cleaned = found.replace("\r", "").replace("\n", "").strip() if found else ""
    if not cleaned.isascii() or not cleaned.isprintable():
        raise UserError.of("HF_TOKEN", "holds characters that no token has", "set it anew")
    return cleaned or None
