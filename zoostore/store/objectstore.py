"""The object store: objects by oid, whatever form they are kept in, verified when used."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoostore.digest import Oid, hash_descriptor
from zoostore.errors import DamagedContent, MissingObject
from zoostore.files.staging import Staging, random_name
from zoostore.objects.snapshot import Snapshot, decode_snapshot
from zoostore.objects.tree import Entry, decode_tree
from zoostore.store.derive import index_packs, read_rows
from zoostore.store.names import Names
from zoostore.store.packs import PackReader, check_object, oid_of
from zoostore.store.records import Location, ObjectKind, PackRecord

LARGE_OBJECT = 1 << 16
"""Objects of at least this many bytes are loose, so that they can be linked."""


class _OpenPack(NamedTuple):
    """A pack being read, and whether its file is as it was when it was written."""

    reader: PackReader
    is_trusted: bool


class ObjectStore:
    """An open store.

    Args:
        names: its refs and tags, with the index.
        large_object: objects of at least this many bytes are kept loose.
    """

    def __init__(self, names: Names, *, large_object: int = LARGE_OBJECT) -> None:
        self.names = names
        self.layout = names.layout
        self.large_object = large_object
        self._packs: dict[int, _OpenPack] = {}

    def staging(self) -> Staging:
        """A new folder for writes in progress, on the store's file system."""
        self.names.require_writable()
        return Staging(self.layout.tmp)

    # Finding objects

    def location(self, oid: Oid) -> Location | None:
        """Where an object is, or None. Its content is not looked at."""
        return self.names.index.view(lambda index: index.location(oid))

    def has(self, oid: Oid) -> bool:
        """Whether the object is here and, as far as its file's stamp can tell, intact."""
        try:
            location = self._intact_location(oid)
        except DamagedContent:
            return False
        return location is not None

    def _intact_location(self, oid: Oid) -> Location | None:
        """Where an object is, after a look at its file.

        Raises:
            DamagedContent: its file changed, and holds other bytes; it was set aside.
        """
        location = self.location(oid)
        if location is None:
            # A process that was killed may have published it and not have come to index it.
            return self._verify_loose(oid) if self.layout.loose(oid).exists() else None
        if location.is_loose:
            return self._check_loose(oid, location)
        if not self._pack(oid, location).is_trusted:
            self._read_packed(oid, location)
        return location

    def _check_loose(self, oid: Oid, location: Location) -> Location | None:
        path = self.layout.loose(oid)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            self._forget(oid)
            return None
        if (status.st_size, status.st_mtime_ns, status.st_ino) == (
            location.size,
            location.mtime_ns,
            location.inode,
        ):
            return location
        return self._verify_loose(oid)

    def _verify_loose(self, oid: Oid) -> Location:
        path = self.layout.loose(oid)
        with open(path, "rb", buffering=0) as file:
            got, size = hash_descriptor(file.fileno())
            status = os.fstat(file.fileno())
        if got != oid:
            aside = self._quarantine(oid)
            raise DamagedContent(
                f"The object {oid} is damaged: its {size} bytes have the id {got}. {aside}",
                oid=str(oid),
                path=str(path),
            )
        location = Location.loose(status)
        self._remember(oid, location)
        return location

    def _quarantine(self, oid: Oid) -> str:
        if self.names.read_only:
            return "The store is read-only, so it was left where it is."
        self.layout.quarantine.mkdir(exist_ok=True)
        aside = self.layout.quarantine / f"{oid}.{random_name(4)}"
        os.replace(self.layout.loose(oid), aside)
        self._forget(oid)
        return f"It was set aside as {aside}, and nothing was taken from it."

    def _index_new_packs(self) -> None:
        """Index what another machine, or a process that was killed, packed."""
        if not self.names.index.read_only:
            self.names.index.update(lambda index: index_packs(index, self.layout))

    def _remember(self, oid: Oid, location: Location) -> None:
        if not self.names.index.read_only:
            self.names.index.update(lambda index: index.set_locations([(oid, location)]))

    def _forget(self, oid: Oid) -> None:
        if not self.names.index.read_only:
            self.names.index.update(lambda index: index.forget_object(oid))

    # Reading objects

    def read(self, oid: Oid) -> bytes:
        """A whole object, for those known to be small.

        Raises:
            MissingObject: it is not here.
            DamagedContent: it is, and is not what its oid says.
        """
        location = self._require(oid)
        if location.is_loose:
            with self._open_loose(oid) as file:
                return file.read()
        return self._read_packed(oid, location)

    def open(self, oid: Oid) -> BinaryIO:
        """An object as a binary file, at its beginning. Raises what `read` raises."""
        location = self._require(oid)
        if location.is_loose:
            return self._open_loose(oid)
        return io.BytesIO(self._read_packed(oid, location))

    def loose_path(self, oid: Oid) -> Path | None:
        """The file of a loose object, to be linked to and never written to; None in a pack.

        Raises what `read` raises.
        """
        return self.layout.loose(oid) if self._require(oid).is_loose else None

    def tree(self, oid: Oid) -> dict[str, Entry]:
        """A decoded tree. Raises what `read` and `decode_tree` raise."""
        return decode_tree(self._read_kind(oid, ObjectKind.TREE))

    def snapshot(self, oid: Oid) -> Snapshot:
        """A decoded snapshot. Raises what `read` and `decode_snapshot` raise."""
        return decode_snapshot(self._read_kind(oid, ObjectKind.SNAPSHOT))

    def _read_kind(self, oid: Oid, kind: ObjectKind) -> bytes:
        location = self._require(oid)
        if location.kind is not kind:
            raise MissingObject(
                f"The object {oid} is no {kind.name.lower()}, but a {location.kind.name.lower()}.",
                oid=str(oid),
            )
        return self._read_packed(oid, location, verify=True)

    def _require(self, oid: Oid) -> Location:
        location = self._intact_location(oid)
        if location is None:
            self._index_new_packs()
            location = self._intact_location(oid)
        if location is None:
            raise MissingObject(
                f"The object {oid} is not in the store {self.layout.root}.", oid=str(oid)
            )
        return location

    def _open_loose(self, oid: Oid) -> BinaryIO:
        return open(self.layout.loose(oid), "rb")

    def _read_packed(self, oid: Oid, location: Location, *, verify: bool = False) -> bytes:
        try:
            pack = self._pack(oid, location)
            data = pack.reader.read(location.offset, location.stored)
            if verify or not pack.is_trusted:
                check_object(oid, location.kind, data, str(pack.reader.path))
        except DamagedContent as error:
            self._forget(oid)
            copy = self._copy_elsewhere(oid, location.pack)
            if copy is None:
                raise error
            return copy
        return data

    def _copy_elsewhere(self, oid: Oid, damaged_pack: int) -> bytes | None:
        """An intact copy in another pack: one written when this one was found damaged."""
        for number, record in self.names.index.view(lambda index: index.packs()).items():
            path = self.layout.pack(record.name)
            if number == damaged_pack or not path.exists():
                continue
            with PackReader(path) as pack:
                for row in read_rows(pack):
                    data = pack.read(row.offset, row.stored) if row.oid == oid else b""
                    if row.oid == oid and oid_of(row.kind, data) == oid:
                        self._remember(oid, Location.packed(number, row))
                        return data
        return None

    def _pack(self, oid: Oid, location: Location) -> _OpenPack:
        pack = self._packs.get(location.pack)
        if pack is None:
            record = self.names.index.view(lambda index: index.pack(location.pack))
            pack = self._packs[location.pack] = self._open_pack(oid, record)
        return pack

    def _open_pack(self, oid: Oid, record: PackRecord | None) -> _OpenPack:
        if record is None:
            raise MissingObject(f"The pack of the object {oid} is not known.", oid=str(oid))
        path = self.layout.pack(record.name)
        try:
            reader = PackReader(path)
        except FileNotFoundError:
            raise MissingObject(
                f"The object {oid} was in the pack {path}, which is gone.",
                oid=str(oid),
                path=str(path),
            ) from None
        status = reader.status()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
        return _OpenPack(reader, stamp == (record.size, record.mtime_ns, record.inode))
