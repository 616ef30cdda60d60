"""diff: what differs between two snapshots, or a snapshot and a directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoostore.errors import SpecialFile, UnknownPath
from zoostore.files.scan import Found, scan
from zoostore.objects.listing import EMPTY_DIRECTORY, Listing
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.ops.status import compare, content_oid, tracking_of
from zoostore.ops.working import WorkingDirectory
from zoostore.store.objectstore import ObjectStore


@dataclass(frozen=True, slots=True)
class Diff:
    """What must be done to the first to get the second; paths in order.

    Attributes:
        added, removed: paths that only the second, or only the first, has.
        changed: paths whose content, kind or executable bit is another.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def diff(before: Listing, after: Listing) -> Diff:
    """What differs between two listings."""
    return Diff(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
    )


def directory_listing(opened: Callable[[], ObjectStore], directory: Path) -> dict[str, Entry]:
    """What a directory holds, hashed; in a checkout only what was touched is read.

    Args:
        opened: gives the store, which only a checkout needs.

    Raises:
        UnknownPath: it is no directory.
        UnreadableFile: something in it cannot be read.
    """
    if not directory.is_dir():
        raise UnknownPath(f"{directory} is not a directory.", path=str(directory))
    working = WorkingDirectory(directory)
    if not working.is_checkout():
        return {found.path: _entry(directory, found) for found in scan(directory)}
    store = opened()
    tracking = tracking_of(store, working)
    compared = compare(directory, tracking, store.threads)
    touched = {**compared.modified, **compared.untracked}
    left_out = {path: item for path, item in tracking.paths.items() if not item.is_laid_out}
    kept = {path: item.entry for path, item in {**left_out, **compared.clean}.items()}
    return kept | {path: _entry(directory, found) for path, found in touched.items()}


def _entry(root: Path, found: Found) -> Entry:
    if found.kind is Kind.LINK:
        return link_entry(found.target)
    if found.kind is Kind.DIRECTORY:
        return EMPTY_DIRECTORY
    if found.kind is None:
        raise SpecialFile(
            f"{root / found.path} is no file, link or folder; it cannot be compared.",
            path=str(root / found.path),
        )
    return Entry(found.kind, found.stamp.size, content_oid(root / found.path))
