"""What is asked for a newer nixpkgs, of real Nix: a git repository stands for GitHub's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.nix import ROOT, Nix

from nixgen.nix.nar import hash_tree

WHO = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
ASK = "import json; from nixgen.lock import newest; print(json.dumps(newest._locked({!r})))"


def commit(repository: Path, text: str) -> str:
    (repository / "flake.nix").write_text(text)
    for words in (["add", "--all"], [*WHO, "commit", "--quiet", "--message", "next"], ["rev-parse", "HEAD"]):
        done = subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_branch_is_asked_each_time(nix: Nix, tmp_path: Path) -> None:
    """Its revision, the hash of its tree, and its time; what Nix remembers of a minute ago does not count."""
    repository = tmp_path / "nixpkgs"
    repository.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "nixos-26.11"], cwd=repository, check=True)
    for text in ("{ outputs = _: { }; }\n", "{ outputs = _: { lib = { }; }; }\n"):
        rev = commit(repository, text)
        code = ASK.format(f"git+file://{repository}?ref=nixos-26.11")
        found = json.loads(nix.inside(sys.executable, "-c", code, PYTHONPATH=str(ROOT)).stdout)
        assert found[:2] == [rev, hash_tree({"flake.nix": (text.encode(), False)})]
        assert found[2] > 1_700_000_000
