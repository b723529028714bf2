"""Nix's structured log, as two versions of Nix printed it, and as nothing should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.nix.log import TAIL, Failure, Log, State, plain

LOGS = sorted((Path(__file__).parent / "nixlogs").iterdir())
STORE = "/nix/store"
NUMPY = f"{STORE}/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-numpy-1.0.whl.drv"
PINNED, FOUND = (
    "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM=",
)


def fed(*lines: str) -> Log:
    log = Log()
    for line in lines:
        log.feed(line)
    return log


def event(**values: object) -> str:
    return "@nix " + json.dumps(values)


def error(text: str, level: int = 0) -> str:
    return event(action="msg", level=level, msg=f"\x1b[31;1merror:\x1b[0m {text}", raw_msg=text)


@pytest.fixture(params=LOGS, ids=[path.stem for path in LOGS])
def real(request: pytest.FixtureRequest) -> Log:
    """Of a build of eight derivations of which one works, one is only in want of others, and the rest fail."""
    return fed(*request.param.read_text().splitlines(keepends=True))


def test_there_is_a_log_of_each_version_that_is_tested() -> None:
    assert [path.stem for path in LOGS] == ["2.34.8", "2.8.0"]


def test_what_failed_is_told_with_its_reason(real: Log) -> None:
    told = {failure.drv.rpartition("/")[2][33:]: failure for failure in real.failures()}
    assert {name: failure.reason for name, failure in told.items() if not failure.hashes} == {
        "bad.drv": "builder failed with exit code 3",
        "bad2.drv": "builder failed to produce output path for output 'out'",
        "gone.whl.drv": "builder failed with exit code 1",
        "noout.drv": "builder failed to produce output path for output 'out'",
        "refused.whl.drv": "builder failed with exit code 1",
    }
    assert told["numpy-1.0.whl.drv"].hashes == (PINNED, FOUND)
    assert told["bad.drv"].log == tuple(f"line {number}" for number in range(1, 13))
    assert told["bad2.drv"].log == ("two",)
    assert any("HTTP error 404" in line for line in told["gone.whl.drv"].log)
    assert not any("\x1b" in line for failure in told.values() for line in failure.log)
    assert real.errors == []


def test_the_counts_at_the_end(real: Log) -> None:
    state = real.state(ended=True)
    assert (state.built, state.running, state.ended) == (1, (), True)
    assert state.done_bytes >= len("content\n")
    assert state.done_bytes <= state.expected_bytes


def test_retries_are_known(real: Log) -> None:
    assert {url for url, _ in real.retried} == {"http://nowhere.invalid/refused.whl"}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_build_is_among_the_running_from_its_start_to_its_stop(path: Path) -> None:
    log, seen = Log(), []
    for line in path.read_text().splitlines():
        log.feed(line)
        running = log.state().running
        assert len(running) <= 1
        seen += [drv for drv in running if drv not in seen]
    assert len(seen) == 7
    assert NUMPY in seen


A = "'/nix/store/x-a.drv'"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"builder for {A} failed with exit code 3;\nlast 1 log lines:\n> why", "builder failed with exit code 3"),
        (f"builder for {A} failed due to signal 9 (Killed)", "builder failed due to signal 9 (Killed)"),
        (f"Cannot build {A}.\nReason: builder failed with exit code 3.\nOutput paths:\n  /nix/store/y-a",
         "builder failed with exit code 3"),
        (f"a 'riscv64-linux' with features {{}} is required to build {A}, but I am a 'x86_64-linux'",
         "a 'riscv64-linux' with features {} is required to build, but I am a 'x86_64-linux'"),
    ],
)  # fmt: skip
def test_the_reason_is_told_without_the_path(text: str, reason: str) -> None:
    assert fed(error(text)).failures() == (Failure("/nix/store/x-a.drv", reason),)


@pytest.mark.parametrize(
    "printed", ["specified: sha256-a got: sha256-b", "1 dependencies of derivation failed", "'/nix/store/y-b.drv'"]
)
@pytest.mark.parametrize(
    "text",
    [
        f"builder for {A} failed with exit code 3;\n       last 2 log lines:\n       > {{}}",
        f"Cannot build {A}.\n       Reason: builder failed with exit code 3.\n       Last 2 log lines:\n       > {{}}",
    ],
)
def test_what_a_builder_printed_is_no_part_of_what_nix_says(text: str, printed: str) -> None:
    """Case 28."""
    assert fed(error(text.format(printed))).failures() == (
        Failure("/nix/store/x-a.drv", "builder failed with exit code 3"),
    )


def test_a_message_that_a_builder_forges_does_not_stand_for_its_failure() -> None:
    """Case 28: Nix passes on what a builder prints as a message of its own log."""
    forged = error(f"builder for {A} failed: No space left on device")
    log = fed(forged, error(f"builder for {A} failed with exit code 3"))
    assert [failure.reason for failure in log.failures()] == ["builder failed with exit code 3"]


def test_an_error_that_came_while_something_was_built_counts_only_where_no_build_failed() -> None:
    """Case 28: the builder may have printed it."""
    building = event(action="start", id=1, type=105, text="", fields=["/nix/store/x-a.drv", "", 1, 1])
    log = fed(building, error("writing to file: No space left on device"))
    assert log.errors == ["writing to file: No space left on device"]
    log.feed(error(f"builder for {A} failed with exit code 3"))
    assert log.errors == []
    log.feed(event(action="stop", id=1))
    log.feed(error("the daemon is gone"))
    assert log.errors == ["the daemon is gone"]


def test_what_fails_only_for_want_of_others_is_told_when_nothing_else_is() -> None:
    old = error("1 dependencies of derivation '/nix/store/x-top.drv' failed to build")
    new = error("Cannot build '/nix/store/x-top.drv'.\nReason: 1 dependency failed.\nOutput paths:\n  /nix/store/y-top")
    for line in (old, new):
        assert [failure.drv for failure in fed(line).failures()] == ["/nix/store/x-top.drv"]
        both = fed(line, error("builder for '/nix/store/x-a.drv' failed with exit code 1")).failures()
        assert [failure.drv for failure in both] == ["/nix/store/x-a.drv"]


def test_an_error_without_a_derivation_is_an_error() -> None:
    log = fed("error: cannot connect to socket at '/nowhere': No such file or directory\n", error("the disk is full"))
    assert log.errors == ["cannot connect to socket at '/nowhere': No such file or directory", "the disk is full"]
    assert log.failures() == ()


def test_warnings_are_messages_even_when_a_daemon_passes_them_on_as_errors() -> None:
    log = fed(
        event(action="msg", level=0, msg="warning: error: unable to download 'u': why; retrying in 3 ms"),
        "note\n",
        "\n",
    )
    assert (log.errors, log.retried) == ([], [("u", "why")])
    assert list(log.messages) == ["warning: error: unable to download 'u': why; retrying in 3 ms", "note"]


def test_bytes_of_transfers_that_are_over_are_kept() -> None:
    log = fed(
        event(action="start", id=1, type=102, text=""),
        event(action="result", id=1, type=106, fields=[101, 100]),
        event(action="start", id=2, type=101, text="", fields=["u"]),
        event(action="result", id=2, type=105, fields=[30, 60, 0, 0]),
    )
    assert log.state() == State(done_bytes=30, expected_bytes=100)
    log.feed(event(action="result", id=2, type=105, fields=[60, 60, 0, 0]))
    log.feed(event(action="stop", id=2))
    log.feed(event(action="start", id=3, type=100, text=""))
    log.feed(event(action="result", id=3, type=105, fields=[50, 80, 0, 0]))
    assert log.state() == State(done_bytes=110, expected_bytes=140)


def test_of_a_long_log_the_end_is_kept() -> None:
    lines = [event(action="result", id=1, type=101, fields=[f"line {number}"]) for number in range(1000)]
    start = event(action="start", id=1, type=105, text="", fields=["/nix/store/x-a.drv", "", 1, 1])
    (failure,) = fed(start, *lines, error("builder for '/nix/store/x-a.drv' failed with exit code 1")).failures()
    assert failure.log == tuple(f"line {number}" for number in range(1000 - TAIL, 1000))


def test_of_a_long_log_the_lines_that_tell_what_is_missing_are_kept() -> None:
    """The first error of a long log of a C++ compiler, far above the last lines."""
    lines = ["a.cpp:1:10: fatal error: Eigen/Core: No such file or directory", *["c++ -c a.cpp"] * 1000, "the last"]
    lines += ["a.cpp:2:10: fatal error: boost/any.hpp: No such file or directory"] * 1000
    log = fed(event(action="start", id=1, type=105, fields=["/nix/store/a.drv", "", 1, 1]))
    for line in lines:
        log.feed(event(action="result", id=1, type=101, fields=[line]))
    log.feed(error("builder for '/nix/store/a.drv' failed with exit code 1"))
    (failure,) = log.failures()
    assert failure.log == tuple(lines[-TAIL:])
    assert failure.telling[0] == lines[0]
    assert set(failure.telling) == {lines[0], lines[-1]}
    assert len(failure.telling) < 100


def test_logs_of_builds_that_went_well_are_not_kept_for_ever() -> None:
    log = Log()
    for number in range(1000):
        drv = f"/nix/store/x-{number}.drv"
        log.feed(event(action="start", id=number, type=105, text="", fields=[drv, "", 1, 1]))
        log.feed(event(action="result", id=number, type=101, fields=["fine"]))
        log.feed(event(action="stop", id=number))
    log.feed(error("builder for '/nix/store/x-999.drv' failed with exit code 1"))
    assert log.failures()[0].log == ("fine",)
    assert len(log._logs) <= 100


def test_text_of_others_moves_no_cursor() -> None:
    assert plain("\x1b[31;1mred\x1b[0m \x1b]0;title\x07a\x1b[2J\x1b[Hb\rc\x08\x7f\x9b1md\te") == "red abc1md\te"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["action", "id", "type", "fields", "level", "msg", "raw_msg", "text"])
EVENTS = st.fixed_dictionaries(
    {"action": st.sampled_from(["start", "stop", "result", "msg"])},
    optional={
        "id": st.integers(0, 2) | JSON,
        "type": st.sampled_from([100, 101, 102, 103, 104, 105, 106]) | JSON,
        "fields": st.lists(st.integers(0, 99) | JSON, max_size=4) | JSON,
        "msg": JSON,
        "level": JSON,
    },
)
LINES = (EVENTS | JSON | st.dictionaries(KEYS, JSON)).map(lambda value: "@nix " + json.dumps(value)) | st.text()


@given(st.lists(LINES, max_size=12))
def test_whatever_is_printed_is_taken(lines: list[str]) -> None:
    log = fed(*lines)
    state = log.state()
    assert state.built <= state.to_build
    assert state.done_bytes <= state.expected_bytes
    log.failures()
