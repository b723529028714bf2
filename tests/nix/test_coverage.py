"""Every file of the Nix library has its tests: this table says which, and is held against the folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nixgen import resources

HERE = Path(__file__).parent
TESTED = {
    "image.nix": ["test_images"],
    "builders/image.py": ["test_images"],
    "builders/imageprogram.py": ["test_images"],
    **{
        f"oci/{name}.py": ["test_images"]
        for name in ("__init__", "layers", "model", "narform", "parts", "program", "stored", "ustar")
    },
    "nix/base32.py": ["test_images"],
    "base/debian.nix": ["test_programs", "test_refusals", "test_shell", "test_real_wheels"],
    "base/nixpkgs.nix": ["test_nixpkgs_base"],
    "builder.nix": ["test_determinism", "test_wheels"],
    "modules.nix": ["test_wheels", "test_determinism"],
    "script.nix": ["test_wheels", "test_shell"],
    "texts.nix": ["test_vendored"],
    "here.nix": ["test_vendored", "test_shell"],
    "builders/alternatives.py": ["test_builder_modules", "test_suites"],
    "builders/compile.py": ["test_determinism", "test_wheels"],
    "builders/environment.py": ["test_environment", "test_collisions", "test_editable"],
    "builders/externally-managed": ["test_shell"],
    "builders/format.py": ["test_formatter"],
    "builders/formatter.py": ["test_formatter"],
    "builders/hook.sh": ["test_shell"],
    "builders/imports.py": ["test_imports_check", "test_editable"],
    "builders/hostpaths.py": ["test_suites"],
    "builders/launcher.py": ["test_shell", "test_nixpkgs_base"],
    "builders/relocate.py": ["test_real_wheels", "test_determinism"],
    "builders/setup.py": ["test_shell"],
    "builders/smoke.py": ["test_smoke"],
    "builders/unpack.sh": ["test_determinism", "test_programs"],
    "builders/wheel/archive.py": ["test_archive", "test_bad_wheels"],
    "builders/wheel/bytecode.py": ["test_builder_modules", "test_bytecode", "test_real_wheels"],
    "builders/wheel/compiled.py": ["test_bytecode", "test_real_wheels"],
    "builders/kept.py": ["test_bytecode"],
    "bytecode.nix": ["test_bytecode", "test_recipes"],
    "builders/wheel/elf.py": ["test_builder_modules", "test_programs"],
    "builders/wheel/install.py": ["test_wheels", "test_bad_wheels", "test_real_wheels"],
    "builders/wheel/entrypoints.py": ["test_builder_modules", "test_bad_wheels"],
    "builders/wheel/libraries.py": ["test_loading", "test_suites"],
    "builders/wheel/needs.py": ["test_imports_check"],
    "builders/wheel/redirect.py": ["test_loading", "test_suites"],
    "builders/wheel/relink.py": ["test_relink", "test_suites"],
    "builders/wheel/workers.py": ["test_builder_modules", "test_bad_wheels"],
    "counted.nix": ["test_recipes"],
    "default.nix": ["test_refusals"],
    "environment.nix": ["test_environment", "test_refusals"],
    "fetch.nix": ["test_refusals"],
    "flake.nix": ["test_shell"],
    "formatter.nix": ["test_formatter", "test_nixpkgs_base"],
    "imports.nix": ["test_imports_check", "test_editable"],
    "launcher.nix": ["test_shell", "test_nixpkgs_base"],
    "project.nix": ["test_refusals", "test_shell"],
    "python.nix": ["test_nixpkgs_base"],
    "shell.nix": ["test_shell"],
    "ownvenv.nix": ["test_shell", "test_editable"],
    "own.nix": ["test_editable"],
    "apps.nix": ["test_shell", "test_services"],
    "builders/say.py": ["test_shell"],
    "outputs.nix": ["test_shell"],
    "stale.nix": ["test_refusals"],
    "othertools.json": ["test_refusals"],
    "wheel.nix": ["test_wheels", "test_nixpkgs_base"],
    "artifacts.nix": ["test_artifacts", "test_hub_libraries"],
    "builders/folder.py": ["test_artifacts"],
    "builders/member.py": ["test_artifacts"],
    "builders/own/driven.py": ["test_gpu"],
    "builders/own/enter.py": ["test_shell"],
    "builders/own/kernel.py": ["test_editors"],
    "builders/own/ownvenv.py": ["test_shell", "test_editable"],
    "builders/own/private.py": ["test_shell", "test_services"],
    "builders/serve.py": ["test_services"],
    "builders/service.py": ["test_services"],
    "guard/__init__.py": ["test_services"],
    "guard/__main__.py": ["test_services"],
    "guard/checking.py": ["test_services"],
    "guard/fields.py": ["test_services"],
    "guard/folder.py": ["test_services"],
    "guard/hashing.py": ["test_services"],
    "guard/hub.py": ["test_services"],
    "guard/manifest.py": ["test_services"],
    "guard/model.py": ["test_services"],
    "guard/program.py": ["test_services"],
    "guard/report.py": ["test_services"],
    "guard/scan.py": ["test_services"],
    "guard/stamp.py": ["test_services"],
    "guard/store.py": ["test_services"],
    "guard/words.py": ["test_services"],
    "guard/writeback.py": ["test_services"],
    "machine/driver.py": ["test_gpu"],
    "refused.nix": ["test_refusals"],
    "runs/seeding.py": ["test_environment", "test_shell"],
    "services.nix": ["test_services"],
    "smoke.nix": ["test_smoke"],
    "source.nix": ["test_services", "test_smoke"],
    "asking.nix": ["test_source_builds"],
    "build.nix": ["test_source_builds", "test_toolchain"],
    "builds.nix": ["test_source_builds"],
    "named.nix": ["test_environments"],
    "builders/git.py": ["test_git_sources"],
    "git.nix": ["test_git_sources"],
    "builders/source/archive.py": ["test_source_builds"],
    "builders/source/build.py": ["test_source_builds", "test_toolchain"],
    "builders/source/crates.py": ["test_crates", "test_source_builds"],
    "builders/source/hooks.py": ["test_source_builds", "test_toolchain"],
    "builders/source/leftovers.py": ["test_source_builds"],
    "builders/source/project.py": ["test_source_builds"],
    "builders/source/references.py": ["test_source_builds"],
    "builders/source/shell.py": ["test_source_builds"],
    "builders/toolchain.py": ["test_toolchain"],
    "file.nix": ["test_local_wheel"],
    "json.nix": ["test_refusals"],
    "requires.nix": ["test_source_builds", "test_toolchain"],
    "support.nix": ["test_refusals"],
}


def test_every_file_of_the_library_is_in_the_table() -> None:
    assert sorted(resources.library()) == sorted(TESTED)


@pytest.mark.parametrize("module", sorted({module for modules in TESTED.values() for module in modules}))
def test_the_tests_that_the_table_names_exist(module: str) -> None:
    assert re.search(r"^def test_", (HERE / f"{module}.py").read_text(), re.MULTILINE)


def test_the_library_offers_what_the_tests_know() -> None:
    names = re.findall(r"^  (\w+) = ", resources.library()["default.nix"].decode(), re.MULTILINE)
    assert names == ["project"]


@pytest.mark.parametrize("name", ["environment", "shell", "imports", "wheels", "formatter", "base", "root", "recipes"])
def test_every_attribute_of_a_project_is_asked_for_by_a_test(name: str) -> None:
    text = resources.library()["project.nix"].decode()
    assert re.search(rf"^  {name} =\s", text, re.MULTILINE)
    asked = [path.name for path in HERE.glob("test_*.py") if re.search(rf"\b{name}\b", path.read_text())]
    assert len(asked) > 1
