"""Planning a checkout: what must be written, removed or left alone, decided before anything is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zoostore.errors import LocalChanges
from zoostore.files.globs import Selector
from zoostore.files.stamp import Stamp
from zoostore.objects.listing import Listing, directories
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.records import NO_STAMP, Tracked, laid_out, left_out
from zoostore.ops.status import NOTHING_THERE, Comparison, compare, is_same
from zoostore.ops.tracking import Tracking

_SHOWN = 10


class Plan:
    """What to do to a directory.

    Attributes:
        write: what to lay out, by path.
        remove: files, links and empty folders to take away first.
        keep: paths that are already as they should be, or stay edited, as they will be recorded.
        left_out: paths of the snapshot that the globs do not choose.
        seen: what is to be replaced or removed, as it was seen; None where nothing stood.
        conflicts: paths that would be lost; the plan may be carried out only if there are none.
    """

    def __init__(self) -> None:
        self.write: dict[str, Entry] = {}
        self.remove: list[str] = []
        self.keep: dict[str, Tracked] = {}
        self.left_out: dict[str, Tracked] = {}
        self.seen: dict[str, Tracked | None] = {}
        self.conflicts: list[str] = []

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
        """Every directory that what is written and kept stands in."""
        kept = {path: tracked.entry for path, tracked in self.keep.items()}
        return directories({**self.write, **kept})

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
        self._local = compare(root, tracking, threads) if root.exists() else NOTHING_THERE
        self._present = _present(self._local)
        chosen = {path for path, entry in wanted.items() if is_chosen(path, entry.kind)}
        self._wanted = {path: entry for path, entry in wanted.items() if path in chosen}
        self._plan = Plan()
        self._plan.left_out.update(
            (path, left_out(entry)) for path, entry in wanted.items() if path not in chosen
        )
        self._force = force

    def plan(self) -> Plan:
        for path, entry in self._wanted.items():
            self._plan_wanted(path, entry)
        for path in self._tracking.paths:
            if path not in self._wanted:
                self._plan_unwanted(path)
        self._plan_blockers()
        self._plan.remove.extend(path for path in self._local.emptied if path not in self._wanted)
        for path in (*self._plan.write, *self._plan.remove):
            self._plan.seen[path] = self._local.clean.get(path)
        return self._plan

    def _plan_wanted(self, path: str, entry: Entry) -> None:
        clean = self._local.clean.get(path)
        if clean is not None and clean.entry == entry:
            self._plan.keep[path] = clean
            return
        edited = self._local.modified.get(path) or self._local.untracked.get(path)
        if edited is None or self._force:
            self._plan_write(path, entry)
        elif is_same(self._root, edited, entry):
            self._plan.keep[path] = laid_out(entry, edited.lasting_stamp)
        elif path in self._local.modified and self._tracking.paths[path].entry == entry:
            self._plan.keep[path] = laid_out(entry, NO_STAMP)
        else:
            self._plan.conflicts.append(path)

    def _plan_write(self, path: str, entry: Entry) -> None:
        self._plan.write[path] = entry
        standing = self._present.get(path)
        if standing is not None and (standing, entry.kind).count(Kind.DIRECTORY) == 1:
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
        needed = self._plan.directories()
        for path, kind in self._present.items():
            if path in removed:
                continue
            if path in needed and kind is not Kind.DIRECTORY:
                self._block(path)
            for folder in _above(path):
                entry = self._plan.write.get(folder)
                if entry is not None and entry.kind is not Kind.DIRECTORY:
                    self._block(path)

    def _block(self, path: str) -> None:
        if self._force:
            self._plan.remove.append(path)
        elif path not in self._plan.conflicts:
            self._plan.conflicts.append(path)


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


def _present(local: Comparison) -> dict[str, Kind | None]:
    """Every path found, and what stands there."""
    present: dict[str, Kind | None] = {}
    present |= {path: tracked.entry.kind for path, tracked in local.clean.items()}
    present |= {path: found.kind for path, found in local.modified.items()}
    present |= {path: found.kind for path, found in local.untracked.items()}
    present |= {path: found.kind for path, found in local.emptied.items()}
    return present


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
