"""Using the base changes nothing in the store, not even as root, who may write there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab import Lab

CODE = "import sitecustomize, sysconfig; sysconfig.get_config_vars(); print(sysconfig._get_sysconfigdata_name())"


def test_python_writes_no_byte_code_into_the_base(each_lab: Lab) -> None:
    environment, core = each_lab.environment(), each_lab.build("base.core")
    said = each_lab.nix.inside(f"{environment}/bin/python", "-c", CODE, cwd=each_lab.folder).stdout
    assert said.startswith("_sysconfigdata_")
    assert each_lab.nix.run("nix-store", "--verify-path", str(core)).ok
