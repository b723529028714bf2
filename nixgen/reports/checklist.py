"""What was checked, and the checklist of a reproducible experiment: each item follows from the facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from nixgen.console import size
from nixgen.reports.model import Facts, Item, Report, State
from nixgen.runs.model import DIFF, Run
from nixgen.runs.verdict import SAID

_RECORD = "nixgen run --record -- COMMAND"
_SHORT = 12  # digits of a hash
_SHOWN = 5  # names in a sentence
_NO_RUN = "no run is recorded"


def report(facts: Facts) -> Report:
    """The facts, and what follows from them."""
    return Report(facts, tuple(_checks(facts)), tuple(_checklist(facts)))


def _checks(facts: Facts) -> Iterator[Item]:
    yield _record(facts)
    yield from _result(facts)
    yield _ran_in(facts)
    yield _remade(facts)
    yield from _logs(facts)
    yield from _statements(facts)
    yield Item(
        "Published files",
        "unknown",
        "not read for this report" if facts.shelves else "there is no registry",
        "nixgen registry verify" if facts.shelves else "nixgen registry init",
    )
    yield _vulnerabilities(facts)


def _record(facts: Facts) -> Item:
    name, again = "Record of the environment", "nixgen check --update"
    found = facts.closure
    if found is None:
        return Item(name, "unknown", "nixgen.hashes.json has nothing of this system", again)
    told = f"{found.paths:,} paths, {size(found.size)}; made by {found.builder}"
    if found.changed is None:
        return Item(name, "unknown", f"{told}; not compared with the lock files", again, found.when)
    if found.changed:
        more = f" and {len(found.changed) - _SHOWN:,} more" if len(found.changed) > _SHOWN else ""
        names = ", ".join(found.changed[:_SHOWN])
        return Item(name, "no", f"{told}; changed since: {names}{more}", again, found.when)
    return Item(name, "yes", f"{told}; of the lock files as they are now", when=found.when)


def _result(facts: Facts) -> Iterator[Item]:
    name = "nixgen check"
    save = "nixgen check --json > check.json; nixgen report --check check.json"
    own = [one for one in facts.checked if (one.project, one.system) == (facts.project, facts.system)]
    for one in own:
        if not one.code and (facts.closure is None or one.digest != facts.closure.digest):
            yield Item(name, "unknown", "the result that was given is of another record than this one", save, one.when)
            continue
        yield Item(name, "no" if one.code else "yes", one.verdict, "nixgen check" if one.code else "", one.when)
        for step in one.steps:
            yield Item(f"{name}: {step.name}", step.state, step.value, when=one.when)
    if not own:
        told = "the result that was given is of another project or system" if facts.checked else "no result was given"
        yield Item(name, "unknown", f"{told}: what is built was not compared with the record", save)


def _ran_in(facts: Facts) -> Item:
    name = "The run's environment"
    ran = facts.run.environment if facts.run else None
    if facts.run is None or ran is None:
        return Item(name, "unknown", _NO_RUN if facts.run is None else "the record does not say", _RECORD)
    when = f"{facts.run.started:%Y-%m-%dT%H:%M:%SZ}"
    if not ran.recorded:
        return Item(name, "unknown", "was not the recorded one, or there was no record", "nixgen check --update", when)
    if facts.closure is None or ran.recorded != facts.closure.digest:
        return Item(name, "no", "is not the one that nixgen.hashes.json has now", f"{_RECORD}, again", when)
    return Item(name, "yes", "is the one that nixgen.hashes.json has", when=when)


def _remade(facts: Facts) -> Item:
    name = "Reproduction"
    if facts.run is None:
        return Item(name, "unknown", _NO_RUN, _RECORD)
    again = f"nixgen reproduce {facts.run.id}"
    own = [one for one in facts.remade if one.counts]
    if not own:
        told = "only of an earlier form of this record" if facts.remade else "nobody made this run again"
        return Item(name, "unknown", told, again)
    last = own[-1]
    more = f" ({', '.join(last.differences)})" if last.differences else ""
    state: State = "no" if last.verdict == SAID["differs"] else "yes"
    told = f"{last.verdict}{more}, on {last.machine or 'some machine'}"
    return Item(name, state, told, again if state == "no" else "", last.at)


def _logs(facts: Facts) -> Iterator[Item]:
    for shelf in facts.shelves:
        told = (
            f"{shelf.address}: each of {shelf.entries:,} entries is proven, and it goes on from what nixgen.lock notes"
        )
        yield Item("Registry log", "yes", told)


def _statements(facts: Facts) -> Iterator[Item]:
    found = [one for shelf in facts.shelves for one in shelf.statements]
    yield from found
    if not found:
        told = "no version of it is published" if facts.run else _NO_RUN
        yield Item("Statement about the run", "unknown", told, "nixgen registry publish RUN NAME --sign KEY.pem")


def _vulnerabilities(facts: Facts) -> Item:
    name = "Known vulnerabilities"
    found = facts.audited
    if found is None:
        return Item(name, "unknown", "not looked up for this report", "nixgen report --database PATH")
    by = f"in {found.packages:,} packages, by {found.advisories:,} advisories"
    sure = sum(not one.unknown for one in found.found)
    if sure:
        return Item(name, "no", f"{sure:,} {by}", "nixgen audit --database PATH")
    if found.found or found.unasked:
        open_ones = [f"{len(found.found):,} undecided"] if found.found else []
        told = "; ".join([f"none {by}", *open_ones, *(f"not looked up: {one}" for one in found.unasked)])
        return Item(name, "unknown" if found.found or not found.packages else "yes", told)
    return Item(name, "yes", f"none {by}")


def _checklist(facts: Facts) -> Iterator[Item]:
    run = facts.run
    yield _commit(facts, run)
    yield _pinned(facts, run)
    yield _data(facts, run)
    yield _config(facts, run)
    yield _seeds(run)
    yield _outputs(facts, run)
    yield _policy(facts)


def _commit(facts: Facts, run: Run | None) -> Item:
    name, again = "Commit recorded", "git commit -a; nixgen run --record --clean -- COMMAND"
    if run is None:
        return Item(name, "no", _NO_RUN, again)
    if run.git is None or not run.git.commit:
        return Item(name, "no", f"{run.id} was not in a git repository, or before its first commit", again)
    told = run.git.commit
    if run.git.dirty and not facts.diff_kept:
        return Item(name, "no", f"{told}, with changes that are not kept as the record says", again)
    lacks = [one.removeprefix(f"{DIFF}: ") for one in run.missing if one.startswith(f"{DIFF}: ")]
    if lacks:
        return Item(name, "no", f"{told}, with changes that {DIFF} lacks: {', '.join(lacks)}", again)
    if facts.commit_here is False:
        return Item(name, "unknown", f"{told}, which is not in this repository", f"git fetch origin {told}")
    kept = f", with changes that are kept in {DIFF}" if run.git.dirty else ""
    here = "" if facts.commit_here else "; no repository here to look for it"
    return Item(name, "yes" if facts.commit_here else "unknown", f"{told}{kept}{here}")


def _pinned(facts: Facts, run: Run | None) -> Item:
    name = "Environment pinned"
    if facts.packages is None:
        return Item(name, "no", "the packages cannot be told: what could not be read says why", "nixgen sync")
    if facts.closure is None:
        return Item(name, "no", "the locks are there, and no record of hashes", "nixgen check --update")
    ran = run.environment if run else None
    if ran is None:
        return Item(name, "no", "there is a record, and no run that was in it", _RECORD)
    if ran.recorded != facts.closure.digest:
        return Item(name, "no", "the run was in another environment than the recorded one", f"{_RECORD}, again")
    return Item(name, "yes", f"the run was in the recorded environment, {_short(ran.recorded)}")


def _data(facts: Facts, run: Run | None) -> Item:
    name = "Data snapshot with checksum"
    add = "nixgen data add NAME SOURCE; nixgen run --record -- COMMAND"
    if run is None or not run.data:
        told = _NO_RUN if run is None else "the run used no dataset of models.toml; what else it read is unknown"
        return Item(name, "no" if run is None else "unknown", told, add)
    bare = [key for key, one in run.data.items() if not one.sha256]
    if bare:
        return Item(name, "no", f"{', '.join(bare)}: without a checksum", "nixgen sync; nixgen run --record -- COMMAND")
    now = {one.name: one.sha256 for one in facts.artifacts or () if one.kind == "data"}
    moved = [key for key, one in run.data.items() if now.get(key) != one.sha256]
    more = f"; nixgen.lock pins others by now: {', '.join(moved)}" if moved else "; nixgen.lock pins the same"
    return Item(name, "yes", ", ".join(f"{key} {_short(one.sha256)}" for key, one in run.data.items()) + more)


def _config(facts: Facts, run: Run | None) -> Item:
    name, again = "Configuration saved", "nixgen run --record --config FILE -- COMMAND"
    if run is None or not run.config:
        told = _NO_RUN if run is None else "the run names no configuration; what is in its command is recorded"
        return Item(name, "no", told, again)
    gone = [path for path, state in facts.copies.items() if state == "no"]
    if gone:
        return Item(name, "no", f"the copy is missing or is not the recorded one: {', '.join(gone)}", again)
    masked = [path for path, state in facts.copies.items() if state == "unknown"]
    if masked:
        told = f"kept without its secrets, so its hash cannot be compared: {', '.join(masked)}"
        return Item(name, "unknown", told, "keep secrets in variables, not in the configuration")
    return Item(name, "yes", ", ".join(f"{one.path} {_short(one.sha256)}" for one in run.config))


def _seeds(run: Run | None) -> Item:
    name, again = "Seeds set", "nixgen run --record --seed 7 -- COMMAND"
    if run is None or run.seeds is None or run.seeds.seed is None:
        return Item(name, "no", _NO_RUN if run is None else "the record has no seed", again)
    seeds = run.seeds
    told = f"{seeds.seed}, in {', '.join([*seeds.variables, *seeds.libraries]) or 'nothing that the record names'}"
    if seeds.nondeterministic:
        told += f"; known to differ each time: {', '.join(seeds.nondeterministic)}"
    return Item(name, "yes", told)


def _outputs(facts: Facts, run: Run | None) -> Item:
    name = "Artifacts named and checksummed"
    if run is None or not run.outputs:
        told = _NO_RUN if run is None else "the run names no output"
        return Item(name, "no", told, "nixgen run --record --output PATH -- COMMAND")
    publish = f"nixgen registry publish {run.id} NAME --bump minor"
    want = {one.path: one.sha256 for one in run.outputs}
    for shelf in facts.shelves:
        for version, hashes in shelf.hashes.items():
            if all(hashes.get(path) == sha256 for path, sha256 in want.items()):
                return Item(name, "yes", f"{version}: {_files(len(want))}, with the run's hashes")
    if any(shelf.hashes for shelf in facts.shelves):
        return Item(name, "no", "what was published of this run has other hashes than it", publish)
    return Item(name, "no", f"{_files(len(want))} with a hash, published under no name", publish)


def _policy(facts: Facts) -> Item:
    name = "Promotion policy written"
    if facts.policy is None:
        damaged = any(problem.where.startswith("promotion.toml") for problem in facts.problems)
        told = "promotion.toml cannot be read" if damaged else "there is no promotion.toml"
        return Item(name, "no", told, "write what an alias needs into promotion.toml, and commit it")
    told = f"for {', '.join(facts.policy)}"
    if not facts.policy_when:
        return Item(name, "no", f"{told}; promotion.toml is not as git has it", "git add promotion.toml; git commit")
    return Item(name, "yes", told, when=facts.policy_when)


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT]
