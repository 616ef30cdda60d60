"""Listings: a whole snapshot as one flat mapping of paths, to and from nested trees.

A listing maps every file and link to its entry, and every directory that holds
nothing to a directory entry, in the order of a walk through sorted trees.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from zoostore.digest import Oid
from zoostore.errors import MalformedObject
from zoostore.objects.paths import check_link, check_names, check_path, parted
from zoostore.objects.tree import (
    Entry,
    Kind,
    encode_entry,
    encode_tree,
    join_entries,
    tree_oid,
)

Listing = Mapping[str, Entry]

MAX_LINKS = 40
"""How many links are followed one after the other, as Linux does it: they may go round."""

EMPTY_TREE_BYTES = encode_tree({})
EMPTY_TREE = tree_oid(EMPTY_TREE_BYTES)
EMPTY_DIRECTORY = Entry(Kind.DIRECTORY, 0, EMPTY_TREE)


class Built(NamedTuple):
    """The trees of a listing.

    Attributes:
        root: the oid of the root tree.
        trees: every tree's encoding by its oid, children before their parents.
    """

    root: Oid
    trees: dict[Oid, bytes]


def build(listing: Listing) -> Built:
    """The trees that hold a listing. Raises what `trees_of` raises."""
    trees: dict[Oid, bytes] = {}
    root = EMPTY_TREE
    for root, data in trees_of(listing):
        trees[root] = data
    return Built(root, trees)


def trees_of(listing: Listing) -> Iterator[tuple[Oid, bytes]]:
    """The trees that hold a listing, children before their parents; the last one is the root.

    Raises:
        UnsafePath: a name or a link cannot stand in a snapshot.
        MalformedObject: something is both a file and a directory.
    """
    folders: dict[str, list[tuple[str, Entry]]] = {}
    for path, entry in listing.items():
        check_path(path)
        if entry.kind is Kind.LINK:
            check_link(path, entry.target)
        if entry == EMPTY_DIRECTORY:
            folders.setdefault(path + "/", [])
        else:
            prefix, name = parted(path)
            folders.setdefault(prefix, []).append((name, entry))

    def entries_in(prefix: str) -> NamesAndEntries:
        found = folders.pop(prefix, ())  # there may be very many, and the trees take as much
        return [name for name, _ in found], (encode_entry(*each) for each in found)

    return build_folders(list(folders), entries_in)


NamesAndEntries: TypeAlias = tuple[list[str], Iterable[bytes]]
"""What is in a folder, and is none: the names, and what encodes their entries once these are
found to be safe."""


def build_folders(
    prefixes: Iterable[str], entries_in: Callable[[str], NamesAndEntries]
) -> Iterator[tuple[Oid, bytes]]:
    """The trees of folders, children before their parents; the last one is the root.

    Args:
        prefixes: of folders that hold files or links, or nothing. Those above them are added.
        entries_in: gives what is in a folder.

    Raises:
        UnsafePath: a name cannot stand in a tree, or two are the same to some system.
        MalformedObject: something is both a file and a directory.
    """
    below: dict[str, dict[str, bytes]] = {}
    for prefix in sorted(with_all_above(prefixes), key=_depth, reverse=True):
        names, encoded = entries_in(prefix)
        folders = below.pop(prefix, {})
        for name in names:
            if name in folders:
                raise MalformedObject(f"{prefix + name!r} is both a file and a directory.")
        check_names([*names, *folders])
        entries = sorted([*zip(names, encoded, strict=True), *folders.items()])
        data = join_entries([entry for _, entry in entries])
        oid = tree_oid(data)
        yield oid, data
        if prefix:
            above, name = parted(prefix[:-1])
            entry = encode_entry(name, Entry(Kind.DIRECTORY, 0, oid))
            below.setdefault(above, {})[name] = entry


def with_all_above(prefixes: Iterable[str]) -> set[str]:
    """The prefixes of folders, and of those that these are in."""
    every = {""}
    for prefix in prefixes:
        while prefix not in every:
            every.add(prefix)
            prefix, _ = parted(prefix[:-1])
    return every


def _depth(prefix: str) -> int:
    return prefix.count("/")


def reaching(listing: Listing, paths: Iterable[str]) -> dict[str, Entry]:
    """What stands at or below some paths, and what the links among it lead to.

    Args:
        paths: of files, links or folders; the empty path is the whole.
    """
    found: dict[str, Entry] = {}
    pending = [(path, 0) for path in paths]
    while pending:
        wanted, hops = pending.pop()
        if hops > MAX_LINKS:
            continue
        here = _at_or_below(listing, wanted)
        if not here:
            pending.extend((path, hops + 1) for path in _through_link(listing, wanted))
        for path, entry in here:
            if path not in found:
                found[path] = entry
                if entry.kind is Kind.LINK:
                    pending.append((_link_end(path, entry.target), hops + 1))
    return found


def _at_or_below(listing: Listing, wanted: str) -> list[tuple[str, Entry]]:
    if wanted in listing:
        return [(wanted, listing[wanted])]
    folder = wanted + "/" if wanted else ""
    return [(path, entry) for path, entry in listing.items() if path.startswith(folder)]


def _through_link(listing: Listing, wanted: str) -> Iterator[str]:
    """The link that stands above a path, and where the path is behind it."""
    parts = wanted.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        entry = listing.get(above)
        if entry is not None and entry.kind is Kind.LINK:
            yield above
            yield posixpath.join(_link_end(above, entry.target), *parts[depth:])
            return


def _link_end(path: str, target: str) -> str:
    """The path that a link leads to, which is within the listing, as was checked."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return "" if end == "." else end


def directories(listing: Listing) -> set[str]:
    """Every directory that a listing has, those that hold something included."""
    found: set[str] = set()
    for path, entry in listing.items():
        if entry.kind is Kind.DIRECTORY:
            found.add(path)
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found
