"""``nixgen registry`` as a user types it, from a recorded run to a rollback."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from datafiles import write
from support.tree import lock as pinned_lock
from test_artifacts_pins import BASE
from test_runs_diff import sales as pinned_sales
from typer.testing import CliRunner

from nixgen.artifacts.store import Store, cache_folder
from nixgen.cli import app
from nixgen.lock.lockfile import dump_lock, parse_lock, read_lock
from nixgen.lock.model import Lock
from nixgen.log.stores.model import Storage
from nixgen.registry import registry
from nixgen.runs import facts, recordfile, reproductions
from nixgen.runs.model import NAME as RECORD
from nixgen.runs.model import Git, Output, Run
from nixgen.runs.verdict import Verdict

ID = "20261103-120000-abcdef"
POLICY = """\
version = 1

[aliases.staging]
metrics.auc = { min = 0.9 }

[aliases.prod]
metrics.auc = { min = 0.9, drop = 0.005 }
metrics.loss = { max = 0.5 }
after = "staging"
plan = true
"""


class Home:
    """A project of a user, with recorded runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n')
        (root / "nixgen.lock").write_text(dump_lock(Lock(BASE)))

    def run(self, number: int, content: bytes = b"weights", **metrics: float) -> str:
        """A run that made model.bin."""
        (self.root / "model.bin").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        run = Run(
            id=f"20261103-12000{number}-abcdef",
            status="finished",
            command=("python", "train.py"),
            started=datetime(2026, 11, 3, 12, tzinfo=UTC),
            exit=0,
            metrics=metrics or {"auc": 0.95, "loss": 0.3},
            outputs=(Output("model.bin", len(content), sha256),),
        )
        folder = self.root / "runs" / run.id
        folder.mkdir(parents=True)
        (folder / RECORD).write_bytes(recordfile.dump(run))
        return run.id

    def told(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What ``nixgen registry`` says on stdout and stderr; with its exit code."""
        done = CliRunner().invoke(
            app, ["registry", *words, *(("--project", str(self.root)) if words[0] != "keygen" else ())]
        )
        assert done.exit_code == code, done.output
        return done.stdout, done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.told(*words, "--json")[0])

    def publish(self, number: int, version: str, **more: Any) -> None:
        run = self.run(number, **more)
        self.told("publish", run, "fraud", "--version", version)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NIXGEN_BY", "ann@example.com")
    root = tmp_path / "project"
    root.mkdir()
    return Home(root)


def test_the_whole_way(home: Home) -> None:
    out, err = home.told("init")
    assert out.startswith("registry: 0 entries\nlog key: demo-1+")
    assert "log.sec is secret: whoever has it may publish and promote" in err
    (home.root / "promotion.toml").write_text(POLICY)
    home.run(1)
    out, _ = home.told("publish", "latest", "fraud", "--bump", "minor")
    assert out.startswith("demo/fraud@0.1.0: 4 files published, 7 B; digest ")
    assert home.told("publish", "latest", "fraud", "--version", "0.1.0")[0] == (
        "demo/fraud@0.1.0: was published already, with equal bytes\n"
    )
    out, err = home.told("promote", "fraud@0.1.0", "prod", code=1)
    assert "FAILS  after staging  it never was" in out
    assert err.startswith("error: after staging: it never was, wanted was staging")
    assert home.told("promote", "fraud", "staging")[0].endswith("demo/fraud@staging: nothing → 0.1.0\n")
    assert home.told("promote", "fraud@staging", "prod")[0].endswith("demo/fraud@prod: nothing → 0.1.0\n")
    home.publish(2, "0.2.0", content=b"better", auc=0.96, loss=0.2)
    home.told("promote", "fraud@0.2.0", "staging")
    home.told("promote", "fraud@0.2.0", "prod")
    assert home.told("rollback", "fraud", "prod", code=2)[1].startswith(
        "error: promotion.toml: asks for a written plan to roll prod back\n  hint: name the file: --plan rollback.md"
    )
    (home.root / "plan.md").write_text("Back to 0.1.0.\nThen look at the alarms.\n")
    out, _ = home.told("rollback", "fraud", "prod", "--why", "alarms", "--plan", str(home.root / "plan.md"))
    assert out == "demo/fraud@prod: 0.2.0 → 0.1.0\n"
    events = home.json("history", "fraud")
    assert [event["kind"] for event in events] == [
        *("publish", "promote", "promote", "publish", "promote", "promote", "rollback"),
    ]
    assert events[-1]["why"] == "alarms\nBack to 0.1.0.\nThen look at the alarms."
    assert {event["by"] for event in events} == {"ann@example.com"}
    assert events[2]["verdict"][1] == {"name": "auc", "holds": True, "value": "0.95", "wanted": "at least 0.9"}
    out, _ = home.told("verify")
    assert out == "registry: 2 versions of 1 models and 2 aliases are what the log says, which has 7 entries\n"
    (pin,) = read_lock(home.root / "nixgen.lock").registry
    assert (pin.url, pin.checkpoint.size) == ("registry", 7)


def test_what_is_shown(home: Home) -> None:
    home.told("init")
    assert home.json("list") == []
    home.publish(1, "1.0.0")
    home.told("promote", "fraud", "prod")
    assert home.json("list") == [
        {"name": "demo/fraud", "versions": ["1.0.0"], "aliases": {"prod": "1.0.0"}, "deprecated": []}
    ]
    shown = home.json("show", "fraud@prod")
    assert (shown["run"], shown["aliases"], shown["metrics"]) == (
        "20261103-120001-abcdef",
        ["prod"],
        {"auc": 0.95, "loss": 0.3},
    )
    assert sorted(shown["files"]) == ["metrics.json", "model.bin", "provenance.json", "run.json"]
    assert "metric auc" in home.told("show", "fraud")[0]
    home.told("deprecate", "fraud@1.0.0", "--why", "leaks")
    assert home.json("show", "fraud")["deprecated"] == "leaks"
    assert "deprecated" in home.told("history", "fraud")[0]
    assert home.json("at", "2000-01-01")["aliases"] == {}
    assert home.json("at", "2999-01-01")["aliases"]["demo/fraud@prod"]["version"] == "1.0.0"
    assert "is not a date" in home.told("at", "yesterday", code=2)[1]
    home.told("fetch", "fraud@prod", "--out", str(home.root / "out"))
    assert (home.root / "out/model.bin").read_bytes() == b"weights"


def test_a_metric_that_is_no_number_never_passes(home: Home) -> None:
    home.told("init")
    (home.root / "promotion.toml").write_text(POLICY)
    home.publish(1, "1.0.0", auc=float("nan"))
    home.publish(2, "1.1.0", auc=float("inf"))
    home.publish(3, "1.2.0", loss=0.1)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        out, _ = home.told("promote", f"fraud@{version}", "staging", code=1)
        assert "FAILS  auc        no number" in out
    out, _ = home.told("promote", "fraud@1.0.0", "staging", "--override", "the first one")
    assert out.endswith("demo/fraud@staging: nothing → 1.0.0\n")
    assert "against auc: the first one" in home.told("history", "fraud")[0]


def test_worse_than_the_one_that_it_would_follow(home: Home) -> None:
    home.told("init")
    text = "[aliases.prod]\nmetrics.auc = { drop = 0.005 }\nmetrics.loss = { rise = 0.1 }\n"
    (home.root / "promotion.toml").write_text("version = 1\n" + text)
    home.publish(1, "1.0.0", auc=0.9, loss=0.2)
    home.publish(2, "1.1.0", auc=0.895, loss=0.3)  # exactly as much as is allowed, in decimals
    home.publish(3, "1.2.0", auc=0.8949, loss=0.3)
    home.told("promote", "fraud@1.0.0", "prod")
    home.told("promote", "fraud@1.1.0", "prod")
    home.told("rollback", "fraud", "prod")
    out, _ = home.told("promote", "fraud@1.2.0", "prod", code=1)
    assert "at most 0.005 lower than 1.0.0 (0.9)" in out


def git(root: Path, *words: str) -> str:
    given = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *given, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def trained(home: Home, number: int, version: str, sales: bytes) -> None:
    """Publishes what a run made of a snapshot of sales, which is pinned, committed, and in the cache."""
    held = cache_folder() / "files" / hashlib.sha256(sales).hexdigest()
    write(held.parent, {held.name: sales})
    lock = parse_lock(pinned_lock(data__sales={**pinned_sales(sales), "format": "csv"}))
    whole = replace(read_lock(home.root / "nixgen.lock"), artifacts=lock.artifacts)
    (home.root / "nixgen.lock").write_text(dump_lock(whole))
    git(home.root, "add", "--all")
    git(home.root, "commit", "-q", "-m", version)
    folder = home.root / "runs" / home.run(number, content=version.encode())
    commit = Git(git(home.root, "rev-parse", "HEAD"))
    _, data = facts.artifacts(whole, ())
    (folder / RECORD).write_bytes(recordfile.dump(replace(recordfile.read(folder), git=commit, data=data)))
    home.told("publish", folder.name, "fraud", "--version", version)


def test_data_that_drifted_too_far_is_not_promoted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "here", lambda: None)
    home.told("init")
    bounds = "rows = 0.25, nulls = 0.1, mean = 0.1, quantiles = 0.2"
    (home.root / "promotion.toml").write_text(f"version = 1\n[aliases.prod]\ndata.sales = {{ {bounds} }}\n")
    git(home.root, "init", "-q")
    rows = [f"{number},{number * 1.5}" for number in range(100)]

    def sales(*lines: str) -> bytes:
        return "\n".join(["id,amount", *lines, ""]).encode()

    trained(home, 1, "1.0.0", sales(*rows))
    trained(home, 2, "1.1.0", sales(*rows[:-1], "99,150"))  # a little
    trained(home, 3, "1.2.0", sales(*(f"{number},{number * 4.5}" for number in range(100))))
    trained(home, 4, "1.3.0", sales(*rows, *rows))
    trained(home, 5, "1.4.0", sales(*rows).replace(b"amount", b"total"))
    trained(home, 6, "1.5.0", sales(*rows).replace(b"99,148.5", b"99,148.4"))
    home.publish(7, "2.0.0", content=b"without data")
    assert "ok  data sales  there" in home.told("promote", "fraud@1.0.0", "prod")[0]
    out, _ = home.told("promote", "fraud@1.1.0", "prod")
    assert "ok  data sales: rows       +0" in out
    assert "ok  data sales: mean       0.0001111 in amount  at most 0.1 from 1.0.0, in its spread" in out
    out, _ = home.told("promote", "fraud@1.2.0", "prod", code=1)
    assert "FAILS  data sales: mean       1.1" in out
    assert "FAILS  data sales: quantiles  2.089 in amount" in out
    assert "ok     data sales: rows       +0" in out
    out, _ = home.told("promote", "fraud@1.3.0", "prod", code=1)
    assert "FAILS  data sales: rows       +1 " in out
    assert "ok     data sales: mean " in out
    assert "FAILS  data sales: columns    2 changed" in home.told("promote", "fraud@1.4.0", "prod", code=1)[0]
    assert "FAILS  data sales  none" in home.told("promote", "fraud@2.0.0", "prod", code=1)[0]
    # What is not on this machine cannot be measured.
    shutil.rmtree(cache_folder() / "files")
    out, _ = home.told("promote", "fraud@1.5.0", "prod", code=1)
    assert "FAILS  data sales: mean       not measured" in out
    assert "FAILS  data sales: columns    not measured; sales@" in out
    assert ": s.csv not on this machine as pinned" in out
    trained(home, 8, "1.6.0", sales(*rows[:-1], "99,150"))  # the data that prod has: nothing is to be measured
    shutil.rmtree(cache_folder() / "files")
    assert "ok  data sales  the same" in home.told("promote", "fraud@1.6.0", "prod")[0]
    # Whoever may write there cannot say that what prod has was trained on the new data, too.
    (old,), (new,) = (home.root.glob(f"registry/*/fraud/{version}/run.json") for version in ("1.6.0", "1.2.0"))
    old.chmod(0o644)
    old.write_bytes(new.read_bytes())
    assert "FAILS  data sales" in home.told("promote", "fraud@1.2.0", "prod", code=1)[0]


def test_approvals(home: Home) -> None:
    home.told("init")
    keys = [home.told("keygen", name)[0].strip() for name in ("ann-1", "bob-1", "eve-1")]
    policy = f"version = 1\n[aliases.prod]\napprovals = {{ count = 2, keys = {json.dumps(keys[:2])} }}\n"
    (home.root / "promotion.toml").write_text(policy)
    home.publish(1, "1.0.0")
    home.publish(2, "1.1.0", content=b"others")
    home.told("approve", "fraud@1.0.0", "--with", "ann-1")
    home.told("approve", "fraud@1.0.0", "--with", "eve-1")
    home.told("approve", "fraud@1.1.0", "--with", "bob-1")
    assert "FAILS  approvals  ann-1" in home.told("promote", "fraud@1.0.0", "prod", code=1)[0]
    home.told("approve", "fraud@1.0.0", "--with", "bob-1")
    home.told("promote", "fraud@1.0.0", "prod")


def test_a_smoke_command_runs_in_the_environment_and_gets_the_version(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIXGEN_MODELS", str(home.root))  # as in the project's shell
    monkeypatch.delenv("NIXGEN_ROOT", raising=False)
    home.told("init")
    (home.root / "smoke.sh").write_text(
        'echo looked at $(cat "$NIXGEN_VERSION/model.bin"); test "$(cat "$NIXGEN_VERSION/model.bin")" = weights\n'
    )
    (home.root / "promotion.toml").write_text('version = 1\n[aliases.prod]\nsmoke = ["sh", "smoke.sh"]\n')
    home.publish(1, "1.0.0")
    home.publish(2, "1.1.0", content=b"others")
    home.told("promote", "fraud@1.0.0", "prod")
    out, said = home.told("promote", "fraud@1.1.0", "prod", code=1)
    assert "sh smoke.sh ends with 0" in out
    assert "looked at others\n" in said
    monkeypatch.delenv("NIXGEN_MODELS")
    monkeypatch.setenv("PATH", str(home.root))
    out, _ = home.told("promote", "fraud@1.0.0", "prod", code=1)
    assert "FAILS  smoke      there is no program nix-shell" in out


def test_a_reproduction_counts_if_it_is_of_the_record_that_was_published(home: Home) -> None:
    home.told("init")
    (home.root / "promotion.toml").write_text('version = 1\n[aliases.prod]\nreproduced = "bytes"\n')
    home.publish(1, "1.0.0")
    folder = home.root / "runs" / "20261103-120001-abcdef"
    run = recordfile.read(folder)

    def reproduced(number: int, verdict: Verdict) -> None:
        made = replace(run, id=f"20261104-12000{number}-abcdef")
        found = reproductions.Reproduction(run.id, reproductions.digest(folder), verdict, made)
        reproductions.write(folder, found)

    def refused() -> str:
        return home.told("promote", "fraud@1.0.0", "prod", code=1)[0]

    assert "FAILS  reproduced  not reproduced" in refused()
    reproduced(1, "differs")
    assert "FAILS  reproduced  not reproduced" in refused()
    reproduced(2, "metrics")
    assert "FAILS  reproduced  the same metrics" in refused()
    reproduced(3, "bytes")
    text = (folder / RECORD).read_text()
    (folder / RECORD).write_text(text.replace("0.95", "0.96"))
    assert "FAILS  reproduced  not reproduced" in refused()
    reproduced(4, "bytes")  # of a record that is not the published one
    assert "FAILS  reproduced  not reproduced" in refused()
    (folder / RECORD).write_text(text)
    damaged = folder / "reproductions/20261104-120005-abcdef.yaml"
    damaged.write_text("not one")
    assert "FAILS  reproduced  not reproduced" in refused()
    damaged.unlink()
    assert "ok  reproduced  the same bytes" in home.told("promote", "fraud@1.0.0", "prod")[0]


def test_a_policy_with_mistakes(home: Home) -> None:
    home.told("init")
    home.publish(1, "1.0.0")
    text = """version = 1
[aliases.prod]
metrics.auc = { minimum = 1 }
metrics.loss = { drop = -1, max = nan }
data.sales = { except = ["id"] }
data.more = { rows = -1, columns = 0.5 }
reproduced = "maybe"
smoke = []
approvals = { count = 2, keys = ["ann"] }
[models.fraud]
alias = 1
"""
    (home.root / "promotion.toml").write_text(text)
    _, err = home.told("promote", "fraud", "prod", code=2)
    assert [line.partition(": ")[2] for line in err.splitlines() if line.startswith("error")] == [
        'promotion.toml: aliases.prod.metrics.auc.minimum: is not a known key; did you mean "min"?',
        "promotion.toml: aliases.prod.metrics.auc: says no limit: min, max, drop, rise",
        "promotion.toml: aliases.prod.metrics.loss.max: is nan: nothing can be compared with it",
        "promotion.toml: aliases.prod.metrics.loss.drop: is -1: nothing can be compared with it",
        "promotion.toml: aliases.prod.data.sales: says no bound: columns, rows, nulls, mean, quantiles",
        "promotion.toml: aliases.prod.data.more.columns: is a fraction, not a number",
        "promotion.toml: aliases.prod.data.more.rows: is -1: nothing can be compared with it",
        "promotion.toml: aliases.prod.approvals.keys: is not a verifier key: it should be a name, eight hexadecimal "
        "digits and an Ed25519 key, with + between them",
        "promotion.toml: aliases.prod.approvals.count: is 2, and there are 0 keys",
        "promotion.toml: aliases.prod.smoke: is an empty command",
        'promotion.toml: aliases.prod.reproduced: is "maybe", not one of bytes, metrics',
        'promotion.toml: models.fraud.alias: is not a known key; did you mean "aliases"?',
    ]
    (home.root / "promotion.toml").write_text("version = 1\n[aliases.staging]\nplan = true\n")
    assert "says nothing of prod, so it cannot be moved" in home.told("promote", "fraud", "prod", code=2)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "nothing", "fraud", "--bump", "minor"), "is no run of this project"),
        (("publish", "latest", "fraud"), "which version it is to be is not clear"),
        (("publish", "latest", "Fraud", "--bump", "minor"), "cannot be the name of a model"),
        (("publish", "latest", "fraud", "--version", "1"), "is not a semantic version"),
        (("show", "fraud"), "there is no such model in the registry"),
        (("promote", "fraud", "prod"), "there is no such model in the registry"),
        (("list", "--registry", "../else"), "is not a folder of the project"),
        (("list", "--registry", "ftp://example.com"), "use a folder, file://, s3:// or https://"),
        (("list", "--registry", "https://ann:pw@example.com"), "keep logins where the store's own tools have them"),
        (("list", "--registry", "other"), "is no registry that nixgen.lock knows"),
    ],
)
def test_what_cannot_be_done(home: Home, words: tuple[str, ...], said: str) -> None:
    home.told("init")
    home.run(1)
    out, err = home.told(*words, code=2)
    assert said in err
    assert "pw" not in out + err
    assert not (home.root / "registry/demo").exists()


def test_a_run_that_did_not_end_well(home: Home) -> None:
    home.told("init")
    folder = home.root / "runs" / home.run(1)
    (folder / RECORD).write_bytes(recordfile.dump(replace(recordfile.read(folder), status="failed", exit=1)))
    assert "did not end well: it is failed" in home.told("publish", "latest", "fraud", "--bump", "minor", code=2)[1]


def test_a_run_that_cannot_be_published_names_one_that_can(home: Home) -> None:
    home.told("init")
    good = home.run(1)
    for number, change in ((2, {"status": "failed", "exit": 1}), (3, {"outputs": ()})):
        folder = home.root / "runs" / home.run(number)
        changed = replace(recordfile.read(folder), **change)  # type: ignore[arg-type]
        (folder / RECORD).write_bytes(recordfile.dump(changed))
        err = home.told("publish", "latest", "fraud", "--bump", "minor", code=2)[1]
        assert err.endswith(f"; the newest that would do: {good}\n")


def test_a_promotion_says_which_version_it_takes(home: Home) -> None:
    home.told("init")
    home.publish(1, "0.1.0")
    home.publish(2, "0.2.0", content=b"better")
    out, err = home.told("promote", "fraud", "prod")
    assert "fraud names no version: takes the newest, 0.2.0\n" in err
    assert out.endswith("demo/fraud@prod: nothing → 0.2.0\n")
    assert home.told("promote", "fraud@9", "prod", code=2)[1] == (
        "error: fraud@9: 9 is neither a version (like 1.2.3) nor an alias\n"
        "  hint: versions: 0.1.0, 0.2.0; aliases: prod\n"
    )


def test_git_takes_a_whole_registry_whatever_the_project_ignores(home: Home, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        given = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *given, *words], cwd=home.root, check=True, capture_output=True)

    git("init", "-q")
    (home.root / ".gitignore").write_text("model.bin\n*.json\nfraud/\nlog/\nprod\n*.txt\n")
    home.told("init")
    assert "git ignores" not in home.told("publish", home.run(1), "fraud", "--version", "0.1.0")[1]
    home.told("promote", "fraud", "prod")
    git("add", "--all")
    git("commit", "-q", "-m", "all")
    git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Home.__new__(Home)
    clone.root = tmp_path / "clone"
    assert "1 version" in clone.told("verify")[0]
    (home.root / "registry/.gitignore").unlink()
    home.publish(2, "0.2.0", content=b"better")
    text = (home.root / "registry/.gitignore").read_text()
    assert "\n!*\n" in text
    assert text.endswith("\n.lock\n.swap\n"), "locks of this machine are no part of the registry"


def test_a_registry_that_git_ignores_is_told(home: Home) -> None:
    subprocess.run(["git", "init", "-q"], cwd=home.root, check=True)
    (home.root / ".gitignore").write_text("# ours\nregistry/\n")
    home.told("init")
    err = home.told("publish", home.run(1), "fraud", "--version", "0.1.0")[1]
    assert err.count("warning: ") == 1
    assert re.search(
        r"registry/demo/fraud/0\.1\.0/\S+ \(and \d+ more\): git ignores it by \.gitignore:2: registry/;", err
    )


def test_before_there_is_a_registry(home: Home) -> None:
    assert home.told("list", code=2)[1] == (
        "error: nixgen.lock: notes no registry\n  hint: make it: nixgen registry init\n"
    )


@pytest.mark.parametrize("change", ["cut", "forked"])
def test_a_history_that_was_rewritten(home: Home, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """nixgen.lock knows how far the log was: a log with an entry removed or edited does not go on from there."""
    home.told("init")
    shutil.copytree(home.root / "registry", home.root / "old")
    home.publish(1, "1.0.0")
    home.told("promote", "fraud", "prod")
    lock = (home.root / "nixgen.lock").read_bytes()
    shutil.rmtree(home.root / "registry")
    shutil.copytree(home.root / "old", home.root / "registry")
    if change == "forked":
        monkeypatch.setenv("XDG_CACHE_HOME", str(home.root.parent / "another"))  # another machine, with the key
        (home.root / "nixgen.lock").write_bytes(dump_lock(Lock(BASE)).encode())
        home.told("init")
        home.publish(2, "1.0.0", content=b"evil")
        home.told("promote", "fraud", "prod")
        home.told("deprecate", "fraud@1.0.0", "--why", "one entry more")
        (home.root / "nixgen.lock").write_bytes(lock)
    for words in (("verify",), ("list",), ("promote", "fraud", "beta")):
        _, err = home.told(*words, code=1)
        assert "error: " in err
        assert "Traceback" not in err


@pytest.mark.parametrize("change", ["edited", "reordered", "removed"])
def test_entries_that_were_edited(home: Home, change: str) -> None:
    home.told("init")
    home.publish(1, "1.0.0")
    home.told("promote", "fraud", "prod")
    log = home.root / "registry/log"
    bundles = [path for path in log.rglob("*") if path.is_file() and b"fraud" in path.read_bytes()]
    assert bundles
    for path in bundles:
        lines = path.read_bytes().splitlines(keepends=True)
        if change == "edited":
            lines = [line.replace(b"ann@", b"eve@") for line in lines]
        path.write_bytes(
            b"".join(lines[1:] if change == "removed" else lines[::-1] if change == "reordered" else lines)
        )
    for words in (("verify",), ("list",), ("history", "fraud"), ("promote", "fraud", "beta")):
        assert "error: " in home.told(*words, code=1)[1]


def test_who_has_no_key_reads(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.told("init")
    home.publish(1, "1.0.0")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.root.parent / "another"))
    assert home.told("verify")[0].startswith("registry: 1 versions of 1 models")
    assert "there are no such keys here" in home.told("promote", "fraud", "prod", code=2)[1]


def test_many_stores(home: Home, tmp_path: Path) -> None:
    """A folder that several projects share."""
    place = f"file://{tmp_path}/shared"
    home.told("init", "--registry", place)
    home.publish(1, "1.0.0")
    assert (tmp_path / "shared/demo/fraud/1.0.0/model.bin").read_bytes() == b"weights"
    assert home.json("list")[0]["name"] == "demo/fraud"


def test_credentials_go_where_the_user_says(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 26: to an address that only nixgen.lock names, they do not; who has its log's key wrote it there."""
    home.told("init")
    home.publish(1, "1.0.0")
    said: list[bool] = []
    opening = registry.open_storage

    def noted(url: str, *, own: bool = True) -> Storage:
        said.append(own)
        return opening(url, own=own)

    monkeypatch.setattr(registry, "open_storage", noted)
    home.told("list")
    home.told("list", "--registry", "registry")
    home.told("promote", "fraud@1.0.0", "prod")
    CliRunner().invoke(app, ["report", "--project", str(home.root), "--json"])
    assert said == [False, True, True, False]
    assert "is not a folder of the project" in home.told("init", "--registry", ".", code=2)[1], "all would be of it"


def test_a_registry_of_others_is_noted_to_be_read(home: Home, tmp_path: Path) -> None:
    out, _ = home.told("init")
    key = out.rpartition("log key: ")[2].strip()
    home.publish(1, "1.0.0")
    shutil.copytree(home.root / "registry", tmp_path / "models", symlinks=True)
    (home.root / "nixgen.lock").write_text(dump_lock(Lock(BASE)))
    out, err = home.told("init", "--registry", f"{tmp_path}/models/", "--log-key", key)
    assert out == f"file://{tmp_path}/models: 1 entries\nlog key: {key}\n"
    assert err == "Noted the registry in nixgen.lock: commit it\n"
    [pin] = read_lock(home.root / "nixgen.lock").registry
    assert (pin.url, str(pin.verifier), pin.checkpoint.size) == (f"file://{tmp_path}/models", key, 1)
    assert home.json("list")[0]["versions"] == ["1.0.0"]
    assert "has no log, so it is no registry" in home.told("init", "--registry", "nothing", "--log-key", key, code=2)[1]
    assert "leave one of them out" in home.told("init", "--key", "a", "--log-key", key, code=2)[1]
    assert "is not a verifier key" in home.told("init", "--registry", "nothing", "--log-key", "none", code=2)[1]


def test_an_export(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.told("init")
    home.publish(1, "1.0.0")
    monkeypatch.chdir(home.root)
    out, err = home.told("export", "fraud")
    assert re.fullmatch(r"fraud-1\.0\.0\.oci: demo/fraud@1\.0\.0, 5 layers, .*; sha256:[0-9a-f]{64}\n", out)
    assert err == ""
    assert (home.root / "fraud-1.0.0.oci" / "oci-layout").is_file()
    home.told("deprecate", "fraud@1.0.0", "--why", "leaked labels")
    again, err = home.told("export", "fraud@1.0.0", "--out", "fraud.tar")
    assert again.rpartition(" ")[2] == out.rpartition(" ")[2]
    assert "warning: demo/fraud@1.0.0 is deprecated" in err
    assert "is no place in a registry" in home.told("export", "fraud", "--push", "a b", code=2)[1]
