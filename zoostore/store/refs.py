"""Refs and tags: names for snapshots. The reflog is written first, the index follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zoostore.digest import Oid
from zoostore.errors import Diverged, TagExists
from zoostore.store.index import Reader, Writer
from zoostore.store.records import Position, RefChange, RefRecord
from zoostore.store.reflog import Reflog

PULL = "pull"
"""The `op` of a change that follows a source."""


def apply_change(index: Writer, change: RefChange) -> None:
    """Make the index say what a line of the reflog says."""
    if change.tag:
        if change.new is not None:
            index.set_tag(change.stub, change.tag, change.new)
    elif change.new is None:
        index.delete_ref(change.stub)
        index.delete_tags(change.stub)
    else:
        totals = (change.files, change.size)
        record = RefRecord(change.new, *totals, change.partial, change.op == PULL)
        index.set_ref(change.stub, record)


def catch_up(index: Writer, reflog: Reflog) -> None:
    """Apply the lines that the index has not seen: a crash or another machine left them."""
    start = index.reflog_position()
    position = start
    for line in reflog.read(start.length):
        position = Position(line.end, line.digest)
        if line.change is not None:
            apply_change(index, line.change)
    if position != start or not index.is_current_version():
        index.set_reflog_position(position)


class _Index(Protocol):
    def update(self, change: Callable[[Writer], RefChange], /) -> RefChange: ...


def record_change(
    index: _Index, reflog: Reflog, change: RefChange, prepare: Callable[[Writer], None]
) -> RefChange:
    """Change a ref or set a tag, if it still is what the change says it was.

    Args:
        prepare: writes what must be in the index together with the change.

    Returns:
        The change as recorded.

    Raises:
        Diverged: the ref does not point to `change.old`.
        TagExists: the tag is taken by another snapshot.
    """
    appended = False

    def apply(writer: Writer) -> RefChange:
        nonlocal appended
        prepare(writer)
        catch_up(writer, reflog)
        if appended:  # and the commit that followed was refused: the line was just read again
            return change
        _check_unchanged(writer, change)
        recorded = change._replace(old=_current(writer, change))
        apply_change(writer, recorded)
        # Nothing but the position is written after the line, which cannot be taken back.
        position = reflog.append(recorded)
        appended = True
        writer.set_reflog_position(position)
        return recorded

    return index.update(apply)


def _check_unchanged(index: Reader, change: RefChange) -> None:
    current = _current(index, change)
    if change.tag:
        if current is not None:
            raise TagExists(
                f"The tag {change.tag} of {change.stub} is taken: it names the snapshot "
                f"{current.short}, and tags do not move.",
                stub=change.stub,
                tag=change.tag,
                snapshot=str(current),
            )
    elif current != change.old:
        raise Diverged(
            f"{change.stub} points to {_named(current)}, and not to {_named(change.old)} as it "
            "did; it was not changed.",
            stub=change.stub,
            current=str(current) if current else None,
            expected=str(change.old) if change.old else None,
        )


def _current(index: Reader, change: RefChange) -> Oid | None:
    if change.tag:
        return index.tag(change.stub, change.tag)
    record = index.ref(change.stub)
    return record.snapshot if record else None


def _named(snapshot: Oid | None) -> str:
    return f"the snapshot {snapshot.short}" if snapshot else "nothing"
