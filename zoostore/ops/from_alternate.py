"""An alternate as a source: what its names mean, whose objects need not be moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, UnknownStub
from zoostore.objects.walking import flatten
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.history import find, is_in_part
from zoostore.sources.base import Known, Offer
from zoostore.store.front import Alternate, FrontStore
from zoostore.store.records import ObjectKind
from zoostore.stubs import Stub
from zoostore.transport.wanted import Place


class AlternateSource:
    """The models that an alternate has whole.

    What it has in part it does not offer: who has the rest is asked then, and what is there is
    used all the same.

    Args:
        alternate: which one. One that cannot be used knows nothing, and says so by its name.
        others: gives all alternates of the store, which may have what this one's models need.
    """

    needs_network = False

    def __init__(self, alternate: Alternate, others: Callable[[], Collection[Alternate]]) -> None:
        self.name = f"alternate {alternate.root}"
        self._store: FrontStore | None = None
        if alternate.store is None:
            self.name += " (which was not looked in)"
        else:
            self._store = FrontStore(alternate.store.names, others, mends=False)

    def close(self) -> None:
        """It stays open, for its objects are still used."""

    def resolve(self, stub: Stub) -> Offer | None:
        store = self._store
        try:
            if store is None:
                return None
            found = find(store, stub)
            listing = flatten(store.tree, found.snapshot.tree)
            if is_in_part(found.snapshot) or missing_blobs(store, listing) is not None:
                return None
        except (UnknownStub, DamagedContent):  # what is damaged there is not offered
            return None
        tags = store.names.tags(found.stub)
        return Offer(found.stub, found.id, found.snapshot, listing, tags)

    def locate(self, stub: Stub) -> tuple[str, Oid] | None:
        offer = self.resolve(stub)
        return (offer.stub, offer.id) if offer else None

    def models(self) -> Iterator[Known]:
        if self._store is None:
            return
        names = self._store.names
        for stub, record in names.refs().items():
            if not record.is_partial:
                tags = names.tags(stub)
                yield Known(stub, record.snapshot, record.files, record.size, tags)

    def url_of(self, stub: str, oid: Oid) -> str | None:
        return None

    # Its objects count as being here: nobody who misses one finds it there.

    def packed(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        return iter(())

    def files(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, Iterator[bytes]]]:
        return iter(())

    def packed_elsewhere(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        return iter(())

    def small_objects(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, ObjectKind, bytes]]:
        return iter(())

    def place_of(self, oid: Oid) -> Place | None:
        return None
