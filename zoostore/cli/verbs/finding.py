"""search: models that are here, or that could be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from zoostore.cli.output import print_json, printable, say, table, warn
from zoostore.cli.settings import common_options, settings
from zoostore.stubs import FACETS
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.ops.search import Hit

_IN_PART = 3


def _facet_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb an option for each part of a stub."""
    for facet in reversed(FACETS):
        name = "--" + facet.replace("_", "-")
        command = click.option(name, metavar="NAME", help=f"The stub's {facet}.")(command)
    return command


@click.command()
@click.argument("text", nargs=-1)
@_facet_options
@click.option("--release-version", default="", metavar="TAG", help="Models that have this tag.")
@common_options
def search(text: tuple[str, ...], release_version: str, **facets: str | None) -> int:
    """Find models by name, here and in the catalogs of the remotes.

    TEXT is anything that stands in the stub; the options are its parts, as they stand there.
    """
    said = {name: value for name, value in facets.items() if value is not None}
    found = settings().open_store().search(" ".join(text), tag=release_version, **said)
    if settings().json:
        print_json([_as_json(hit) for hit in found.hits])
    else:
        table(map(_as_row, found.hits), right=[1, 2])
        if not found.hits:
            say("no model found")
    for name, error in found.unread.items():
        warn(f"{name} was not searched: {printable(error.message)}")
    if found.not_asked:
        say(f"offline, so not searched: {', '.join(found.not_asked)}")
    return _IN_PART if found.unread else 0


def _as_json(hit: Hit) -> dict[str, object]:
    return {
        "stub": hit.stub,
        "snapshot": str(hit.snapshot),
        "files": hit.files,
        "size": hit.size,
        "tags": {tag: str(oid) for tag, oid in hit.tags.items()},
        "source": hit.source,
        "here": hit.is_here,
    }


def _as_row(hit: Hit) -> tuple[str, ...]:
    where = "here" if hit.is_here else hit.source
    files = "-" if hit.files is None else str(hit.files)
    size = "-" if hit.size is None else human_size(hit.size)
    return (hit.snapshot.short, files, size, where, hit.stub)
