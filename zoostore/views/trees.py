"""Trees: where the files of a view come from: a folder on a disk, or a snapshot.

A path in a tree is relative, with `/` between its parts; the empty path is the tree itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from zoostore.api import Store
from zoostore.digest import Oid
from zoostore.errors import UnknownPath
from zoostore.files.scan import is_own_folder
from zoostore.objects.listing import Listing, directories, reaching
from zoostore.objects.tree import Kind
from zoostore.ops.browse import Contents
from zoostore.ops.status import content_oid
from zoostore.roles import left_out, recipes
from zoostore.views.unpacking import unpack_beside


class Tree(Protocol):
    """What a view needs of the place that its files are in."""

    @property
    def root(self) -> Path:
        """The folder that files are in, or will be when they are laid out."""

    def paths(self) -> Collection[str]:
        """Every file, and every folder that holds nothing, which ends in a slash."""

    def recipes(self) -> Mapping[str, str]:
        """The paths of the recipes by name; leaving others out does not change a name."""

    def children(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, sorted, and whether each is a folder itself."""

    def lay(self, paths: Iterable[str]) -> None:
        """Have the files at and below some paths below `root`."""

    def unpack(self, path: str, folder: Path) -> None:
        """Have what an archive, which was laid out, holds as files in a folder.

        Raises:
            LocalChanges: other files stand where its files go.
            UnsafeArchive, MalformedObject: it cannot be unpacked.
        """

    def size(self, path: str) -> int:
        """A file's size, or that of all files below a folder, in bytes."""

    def oid(self, path: str) -> Oid:
        """The id of a file's content. Raises `UnknownPath` for a folder."""

    def open(self, path: str) -> BinaryIO:
        """A file, to be read; it need not be laid out."""

    def url(self, path: str) -> str | None:
        """Where a file can be fetched, if that is known."""

    def is_here(self, path: str) -> bool:
        """Whether a file can be read without fetching it."""


class LocalTree:
    """A folder on a disk."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def paths(self) -> Collection[str]:
        return list(self._below("", ()))

    def recipes(self) -> Mapping[str, str]:
        return recipes(self.paths())

    def _below(self, folder: str, above: tuple[str, ...]) -> Iterator[str]:
        real = os.path.realpath(self.root / folder)
        if real in above:
            return  # a link that leads back
        children = self.children(folder)
        if folder and not children:
            yield folder + "/"
        for name, is_folder in children:
            path = f"{folder}/{name}" if folder else name
            if is_folder:
                yield from self._below(path, (*above, real))
            else:
                yield path

    def children(self, folder: str) -> list[tuple[str, bool]]:
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(entry.name, entry.is_dir()) for entry in entries]
        except OSError as error:
            raise _unreadable(self.root / folder, error) from error
        return sorted(child for child in found if not is_own_folder(child[0]))

    def lay(self, paths: Iterable[str]) -> None:
        for path in paths:
            if not (self.root / path).exists():
                raise UnknownPath(f"{self.root / path} does not exist.", path=str(self.root / path))

    def unpack(self, path: str, folder: Path) -> None:
        unpack_beside(self.root / path, folder)

    def size(self, path: str) -> int:
        try:
            if (self.root / path).is_dir():
                below = (self.root / path / name for name in LocalTree(self.root / path).paths())
                return sum(os.stat(file).st_size for file in below if file.is_file())
            return os.stat(self.root / path).st_size
        except OSError as error:
            raise _unreadable(self.root / path, error) from error

    def oid(self, path: str) -> Oid:
        return content_oid(self.root / path)

    def open(self, path: str) -> BinaryIO:
        try:
            return open(self.root / path, "rb")
        except OSError as error:
            raise _unreadable(self.root / path, error) from error

    def url(self, path: str) -> str | None:
        return None

    def is_here(self, path: str) -> bool:
        return (self.root / path).exists()


class SnapshotTree:
    """A snapshot, in a store or at a source.

    Its files are only known when they are asked for, and only fetched when they are read.

    Args:
        stub: the full name.
        id: the snapshot's; whatever becomes of the name, this is what is seen.
        selectors: what the stub chose of it.
        directory: where to lay files out; None: the store's own place.
    """

    def __init__(
        self,
        store: Store,
        stub: str,
        id: Oid,
        selectors: Mapping[str, str],
        directory: Path | None,
    ) -> None:
        self.store = store
        self.stub = stub
        self.id = id
        self.selectors = selectors
        self.directory = directory
        self._laid: dict[str, tuple[int, int, int]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        own = (self.store, self.stub, self.id, dict(self.selectors), self.directory)
        return SnapshotTree, own

    @property
    def pinned(self) -> str:
        """A stub that means this snapshot, always."""
        return f"{self.stub}@{self.id}"

    @cached_property
    def root(self) -> Path:
        return self.directory or self.store.place_of(self.id)

    @cached_property
    def contents(self) -> Contents:
        return self.store.contents(self.pinned)

    @cached_property
    def listing(self) -> Listing:
        """What the selectors leave of the snapshot."""
        listing = self.contents.listing
        unwanted = left_out(listing, self.selectors)
        return {path: entry for path, entry in listing.items() if path not in unwanted}

    def recipes(self) -> Mapping[str, str]:
        named = recipes(self.contents.listing).items()
        return {name: path for name, path in named if path in self.listing}

    @cached_property
    def _folders(self) -> Mapping[str, Mapping[str, bool]]:
        folders: dict[str, dict[str, bool]] = {"": {}}
        for path in directories(self.listing):
            folders.setdefault(path, {})
            parent, _, name = path.rpartition("/")
            folders.setdefault(parent, {})[name] = True
        for path, entry in self.listing.items():
            if entry.kind is not Kind.DIRECTORY:
                parent, _, name = path.rpartition("/")
                folders[parent][name] = False
        return folders

    def paths(self) -> Collection[str]:
        return [
            path + "/" if entry.kind is Kind.DIRECTORY else path
            for path, entry in self.listing.items()
        ]

    def children(self, folder: str) -> list[tuple[str, bool]]:
        return sorted(self._folders.get(folder, {}).items())

    def lay(self, paths: Iterable[str]) -> None:
        wanted = reaching(self.listing, paths)
        folder = f"{self.root}{os.sep}"
        if wanted and all(self._laid.get(path) == _stamp(folder + path) for path in wanted):
            return
        self.store.materialize(self.pinned, wanted, self.directory)
        self._laid |= {path: _stamp(folder + path) for path in wanted}

    def unpack(self, path: str, folder: Path) -> None:
        self.store.unpack(self._file(path), self.root / path, folder)

    def size(self, path: str) -> int:
        found = reaching(self.listing, [path])
        if path in found and found[path].kind is Kind.LINK:
            del found[path]  # as whoever opens it finds it
        return sum(entry.size for entry in found.values())

    def oid(self, path: str) -> Oid:
        return self._file(path)

    def open(self, path: str) -> BinaryIO:
        oid = self._file(path)
        self.store.bring(self.pinned, reaching(self.listing, [path]))
        return self.store.open(oid)

    def url(self, path: str) -> str | None:
        return self.store.url_of(self.stub, self._file(path))

    def is_here(self, path: str) -> bool:
        return self.store.has(self._file(path))

    def _file(self, path: str) -> Oid:
        """The content of a file, links followed."""
        found = reaching(self.listing, [path])
        files = [entry.oid for entry in found.values() if entry.kind.is_file]
        if len(files) != 1 or path not in self.listing:
            raise UnknownPath(
                f"{self.stub} has no file {path!r} in the snapshot {self.id.short}.",
                stub=self.stub,
                path=path,
            )
        return files[0]


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (-1, 0, 0)
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def _unreadable(path: Path, error: OSError) -> UnknownPath:
    return UnknownPath(f"{path} cannot be read: {error.strerror}.", path=str(path))
