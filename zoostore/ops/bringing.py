"""Bringing a snapshot here that is known: what was chosen of it, and what of that is missing.

Mostly nothing is, and then nobody need be asked: how to ask is imported only by who does.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from zoostore.digest import Oid
from zoostore.errors import MalformedObject, MissingObject
from zoostore.files.globs import Selector
from zoostore.groups import batched
from zoostore.objects.listing import Listing
from zoostore.objects.walking import TreeListing, flatten
from zoostore.ops.choosing import choose, part_of, require_any
from zoostore.ops.history import Found
from zoostore.ops.pulled import Pulled, pulled, ref_change
from zoostore.store.objectstore import ObjectStore

if TYPE_CHECKING:
    from zoostore.ops.missing import Missing

_LOOKED_UP_TOGETHER = 1000

Get = Callable[["Missing"], None]
"""Gets blobs that are missing."""


class Brought(NamedTuple):
    """A snapshot of which is here what was chosen.

    Attributes:
        found, listing: the snapshot, and all of its paths.
        pulled: what was done to have it here.
    """

    found: Found
    listing: Listing
    pulled: Pulled


def bring_here(
    store: ObjectStore, get: Get, found: Found, is_chosen: Selector, now: int
) -> Brought:
    """Make a snapshot that is known here complete, as far as it was chosen.

    Args:
        get: called only if something is missing.

    Raises:
        NothingLeft: the globs choose no file.
        MissingObject: something is missing, and the store cannot be written to.
        And what `get` raises.
    """
    listing = TreeListing(store.tree, found.snapshot.tree)
    chosen = part_of(listing, is_chosen)
    missing = missing_blobs(store, chosen)
    require_any(found.stub, listing, chosen)
    if missing is not None and store.names.read_only:
        raise MissingObject(
            f"{len(missing)} objects of {found.stub} are missing or damaged, and the store "
            f"{store.layout.root} cannot be written to.",
            oids=[str(oid) for oid in missing],
        )
    if missing is not None:
        get(missing)
    record = store.names.ref(found.stub)
    is_whole = len(chosen) == len(listing) and record is not None and record.snapshot == found.id
    if record is not None and record.is_partial and is_whole and not store.names.read_only:
        store.names.change(ref_change(found, record.snapshot, now, message="the rest of it"))
    return Brought(found, listing, pulled(found.stub, found.id, chosen, "", missing))


def missing_blobs(store: ObjectStore, listing: Listing) -> "Missing | None":
    """The blobs of a listing that are not here, or not intact; None if all are.

    Raises:
        MalformedObject: one that is here is no blob, or of another size than the listing says; or
            that says two sizes of one.
    """
    found = _not_here(store, listing)
    first = next(found, None)
    if first is None:
        return None
    from zoostore.ops.missing import Missing  # imported here: mostly there are none

    return Missing(listing, itertools.chain([first], found))


def _not_here(store: ObjectStore, listing: Listing) -> Iterator[tuple[Oid, int]]:
    files = (entry for entry in listing.values() if entry.kind.is_file)
    for some in batched(files, _LOOKED_UP_TOGETHER):
        wanted = {entry.oid: entry.size for entry in some}
        here = store.those_here(wanted.keys())
        for oid, size in wanted.items():
            if oid not in here:
                yield oid, size
            elif (found := here[oid]) != size:
                raise MalformedObject(
                    f"A tree says that {oid} is a file of {size} bytes, and it is "
                    f"{'no file' if found is None else f'one of {found}'}. Nothing was taken "
                    "from it.",
                    oid=str(oid),
                )


def reused_if_complete(store: ObjectStore, found: Found, is_chosen: Selector) -> Pulled | None:
    try:
        listing = flatten(store.tree, found.snapshot.tree)
    except MissingObject:
        return None
    chosen = choose(found.stub, listing, is_chosen)
    if missing_blobs(store, chosen) is not None:
        return None
    return pulled(found.stub, found.id, chosen)
