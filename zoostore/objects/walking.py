"""Walking: what is below a tree, each of its trees read when it is come to."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import MalformedObject
from zoostore.objects.listing import EMPTY_TREE, Listing
from zoostore.objects.paths import MAX_DEPTH, check_link, check_path, parted
from zoostore.objects.tree import Entry, Kind, encode_tree, tree_oid
from zoostore.reread import Reread

MAX_ENTRIES = 10_000_000
"""A bound on what a small, deeply shared tree can be made to unfold into."""

MAX_PATHS_BYTES = 1 << 30
"""The same for the paths of a tree that somebody else made: all of them, in UTF-8."""

ReadTree = Callable[[Oid], Mapping[str, Entry]]


def walk(read_tree: ReadTree, root: Oid) -> Iterator[tuple[str, Entry]]:
    """Every path below a tree with its entry, directories before what they hold.

    Raises: what `walk_folders` raises.
    """
    for prefix, tree in walk_folders(read_tree, root):
        for name, entry in tree.items():
            yield prefix + name, entry


def walk_folders(read_tree: ReadTree, root: Oid) -> Iterator[tuple[str, Mapping[str, Entry]]]:
    """Every folder below a tree, the whole first: what its paths begin with, and what is in it.

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
        tree = read_tree(oid)
        count += len(tree)
        if count > MAX_ENTRIES:
            raise MalformedObject(f"A tree unfolds into more than {MAX_ENTRIES} paths.")
        below = []
        for name, entry in tree.items():
            if len(prefix) + len(name) >= MAX_DEPTH:
                check_path(prefix + name)  # shorter ones pass: very many are not looked at
            if entry.kind is Kind.LINK:
                check_link(prefix + name, entry.target)
            elif entry.kind is Kind.DIRECTORY:
                below.append((f"{prefix}{name}/", entry.oid))
        yield prefix, tree
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


class TreeListing(Reread[Entry]):
    """The listing of a tree. If it is of very many paths, it is read anew whenever it is asked.

    Args:
        read_tree: gives the decoded tree of an oid.

    Reading it raises what `walk` raises.
    """

    def __init__(self, read_tree: ReadTree, root: Oid) -> None:
        super().__init__()
        self._read_tree = read_tree
        self._root = root
        self._totals = (0, 0)
        self._open: list[tuple[str, Mapping[str, Entry]]] = []

    def __getitem__(self, path: str) -> Entry:
        if self._held is not None:
            return self._held[path]
        prefix, name = parted(path)
        entry = self._folder(prefix).get(name)
        if entry is None or (entry.kind is Kind.DIRECTORY and entry.oid != EMPTY_TREE):
            raise KeyError(path)
        return entry

    def totals(self) -> tuple[int, int]:
        """How many files and links there are, and their size in bytes."""
        len(self)  # so that all was read once
        return self._totals

    def trees(self) -> Iterator[tuple[Oid, bytes]]:
        """Every tree that it is read from, with its oid; the last one is the root."""
        for prefix, tree in walk_folders(self._read_tree, self._root):
            if prefix:
                data = encode_tree(tree)
                yield tree_oid(data), data
        yield self._root, encode_tree(self._read_tree(self._root))

    def by_path(self) -> Iterator[tuple[str, Entry]]:
        """The same as `streamed`, in the order of whole paths."""
        len(self)  # so that all was read once, and is known to be safe
        if self._held is not None:
            yield from sorted(self._held.items())
            return
        folders = [self._sorted("", self._root)]
        while folders:
            for path, entry in folders[-1]:
                if entry.kind is Kind.DIRECTORY and entry.oid != EMPTY_TREE:
                    folders.append(self._sorted(path + "/", entry.oid))
                    break
                yield path, entry
            else:
                folders.pop()

    def _sorted(self, prefix: str, oid: Oid) -> Iterator[tuple[str, Entry]]:
        """What is in a folder, in the order of the paths that it begins."""
        entries = [(prefix + name, entry) for name, entry in self._read_tree(oid).items()]
        entries.sort(key=lambda item: item[0] + "/" * (item[1].kind is Kind.DIRECTORY))
        return iter(entries)

    def read(self) -> Iterator[tuple[str, Entry]]:
        files = size = 0
        for prefix, tree in walk_folders(self._read_tree, self._root):
            for name, entry in tree.items():
                if entry.kind is not Kind.DIRECTORY:
                    files += 1
                    size += entry.size
                elif entry.oid != EMPTY_TREE:
                    continue
                yield prefix + name, entry
        self._totals = (files, size)

    def _folder(self, prefix: str) -> Mapping[str, Entry]:
        """What is in a folder. It is open until one is asked for that is not in it."""
        while self._open and not prefix.startswith(self._open[-1][0]):
            self._open.pop()
        if not self._open:
            self._open.append(("", self._read_tree(self._root)))
        above, tree = self._open[-1]
        for name in prefix[len(above) :].split("/")[:-1]:
            entry = tree.get(name)
            if entry is None or entry.kind is not Kind.DIRECTORY:
                return {}
            above, tree = f"{above}{name}/", self._read_tree(entry.oid)
            self._open.append((above, tree))
        return tree
