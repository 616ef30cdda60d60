"""What a pull brought, or would bring: as JSON, or for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoostore.cli.output import plural, printable, say, table
from zoostore.cli.settings import settings
from zoostore.units import human_size, human_speed, human_time

if TYPE_CHECKING:
    from zoostore.cli.progress.watch import Spent
    from zoostore.ops.pulled import Pulled

_WORTH_TELLING_SECONDS = 1.0


def pulled_as_json(pulled: Pulled) -> dict[str, object]:
    """The keys that docs/json.md describes."""
    return {
        "stub": pulled.stub,
        "snapshot": str(pulled.snapshot) if pulled.snapshot else None,
        "files": pulled.files,
        "size": pulled.size,
        "downloaded_files": pulled.downloaded_files,
        "downloaded_bytes": pulled.downloaded_bytes,
        "reused_files": pulled.reused_files,
        "reused_bytes": pulled.reused_bytes,
        "source": pulled.source,
        "missing": [{"path": path, "size": size} for path, size in pulled.missing],
        "notes": list(pulled.notes),
    }


def tell_pulled(pulled: Pulled) -> None:
    """Say what was moved, if anything was or might have been; how long it took, if that is long."""
    spent = settings().watch().spent("pulling")
    for note in pulled.notes:
        say(printable(note))
    if pulled.source or pulled.downloaded_files:
        say(summary(pulled, spent))


def tell_plan(pulled: Pulled) -> None:
    """Say what would be moved, and list it."""
    for note in pulled.notes:
        say(printable(note))
    if pulled.source or pulled.downloaded_files:
        say(_sentence("would pull", "reuse", pulled))
    if not settings().json:
        table([(printable(path), human_size(size)) for path, size in pulled.missing], right=[1])


def summary(pulled: Pulled, spent: Spent) -> str:
    """One line: what was moved, reused and saved.

    The speed is that of what was moved in this run: part of it may have arrived in one before.
    """
    if spent.seconds <= _WORTH_TELLING_SECONDS or not pulled.downloaded_files:
        return _sentence("pulled", "reused", pulled)
    speed = human_speed(spent.moved / spent.seconds)
    took = f" in {human_time(spent.seconds)} ({speed})"
    share = 100 * pulled.reused_bytes // pulled.size if pulled.size else 0
    saved = f": {share}% saved" if share else ""
    return _sentence("pulled", "reused", pulled, took) + saved


def _sentence(moved: str, reused: str, pulled: Pulled, took: str = "") -> str:
    """`pulled 11 files (502 kB) from builtin, reused 1 file (154 kB)`."""
    origin = f" from {printable(pulled.source)}" if pulled.source else ""
    text = f"{moved} {_counted(pulled.downloaded_files, pulled.downloaded_bytes)}{origin}{took}"
    if pulled.reused_files:
        text += f", {reused} {_counted(pulled.reused_files, pulled.reused_bytes)}"
    return text


def _counted(files: int, size: int) -> str:
    return f"{plural(files, 'file')} ({human_size(size)})"
