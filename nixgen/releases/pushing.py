"""Copies an OCI image layout into a registry of artifacts, with skopeo, which has the logins of docker and podman."""

from __future__ import annotations

import re
from pathlib import Path

from nixgen.errors import MachineError, UserError
from nixgen.machine import process
from nixgen.machine.addresses import loopback

_PLACE = re.compile(
    r"(?P<host>[\w.-]+(?::[0-9]+)?)/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?", re.ASCII
)
_INSTALL = "install skopeo (apt-get install skopeo, nix profile install nixpkgs#skopeo), or push what --out writes"


def checked(place: str, version: str) -> str:
    """The place that ``--push`` names, with the version as its tag where it has none. Raises UserError."""
    found = _PLACE.fullmatch(place.removeprefix("docker://"))
    if found is None:
        mend = "write it like registry.example.org/team/name:1.2.0"
        raise UserError.of(place, "is no place in a registry of artifacts", mend)
    # A tag has no plus sign (OCI distribution specification, "Pulling manifests").
    return f"{found['host']}/{found['name']}:{found['tag'] or version.replace('+', '_')}"


def push(layout: Path, place: str) -> None:
    """Copies a layout's one manifest to a place, its bytes unchanged. Raises MachineError."""
    insecure = ["--dest-tls-verify=false"] if loopback(place.partition("/")[0].partition(":")[0]) else []
    # The policy is about where images come from, and this one comes from here.
    command = ["skopeo", "--insecure-policy", "copy", "--preserve-digests", *insecure]
    done = process.run(
        [*command, f"oci:{layout.name}", f"docker://{place}"], cwd=layout.parent, check=False, missing=_INSTALL
    )
    if done.code != 0:
        mend = f"check the name, and log in: skopeo login {place.partition('/')[0]}"
        raise MachineError.of(place, f"cannot be pushed to\n{done.tail()}", mend)
