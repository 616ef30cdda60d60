"""checkout, pull, add and commit: files into the store, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoostore.cli.arguments import complete_stub, globs, key_values
from zoostore.cli.hints import hint
from zoostore.cli.output import line, plural, print_json, printable, say
from zoostore.cli.settings import common_options, settings
from zoostore.errors import ZooError
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.ops.checkout import CheckedOut
    from zoostore.ops.pull import Pulled
    from zoostore.ops.recording import Recorded

_IN_PART = 3
_MODES = ("auto", "reflink", "hardlink", "symlink", "copy")


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@click.argument("directory", required=False, type=click.Path(file_okay=False))
@click.option("--link", type=click.Choice(_MODES), help="How files get their bytes.")
@globs
@click.option("--force", is_flag=True, help="Overwrite edited files, and those in the way.")
@click.option("--verify", is_flag=True, help="Read every object again before it is used.")
@common_options
def checkout(stub: str, directory: str | None, **options: Any) -> None:
    """Lay a model out in a directory, pulling what is missing."""
    done = settings().open_store().checkout(stub, directory, **options)
    if settings().json:
        print_json({**_pulled(done.pulled), **_checked_out(done)})
        return
    _tell_pulled(done.pulled)
    laid = ", ".join(f"{count} by {mode}" for mode, count in done.linked.items() if count)
    more = [laid or "nothing to write"]
    if done.kept:
        more.append(f"{done.kept} kept")
    if done.removed:
        more.append(f"{done.removed} removed")
    if done.previous and not done.previous.startswith(f"{done.pulled.stub}@"):
        more.append(f"it was {done.previous}")
    say(f"{done.pulled.stub} at {done.pulled.snapshot.short}: {'; '.join(more)}")
    line(printable(str(done.directory)))


@click.command()
@click.argument("stubs", metavar="STUB...", nargs=-1, required=True, shell_complete=complete_stub)
@globs
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
@click.option("--force", is_flag=True, help="Follow the source even where the model was changed.")
@common_options
def pull(stubs: tuple[str, ...], **options: Any) -> int:
    """Bring models here without laying them out."""
    store = settings().open_store()
    results: list[dict[str, object]] = []
    failures: list[ZooError] = []
    for stub in stubs:
        try:
            pulled = store.pull(stub, **options)
        except ZooError as error:
            if len(stubs) == 1:
                raise
            failures.append(error)
            results.append({"stub": stub, "error": _failed(error)})
            say(printable(f"error: {error.message} {hint(error)}"))
            continue
        results.append(_pulled(pulled))
        _tell_pulled(pulled, would=options["dry_run"])
        if not settings().json:
            line(f"{pulled.snapshot}  {pulled.stub}")
    if settings().json:
        print_json(results if len(stubs) > 1 else results[0])
    if len(failures) == len(stubs):
        return failures[0].exit_code
    return _IN_PART if failures else 0


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


def _pulled(pulled: Pulled) -> dict[str, object]:
    return {
        "stub": pulled.stub,
        "snapshot": str(pulled.snapshot),
        "files": pulled.files,
        "size": pulled.size,
        "downloaded_files": pulled.downloaded_files,
        "downloaded_bytes": pulled.downloaded_bytes,
        "reused_files": pulled.reused_files,
        "reused_bytes": pulled.reused_bytes,
        "source": pulled.source,
    }


def _checked_out(done: CheckedOut) -> dict[str, object]:
    return {
        "directory": str(done.directory),
        "files": done.files,
        "size": done.size,
        "link": done.link,
        "linked": dict(done.linked),
        "kept": done.kept,
        "removed": done.removed,
        "previous": done.previous,
    }


def _failed(error: ZooError) -> dict[str, object]:
    return {
        "kind": error.kind,
        "message": error.message,
        "hint": hint(error),
        "exit_code": error.exit_code,
    }


def _tell_pulled(pulled: Pulled, *, would: bool = False) -> None:
    if not pulled.source and not pulled.downloaded_files:
        return
    verb = "would pull" if would else "pulled"
    origin = f" from {pulled.source}" if pulled.source else ""
    more = ""
    if pulled.reused_files:
        word = "reuse" if would else "reused"
        more = f", {word} {plural(pulled.reused_files, 'file')} ({human_size(pulled.reused_bytes)})"
    moved = f"{plural(pulled.downloaded_files, 'file')} ({human_size(pulled.downloaded_bytes)})"
    say(f"{verb} {moved}{origin}{more}")


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
