"""What default.nix says of images: labels from [project], and settings that are not the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nixgen.generate import imagerow
from nixgen.project.project import Project
from nixgen.project.settings import ImageSettings, Settings


def project(image: ImageSettings | None, **table: Any) -> Project:
    return Project(Path(), "demo", {"project": {"name": "demo", **table}}, Settings(image=image), None, has_lock=True)


def test_a_project_that_says_nothing_of_images_has_a_version_and_labels_alone() -> None:
    assert imagerow.row(project(None)) == {}
    assert imagerow.row(project(None, version="1.0")) == {"version": "1.0"}
    given = ImageSettings(layers=20, user="7:8", ports=(80,), env={"A": "b"})
    assert imagerow.row(project(given)) == {"layers": 20, "user": "7:8", "ports": [80], "variables": {"A": "b"}}


def test_labels_come_from_the_project_and_settings_win() -> None:
    urls = {"Homepage": "https://example.org", "Repository": "https://git.example.org/demo"}
    table = {"version": "1.0", "license": "MIT", "description": "It", "urls": urls}
    given = ImageSettings(record=("default", "api"), labels={"org.opencontainers.image.description": "That"})
    assert imagerow.row(project(given, **table)) == {
        "version": "1.0",
        "labels": {
            "org.opencontainers.image.description": "That",
            "org.opencontainers.image.licenses": "MIT",
            "org.opencontainers.image.source": "https://git.example.org/demo",
        },
        "record": ["", "api"],
    }
    other = imagerow.row(project(ImageSettings(), license={"text": "BSD"}, urls=3))
    assert other["labels"] == {"org.opencontainers.image.licenses": "BSD"}


def test_only_what_is_there_is_recorded() -> None:
    settings = Settings(image=ImageSettings(record=("default", "api", "ap")))
    [found] = imagerow.problems(settings, ["api"])
    assert str(found) == (
        'pyproject.toml: tool.nixgen.image.record: "ap" is neither an environment nor a service\n'
        "  hint: did you mean api?"
    )
