"""Nix's structured log: what is fetched, what is built, how much is left, and what failed.

``--log-format internal-json`` prints lines of ``@nix`` and a JSON object. Activities start and stop and have results
between; numbers say of which kind they are (Nix's src/libutil/include/nix/util/logging.hh: ActivityType, ResultType).
They have stood since Nix 2.4; kinds that are not known here are passed over.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

PREFIX = "@nix "
TAIL = 20
"""How many of the last lines of a log are kept."""

_KEPT = 100  # logs of builds that ended
_MOST_TELLING = 50  # the first lines that say what is missing; the last lines of a long log are about what followed
TELLING = re.compile(
    r"fatal error|no such file|not found|no package|no module named|unknown compiler|system library|could not find"
    r"|n(?:o|')t (?:find|open|be found|be imported|met|installed)|unable to (?:find|execute)|lookup for|make sure"
    r"|executable is|must be installed|could be found|aborting",
    re.IGNORECASE,
)
"""A line of a build's output that may say what it did not find."""

_COPY, _TRANSFER, _REALISE, _COPIES, _BUILDS, _BUILD = 100, 101, 102, 103, 104, 105  # ActivityType
_LINE, _PROGRESS, _EXPECTED = 101, 105, 106  # ResultType
_ERROR = 0  # Verbosity
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DRV = re.compile(r"'([^'\s]+\.drv)'")
_HASHES = re.compile(r"specified:\s*(\S+)\s+got:\s*(\S+)")
_DEPENDENCY = re.compile(r"dependenc(?:y|ies) (?:of derivation|failed)|failed dependenc|^build of '.*' failed$")
_PRINTED = re.compile(r"\n\s*[Ll]ast \d+ log lines:")
_RETRIED = re.compile(r"unable to download '([^']*)': (.*); retrying in ")


@dataclass(frozen=True, slots=True)
class Failure:
    """A derivation that failed: its .drv, Nix's own sentence, and the last lines of its log.

    ``telling`` are the lines before these, in their order, that may say what the build did not find.
    ``hashes`` are the pinned and the found one (SRI) where a file is another than the one that was asked for. ``drv``
    is "" for what is not the failure of one derivation.
    """

    drv: str
    reason: str
    log: tuple[str, ...] = ()
    hashes: tuple[str, str] | None = None
    telling: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """How far it is. Counts are derivations to build and paths to fetch; sizes are bytes that go over a network.

    ``running`` are the .drv files that are built at this moment, the latest last; ``ended`` says that Nix ended.
    """

    built: int = 0
    to_build: int = 0
    fetched: int = 0
    to_fetch: int = 0
    done_bytes: int = 0
    expected_bytes: int = 0
    running: tuple[str, ...] = ()
    ended: bool = False


@dataclass(slots=True)
class _Activity:
    kind: int
    drv: str = ""
    done: int = 0
    expected: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    telling: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if len(self.lines) == TAIL and len(self.telling) < _MOST_TELLING and TELLING.search(self.lines[0]):
            self.telling.append(self.lines[0])
        self.lines.append(line)


class Log:
    """Takes the lines of a log one after another, and knows what they come to."""

    def __init__(self) -> None:
        self._activities: dict[int, _Activity] = {}
        self._logs: dict[str, _Activity] = {}
        self._expected: dict[int, int] = {}
        self._left = [0, 0]  # bytes of transfers that are over: done and expected
        self._counts = {_BUILDS: (0, 0), _COPIES: (0, 0)}
        self._failures: dict[str, tuple[str, tuple[str, str] | None]] = {}
        self._dependents: dict[str, str] = {}
        self.messages: deque[str] = deque(maxlen=TAIL)
        """The last messages that were no failure of a derivation."""
        self._errors: list[tuple[str, bool]] = []
        self.retried: list[tuple[str, str]] = []
        """Downloads that did not work and are tried again: the address, and why."""

    def feed(self, line: str) -> None:
        """Takes one line; what is no line of the structured log is a message."""
        event = _event(line)
        if event is None:
            if line.strip():
                self._message(_sentence(line), _ERROR if line.startswith("error:") else _ERROR + 1)
            return
        action, number = event.get("action"), event.get("id")
        if action == "msg":
            text = event.get("raw_msg") or event.get("msg")
            if isinstance(text, str):
                self._message(_sentence(text), event.get("level"))
        elif action == "start" and isinstance(number, int):
            self._start(number, event)
        elif action == "stop" and isinstance(number, int):
            self._stop(number)
        elif action == "result" and isinstance(number, int):
            self._result(number, event.get("type"), event.get("fields"))

    def state(self, *, ended: bool = False) -> State:
        """How far it is now."""
        transfers = [one for one in self._activities.values() if one.kind in {_COPY, _TRANSFER}]
        done = self._left[0] + sum(one.done for one in transfers)
        own = self._left[1] + sum(one.expected for one in transfers)
        built, to_build = self._counts[_BUILDS]
        fetched, to_fetch = self._counts[_COPIES]
        return State(
            built=built,
            to_build=max(built, to_build),
            fetched=fetched,
            to_fetch=max(fetched, to_fetch),
            done_bytes=done,
            expected_bytes=max(done, own, sum(self._expected.values())),
            running=tuple(one.drv for one in self._activities.values() if one.kind == _BUILD and one.drv),
            ended=ended,
        )

    @property
    def failed(self) -> int:
        """How many derivations failed by themselves."""
        return len(self._failures)

    @property
    def errors(self) -> list[str]:
        """Errors that are not of one derivation, in order.

        Without those that came while something was built, where a build failed: its builder may have printed them.
        """
        return [text for text, building in self._errors if not (building and self._failures)]

    def failures(self) -> tuple[Failure, ...]:
        """What failed, in order; what failed only for want of something that failed is left out, if that is told."""
        found = [
            Failure(drv, reason, tuple(build.lines), hashes, tuple(build.telling))
            for drv, (reason, hashes) in self._failures.items()
            for build in (self._logs.get(drv) or _Activity(_BUILD),)
        ]
        if not found:
            found = [Failure(drv, reason) for drv, reason in self._dependents.items()]
        return tuple(found)

    def _message(self, text: str, level: object) -> None:
        if retried := _RETRIED.search(text):
            self.retried.append((retried[1], retried[2]))
        if level != _ERROR or text.startswith("warning:"):  # a daemon passes all on as errors
            self.messages.append(text)
            return
        said = _PRINTED.split(text, maxsplit=1)[0]  # by Nix, and not by the builder
        drv = _DRV.search(said)
        if drv is None:
            self._errors.append((text, any(one.drv for one in self._activities.values())))
        elif _DEPENDENCY.search(said):
            self._dependents.setdefault(drv[1], _reason(said, drv[1]))
        else:
            hashes = _HASHES.search(said)
            pair = (hashes[1], hashes[2]) if hashes else None
            # A builder may print messages of Nix, as long as it runs: the last one of a derivation is Nix's own.
            self._failures[drv[1]] = _reason(said, drv[1]), pair
            self._keep_logs(drv[1])

    def _start(self, number: int, event: Mapping[str, Any]) -> None:
        kind, fields = event.get("type"), event.get("fields")
        if not isinstance(kind, int):
            return
        first = fields[0] if isinstance(fields, list) and fields else None
        self._activities[number] = _Activity(kind, first if isinstance(first, str) and kind == _BUILD else "")

    def _stop(self, number: int) -> None:
        activity = self._activities.pop(number, None)
        if activity is None:
            return
        if activity.kind in {_COPY, _TRANSFER}:
            self._left[0] += activity.done
            self._left[1] += activity.expected
        if activity.drv:
            # Nix 2.8 tells of a failure before the activity stops, a newer one after it.
            self._logs[activity.drv] = activity
            for drv in list(islice(self._logs, max(0, len(self._logs) - _KEPT))):
                if drv not in self._failures:
                    del self._logs[drv]

    def _result(self, number: int, kind: object, fields: object) -> None:
        activity = self._activities.get(number)
        if activity is None or not isinstance(fields, list):
            return
        if kind == _LINE and fields and isinstance(fields[0], str):
            activity.add(plain(fields[0].rstrip()))
        elif not all(isinstance(value, int) for value in fields[:2]) or len(fields) < 2:  # noqa: PLR2004 -- a pair
            return
        elif kind == _PROGRESS:
            activity.done, activity.expected = fields[0], fields[1]
            if activity.kind in self._counts:
                self._counts[activity.kind] = (fields[0], fields[1])
        elif kind == _EXPECTED and fields[0] in {_COPY, _TRANSFER}:
            self._expected[fields[0]] = fields[1]

    def _keep_logs(self, drv: str) -> None:
        for activity in self._activities.values():
            if activity.drv == drv:
                self._logs[drv] = activity


def plain(text: str) -> str:
    """Text of somebody else's program without colours and whatever else would move a terminal's cursor."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def _event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith(PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(PREFIX))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _sentence(text: str) -> str:
    return plain(text).strip().removeprefix("error:").strip()


def _reason(text: str, drv: str) -> str:
    r"""Nix's sentence without the derivation, which is told beside it.

    "builder for '….drv' failed with exit code 1" (2.8), "Cannot build '….drv'.\nReason: builder failed with exit code
    1.\nOutput paths: …" (2.30 and newer).
    """
    reason = re.search(r"^\s*Reason: (.*?)\.?$", text, re.MULTILINE)
    if reason:
        return reason[1]
    first = text.partition("\n")[0].replace(f"for '{drv}' ", "").replace(f" '{drv}'", "")
    first = re.sub(r"(failed to produce output path for output '[^']*') at .*", r"\1", first)
    return " ".join(first.split()).rstrip(":;,")
