"""add and commit: directories become snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zoostore.cli.arguments import complete_stub, key_values
from zoostore.cli.output import line, plural, print_json, say
from zoostore.cli.settings import common_options, settings
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.ops.recording import Recorded


@click.command()
@click.argument("directory", type=click.Path())
@click.argument("stub", shell_complete=complete_stub)
@click.option("-m", "--message", default="", metavar="MSG", help="What there is to say of it.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Metadata of the snapshot.")
@common_options
def add(directory: str, stub: str, message: str, meta: tuple[str, ...]) -> None:
    """Import a directory as a new snapshot of a model."""
    store = settings().open_store()
    _tell_recorded(store.add(directory, stub, message=message, metadata=key_values(meta)))


@click.command()
@click.argument("directory", default=".", type=click.Path())
@click.option("-m", "--message", required=True, metavar="MSG", help="What was changed.")
@click.option(
    "--as", "stub", shell_complete=complete_stub, metavar="STUB", help="Keep it under a new name."
)
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Metadata of the snapshot.")
@common_options
def commit(directory: str, message: str, stub: str | None, meta: tuple[str, ...]) -> None:
    """Record what changed in a checkout as a new snapshot."""
    store = settings().open_store_of(directory)
    done = store.commit(directory, message=message, stub=stub, metadata=key_values(meta))
    _tell_recorded(done)


def _tell_recorded(done: Recorded) -> None:
    if settings().json:
        print_json(
            {
                "stub": done.stub,
                "snapshot": str(done.snapshot),
                "parent": str(done.parent) if done.parent else None,
                "files": done.files,
                "size": done.size,
                "new_objects": done.new_objects,
                "new_bytes": done.new_bytes,
            }
        )
        return
    origin = f"child of {done.parent.short}" if done.parent else "first snapshot"
    say(
        f"{plural(done.files, 'file')} ({human_size(done.size)}); stored "
        f"{plural(done.new_objects, 'new object')} ({human_size(done.new_bytes)}); {origin}"
    )
    line(f"{done.snapshot}  {done.stub}")
