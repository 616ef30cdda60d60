"""Walking: what is below a tree, each of its trees read when it is come to."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import MalformedObject
from zoostore.objects.listing import EMPTY_TREE, Listing
from zoostore.objects.paths import check_link, check_path
from zoostore.objects.tree import Entry, Kind
from zoostore.streamed import Streamed

MAX_ENTRIES = 10_000_000
"""A bound on what a small, deeply shared tree can be made to unfold into."""

MAX_PATHS_BYTES = 1 << 30
"""The same for the paths of a tree that somebody else made: all of them, in UTF-8."""

_FEW = 20_000
"""Paths that are held, so that they need not be read again."""

ReadTree = Callable[[Oid], Mapping[str, Entry]]


def walk(read_tree: ReadTree, root: Oid) -> Iterator[tuple[str, Entry]]:
    """Every path below a tree with its entry, directories before what they hold.

    Args:
        read_tree: gives the decoded tree of an oid.

    Raises:
        UnsafePath: a path is too deep or too long, or a link may lead outside.
        MalformedObject: there are more than `MAX_ENTRIES` paths.
    """
    pending = [("", root)]
    count = 0
    while pending:
        prefix, oid = pending.pop()
        below = []
        for name, entry in read_tree(oid).items():
            path = prefix + name
            count += 1
            if count > MAX_ENTRIES:
                raise MalformedObject(f"A tree unfolds into more than {MAX_ENTRIES} paths.")
            check_path(path)
            if entry.kind is Kind.LINK:
                check_link(path, entry.target)
            elif entry.kind is Kind.DIRECTORY:
                below.append((path + "/", entry.oid))
            yield path, entry
        pending.extend(reversed(below))


class _Extent(NamedTuple):
    """How many paths are below a tree, and how many bytes they have, relative to it."""

    paths: int
    size: int


def require_bounded(read_tree: ReadTree, root: Oid) -> None:
    """Refuse a tree that unfolds into more than can be, each of its trees looked at once.

    Forty trees that each hold the next one twice have a million million paths.

    Args:
        read_tree: gives the decoded tree of an oid, which was computed from it.

    Raises:
        MalformedObject: there are more than `MAX_ENTRIES` paths, or they have more than
            `MAX_PATHS_BYTES`.
    """
    known: dict[Oid, _Extent] = {}
    pending = [root]
    while pending:
        tree = read_tree(pending[-1])
        folders = {entry.oid for entry in tree.values() if entry.kind is Kind.DIRECTORY}
        unknown = folders - known.keys()
        if unknown:
            pending.extend(unknown)
            continue
        extent = known[pending.pop()] = _extent(tree, known)
        if extent.paths > MAX_ENTRIES:
            raise MalformedObject(f"A tree unfolds into more than {MAX_ENTRIES} paths.")
        if extent.size > MAX_PATHS_BYTES:
            raise MalformedObject(
                f"A tree unfolds into paths of more than {MAX_PATHS_BYTES} bytes."
            )


def _extent(tree: Mapping[str, Entry], known: Mapping[Oid, _Extent]) -> _Extent:
    paths = size = 0
    for name, entry in tree.items():
        length = len(name.encode("utf-8"))
        below = known[entry.oid] if entry.kind is Kind.DIRECTORY else _Extent(0, 0)
        paths += 1 + below.paths
        size += length + below.size + below.paths * (length + 1)
    return _Extent(paths, size)


def leaves(entries: Iterable[tuple[str, Entry]]) -> Iterator[tuple[str, Entry]]:
    """Of the paths of a walk, those that a listing holds."""
    return (
        (path, entry)
        for path, entry in entries
        if entry.kind is not Kind.DIRECTORY or entry.oid == EMPTY_TREE
    )


def flatten(read_tree: ReadTree, root: Oid) -> Listing:
    """The listing of a tree, all of which was read once. Raises what `walk` raises."""
    listing = TreeListing(read_tree, root)
    len(listing)
    return listing


def totals(listing: Listing) -> tuple[int, int]:
    """How many files and links a listing holds, and their size in bytes."""
    if isinstance(listing, TreeListing):
        return listing.totals()
    files = size = 0
    for entry in listing.values():
        if entry.kind is not Kind.DIRECTORY:
            files += 1
            size += entry.size
    return files, size


class TreeListing(Streamed[Entry]):
    """The listing of a tree. If it is of very many paths, it is read anew whenever it is asked.

    Args:
        read_tree: gives the decoded tree of an oid.

    Reading it raises what `walk` raises.
    """

    def __init__(self, read_tree: ReadTree, root: Oid) -> None:
        self._read_tree = read_tree
        self._root = root
        self._held: dict[str, Entry] | None = None
        self._count: int | None = None
        self._totals = (0, 0)
        self._last: tuple[str, Mapping[str, Entry]] | None = None

    def __len__(self) -> int:
        if self._count is None:
            deque(self.streamed(), maxlen=0)
            assert self._count is not None
        return self._count

    def __getitem__(self, path: str) -> Entry:
        if self._held is not None:
            return self._held[path]
        begin = path.rfind("/") + 1
        entry = self._folder(path[:begin]).get(path[begin:])
        if entry is None or (entry.kind is Kind.DIRECTORY and entry.oid != EMPTY_TREE):
            raise KeyError(path)
        return entry

    def totals(self) -> tuple[int, int]:
        """How many files and links there are, and their size in bytes."""
        len(self)  # so that all was read once
        return self._totals

    def streamed(self) -> Iterator[tuple[str, Entry]]:
        return self._walk_on() if self._held is None else iter(self._held.items())

    def _walk_on(self) -> Iterator[tuple[str, Entry]]:
        held: dict[str, Entry] = {}
        count = files = size = 0
        for path, entry in leaves(walk(self._read_tree, self._root)):
            count += 1
            if entry.kind is not Kind.DIRECTORY:
                files += 1
                size += entry.size
            if count <= _FEW:
                held[path] = entry
            elif held:
                held.clear()
            yield path, entry
        self._count, self._totals = count, (files, size)
        if count <= _FEW:
            self._held = held

    def _folder(self, prefix: str) -> Mapping[str, Entry]:
        if self._last is None or self._last[0] != prefix:
            tree = self._read_tree(self._root)
            for name in prefix.split("/")[:-1]:
                entry = tree.get(name)
                if entry is None or entry.kind is not Kind.DIRECTORY:
                    return {}
                tree = self._read_tree(entry.oid)
            self._last = (prefix, tree)
        return self._last[1]
