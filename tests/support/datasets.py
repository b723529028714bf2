"""How the tests of datasets describe one."""

from __future__ import annotations

from pathlib import Path

import pytest
from datafiles import described

from nixgen.errors import UserError

CSV = "id,name\n1,ann\n2,\n"


def refused(tmp_path: Path, files: dict[str, str | bytes], form: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        described(tmp_path, files, form)
    return str(caught.value)
