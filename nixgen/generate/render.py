"""From a plan to the text of Nix files. No input or output but the reading of the templates."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import TypeVar

from nixgen.artifacts.model import PinnedArchive, PinnedArtifact
from nixgen.bases.model import Base
from nixgen.generate.model import Plan
from nixgen.nix import templates
from nixgen.nix.nixtext import to_nix
from nixgen.resolve.model import Package, Resolution

_Key = TypeVar("_Key", bound=Hashable)


def default_nix(plan: Plan) -> str:
    """default.nix: every wheel, source tree, file of a model or dataset, and service of ``plan``.

    One line each, sorted; wheels and trees with the systems that use them.
    """
    by_environment = _systems_by_environment(plan)
    return templates.render(
        "default.nix.j2",
        name=plan.name,
        lock=plan.lock,
        digests=sorted(plan.digests.items()),
        wheels=[to_nix(row) for row in wheel_rows(plan)],
        trees=[to_nix(row) for row in tree_rows(plan)],
        prefer=plan.prefer,
        skip_imports=plan.skip_imports,
        smoke=plan.smoke,
        cuda=plan.cuda,
        bytecode=plan.bytecode,
        run=plan.run,
        images=to_nix(plan.images) if plan.images else "",
        tasks=sorted(plan.tasks.items()),
        environments=[
            (name, to_nix(_given(systems=by_environment[name], smoke=smoke or None, script=plan.scripts.get(name))))
            for name, smoke in sorted(plan.environments.items())
        ],
        pinned=[
            (name, [to_nix(row) for row in rows])
            for name, rows in (
                ("buildWheels", plan.build_wheels),
                ("builds", build_rows(plan)),
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

    def row(package: Package) -> tuple[str, str, str, str, str, str]:
        file = package.file or ""
        version = file.split("-")[1] if package.version is None else package.version
        return package.name, version, file, package.sha256 or "", package.url or "", package.path or ""

    places = _placed(plan, lambda package: package.kind == "wheel", row)
    return [
        _given(
            name=name,
            version=version,
            file=file,
            systems=used.systems(),
            environments=used.environments(),
            sha256=sha256,
            url=url if not path else None,
            path=path or None,
        )
        for (name, version, file, sha256, url, path), used in sorted(places.items(), key=operator.itemgetter(0))
    ]


def tree_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each directory source, with the systems whose resolution names it."""
    places = _placed(
        plan, lambda package: package.kind == "directory", lambda package: (package.name, package.path or "")
    )
    return [
        _given(
            name=tree.name,
            version=tree.version,
            path=tree.path,
            roots=tree.roots,
            modules=tree.modules,
            systems=used.systems(),
            environments=used.environments(),
            metadata=tree.metadata,
            entryPoints=tree.entry_points,
            made=tree.made or None,
        )
        for tree in sorted(plan.trees, key=lambda tree: (tree.name, tree.version, tree.path))
        if not tree.built
        for used in (places.get((tree.name, tree.path), _Places()),)
    ]


def build_rows(plan: Plan) -> list[dict[str, object]]:
    """The rows of what is built from its source. What only other builds need is of no environment."""
    places = _placed(plan, lambda package: package.built, lambda package: (package.name, package.version))

    def placed(row: dict[str, object]) -> dict[str, object]:
        name, version = str(row["name"]), str(row["version"])
        found = places.get((name, version)) or places.get((name, None))
        if found is None or not row.get("installed", True):
            return row
        return {**row, "systems": found.systems(), **_given(environments=found.environments())}

    return [placed(row) for row in plan.builds]


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
        _given(
            name=service.name,
            command=service.command,
            models=service.models or None,
            environment=service.environment or None,
            health=service.health or None,
        )
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


def _systems_by_environment(plan: Plan) -> dict[str, list[str]]:
    return {
        name: sorted(one.target.system for one in plan.resolutions if one.environment == name)
        for name in plan.environments
    }


class _Places:
    """The systems that something is for, by environment."""

    def __init__(self) -> None:
        self._found: dict[str, set[str]] = {}

    def add(self, resolution: Resolution) -> None:
        self._found.setdefault(resolution.environment, set()).add(resolution.target.system)

    def systems(self) -> list[str]:
        """Those of the default environment."""
        return sorted(self._found.get("", ()))

    def environments(self) -> dict[str, list[str]] | None:
        """Those of the other environments, None where it is in none."""
        return {name: sorted(systems) for name, systems in sorted(self._found.items()) if name} or None


def _placed(plan: Plan, wanted: Callable[[Package], bool], key: Callable[[Package], _Key]) -> dict[_Key, _Places]:
    """Where the packages that are wanted are used, by what tells their rows apart."""
    places: dict[_Key, _Places] = {}
    for resolution in plan.resolutions:
        for package in filter(wanted, resolution.packages):
            places.setdefault(key(package), _Places()).add(resolution)
    return places
