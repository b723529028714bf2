from __future__ import annotations

from pathlib import Path

import pytest

from nixgen.errors import MachineError, UserError
from nixgen.machine import folders


def test_a_variable_that_is_no_whole_path_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative", "~/x"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert folders.cache("apt") == tmp_path / ".cache/nixgen/apt"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/c")
    assert folders.cache("apt", "x") == Path("/var/c/nixgen/apt/x")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert folders.config("keys") == tmp_path / ".config/nixgen/keys"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(MachineError, match=r"^this user has no home folder\n  hint: set HOME or XDG_CACHE_HOME$"):
        folders.cache("apt")


@pytest.mark.parametrize("text", ["~nosuch/x", "a\0b"])
def test_what_is_no_path(text: str) -> None:  # case 35
    with pytest.raises(UserError, match="is not a path: "):
        folders.typed(text)


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="is not a path: "):
        folders.typed(f"{tmp_path}/loop/x")
