"""Lost names: what an index knew of refs and tags, and a reflog that took its place does not say.

The index is derived, so the reflog is believed. But a reflog that was cut short, or replaced,
or whose last line was damaged, has lost what the index still knows. Before the index is made anew
from it, that is kept in `quarantine/refs.DIGITS`, as lines of a reflog: `new` is what the index
knew, and `old` what the reflog says instead. It is lost until `repair` restores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import hash_bytes
from zoostore.files.sharing import make_folder
from zoostore.files.staging import replace_durably
from zoostore.store.index import IndexDamaged, Reader
from zoostore.store.layout import Layout
from zoostore.store.records import RefChange, RefRecord
from zoostore.store.reflog import Reflog, encode_change
from zoostore.store.refs import current_of

PREFIX = "refs."
"""Begins the names of the files in quarantine that hold lost names."""

_DIGITS = 8


class LostNames(NamedTuple):
    """A file that holds lost names."""

    path: Path
    changes: tuple[RefChange, ...]


def known_names(index: Reader) -> list[RefChange]:
    """Every ref and every tag that an index knows, as changes; none if it cannot be read."""
    try:
        refs = [_of_ref(stub, record) for stub, record in index.refs()]
        tags = [
            RefChange(stub, snapshot, None, "tag", 0, tag=tag)
            for stub, tag, snapshot in index.all_tags()
        ]
    except (IndexDamaged, ValueError):
        return []
    return [*refs, *tags]


def _of_ref(stub: str, record: RefRecord) -> RefChange:
    op = "pull" if record.is_pulled else "add"
    totals = (record.files, record.size)
    return RefChange(stub, record.snapshot, None, op, 0, *totals, partial=record.is_partial)


def keep_lost_names(index: Reader, layout: Layout, known: Iterable[RefChange]) -> None:
    """Keep what was known of names, where an index that was made anew does not know it.

    What leads to a snapshot that is not here is of another store, and nothing is lost with it.
    """
    lines = []
    for change in known:
        old = current_of(index, change)
        if change.new != old and change.new and index.location(change.new) is not None:
            lines.append(encode_change(change._replace(old=old)))
    if lines:
        data = b"".join(lines)
        make_folder(layout.quarantine)
        # The same loss has the same name: this may be done again from the start.
        name = PREFIX + hash_bytes(data).hex()[:_DIGITS]
        replace_durably(layout.quarantine / name, data)


def lost_names(layout: Layout) -> Iterator[LostNames]:
    """What was kept of names that are lost."""
    folder = layout.quarantine
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(PREFIX):
            lines = Reflog(path).read()
            yield LostNames(path, tuple(line.change for line in lines if line.change is not None))
