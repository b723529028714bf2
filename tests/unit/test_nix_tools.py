"""The wrapper round Nix, over programs that stand in for Nix: what is run, and what is made of what comes back."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from nixgen.errors import BuildFailed, MachineError, Stale
from nixgen.nix import hashing, install, stores, tools
from nixgen.nix.log import State
from nixgen.nix.tools import Nix, Recipe

STORE = "/nix/store"
DRV, OUT = f"{STORE}/aqb5vyxvj1mi7njmnfm29caklav518km-a.drv", f"{STORE}/894c2cwlj93g77k5x49vn95zsghwjm8r-a"
HASH = "sha256-7LbDw7WtaXyYkUf3lK4/XPnSf24DWHcygBgPAIKKa0I="
PROGRAM = """#!/bin/sh
for word in "$0" "$@"; do printf '%s\\n' "$word"; done | sed 's,.*/fake/,,' >> "{log}"
case "$*" in *--version*) echo "nix (Nix) {version}"; exit 0;; esac
{script}
"""


class Fake:
    """Programs named as Nix's, which note how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "fake", folder / "log"
        self.folder.mkdir()
        for name in ("nix", "nix-store", "nix-instantiate", "nix-build"):
            self.say(name, "exit 0")

    def say(self, name: str, script: str, version: str = "2.8.0") -> None:
        """Has a program run a script."""
        program = self.folder / name
        program.write_text(PROGRAM.format(log=self.log, script=script, version=version))
        program.chmod(0o755)

    def words(self) -> list[str]:
        """What the last program was called with: its name, then its words."""
        lines = self.log.read_text().splitlines()
        starts = [number for number, line in enumerate(lines) if line in {"nix", "nix-store", "nix-instantiate"}]
        return lines[starts[-1] :]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.setattr(stores, "can_sandbox", lambda: True)
    tools._version.cache_clear()
    return made


def printing(text: str, code: int = 0, err: str = "") -> str:
    return f"cat <<'END'\n{text}\nEND\ncat >&2 <<'END'\n{err}\nEND\nexit {code}"


def test_without_nix_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "BESIDE", ())
    tools._version.cache_clear()
    with pytest.raises(MachineError) as caught:
        Nix.here()
    assert str(caught.value) == f"there is no program nix-store\n  hint: {install.hint()}"


def test_a_nix_that_is_not_on_path_is_found_where_installers_put_it(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'empty'}:/usr/bin:/bin")
    monkeypatch.setattr(tools, "shutil", type("none", (), {"which": staticmethod(lambda _name: None)}))
    monkeypatch.setattr(tools, "BESIDE", (str(fake.folder),))
    fake.say("nix-store", "exit 0", version="2.34.8")
    fake.say("nix", printing('{"store": {"value": "auto"}}'))
    assert Nix.here().version() == (2, 34, 8)


@pytest.mark.usefixtures("fake")
def test_the_words_of_a_command() -> None:
    nix = Nix.here("ssh-ng://host", "ssh://b x86_64-linux", ["--option", "cores", "1"])
    common = ["--store", "ssh-ng://host", "--builders", "ssh://b x86_64-linux", "--option", "cores", "1"]
    assert nix.command("nix-store", "--query", Path("/x")) == ["nix-store", *common, "--query", "/x"]
    assert nix.command("nix", "copy") == ["nix", "--extra-experimental-features", "nix-command", *common, "copy"]
    assert Nix().command("nix-store") == ["nix-store"]
    assert Nix(builders="").command("nix-build") == ["nix-build", "--builders", ""]


@pytest.mark.parametrize(("told", "words"), [(1, ["--max-jobs", "4"]), (0, []), (4, []), (16, []), ("?", [])])
def test_as_many_builds_as_cores_but_where_settings_say_more_or_none(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, told: object, words: list[str]
) -> None:
    monkeypatch.setattr(hashing, "available_cores", lambda: 4)
    fake.say("nix", printing(json.dumps({"max-jobs": {"value": told}})))
    nix = Nix(options=("--option", "cores", "1")).on_every_core()
    assert nix.command("nix-store") == ["nix-store", *words, "--option", "cores", "1"]


def test_recipes_come_from_default_nix_and_no_folder_name_is_spliced(fake: Fake, tmp_path: Path) -> None:
    answer = {"root": {"drv": DRV, "out": OUT}, "base.core": {"drv": DRV, "out": OUT}}
    fake.say("nix-instantiate", printing(json.dumps(answer)))
    root = tmp_path / 'a "b" ${c}'
    root.mkdir()
    found = Nix().recipes(root, "x86_64-linux")
    assert list(found.items()) == [("base.core", Recipe(DRV, OUT)), ("root", Recipe(DRV, OUT))]
    words = fake.words()
    assert words[:5] == ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode"]
    assert words[5:14] == [
        "--argstr", "root", str(root), "--argstr", "system", "x86_64-linux", "--argstr", "attribute", "recipes",
    ]  # fmt: skip
    assert "${c}" not in words[15]


def test_the_checks_by_name(fake: Fake, tmp_path: Path) -> None:
    entry = {"drv": DRV, "out": OUT}
    fake.say("nix-instantiate", printing(json.dumps({"smoke": entry, "imports": entry})))
    found = Nix().checks(tmp_path, "x86_64-linux")
    assert list(found.items()) == [("imports", Recipe(DRV, OUT)), ("smoke", Recipe(DRV, OUT))]


def test_a_stale_project_is_told_as_such(fake: Fake, tmp_path: Path) -> None:
    said = "error: uv.lock changed after default.nix was generated\n  hint: nixgen sync"
    fake.say("nix-instantiate", printing("", 1, said))
    with pytest.raises(Stale) as caught:
        Nix().recipes(tmp_path, "x86_64-linux")
    assert str(caught.value) == "uv.lock: changed after default.nix was generated\n  hint: nixgen sync"


# The nix.conf of Debian's packages turns it off.
SANDBOX = ("--option", "sandbox", "true") if sys.platform == "linux" else ()


@pytest.mark.parametrize(("able", "words"), [(True, SANDBOX), (None, SANDBOX), (False, ())])
def test_the_sandbox_is_asked_for_where_one_can_be_made(
    monkeypatch: pytest.MonkeyPatch, able: object, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(tools, "daemon", lambda: None)
    monkeypatch.setattr(stores, "can_sandbox", lambda: able)
    assert Nix().command("nix-store", "--realise", DRV) == ["nix-store", *words, "--realise", DRV]
    monkeypatch.setattr(tools, "daemon", lambda: "/socket")  # which builds elsewhere, perhaps
    assert Nix().command("nix-store", "--realise", DRV) == ["nix-store", *SANDBOX, "--realise", DRV]


def test_nothing_to_realise_runs_nothing(fake: Fake) -> None:
    Nix().realise([])
    assert not fake.log.exists()


def test_realising_shows_progress_and_keeps_what_is_built(fake: Fake, tmp_path: Path) -> None:
    start = json.dumps({"action": "start", "id": 1, "type": 105, "text": "", "fields": [DRV, "", 1, 1]})
    fake.say("nix-store", printing(OUT, err=f"@nix {start}"))
    seen: list[State] = []
    Nix().realise([DRV], seen.append, tmp_path)
    assert fake.words() == [
        "nix-store", *SANDBOX, "--realise", DRV, "--keep-going", "--log-format", "internal-json", "--add-root",
        f"{tmp_path}/aqb5vyxvj1mi7njmnfm29caklav518km-a.drv",
    ]  # fmt: skip
    assert State(running=(DRV,)) in seen
    assert [state.ended for state in seen].count(True) == 1
    assert seen[-1].ended
    Nix("ssh-ng://host").realise([DRV], keep=tmp_path)
    assert "--add-root" not in fake.words()


def test_a_build_that_failed_is_told_even_when_nix_cannot_show_it(fake: Fake) -> None:
    message = json.dumps({"action": "msg", "level": 0, "msg": f"builder for '{DRV}' failed with exit code 3"})
    fake.say("nix-store", printing("", 100, f"@nix {message}"))
    fake.say("nix", "exit 1")
    seen: list[State] = []
    with pytest.raises(BuildFailed, match=r"^a: cannot be built: builder failed with exit code 3"):
        Nix().realise([DRV], seen.append)
    assert seen[-1].ended


def test_a_nix_that_fails_without_a_word_is_the_machines(fake: Fake) -> None:
    fake.say("nix-store", printing("", 1, "something odd"))
    with pytest.raises(MachineError, match="ended with exit code 1\nsomething odd"):
        Nix().realise([DRV])


def test_the_third_download_without_a_network_ends_it(fake: Fake, tmp_path: Path) -> None:
    lines = []
    for number in range(5):
        drv = f"{STORE}/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-{number}.whl.drv"
        text = "unable to download 'https://files.example.org/x': Couldn't resolve host name (6)"
        lines += [
            {"action": "start", "id": number, "type": 105, "text": "", "fields": [drv, "", 1, 1]},
            {"action": "result", "id": number, "type": 101, "fields": [text]},
            {"action": "msg", "level": 0, "msg": f"builder for '{drv}' failed with exit code 1"},
            {"action": "stop", "id": number},
        ]
    said = "\n".join(f"@nix {json.dumps(line)}" for line in lines)
    shown = {
        f"{STORE}/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-{number}.whl.drv": {
            "outputs": {"out": {"path": OUT, "hashAlgo": "sha256", "hash": "0" * 64}}, "inputSrcs": [], "inputDrvs": {},
            "system": "builtin", "builder": "builtin:fetchurl", "args": [], "env": {"name": f"{number}.whl"},
        }
        for number in range(5)
    }  # fmt: skip
    fake.say("nix", printing(json.dumps(shown)))
    fake.say("nix-store", f"trap 'touch {tmp_path}/asked; exit 1' TERM\ncat >&2 <<'END'\n{said}\nEND\nsleep 60 & wait")
    with pytest.raises(MachineError) as caught:
        Nix().realise([DRV])
    assert (tmp_path / "asked").exists()
    assert [problem.where for problem in caught.value.problems] == ["0.whl", "1.whl", "2.whl"]


@pytest.mark.parametrize(
    ("version", "shape", "show"),
    [("2.8.0", [], ["show-derivation"]), ("2.24.9", [], ["derivation", "show"]),
     ("2.34.8", ["--json-format", "2"], ["derivation", "show"])],
)  # fmt: skip
def test_each_version_is_asked_in_its_own_words(fake: Fake, version: str, shape: list[str], show: list[str]) -> None:
    fake.say("nix-store", "exit 0", version)
    entry = {"narHash": HASH, "narSize": 1, "references": []}
    fake.say("nix", printing(json.dumps({OUT: entry})))
    assert list(Nix().closure([OUT, OUT])) == [OUT]
    head = ["nix", "--extra-experimental-features", "nix-command"]
    quiet = ["--option", "substitute", "false"]
    assert fake.words() == [*head, "path-info", "--json", *shape, *quiet, "--recursive", OUT]
    Nix().infos([DRV])
    assert fake.words()[-2:] == ["--derivation", DRV]
    bare = {"system": "s", "builder": "b", "args": [], "env": {}, "inputDrvs": {}, "inputSrcs": []}
    fake.say("nix", printing(json.dumps({DRV: {"outputs": {"out": {"path": OUT}}, **bare}})))
    assert Nix().outputs_of(DRV) == {"out": OUT}
    assert fake.words() == [*head, *show, DRV]


def test_many_paths_go_in_several_commands(fake: Fake) -> None:
    fake.say("nix", printing("[]"))
    paths = [f"{STORE}/{number:032d}-x" for number in range(401)]
    assert Nix().infos(paths) == {}
    assert fake.words()[-1] == paths[-1]
    assert fake.log.read_text().count("path-info") == 2


def test_a_dump_that_breaks_off_is_told(fake: Fake) -> None:
    fake.say("nix", "printf abc; echo 'error: path is not valid' >&2; exit 1")
    dumped = Nix("ssh-ng://host").dump(OUT)
    assert next(dumped) == b"abc"
    with pytest.raises(MachineError) as caught:
        next(dumped)
    assert str(caught.value) == f"{OUT}: cannot be read from ssh-ng://host: path is not valid"


def test_a_dump_that_nobody_reads_to_its_end_ends_nix(fake: Fake) -> None:
    fake.say("nix", "printf abc; exec yes")
    for chunk in Nix().dump(OUT):
        assert chunk
        break


def test_the_folder_of_roots_is_gone_at_the_end() -> None:
    with Nix().roots() as folder:
        (folder / "link").symlink_to("/nowhere")
        assert folder.is_dir()
    assert not folder.exists()


def test_a_version_that_cannot_be_read_is_told(fake: Fake) -> None:
    fake.say("nix-store", "exit 0", version="none")
    with pytest.raises(MachineError, match=r"nix-store: says that its version is 'nix \(Nix\) none'"):
        Nix.here()


def test_a_daemon_that_lets_nobody_in_is_told_with_what_mends_it(fake: Fake) -> None:
    """Nix 2.26 does not even tell its version to who is not in nix-users (case 50)."""
    refused = "getting status of '/nix/var/nix/daemon-socket/socket': Permission denied"
    fake.folder.joinpath("nix-store").write_text(f'#!/bin/sh\necho "error: {refused}" >&2\nexit 1\n')
    with pytest.raises(MachineError) as caught:
        Nix.here()
    mend = "sudo usermod -aG nix-users $USER, then log in again"
    assert str(caught.value) == f"Nix: cannot be used: {refused}\n  hint: {mend}"


def test_a_daemon_that_does_not_answer_is_told_at_once(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of Nix for that, nor of anything else that takes its time."""
    fake.say("nix-store", "")
    place = tmp_path / "daemon-socket/socket"
    place.parent.mkdir()
    monkeypatch.setenv("NIX_DAEMON_SOCKET_PATH", str(place))
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    with pytest.raises(MachineError) as caught:
        tools.ready()
    (problem,) = caught.value.problems
    assert problem.what == f"cannot be used: cannot connect to socket at '{place}': No such file or directory"
    assert problem.mend.startswith("unset NIX_REMOTE NIX_DAEMON_SOCKET_PATH or: start Nix's daemon: sudo systemctl")
    monkeypatch.chdir(place.parent)  # the name of a socket has 108 letters at most
    monkeypatch.setenv("NIX_DAEMON_SOCKET_PATH", "socket")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("socket")
        daemon.listen()
        tools.ready()
    with pytest.raises(MachineError, match="refused"):
        tools.ready()
    monkeypatch.setenv("NIX_REMOTE", "/elsewhere")
    tools.ready()
