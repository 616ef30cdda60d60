"""Completing: getting what a snapshot that is known here needs, and is not here, or not intact."""

from __future__ import annotations

from collections.abc import Mapping

from zoostore.digest import Oid
from zoostore.errors import MissingObject, NeededNetwork, TransferFailed
from zoostore.objects.listing import Listing
from zoostore.ops.asking import Sources
from zoostore.ops.copies import take_copies
from zoostore.ops.fetching import StartDownloads, fetch_objects
from zoostore.ops.fetching_again import came_from_address, fetch_again
from zoostore.ops.history import Found
from zoostore.ops.keeping import kept_on_errors
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore


def complete(
    store: ObjectStore,
    sources: Sources,
    found: Found,
    wanted: Listing,
    missing: Mapping[Oid, int],
    progress: Progress,
) -> None:
    """Get blobs that a snapshot needs and that are not here, or not intact.

    Args:
        wanted: the paths that they are for.

    Raises:
        NeededNetwork: offline, and a source that was not asked might have them.
        MissingObject: no source has them all; what did arrive stays.
    """
    with Batch(store) as batch, kept_on_errors(batch):
        left = dict(missing)
        if not _was_left_out(store, found):  # it was here, and so perhaps elsewhere on this machine
            for oid in take_copies(store, batch, left, progress):
                del left[oid]
        if left:
            _complete_from_afar(batch, store, sources, found, wanted, left, progress)
        batch.publish()


def _was_left_out(store: ObjectStore, found: Found) -> bool:
    record = store.names.ref(found.stub)
    return record is not None and record.is_partial and record.snapshot == found.id


def _complete_from_afar(
    batch: Batch,
    store: ObjectStore,
    sources: Sources,
    found: Found,
    wanted: Listing,
    missing: Mapping[Oid, int],
    progress: Progress,
) -> None:
    start = starter(store, sources)
    try:
        fetch_objects(batch, sources.usable(), missing, start, progress, wanted)
    except (MissingObject, TransferFailed) as error:
        left = {path: entry for path, entry in wanted.items() if not batch.has(entry.oid)}
        if fetch_again(batch, sources, found, left, start):
            return
        if sources.some_left_out or (sources.offline and came_from_address(found.snapshot)):
            raise NeededNetwork(
                f"{error.message} zoostore is offline: no remote was asked.", **error.facts
            ) from error
        raise


def starter(store: ObjectStore, sources: Sources) -> StartDownloads:
    return lambda: sources.start(store.layout.downloads)
