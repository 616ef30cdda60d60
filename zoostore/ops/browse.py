"""ls STUB, show, log and cat: looking at one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zoostore.digest import Oid
from zoostore.errors import UnknownPath
from zoostore.objects.listing import Listing
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import TreeListing, flatten
from zoostore.ops.history import Found, history
from zoostore.store.objectstore import ObjectStore

_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A path of a snapshot; `size` in bytes, `mode` as Git writes it.

    Attributes:
        oid: of the content; of an empty folder's tree; of a link's target.
        target: where a link points.
    """

    path: str
    size: int
    oid: Oid
    mode: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A snapshot in a model's history."""

    id: Oid
    snapshot: Snapshot
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A snapshot with the names that lead to it.

    Attributes:
        tags: all tags of the model, with the snapshots they name.
        facets: the parts of the stub.
    """

    stub: str
    id: Oid
    snapshot: Snapshot
    tags: Mapping[str, Oid]
    facets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contents:
    """A snapshot with its files, whether it is here or was only looked at at a source.

    Attributes:
        listing: its files and links by path, and folders that hold nothing.
    """

    stub: str
    id: Oid
    snapshot: Snapshot
    listing: Listing


def contents(store: ObjectStore, found: Found) -> Contents:
    """A snapshot with its files. Raises `MissingObject` if its trees are not here."""
    listing = flatten(store.tree, found.snapshot.tree)
    return Contents(found.stub, found.id, found.snapshot, listing)


def files(store: ObjectStore, found: Found) -> Iterator[ModelFile]:
    """Every path of a snapshot, in order. Raises `MissingObject` if its trees are not here."""
    for path, entry in TreeListing(store.tree, found.snapshot.tree).by_path():
        yield ModelFile(path, entry.size, entry.oid, entry.kind.mode, entry.target)


def log(store: ObjectStore, found: Found) -> Iterator[LogEntry]:
    """A snapshot and its history, the newest first."""
    names: dict[Oid, list[str]] = {}
    for tag, oid in store.names.tags(found.stub).items():
        names.setdefault(oid, []).append(tag)
    for oid, snapshot in history(store, found.id):
        yield LogEntry(oid, snapshot, tuple(names.get(oid, ())))


def entry_at(store: ObjectStore, found: Found, path: str) -> Entry:
    """The file that a path of a snapshot leads to. Raises `UnknownPath` if there is none."""
    pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
    folders = [found.snapshot.tree]
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            if len(folders) > 1:
                folders.pop()
            continue
        entry = store.tree(folders[-1]).get(name)
        if entry is None:
            break
        if entry.kind is Kind.DIRECTORY:
            folders.append(entry.oid)
        elif entry.kind is Kind.LINK and links < _MAX_LINKS:
            links += 1
            pending += [part for part in entry.target.split("/") if part not in ("", ".")][::-1]
        elif entry.kind.is_file and not pending:
            return entry
        else:
            break
    raise UnknownPath(
        f"{found.stub} has no file {path!r} in the snapshot {found.id.short}.",
        stub=found.stub,
        path=path,
    )
