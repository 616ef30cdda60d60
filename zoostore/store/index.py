"""The index: what LMDB knows of the store, all of it derived. The only importer of lmdb.

One database, whose keys begin with a letter:

    o oid             -> where the object is, its size, and the stamp of its file
    p number:u64      -> a pack's name, and the stamp of its file
    r stub            -> snapshot, files, size, is_partial, is_pulled
    t stub NUL tag    -> snapshot
    a code:u8 digest  -> the oid of the content that has this digest
    m name            -> what the index was derived from
    m "arriving" name -> nothing: not all that is in this pack is indexed by now

Every value ends in the CRC-32 of its key and itself, for LMDB has no checksums.
Named databases would be tidier, but to open one takes the writer's lock, and a
reader must never wait for a writer. One environment serves a whole process; a
forked child opens its own.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import struct
import threading
import weakref
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import lmdb

from zoostore.digest import OID_BYTES, Digest, Oid
from zoostore.errors import DamagedContent, NetworkFileSystem
from zoostore.files.mounts import NETWORK, kind_of_file_system
from zoostore.files.sharing import make_folder, share
from zoostore.store.index_stamp import is_trustworthy, record_stamp
from zoostore.store.records import Location, ObjectKind, PackedRow, PackRecord, Position, RefRecord

T = TypeVar("T")

_VERSION = b"1"
_FIRST_MAP_BYTES = 1 << 26
# The times of files may be before 1970.
_OBJECT = struct.Struct(">BBQQQQqQ")
_PACK_NUMBER = 2
_PACK = struct.Struct(f">{OID_BYTES}sQqQ")
_REF = struct.Struct(f">{OID_BYTES}sQQ??")
_NUMBER = struct.Struct(">Q")
_LENGTH = struct.Struct(">Q")
_OBJECTS, _PACKS, _REFS, _TAGS, _ALIASES, _META = b"o", b"p", b"r", b"t", b"a", b"m"
_ARRIVING = b"arriving"
_CRC_BYTES = 4
_SWEEP_MARK_BYTES = 16
_LOCK_FILE_BYTES = 8192
_BLOCK = 512
_LITTLE_SPACE_BYTES = 1 << 20
_DAMAGE = (
    lmdb.InvalidParameterError,
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.BadValsizeError,
    struct.error,
)


class IndexDamaged(DamagedContent):
    """The index cannot be read. It is derived, and whoever meets this makes it anew."""

    kind = "index_damaged"


class Reader:
    """The index within one transaction."""

    def __init__(self, txn: lmdb.Transaction[bytes]) -> None:
        self._txn = txn

    def _get(self, table: bytes, key: bytes) -> bytes | None:
        value = self._txn.get(table + key)
        return _unsealed(table + key, value) if value is not None else None

    def _items(self, table: bytes, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The keys, without the table's letter, that begin with a prefix, and their values."""
        start = table + prefix
        with self._txn.cursor() as cursor:
            if cursor.set_range(start):
                for key, value in cursor.iternext():
                    if not key.startswith(start):
                        return
                    yield key[1:], _unsealed(key, value)

    def location(self, oid: Oid) -> Location | None:
        value = self._get(_OBJECTS, oid)
        return _decode_location(value) if value is not None else None

    def pack_numbers(self) -> Iterator[tuple[Oid, int]]:
        """The number of every object's pack: no more of its location, for who asks about all."""
        for key, value in self._items(_OBJECTS):
            yield Oid(key), _OBJECT.unpack(value)[_PACK_NUMBER]

    def locations_of(self, oids: Iterable[Oid]) -> dict[Oid, Location]:
        """Where objects are, of those that are known."""
        keys = {_OBJECTS + oid: oid for oid in oids}
        with self._txn.cursor() as cursor:
            return {
                keys[key]: _decode_location(_unsealed(key, value))
                for key, value in cursor.getmulti(keys)
            }

    def locations(self, prefix: bytes = b"") -> Iterator[tuple[Oid, Location]]:
        """Every object whose oid begins with these bytes, in order."""
        for key, value in self._items(_OBJECTS, prefix):
            yield Oid(key), _decode_location(value)

    def pack(self, number: int) -> PackRecord | None:
        value = self._get(_PACKS, _NUMBER.pack(number))
        return _decode_pack(value) if value is not None else None

    def packs(self) -> dict[int, PackRecord]:
        return {_NUMBER.unpack(key)[0]: _decode_pack(value) for key, value in self._items(_PACKS)}

    def indexed_packs(self) -> set[Oid]:
        """The packs of which the index knows all that is in them, by name."""
        arriving = {Oid(key[len(_ARRIVING) :]) for key, _ in self._items(_META, _ARRIVING)}
        return {record.name for record in self.packs().values()} - arriving

    def pack_named(self, name: Oid) -> PackRecord | None:
        return self.pack(self._number_of(name))

    def pack_number(self, name: Oid) -> int | None:
        """The number of a pack that is known."""
        number = self._number_of(name)
        return number if self.pack(number) is not None else None

    def _number_of(self, name: Oid) -> int:
        """The number that a pack of this name has, or would get."""
        number = int.from_bytes(name[: _NUMBER.size], "big") or 1
        while (known := self.pack(number)) is not None and known.name != name:
            number += 1
        return number

    def ref(self, stub: str) -> RefRecord | None:
        value = self._get(_REFS, stub.encode())
        return _decode_ref(value) if value is not None else None

    def refs(self) -> Iterator[tuple[str, RefRecord]]:
        for key, value in self._items(_REFS):
            yield key.decode(), _decode_ref(value)

    def tag(self, stub: str, tag: str) -> Oid | None:
        value = self._get(_TAGS, _tag_key(stub, tag))
        return Oid(value) if value is not None else None

    def tags(self, stub: str) -> dict[str, Oid]:
        prefix = _tag_key(stub, "")
        return {
            key[len(prefix) :].decode(): Oid(value) for key, value in self._items(_TAGS, prefix)
        }

    def all_tags(self) -> Iterator[tuple[str, str, Oid]]:
        """Every tag: the stub, its name, and its snapshot."""
        for key, value in self._items(_TAGS):
            stub, _, tag = key.decode().partition("\0")
            yield stub, tag, Oid(value)

    def aliases(self) -> Iterator[tuple[Oid, Digest]]:
        """Every content whose digest is known, with it."""
        from zoostore.objects.aliases import ALGORITHM_CODES

        names = {code: name for name, code in ALGORITHM_CODES.items()}
        for key, value in self._items(_ALIASES):
            yield Oid(value), Digest(names[key[0]], key[1:])

    def alias(self, digest: Digest) -> Oid | None:
        """The oid of the content that is known to have this digest; it need not be here."""
        value = self._get(_ALIASES, _alias_key(digest))
        return Oid(value) if value is not None else None

    def named(self, algorithms: Collection[str]) -> Iterator[Oid]:
        """The contents whose digest by one of these algorithms is known."""
        from zoostore.objects.aliases import ALGORITHM_CODES

        for algorithm in algorithms:
            for _, value in self._items(_ALIASES, bytes([ALGORITHM_CODES[algorithm]])):
                yield Oid(value)

    def reflog_position(self) -> Position:
        value = self._get(_META, b"reflog") or _LENGTH.pack(0)
        return Position(_LENGTH.unpack_from(value)[0], value[_LENGTH.size :])

    def sweep_mark(self) -> bytes:
        """Changes whenever objects are taken away, or the index is made anew."""
        return self._get(_META, b"swept") or b""

    def is_current_version(self) -> bool:
        return self._get(_META, b"version") == _VERSION


class Writer(Reader):
    """The index within a write transaction, of which there is one at a time anywhere."""

    def _put(self, table: bytes, key: bytes, value: bytes) -> None:
        self._txn.put(table + key, _sealed(table + key, value))

    def set_locations(self, located: Iterable[tuple[Oid, Location]]) -> None:
        """Record where objects are. In rising order of oid it is fastest."""
        for oid, location in located:
            self._put(_OBJECTS, oid, _OBJECT.pack(*location))

    def forget_object(self, oid: Oid) -> None:
        self._txn.delete(_OBJECTS + oid)

    def forget_stamps(self) -> None:
        """Know where everything is, and of nothing that it is intact."""
        loose = [(oid, place) for oid, place in self.locations() if place.is_loose]
        self.set_locations((oid, place.distrusted()) for oid, place in loose)
        for record in self.packs().values():
            self.add_pack(record.distrusted())

    def add_pack(self, record: PackRecord) -> int:
        """Give a pack its number, which follows from its name: an index made anew has the same."""
        number = self._number_of(record.name)
        self._put(_PACKS, _NUMBER.pack(number), _PACK.pack(*record))
        return number

    def index_pack(self, record: PackRecord, rows: Iterable[PackedRow]) -> None:
        """Record a pack, and that all its objects are there.

        Args:
            rows: in rising order of oid it is fastest.
        """
        self.add_pack(record)
        self.index_rows(record, rows)
        self.end_pack(record.name)

    def begin_pack(self, record: PackRecord) -> None:
        """Record a pack of which not all is indexed before `end_pack`: in transactions of theirs.

        Whoever is killed in between leaves it to the next to index the pack from its beginning.
        """
        self.add_pack(record)
        self._put(_META, _ARRIVING + record.name, b"")

    def index_rows(self, record: PackRecord, rows: Iterable[PackedRow]) -> None:
        """Record that some objects are in a pack that is known."""
        number = self._number_of(record.name)
        with self._txn.cursor() as cursor:
            cursor.putmulti(_items_of_pack(number, rows))

    def end_pack(self, name: Oid) -> None:
        """Record that all that is in a pack is indexed by now."""
        self._txn.delete(_META + _ARRIVING + name)

    def forget_pack(self, number: int) -> set[Oid]:
        """Forget a pack and every object in it; those objects."""
        lost = {oid for oid, location in self.locations() if location.pack == number}
        for oid in lost:
            self.forget_object(oid)
        self._txn.delete(_PACKS + _NUMBER.pack(number))
        return lost

    def set_ref(self, stub: str, record: RefRecord) -> None:
        self._put(_REFS, stub.encode(), _REF.pack(*record))

    def delete_ref(self, stub: str) -> None:
        self._txn.delete(_REFS + stub.encode())

    def set_tag(self, stub: str, tag: str, snapshot: Oid) -> None:
        self._put(_TAGS, _tag_key(stub, tag), snapshot)

    def delete_tags(self, stub: str) -> None:
        for tag in self.tags(stub):
            self._txn.delete(_TAGS + _tag_key(stub, tag))

    def delete_tag(self, stub: str, tag: str) -> None:
        self._txn.delete(_TAGS + _tag_key(stub, tag))

    def set_aliases(self, aliases: Iterable[tuple[Oid, Digest]]) -> None:
        for oid, digest in aliases:
            self._put(_ALIASES, _alias_key(digest), oid)

    def forget_pack_record(self, number: int) -> None:
        """Forget a pack, and nothing of what the index believes to be in it."""
        self._txn.delete(_PACKS + _NUMBER.pack(number))

    def forget_aliases(self, oids: Collection[Oid]) -> None:
        """Forget what these contents are called elsewhere."""
        dead = [key for key, value in self._items(_ALIASES) if value in oids]
        for key in dead:
            self._txn.delete(_ALIASES + key)

    def mark_swept(self) -> None:
        """Let those notice who found something earlier, and rely on it."""
        self._put(_META, b"swept", os.urandom(_SWEEP_MARK_BYTES))

    def set_reflog_position(self, position: Position) -> None:
        self._put(_META, b"reflog", _LENGTH.pack(position.length) + position.last_line)
        self._put(_META, b"version", _VERSION)

    def clear(self) -> None:
        """Forget everything."""
        with self._txn.cursor() as cursor:
            while cursor.first():
                cursor.delete()


def _items_of_pack(number: int, rows: Iterable[PackedRow]) -> Iterator[tuple[bytes, bytes]]:
    for oid, kind, encoding, offset, stored, size in rows:
        key = _OBJECTS + oid
        yield key, _sealed(key, _OBJECT.pack(kind, encoding, number, offset, stored, size, 0, 0))


def _sealed(key: bytes, value: bytes) -> bytes:
    return value + zlib.crc32(key + value).to_bytes(_CRC_BYTES, "big")


def _unsealed(key: bytes, sealed: bytes) -> bytes:
    value = sealed[:-_CRC_BYTES]
    if zlib.crc32(value, zlib.crc32(key)) != int.from_bytes(sealed[-_CRC_BYTES:], "big"):
        raise IndexDamaged("An entry of the index does not carry its own checksum.")
    return value


def _tag_key(stub: str, tag: str) -> bytes:
    return f"{stub}\0{tag}".encode()


def _alias_key(digest: Digest) -> bytes:
    # Imported here: to list models must start fast.
    from zoostore.objects.aliases import ALGORITHM_CODES

    return bytes([ALGORITHM_CODES[digest.algorithm]]) + digest.value


def _decode_location(value: bytes) -> Location:
    values = _OBJECT.unpack(value)
    return tuple.__new__(Location, (_KINDS[values[0]], *values[1:]))  # of very many


_KINDS: dict[int, ObjectKind] = {int(kind): kind for kind in ObjectKind}


def _decode_pack(value: bytes) -> PackRecord:
    name, *rest = _PACK.unpack(value)
    return PackRecord(Oid(name), *rest)


def _decode_ref(value: bytes) -> RefRecord:
    snapshot, *rest = _REF.unpack(value)
    return RefRecord(Oid(snapshot), *rest)


class Index:
    """An LMDB environment. Get one with `open_index`.

    Raises:
        IndexDamaged: the index cannot be read, or there is none and none can be made.
        OSError: the disk is full.
    """

    def __init__(self, folder: Path, *, read_only: bool, map_bytes: int) -> None:
        self.folder = folder
        self.read_only = read_only
        self._lock = threading.RLock()
        if read_only and not _data_size(folder):
            raise IndexDamaged(f"There is no index in {folder}.")
        self._map_bytes = map_bytes
        self._environment = self._open()

    def _open(self) -> lmdb.Environment:
        is_new = not self.read_only and not _data_size(self.folder)
        if not self.read_only:
            _reserve_lock_file(self.folder)
        self._environment = lmdb.open(
            os.fspath(self.folder),
            map_size=max(self._map_bytes, _data_size(self.folder)),
            readonly=self.read_only,
            # A store that nobody here may write to must not need a lock file either.
            lock=not self.read_only,
            # What a power cut undoes here is read again from the reflog and the packs.
            metasync=False,
            readahead=False,
        )
        if is_new:
            for name in ("lock.mdb", "data.mdb"):
                share(self.folder / name)
        try:
            self._check_length()
            if not self.read_only:
                self._environment.reader_check()
        except BaseException:
            self._environment.close()
            raise
        return self._environment

    def allow_writing(self) -> None:
        """Open it anew, to be written to: a process has one environment for a folder.

        Raises:
            IndexDamaged: the index cannot be read.
        """
        with self._lock, _errors_named(self.folder):
            self._environment.close()
            self.read_only = False
            self._environment = self._open()

    def _check_length(self) -> None:
        """Refuse a file that is shorter than its own header says: to read it would be a crash."""
        pages = self._environment.info()["last_pgno"] + 1
        expected = pages * self._environment.stat()["psize"]
        size = _data_size(self.folder)
        if size < expected and self._environment.info()["last_txnid"] > 0:
            raise IndexDamaged(
                f"The index in {self.folder} is cut short: {size} bytes of {expected}."
            )

    def close(self) -> None:
        """Let go of the environment. In a forked child no lock can be waited for."""
        self._environment.close()

    def view(self, read: Callable[[Reader], T]) -> T:
        """What `read` makes of the index as it is now; it must not keep the reader.

        Raises:
            IndexDamaged: the index cannot be read.
        """
        with self._lock:
            try:
                return self._view(read)
            except lmdb.MapResizedError:
                self._environment.set_mapsize(0)
                return self._view(read)

    def _view(self, read: Callable[[Reader], T]) -> T:
        try:
            with self._environment.begin() as txn:
                return read(Reader(txn))
        except lmdb.MapResizedError:
            raise
        except (lmdb.Error, struct.error) as error:
            raise _named(error, self.folder) from error

    def update(self, change: Callable[[Writer], T]) -> T:
        """What `change` returns, after all it wrote has been committed, or nothing of it.

        `change` may be called again from the start, when the map had to grow.

        Raises:
            IndexDamaged: the index cannot be read.
        """
        with self._lock, _errors_named(self.folder):
            while True:
                try:
                    with self._environment.begin(write=True) as txn:
                        result = change(Writer(txn))
                    break
                except lmdb.MapResizedError:
                    self._environment.set_mapsize(0)
                except lmdb.MapFullError:
                    self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            self._extend_file()
            record_stamp(self.folder)
            return result

    def make_durable(self) -> None:
        """Wait until a power cut can take back nothing that was committed."""
        with _errors_named(self.folder):
            self._environment.sync(True)

    def _extend_file(self) -> None:
        """Pages freed within a transaction are never written; keep `_check_length` true."""
        pages = self._environment.info()["last_pgno"] + 1
        expected = pages * self._environment.stat()["psize"]
        if _data_size(self.folder) < expected:
            os.truncate(self.folder / "data.mdb", expected)


def _reserve_lock_file(folder: Path) -> None:
    """Give LMDB's lock file its blocks: where the disk is full, to write to its map is a crash."""
    descriptor = os.open(folder / "lock.mdb", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        missing = os.fstat(descriptor).st_blocks * _BLOCK < _LOCK_FILE_BYTES
        if missing and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, _LOCK_FILE_BYTES)
    finally:
        os.close(descriptor)


def _data_size(folder: Path) -> int:
    try:
        return os.stat(folder / "data.mdb").st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _errors_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (lmdb.Error, struct.error) as error:
        raise _named(error, folder) from error


def _named(error: Exception, folder: Path) -> Exception:
    """What one of LMDB's errors means."""
    if isinstance(error, _DAMAGE):
        return IndexDamaged(f"The index in {folder} is damaged: {error}.")
    code = _system_error(error, folder)
    return error if code is None else OSError(code, os.strerror(code), str(folder))


def _system_error(error: Exception, folder: Path) -> int | None:
    """The number of the system's error behind one of LMDB's, if there is one."""
    if isinstance(error, lmdb.DiskError):
        return errno.ENOSPC
    code = getattr(error, "code", 0)
    if code == errno.EIO and hasattr(os, "statvfs"):
        # A write that was cut short, for want of space as a rule, is an I/O error to LMDB.
        free = os.statvfs(folder)
        return errno.ENOSPC if free.f_bavail * free.f_frsize < _LITTLE_SPACE_BYTES else code
    return code if code > 0 else None


_open: weakref.WeakValueDictionary[tuple[int, int], Index] = weakref.WeakValueDictionary()
_open_lock = threading.Lock()


def open_index(
    folder: Path, *, read_only: bool = False, map_bytes: int = _FIRST_MAP_BYTES
) -> Index:
    """The process's one environment for this folder, opened if it was not yet.

    Raises:
        IndexDamaged: the index cannot be read.
    """
    with _open_lock:
        index = _open.get(_data_identity(folder))
        if index is None:
            _close_deleted(folder)
            _close_in_forked_children()
            _require_local(folder)
            if not read_only:
                make_folder(folder)
            if not is_trustworthy(folder, read_only=read_only):
                raise IndexDamaged(f"The index in {folder} was changed by something else.")
            with _errors_named(folder):
                index = Index(folder, read_only=read_only, map_bytes=map_bytes)
            _open[_data_identity(folder)] = index
        elif index.read_only and not read_only:
            index.allow_writing()
        return index


def _require_local(folder: Path) -> None:
    """Refuse a folder where LMDB would not be safe: its memory is not shared over a network.

    Raises:
        NetworkFileSystem: the folder is on a network file system.
    """
    kind = kind_of_file_system(folder)
    if kind in NETWORK:
        raise NetworkFileSystem(
            f"The index cannot be in {folder}: that is on a file system of a network ({kind}), "
            "where it would not be safe. Nothing was done.",
            path=str(folder),
            file_system=kind,
        )


def _data_identity(folder: Path) -> tuple[int, int]:
    try:
        status = os.stat(folder / "data.mdb")
    except FileNotFoundError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _close_deleted(folder: Path) -> None:
    """Let go of an environment whose files were deleted under it, so that new ones can be made."""
    for identity, index in list(_open.items()):
        if index.folder == folder:
            index.close()
            del _open[identity]


@functools.cache
def _close_in_forked_children() -> None:
    """LMDB must not be used across a fork: the child opens its own environment."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    global _open_lock
    _open_lock = threading.Lock()
    for index in list(_open.values()):
        index.close()
    _open.clear()
