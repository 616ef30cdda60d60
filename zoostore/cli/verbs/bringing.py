"""checkout, pull, add and commit: files into the store, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoostore.cli.arguments import complete_stub, globs, key_values
from zoostore.cli.hints import hint
from zoostore.cli.output import line, plural, print_json, printable, say
from zoostore.cli.pulled import pulled_as_json, tell_plan, tell_pulled
from zoostore.cli.settings import common_options, settings
from zoostore.errors import ZooError
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.ops.checkout import CheckedOut
    from zoostore.ops.recording import Recorded

_IN_PART = 3
_NOT_YET_KNOWN = "(not known before it is pulled)"
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
        print_json({**pulled_as_json(done.pulled), **_checked_out(done)})
        return
    tell_pulled(done.pulled)
    laid = ", ".join(f"{count} by {mode}" for mode, count in done.linked.items() if count)
    more = [laid or "nothing to write"]
    if done.kept:
        more.append(f"{done.kept} kept")
    if done.removed:
        more.append(f"{done.removed} removed")
    if done.previous and not done.previous.startswith(f"{done.pulled.stub}@"):
        more.append(f"it was {done.previous}")
    snapshot = done.pulled.snapshot
    assert snapshot is not None  # it was pulled, and not only planned
    say(f"{done.pulled.stub} at {snapshot.short}: {'; '.join(more)}")
    line(printable(str(done.directory)))


@click.command()
@click.argument("stubs", metavar="STUB...", nargs=-1, required=True, shell_complete=complete_stub)
@click.option("--as", "name", metavar="STUB", help="What to call what a URL leads to.")
@globs
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
@click.option("--force", is_flag=True, help="Follow the source even where the model was changed.")
@common_options
def pull(stubs: tuple[str, ...], name: str | None, **options: Any) -> int:
    """Bring models here without laying them out.

    A URL stands for a file or an archive (.tar.gz, .zip), and --as for its name here. Behind it may
    stand what it must have: #blake3=HEX or #sha256=HEX.
    """
    _check_urls(stubs, name)
    store = settings().open_store()
    tell = tell_plan if options["dry_run"] else tell_pulled
    results: list[dict[str, object]] = []
    failures: list[ZooError] = []
    for stub in stubs:
        try:
            if name is None:
                pulled = store.pull(stub, **options)
            else:
                pulled = store.pull_url(stub, name, **options)
        except ZooError as error:
            if len(stubs) == 1:
                raise
            failures.append(error)
            results.append({"stub": stub, "error": _failed(error)})
            say(printable(f"error: {error.message} {hint(error)}"))
            continue
        results.append(pulled_as_json(pulled))
        tell(pulled)
        if not settings().json:
            line(f"{pulled.snapshot or _NOT_YET_KNOWN}  {pulled.stub}")
    if settings().json:
        print_json(results if len(stubs) > 1 else results[0])
    if len(failures) == len(stubs):
        return failures[0].exit_code
    return _IN_PART if failures else 0


def _check_urls(stubs: tuple[str, ...], name: str | None) -> None:
    """A URL has a name given to it, and nothing else has. Not shown: it may hold credentials."""
    urls = [stub for stub in stubs if "://" in stub]
    if urls and name is None:
        raise click.UsageError("A URL needs --as STUB, which says what to call the model here.")
    if name is not None and (len(stubs) != 1 or not urls):
        raise click.UsageError(
            "--as STUB is the name of what one URL leads to, and of nothing else."
        )


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
