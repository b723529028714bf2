"""``nixgen image``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nixgen.cli import artifacts, complete, options

if TYPE_CHECKING:
    from nixgen.images.build import Asked, Made

app = artifacts.group("image", "Build and push OCI images of environments, services and models.")


@app.callback()
def image() -> None:
    """Build and push OCI images of environments, services and models."""


NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A service, an environment or a model.",
        show_default="the environment",
        autocompletion=complete.images,
    ),
]
EnvFlag = Annotated[bool, typer.Option("--env", help="NAME is an environment.")]
ServiceFlag = Annotated[bool, typer.Option("--service", help="NAME is a service of models.toml.")]
ModelFlag = Annotated[bool, typer.Option("--model", help="NAME is a model: its files alone, as ModelPack has them.")]
CompressOption = Annotated[
    str | None,
    typer.Option("--compress", metavar="zstd", help="Compress layers; the digest then depends on zstd's version."),
]
SystemsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--system", metavar="SYSTEM", help="For this system; several make an index.", show_default="this machine's"
    ),
]


def asked(project: Path, name: str, systems: list[str] | None, *, env: bool, service: bool, model: bool) -> Asked:
    """What the words of a command ask for. Raises UserError for two kinds at once."""
    from nixgen.errors import UserError
    from nixgen.images.build import Asked, Kind

    chosen: dict[Kind, bool] = {"env": env, "service": service, "model": model}
    kinds = [kind for kind, given in chosen.items() if given]
    if len(kinds) > 1:
        raise UserError.of(f"--{kinds[0]} --{kinds[1]}", "are two kinds of image", "leave one of the two out")
    return Asked(project, name, kinds[0] if kinds else None, tuple(dict.fromkeys(systems or ())))


@artifacts.command(
    app,
    "build",
    "Build an image, and print its digest. Without --out or --archive, nothing is written.\n\n"
    "The same project has the same digest, on every machine. Without nixgen: nix run .#image > image.tar\n\n"
    "Example: nixgen image build api --archive api.tar; podman load -i api.tar",
)
def build(
    name: NameArgument = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write an OCI image layout.", show_default=False)
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            metavar="FILE",
            help="Write what podman load and docker load take; - is stdout.",
            show_default=False,
        ),
    ] = None,
    env: EnvFlag = False,
    service: ServiceFlag = False,
    model: ModelFlag = False,
    system: SystemsOption = None,
    compress: CompressOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen image build``."""
    import contextlib

    from nixgen.console import console
    from nixgen.images import write
    from nixgen.images.build import opened

    place = _place(out, archive, compress, json=json)
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(opened(asked(project, name, system, env=env, service=service, model=model)))
        if compress is not None:
            made = stack.enter_context(write.compressed(made, place.absolute().parent))
        if out is not None:
            write.layout(made, out)
        if archive is not None:
            write.archive(made, archive)
        if json:
            console.result(_json(made, out or archive))
            return
        console.info(_line(made) + (f"; wrote {out or archive}" if out or archive else ""))
        if archive != write.STDOUT:
            console.result(made.digest)


@artifacts.command(
    app,
    "push",
    "Send an image to a registry, and print its digest.\n\n"
    "Only what the registry lacks is sent. Logins are those of podman, docker and skopeo. Without a tag, "
    "the version is the tag. --key signs the provenance that is attached; its password is NIXGEN_KEY_PASSWORD.\n\n"
    "Example: nixgen image push registry.example.org/team/demo api --tag latest",
)
def push(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="HOST/NAME or HOST/NAME:TAG.", show_default=False)],
    name: NameArgument = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Its tag; can be repeated.", show_default="version")
    ] = None,
    env: EnvFlag = False,
    service: ServiceFlag = False,
    model: ModelFlag = False,
    system: SystemsOption = None,
    compress: CompressOption = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Sign the provenance with this private key (PEM).")
    ] = None,
    sign: Annotated[bool, typer.Option("--sign", help="Sign without a key: sigstore asks who you are.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen image push``."""
    import contextlib
    import os

    from nixgen.console import console, size
    from nixgen.formats.jsontext import dumps
    from nixgen.images import attached, write
    from nixgen.images.build import opened
    from nixgen.machine.background import Beside
    from nixgen.registries.place import Place, version_tag
    from nixgen.registries.push import send

    place = Place.of(address)
    tags = place.tags(tag or ())
    by = attached.Signing(key, os.environ.get("NIXGEN_KEY_PASSWORD")) if sign or key is not None else None
    _place(None, None, compress, json=json)
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(opened(asked(project, name, system, env=env, service=service, model=model)))
        if compress is not None:
            made = stack.enter_context(write.compressed(made, Path.cwd()))
        tags = tags or (version_tag(made.name.rpartition(":")[2]),)
        sent = send(place, made.whole, tags, Beside(lambda: attached.documents(made, by)).result)
    if json:
        console.result(dumps({"version": 1, "digest": made.digest, "sent": sent, "tags": list(tags)}))
        return
    places = ", ".join(f"{place.host}/{place.name}:{one}" for one in tags)
    console.info(f"{_line(made)}; sent {size(sent)} to {places}")
    console.result(made.digest)


@artifacts.command(
    app,
    "verify",
    "Compare an image in a registry with its signed provenance.\n\n"
    "Exits with 1 where nobody whom you name signed it. Its digest, the signer and the git commit are printed.\n\n"
    "Example: nixgen image verify registry.example.org/team/demo:1.2 --key release.pub",
)
def verify(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="HOST/NAME:TAG or HOST/NAME@sha256:…", show_default=False)
    ],
    key: options.PublicKeyOption = None,
    identity: options.IdentityOption = None,
    issuer: options.IssuerOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen image verify``."""
    from nixgen.console import console
    from nixgen.formats.jsontext import dumps
    from nixgen.images import attached
    from nixgen.models.signing import Signer

    found = attached.verify(address, Signer(key, identity, issuer))
    if json:
        told = {"version": 1, "digest": found.digest, "signer": found.signer, "commit": found.commit or None}
        console.result(dumps(told))
        return
    console.info(f"signed by {found.signer}" + (f", made of commit {found.commit}" if found.commit else ""))
    console.result(found.digest)


def _place(out: Path | None, archive: Path | None, compress: str | None, *, json: bool) -> Path:
    """Where an image is written, or could be. Raises UserError for words that exclude each other."""
    from nixgen.errors import UserError
    from nixgen.images import write

    if out is not None and archive is not None:
        raise UserError.of("--out --archive", "are two forms of one image", "leave one of the two out")
    if compress not in {None, "zstd"}:
        raise UserError.of("--compress", f"{compress} is not a form of compression", "write --compress zstd")
    if json and archive == write.STDOUT:
        raise UserError.of("--json --archive -", "both print to stdout", "name a file")
    return out or (archive if archive not in {None, write.STDOUT} else None) or Path("image")


def _line(made: Made) -> str:
    from nixgen.console import size

    layers = [layer for image in made.whole.images for layer in image.blobs[1:]]
    platforms = [image.manifest.descriptor.platform for image in made.whole.images]
    told = f", {', '.join(filter(None, platforms))}" if any(platforms) else ""
    count = f"{len(layers)} layer{'s' if len(layers) != 1 else ''}"
    return f"{made.name}: {size(made.size)} in {count}{told}"


def _json(made: Made, place: Path | None) -> str:
    from nixgen.formats.jsontext import dumps

    images = [
        {
            "platform": image.manifest.descriptor.platform,
            "digest": image.manifest.descriptor.digest,
            "layers": [
                {
                    "title": made.titles.get(layer.descriptor.digest, ""),
                    "digest": layer.descriptor.digest,
                    "size": layer.descriptor.size,
                }
                for layer in image.blobs[1:]
            ],
        }
        for image in made.whole.images
    ]
    written = {"written": str(place)} if place is not None else {}
    return dumps(
        {"version": 1, "name": made.name, "digest": made.digest, "size": made.size, "images": images, **written}
    )
