"""Completing: what a snapshot that is known here needs, and is not here, or not intact."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zoostore.digest import Oid
from zoostore.errors import (
    MalformedObject,
    MissingObject,
    NeededNetwork,
    NothingLeft,
    TransferFailed,
)
from zoostore.files.globs import Selector
from zoostore.objects.listing import Listing, flatten
from zoostore.objects.tree import Entry
from zoostore.ops.asking import Sources
from zoostore.ops.copies import take_copies
from zoostore.ops.fetching import StartDownloads, fetch_objects, kept_on_errors
from zoostore.ops.fetching_again import came_from_address, fetch_again
from zoostore.ops.history import Found
from zoostore.ops.pulled import Pulled, pulled, ref_change
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore


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
    chosen = choose(found.stub, listing, is_chosen)
    missing = missing_blobs(store, chosen)
    if missing and store.names.read_only:
        raise MissingObject(
            f"{len(missing)} objects of {found.stub} are missing or damaged, and the store "
            f"{store.layout.root} cannot be written to.",
            oids=[str(oid) for oid in missing],
        )
    if missing:
        with sources() as asked:
            complete(store, asked, found, chosen, missing, progress)
    record = store.names.ref(found.stub)
    is_whole = len(chosen) == len(listing) and record is not None and record.snapshot == found.id
    if record is not None and record.is_partial and is_whole and not store.names.read_only:
        store.names.change(ref_change(found, record.snapshot, now, message="the rest of it"))
    return pulled(found.stub, found.id, chosen, missing, "")


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
        fetch_objects(batch, sources.usable(), missing, start, progress, names_of(wanted))
    except (MissingObject, TransferFailed) as error:
        left = {path: entry for path, entry in wanted.items() if not batch.has(entry.oid)}
        if fetch_again(batch, sources, found, left, start):
            return
        if sources.some_left_out or (sources.offline and came_from_address(found.snapshot)):
            raise NeededNetwork(
                f"{error.message} zoostore is offline: no remote was asked.", **error.facts
            ) from error
        raise


def missing_blobs(store: ObjectStore, entries: Listing) -> dict[Oid, int]:
    """The blobs of a listing that are not here, or not intact, with their sizes in bytes.

    Raises:
        MalformedObject: one that is here is no blob, or of another size than the listing says.
    """
    wanted = {entry.oid: entry.size for entry in entries.values() if entry.kind.is_file}
    here = store.those_here(wanted.keys())
    missing = {}
    for oid, size in wanted.items():
        if oid not in here:
            missing[oid] = size
        elif (found := here[oid]) != size:
            raise MalformedObject(
                f"A tree says that {oid} is a file of {size} bytes, and it is "
                f"{'no file' if found is None else f'one of {found}'}. Nothing was taken from it.",
                oid=str(oid),
            )
    return missing


def reused_if_complete(store: ObjectStore, found: Found, is_chosen: Selector) -> Pulled | None:
    try:
        listing = flatten(store.tree, found.snapshot.tree)
    except MissingObject:
        return None
    chosen = choose(found.stub, listing, is_chosen)
    if missing_blobs(store, chosen):
        return None
    return pulled(found.stub, found.id, chosen, {}, "")


def choose(stub: str, listing: Listing, is_chosen: Selector) -> dict[str, Entry]:
    chosen = {path: entry for path, entry in listing.items() if is_chosen(path, entry.kind)}
    if listing and not chosen:
        raise nothing_left(stub, len(listing))
    return chosen


def nothing_left(stub: str, count: int) -> NothingLeft:
    return NothingLeft(
        f"The globs choose none of the {count} paths of {stub}; nothing was done.", stub=stub
    )


def starter(store: ObjectStore, sources: Sources) -> StartDownloads:
    return lambda: sources.start(store.layout.downloads)


def names_of(listing: Listing) -> dict[Oid, str]:
    return {entry.oid: path for path, entry in listing.items()}
