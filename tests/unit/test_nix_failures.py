"""What Nix says when it fails, verbatim, and the sentence that it becomes."""

# ruff: noqa: E501 -- the output of a program
from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.errors import BuildFailed, MachineError, NixgenError, Stale, UserError
from nixgen.nix.failures import Broken, Owner, evaluation, failed, last_error, offline, unusable
from nixgen.nix.json import Derivation, Output
from nixgen.nix.log import Failure

STALE_28 = "error: nixgen.lock and uv.lock changed after default.nix was generated\n  hint: nixgen sync\n(use '--show-trace' to show detailed location information)\n"
STALE_234 = """error:
       … while calling the 'throw' builtin
         at /p/nix/nixgen/project.nix:38:7:
           37|     else
           38|       throw "${x} changed
             |       ^

       error: nixgen.lock and uv.lock changed after default.nix was generated
         hint: nixgen sync
"""
SYSTEM = "demo is not set up for riscv64-linux, only for x86_64-linux\n  hint: add it to systems under [tool.nixgen] in pyproject.toml, then: nixgen sync"


@pytest.mark.parametrize(
    ("stderr", "kind", "text"),
    [
        *((text, Stale, ("nixgen.lock: changed after default.nix was generated\n"
                        "  hint: nixgen sync\nuv.lock: changed after default.nix was generated\n  hint: nixgen sync")) for text in (STALE_28, STALE_234)),
        ("error: attribute 'recipes' missing\n\n       at «string»:1:82:\n", Stale, ("default.nix: and nix/nixgen were not written by this nixgen\n"
                                                                                    "  hint: nixgen sync")),
        ("error: 'project' at /p/nix/nixgen/project.nix:3:1 called with unexpected argument 'smoke'\n", Stale, ("default.nix: and nix/nixgen were not written by this nixgen\n"
                                                                                                               "  hint: nixgen sync")),
        (f"error: {SYSTEM}\n(use '--show-trace' to show detailed location information)\n", UserError, f"default.nix: {SYSTEM}"),
        ("error: syntax error, unexpected end of file, expecting 'inherit'\n       at «string»:1:10:\n            1| { a = 1;\n             |          ^\n", UserError,
         "default.nix: cannot be evaluated: syntax error, unexpected end of file, expecting 'inherit'"),
        ("error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused\n", MachineError,
         "Nix: cannot evaluate the project: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused\n"
         "  hint: start Nix's daemon: sudo systemctl start nix-daemon (without systemd: sudo sh -c 'nix-daemon &')"),
        # The store is root's, and no daemon runs: Nix takes itself for the one who may build.
        ("error: could not set permissions on '/nix/var/nix/profiles/per-user' to 755: Operation not permitted\n", MachineError,
         "Nix: cannot evaluate the project: could not set permissions on '/nix/var/nix/profiles/per-user' to 755: Operation not permitted\n"
         "  hint: start Nix's daemon: sudo systemctl start nix-daemon (without systemd: sudo sh -c 'nix-daemon &')"),
        ("warning: error: unable to download 'https://example.org/x.tar.gz': Couldn't resolve host name (6); retrying in 2 ms\nerror: unable to download 'https://example.org/x.tar.gz': Couldn't resolve host name (6)\n", MachineError,
         "Nix: cannot evaluate the project: unable to download 'https://example.org/x.tar.gz': Couldn't resolve host name (6)\n"
         "  hint: try again when there is a network"),
        ("error: writing to file: No space left on device\n", MachineError, ("Nix: cannot evaluate the project: writing to file: No space left on device\n"
                                                                            "  hint: free some room, e.g.: nix-collect-garbage")),
        # Case 50: Debian's Nix, as it comes from apt.
        ("error: the group 'nixbld' specified in 'build-users-group' does not exist\n", MachineError,
         "Nix: cannot evaluate the project: the group 'nixbld' specified in 'build-users-group' does not exist\n"
         "  hint: to build as root alone: mkdir -p /etc/nix && echo 'build-users-group =' >> /etc/nix/nix.conf"),
        # `make demo` made /nix the user's own, and a daemon came later (case 50).
        ("error: opening lock file '/nix/store/h34f83m8yl1i4vrh8mj8fxa0xim2d9hv-a3.drv.lock': Permission denied\n", MachineError,
         "Nix: cannot evaluate the project: opening lock file '/nix/store/h34f83m8yl1i4vrh8mj8fxa0xim2d9hv-a3.drv.lock': Permission denied\n"
         "  hint: if Nix's daemon runs here, hand the whole store to it: sudo chown -R root /nix"),
        ("error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Permission denied\n", MachineError,
         "Nix: cannot evaluate the project: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Permission denied\n"
         "  hint: sudo usermod -aG nix-users $USER, then log in again"),
        # Without a daemon, where /nix is root's (case 45).
        ("error: creating directory '/nix/store': Permission denied\n", MachineError,
         "Nix: cannot evaluate the project: creating directory '/nix/store': Permission denied\n"
         "  hint: install Nix's daemon: "
         "sudo apt install nix-setup-systemd (or own /nix: sudo mkdir -p /nix/var/nix && sudo chown -R $USER /nix)"),
        ("Killed\n", UserError, "default.nix: cannot be evaluated: Killed"),
    ],
)  # fmt: skip
def test_an_evaluation_that_failed(stderr: str, kind: type[NixgenError], text: str) -> None:
    error = evaluation(stderr)
    assert (type(error), str(error)) == (kind, text)


@given(st.text())
def test_any_output_is_an_error(stderr: str) -> None:
    assert evaluation(stderr).problems
    last_error(stderr)


PINNED, FOUND = (
    "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM=",
)
ZEROS, OTHER = "0" * 64, "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53"
NUMPY = "/nix/store/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-numpy-2.4.6-py3-none-any.whl.drv"
BUILT = "/nix/store/sx3w6410dpshzpj1rk9p1ngwv6lrlgfc-numpy-2.4.6.drv"
URL = "https://files.example.org/numpy-2.4.6-py3-none-any.whl"
OWNERS = {ZEROS: Owner("numpy 2.4.6", "uv.lock", "nixgen upgrade numpy")}
NETWORK = "try again when there is a network"


def derivation(name: str, fixed: str | None = None, **env: str) -> Derivation:
    return Derivation(name, "x86_64-linux", "b", (), env, {"out": Output("/nix/store/x", fixed)}, (), ())


SHOWN = {NUMPY: derivation("numpy-2.4.6-py3-none-any.whl", PINNED, url=URL), BUILT: derivation("numpy-2.4.6")}


def told(*failures: Failure, known: bool = True) -> NixgenError:
    return failed(failures, [], lambda _drvs: SHOWN if known else {}, OWNERS if known else {})


def test_another_file_under_the_address_is_told_with_its_package_and_both_hashes() -> None:
    error = told(Failure(NUMPY, "hash mismatch in fixed-output derivation", (), (PINNED, FOUND)))
    assert isinstance(error, BuildFailed)
    assert str(error) == (
        f"numpy 2.4.6: numpy-2.4.6-py3-none-any.whl at {URL} is not the file that uv.lock pins: its SHA-256 is {OTHER}, pinned is {ZEROS}\n"
        "  hint: find out who replaced it and why; to pin what is there now: nixgen upgrade numpy"
    )


def test_the_file_is_named_even_when_nothing_else_is_known() -> None:
    error = told(Failure(NUMPY, "hash mismatch", (), ("md5-x", FOUND)), known=False)
    assert str(error) == (
        "numpy-2.4.6-py3-none-any.whl: numpy-2.4.6-py3-none-any.whl is not the file that its lock pins: "
        f"its SHA-256 is {OTHER}, pinned is md5-x\n  hint: find out who replaced it and why"
    )


@pytest.mark.parametrize(
    ("line", "kind", "text", "mend"),
    [
        ("error: unable to download '{}': Couldn't resolve host name (6)", MachineError, "cannot be fetched: Couldn't resolve host name (6)", NETWORK),
        ("       error: unable to download '{}': Could not resolve hostname (6) Could not resolve host: files.example.org", MachineError,
         "cannot be fetched: Could not resolve hostname (6) Could not resolve host: files.example.org", NETWORK),
        ("error: unable to download '{}': HTTP error 503", MachineError, "cannot be fetched: HTTP error 503", NETWORK),
        ("error: unable to download '{}': HTTP error 404 ('File not found')", BuildFailed, "is not there any more (HTTP error 404 ('File not found'))",
         "to pin what is there now: nixgen upgrade numpy"),
        ("error: unable to download '{}': HTTP error 401", MachineError, "may not be fetched without a login (HTTP error 401)",
         "log in as for uv (~/.netrc, uv auth login), then: nixgen sync; or put the login into Nix's netrc-file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_fetched(line: str, kind: type[NixgenError], text: str, mend: str) -> None:
    error = told(Failure(NUMPY, "builder failed with exit code 1", (line.format(URL), "       response body:")))
    assert (type(error), str(error)) == (
        kind,
        f"numpy 2.4.6: numpy-2.4.6-py3-none-any.whl at {URL} {text}\n  hint: {mend}",
    )


@pytest.mark.parametrize("prefix", ["", "datasets/", "spaces/"])
def test_a_repository_of_a_hub_that_is_gone_private_or_gated(prefix: str) -> None:
    """Case 19: netrc would help with none of these."""
    page = f"https://hub.example.org/{prefix}org/minilm"
    url = f"{page}/resolve/{'c' * 40}/w.bin"
    owner = Owner("models.minilm: w.bin", "nixgen.lock", "nixgen lock", "nixgen model fetch minilm")
    failure = Failure(NUMPY, "r", (f"error: unable to download '{url}': HTTP error 401",))
    error = failed([failure], [], lambda _drvs: SHOWN, {ZEROS: owner})
    assert (type(error), str(error)) == (
        MachineError,
        f"models.minilm: w.bin: numpy-2.4.6-py3-none-any.whl at {url} is not given to Nix (HTTP error 401): "
        f"the repository is gone, private or gated\n"
        f"  hint: see {page}: if it is gone, take another source in models.toml, "
        "and run nixgen sync; if it is private or gated, get access there, run hf auth login, and: "
        "nixgen model fetch minilm",
    )


def test_a_file_that_a_program_of_nixpkgs_cannot_fetch() -> None:
    line = "curl: (6) Could not resolve host: example.org"
    error = told(Failure(NUMPY, "builder failed with exit code 1", ("trying https://example.org/x", line)))
    assert (type(error), str(error)) == (
        MachineError,
        f"numpy 2.4.6: numpy-2.4.6-py3-none-any.whl at {URL} cannot be fetched: {line}\n  hint: {NETWORK}",
    )


def test_a_file_that_must_be_put_there_by_somebody() -> None:
    line = "models.minilm: w.bin needs permission. Ask for it at https://hub.example.org, then put the file into the store: nixgen model fetch minilm"
    error = told(Failure(NUMPY, "builder failed with exit code 1", (line,)))
    assert isinstance(error, BuildFailed)
    assert line in str(error)


def test_a_build_that_failed_is_told_with_the_end_of_its_log() -> None:
    error = told(Failure(BUILT, "builder failed with exit code 3", ("one", "two")))
    assert (type(error), str(error)) == (
        BuildFailed,
        f"numpy-2.4.6: cannot be built: builder failed with exit code 3\n    > one\n    > two\n"
        f"  hint: to see its whole log: nix-store --read-log {BUILT}",
    )
    known = failed([Failure(BUILT, "r")], [], lambda _drvs: {}, {}, "ssh-ng://host")
    assert str(known).endswith(f"nix-store --store ssh-ng://host --read-log {BUILT}")


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure(BUILT, "writing to file: No space left on device"),
         "numpy-2.4.6: cannot be built: the disk is full\n  hint: free some room, e.g.: nix-collect-garbage"),
        (Failure(BUILT, "a 'riscv64-linux' with features {} is required to build, but I am a 'x86_64-linux'"),
         "numpy-2.4.6: cannot be built for x86_64-linux on this machine: a 'riscv64-linux' with features {} is required to build, but I am a 'x86_64-linux'\n"
         "  hint: run it on such a machine, or name one: --builders"),
        (Failure(BUILT, "platform mismatch"),
         "numpy-2.4.6: cannot be built for x86_64-linux on this machine: platform mismatch\n"
         "  hint: run it on such a machine, or name one: --builders"),
        (Failure(BUILT, "required system or feature not available"),
         "numpy-2.4.6: cannot be built for x86_64-linux on this machine: required system or feature not available\n"
         "  hint: run it on such a machine, or name one: --builders"),
    ],
)  # fmt: skip
def test_what_this_machine_cannot_do_is_no_build_that_failed(failure: Failure, text: str) -> None:
    error = told(failure)
    assert (type(error), str(error)) == (MachineError, text)


def test_what_a_builder_prints_chooses_no_exit_code() -> None:
    """Case 28: a smoke command that speaks of a full disk has failed all the same."""
    error = told(Failure(BUILT, "builder failed with exit code 1", ("OSError: [Errno 28] No space left on device",)))
    assert isinstance(error, BuildFailed)
    assert str(error).endswith(
        f"\n  hint: to see its whole log: nix-store --read-log {BUILT}\n"
        "    if the disk is full, as its log says: nix-collect-garbage"
    )


def test_the_gravest_decides_and_all_are_told() -> None:
    error = failed(
        [
            Failure(NUMPY, "r", (f"error: unable to download '{URL}': Couldn't connect to server (7)",)),
            Failure(BUILT, "builder failed with exit code 3"),
        ],
        ["opening lock file: Read-only file system"],
        lambda _drvs: SHOWN,
        OWNERS,
    )
    assert isinstance(error, BuildFailed)
    assert [problem.where for problem in error.problems] == ["numpy 2.4.6", "numpy-2.4.6", "Nix"]


def test_without_a_network_is_what_no_server_answered() -> None:
    assert offline(Failure(NUMPY, "r", ("error: unable to download 'u': Couldn't resolve host name (6)",)))
    assert not offline(Failure(NUMPY, "r", ("error: unable to download 'u': HTTP error 503 (Connection refused)",)))
    assert not offline(Failure(BUILT, "r", ("ConnectionError: Network is unreachable",)))
    assert not offline(Failure(NUMPY, "r", (), (PINNED, FOUND)))


def test_advice_comes_before_the_command_that_shows_the_log() -> None:
    fetched = "/nix/store/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-numpy.whl.drv"
    drvs = {BUILT: derivation("numpy-2.4.6"), fetched: derivation("numpy.whl", PINNED)}
    asked: list[str] = []

    def advise(broken: Mapping[str, Broken]) -> dict[str, str]:
        asked.extend(broken)
        return {BUILT: "have this:\n  [table]"}

    failures = [Failure(drv, "builder failed with exit code 1", ("cannot find -lpq",)) for drv in drvs]
    error = failed(failures, (), lambda _: drvs, {}, advise=advise)
    assert asked == [BUILT], "what is fetched is not built"
    assert str(error.problems[0]).splitlines()[-3:] == [
        "  hint: have this:",
        "      [table]",
        f"    to see its whole log: nix-store --read-log {BUILT}",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said", "mend"),
    [
        ("NIX_STATE_DIR", "/no/x", "creating directory '/no/x': No such file or directory", "unset NIX_STATE_DIR"),
        ("NIX_LOG_DIR", "/no/x", 'creating directory "/no/x/drvs/53": No such file or directory', "unset NIX_LOG_DIR"),
        ("NIX_STATE_DIR", "a", "not an absolute path: 'a'", "unset NIX_STATE_DIR"),
        ("NIX_REMOTE", "nonsense", "don't know how to open Nix store 'nonsense'", "unset NIX_REMOTE"),
        (
            "NIX_REMOTE",
            "daemon",
            "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': No such file or directory",
            "unset NIX_REMOTE or: start Nix's daemon: ",
        ),
        ("NIX_REMOTE", "", 'creating directory "/nix/var": Permission denied', "install Nix's daemon: "),
    ],
)
def test_a_variable_that_moves_nix_is_named_where_nix_cannot_use_it(
    name: str, value: str, said: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    for error in (unusable(f"error: {said}\n"), failed([], [said], lambda _: {}, {})):
        (problem,) = error.problems
        assert problem.mend.startswith(mend)
