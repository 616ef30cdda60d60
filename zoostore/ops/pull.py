"""pull: bring a source's snapshot into the store, moving only what is not here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zoostore.digest import Oid
from zoostore.errors import (
    Diverged,
    MalformedObject,
    MissingObject,
    NeededNetwork,
    NothingLeft,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
    ZooError,
)
from zoostore.files.globs import Selector
from zoostore.objects.listing import Listing, flatten, totals
from zoostore.objects.tree import Entry
from zoostore.ops.asking import Sources, resolve
from zoostore.ops.history import Found, find, follows, ref_name
from zoostore.ops.recording import put_snapshot, put_trees
from zoostore.progress import Progress
from zoostore.sources.base import Offer, Source
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange, RefRecord
from zoostore.store.refs import PULL
from zoostore.stubs import Stub


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought, or would bring.

    Attributes:
        stub, snapshot: the model, and what of it is here now.
        files, size: what was chosen of the snapshot; `size` in bytes.
        downloaded_files, downloaded_bytes: what came from the source; a content that
            stands at several paths comes once, and counts as reused at the others.
        reused_files, reused_bytes: what was here already.
        source: who gave it; empty if nobody was asked or needed.
    """

    stub: str
    snapshot: Oid
    files: int
    size: int
    downloaded_files: int
    downloaded_bytes: int
    reused_files: int
    reused_bytes: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would do: `missing` are the blobs to fetch, with their sizes in bytes."""

    offer: Offer
    source: Source
    chosen: Listing
    missing: Mapping[Oid, int]

    @property
    def is_partial(self) -> bool:
        return len(self.chosen) < len(self.offer.listing)

    def summary(self) -> Pulled:
        return _pulled(self.offer.stub, self.offer.id, self.chosen, self.missing, self.source.name)


def plan_pull(
    store: ObjectStore, sources: Sources, stub: Stub, is_chosen: Selector
) -> PullPlan | Pulled:
    """What a pull would do; or what it comes to if everything is here already.

    Raises:
        NothingLeft: the globs choose no file.
        And what `resolve` raises.
    """
    here = _found_here(store, stub)
    if here is not None and stub.revision:
        done = _reused_if_complete(store, here, is_chosen)
        if done is not None:
            return done
        # A source need not know of our own tags and parents, but an id is an id.
        stub = Stub(here.stub, str(here.id))
    try:
        resolved = resolve(sources, stub)
    except (UnknownStub, UnknownRevision, NeededNetwork):
        done = _reused_if_complete(store, here, is_chosen) if here else None
        if done is None and stub.revision and ref_name(store, stub) is not None:
            find(store, stub)  # says that it is the revision that is not known
        if done is None:
            raise
        return done
    offer, source = resolved.value, resolved.source
    if here is not None and here.id != offer.id and not stub.revision:
        # What a later source has is no news where the one that counts could not be asked.
        if resolved.failure is not None:
            raise resolved.failure
        done = _reused_if_complete(store, here, is_chosen) if resolved.not_asked else None
        if done is not None:
            return done
    chosen = _choose(offer.stub, offer.listing, is_chosen)
    return PullPlan(offer, source, chosen, missing_blobs(store, chosen))


def pull(
    store: ObjectStore,
    sources: Sources,
    stub: Stub,
    is_chosen: Selector,
    now: int,
    progress: Progress,
    *,
    force: bool = False,
) -> Pulled:
    """Bring a model here, and point its ref to it once all that was chosen is here.

    With a revision, a ref that exists stays, and the revision becomes a tag of it.
    What arrives before an error stays, and is not asked for again.

    Raises:
        Diverged: the ref has a snapshot of its own that the source's does not follow.
        WrongContent: the source sent other bytes than it promised.
        And what `plan_pull` raises.
    """
    todo = plan_pull(store, sources, stub, is_chosen)
    if isinstance(todo, Pulled):
        return todo
    record = store.names.ref(todo.offer.stub)
    if record is not None and not stub.revision and not force:
        if _is_ahead(store, record, todo.offer):
            listing = flatten(store.tree, store.snapshot(record.snapshot).tree)
            return _pulled(todo.offer.stub, record.snapshot, listing, {}, "")
        _check_not_diverged(record, todo.offer)
    with Batch(store) as batch:
        # What it has lost, another may have: an object is known by its content.
        others = [source for source in sources.usable() if source is not todo.source]
        _fetch(batch, [todo.source, *others], todo.missing, progress)
        if record is None and stub.revision:
            record = _record_newest(store, batch, todo, now)
        put_trees(batch, todo.offer.listing)
        put_snapshot(batch, todo.offer.snapshot)
        _record(store, batch, todo, record, stub.revision, now)
    return todo.summary()


def complete(
    store: ObjectStore, sources: Sources, missing: Mapping[Oid, int], progress: Progress
) -> None:
    """Get blobs that a snapshot needs and that are not here, or not intact.

    Raises:
        NeededNetwork: offline, and a source that was not asked might have them.
        MissingObject: no source has them all; what did arrive stays.
    """
    with Batch(store) as batch:
        try:
            _fetch(batch, sources.usable(), missing, progress)
        except MissingObject as error:
            if sources.some_left_out:
                raise NeededNetwork(
                    f"{error.message} zoostore is offline: no remote was asked.", **error.facts
                ) from error
            raise
        batch.publish()


def bring_here(
    store: ObjectStore,
    sources: Callable[[], Sources],
    found: Found,
    is_chosen: Selector,
    now: int,
    progress: Progress,
) -> Pulled:
    """Make a snapshot that is known here complete, as far as it was chosen.

    Args:
        sources: asked for only if something is missing.

    Raises:
        NothingLeft: the globs choose no file.
        And what `complete` raises.
    """
    listing = flatten(store.tree, found.snapshot.tree)
    chosen = _choose(found.stub, listing, is_chosen)
    missing = missing_blobs(store, chosen)
    if missing and store.names.read_only:
        raise MissingObject(
            f"{len(missing)} objects of {found.stub} are missing or damaged, and the store "
            f"{store.layout.root} cannot be written to.",
            oids=[str(oid) for oid in missing],
        )
    if missing:
        with sources() as asked:
            complete(store, asked, missing, progress)
    record = store.names.ref(found.stub)
    is_whole = len(chosen) == len(listing) and record is not None and record.snapshot == found.id
    if record is not None and record.is_partial and is_whole and not store.names.read_only:
        store.names.change(_ref_change(found, record.snapshot, now, message="the rest of it"))
    return _pulled(found.stub, found.id, chosen, missing, "")


def _ref_change(
    found: Found, old: Oid | None, now: int, message: str, *, is_partial: bool = False
) -> RefChange:
    return RefChange(
        found.stub,
        found.id,
        old,
        PULL,
        now,
        files=found.snapshot.files,
        size=found.snapshot.size,
        message=message,
        partial=is_partial,
    )


def missing_blobs(store: ObjectStore, entries: Listing) -> dict[Oid, int]:
    """The blobs of a listing that are not here, or not intact, with their sizes in bytes.

    Raises:
        MalformedObject: one that is here is no blob, or of another size than the listing says.
    """
    wanted = {entry.oid: entry.size for entry in entries.values() if entry.kind.is_file}
    missing = {}
    for oid, size in wanted.items():
        if not store.has(oid):
            missing[oid] = size
        elif (found := store.size_of_blob(oid)) != size:
            raise MalformedObject(
                f"A tree says that {oid} is a file of {size} bytes, and it is "
                f"{'no file' if found is None else f'one of {found}'}. Nothing was taken from it.",
                oid=str(oid),
            )
    return missing


def _found_here(store: ObjectStore, stub: Stub) -> Found | None:
    try:
        return find(store, stub)
    except (UnknownStub, UnknownRevision, MissingObject):
        return None


def _reused_if_complete(store: ObjectStore, found: Found, is_chosen: Selector) -> Pulled | None:
    try:
        listing = flatten(store.tree, found.snapshot.tree)
    except MissingObject:
        return None
    chosen = _choose(found.stub, listing, is_chosen)
    if missing_blobs(store, chosen):
        return None
    return _pulled(found.stub, found.id, chosen, {}, "")


def _choose(stub: str, listing: Listing, is_chosen: Selector) -> dict[str, Entry]:
    chosen = {path: entry for path, entry in listing.items() if is_chosen(path, entry.kind)}
    if listing and not chosen:
        raise NothingLeft(
            f"The globs choose none of the {len(listing)} paths of {stub}; nothing was done.",
            stub=stub,
        )
    return chosen


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


def _fetch(
    batch: Batch, sources: Sequence[Source], missing: Mapping[Oid, int], progress: Progress
) -> None:
    left = dict(missing)
    failure: TransferFailed | None = None
    progress.begin("pulling", sum(left.values()))
    try:
        for source in sources:
            try:
                for oid, chunks in source.fetch(left) if left else ():
                    batch.receive(oid, left[oid], chunks, progress.advance)
                    del left[oid]
            except TransferFailed as error:  # another source may have the rest
                failure = error
        _check_none_left(left, sources, failure)
    except BaseException:
        with contextlib.suppress(OSError, ZooError):  # the error that is on its way says more
            batch.publish()
        raise
    finally:
        progress.end()


def _check_none_left(
    left: Mapping[Oid, int], sources: Sequence[Source], failure: TransferFailed | None
) -> None:
    if not left:
        return
    if failure is not None:
        raise failure
    named = ", ".join(oid.short for oid in list(left)[:5])
    asked = ", ".join(source.name for source in sources) or "no source"
    raise MissingObject(
        f"{len(left)} objects are not in the store, and {asked} does not have them: {named}.",
        oids=[str(oid) for oid in left],
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
    change = _ref_change(
        Found(offer.stub, offer.id, offer.snapshot),
        record.snapshot if record else None,
        now,
        message=f"from {todo.source.name}",
        is_partial=todo.is_partial,
    )
    if revision and record is not None and record.snapshot != offer.id:
        batch.publish()
    elif _changes_something(record, change, todo):
        try:
            batch.commit(change)
        except Diverged:
            now_there = store.names.ref(offer.stub)
            if now_there is None or now_there.snapshot != offer.id:
                raise  # and otherwise another process has just pulled the same
            batch.publish()
    else:
        batch.publish()
    is_other = record is not None and record.snapshot != offer.id
    _keep_tags(store, offer, revision if is_other else "", now)


def _record_newest(store: ObjectStore, batch: Batch, todo: PullPlan, now: int) -> RefRecord | None:
    """Point a new ref to what the name means at the source, where an older snapshot is pulled.

    To look at an old version must not make it the current one. Of the newest, only what it is
    comes along: its files are fetched when they are asked for.
    """
    try:
        newest = todo.source.resolve(Stub(todo.offer.stub))
    except ZooError:  # what was asked for is to be had, and that counts
        return None
    if newest is None or newest.id == todo.offer.id:
        return None
    put_trees(batch, newest.listing)
    put_snapshot(batch, newest.snapshot)
    found = Found(newest.stub, newest.id, newest.snapshot)
    message = f"from {todo.source.name}"
    batch.commit(_ref_change(found, None, now, message=message, is_partial=True))
    return store.names.ref(newest.stub)


def _changes_something(record: RefRecord | None, change: RefChange, todo: PullPlan) -> bool:
    if record is None or record.snapshot != change.new:
        return True
    return record.is_partial and not todo.is_partial


def _keep_tags(store: ObjectStore, offer: Offer, revision: str, now: int) -> None:
    """Tags that name what was pulled come along; a revision that is none is kept as one."""
    names = {tag for tag, oid in offer.tags.items() if oid == offer.id}
    if revision and revision not in names:
        names.add(offer.id.short)
    for name in sorted(names - store.names.tags(offer.stub).keys()):
        store.names.change(RefChange(offer.stub, offer.id, None, PULL, now, tag=name))


def _pulled(
    stub: str, snapshot: Oid, chosen: Listing, missing: Mapping[Oid, int], source: str
) -> Pulled:
    files, size = totals(chosen)
    moved = sum(missing.values())
    return Pulled(
        stub, snapshot, files, size, len(missing), moved, files - len(missing), size - moved, source
    )
