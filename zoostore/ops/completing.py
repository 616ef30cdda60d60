"""Completing: what a snapshot that is known here needs, and is not here, or not intact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from zoostore.digest import Digest, Oid
from zoostore.errors import MalformedObject, MissingObject, NeededNetwork, NothingLeft
from zoostore.files.globs import Selector
from zoostore.objects.listing import Listing, flatten
from zoostore.objects.tree import Entry
from zoostore.ops.asking import Sources
from zoostore.ops.fetching import (
    StartDownloads,
    fetch_objects,
    kept_on_errors,
    receive_downloads,
)
from zoostore.ops.history import Found
from zoostore.ops.pulled import Pulled, pulled, ref_change
from zoostore.progress import Progress
from zoostore.sources.base import Upstream
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.stubs import Stub


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
        try:
            start = starter(store, sources)
            fetch_objects(batch, sources.usable(), missing, start, progress, names_of(wanted))
        except MissingObject as error:
            left = {path: entry for path, entry in wanted.items() if not batch.has(entry.oid)}
            if _fetch_again(batch, sources, found, left, start, progress):
                batch.publish()
                return
            if sources.some_left_out:
                raise NeededNetwork(
                    f"{error.message} zoostore is offline: no remote was asked.", **error.facts
                ) from error
            raise
        batch.publish()


def _fetch_again(
    batch: Batch,
    sources: Sources,
    found: Found,
    left: Listing,
    start: StartDownloads,
    progress: Progress,
) -> bool:
    """Get files from where the snapshot says it came from; whether all of them came."""
    asked = sources.upstream
    if asked is None or not found.snapshot.revision or (sources.offline and asked.needs_network):
        return False
    state = asked.resolve(Stub(found.stub, found.snapshot.revision))
    if not isinstance(state, Upstream):
        return False
    wanted = [
        replace(file.wanted, digests=(*file.wanted.digests, Digest.of_oid(left[file.path].oid)))
        for file in state.files
        if file.path in left
    ]
    with start() as downloads:
        failures = receive_downloads(batch, downloads, wanted, state.source)
    if failures:
        raise failures[0]
    return all(batch.has(entry.oid) for entry in left.values())


def missing_blobs(store: ObjectStore, entries: Listing) -> dict[Oid, int]:
    """The blobs of a listing that are not here, or not intact, with their sizes in bytes.

    Raises:
        MalformedObject: one that is here is no blob, or of another size than the listing says.
    """
    wanted = {entry.oid: entry.size for entry in entries.values() if entry.kind.is_file}
    here = store.those_here(wanted.keys())
    sizes = store.sizes_of_blobs(here)
    missing = {}
    for oid, size in wanted.items():
        if oid not in here:
            missing[oid] = size
        elif (found := sizes[oid]) != size:
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
