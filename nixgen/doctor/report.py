"""The report of a doctor: what was found, what was fine and what was not looked at; as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nixgen.console import size
from nixgen.doctor import checks
from nixgen.doctor.checks import Check, Fault, NotLookedAtError, Severity
from nixgen.doctor.facts import Facts
from nixgen.errors import Finding, MachineError
from nixgen.formats import jsontext
from nixgen.machine.addresses import bare

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

About = Literal["machine", "project"]
_GRAVEST: tuple[Severity, ...] = ("error", "warning", "note")
_STYLES = {"error": "bad", "warning": "note", "note": ""}
# What a helper asks first. No other setting: some hold secrets.
_SETTINGS = (
    *("allowed-users", "build-users-group", "cores", "max-jobs", "sandbox", "sandbox-fallback", "store"),
    "trusted-users",
)


@dataclass(frozen=True, slots=True)
class Found:
    """A fault, with the id of the check that found it, and what it is about."""

    id: str
    about: About
    fault: Fault


@dataclass(frozen=True, slots=True)
class Report:
    """``found`` is sorted by gravity; ``unseen`` are the checks that could not look, each with the reason."""

    facts: Facts
    found: tuple[Found, ...]
    fine: tuple[str, ...]
    unseen: tuple[tuple[str, str], ...]

    @property
    def exit_code(self) -> int:
        """3 where the machine lacks something that all needs, 1 for any other error or warning, else 0."""
        grave = [one for one in self.found if one.fault.severity != "note"]
        if any(one.fault.severity == "error" and one.about == "machine" for one in grave):
            return MachineError.exit_code
        return Finding.exit_code if grave else 0


def report(facts: Facts) -> Report:
    """What all checks say of the facts."""
    found: list[Found] = []
    fine: list[str] = []
    unseen: list[tuple[str, str]] = []
    listed: tuple[tuple[About, tuple[Check, ...]], ...] = (("machine", checks.MACHINE), ("project", checks.PROJECT))
    for about, some in listed:
        for check in some:
            name = check.__name__.replace("_", "-")
            try:
                faults = list(check(facts))
            except NotLookedAtError as error:
                unseen.append((name, str(error)))
                continue
            found += [Found(name, about, fault) for fault in faults]
            if not faults:
                fine.append(name)
    found.sort(key=lambda one: _GRAVEST.index(one.fault.severity))
    return Report(facts, tuple(found), tuple(fine), tuple(unseen))


def as_text(report: Report) -> list[tuple[str, str]]:
    """The lines, each with its style."""
    lines = [("head", _headline(report.facts))]
    lines += [(_STYLES[one.fault.severity], f"{one.fault.severity}: {one.fault.problem}") for one in report.found]
    if report.fine:
        lines.append(("", f"fine: {', '.join(report.fine)}"))
    reasons: dict[str, list[str]] = {}
    for name, why in report.unseen:
        reasons.setdefault(why, []).append(name)
    lines += [("", f"not looked at: {', '.join(names)} ({why})") for why, names in reasons.items()]
    return lines


def as_json(report: Report) -> str:
    """The same for programs, and for who is asked for help: with what the machine is like, and no secrets."""
    facts = report.facts
    settings = (facts.nix and facts.nix.settings) or {}
    machine: dict[str, Any] = {
        "system": facts.system,
        "distribution": facts.host.name,
        "container": facts.host.container,
        "wsl": facts.host.wsl,
        "systemd": facts.host.systemd,
        "cores": facts.cores,
        "root": facts.user.uid == 0,
        "nix": ".".join(map(str, facts.nix.version)) if facts.nix else None,
        "features": sorted(facts.nix.features) if facts.nix else [],
        "daemon": bool(facts.nix and facts.nix.socket),
        "settings": {name: settings[name] for name in _SETTINGS if name in settings},
        "substituters": [bare(one.address) for one in facts.servers or ()],
        "disks": [{"path": one.path, "uses": list(one.uses), "free": one.free} for one in facts.disks],
        "gpus": list(facts.gpu.driven),
        "driver": facts.gpu.driver,
        "libcuda": facts.gpu.libcuda,
    }
    findings = [
        {
            "id": one.id,
            "severity": one.fault.severity,
            "about": one.about,
            "where": one.fault.problem.where,
            "what": one.fault.problem.what,
            "mend": one.fault.problem.mend,
        }
        for one in report.found
    ]
    document = {
        "version": JSON_VERSION,
        "exit_code": report.exit_code,
        "machine": machine,
        "project": facts.project.name if facts.project else None,
        "findings": findings,
        "fine": list(report.fine),
        "not_looked_at": [{"id": name, "why": why} for name, why in report.unseen],
    }
    return jsontext.dumps(document)


def _headline(facts: Facts) -> str:
    without = "Nix, which cannot be used" if facts.nix_problem else "no Nix"
    nix = f"Nix {'.'.join(map(str, facts.nix.version))}" if facts.nix else without
    inside = f" in a {facts.host.container} container" if facts.host.container else ""
    wsl = f" in WSL {facts.host.wsl}" if facts.host.wsl else ""
    cores = f"{facts.cores} core{'s' if facts.cores > 1 else ''}"
    room = f", {size(min(one.free for one in facts.disks))} free" if facts.disks else ""
    project = f"; project {facts.project.name}" if facts.project and facts.project.name else ""
    return f"{facts.host.name or facts.host.system}{inside}{wsl}, {facts.system}, {cores}{room}, {nix}{project}"
