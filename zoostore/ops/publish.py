"""publish: write models as a zoo that any static web server can hold.

What is new comes first, the catalog next, and `zoo.json`, which points to it, last:
a reader sees the zoo as it was or as it will be. Nothing that is there is written again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import DamagedContent, DirectoryNotEmpty
from zoostore.files.claim import claim
from zoostore.files.copying import copy_aside
from zoostore.files.sharing import make_folder
from zoostore.files.staging import Staging, fsync_directory, publish, replace_durably
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import walk
from zoostore.ops.history import Found
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


@dataclass
class _Needed:
    """What one model needs: small objects with their kind, large ones with their size."""

    small: dict[Oid, ObjectKind] = field(default_factory=dict)
    large: dict[Oid, int] = field(default_factory=dict)


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
            zoo.write(needed.values(), progress)
            lines = {
                found.stub: _line(store, found, zoo.packs_of(needed[found.stub]))
                for found in models
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
        needed.small[oid] = ObjectKind.SNAPSHOT

        def read_tree(tree: Oid) -> dict[str, Entry]:
            needed.small[tree] = ObjectKind.TREE
            return store.tree(tree)

        for _, entry in walk(read_tree, snapshot.tree):
            if entry.kind is Kind.LINK or entry.kind is Kind.DIRECTORY:
                continue
            if store.loose_path(entry.oid) is None:
                needed.small[entry.oid] = ObjectKind.BLOB
            else:
                needed.large[entry.oid] = entry.size
    return needed


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
        self._pack_sizes: dict[Oid, int] = {}
        self._pack_of: dict[Oid, Oid] = {}
        for listed in self._listed.values():
            self._pack_sizes |= listed.packs
        for pack in self._pack_sizes:
            self._learn(pack)
        self.new_objects = 0
        self.new_bytes = 0

    def close(self) -> None:
        self._staging.close()
        with contextlib.suppress(OSError):  # another publisher may have left something in it
            (self._directory / _TMP).rmdir()

    def _learn(self, name: Oid) -> None:
        with PackReader(self._directory / pack_path(name)) as pack:
            self._pack_of |= {row.oid: name for row in pack.table()}

    def bytes_to_write(self, needed: Iterable[_Needed]) -> int:
        large = {oid: size for model in needed for oid, size in model.large.items()}
        return sum(size for oid, size in large.items() if not self._has_large(oid, size))

    def _has_large(self, oid: Oid, size: int) -> bool:
        try:
            return (self._directory / object_path(oid)).stat().st_size == size
        except FileNotFoundError:
            return False

    def packs_of(self, needed: _Needed) -> dict[Oid, int]:
        """The packs that hold a model's small objects, with their sizes in bytes."""
        names = {self._pack_of[oid] for oid in needed.small}
        return {name: self._pack_sizes[name] for name in names}

    def write(self, needed: Iterable[_Needed], progress: Progress) -> None:
        """Write the objects that are not there yet, and make them durable."""
        folders: set[Path] = set()
        for model in needed:
            for oid, size in model.large.items():
                if not self._has_large(oid, size):
                    folders.add(self._write_large(oid))
                    self._count(size)
                    progress.advance(size)
            self._write_pack(model)
        for folder in folders:
            fsync_directory(folder)
        for name in ("objects", "packs"):
            fsync_directory(self._directory / name)

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

    def _write_pack(self, model: _Needed) -> None:
        """One pack with the model's small objects that are in none yet; trees lie together."""
        new = [(kind, oid) for oid, kind in model.small.items() if oid not in self._pack_of]
        if not new:
            return
        with self._staging.new_file() as (file, staged):
            writer = PackWriter(file)
            for kind, oid in sorted(new):
                data = self._store.read_packed(oid, kind)
                writer.add(oid, kind, data)
                self._count(len(data))
            name, rows = writer.finish()
            status = publish(file, staged, self._directory / pack_path(name))
        self._pack_sizes[name] = status.st_size
        self._pack_of |= {row.oid: name for row in rows}

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
