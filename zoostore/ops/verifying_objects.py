"""Reading every object again, on several cores, and holding it against its names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from zoostore.digest import BLAKE3, Digest, DigestHasher, Oid, digest_descriptor, hash_descriptor
from zoostore.errors import MalformedObject, NewerFormat, ZooError
from zoostore.files.readers import Readers, Threads
from zoostore.groups import batched
from zoostore.objects.aliases import decode_aliases
from zoostore.objects.snapshot import decode_snapshot
from zoostore.objects.tree import decode_tree
from zoostore.ops.findings import Report
from zoostore.ops.oid_set import Key, OidSet
from zoostore.progress import Progress
from zoostore.store.causes import SAID, UNKNOWN
from zoostore.store.derive import aliases_in, loose_files, open_packs, pack_files
from zoostore.store.index import Reader, Writer
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, Rows, check_object, read_rows
from zoostore.store.records import Location, ObjectKind, Packed, PackRecord

_NOTED_AT_A_TIME = 1024
_ROWS_TOGETHER = 256

Aliases = Mapping[Oid, set[Digest]]
Learned = Callable[[Writer], None]
"""Has the index know something, if what it knew before is what it still knows."""


@dataclass
class _Objects:
    store: ObjectStore
    only: OidSet | None
    aliases: Aliases
    report: Report
    progress: Progress
    readers: Readers
    share: int
    large: list[tuple[Oid, Path]] = field(default_factory=list)

    def is_wanted(self, oid: Oid) -> bool:
        return self.only is None or oid in self.only

    def advance(self, count: int) -> None:
        self.readers.go_on()
        self.progress.advance(count)


def verify_objects(
    store: ObjectStore,
    only: OidSet | None,
    total: int,
    threads: Threads,
    report: Report,
    progress: Progress,
) -> Aliases:
    """Hash every object in every place it stands in.

    Args:
        only: read these alone; None: all.
        total: about how many bytes that is.
        threads: that read them.

    Returns:
        What the tables of aliases say.
    """
    aliases = read_aliases(store)
    with Readers(threads.files) as readers:
        share = threads.share(total)
        objects = _Objects(store, only, aliases, report, progress, readers, share)
        ahead = (done() for _, done in readers.ahead(_work(objects)))
        by_all = (_verify_loose(objects, oid, path, threads.hashing) for oid, path in objects.large)
        _note(store, filter(None, itertools.chain(ahead, by_all)))
    return aliases


def bytes_to_read(store: ObjectStore, only: OidSet | None) -> int:
    """About how many bytes there are in the objects that are read; None: in all."""
    if only is not None:
        return size_of(store, only)
    packed = sum(_stored_in(pack) for _, pack in open_packs(store.layout))
    return packed + sum(_size_of(entry) for _, entry in loose_files(store.layout))


def size_of(store: ObjectStore, beginnings: Iterable[Key]) -> int:
    """The size in bytes of the objects whose ids begin so, as far as the index knows them."""

    def sizes(index: Reader, some: list[Key]) -> int:
        found = (next(index.locations(beginning), None) for beginning in some)
        return sum(known[1].size for known in found if known is not None)

    some_at_a_time = batched(beginnings, _NOTED_AT_A_TIME)
    return sum(store.names.view(partial(sizes, some=some)) for some in some_at_a_time)


def _stored_in(pack: PackReader) -> int:
    try:
        return pack.stored_bytes()
    except MalformedObject:
        return pack.status().st_size


def _size_of(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # gc has just taken it away


def _note(store: ObjectStore, learned: Iterator[Learned]) -> None:
    """Have the index know the stamps of what was found intact, where it did not."""
    can_be_noted = not (store.names.read_only or store.names.index_is_read_only)
    for some in batched(learned, _NOTED_AT_A_TIME):
        if can_be_noted:
            store.names.update(lambda index, some=some: [learn(index) for learn in some])  # type: ignore[misc]


def read_aliases(store: ObjectStore) -> Aliases:
    """What all intact tables of aliases say: the digests of each content."""
    found: dict[Oid, set[Digest]] = {}
    for _, pack in open_packs(store.layout):
        for table in aliases_in(pack, read_rows(pack).raw()):
            for oid, digest in table.known:
                found.setdefault(oid, set()).add(digest)
    return found


def _work(objects: _Objects) -> Iterator[tuple[Path, Callable[[], Learned | None]]]:
    """What is to be done, by the file that is read; large ones are put off."""
    for oid, entry in loose_files(objects.store.layout):
        if not objects.is_wanted(oid):
            continue
        path = Path(entry.path)
        if _size_of(entry) >= objects.share:
            objects.large.append((oid, path))
        else:
            yield path, partial(_verify_loose, objects, oid, path, 1)
    for name, path in pack_files(objects.store.layout):
        yield path, partial(_verify_pack, objects, name, path)


def _verify_loose(objects: _Objects, oid: Oid, path: Path, threads: int) -> Learned | None:
    report = objects.report
    named = objects.aliases.get(oid, set())
    algorithms = {digest.algorithm for digest in named}
    known = objects.store.location(oid)
    try:
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())  # before: what is written meanwhile shows
            digests = digest_descriptor(
                file.fileno(), algorithms, threads=threads, advance=objects.advance
            )
    except FileNotFoundError:
        return None  # gc has just taken it away
    except OSError as error:
        report.damage(str(oid), f"{path} cannot be read: {error.strerror}")
        with report.lock:
            report.loose.add(oid)
        return None
    got = Oid(digests[BLAKE3].value)
    if got == oid:
        report.count(oid, status.st_size)
        _check_aliases(oid, named, digests, report)
        return _learned_of(oid, known, status)
    cause = known.cause(status) if known is not None and known.is_loose else UNKNOWN
    names = f", which has {status.st_nlink - 1} other names," if status.st_nlink > 1 else ""
    reason = f"the {status.st_size} bytes of {path}{names} have the id {got}; {SAID[cause]}"
    report.damage(str(oid), reason, cause)
    with report.lock:
        report.loose.add(oid)
    return None


def _learned_of(oid: Oid, known: Location | None, status: os.stat_result) -> Learned | None:
    """What an intact file tells of itself that the index does not know."""
    if known is None or not known.is_loose or known.is_of(status):
        return None

    def learn(index: Writer) -> None:
        if index.location(oid) == known:
            index.set_locations([(oid, Location.loose(status))])

    return learn


def _check_aliases(
    oid: Oid, named: set[Digest], digests: Mapping[str, Digest], report: Report
) -> None:
    for digest in named:
        got = digests.get(digest.algorithm)
        if got != digest:
            report.damage(str(digest), f"a table of aliases says that {oid} has it; it has {got}")
            with report.lock:
                report.wrong_aliases.add((oid, digest))


def _verify_pack(objects: _Objects, name: Oid, path: Path) -> Learned | None:
    try:
        with PackReader(path) as pack:
            return _Pack(objects, name, pack).verify()
    except FileNotFoundError:
        return None  # gc has just packed anew what was in it
    except OSError as error:
        objects.report.damage(str(path), f"it cannot be read: {error.strerror}")
        return None


class _Pack:
    """One pack, being read again."""

    def __init__(self, objects: _Objects, name: Oid, pack: PackReader) -> None:
        self._objects = objects
        self._report = objects.report
        self._name = name
        self._pack = pack
        number, record = objects.store.names.view(
            lambda index: (index.pack_number(name), index.pack_named(name))
        )
        self._number: int | None = number
        self._record: PackRecord | None = record

    def verify(self) -> Learned | None:
        status = self._pack.status()  # before: what is written meanwhile shows
        rows = self._read_whole()
        for some in batched(self._wanted(rows.in_place()), _ROWS_TOGETHER):
            self._verify_rows(some)
        for some in batched(self._wanted(rows), _ROWS_TOGETHER):
            self._check_index(some)
        return self._learned(status)

    def _wanted(self, rows: Iterable[Packed]) -> Iterator[Packed]:
        return (row for row in rows if self._objects.is_wanted(row.oid))

    def _learned(self, status: os.stat_result) -> Learned | None:
        known, seen = self._record, PackRecord.of(self._name, status)
        is_whole = self._objects.only is None and self._name not in self._report.packs
        if known is None or known == seen or not is_whole:
            return None

        def learn(index: Writer) -> None:
            if index.pack_named(seen.name) == known:
                index.add_pack(seen)

        return learn

    def _read_whole(self) -> Rows:
        """The rows. Where all is read, the file must be what its name says."""
        rows = None
        try:
            rows = self._pack.table()
            if self._objects.only is None:
                go_on = self._objects.readers.go_on
                got, _ = hash_descriptor(self._pack.fileno(), advance=go_on)
                if got != self._name:
                    raise MalformedObject(f"Its content has the id {got}, which is not its name.")
        except NewerFormat:
            raise  # that is no damage, and nothing may be done about it here
        except ZooError as error:
            cause = self._cause()
            self._report.damage(str(self._pack.path), f"{error.message} ({SAID[cause]})", cause)
            self._damage_pack()
        return read_rows(self._pack) if rows is None else rows

    def _cause(self) -> str:
        return self._record.cause(self._pack.status()) if self._record else UNKNOWN

    def _damage_pack(self) -> None:
        with self._report.lock:
            self._report.packs.add(self._name)

    def _verify_rows(self, rows: list[Packed]) -> None:
        contents = self._pack.read_together([(row.offset, row.stored) for row in rows])
        for row, data in zip(rows, contents, strict=True):
            self._verify_row(row, data)
        self._objects.advance(sum(row.stored for row in rows))

    def _verify_row(self, row: Packed, data: bytes) -> None:
        try:
            check_object(row.oid, row.kind, data, str(self._pack.path))
            _decode(row.kind, data)
        except ZooError as error:
            cause = self._cause()
            self._report.damage(str(row.oid), f"{error.message} ({SAID[cause]})", cause)
            self._damage_pack()
            return
        self._report.count(row.oid, row.size)
        named = self._objects.aliases.get(row.oid)
        if named and row.kind is ObjectKind.BLOB:
            hasher = DigestHasher({digest.algorithm for digest in named}, len(data))
            hasher.update(data)
            _check_aliases(row.oid, named, hasher.digests(), self._report)

    def _check_index(self, rows: list[Packed]) -> None:
        """What the index says is in this pack must stand where it says."""
        number = self._number
        if number is None or self._name in self._report.packs:
            return
        oids = [row.oid for row in rows]
        places = self._objects.store.names.view(lambda index: index.locations_of(oids))
        for row in rows:
            place = places.get(row.oid)
            if place is not None and place.pack == number:
                expected = Location.packed(number, row)
                if place != expected:
                    self._report.damage(
                        str(self._objects.store.layout.index),
                        f"it says that {row.oid} is somewhere else in {self._pack.path}",
                    )
                    self._report.index_is_wrong = True


def _decode(kind: ObjectKind, data: bytes) -> None:
    if kind is ObjectKind.TREE:
        decode_tree(data)
    elif kind is ObjectKind.SNAPSHOT:
        decode_snapshot(data)
    elif kind is ObjectKind.ALIASES:
        decode_aliases(data)
