"""diff: what differs between two snapshots, or a snapshot and a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoostore.errors import SpecialFile, UnknownPath
from zoostore.files.scan import Found, scan
from zoostore.objects.listing import EMPTY_DIRECTORY, Listing
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.ops.records import Paths, Tracked
from zoostore.ops.status import compare, content_oid, tracking_of
from zoostore.ops.working import WorkingDirectory
from zoostore.store.objectstore import ObjectStore
from zoostore.streamed import Streamed


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
    added: list[str] = []
    changed: list[str] = []
    for path, entry in after.items():
        was = before.get(path)
        if was is None:
            added.append(path)
        elif was != entry:
            changed.append(path)
    removed = (path for path in before if path not in after)
    return Diff(tuple(sorted(added)), tuple(sorted(removed)), tuple(sorted(changed)))


def directory_listing(opened: Callable[[], ObjectStore], directory: Path) -> Listing:
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
    entries = {path: _entry(directory, found) for path, found in touched.items()}
    return _InCheckout(tracking.paths, compared.clean, entries)


class _InCheckout(Streamed[Entry]):
    """What a checkout holds, and what was left out of it.

    Args:
        tracked: all that is in its snapshot.
        clean: what of that is as it was laid out.
        touched: what else is there.
    """

    def __init__(
        self, tracked: Paths, clean: Mapping[str, Tracked], touched: Mapping[str, Entry]
    ) -> None:
        self._tracked = tracked
        self._clean = clean
        self._touched = touched

    def __getitem__(self, path: str) -> Entry:
        if path in self._touched:
            return self._touched[path]
        tracked = self._tracked[path]
        if tracked.is_laid_out and path not in self._clean:
            raise KeyError(path)
        return tracked.entry

    def streamed(self) -> Iterator[tuple[str, Entry]]:
        yield from self._touched.items()
        for path, tracked in self._tracked.items():
            is_there = not tracked.is_laid_out or path in self._clean
            if is_there and path not in self._touched:
                yield path, tracked.entry


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
