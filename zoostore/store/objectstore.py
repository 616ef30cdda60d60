"""The object store: objects by oid, whatever form they are kept in, verified when used."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zoostore.digest import (
    BLAKE3,
    CHUNK,
    Digest,
    DigestHasher,
    Oid,
    hash_descriptor,
)
from zoostore.errors import DamagedContent, MissingObject
from zoostore.files.staging import Staging
from zoostore.groups import batched
from zoostore.objects.snapshot import Snapshot, decode_snapshot
from zoostore.objects.tree import Entry, decode_tree
from zoostore.store.causes import SAID, UNKNOWN
from zoostore.store.index import Reader, Writer
from zoostore.store.names import Names
from zoostore.store.records import Location, ObjectKind, PackRecord

# What reads packs and mends is imported where it is used: looking for an object needs neither.
if TYPE_CHECKING:
    from zoostore.store.extracting import Place
    from zoostore.store.packs import PackReader

LARGE_OBJECT = 1 << 16
"""Objects of at least this many bytes are loose, so that they can be linked."""

_LOOKED_UP_TOGETHER = 1000
_MOVES = 8
"""So often an object may be packed anew between looking for it and opening the pack."""


class ObjectStore:
    """An open store.

    What is found damaged is set aside, so that a good copy can take its place: a loose
    object's file, or a whole pack, whose intact objects are packed anew.

    Args:
        names: its refs and tags, with the index.
        large_object: objects of at least this many bytes are kept loose.
        threads: how many files to read at a time; None: as suits the disk that they are on.
        mends: whether to set aside what is damaged, and to note what is learned.
    """

    def __init__(
        self,
        names: Names,
        *,
        large_object: int = LARGE_OBJECT,
        threads: int | None = None,
        mends: bool = True,
    ) -> None:
        self.names = names
        self.layout = names.layout
        self.large_object = large_object
        self.threads = threads
        self._mends = mends and not names.read_only
        self._packs: dict[int, PackReader] = {}
        self._intact_packs: set[int] = set()

    def without_mending(self) -> ObjectStore:
        """The same store, to be looked at and left as it is."""
        return ObjectStore(
            self.names, large_object=self.large_object, threads=self.threads, mends=False
        )

    def staging(self) -> Staging:
        """A new folder for writes in progress, on the store's file system."""
        from zoostore.files.claim import remove_abandoned_claims

        self.names.require_writable()
        remove_abandoned_claims(self.layout.tmp)
        return Staging(self.layout.tmp)

    def distrust_all(self) -> None:
        """Have every object read again before it is next used, whatever its stamp says."""
        self._intact_packs.clear()
        self._note(Writer.forget_stamps)

    def set_aside(self, oid: Oid) -> Path | None:
        """Set the file of a damaged loose object aside; where it is now, None if it is gone.

        An intact copy in a pack takes its place, if there is one.
        """
        from zoostore.store.mending import index_copies, set_aside

        self.names.require_writable()
        try:
            aside = set_aside(self.layout, self.layout.loose(oid), str(oid))
        except FileNotFoundError:
            aside = None

        def replace(index: Writer) -> None:
            index.forget_object(oid)
            index_copies(index, self.layout, [oid])

        self._note(replace)
        return aside

    def mend_pack(self, name: Oid) -> None:
        """Set a damaged pack aside, after packing anew what is intact in it."""
        self.names.require_writable()

        def number_of(index: Writer) -> int:
            known = index.pack_number(name)
            return index.add_pack(PackRecord(name, 0, 0, 0)) if known is None else known

        self._set_pack_aside(self.names.update(number_of))

    def sweep_mark(self) -> bytes:
        """Changes whenever objects are taken away: whoever relies on what they find compares."""
        return self.names.view(lambda index: index.sweep_mark())

    def forget_packs(self) -> None:
        """Let go of packs that are open: they may be gone."""
        self._packs.clear()
        self._intact_packs.clear()

    # Finding objects

    def location(self, oid: Oid) -> Location | None:
        """Where an object is, or None. Its content is not looked at."""
        return self.names.view(lambda index: index.location(oid))

    def knows(self, oid: Oid) -> bool:
        """Whether an object is here or in an alternate. Its content is not looked at."""
        return self.location(oid) is not None

    def lent(self, oid: Oid) -> bool:
        """Whether an alternate has an object; a store alone has none."""
        return False

    def has(self, oid: Oid) -> bool:
        """Whether the object is here and, as far as its file's stamp can tell, intact.

        What another machine packed a moment ago may not be seen yet; reading it would.
        """
        return self._location_if_intact(oid) is not None

    def those_here(self, oids: Collection[Oid], *, unindexed: bool = True) -> dict[Oid, int | None]:
        """Of some objects, those that `has` says are here, with what `size_of_blob` says.

        Args:
            unindexed: whether to look for files that the index does not know of.
        """
        here: dict[Oid, int | None] = {}
        for some in batched(oids, _LOOKED_UP_TOGETHER):
            here.update(self._some_here(some, unindexed=unindexed))
        return here

    def _some_here(
        self, oids: Sequence[Oid], *, unindexed: bool
    ) -> Iterator[tuple[Oid, int | None]]:
        places = self.names.view(lambda index: index.locations_of(oids))
        for number in {place.pack for place in places.values() if not place.is_loose}:
            self._pack_is_intact(number)
        for oid in oids:
            place = places.get(oid)
            if place is not None and place.pack in self._intact_packs:
                yield oid, _blob_size(place)
            elif place is not None or (unindexed and self.layout.has_loose(oid)):
                found = self._location_if_intact(oid)
                if found is not None:
                    yield oid, _blob_size(found)

    def find(self, digest: Digest) -> Oid | None:
        """The object whose content has this digest, if it is known to be here and intact."""
        if digest.algorithm == BLAKE3:
            oid: Oid | None = Oid(digest.value)
        else:
            oid = self.names.view(lambda index: index.alias(digest))
        return oid if oid is not None and self.has(oid) else None

    def blobs_of_sizes(self, sizes: Collection[int]) -> dict[int, list[Oid]]:
        """The blobs that have one of these sizes, in bytes. Every object is looked at for it."""

        def read(index: Reader) -> dict[int, list[Oid]]:
            found: dict[int, list[Oid]] = {}
            for oid, location in index.locations():
                if location.size in sizes and location.kind is ObjectKind.BLOB:
                    found.setdefault(location.size, []).append(oid)
            return found

        return self.names.view(read)

    def size_of_blob(self, oid: Oid) -> int | None:
        """A blob's size in bytes; None if it is not here, or another kind of object."""
        return _blob_size(self.location(oid))

    def snapshots_from(self, prefix: str) -> list[Oid]:
        """The snapshots whose ids begin with these hex digits."""
        return self.names.snapshots_from(prefix)

    def _location_if_intact(self, oid: Oid) -> Location | None:
        try:
            return self._intact_location(oid)
        except DamagedContent:
            return None

    def _intact_location(self, oid: Oid) -> Location | None:
        """Where an object is, after a look at the stamp of its file.

        Raises:
            DamagedContent: it is loose, its file changed, and holds other bytes.
        """
        location = self.location(oid)
        if location is None:
            # A process that was killed may have published it and not have come to index it.
            return self._verify_loose(oid, None) if self.layout.has_loose(oid) else None
        if location.is_loose:
            return self._check_loose(oid, location)
        if self._pack_is_intact(location.pack):
            return location
        return self.location(oid)

    def _require(self, oid: Oid) -> Location:
        location = self._intact_location(oid)
        if location is None and self._mends:
            from zoostore.store.derive import index_packs

            # Another machine, or a process that was killed, may have packed it.
            self.names.update(lambda index: index_packs(index, self.layout))
            location = self._intact_location(oid)
        if location is None:
            raise MissingObject(
                f"The object {oid} is not in the store {self.layout.root}.", oid=str(oid)
            )
        return location

    # Reading objects

    def read(self, oid: Oid) -> bytes:
        """A whole blob, for those known to be small.

        Raises:
            MissingObject: it is not here.
            DamagedContent: it is, and is not what its oid says.
        """
        location = self._require_kind(oid, ObjectKind.BLOB)
        if location.is_loose:
            with self._open_loose(oid) as file:
                return file.read()
        return self._read_packed(oid, location)

    def open(self, oid: Oid) -> BinaryIO:
        """A blob as a binary file, at its beginning. Raises what `read` raises."""
        location = self._require_kind(oid, ObjectKind.BLOB)
        if location.is_loose:
            return self._open_loose(oid)
        return io.BytesIO(self._read_packed(oid, location))

    def content(self, oid: Oid) -> Path | bytes:
        """A blob's file, if it is loose, or its bytes. Raises what `read` raises."""
        location = self._require_kind(oid, ObjectKind.BLOB)
        return self.layout.loose(oid) if location.is_loose else self._read_packed(oid, location)

    def packed(self, oids: Collection[Oid]) -> dict[Oid, Place]:
        """Where those of some blobs stand that are in packs of this store.

        What stands there is not looked at: it may be gone before it is read.
        """
        places = self.names.view(lambda index: index.locations_of(oids))
        blobs = {
            oid: place
            for oid, place in places.items()
            if not place.is_loose and place.kind is ObjectKind.BLOB
        }
        packs = {number: self._pack_file(number) for number in {at.pack for at in blobs.values()}}
        return {
            oid: (str(pack), place.offset, place.stored)
            for oid, place in blobs.items()
            if (pack := packs[place.pack]) is not None
        }

    def digests_of(self, oid: Oid, algorithms: Iterable[str]) -> frozenset[Digest]:
        """A blob's digests, from its content; none if that is not what its oid says.

        Raises what `read` raises.
        """
        hasher = DigestHasher(algorithms, self.size_of_blob(oid))
        with self.open(oid) as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
        return frozenset(hasher.digests().values()) if hasher.oid() == oid else frozenset()

    def loose_path(self, oid: Oid) -> Path | None:
        """The file of a loose object, to be linked to and never written to; None in a pack.

        Raises what `read` raises.
        """
        location = self._require_kind(oid, ObjectKind.BLOB)
        return self.layout.loose(oid) if location.is_loose else None

    def tree(self, oid: Oid) -> dict[str, Entry]:
        """A decoded tree. Raises what `read` and `decode_tree` raise."""
        return decode_tree(self.read_packed(oid, ObjectKind.TREE))

    def snapshot(self, oid: Oid) -> Snapshot:
        """A decoded snapshot. Raises what `read` and `decode_snapshot` raise."""
        return decode_snapshot(self.read_packed(oid, ObjectKind.SNAPSHOT))

    def read_packed(self, oid: Oid, kind: ObjectKind) -> bytes:
        """The bytes of a small object of a kind. Raises what `read` raises."""
        return self._read_packed(oid, self._require_kind(oid, kind))

    def _require_kind(self, oid: Oid, kind: ObjectKind) -> Location:
        location = self._require(oid)
        if location.kind is not kind:
            raise MissingObject(
                f"The object {oid} is no {kind.name.lower()}, but a {location.kind.name.lower()}.",
                oid=str(oid),
            )
        return location

    # Loose objects

    def _open_loose(self, oid: Oid) -> BinaryIO:
        try:
            return open(self.layout.loose(oid), "rb")
        except FileNotFoundError:
            raise MissingObject(
                f"The object {oid} was removed from the store {self.layout.root} in this moment.",
                oid=str(oid),
            ) from None

    def _check_loose(self, oid: Oid, location: Location) -> Location | None:
        try:
            status = os.stat(self.layout.loose(oid))
        except FileNotFoundError:
            self._note(lambda index: index.forget_object(oid))
            return None
        return location if location.is_of(status) else self._verify_loose(oid, location)

    def _verify_loose(self, oid: Oid, known: Location | None) -> Location | None:
        path = self.layout.loose(oid)
        try:
            with open(path, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())  # before: what is written meanwhile shows
                got, size = hash_descriptor(file.fileno())
        except FileNotFoundError:  # gc removes it in this moment
            return None
        if got != oid:
            became = self._what_became_of(oid)
            copy = self.location(oid) if self._mends else None
            if copy is not None and not copy.is_loose:
                return copy
            cause = known.cause(status) if known else UNKNOWN
            raise DamagedContent(
                f"The object {oid} is damaged: its {size} bytes have the id {got}; {SAID[cause]}. "
                f"{became}",
                oid=str(oid),
                path=str(path),
                cause=cause,
            )
        location = Location.loose(status)
        self._note(lambda index: index.set_locations([(oid, location)]))
        return location

    def _what_became_of(self, oid: Oid) -> str:
        if not self._mends:
            return "It was left where it is."
        aside = self.set_aside(oid)
        return f"It was set aside as {aside}, and nothing was taken from it."

    # Packs

    def _pack_is_intact(self, number: int) -> bool:
        """Whether a pack's file is as it was written. If it is not, it is set aside.

        Where nothing may be set aside, each object is checked as it is read.
        """
        if number in self._intact_packs:
            return True
        from zoostore.store.packs import intact_record

        record = self.names.view(lambda index: index.pack(number))
        seen = intact_record(self.layout.pack(record.name), record) if record else None
        if seen is None and self._mends:
            self._set_pack_aside(number)
            return False
        if seen is not None and seen != record:
            self._note(lambda index: index.add_pack(seen))
        self._intact_packs.add(number)
        return True

    def _pack_file(self, number: int) -> Path | None:
        """The file of a pack, if it is as it was written."""
        if not self._pack_is_intact(number):
            return None
        record = self.names.view(lambda index: index.pack(number))
        return self.layout.pack(record.name) if record else None

    def _read_packed(self, oid: Oid, location: Location, *, again: bool = True) -> bytes:
        pack, location = self._open_pack(oid, location)
        from zoostore.store.packs import check_object

        data = pack.read(location.offset, location.stored)
        try:
            check_object(oid, location.kind, data, str(pack.path))
        except DamagedContent:
            from zoostore.store.mending import read_copy

            if not self._mends and (found := read_copy(self.layout, oid)) is not None:
                return found
            if not (self._mends and again):
                raise
            self._set_pack_aside(location.pack)
            copy = self.location(oid)
            if copy is None:
                raise
            return self._read_packed(oid, copy, again=False)
        return data

    def _open_pack(self, oid: Oid, location: Location) -> tuple[PackReader, Location]:
        """The pack that holds an object, and where; gc may just have packed it anew, and again."""
        for _ in range(_MOVES):
            try:
                return self._pack(oid, location.pack), location
            except MissingObject:
                copy = self.location(oid)
                if copy is None or copy.is_loose or copy.pack == location.pack:
                    raise
                location = copy
        return self._pack(oid, location.pack), location

    def _pack(self, oid: Oid, number: int) -> PackReader:
        if number not in self._packs:
            from zoostore.store.packs import PackReader

            record = self.names.view(lambda index: index.pack(number))
            try:
                if record is None:
                    raise FileNotFoundError
                self._packs[number] = PackReader(self.layout.pack(record.name))
            except FileNotFoundError:
                raise MissingObject(
                    f"The object {oid} was in a pack that is gone.", oid=str(oid)
                ) from None
        return self._packs[number]

    def _set_pack_aside(self, number: int) -> None:
        from zoostore.store.mending import mend_pack

        self._packs.pop(number, None)
        self._intact_packs.discard(number)
        mend_pack(self.names, number)

    def _note(self, change: Callable[[Writer], object]) -> None:
        """Note what was learned, where that can be done: it would only be learned again."""
        if self._mends and not self.names.index_is_read_only:
            with contextlib.suppress(OSError):
                self.names.update(change)


def _blob_size(location: Location | None) -> int | None:
    return location.size if location and location.kind is ObjectKind.BLOB else None
