"""Batches: new objects, written aside, made durable together, and only then indexed.

Large objects become files of their own, small ones, trees and snapshots go into one
pack. Nothing of a batch can be seen before it is published, so that leaving it on an
error leaves nothing behind.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from zoostore.digest import OID_BYTES, Digest, HashingWriter, Oid, hash_bytes, hash_descriptor
from zoostore.errors import SweptAway, WrongContent
from zoostore.files.reading import changed, check_stamp, open_regular
from zoostore.files.sharing import make_folder
from zoostore.files.spool import Spool
from zoostore.files.staging import fsync_directory, make_durable, publish
from zoostore.files.stamp import Stamp
from zoostore.groups import batched
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import Location, ObjectKind, PackedRow, PackRecord, RefChange

# What writes is imported where something is to be written: most often all is here already.
if TYPE_CHECKING:
    from zoostore.store.apart import Apart
    from zoostore.store.packs import PackWriter, Rows

_MANY = 110_000
_MANY_FILES = 1 << 13
_INDEXED_TOGETHER = 1 << 11
_RELIED_TOGETHER = 1 << 12

Advance = Callable[[int], None]
"""Is told how many more bytes have been worked through."""


class Added(NamedTuple):
    """An object after it was given to a batch; `is_new` if the store did not have it."""

    oid: Oid
    size: int
    is_new: bool


class Staged(NamedTuple):
    """A file that waits for its name; `is_shared` if it is a hard link to somebody's file."""

    path: Path
    is_shared: bool = False


class _Arrivals(NamedTuple):
    """Objects that are published and not yet indexed."""

    loose: dict[Oid, Location]
    packs: list[tuple[PackRecord, "Rows"]]
    aliases: set[tuple[Oid, Digest]]

    def require_there(self, layout: Layout) -> None:
        """See that their files are under their names.

        Raises:
            SweptAway: gc has removed one, taking it for what had the same name before.
        """
        packs = [layout.pack(record.name) for record, _ in self.packs]
        if not (all(map(layout.has_loose, self.loose)) and all(path.exists() for path in packs)):
            raise _swept_away(layout)

    def index_many_into(self, names: Names) -> None:
        """Index packs of very many objects bit by bit: a transaction is in memory as a whole.

        Raises:
            SweptAway: one of them is gone.
        """
        for record, rows in self.packs:
            if len(rows) < _INDEXED_TOGETHER:
                continue
            names.update(lambda index, record=record: index.begin_pack(record))  # type: ignore[misc]
            for some in batched(rows.raw(), _INDEXED_TOGETHER):

                def index_some(
                    index: Writer, record: PackRecord = record, some: list[PackedRow] = some
                ) -> None:
                    if index.pack_named(record.name) is None:
                        raise _swept_away(names.layout)
                    index.index_rows(record, some)

                names.update(index_some)

    def index_into(self, index: Writer) -> None:
        """Index all the rest."""
        index.set_locations(sorted(self.loose.items()))
        for record, rows in self.packs:
            if len(rows) < _INDEXED_TOGETHER:
                index.index_pack(record, rows.raw())
            else:
                index.end_pack(record.name)
        index.set_aliases(self.aliases)


def _swept_away(layout: Layout) -> SweptAway:
    return SweptAway(
        f"Objects that were just stored in {layout.root} were removed by another process; "
        "nothing was recorded."
    )


class _PackInProgress(NamedTuple):
    path: Path
    file: BinaryIO
    writer: "PackWriter"


class Batch:
    """New objects for a store. Use as a context, and `publish` or `commit` at its end.

    Args:
        since: the store's sweep mark before anything was looked for that is relied on.

    Attributes:
        new_objects: how many blobs, trees and snapshots the store did not have.
        new_bytes: their size.
        staging: the folder for what is not yet published.
        large_object: blobs of at least this many bytes become files of their own.
        threads: how many files to read at a time; None: as suits the disk.
    """

    def __init__(self, store: ObjectStore, since: bytes | None = None) -> None:
        self._store = store
        self._since = store.sweep_mark() if since is None else since
        self.staging = store.staging()
        self._relied = Spool(self.staging.unnamed_file)  # one oid after the other
        self.large_object = store.large_object
        self.threads = store.threads
        self._staged: dict[Oid, Staged] = {}
        self._aliases: dict[str, set[tuple[Oid, Digest]]] = {}
        self._arrivals = _Arrivals({}, [], set())
        self._pack: _PackInProgress | None = None
        self._apart: Apart | None = None
        self._packed: set[Oid] = set()  # what is in its pack, or in the worker's
        self.new_objects = 0
        self.new_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._apart is not None:
            self._apart.close()
        self._drop_pack()
        self._relied.close()
        self.staging.close()

    # Taking objects in

    @property
    def is_full(self) -> bool:
        """Whether so many objects wait that they should be published before others come."""
        return len(self._packed) >= _MANY or len(self._staged) >= _MANY_FILES

    def has(self, oid: Oid) -> bool:
        """Whether the object is here or on its way. What is here is relied on from now on."""
        if oid in self._packed or oid in self._staged or oid in self._arrivals.loose:
            return True
        if not self._store.has(oid):
            return False
        self._relied.append(oid)
        return True

    def rely_on(self, oids: Iterable[bytes]) -> None:
        """Have `commit` see to it that these objects, which were found here, still are."""
        for some in batched(oids, _RELIED_TOGETHER):
            self._relied.append(b"".join(some))

    def put(self, oid: Oid, kind: ObjectKind, data: bytes) -> bool:
        """Take in a small object whose oid was computed from these bytes; whether it is new."""
        if self.has(oid):
            return False
        self._pack_up(kind, [(oid, data)])
        self._packed.add(oid)
        self._count(len(data))
        return True

    def add_file(
        self, path: Path, expect: Stamp, advance: Advance, known: Oid | None = None
    ) -> Added:
        """Take in a file's content as a blob.

        Args:
            expect: the file's stamp when it was found.
            known: what `hash_file` said of it, if it is large and that was done already.

        Raises:
            FileChanged: it is not that file any more, or it changed while it was read.
            UnreadableFile: it cannot be opened.
        """
        with open_regular(path) as file:
            check_stamp(path, file, expect)
            if expect.size < self.large_object:
                added = self._add_small(file)
            else:
                added = self._add_large(path, file, known or hash_descriptor(file.fileno())[0])
            check_stamp(path, file, expect)
        if added.size != expect.size:
            raise changed(path)
        advance(added.size)
        return added

    def put_all(self, kind: ObjectKind, objects: Iterable[tuple[Oid, bytes]]) -> set[Oid]:
        """Take in small objects of one kind whose oids were computed from these bytes.

        Returns:
            Those that are new.
        """
        contents = dict(objects)
        new = self._new_among({oid: len(data) for oid, data in contents.items()})
        self._pack_up(kind, [each for each in contents.items() if each[0] in new])
        return new

    def pack_apart(self, root: Path) -> "Apart | None":
        """A worker that reads small files below a folder, for this batch; it ends with it.

        None where there can be none, or there is one.
        """
        from zoostore.store.apart import Apart

        if self._apart is not None:
            return None
        self._apart = Apart.begin(root, self.staging.new_path())
        return self._apart

    def put_apart(self, apart: "Apart", sizes: Sequence[int]) -> list[Oid]:
        """Take in blobs that a worker has read; their oids.

        Args:
            sizes: of the files that it was given longest ago.

        Raises: what `read_together` raises.
        """
        oids = apart.oids()
        new = self._new_among(dict(zip(oids, sizes, strict=True)))
        keep = []
        for oid in oids:
            keep.append(oid in new)
            new.discard(oid)  # it may be there twice
        apart.keep(keep)
        return oids

    def _new_among(self, sizes: Mapping[Oid, int]) -> set[Oid]:
        """Which of some small objects are to be packed. They count as on their way from now on."""
        unknown = sizes.keys() - self._packed - self._staged.keys() - self._arrivals.loose.keys()
        # Small objects are in packs: to look for a file of each would take as long as to store it.
        here = self._store.those_here(unknown, unindexed=False)
        self.rely_on(here)
        new = unknown - here.keys()
        self._packed |= new
        self.new_objects += len(new)
        self.new_bytes += sum(sizes[oid] for oid in new)
        return new

    def receive(self, oid: Oid, size: int, chunks: Iterable[bytes], advance: Advance) -> None:
        """Take in a blob that arrives in pieces.

        Raises:
            WrongContent: what arrives is not of this size, or not of this oid.
        """
        if size < self.large_object:
            data = b"".join(_at_most(chunks, size, oid, advance))
            _check_received(oid, size, hash_bytes(data), len(data))
            self.put(oid, ObjectKind.BLOB, data)
            return
        with self.staging.new_file() as (file, staged):
            out = HashingWriter(file, expect_size=size)
            for chunk in _at_most(chunks, size, oid, advance):
                out.write(chunk)
            _check_received(oid, size, out.oid(), out.size)
            file.flush()
        if self.has(oid):
            staged.unlink()
        else:
            self.stage(oid, Staged(staged), size)

    def take_bytes(self, oid: Oid, data: bytes) -> None:
        """Take in a blob whose oid was computed from these bytes."""
        if len(data) < self.large_object:
            self.put(oid, ObjectKind.BLOB, data)
        elif not self.has(oid):
            with self.staging.new_file() as (file, staged):
                file.write(data)
            self.stage(oid, Staged(staged), len(data))

    def take_file(self, oid: Oid, path: Path, size: int) -> None:
        """Take in a file of the store's own, on its file system, whose oid was computed from it."""
        if size < self.large_object:
            self.take_bytes(oid, path.read_bytes())
        elif not self.has(oid):
            staged = self.staging.new_path()
            os.replace(path, staged)
            self.stage(oid, Staged(staged), size)
            return
        path.unlink()

    def note_aliases(self, origin: str, digests: Mapping[Oid, Iterable[Digest]]) -> None:
        """Remember what contents are called elsewhere.

        Args:
            origin: who calls them so.
            digests: computed from the contents that have these oids. What is known is left out.
        """
        from zoostore.objects.aliases import ALGORITHM_CODES

        given = {(oid, digest) for oid, known in digests.items() for digest in known}
        wanted = {(oid, digest) for oid, digest in given if digest.algorithm in ALGORITHM_CODES}
        new = self._store.names.view(
            lambda index: {(oid, digest) for oid, digest in wanted if index.alias(digest) != oid}
        )
        if new:
            self._aliases.setdefault(origin, set()).update(new)

    def _add_small(self, file: BinaryIO) -> Added:
        data = file.read(self.large_object)
        oid = hash_bytes(data)
        return Added(oid, len(data), self.put(oid, ObjectKind.BLOB, data))

    def _add_large(self, path: Path, file: BinaryIO, oid: Oid) -> Added:
        size = os.fstat(file.fileno()).st_size
        if self.has(oid):
            return Added(oid, size, is_new=False)
        from zoostore.files.copying import copy_aside

        staged, copied = copy_aside(path, file, self.staging)
        if copied != oid:
            staged.unlink()
            raise changed(path)
        self.stage(oid, Staged(staged), size)
        return Added(oid, size, is_new=True)

    def stage(self, oid: Oid, staged: Staged, size: int) -> None:
        """Take in a large blob that stands in the batch's own folder already."""
        self._staged[oid] = staged
        self._count(size)

    def _count(self, size: int) -> None:
        self.new_objects += 1
        self.new_bytes += size

    def _open_pack(self) -> _PackInProgress:
        if self._pack is None:
            from zoostore.files.steady import create_steadily
            from zoostore.store.packs import PackWriter

            path = self.staging.new_path()
            file = create_steadily(path)
            self._pack = _PackInProgress(path, file, PackWriter(file))
        return self._pack

    def _pack_up(self, kind: ObjectKind, objects: Sequence[tuple[Oid, bytes]]) -> None:
        """Write objects to the pack, which a write that fails leaves in a state nobody knows."""
        if not objects:
            return
        pack = self._open_pack()
        try:
            pack.writer.add_all(kind, objects)
        except BaseException:
            self._drop_pack()
            raise

    def _drop_pack(self) -> None:
        pack, self._pack = self._pack, None
        self._packed.clear()
        if pack is not None:
            with contextlib.suppress(OSError):  # the disk is full: what is left is thrown away
                pack.file.close()

    # Publishing them

    def publish(self) -> None:
        """Make what came in durable and part of the store, whatever becomes of the rest.

        What that fails for is gone: nothing is flushed twice, for where a flush has failed once,
        the next says that all is well.

        Raises:
            SweptAway: gc has removed what came in, taking it for what had the same name before.
        """
        self._make_durable()
        self._arrivals.index_many_into(self._store.names)
        self._store.names.update(self._index_arrivals)
        # A name will lead to them, and until then they are relied on.
        self.rely_on(self._arrivals.loose)
        for _, rows in self._arrivals.packs:
            self.rely_on(oid for oid, *_ in rows.raw())
        self._arrivals = _Arrivals({}, [], set())

    def commit(self, change: RefChange) -> None:
        """Publish, and move a ref to it: both, or in the eyes of any reader neither.

        Raises:
            Diverged: the ref is not what `change.old` says; the objects stay.
            SweptAway: something that was found here, or came in, is gone by now; the rest stays.
        """
        self._make_durable()
        self._arrivals.index_many_into(self._store.names)
        self._store.names.change(change, self._index_and_check)
        self._arrivals = _Arrivals({}, [], set())  # the name leads to them

    def _index_and_check(self, index: Writer) -> None:
        self._index_arrivals(index)
        if index.sweep_mark() != self._since:
            from zoostore.store.sweeping import require_kept

            data = self._relied.view()
            oids = (Oid(data[at : at + OID_BYTES]) for at in range(0, len(data), OID_BYTES))
            relied = (oid for oid in oids if not self._store.lent(oid))
            require_kept(index, self._store.layout, relied)

    def _index_arrivals(self, index: Writer) -> None:
        if index.sweep_mark() != self._since:
            self._arrivals.require_there(self._store.layout)
        self._arrivals.index_into(index)

    def _make_durable(self) -> None:
        loose: dict[Oid, Location] = {}
        folders: set[Path] = set()
        while self._staged:
            oid, staged = self._staged.popitem()
            loose[oid] = self._publish_loose(oid, staged, folders)
        aliases = self._pack_aliases()
        packs = self._publish_packs()
        for folder in folders:
            fsync_directory(folder)
        self._arrivals.loose.update(loose)
        self._arrivals.packs.extend(packs)
        self._arrivals.aliases.update(aliases)

    def _pack_aliases(self) -> set[tuple[Oid, Digest]]:
        waiting, self._aliases = self._aliases, {}
        if not waiting:
            return set()
        from zoostore.objects.aliases import Aliases, aliases_oid, encode_aliases

        for origin, known in sorted(waiting.items()):
            data = encode_aliases(Aliases(origin, frozenset(known)))
            self._pack_up(ObjectKind.ALIASES, [(aliases_oid(data), data)])
        return set().union(*waiting.values())

    def _publish_loose(self, oid: Oid, staged: Staged, folders: set[Path]) -> Location:
        target = self._store.layout.loose(oid)
        if not target.parent.exists():
            make_folder(target.parent)
        # Whoever made the folder may have been killed before its name was durable.
        folders |= {target.parent, target.parent.parent}
        with open(staged.path, "rb") as file:
            status = publish(file, staged.path, target, keep_mode=staged.is_shared)
        return Location.loose(status)

    def _publish_packs(self) -> list[tuple[PackRecord, "Rows"]]:
        finished: list[tuple[Path, Oid, Rows]] = []
        self._packed.clear()
        pack, self._pack = self._pack, None
        if pack is not None:
            with pack.file as file:
                finished.append((pack.path, *pack.writer.finish()))
                make_durable(file)
        apart, self._apart = self._apart, None
        if apart is not None:
            with contextlib.closing(apart):
                finished += apart.finished()
        if not finished:
            return []
        published = [(self._name_pack(path, name), rows) for path, name, rows in finished]
        fsync_directory(self._store.layout.packs)
        return published

    def _name_pack(self, path: Path, name: Oid) -> PackRecord:
        target = self._store.layout.pack(name)
        make_folder(target.parent)
        os.replace(path, target)
        return PackRecord.of(name, os.stat(target))


def _at_most(chunks: Iterable[bytes], size: int, oid: Oid, advance: Advance) -> Iterable[bytes]:
    """The chunks, as long as they are no more than was promised."""
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise _wrong(oid, f"{size} bytes", "more")
        advance(len(chunk))
        yield chunk


def require_size(oid: Oid, size: int, got: int) -> None:
    """Refuse an object that came, and has another size than was promised. Raises `WrongContent`."""
    if got != size:
        raise _wrong(oid, f"{size} bytes", str(got))


def _check_received(oid: Oid, size: int, got: Oid, got_size: int) -> None:
    require_size(oid, size, got_size)
    if got != oid:
        raise _wrong(oid, "content of that id", f"content of the id {got}")


def _wrong(oid: Oid, expected: str, got: str) -> WrongContent:
    return WrongContent(
        f"The object {oid} did not arrive as promised: expected {expected}, got {got}. "
        "It was thrown away.",
        oid=str(oid),
    )
