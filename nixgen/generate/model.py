"""What the templates need. All frozen; none does any input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nixgen.artifacts.model import PinnedArtifact, ServiceSpec
from nixgen.bases.model import Base
from nixgen.errors import Problem
from nixgen.resolve.model import Resolution


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A directory source as the environment sees it: importable from the work tree, with complete metadata.

    ``roots`` are the folders that go on ``sys.path`` and ``modules`` the top-level importable names found there;
    roots are relative to the project ("src", ".", "libs/core/src"). ``metadata`` and ``entry_points`` are the texts
    of METADATA and entry_points.txt (core metadata 2.x and the entry points specification). ``files`` are others that
    were read for them (setup.py, VERSION), ``lines`` those of files of Python that tell the version; the paths are the
    project's. ``notes`` is what is not known of the package. ``made`` are modules that only a build
    makes, by their path below a root. One that is ``built`` has none of the rest: it is installed as the wheel that its
    backend makes.
    """

    name: str
    version: str
    path: str
    roots: tuple[str, ...]
    modules: tuple[str, ...]
    metadata: str
    entry_points: str
    files: tuple[str, ...] = ()
    lines: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    built: bool = False
    made: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the templates need.

    ``digests`` maps "uv.lock", "nixgen.lock" and "models.toml" to what ``generate.digests`` says of them; ``prefer``,
    ``skip_imports``, ``smoke``, ``cuda`` and ``bytecode`` are the settings of these names; ``systems`` are those of the
    default environment, ``resolutions`` are of all; ``environments`` are those with a name, and the smoke commands of
    each; ``scripts`` are the files of those that are a script's; ``exact_python`` is the version that the base's Python
    must have, where that counts and Nix alone can tell; ``builds`` and ``build_wheels`` are rows of what is built from
    its source, and of the wheels that this needs (:mod:`nixgen.builds.use`); ``artifacts`` are the lock's, ``services``
    those of models.toml, ``images`` what images are made with (:mod:`nixgen.generate.imagerow`); ``lock`` is the file
    that the default environment's packages stand in.
    """

    name: str
    base: Base
    systems: tuple[str, ...]
    resolutions: tuple[Resolution, ...]
    trees: tuple[SourceTree, ...]
    digests: dict[str, str] = field(default_factory=dict)
    prefer: tuple[str, ...] = ()
    skip_imports: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    cuda: str = "auto"
    bytecode: str = "auto"
    run: str = ""
    tasks: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    exact_python: str | None = None
    build_wheels: tuple[dict[str, object], ...] = ()
    builds: tuple[dict[str, object], ...] = ()
    artifacts: tuple[PinnedArtifact, ...] = ()
    services: tuple[ServiceSpec, ...] = ()
    images: Mapping[str, object] = field(default_factory=dict)
    lock: str = "uv.lock"
