"""checkout and pull: models into the store, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoostore.cli.arguments import complete_stub, globs
from zoostore.cli.hints import hint
from zoostore.cli.output import line, print_json, printable, say
from zoostore.cli.pulled import pulled_as_json, tell_plan, tell_pulled
from zoostore.cli.settings import common_options, settings
from zoostore.errors import ZooError

if TYPE_CHECKING:
    from zoostore.ops.checkout import CheckedOut

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
        tell(pulled)
        if settings().json:
            results.append(pulled_as_json(pulled))
        else:
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
