"""A published zoo as a source: a directory of static files, on a disk or behind a web server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from zoostore.digest import Oid
from zoostore.errors import MalformedObject, TransferFailed, UnknownRevision, WrongContent
from zoostore.files.spool import Bytes, Spool, temporary_file
from zoostore.objects.snapshot import Snapshot, decode_snapshot
from zoostore.objects.tree import Entry, decode_tree
from zoostore.objects.walking import flatten, require_bounded, totals
from zoostore.sources.base import Known, Offer
from zoostore.sources.catalog import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Listed,
    Manifest,
    catalog_path,
    decode_catalog,
    decode_manifest,
    object_path,
    pack_path,
)
from zoostore.sources.remote_pack import RemotePack
from zoostore.store.records import ObjectKind
from zoostore.stubs import Stub, only_match
from zoostore.transport.base import NotThere, StaticFiles, read_whole
from zoostore.transport.wanted import Place

_TRIES = 3
_MIN_PREFIX = 4


class ZooSource:
    """A zoo that `publish` wrote.

    Args:
        name: what the user calls it.
        files: where its files are.
    """

    def __init__(self, name: str, files: StaticFiles) -> None:
        self.name = name
        self._files = files
        self._packs: dict[Oid, RemotePack] = {}

    def close(self) -> None:
        for pack in self._packs.values():
            pack.close()
        self._files.close()

    @property
    def needs_network(self) -> bool:
        return self._files.needs_network

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        return self._files.address

    @property
    def catalog(self) -> Mapping[str, Listed]:
        """Every model of the zoo, by stub. Raises what `resolve` raises."""
        return self._contents[1]

    @property
    def manifest(self) -> Manifest:
        """What the zoo says of itself. Raises what `resolve` raises."""
        return self._contents[0]

    @cached_property
    def _contents(self) -> tuple[Manifest, Mapping[str, Listed]]:
        for attempt in range(_TRIES):
            manifest = decode_manifest(
                read_whole(self._files, MANIFEST, MAX_MANIFEST_BYTES), self.address
            )
            try:
                path = catalog_path(manifest.catalog)
                data = read_whole(self._files, path, manifest.catalog_size)
                return manifest, decode_catalog(data, manifest, self.address)
            except NotThere:
                # Published anew between the two requests, more than once: look again.
                if attempt + 1 == _TRIES:
                    raise
        raise AssertionError("unreachable")

    def models(self) -> Iterator[Known]:
        for listed in self.catalog.values():
            yield Known(listed.stub, listed.snapshot, listed.files, listed.size, listed.tags)

    def locate(self, stub: Stub) -> tuple[str, Oid] | None:
        listed = self._listed(stub)
        return (listed.stub, self._revision(listed, stub.revision)) if listed else None

    def url_of(self, stub: str, oid: Oid) -> str | None:
        listed = self.catalog.get(stub)
        if listed is None:
            return None
        for name, size in listed.packs.items():
            if oid in self._pack(name, size).rows:
                return f"{self._files.url}/{pack_path(name)}#{oid}"
        return f"{self._files.url}/{object_path(oid)}"

    def resolve(self, stub: Stub) -> Offer | None:
        listed = self._listed(stub)
        if listed is None:
            return None
        oid = self._revision(listed, stub.revision)
        packs = [self._pack(name, size) for name, size in listed.packs.items()]
        snapshot = self._snapshot(oid, packs)
        read_tree = _TreeReader(packs, self.address).read
        require_bounded(read_tree, snapshot.tree)
        listing = flatten(read_tree, snapshot.tree)
        if totals(listing) != (snapshot.files, snapshot.size):
            raise MalformedObject(
                f"The snapshot {oid} of {self.address} does not have the files it says."
            )
        return Offer(listed.stub, oid, snapshot, listing, listed.tags)

    def packed(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        yield from self._blobs_in(list(self._packs.values()), wanted)

    def small_objects(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, ObjectKind, bytes]]:
        left = set(wanted)
        packs = {
            name: size for listed in self.catalog.values() for name, size in listed.packs.items()
        }
        for name, size in packs.items():
            if not left:
                return
            pack = self._pack(name, size)
            for row, data in pack.objects(left):
                left.discard(row.oid)
                yield row.oid, row.kind, data
            pack.close()

    def place_of(self, oid: Oid) -> Place | None:
        return self._files.place_of(object_path(oid))

    def files(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, Iterator[bytes]]]:
        is_there: dict[str, bool] = {}
        for oid in wanted if not self.needs_network else ():
            path = object_path(oid)
            folder = path.rpartition("/")[0]
            # Few are files: to look for each of very many takes longer than to read the rest.
            if folder not in is_there:
                is_there[folder] = self._files.has_folder(folder)
            if not is_there[folder]:
                continue
            try:
                with self._files.stream(path) as chunks:
                    yield oid, chunks
            except NotThere:
                continue

    def packed_elsewhere(self, wanted: Collection[Oid]) -> Iterator[tuple[Oid, bytes]]:
        yield from self._blobs_in(self._other_packs(), wanted)

    def _blobs_in(
        self, packs: Iterable[RemotePack], wanted: Collection[Oid]
    ) -> Iterator[tuple[Oid, bytes]]:
        for pack in packs:
            if not wanted:
                return
            for row, data in pack.objects(wanted):
                if row.kind is not ObjectKind.BLOB:
                    raise WrongContent(
                        f"{self.address} has {row.oid} as something else than the content of a "
                        "file. Nothing was taken from it.",
                        oid=str(row.oid),
                    )
                yield row.oid, data
            pack.close()

    def _other_packs(self) -> Iterator[RemotePack]:
        """The packs of all models that were not resolved."""
        for listed in self.catalog.values():
            for name, size in listed.packs.items():
                if name not in self._packs:
                    yield self._pack(name, size)

    def _pack(self, name: Oid, size: int) -> RemotePack:
        return self._packs.setdefault(name, RemotePack(self._files, name, size))

    def _listed(self, stub: Stub) -> Listed | None:
        listed = self.catalog.get(stub.name)
        if listed is None and stub.is_short:
            name = only_match(stub, self.catalog)
            listed = self.catalog[name] if name else None
        return listed

    def _revision(self, listed: Listed, revision: str) -> Oid:
        if not revision:
            return listed.snapshot
        if revision in listed.tags:
            return listed.tags[revision]
        if len(revision) >= _MIN_PREFIX:
            for oid in (listed.snapshot, *listed.tags.values()):
                if str(oid).startswith(revision):
                    return oid
        raise UnknownRevision(
            f"{listed.stub} has no tag or snapshot {revision!r} in {self.name}.",
            stub=listed.stub,
            revision=revision,
        )

    def _snapshot(self, oid: Oid, packs: list[RemotePack]) -> Snapshot:
        for pack in packs:
            for row, data in pack.objects([oid]):
                if row.kind is ObjectKind.SNAPSHOT:
                    return decode_snapshot(data)
        raise TransferFailed(f"The snapshot {oid} is not in the packs that {self.address} names.")


class _TreeReader:
    """Reads trees out of packs, all that a pack has at once, for they lie together."""

    def __init__(self, packs: list[RemotePack], address: str) -> None:
        self._packs = packs
        self._address = address
        self._trees: dict[Oid, tuple[Bytes, int, int]] = {}

    def read(self, oid: Oid) -> dict[str, Entry]:
        for pack in self._packs:
            if oid not in self._trees and oid in pack.rows:
                self._read_all(pack)
        if oid not in self._trees:
            raise TransferFailed(f"The tree {oid} is not in the packs that {self._address} names.")
        data, start, end = self._trees[oid]
        return decode_tree(data[start:end])

    def _read_all(self, pack: RemotePack) -> None:
        wanted = {row.oid for row in pack.rows if row.kind is ObjectKind.TREE}
        places: dict[Oid, tuple[int, int]] = {}
        with Spool(temporary_file) as spool:
            for row, data in pack.objects(wanted):
                decode_tree(data)  # which says what is wrong with it
                start = len(spool)
                spool.append(data)
                places[row.oid] = (start, len(spool))
            view = spool.view()
        self._trees |= {oid: (view, *place) for oid, place in places.items()}
