"""What default.nix says of images: the settings, and what their labels have from ``[project]``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nixgen.errors import Problem
from nixgen.project.forms import one_of
from nixgen.project.project import Project
from nixgen.project.settings import ImageSettings, Settings

DEFAULT = "default"
"""What ``record`` calls the environment that has no name."""
_LABEL = "org.opencontainers.image."
_SOURCES = ("source", "source code", "repository", "github", "homepage")  # of project.urls, the best first


def row(project: Project) -> dict[str, object]:
    """The row: what is said, and nothing of what is usual."""
    image = project.settings.image or ImageSettings()
    table = project.pyproject.get("project")
    own: Mapping[str, Any] = table if isinstance(table, dict) else {}
    version = own.get("version")
    usual = ImageSettings()
    found: dict[str, object] = {
        "layers": image.layers if image.layers != usual.layers else 0,
        "labels": {**_labels(own), **image.labels},
        "ports": list(image.ports),
        "record": ["" if name == DEFAULT else name for name in image.record],
        "user": image.user if image.user != usual.user else "",
        "variables": dict(image.env),
        "version": version if isinstance(version, str) else "",
    }
    return {key: value for key, value in found.items() if value}


def _labels(own: Mapping[str, Any]) -> dict[str, str]:
    licence, urls = own.get("license"), own.get("urls")
    links = {str(key).lower(): value for key, value in urls.items()} if isinstance(urls, dict) else {}
    found = {
        "description": own.get("description"),
        "licenses": licence.get("text") if isinstance(licence, dict) else licence,
        "source": next((links[key] for key in _SOURCES if key in links), None),
    }
    return {f"{_LABEL}{key}": value for key, value in found.items() if isinstance(value, str) and value}


def problems(settings: Settings, services: Collection[str]) -> list[Problem]:
    """Images that are to be recorded of what is not there."""
    known = (DEFAULT, *settings.environments, *services)
    return [
        Problem(
            "pyproject.toml: tool.nixgen.image.record",
            f'"{name}" is neither an environment nor a service',
            one_of(name, known),
        )
        for name in (settings.image.record if settings.image is not None else ())
        if name not in known
    ]
