"""verify: read everything again, and say what is damaged or missing. Changes no object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoostore.digest import Oid, hash_descriptor
from zoostore.errors import MalformedObject, MissingObject, ZooError
from zoostore.objects.listing import totals, walk
from zoostore.objects.snapshot import Snapshot, decode_snapshot
from zoostore.objects.tree import Entry, Kind, decode_tree
from zoostore.ops.history import history
from zoostore.progress import Progress
from zoostore.store.derive import loose_files, pack_files
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, check_object
from zoostore.store.records import Location, ObjectKind, Packed


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        what: the id of an object, or the path of a pack, the reflog or the index.
        reason: what is wrong with it.
        models: the stubs that need it.
    """

    what: str
    reason: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, and what was found.

    Attributes:
        objects, bytes: how many objects were re-hashed, and their size.
        damaged: what holds other bytes than it should.
        missing: what a model needs and is not here.
    """

    objects: int
    bytes: int
    damaged: tuple[Finding, ...]
    missing: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        return not (self.damaged or self.missing)


@dataclass
class _Report:
    objects: int = 0
    bytes: int = 0
    intact: set[Oid] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=dict)

    def count(self, oid: Oid, size: int) -> None:
        self.objects += 1
        self.bytes += size
        self.intact.add(oid)

    def damaged_for_good(self) -> dict[str, str]:
        """What is damaged; a damaged copy of an object that is intact elsewhere is not used."""
        intact = {str(oid) for oid in self.intact} if self.damaged else set()
        return {what: why for what, why in self.damaged.items() if what not in intact}

    def findings(self, found: dict[str, str]) -> tuple[Finding, ...]:
        return tuple(
            Finding(what, reason, tuple(self.models.get(what, ())))
            for what, reason in sorted(found.items())
        )


def verify(store: ObjectStore, stubs: Sequence[str], progress: Progress) -> Verified:
    """Re-hash the whole store, or what some refs need, and walk every ref and tag."""
    store = store.without_mending()
    report = _Report()
    names = stubs or list(store.names.refs())
    only = _needed(store, names) if stubs else None
    progress.begin("verifying", _bytes_to_read(store, only))
    _verify_loose(store, only, report, progress)
    _verify_packs(store, only, report, progress)
    partial = _partial_snapshots(store)
    for name in names:
        _verify_model(store, name, partial, report)
    if not stubs:
        _verify_reflog(store, report)
        _verify_index(store, report)
    progress.end()
    return Verified(
        report.objects,
        report.bytes,
        report.findings(report.damaged_for_good()),
        report.findings(report.missing),
    )


def _bytes_to_read(store: ObjectStore, only: set[Oid] | None) -> int:
    places = store.names.view(
        lambda index: [(oid, place.stored) for oid, place in index.locations()]
    )
    return sum(size for oid, size in places if only is None or oid in only)


def _verify_loose(
    store: ObjectStore, only: set[Oid] | None, report: _Report, progress: Progress
) -> None:
    for oid, entry in loose_files(store.layout):
        if only is not None and oid not in only:
            continue
        try:
            with open(entry.path, "rb", buffering=0) as file:
                got, size = hash_descriptor(file.fileno())
        except OSError as error:
            report.damaged[str(oid)] = f"{entry.path} cannot be read: {error.strerror}"
            continue
        progress.advance(size)
        if got == oid:
            report.count(oid, size)
        else:
            report.damaged[str(oid)] = f"the {size} bytes of {entry.path} have the id {got}"


def _verify_packs(
    store: ObjectStore, only: set[Oid] | None, report: _Report, progress: Progress
) -> None:
    for name, path in pack_files(store.layout):
        with PackReader(path) as pack:
            try:
                rows = pack.table()
                if only is None:
                    _check_pack_name(pack, name)
            except ZooError as error:
                report.damaged[str(path)] = error.message
                rows = list(pack.salvage())
            for row in rows:
                if only is None or row.oid in only:
                    _verify_packed(pack, row, report)
                    progress.advance(row.stored)


def _check_pack_name(pack: PackReader, name: Oid) -> None:
    got, _ = hash_descriptor(pack.fileno())
    if got != name:
        raise MalformedObject(f"The file's content has the id {got}, which is not its name.")


def _verify_packed(pack: PackReader, row: Packed, report: _Report) -> None:
    data = pack.read(row.offset, row.stored)
    try:
        check_object(row.oid, row.kind, data, str(pack.path))
        if row.kind is ObjectKind.TREE:
            decode_tree(data)
        elif row.kind is ObjectKind.SNAPSHOT:
            decode_snapshot(data)
    except ZooError as error:
        report.damaged[str(row.oid)] = error.message
        return
    if row.oid not in report.intact:
        report.count(row.oid, row.size)


def _verify_model(store: ObjectStore, name: str, partial: set[Oid], report: _Report) -> None:
    """Walk the snapshots of a model: the newest, the tagged, and what they follow and is here."""
    record = store.names.ref(name)
    tips = {record.snapshot} if record else set()
    for tip in tips | set(store.names.tags(name).values()):
        try:
            for oid, snapshot in history(store, tip):
                _verify_snapshot(store, name, oid, snapshot, report, is_partial=oid in partial)
        except ZooError as error:
            _report(error, name, tip, report)


def _verify_snapshot(
    store: ObjectStore,
    name: str,
    oid: Oid,
    snapshot: Snapshot,
    report: _Report,
    *,
    is_partial: bool,
) -> None:
    try:
        entries = list(walk(store.tree, snapshot.tree))
    except ZooError as error:
        _report(error, name, oid, report)
        return
    if totals(dict(entries)) != (snapshot.files, snapshot.size):
        report.damaged[str(oid)] = "the snapshot does not have the files and the size it says"
    for path, entry in entries:
        _verify_entry(name, path, entry, report, is_partial=is_partial)


def _report(error: ZooError, name: str, oid: Oid, report: _Report) -> None:
    found = report.missing if isinstance(error, MissingObject) else report.damaged
    what = str(error.facts.get("oid", oid))
    found.setdefault(what, error.message)
    report.models.setdefault(what, []).append(name)


def _partial_snapshots(store: ObjectStore) -> set[Oid]:
    """The snapshots of which some files were left out on purpose, by the reflog."""
    partial: set[Oid] = set()
    for line in store.names.reflog.read():
        change = line.change
        if change is not None and change.new is not None and not change.tag:
            (partial.add if change.partial else partial.discard)(change.new)
    return partial


def _verify_entry(name: str, path: str, entry: Entry, report: _Report, *, is_partial: bool) -> None:
    what = str(entry.oid)
    if not entry.kind.is_file or entry.oid in report.intact:
        return
    if what not in report.damaged:
        if is_partial:
            return
        report.missing[what] = f"{path} of {name} is not in the store"
    models = report.models.setdefault(what, [])
    if name not in models:
        models.append(name)


def _verify_reflog(store: ObjectStore, report: _Report) -> None:
    damaged = sum(line.change is None and not line.torn for line in store.names.reflog.read())
    if damaged:
        path = str(store.layout.reflog)
        report.damaged[path] = f"{damaged} lines of the reflog are damaged, and are passed over"


def _verify_index(store: ObjectStore, report: _Report) -> None:
    """What the index holds must be on the disk. (What it lacks is found when it is needed.)"""
    places: dict[Oid, Location] = store.names.view(lambda index: dict(index.locations()))
    lost = [oid for oid in places if oid not in report.intact and str(oid) not in report.damaged]
    for oid in lost:
        report.missing.setdefault(str(oid), "the index has it, and the disk has not")


def _needed(store: ObjectStore, names: Sequence[str]) -> set[Oid]:
    """Every object that some refs and their tags need."""
    needed: set[Oid] = set()

    def read_tree(oid: Oid) -> dict[str, Entry]:
        needed.add(oid)
        return store.tree(oid)

    for name in names:
        record = store.names.ref(name)
        tips = {record.snapshot} if record else set()
        for tip in tips | set(store.names.tags(name).values()):
            needed.add(tip)
            try:
                entries = walk(read_tree, store.snapshot(tip).tree)
                needed.update(entry.oid for _, entry in entries if entry.kind is not Kind.LINK)
            except ZooError:  # reported when the model itself is verified
                continue
    return needed
