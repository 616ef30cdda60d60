"""materialize: lay files of a snapshot out where programs can read them, as no checkout.

What was laid out is remembered in the store, so that nothing is read again that was not
touched, and the directory holds the model's files and nothing else.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import LocalChanges
from zoostore.files.scan import Found, found_at
from zoostore.files.sharing import make_folder, share
from zoostore.files.staging import BESIDE, Staging, remove_abandoned
from zoostore.objects.listing import Listing
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.laying import Layer, laid_at, to_be_alone
from zoostore.ops.records import Tracked, laid_out
from zoostore.ops.status import content_of, is_same
from zoostore.ops.tracking import NOTHING_TRACKED, Tracking, TrackingFile
from zoostore.store.mending import set_aside
from zoostore.store.objectstore import ObjectStore

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where a snapshot's files are laid out.

    Attributes:
        root: their folder.
        records: the folder that says what was laid out.
        is_own: whether the folder is the store's, who then puts right what was changed there.
    """

    root: Path
    records: Path
    is_own: bool


def place_of(store: ObjectStore, snapshot: Oid, directory: Path | None) -> Place:
    """Where to lay a snapshot out: a directory, or one among the store's own."""
    checkouts = store.layout.checkouts
    if directory is None:
        return Place(store.layout.checkout(snapshot), store.layout.laid(snapshot), is_own=True)
    store.layout.require_apart(directory)
    key = hash_bytes(os.fsencode(directory.absolute())).hex()
    return Place(directory, checkouts / ".laid" / key, is_own=False)


def materialize(
    store: ObjectStore,
    snapshot: Oid,
    wanted: Listing,
    place: Place,
    layer: Layer,
    *,
    overwrite: bool = False,
    own_files: bool = False,
) -> None:
    """Lay out what is not there yet. Each file appears whole or not at all.

    Args:
        wanted: what is to be there of the snapshot; its objects are here.
        overwrite: replace files with another content.
        own_files: make every file one of its own, that can be edited and harms no object.

    Raises:
        LocalChanges: something else stands where a file goes; nothing was changed.
        DamagedContent: an object is missing or damaged.
    """
    remove_abandoned(place.root, BESIDE)
    file = TrackingFile(place.records)
    tracking = file.read(str(snapshot)) or NOTHING_TRACKED
    alone = set(wanted) if own_files else to_be_alone(store, wanted, wanted)
    standing = Standing(place.root, tracking, alone)
    for path, entry in wanted.items():
        standing.look_at(path, entry)
    if not (overwrite or place.is_own):
        standing.require_nothing_else()
    laid = _lay(store, place, layer, standing, wanted, alone)
    if (laid or standing.learned) and not store.names.read_only:
        make_folder(place.records)
        paths = {**tracking.paths, **standing.learned, **laid}
        file.write(str(snapshot), paths)


class Standing:
    """What stands where files are wanted.

    Args:
        tracking: what is known of it.
        alone: paths at which no link to a file counts.

    Attributes:
        missing: paths to lay out.
        others: those of them where something else stands, and what must go first.
        learned: paths that had to be read to know that they are right.
    """

    def __init__(self, root: Path, tracking: Tracking, alone: set[str]) -> None:
        self._root = root
        self._tracking = tracking
        self._alone = alone
        self._folders: set[str] = set()
        self.missing: list[str] = []
        self.others: dict[str, str] = {}
        self.learned: dict[str, Tracked] = {}

    def require_nothing_else(self) -> None:
        """Refuse to replace anything. Raises `LocalChanges`."""
        if self.others:
            raise LocalChanges(
                f"{self._root} holds other files where those of the model go: "
                f"{', '.join(list(self.others)[:_SHOWN])}. Nothing was changed.",
                path=str(self._root),
                paths=list(self.others),
            )

    def look_at(self, path: str, entry: Entry) -> None:
        """See what stands at a path, and whether it is what is wanted there."""
        blocker = self._blocker(path)
        found = None if blocker else self._find(path, entry)
        if found is None:
            self.missing.append(path)
            if blocker:
                self.others[path] = blocker
        elif not self._is_right(path, entry, found):
            self.missing.append(path)
            self.others[path] = path
        elif path in self._alone and found.has_other_names:
            self.missing.append(path)

    def _blocker(self, path: str) -> str:
        """The first part above a path that is there and is no folder; empty if there is none."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder in self._folders:
                continue
            target = self._root / folder
            if not os.path.lexists(target):
                return ""
            if target.is_symlink() or not target.is_dir():
                return folder
            self._folders.add(folder)
        return ""

    def _find(self, path: str, entry: Entry) -> Found | None:
        target = self._root / path
        try:
            status = os.lstat(target)
        except FileNotFoundError:
            return None
        link = os.readlink(target) if stat.S_ISLNK(status.st_mode) else ""
        return content_of(self._root, found_at(path, status, link), entry)

    def _is_right(self, path: str, entry: Entry, found: Found) -> bool:
        if found.kind is not entry.kind:
            return False
        known = self._tracking.paths.get(path)
        if known is not None and known.entry == entry and self._is_certain(known, found):
            return True
        if not is_same(self._root, found, entry):
            return False
        self.learned[path] = laid_out(entry, found.lasting_stamp)
        return True

    def _is_certain(self, known: Tracked, found: Found) -> bool:
        return known.entry.kind is Kind.DIRECTORY or self._tracking.is_certain(known, found.stamp)


def _lay(
    store: ObjectStore,
    place: Place,
    layer: Layer,
    standing: Standing,
    wanted: Listing,
    alone: set[str],
) -> dict[str, Tracked]:
    make_folder(place.root)
    if not standing.missing:
        return {}
    # In the directory itself, for only there it is sure to be the same file system.
    staging = Staging(place.root, BESIDE)
    laid, gone = {}, set[str]()
    try:
        for path in standing.missing:
            entry, target = wanted[path], f"{place.root}/{path}"
            staged = None
            if entry.kind is not Kind.DIRECTORY:
                staged = staging.new_path()
                layer.lay(entry, str(staged), staged.parent, alone=path in alone)
            blocker = standing.others.get(path)
            if blocker and blocker not in gone:
                make_way(store, place, blocker, staging)
                gone.add(blocker)
            _make_folder(place, layer, target if staged is None else os.path.dirname(target))
            if staged is not None:
                if place.is_own:
                    share(staged)
                os.replace(staged, target)
            laid[path] = laid_at(entry, target)
    finally:
        staging.close()
    return laid


def _make_folder(place: Place, layer: Layer, folder: str) -> None:
    if place.is_own:  # and so used by all who use the store
        make_folder(Path(folder))
    else:
        layer.make_folder(folder)


def make_way(store: ObjectStore, place: Place, path: str, staging: Staging) -> None:
    """Take away what stands there; what somebody changed in the store's folder is kept aside."""
    target = place.root / path
    if not os.path.lexists(target):
        return  # it went with what stood above it
    if place.is_own:
        set_aside(store.layout, target, f"changed-{target.name}")
    else:
        os.replace(target, staging.new_path())
