"""``nixgen build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options
from nixgen.cli.plan import FoldersArgument

EXIT_CODES = (
    "Exit codes: 0 done, 1 other bytes or something missing, 2 a mistake in the input, 3 the machine lacks something, "
    "4 stale, 5 build failed."
)


def build(
    folders: FoldersArgument = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Only the share of worker I, from 1 on, of N.")
    ] = "1/1",
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="What `nixgen plan --json` printed; else it is made.")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME", help="Only base, wheels or environments.", show_default="all in order"),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME", help="Only what needs this of a machine (gpu). Can be repeated."),
    ] = None,
    cache: Annotated[
        str | None, typer.Option("--cache", metavar="URL", help="The binary cache that all workers share.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="NAME", help="The worker's keys: nixgen cache keygen, or their folder."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option("--public-key", metavar="KEY", help="A further key whose paths are taken. Can be repeated."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="How long nothing comes from others before it is built."),
    ] = 120,
    collect: Annotated[
        bool, typer.Option("--collect", help="Build nothing: check what workers left, log and sign it.")
    ] = False,
    worker_key: Annotated[
        list[str] | None,
        typer.Option(
            "--worker-key", metavar="KEY", help="With --collect: log.pub of the workers' keys.", show_default="of --key"
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="URL", help="Where the log lies, when it is not beside the cache.")
    ] = None,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Build projects, or one worker's share of many.

    Wheels first, environments second. With --cache, what others built is taken from there, and what is built here is
    published, with a signed receipt. May be run again at any time: what is there is not built again.

    Example: nixgen build --shard 3/8 --plan plan.json --cache file:///srv/cache --key fleet-1
    """
    from nixgen.check import facts
    from nixgen.console import console
    from nixgen.fleet import asked

    index, count = asked.shard(shard)
    share = asked.share(facts.system(), index, count, feature or (), stage)
    if collect:
        found = asked.plan(folders, plan, share.system)
        place, done = asked.collect(cache, log, key, worker_key or (), found)
        console.result(
            f"{place.url}: the log has {done.checkpoint.size} entries, {done.logged} of them new; "
            f"signed {done.signed} paths"
        )
        error = asked.unpublished(done) or found.error()
    else:
        shared = asked.shared(cache, log, key, public_key or (), count)
        found = asked.plan(folders, plan, share.system)
        worked = asked.work(found, share, shared, wait)
        published = f"; published {worked.published} paths, took {worked.taken}" if shared else ""
        there = f", {worked.there} were there" if shared else ""
        console.result(f"shard {index}/{count}: built {worked.built} derivations{there}{published}")
        error = worked.error()
    if error is not None:
        raise error
