"""From a plan to the text of Nix files. No input or output but the reading of the templates."""

from __future__ import annotations

from collections.abc import Iterable

from nixgen.artifacts.model import PinnedArchive, PinnedArtifact
from nixgen.bases.model import Base
from nixgen.generate.model import Plan
from nixgen.nix import templates
from nixgen.nix.nixtext import to_nix


def default_nix(plan: Plan) -> str:
    """default.nix: every wheel, source tree, file of a model or dataset, and service of ``plan``.

    One line each, sorted; wheels and trees with the systems that use them.
    """
    return templates.render(
        "default.nix.j2",
        name=plan.name,
        digests=sorted(plan.digests.items()),
        wheels=[to_nix(row) for row in wheel_rows(plan)],
        trees=[to_nix(row) for row in tree_rows(plan)],
        prefer=plan.prefer,
        skip_imports=plan.skip_imports,
        smoke=plan.smoke,
        pinned=[
            (name, [to_nix(row) for row in rows])
            for name, rows in (
                ("buildWheels", plan.build_wheels),
                ("builds", plan.builds),
                ("artifacts", artifact_rows(plan)),
                ("files", file_rows(plan)),
                ("services", service_rows(plan)),
            )
        ],
    )


def base_nix(plan: Plan) -> str:
    """nix/nixgen/base.nix: the pins of the base, from nixgen.lock, for the systems of ``plan``."""
    return templates.base_nix(plan.base, plan.systems, plan.exact_python)


def flake_nix(name: str, base: Base, nixpkgs_url: str) -> str:
    """flake.nix, written once by ``nixgen init``. ``nixpkgs_url`` is the flake reference of its one input."""
    return templates.render(
        "flake.nix.j2", description=f"The environment of {name}", kind=base.kind, nixpkgs_url=nixpkgs_url
    )


def shell_nix() -> str:
    """shell.nix, written once by ``nixgen init``, so that a plain ``nix-shell`` enters the environment."""
    return templates.render("shell.nix.j2")


def wheel_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each distinct wheel of all targets, sorted by name, version and file.

    ``path`` is that of a wheel in the project, ``url`` of any other.
    """
    systems: dict[tuple[str, str, str, str, str, str], set[str]] = {}
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.kind == "wheel":
                file = package.file or ""
                version = file.split("-")[1] if package.version is None else package.version
                key = (package.name, version, file, package.sha256 or "", package.url or "", package.path or "")
                systems.setdefault(key, set()).add(resolution.target.system)
    return [
        _given(
            name=name,
            version=version,
            file=file,
            systems=sorted(used),
            sha256=sha256,
            url=url if not path else None,
            path=path or None,
        )
        for (name, version, file, sha256, url, path), used in sorted(systems.items())
    ]


def tree_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each directory source, with the systems whose resolution names it."""
    return [
        {
            "name": tree.name,
            "version": tree.version,
            "path": tree.path,
            "roots": tree.roots,
            "modules": tree.modules,
            "systems": sorted(set(_systems_with(plan, tree.name, tree.path))),
            "metadata": tree.metadata,
            "entryPoints": tree.entry_points,
        }
        for tree in sorted(plan.trees, key=lambda tree: (tree.name, tree.version, tree.path))
    ]


def artifact_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each model and dataset, sorted by kind and name: what its folder looks like.

    ``gated`` is the page on which access is asked for.
    """
    return [
        _given(
            kind=artifact.kind,
            name=artifact.name,
            source=artifact.source,
            layout=artifact.layout,
            repo=artifact.repo,
            repoType=artifact.repo_type if artifact.repo_type != "model" else None,
            revision=artifact.revision,
            commit=artifact.commit,
            gated=_page(artifact) if artifact.gated else None,
        )
        for artifact in _artifacts(plan)
    ]


def file_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each file of each model and dataset, sorted by artifact and path.

    A row without ``url``, ``local`` and ``archive`` is a file that only nixgen can put into the store.
    """
    return [
        _given(
            artifact=artifact.key,
            path=file.path,
            size=file.size,
            sha256=file.sha256,
            url=file.url,
            local=file.local,
            member=file.member,
            archive=_archive(file.archive) if file.archive is not None else None,
        )
        for artifact in _artifacts(plan)
        for file in sorted(artifact.files, key=lambda file: file.path)
    ]


def service_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each service, sorted by name. Without ``models`` it is all models and data."""
    return [
        _given(name=service.name, command=service.command, models=service.models or None)
        for service in sorted(plan.services, key=lambda service: service.name)
    ]


def _artifacts(plan: Plan) -> list[PinnedArtifact]:
    return sorted(plan.artifacts, key=lambda artifact: (artifact.kind, artifact.name))


def _page(artifact: PinnedArtifact) -> str:
    """The page of a repo on its hub: what stands before ``/resolve/`` in its files' addresses."""
    urls = [file.url for file in artifact.files if file.url is not None]
    return urls[0].partition("/resolve/")[0] if urls else artifact.source


def _archive(archive: PinnedArchive) -> dict[str, object]:
    from nixgen.artifacts.store import archive_name

    return _given(name=archive_name(archive), sha256=archive.sha256, url=archive.url, local=archive.local)


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _systems_with(plan: Plan, name: str, path: str) -> Iterable[str]:
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.kind == "directory" and (package.name, package.path) == (name, path):
                yield resolution.target.system
