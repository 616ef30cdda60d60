"""verify: read everything again, and say what is damaged or missing. Changes no object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from zoostore.digest import Oid
from zoostore.files.readers import threads_for
from zoostore.ops.findings import Finding, Report
from zoostore.ops.verifying_checkouts import verify_checkouts
from zoostore.ops.verifying_names import (
    needed_objects,
    verify_aliases,
    verify_models,
    verify_reflog,
)
from zoostore.ops.verifying_objects import bytes_to_read, size_of, verify_objects
from zoostore.progress import Progress
from zoostore.store.derive import index_disk, loose_files, pack_files
from zoostore.store.index import Reader, Writer
from zoostore.store.layout import Layout
from zoostore.store.mending import index_copies
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import LOOSE

_MORE_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, and what was found.

    Attributes:
        objects, bytes: how many objects were re-hashed and are intact, and their size.
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


def verify(
    store: ObjectStore, stubs: Sequence[str], progress: Progress, threads: int | None = None
) -> Verified:
    """Re-hash the whole store, or what some refs need, and walk every ref and tag.

    Args:
        threads: how many files are read at a time; None: as suits the disk, eight at most.
    """
    report = survey(store, stubs, progress, threads)
    settle(store, report)
    return summary(report)


def summary(report: Report) -> Verified:
    """What a report comes to."""
    return Verified(
        report.objects,
        report.bytes,
        report.findings(report.damaged),
        report.findings(report.missing),
    )


def survey(
    store: ObjectStore, stubs: Sequence[str], progress: Progress, threads: int | None = None
) -> Report:
    """What `verify` finds, before anything is done about it.

    Others may be writing, or freeing space, meanwhile. What was found while the store changed is
    looked for again, and counts if it is found again.
    """
    _catch_up(store)
    before = _state(store)
    report = _look(store, stubs, progress, threads)
    for _ in range(_MORE_LOOKS):
        now = _state(store)
        if report.is_clean or now == before:
            break
        seen, before = report, now
        report = _look(store, stubs, progress, threads)
        report.keep_only(seen)
    return report


def _catch_up(store: ObjectStore) -> None:
    """Have the index know what is on the disk: one that was lost and made anew may be behind."""
    if store.names.read_only or store.names.index_is_read_only:
        return
    layout = store.layout
    if store.names.view(lambda index: _is_behind(index, layout)):
        store.names.update(lambda index: index_disk(index, layout))


def _state(store: ObjectStore) -> tuple[object, ...]:
    """What differs if objects or names came or went."""
    packs = frozenset(name for name, _ in pack_files(store.layout))
    return store.names.reflog.size(), store.sweep_mark(), packs


def _look(
    store: ObjectStore, stubs: Sequence[str], progress: Progress, threads: int | None
) -> Report:
    store = store.without_mending()
    report = Report()
    names = stubs or list(store.names.refs())
    only = needed_objects(store, names) if stubs else None
    total = bytes_to_read(store, only)
    progress.begin("verifying", total)
    try:
        readers = threads_for(store.layout.objects, threads or store.threads)
        tables = verify_objects(store, only, total, readers, report, progress)
        report.count_once(partial(size_of, store))
        verify_models(store, names, report)
        report.forget_what_has_copies()
        if not stubs:
            verify_reflog(store, report)
            verify_aliases(store, tables, report)
        verify_checkouts(store, report)
    finally:
        progress.end()
    return report


def settle(store: ObjectStore, report: Report) -> None:
    """Have the index know what was found: what is there, what is gone, what must be looked at.

    What was found damaged is read again before it is next used, whatever its stamp says: so it
    is set aside and replaced.
    """
    if store.names.read_only or store.names.index_is_read_only:
        return
    layout = store.layout
    gone = store.names.view(lambda index: _gone(index, layout))
    is_behind = store.names.view(lambda index: _is_behind(index, layout))
    if not (gone or is_behind or report.loose or report.packs):
        return

    def learn(index: Writer) -> None:
        for oid in gone:
            index.forget_object(oid)
        index_disk(index, layout)
        index_copies(index, layout, gone)
        for oid in report.loose:
            place = index.location(oid)
            if place is not None and place.is_loose:
                index.set_locations([(oid, place.distrusted())])
        for record in list(index.packs().values()):
            if record.name in report.packs:
                index.add_pack(record.distrusted())

    store.names.update(learn)
    store.forget_packs()


def _gone(index: Reader, layout: Layout) -> set[Oid]:
    """What the index has, and the disk has not: a power cut may leave it so."""
    packs = {
        number for number, record in index.packs().items() if layout.pack(record.name).exists()
    }
    return {
        oid
        for oid, number in index.pack_numbers()
        if not (layout.has_loose(oid) if number == LOOSE else number in packs)
    }


def _is_behind(index: Reader, layout: Layout) -> bool:
    """Whether there is something on the disk that the index does not know."""
    known = index.indexed_packs()
    return any(name not in known for name, _ in pack_files(layout)) or any(
        index.location(oid) is None for oid, _ in loose_files(layout)
    )
