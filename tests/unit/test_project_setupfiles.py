from __future__ import annotations

from pathlib import Path

import pytest

from nixgen.errors import UserError
from nixgen.project import setupfiles


@pytest.mark.parametrize(
    "text",
    [
        "x = 'a'\n" + "x" * 3,
        "(" * 5000,
        "a = " + "+".join(["1"] * 50_000),
        "\0",
        "a = [1]\n" + "".join(f"a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 60)),
    ],
)
def test_a_hostile_setup_py_is_read_in_bounds(text: str) -> None:
    assert isinstance(setupfiles.of_setup_py(text), dict)


def test_a_setup_cfg_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("no section\n")
    with pytest.raises(UserError) as caught:
        setupfiles.read(tmp_path, "libs/core/")
    assert str(caught.value).startswith("libs/core/setup.cfg: is not a file that setuptools reads: ")
