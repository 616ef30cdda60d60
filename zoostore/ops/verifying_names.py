"""Names, held against what they lead to: models, the reflog, the index, tables of aliases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoostore.digest import Digest, Oid
from zoostore.errors import MissingObject, ZooError
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import flatten, totals, walk
from zoostore.ops.findings import Report
from zoostore.ops.history import history
from zoostore.ops.oid_set import OidSet
from zoostore.ops.verifying_objects import Aliases
from zoostore.store.index import Reader
from zoostore.store.lost_names import lost_names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import Position, RefRecord
from zoostore.store.refs import apply_change

_SHOWN = 3


def tips_of(store: ObjectStore, name: str) -> set[Oid]:
    """What a ref and its tags lead to."""
    record = store.names.ref(name)
    return ({record.snapshot} if record else set()) | set(store.names.tags(name).values())


def partial_snapshots(store: ObjectStore) -> set[Oid]:
    """The snapshots of which files were left out on purpose, or given up, by the reflog."""
    partial: set[Oid] = set()
    for line in store.names.reflog.read():
        change = line.change
        if change is not None and change.new is not None and not change.tag:
            (partial.add if change.partial else partial.discard)(change.new)
    return partial


def verify_models(store: ObjectStore, names: Sequence[str], report: Report) -> None:
    """Walk the snapshots of models: the newest, the tagged, and what they follow and is here."""
    partial = partial_snapshots(store)
    for name in names:
        for tip in tips_of(store, name):
            try:
                for oid, snapshot in history(store, tip):
                    _verify_snapshot(store, name, oid, snapshot, report, oid in partial)
            except ZooError as error:
                _report(error, name, tip, report)


def _verify_snapshot(
    store: ObjectStore, name: str, oid: Oid, snapshot: Snapshot, report: Report, is_partial: bool
) -> None:
    try:
        listing = flatten(store.tree, snapshot.tree)
    except ZooError as error:
        _report(error, name, oid, report)
        return
    if totals(listing) != (snapshot.files, snapshot.size):
        report.damage(str(oid), "the snapshot does not have the files and the size it says")
    for path, entry in listing.items():
        if entry.kind.is_file and entry.oid not in report.intact:
            what = str(entry.oid)
            if what not in report.damaged:
                if is_partial or _came_meanwhile(store, entry.oid):
                    continue
                report.lack(what, f"{path} of {name} is not in the store")
            report.need(what, name, path)


def _came_meanwhile(store: ObjectStore, oid: Oid) -> bool:
    """Whether an object that was not read is here, because another process has just added it."""
    try:
        with store.open(oid):
            return True
    except (OSError, ZooError):
        return False


def _report(error: ZooError, name: str, oid: Oid, report: Report) -> None:
    what = str(error.facts.get("oid", oid))
    if isinstance(error, MissingObject):
        report.lack(what, error.message)
    elif what not in report.damaged:
        report.damage(what, error.message)
    report.need(what, name)


def needed_objects(store: ObjectStore, names: Sequence[str]) -> OidSet:
    """Every object that some refs and their tags need."""
    needed = OidSet()

    def read_tree(oid: Oid) -> dict[str, Entry]:
        needed.add(oid)
        return store.tree(oid)

    for name in names:
        for tip in tips_of(store, name):
            needed.add(tip)
            try:
                entries = walk(read_tree, store.snapshot(tip).tree)
                needed.update(entry.oid for _, entry in entries if entry.kind is not Kind.LINK)
            except ZooError:  # reported when the model itself is verified
                continue
    return needed


def verify_reflog(store: ObjectStore, report: Report) -> None:
    """Every line, what was lost of earlier ones, and whether the index says the same."""
    damaged = sum(line.change is None and not line.torn for line in store.names.reflog.read())
    if damaged:
        path = str(store.layout.reflog)
        report.damage(path, f"{damaged} lines of the reflog are damaged, and are passed over")
    for lost in lost_names(store.layout):
        names = list(dict.fromkeys(change.stub for change in lost.changes))
        reason = (
            "the reflog was cut short, replaced or damaged: it does not say any more where "
            f"{len(lost.changes)} names led"
        )
        report.damage(str(lost.path), reason)
        for name in names:
            report.need(str(lost.path), name)
    differing = _differing_names(store)
    if differing:
        path = str(store.layout.index)
        shown = ", ".join(differing[:_SHOWN])
        report.damage(path, f"it does not say of {shown} what the reflog says")
        for name in differing:
            report.need(path, name)
        report.index_is_wrong = True


class _Replayed:
    """Where names lead, by the lines of a reflog."""

    def __init__(self) -> None:
        self.refs: dict[str, RefRecord] = {}
        self.tags: dict[tuple[str, str], Oid] = {}

    def ref(self, stub: str) -> RefRecord | None:
        return self.refs.get(stub)

    def set_ref(self, stub: str, record: RefRecord) -> None:
        self.refs[stub] = record

    def delete_ref(self, stub: str) -> None:
        self.refs.pop(stub, None)

    def set_tag(self, stub: str, tag: str, snapshot: Oid) -> None:
        self.tags[stub, tag] = snapshot

    def delete_tag(self, stub: str, tag: str) -> None:
        self.tags.pop((stub, tag), None)

    def delete_tags(self, stub: str) -> None:
        self.tags = {key: oid for key, oid in self.tags.items() if key[0] != stub}


def _differing_names(store: ObjectStore) -> list[str]:
    """The stubs of which the index says something else than the reflog, as far as it read that."""

    def read(
        index: Reader,
    ) -> tuple[Position, dict[str, RefRecord], dict[tuple[str, str], Oid]]:
        tags = {(stub, tag): oid for stub, tag, oid in index.all_tags()}
        return index.reflog_position(), dict(index.refs()), tags

    position, refs, tags = store.names.view(read)
    replayed = _Replayed()
    for line in store.names.reflog.read():
        if line.end > position.length:
            break
        if line.change is not None:
            apply_change(replayed, line.change)
    differing = {stub for stub, _ in refs.items() ^ replayed.refs.items()}
    differing |= {stub for (stub, _), _ in tags.items() ^ replayed.tags.items()}
    return sorted(differing)


def verify_aliases(store: ObjectStore, tables: Aliases, report: Report) -> None:
    """The index must know no digest that no table has."""
    unknown = list(without_table(store, tables))
    if unknown:
        path = str(store.layout.index)
        report.damage(path, f"it knows {len(unknown)} digests that no table of aliases has")
        report.index_is_wrong = True


def without_table(store: ObjectStore, tables: Aliases) -> Iterator[tuple[Oid, Digest]]:
    """The digests that the index knows, and no table of aliases has."""
    known = store.names.view(lambda index: list(index.aliases()))
    return (item for item in known if item[1] not in tables.get(item[0], ()))
