"""Refs and tags: names for snapshots. The reflog is written first, the index follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zoostore.digest import Oid
from zoostore.errors import Diverged, TagExists
from zoostore.store.index import Reader, Writer
from zoostore.store.records import DROP, Position, RefChange, RefRecord
from zoostore.store.reflog import Reflog

PULL = "pull"
"""The `op` of a change that follows a source."""


class NamesWriter(Protocol):
    """What says where names lead, and can be told otherwise."""

    def ref(self, stub: str, /) -> RefRecord | None: ...
    def set_ref(self, stub: str, record: RefRecord, /) -> None: ...
    def delete_ref(self, stub: str, /) -> None: ...
    def set_tag(self, stub: str, tag: str, snapshot: Oid, /) -> None: ...
    def delete_tag(self, stub: str, tag: str, /) -> None: ...
    def delete_tags(self, stub: str, /) -> None: ...


def apply_change(index: NamesWriter, change: RefChange) -> None:
    """Make the index say what a line of the reflog says."""
    if change.tag:
        _apply_to_tag(index, change)
    elif change.new is None:
        index.delete_ref(change.stub)
        index.delete_tags(change.stub)
    else:
        _apply_to_ref(index, change, change.new)


def _apply_to_tag(index: NamesWriter, change: RefChange) -> None:
    if change.new is None:
        index.delete_tag(change.stub, change.tag)
    else:
        index.set_tag(change.stub, change.tag, change.new)


def _apply_to_ref(index: NamesWriter, change: RefChange, new: Oid) -> None:
    record = index.ref(change.stub)
    if change.is_note and (record is None or record.snapshot != new):
        return
    is_pulled = change.op == PULL
    if change.op == DROP:  # to give something up is not to change the model
        is_pulled = record is not None and record.is_pulled
    totals = (change.files, change.size)
    index.set_ref(change.stub, RefRecord(new, *totals, change.partial, is_pulled))


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
        recorded = change if change.is_note else change._replace(old=current_of(writer, change))
        apply_change(writer, recorded)
        # Nothing but the position is written after the line, which cannot be taken back.
        position = reflog.append(recorded)
        appended = True
        writer.set_reflog_position(position)
        return recorded

    return index.update(apply)


def _check_unchanged(index: Reader, change: RefChange) -> None:
    current = current_of(index, change)
    if change.is_note or (change.tag and change.new is None):
        return
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


def current_of(index: Reader, change: RefChange) -> Oid | None:
    """What the ref or the tag of a change leads to now."""
    if change.tag:
        return index.tag(change.stub, change.tag)
    record = index.ref(change.stub)
    return record.snapshot if record else None


def _named(snapshot: Oid | None) -> str:
    return f"the snapshot {snapshot.short}" if snapshot else "nothing"
