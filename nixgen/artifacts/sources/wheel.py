"""The wheel of a package that uv.lock pins already, as the archive of a model that ships in it."""

from __future__ import annotations

from pathlib import Path

from nixgen.artifacts.model import ArtifactSpec
from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.project.names import normalized
from nixgen.resolve.wheels import file_name


def wheel_of(spec: ArtifactSpec, root: Path) -> tuple[str, str, int | None]:
    """The address, SHA-256 and size of a wheel of ``archive:PACKAGE``, as uv.lock has them.

    One for every system where there is one, else the first by its name: models are the same in all of them. Raises
    UserError for a package that uv.lock lacks, has more than once, or has no pinned wheel of.
    """
    name = normalized(spec.source.removeprefix("archive:"))
    try:
        lock = toml.loads((root / "uv.lock").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError.of(
            spec.where, "takes a file out of a wheel in uv.lock, and there is no uv.lock", "uv lock"
        ) from None
    except toml.TomlError as error:
        raise UserError.of("uv.lock", f"is not TOML: {error}", "make it anew: uv lock") from None
    packages = [package for package in lock.get("package", ()) if package.get("name") == name]
    if not packages:
        raise UserError.of(spec.where, f"uv.lock has no package {name}", f"add it to the project: uv add {name}")
    if len(packages) > 1:
        versions = ", ".join(sorted(str(package.get("version")) for package in packages))
        mend = "give the wheel's address instead, with member and sha256"
        raise UserError.of(spec.where, f"uv.lock has {name} more than once ({versions})", mend)
    wheels = sorted(packages[0].get("wheels", ()), key=lambda wheel: (not _universal(wheel), file_name(wheel)))
    for wheel in wheels:
        kind, _, sha256 = str(wheel.get("hash", "")).partition(":")
        url = wheel.get("url")
        if kind == "sha256" and isinstance(url, str) and "://" in url:
            return url, sha256, wheel.get("size")
        if kind == "sha256" and url is None and wheel.get("path"):
            return f"file:{wheel['path']}", sha256, wheel.get("size")
    mend = "give the address of an archive instead, with member and sha256"
    raise UserError.of(spec.where, f"uv.lock has no wheel of {name} with an address and a hash", mend)


def _universal(wheel: dict[str, object]) -> bool:
    return file_name(wheel).endswith("-none-any.whl")
