"""Repairing names: lost ones are restored, damaged lines leave the reflog, digests are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from zoostore.digest import Digest, Oid
from zoostore.errors import Diverged, TagExists, ZooError
from zoostore.files.staging import replace_durably
from zoostore.objects.aliases import Aliases, aliases_oid, encode_aliases
from zoostore.ops.on_disk import on_disk, take_out_of_packs
from zoostore.ops.verifying_names import without_table
from zoostore.ops.verifying_objects import read_aliases
from zoostore.store.batch import Batch
from zoostore.store.derive import aliases_in, open_packs, rebuild
from zoostore.store.index import Writer
from zoostore.store.lost_names import LostNames, lost_names
from zoostore.store.mending import set_aside, write_aside
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import read_rows
from zoostore.store.records import ObjectKind, Position, RefChange
from zoostore.store.reflog import encode_change
from zoostore.store.refs import current_of

_COMPUTED_HERE = "this store"


def make_index_anew(store: ObjectStore) -> None:
    """Derive the index from the disk. What it alone knew of names is kept as lost names."""
    aliases = _only_in_index(store)
    names = store.names
    names.update(lambda index: rebuild(index, names.layout, names.reflog))
    store.forget_packs()
    right = {
        oid: known for oid, digests in aliases.items() if (known := _right(store, oid, digests))
    }
    if right:
        with Batch(store) as batch:
            batch.note_aliases(_COMPUTED_HERE, right)
            batch.publish()


def _only_in_index(store: ObjectStore) -> dict[Oid, set[Digest]]:
    """The digests that no intact table of aliases has any more."""
    found: dict[Oid, set[Digest]] = {}
    for oid, digest in without_table(store, read_aliases(store)):
        found.setdefault(oid, set()).add(digest)
    return found


def _right(store: ObjectStore, oid: Oid, digests: Iterable[Digest]) -> set[Digest]:
    """Of some digests, those that a content has."""
    wanted = set(digests)
    try:
        return wanted & store.digests_of(oid, {digest.algorithm for digest in wanted})
    except (OSError, ZooError):
        return set()


def clean_reflog(store: ObjectStore) -> bool:
    """Take damaged lines out of the reflog, which is set aside as it was; whether it had any.

    No line is written meanwhile on this machine: the writer's lock of the index is held.
    """
    reflog = store.names.reflog
    if not any(line.change is None and not line.torn for line in reflog.read()):
        return False
    layout = store.layout
    write_aside(layout, "reflog", layout.reflog.read_bytes())

    def clean(index: Writer) -> None:
        changes = [line.change for line in reflog.read() if line.change is not None]
        replace_durably(layout.reflog, b"".join(map(encode_change, changes)))
        last = Position.start()
        for line in reflog.read():
            last = Position(line.end, line.digest)
        index.set_reflog_position(last)

    store.names.update(clean)
    return True


def correct_aliases(store: ObjectStore, wrong: Collection[tuple[Oid, Digest]]) -> None:
    """Take digests out of the tables of aliases that the contents do not have."""
    if not wrong:
        return
    disk = on_disk(store.layout)
    dead: set[Oid] = set()
    with Batch(store) as batch:
        for _, pack in open_packs(store.layout):
            for table in aliases_in(pack, read_rows(pack).raw()):
                if table.known.isdisjoint(wrong):
                    continue
                dead.add(aliases_oid(encode_aliases(table)))
                kept = encode_aliases(Aliases(table.origin, table.known.difference(wrong)))
                batch.put(aliases_oid(kept), ObjectKind.ALIASES, kept)
        batch.publish()
    take_out_of_packs(store, disk, dead)


def restore_names(store: ObjectStore, now: int) -> Iterator[RefChange]:
    """Restore lost names; each change that was made for it.

    A name that has moved on since it was lost keeps what it has: what it led to before becomes a
    tag of it, which is called by the first digits of its id.
    """
    for lost in lost_names(store.layout):
        for change in lost.changes:
            restored = _restore(store, _with_time(change, now))
            if restored is not None:
                yield restored
        _forget(store, lost)


def _with_time(change: RefChange, now: int) -> RefChange:
    return change._replace(time=now, message="" if change.tag else "restored by repair")


def _restore(store: ObjectStore, change: RefChange) -> RefChange | None:
    if change.new is None or not store.knows(change.new):
        return None
    current = store.names.view(lambda index: current_of(index, change))
    if current == change.new:
        return None
    try:
        if current == change.old and not (change.tag and current):
            store.names.change(change)
            return change
        tag = RefChange(change.stub, change.new, None, "tag", change.time, tag=change.new.short)
        store.names.change(tag)
        return tag
    except (Diverged, TagExists):  # another process was faster
        return None


def _forget(store: ObjectStore, lost: LostNames) -> None:
    set_aside(store.layout, lost.path, f"restored-{lost.path.name}")
