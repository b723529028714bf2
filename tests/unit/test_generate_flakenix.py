"""flake.nix of an older nixgen gets the outputs of now; one that somebody changed stays."""

from __future__ import annotations

import pytest
from support.plans import DEBIAN_PLAN

from nixgen.generate import flakenix, render

URL = "path:./nix/nixgen"
# What nixgen wrote before flake.nix was one line over nix/nixgen/outputs.nix.
OLD = """
  outputs =
    { self, ... }:
    let
      systems = (import ./nix/nixgen/base.nix).systems;
      forEach =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f (import ./. { inherit system; });
          }) systems
        );
    in
    {
      packages = forEach (
        project:
        project.services
        // {
          default = project.environment;
          models = project.models-all;
          data = project.data-all;
        }
      );
      apps = forEach (project: project.apps);
      devShells = forEach (project: { default = project.shell; });
      checks = forEach (project: project.checks);
      formatter = forEach (project: project.formatter);
    };
}
"""


@pytest.fixture
def now() -> str:
    return render.flake_nix("demo", DEBIAN_PLAN.base, URL)


def old(now: str) -> str:
    return now[: now.index("\n  # To add")] + OLD


def test_old_outputs_become_those_of_now(now: str) -> None:
    assert flakenix.renewed(old(now).encode()) == now.encode()
    assert flakenix.renewed(old(now).replace(URL, "path:/mine").encode()) == now.replace(URL, "path:/mine").encode()


def test_what_somebody_changed_stays(now: str) -> None:
    changed = old(now).replace("project.shell", "project.shell // { }")
    assert flakenix.renewed(changed.encode()) is None
    assert flakenix.renewed(now.encode()) is None
    assert flakenix.renewed(old(now).replace("# Written by nixgen", "# Mine, not").encode()) is None


def test_outputs_without_environments_are_known(now: str) -> None:
    assert flakenix.lacks_environments(old(now).encode())
    assert not flakenix.lacks_environments(now.encode())
    assert not flakenix.lacks_environments(b"")
