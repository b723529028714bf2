"""Answers of the interfaces of hubs, forges and registries: JSON, in pages, with a limit to all of it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from nixgen.errors import MachineError
from nixgen.machine import download
from nixgen.machine.addresses import origin
from nixgen.machine.download import Answer, Headers

__all__ = ["Answer", "Client", "parsed"]

_LONGEST = 24 << 20  # bytes of one answer; the largest listings of the hub's are some MiB a page
_HEAVIEST = 100 << 20  # bytes of what is made of it
_MOST_PAGES = 1000
_NEXT = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r';\s*rel="?next\b')


class Client(download.Client):
    """Asks servers for JSON. See :class:`nixgen.machine.download.Client`."""

    def json(self, url: str, headers: Headers | None = None) -> tuple[Any, Answer]:
        """The JSON that an address answers with, and its headers. Raises MachineError for half an answer."""
        with self.open(url, {"Accept": "application/json", **(headers or {})}) as answer:
            data = answer.whole(_LONGEST)
        try:
            if answer.length in (None, len(data)):
                return parsed(data), answer
        except ValueError:
            pass
        shown = download.without_query(url)
        raise MachineError.of(shown, "the answer is cut off or is not JSON", "run the command again")

    def pages(self, url: str) -> Iterator[Any]:
        """Each page of a listing, by the Link header (RFC 8288, rel="next"), which must stay with its origin."""
        seen: set[str] = set()
        following: str | None = url
        while following:
            if following in seen or len(seen) >= _MOST_PAGES or origin(following) != origin(url):
                raise MachineError.of(download.without_query(url), "the pages of its listing loop", "tell its host")
            seen.add(following)
            page, answer = self.json(following)
            yield page
            links = _NEXT.finditer(answer.headers.get("Link", ""))
            target = next((link[1] for link in links if _REL.search(link[2])), None)
            with contextlib.suppress(ValueError):  # one that is no address is refused above
                target = urljoin(following, target) if target else None
            following = target


def parsed(data: bytes) -> Any:  # noqa: ANN401 -- whatever JSON it is
    """JSON from a server. Raises ValueError for what is none, and for what would take too much memory."""
    # What each value takes at least (CPython): an object is by far the largest for its bytes.
    weight = 2 * len(data) + 200 * data.count(b"{") + 64 * data.count(b"[") + 40 * data.count(b",")
    if weight > _HEAVIEST:
        raise ValueError("too many values")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
