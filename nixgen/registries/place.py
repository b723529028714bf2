"""Where something is in a registry: HOST/NAME:TAG, as people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from nixgen.errors import UserError
from nixgen.machine.addresses import loopback

HUB = "registry-1.docker.io"
REALMS = {HUB: "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
"""Registries whose tokens come from another host, which has their users' logins."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
_PLACE = re.compile(rf"([\w.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/({_NAME})(?::({_TAG}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A repository: the registry's host, and the name in it; ``tag`` where the address has one."""

    host: str
    name: str
    tag: str = ""

    @classmethod
    def of(cls, text: str) -> Place:
        """HOST/NAME[:TAG], also behind docker:// or oci:. Raises UserError."""
        found = _PLACE.fullmatch(re.sub(r"^(docker://|oci://|oci:)", "", text))
        if found is None or len(found[2]) > 255:  # noqa: PLR2004 -- as the specification has it
            mend = "write HOST/NAME or HOST/NAME:TAG, in small letters: registry.example.org/team/demo:1.2"
            shown = re.sub(r".*@(?!sha\d+:)", "***@", re.split("[?#]", text)[0], flags=re.DOTALL)  # a login, perhaps
            raise UserError.of(shown, "is no place in a registry", mend)
        host, name = found[1], found[2]
        if host in ("docker.io", "index.docker.io"):
            host, name = HUB, name if "/" in name else f"library/{name}"
        return cls(host, name, found[3] or "")

    @property
    def root(self) -> str:
        """The registry's address. One on this machine itself speaks plain HTTP."""
        return f"{'http' if loopback(urlsplit(f'//{self.host}').hostname or '') else 'https'}://{self.host}"

    @property
    def realm(self) -> str:
        """The host that has its users' logins."""
        return REALMS.get(self.host, self.host)

    def url(self, kind: str, by: str) -> str:
        """The address of a manifest, blob, upload or list of referrers."""
        return f"{self.root}/v2/{self.name}/{kind}/{by}"

    def tags(self, more: Iterable[str] = ()) -> tuple[str, ...]:
        """What an image is called there: the address' own tag, and ``more``. Raises UserError for what is none."""
        return tuple(dict.fromkeys(filter(None, (self.tag, *map(_tagged, more)))))


def reference(text: str) -> tuple[Place, str]:
    """What HOST/NAME[:TAG][@sha256:…] names: the place, and the digest or tag in it, "latest" without. UserError."""
    named, at, digest = text.partition("@")
    place = Place.of(named)
    if at and not DIGEST.fullmatch(digest):
        raise UserError.of(text, "has another digest than sha256", "write HOST/NAME@sha256:…, or a tag")
    return place, digest or place.tag or "latest"


def version_tag(version: str) -> str:
    """A version as a tag, which has no plus sign: 1.0+cu126 is 1.0_cu126."""
    return re.sub(r"[^\w.-]", "_", version, flags=re.ASCII)


def _tagged(tag: str) -> str:
    """A tag, as it is. Raises UserError for what is none."""
    if not re.fullmatch(_TAG, tag, re.ASCII):
        raise UserError.of(f"--tag {tag}", "is no tag", "use letters, digits and ._- (at most 128)")
    return tag
