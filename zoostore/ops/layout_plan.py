"""Planning a checkout: what must be written, removed or left alone, decided before anything is.

A plan holds what changes. What stays as it is, which may be very much, is only counted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from zoostore.errors import LocalChanges
from zoostore.files.globs import Selector
from zoostore.files.scan import Found
from zoostore.files.stamp import Stamp
from zoostore.objects.listing import Listing, directories
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.records import NO_STAMP, Tracked, laid_out
from zoostore.ops.status import Comparison, compare, is_same
from zoostore.ops.tracking import Tracking

_SHOWN = 10


class Plan:
    """What to do to a directory.

    Attributes:
        write: what to lay out, by path.
        remove: files, links and empty folders to take away first.
        edited: paths that stay as somebody made them, as they will be recorded.
        kept_paths: how many are already as they should be, or stay edited.
        files, size: how many files and links there will be, and their size in bytes.
        seen: what is to be replaced or removed, as it was seen; None where nothing stood.
        conflicts: paths that would be lost; the plan may be carried out only if there are none.
    """

    def __init__(self, local: Comparison) -> None:
        self.write: dict[str, Entry] = {}
        self.remove: list[str] = []
        self.edited: dict[str, Tracked] = {}
        self.kept_paths = self.files = self.size = 0
        self.seen: dict[str, Tracked | None] = {}
        self.conflicts: list[str] = []
        self._clean = local.clean
        self._empty: set[str] = set()

    def keep(self, path: str, entry: Entry, edited: Tracked | None = None) -> None:
        """Leave what stands at a path, which is as it was laid out, or was edited."""
        self.kept_paths += 1
        self._count(path, entry)
        if edited is not None:
            self.edited[path] = edited

    def lay(self, path: str, entry: Entry) -> None:
        """Lay out what a path wants."""
        self.write[path] = entry
        self._count(path, entry)

    def lay_again(self, path: str, kept: Tracked) -> None:
        """Lay out what was to be kept."""
        self.write[path] = kept.entry
        self.seen[path] = kept
        self.edited.pop(path, None)
        self.kept_paths -= 1

    def _count(self, path: str, entry: Entry) -> None:
        if entry.kind is Kind.DIRECTORY:
            self._empty.add(path)
        else:
            self.files += 1
            self.size += entry.size

    def kept_at(self, path: str) -> Tracked | None:
        """What is kept at a path that the snapshot has and the globs choose, and how."""
        if path in self.write:
            return None
        return self.edited.get(path) or self._clean.get(path)

    def kept(self, path: str) -> Tracked:
        """The same of a path at which something is kept."""
        return self.edited.get(path) or self._clean[path]

    def require_untouched(self, root: Path) -> None:
        """Refuse to replace what was edited since the plan was made.

        Raises:
            LocalChanges: something was.
        """
        removed = set(self.remove)
        edited = [
            path
            for path, seen in self.seen.items()
            # What is reached through a link that goes away says nothing of this path.
            if removed.isdisjoint(_above(path)) and not _still(root / path, seen)
        ]
        self.conflicts.extend(edited)
        self.require_no_conflicts(root)

    def directories(self) -> set[str]:
        """Every directory that what is written stands in, and all that are to hold nothing."""
        return directories(self.write) | self._empty

    def require_no_conflicts(self, root: Path) -> None:
        """Refuse to lose anything.

        Raises:
            LocalChanges: there are conflicts.
        """
        if not self.conflicts:
            return
        named = ", ".join(sorted(self.conflicts)[:_SHOWN])
        more = len(self.conflicts) - _SHOWN
        raise LocalChanges(
            f"{root} holds changes that the checkout would overwrite: {named}"
            f"{f' and {more} more' if more > 0 else ''}. Nothing was changed.",
            path=str(root),
            paths=sorted(self.conflicts),
        )


def plan(
    root: Path,
    tracking: Tracking,
    wanted: Listing,
    is_chosen: Selector,
    threads: int | None,
    *,
    force: bool,
) -> Plan:
    """What to do so that `root` holds the chosen part of `wanted`.

    What stands in a directory is, for each path, as it was laid out, edited, deleted or
    untracked. What is as it was laid out may be replaced; a deleted file comes back; an
    edited or untracked one stays where the snapshots agree or its content is what is
    wanted, and is a conflict otherwise, unless `force` says to overwrite it.
    """
    return _Planner(root, tracking, wanted, is_chosen, threads, force=force).plan()


class _Planner:
    def __init__(
        self,
        root: Path,
        tracking: Tracking,
        wanted: Listing,
        is_chosen: Selector,
        threads: int | None,
        *,
        force: bool,
    ) -> None:
        self._root = root
        self._tracking = tracking
        self._local = compare(root, tracking, threads)
        self._wanted = wanted
        self._is_chosen = is_chosen
        self._plan = Plan(self._local)
        self._force = force

    def plan(self) -> Plan:
        for path, entry in self._wanted.items():
            if self._is_chosen(path, entry.kind):
                self._plan_wanted(path, entry)
        for path in self._tracking.paths:
            if not self._is_wanted(path):
                self._plan_unwanted(path)
        self._plan_blockers()
        self._plan.remove.extend(path for path in self._local.emptied if not self._is_wanted(path))
        for path in (*self._plan.write, *self._plan.remove):
            self._plan.seen[path] = self._local.clean.get(path)
        return self._plan

    def _is_wanted(self, path: str) -> bool:
        entry = self._wanted.get(path)
        return entry is not None and self._is_chosen(path, entry.kind)

    def _plan_wanted(self, path: str, entry: Entry) -> None:
        clean = self._local.clean.get(path)
        if clean is not None and clean.entry == entry:
            self._plan.keep(path, entry)
            return
        edited = self._local.modified.get(path) or self._local.untracked.get(path)
        if edited is None or self._force:
            self._plan_write(path, entry)
        elif is_same(self._root, edited, entry):
            self._plan.keep(path, entry, laid_out(entry, edited.lasting_stamp))
        elif path in self._local.modified and self._tracking.paths[path].entry == entry:
            self._plan.keep(path, entry, laid_out(entry, NO_STAMP))
        else:
            self._plan.conflicts.append(path)

    def _plan_write(self, path: str, entry: Entry) -> None:
        self._plan.lay(path, entry)
        if self._stands(path) and (self._kind_at(path), entry.kind).count(Kind.DIRECTORY) == 1:
            # A file and a folder do not replace each other: what stands there goes first.
            self._plan.remove.append(path)

    def _plan_unwanted(self, path: str) -> None:
        if path in self._local.clean or (path in self._local.modified and self._force):
            self._plan.remove.append(path)
        elif path in self._local.modified:
            self._plan.conflicts.append(path)

    def _plan_blockers(self) -> None:
        """Files that stand where a folder must be, and folders where a file must be."""
        removed = set(self._plan.remove)
        write = self._plan.write
        for path in directories(write):
            stands = path not in removed and self._stands(path)
            if stands and self._kind_at(path) is not Kind.DIRECTORY:
                self._block(path)
        files = {path for path, entry in write.items() if entry.kind is not Kind.DIRECTORY}
        folders = {path for path in files if _is_folder(self._root / path)}
        for path in self._present() if folders else ():
            if path not in removed and not folders.isdisjoint(_above(path)):
                self._block(path)

    def _stands(self, path: str) -> bool:
        return path in self._local.clean or self._found(path) is not None

    def _kind_at(self, path: str) -> Kind | None:
        """What stands at a path where something does; None for what no snapshot can hold."""
        clean = self._local.clean.get(path)
        if clean is not None:
            return clean.entry.kind
        found = self._found(path)
        return None if found is None else found.kind

    def _found(self, path: str) -> Found | None:
        local = self._local
        return local.modified.get(path) or local.untracked.get(path) or local.emptied.get(path)

    def _present(self) -> Iterator[str]:
        """Every path at which something stands."""
        local = self._local
        for paths in (local.clean, local.modified, local.untracked, local.emptied):
            yield from paths

    def _block(self, path: str) -> None:
        if self._force:
            self._plan.remove.append(path)
        elif path not in self._plan.conflicts:
            self._plan.conflicts.append(path)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:  # nothing is there, or what leads there goes round
        return False


def _still(path: Path, seen: Tracked | None) -> bool:
    """Whether what stands at a path is what was seen there."""
    try:
        status = os.stat(path, follow_symlinks=seen is not None and seen.entry.kind.is_file)
    except (FileNotFoundError, NotADirectoryError):
        return seen is None
    if stat.S_ISDIR(status.st_mode):
        return True  # a folder is only taken away if it is empty
    if seen is None:
        return False
    now = Stamp.of(status)
    return seen.stamp == (now if seen.stamp.ctime_ns else now.without_ctime())


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
