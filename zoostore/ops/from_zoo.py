"""Pulling from a zoo, which has a snapshot to offer, and objects by their ids."""

from __future__ import annotations

from dataclasses import dataclass

from zoostore.errors import Diverged, ZooError
from zoostore.objects.listing import Listing
from zoostore.objects.walking import flatten
from zoostore.ops.asking import Sources
from zoostore.ops.completing import starter
from zoostore.ops.fetching import fetch_objects
from zoostore.ops.history import Found, follows
from zoostore.ops.missing import Missing
from zoostore.ops.pulled import Pulled, commit_state, keep_name, pulled, ref_change
from zoostore.ops.recording import put_snapshot, put_trees
from zoostore.progress import Progress
from zoostore.sources.base import Offer, Source
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange, RefRecord
from zoostore.store.refs import PULL
from zoostore.stubs import Stub


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would do.

    Attributes:
        missing: the blobs to fetch; None: nothing is to be fetched.
        since: the store's sweep mark before anything was looked for.
    """

    offer: Offer
    source: str
    chosen: Listing
    missing: Missing | None
    since: bytes

    @property
    def is_partial(self) -> bool:
        return len(self.chosen) < len(self.offer.listing)

    def summary(self) -> Pulled:
        return pulled(self.offer.stub, self.offer.id, self.chosen, self.source, self.missing)


def pull_offer(
    store: ObjectStore,
    sources: Sources,
    todo: PullPlan,
    stub: Stub,
    now: int,
    progress: Progress,
    *,
    force: bool,
) -> Pulled:
    record = store.names.ref(todo.offer.stub)
    if record is not None and not stub.revision and not force:
        if _is_ahead(store, record, todo.offer):
            listing = flatten(store.tree, store.snapshot(record.snapshot).tree)
            return pulled(todo.offer.stub, record.snapshot, listing)
        _check_not_diverged(record, todo.offer)
    with Batch(store, todo.since) as batch:
        # What is to come counts too: it is here by the time that it is looked for.
        batch.rely_on(entry.oid for entry in todo.chosen.values() if entry.kind.is_file)
        zoos = sorted(sources.usable(), key=lambda zoo: zoo.name != todo.source)
        if todo.missing is not None:
            fetch_objects(batch, zoos, todo.missing, starter(store, sources), progress)
        if record is None and stub.revision:
            record = _record_newest(store, batch, zoos[0], todo, now)
        put_trees(batch, todo.offer.listing)
        put_snapshot(batch, todo.offer.snapshot)
        _record(store, batch, todo, record, stub.revision, now)
    return todo.summary()


def _is_ahead(store: ObjectStore, record: RefRecord, offer: Offer) -> bool:
    """Whether the ref was changed here, on top of what the source offers."""
    is_same = record.snapshot == offer.id
    return not is_same and not record.is_pulled and follows(store, record.snapshot, offer.id)


def _check_not_diverged(record: RefRecord, offer: Offer) -> None:
    if record.is_pulled or record.snapshot in (offer.id, *offer.snapshot.parents):
        return
    raise Diverged(
        f"{offer.stub} was changed here: it points to {record.snapshot.short}, which the source's "
        f"snapshot {offer.id.short} does not follow. Nothing was pulled.",
        stub=offer.stub,
        current=str(record.snapshot),
        offered=str(offer.id),
    )


def _record(
    store: ObjectStore,
    batch: Batch,
    todo: PullPlan,
    record: RefRecord | None,
    revision: str,
    now: int,
) -> None:
    offer = todo.offer
    change = ref_change(
        Found(offer.stub, offer.id, offer.snapshot),
        record.snapshot if record else None,
        now,
        message=f"from {todo.source}",
        is_partial=todo.is_partial,
    )
    if revision and record is not None and record.snapshot != offer.id:
        batch.publish()
    elif _changes_something(record, change, todo):
        commit_state(store, batch, change)
    else:
        batch.publish()
    is_other = record is not None and record.snapshot != offer.id
    _keep_tags(store, batch, offer, revision if is_other else "", now)


def _record_newest(
    store: ObjectStore, batch: Batch, source: Source, todo: PullPlan, now: int
) -> RefRecord | None:
    """Point a new ref to what the name means at the source, where an older snapshot is pulled.

    To look at an old version must not make it the current one. Of the newest, only what it is
    comes along: its files are fetched when they are asked for.
    """
    try:
        newest = source.resolve(Stub(todo.offer.stub))
    except ZooError:  # what was asked for is to be had, and that counts
        return None
    if not isinstance(newest, Offer) or newest.id == todo.offer.id:
        return None
    put_trees(batch, newest.listing)
    put_snapshot(batch, newest.snapshot)
    found = Found(newest.stub, newest.id, newest.snapshot)
    message = f"from {source.name}"
    batch.commit(ref_change(found, None, now, message=message, is_partial=True))
    return store.names.ref(newest.stub)


def _changes_something(record: RefRecord | None, change: RefChange, todo: PullPlan) -> bool:
    if record is None or record.snapshot != change.new:
        return True
    return record.is_partial and not todo.is_partial


def _keep_tags(store: ObjectStore, batch: Batch, offer: Offer, revision: str, now: int) -> None:
    """Tags that name what was pulled come along; a revision that is none is kept as one."""
    names = {tag for tag, oid in offer.tags.items() if oid == offer.id}
    if revision and revision not in names:
        names.add(offer.id.short)
    for name in sorted(names - store.names.tags(offer.stub).keys()):
        keep_name(store, batch, RefChange(offer.stub, offer.id, None, PULL, now, tag=name))
