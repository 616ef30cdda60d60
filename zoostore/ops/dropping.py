"""Dropping: what nobody has any more is given up, and names lead to what is whole.

Only `repair` does this, and only when it is told to. A snapshot that lacks files is marked as in
part. One that cannot be read, or whose trees cannot, is given up itself: a ref moves to the newest
intact snapshot that it had, a tag goes, and as part of a history it is set aside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from zoostore.digest import Oid
from zoostore.errors import DamagedContent
from zoostore.objects.walking import flatten
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.history import ever_named, history
from zoostore.ops.on_disk import on_disk, take_out_of_packs
from zoostore.ops.regaining import lost_structure
from zoostore.ops.verifying_names import tips_of
from zoostore.store.mending import write_aside
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import DROP, ObjectKind, RefChange


def drop_lost(
    store: ObjectStore,
    stubs: Iterable[str],
    lacking: Mapping[str, Mapping[Oid, int]],
    now: int,
) -> Iterator[RefChange]:
    """Give up what is lost; each change that was made for it.

    Args:
        stubs: of which models.
        lacking: by stub, the snapshots that lack files, and how many.
    """
    for stub in stubs:
        for change in _drop_snapshots(store, stub, now):
            store.names.change(change)
            yield change
    _set_histories_aside(store, stubs)
    for stub, snapshots in lacking.items():
        for oid, count in snapshots.items():
            snapshot = store.snapshot(oid)
            totals = (snapshot.files, snapshot.size)
            said = f"{count} lost objects given up"
            change = RefChange(stub, oid, oid, DROP, now, *totals, message=said, partial=True)
            store.names.change(change)
            yield change


def _is_lost(store: ObjectStore, snapshot: Oid) -> bool:
    return any(True for _ in lost_structure(store, [snapshot]))


def _drop_snapshots(store: ObjectStore, stub: str, now: int) -> Iterator[RefChange]:
    record = store.names.ref(stub)
    if record is not None and _is_lost(store, record.snapshot):
        yield _moved(store, stub, record.snapshot, now)
    for tag, oid in store.names.tags(stub).items():
        if _is_lost(store, oid):
            yield RefChange(stub, None, oid, DROP, now, tag=tag, message="its snapshot is lost")


def _moved(store: ObjectStore, stub: str, lost: Oid, now: int) -> RefChange:
    """The change of a ref whose snapshot is lost: to the newest whole one, or away."""
    found = {oid for oid in _others(store, stub, lost) if not _is_lost(store, oid)}
    if not found:
        return RefChange(stub, None, lost, DROP, now, message="all its snapshots are lost")
    newest = max(found, key=lambda oid: (store.snapshot(oid).time, oid))
    snapshot = store.snapshot(newest)
    return RefChange(
        stub,
        newest,
        lost,
        DROP,
        now,
        files=snapshot.files,
        size=snapshot.size,
        message=f"{lost.short} is lost",
        partial=missing_blobs(store, flatten(store.tree, snapshot.tree)) is not None,
    )


def _others(store: ObjectStore, stub: str, lost: Oid) -> Iterator[Oid]:
    """What else a name led to: by its history, its tags, and the reflog."""
    with contextlib.suppress(DamagedContent):
        yield from (oid for oid, _ in history(store, lost))
    yield from store.names.tags(stub).values()
    yield from (oid for oid, _ in ever_named(store, stub))


def _set_histories_aside(store: ObjectStore, stubs: Iterable[str]) -> None:
    """Let histories end before a snapshot whose trees are lost: it is set aside itself."""
    lost: set[Oid] = set()
    for stub in stubs:
        for tip in tips_of(store, stub):
            lost |= {oid for oid, _ in history(store, tip) if _is_lost(store, oid)}
    for oid in lost:
        data = store.read_packed(oid, ObjectKind.SNAPSHOT)
        write_aside(store.layout, str(oid), data)
    if lost:
        take_out_of_packs(store, on_disk(store.layout), lost)
