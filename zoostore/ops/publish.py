"""publish: write models as a zoo that any static web server can hold.

What is new comes first, the catalog next, and `zoo.json`, which points to it, last:
a reader sees the zoo as it was or as it will be. Nothing that is there is written again.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoostore.digest import OID_BYTES, Oid, hash_bytes
from zoostore.errors import DamagedContent, DirectoryNotEmpty
from zoostore.files.claim import claim
from zoostore.files.copying import copy_aside
from zoostore.files.sharing import make_folder
from zoostore.files.staging import Staging, fsync_directory, publish, replace_durably
from zoostore.groups import batched
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry
from zoostore.objects.walking import walk
from zoostore.ops.history import Found
from zoostore.ops.oid_map import OidMap
from zoostore.ops.oid_set import KEY_BYTES, Key, OidSet
from zoostore.progress import Progress
from zoostore.sources.catalog import (
    MANIFEST,
    Listed,
    Manifest,
    catalog_path,
    encode_catalog,
    encode_manifest,
    object_path,
    pack_path,
)
from zoostore.sources.zoo import ZooSource
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, PackWriter
from zoostore.store.records import ObjectKind
from zoostore.transport.directory import DirectoryFiles

_CLAIM = "zoo.lock"
_TMP = "tmp"

_PACKED_KINDS = (ObjectKind.BLOB, ObjectKind.TREE, ObjectKind.SNAPSHOT)
"""In the order in which they stand in a pack."""

_MOST_IN_PACK = 1 << 17
_LOOKED_UP_TOGETHER = 1000
_SIZE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Published:
    """What a publishing wrote.

    Attributes:
        directory: the zoo.
        models: the stubs that were published.
        new_objects, new_bytes: what the zoo did not have before.
        total_models: how many models it now has.
    """

    directory: Path
    models: tuple[str, ...]
    new_objects: int
    new_bytes: int
    total_models: int


class _Needed:
    """What one model needs. There may be very many: they are known by their bytes.

    Attributes:
        small: objects in packs, by kind.
        large: blobs, each with its size behind its oid.
    """

    def __init__(self) -> None:
        self.small = {kind: OidSet(OID_BYTES) for kind in _PACKED_KINDS}
        self.large = OidSet(OID_BYTES + _SIZE_BYTES)

    def sized(self) -> Iterator[tuple[Oid, int]]:
        """The large blobs, and their sizes in bytes."""
        return map(_split, self.large)


def publish_models(
    store: ObjectStore, models: Sequence[Found], directory: Path, name: str, progress: Progress
) -> Published:
    """Publish models, each with its tags, and keep what the zoo already lists.

    Args:
        models: the newest snapshot of each.
        name: what the zoo is called; empty: as it was, or as the directory.

    Raises:
        DirectoryNotEmpty: the directory holds other things than a zoo.
        StoreBusy: another process publishes there.
        DamagedContent: an object is missing or damaged; the zoo is as it was.
    """
    store.layout.require_apart(directory)
    _prepare(directory)
    with claim(directory / _CLAIM, str(directory)):
        zoo = _Zoo(store, directory)
        needed = {found.stub: _needs(store, found) for found in models}
        progress.begin("publishing", zoo.bytes_to_write(needed.values()))
        try:
            packs = zoo.write(needed.values(), progress)
            lines = {
                found.stub: _line(store, found, names)
                for found, names in zip(models, packs, strict=True)
            }
            total = zoo.list(lines, name)
        finally:
            zoo.close()
            progress.end()
    return Published(directory, tuple(lines), zoo.new_objects, zoo.new_bytes, total)


def _prepare(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise DirectoryNotEmpty(f"{directory} is a file; nothing was changed.", path=str(directory))
    ours = {MANIFEST, _CLAIM, _TMP, "objects", "packs", "catalog"}
    if directory.exists() and not (directory / MANIFEST).exists():
        # What a first publishing that was cut off left behind is no reason to refuse.
        others = {entry.name for entry in directory.iterdir()} - ours
        if others:
            raise DirectoryNotEmpty(
                f"{directory} holds other things ({min(others)!r}) and is no zoo; nothing was "
                "changed.",
                path=str(directory),
            )
    for folder in ("objects", "packs", "catalog"):
        make_folder(directory / folder)


def _needs(store: ObjectStore, found: Found) -> _Needed:
    needed = _Needed()
    for oid in {found.id, *store.names.tags(found.stub).values()}:
        snapshot: Snapshot = store.snapshot(oid)
        needed.small[ObjectKind.SNAPSHOT].add(oid)

        def read_tree(tree: Oid) -> dict[str, Entry]:
            needed.small[ObjectKind.TREE].add(tree)
            return store.tree(tree)

        files = (entry for _, entry in walk(read_tree, snapshot.tree) if entry.kind.is_file)
        for some in batched(files, _LOOKED_UP_TOGETHER):
            packed = store.packed({entry.oid for entry in some})
            for entry in some:
                if entry.oid in packed or store.loose_path(entry.oid) is None:
                    needed.small[ObjectKind.BLOB].add(entry.oid)
                else:
                    needed.large.add(entry.oid + entry.size.to_bytes(_SIZE_BYTES, "big"))
    return needed


def _split(sized: bytes) -> tuple[Oid, int]:
    """A large blob's oid and size, out of how they are kept."""
    return Oid(sized[:OID_BYTES]), int.from_bytes(sized[OID_BYTES:], "big")


def _line(store: ObjectStore, found: Found, packs: dict[Oid, int]) -> Listed:
    snapshot = found.snapshot
    tags = store.names.tags(found.stub)
    return Listed(found.stub, found.id, snapshot.files, snapshot.size, tags, packs)


class _Zoo:
    """A published directory, being added to."""

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._staging = Staging(directory / _TMP)
        self._listed: dict[str, Listed] = {}
        self._name = directory.absolute().name
        self._old_catalog: Oid | None = None
        if (directory / MANIFEST).exists():
            source = ZooSource(self._name, DirectoryFiles(directory))
            self._listed = dict(source.catalog)
            self._name = source.manifest.name
            self._old_catalog = source.manifest.catalog
        self._packs: dict[Oid, int] = {}
        for listed in self._listed.values():
            self._packs |= listed.packs
        self._names = list(self._packs)
        self._pack_of = OidMap(self._packed())
        self._pack_of_new: dict[Key, int] = {}
        self.new_objects = 0
        self.new_bytes = 0

    def close(self) -> None:
        self._staging.close()
        with contextlib.suppress(OSError):  # another publisher may have left something in it
            (self._directory / _TMP).rmdir()

    def _packed(self) -> Iterator[tuple[Oid, int]]:
        """All that its packs hold, with their numbers."""
        for number, name in enumerate(self._names):
            with PackReader(self._directory / pack_path(name)) as pack:
                yield from ((row.oid, number) for row in pack.table())

    def bytes_to_write(self, needed: Iterable[_Needed]) -> int:
        large = OidSet(OID_BYTES + _SIZE_BYTES)
        for model in needed:
            large.update(model.large)
        return sum(size for oid, size in map(_split, large) if not self._has_large(oid, size))

    def _has_large(self, oid: Oid, size: int) -> bool:
        try:
            return (self._directory / object_path(oid)).stat().st_size == size
        except FileNotFoundError:
            return False

    def write(self, needed: Collection[_Needed], progress: Progress) -> list[dict[Oid, int]]:
        """Write the objects that are not there yet, and make them durable.

        Returns:
            The packs that hold each model's small objects, with their sizes in bytes.
        """
        folders: set[Path] = set()
        packs: list[dict[Oid, int]] = []
        for model in needed:
            others_follow = len(packs) + 1 < len(needed)
            for oid, size in model.sized():
                if not self._has_large(oid, size):
                    folders.add(self._write_large(oid))
                    self._count(size)
                    progress.advance(size)
            names = self._packs_for(model, others_follow=others_follow)
            packs.append({name: self._packs[name] for name in names})
        for folder in folders:
            fsync_directory(folder)
        for name in ("objects", "packs"):
            fsync_directory(self._directory / name)
        return packs

    def _write_large(self, oid: Oid) -> Path:
        source = self._store.loose_path(oid)
        assert source is not None
        target = self._directory / object_path(oid)
        make_folder(target.parent)
        with open(source, "rb") as original:
            staged, got = copy_aside(source, original, self._staging)
        if got != oid:
            raise DamagedContent(
                f"The object {oid} is damaged: its bytes have the id {got}. The zoo is as it was.",
                oid=str(oid),
            )
        with open(staged, "rb") as file:
            publish(file, staged, target)
        return target.parent

    def _packs_for(self, model: _Needed, *, others_follow: bool) -> list[Oid]:
        """The packs that a model needs, new ones with what is in none yet; trees lie together."""
        numbers: set[int] = set()
        new = self._in_none(model, numbers)
        while (first := next(new, None)) is not None:
            some = itertools.islice(new, _MOST_IN_PACK - 1)
            objects = itertools.chain([first], some)
            numbers.add(self._write_pack(objects, others_follow=others_follow))
        return [self._names[number] for number in sorted(numbers)]

    def _in_none(self, model: _Needed, numbers: set[int]) -> Iterator[tuple[ObjectKind, Oid]]:
        """What a model needs and no pack has. The set gets the packs that have the rest."""
        for kind, oids in model.small.items():
            for oid in map(Oid, oids):
                number = self._pack_of.get(oid)
                number = self._pack_of_new.get(oid[:KEY_BYTES]) if number is None else number
                if number is None:
                    yield kind, oid
                else:
                    numbers.add(number)

    def _write_pack(self, objects: Iterable[tuple[ObjectKind, Oid]], *, others_follow: bool) -> int:
        """Write a pack; its number.

        Args:
            others_follow: whether other models come, which may need the same objects.
        """
        with self._staging.new_file() as (file, staged):
            writer = PackWriter(file)
            for kind, oid in objects:
                data = self._store.read_packed(oid, kind)
                writer.add(oid, kind, data)
                self._count(len(data))
            name, rows = writer.finish()
            status = publish(file, staged, self._directory / pack_path(name))
        number = len(self._names)
        self._names.append(name)
        self._packs[name] = status.st_size
        if others_follow:
            keys = (oid[:KEY_BYTES] for oid, *_ in rows.raw())
            self._pack_of_new |= dict.fromkeys(keys, number)
        return number

    def _count(self, size: int) -> None:
        self.new_objects += 1
        self.new_bytes += size

    def list(self, lines: dict[str, Listed], name: str) -> int:
        """Point `zoo.json` to a catalog with these lines too; how many it then has."""
        listed = {**self._listed, **lines}
        data = encode_catalog(listed.values())
        catalog = hash_bytes(data)
        if catalog != self._old_catalog or (name and name != self._name):
            replace_durably(self._directory / catalog_path(catalog), data)
            manifest = Manifest(name or self._name, catalog, len(data))
            replace_durably(self._directory / MANIFEST, encode_manifest(manifest))
            self._remove_old_catalogs(keep={catalog, self._old_catalog})
        return len(listed)

    def _remove_old_catalogs(self, keep: set[Oid | None]) -> None:
        """The one before stays: somebody may have read the `zoo.json` that pointed to it."""
        names = {Path(catalog_path(oid)).name for oid in keep if oid}
        for path in (self._directory / "catalog").iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)
