"""Completing: getting what a snapshot that is known here needs, and is not here, or not intact."""

from __future__ import annotations

from zoostore.errors import MissingObject, NeededNetwork, TransferFailed
from zoostore.ops.asking import Sources
from zoostore.ops.copies import take_copies
from zoostore.ops.fetching import StartDownloads, fetch_objects
from zoostore.ops.fetching_again import came_from_address, fetch_again
from zoostore.ops.history import Found
from zoostore.ops.keeping import kept_on_errors
from zoostore.ops.missing import Missing
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore


def complete(
    store: ObjectStore, sources: Sources, found: Found, missing: Missing, progress: Progress
) -> None:
    """Get blobs that a snapshot needs and that are not here, or not intact.

    Raises:
        NeededNetwork: offline, and a source that was not asked might have them.
        MissingObject: no source has them all; what did arrive stays.
    """
    with Batch(store) as batch, kept_on_errors(batch):
        if not _was_left_out(store, found):  # it was here, and so perhaps elsewhere on this machine
            take_copies(store, batch, missing, progress)
        if missing:
            _complete_from_afar(batch, store, sources, found, missing, progress)
        batch.publish()


def _was_left_out(store: ObjectStore, found: Found) -> bool:
    record = store.names.ref(found.stub)
    return record is not None and record.is_partial and record.snapshot == found.id


def _complete_from_afar(
    batch: Batch,
    store: ObjectStore,
    sources: Sources,
    found: Found,
    missing: Missing,
    progress: Progress,
) -> None:
    start = starter(store, sources)
    try:
        fetch_objects(batch, sources.usable(), missing, start, progress)
    except (MissingObject, TransferFailed) as error:
        left = {
            path: entry
            for path, entry in missing.listing.items()
            if entry.kind.is_file and not batch.has(entry.oid)
        }
        if fetch_again(batch, sources, found, left, start):
            return
        if sources.some_left_out or (sources.offline and came_from_address(found.snapshot)):
            raise NeededNetwork(
                f"{error.message} zoostore is offline: no remote was asked.", **error.facts
            ) from error
        raise


def starter(store: ObjectStore, sources: Sources) -> StartDownloads:
    return lambda: sources.start(store.layout.downloads)
