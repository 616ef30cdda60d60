"""A store in front of others: what it lacks is looked for in its alternates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from zoostore.digest import Digest, Oid
from zoostore.errors import DamagedContent, MissingObject
from zoostore.store.names import Names
from zoostore.store.objectstore import LARGE_OBJECT, ObjectStore
from zoostore.store.records import ObjectKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Alternate:
    """Another store, which is looked in and never written to.

    Attributes:
        root: its folder.
        store: None if it cannot be used.
        problem: why it cannot; empty if it can.
    """

    root: Path
    store: ObjectStore | None
    problem: str = ""


class FrontStore(ObjectStore):
    """An open store, with alternates behind it.

    What an alternate has counts as being here, and is not stored again. What is here and damaged
    is taken from there.

    Args:
        look: opens the alternates. It is asked when one is needed for the first time.
    """

    def __init__(
        self,
        names: Names,
        look: Callable[[], Collection[Alternate]],
        *,
        large_object: int = LARGE_OBJECT,
        threads: int | None = None,
        mends: bool = True,
    ) -> None:
        super().__init__(names, large_object=large_object, threads=threads, mends=mends)
        self._look = look

    def without_mending(self) -> FrontStore:
        return FrontStore(
            self.names,
            self._look,
            large_object=self.large_object,
            threads=self.threads,
            mends=False,
        )

    def _behind(self) -> list[ObjectStore]:
        return [alternate.store for alternate in self._look() if alternate.store is not None]

    # Finding objects

    def lent(self, oid: Oid) -> bool:
        return any(store.has(oid) for store in self._behind())

    def knows(self, oid: Oid) -> bool:
        return super().knows(oid) or any(store.knows(oid) for store in self._behind())

    def has(self, oid: Oid) -> bool:
        return super().has(oid) or self.lent(oid)

    def those_here(self, oids: Collection[Oid], *, unindexed: bool = True) -> dict[Oid, int | None]:
        here = super().those_here(oids, unindexed=unindexed)
        for store in self._behind() if len(here) < len(set(oids)) else ():
            here |= store.those_here(set(oids) - here.keys(), unindexed=unindexed)
        return here

    def find(self, digest: Digest) -> Oid | None:
        found = super().find(digest)
        for store in self._behind() if found is None else ():
            found = found or store.find(digest)
        return found

    def blobs_of_sizes(self, sizes: Collection[int]) -> dict[int, list[Oid]]:
        found = super().blobs_of_sizes(sizes)
        for store in self._behind():
            for size, oids in store.blobs_of_sizes(sizes).items():
                known = found.setdefault(size, [])
                known += [oid for oid in oids if oid not in known]
        return found

    def size_of_blob(self, oid: Oid) -> int | None:
        size = super().size_of_blob(oid)
        if size is None:
            behind = (store.size_of_blob(oid) for store in self._behind())
            size = next((found for found in behind if found is not None), None)
        return size

    def snapshots_from(self, prefix: str) -> list[Oid]:
        found = dict.fromkeys(super().snapshots_from(prefix))
        for store in self._behind():
            found |= dict.fromkeys(store.snapshots_from(prefix))
        return list(found)

    # Reading objects

    def read(self, oid: Oid) -> bytes:
        return self._first(oid, lambda store: ObjectStore.read(store, oid))

    def open(self, oid: Oid) -> BinaryIO:
        return self._first(oid, lambda store: ObjectStore.open(store, oid))

    def content(self, oid: Oid) -> Path | bytes:
        return self._first(oid, lambda store: ObjectStore.content(store, oid))

    def loose_path(self, oid: Oid) -> Path | None:
        return self._first(oid, lambda store: ObjectStore.loose_path(store, oid))

    def read_packed(self, oid: Oid, kind: ObjectKind) -> bytes:
        return self._first(oid, lambda store: ObjectStore.read_packed(store, oid, kind))

    def _first(self, oid: Oid, read: Callable[[ObjectStore], T]) -> T:
        """What the first store makes of an object that has it intact.

        Raises:
            DamagedContent: none has.
        """
        failure: DamagedContent | None = None
        for store in self._in_order(oid):
            try:
                return read(store)
            except DamagedContent as error:
                failure = error if failure is None or store is self else failure
        assert failure is not None
        absent = [alternate.problem for alternate in self._look() if alternate.problem]
        if absent and isinstance(failure, MissingObject):
            raise MissingObject(f"{failure.message} {' '.join(absent)}", **failure.facts)
        raise failure

    def _in_order(self, oid: Oid) -> Iterator[ObjectStore]:
        """The stores, each to be asked if the one before does not have an object."""
        # What is known to be elsewhere is not looked for in packs that came lately.
        if not super().knows(oid) and self.lent(oid):
            yield from self._behind()
            yield self
        else:
            yield self
            yield from self._behind()
