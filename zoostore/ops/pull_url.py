"""Pulling a plain address: a file on the web, or an archive, becomes a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zoostore.digest import BLAKE3
from zoostore.errors import Diverged, NeededNetwork
from zoostore.objects.listing import Listing
from zoostore.objects.tree import Kind
from zoostore.objects.walking import flatten, totals
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.fetching import StartDownloads
from zoostore.ops.from_archive import take_archive
from zoostore.ops.from_upstream import (
    UpstreamPlan,
    fetch_upstream,
    plan_upstream,
    record_state,
)
from zoostore.ops.history import Found
from zoostore.ops.keeping import kept_on_errors
from zoostore.ops.pulled import Pulled, commit_state, pulled, ref_change
from zoostore.ops.recording import put_trees
from zoostore.progress import Progress
from zoostore.sources.base import Upstream, UpstreamFile
from zoostore.sources.url import WebFile
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefRecord
from zoostore.transport.wanted import Arrived

if TYPE_CHECKING:
    from zoostore.transport.downloads import Downloads


def pull_url(
    store: ObjectStore,
    file: WebFile,
    stub: str,
    start: StartDownloads | None,
    now: int,
    progress: Progress,
    *,
    force: bool = False,
    dry_run: bool = False,
    has_waited: bool = False,
) -> Pulled:
    """Bring what an address leads to here, as a snapshot that a stub points to.

    A pinned content that is here, whatever it is called, is not asked for.

    Args:
        start: begins downloads; None where the network must not be used.
        force: go on where the stub points to something else.
        has_waited: whether another process has just pulled the same stub.

    Raises:
        NeededNetwork: it must be asked for, and must not be.
        Diverged: the stub is taken by what did not come from this address.
        WrongContent: what came is not what the pins say.
        UnsafeArchive, MalformedObject: it is an archive that cannot be unpacked.
        TransferFailed: it is not to be had.
    """
    # What it points to now is what may be replaced: nobody knows what becomes of it meanwhile.
    record = store.names.ref(stub)
    done = _known(store, file, stub, record, has_waited=has_waited)
    if done is not None:
        return done
    if not force:
        _check_free(store, file, stub, record)
    plan = plan_upstream(store, _state(file, stub), _everything, {}, progress)
    if dry_run:
        return plan.summary()
    if plan.missing and start is None:
        raise NeededNetwork(
            f"{file.address} is not here, and zoostore is offline: it was not asked for.",
            url=file.address,
        )
    with Batch(store, plan.since) as batch:
        if file.is_archive:
            assert start is not None  # an archive is never here
            return _pull_archive(store, batch, file, plan, record, start, now, progress)
        listing = fetch_upstream(batch, plan, start or _nothing_to_start, progress)
        pin = file.pins[0] if file.pins else f"{BLAKE3}:{listing[file.name].oid}"
        plan = replace(plan, upstream=replace(plan.upstream, revision=str(pin)))
        found = _record(store, batch, plan, listing, record, now)
    return plan.summary(found.id, listing)


def _everything(path: str, kind: Kind) -> bool:
    return True


def _nothing_to_start() -> Downloads:
    raise AssertionError("nothing is missing")


def _state(file: WebFile, stub: str) -> Upstream:
    # What an archive holds is an object, and not the archive.
    wanted = replace(file.wanted, digests=()) if file.is_archive else file.wanted
    return Upstream(stub, file.address, "", 0, (UpstreamFile(file.name, wanted),))


def _known(
    store: ObjectStore, file: WebFile, stub: str, record: RefRecord | None, *, has_waited: bool
) -> Pulled | None:
    """What the stub points to, if that is what the pins say, and all of it is here.

    Without pins, what came a moment ago while this process waited for it is good enough.
    """
    if record is None or not (file.pins or has_waited):
        return None
    snapshot = store.snapshot(record.snapshot)
    if snapshot.source != file.address:
        return None
    if file.pins and snapshot.revision not in map(str, file.pins):
        return None
    listing = flatten(store.tree, snapshot.tree)
    is_whole = missing_blobs(store, listing) is None
    return pulled(stub, record.snapshot, listing) if is_whole else None


def _check_free(store: ObjectStore, file: WebFile, stub: str, record: RefRecord | None) -> None:
    if record is None:
        return
    snapshot = store.snapshot(record.snapshot)
    if not record.is_pulled or snapshot.source != file.address:
        raise Diverged(
            f"{stub} points to {record.snapshot.short}, which did not come from {file.address}. "
            "Nothing was pulled.",
            stub=stub,
            current=str(record.snapshot),
        )


def _record(
    store: ObjectStore,
    batch: Batch,
    plan: UpstreamPlan,
    listing: Listing,
    record: RefRecord | None,
    now: int,
) -> Found:
    tree = put_trees(batch, listing)
    oid, snapshot = record_state(batch, plan.upstream, tree, listing, 0)
    found = Found(plan.upstream.stub, oid, snapshot)
    if record is not None and record.snapshot == oid:
        batch.publish()
    else:
        old = record.snapshot if record else None
        commit_state(store, batch, ref_change(found, old, now, f"from {plan.upstream.source}"))
    return found


def _pull_archive(
    store: ObjectStore,
    batch: Batch,
    file: WebFile,
    plan: UpstreamPlan,
    record: RefRecord | None,
    start: StartDownloads,
    now: int,
    progress: Progress,
) -> Pulled:
    progress.begin("pulling", 0)
    try:
        with kept_on_errors(batch), start() as downloads:
            (outcome,) = downloads.run([file.wanted])
            if not isinstance(outcome, Arrived):
                raise outcome.error
            listing = take_archive(batch, file, outcome)
    finally:
        progress.end()
    pin = file.pins[0] if file.pins else outcome.digests[BLAKE3]
    plan = replace(plan, upstream=replace(plan.upstream, revision=str(pin)))
    found = _record(store, batch, plan, listing, record, now)
    files, size = totals(listing)
    moved = ((file.name, outcome.size),)
    return Pulled(found.stub, found.id, files, size, 1, outcome.size, 0, 0, file.address, moved)
