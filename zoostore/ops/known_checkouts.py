"""Known checkouts: the directories that a store was checked out to, whose snapshots gc spares.

For each there is a file `checkouts/.known/KEY`, a JSON object: `path`, `snapshot`, and the `host`
and `pid` of the process that made it. KEY is the BLAKE3 of the path. It is written before the
directory gets its name, and its time is when a snapshot was last laid out there.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import NotACheckout, ZooError
from zoostore.files.sharing import make_folder
from zoostore.files.staging import BESIDE, host_name, owner_is_gone, replace_durably
from zoostore.ops.working import CheckoutState, WorkingDirectory
from zoostore.store.layout import Layout
from zoostore.store.objectstore import ObjectStore


class KnownCheckout(NamedTuple):
    """A directory that a snapshot was laid out in.

    Attributes:
        root: the directory.
        snapshots: what it is a checkout of, and what is being laid out there now, as far as can
            be known.
        is_there: whether it is still a checkout of this store.
        is_being_made: whether the process that lays it out for the first time is at work.
        used: when a snapshot was last laid out there, in seconds since 1970-01-01 UTC.
        entry: the file that says so.
    """

    root: Path
    snapshots: frozenset[Oid]
    is_there: bool
    is_being_made: bool
    used: float
    entry: Path

    def counts(self, grace: float, now: float) -> bool:
        """Whether what it is of must be kept: it may be on a disk that is not mounted now."""
        return self.is_there or self.is_being_made or now - self.used < grace


def remember_checkout(store: ObjectStore, directory: Path, snapshot: Oid) -> None:
    """Note that a snapshot is about to be laid out in a directory, where that can be noted."""
    if store.names.read_only:
        return
    path = os.path.abspath(directory)
    value = {
        "path": path,
        "snapshot": str(snapshot),
        "host": host_name(),
        "pid": os.getpid(),
    }
    entry = _entry(store.layout, path)
    make_folder(entry.parent)
    replace_durably(entry, json.dumps(value, sort_keys=True).encode("ascii"))


def remember_if_unknown(store: ObjectStore, directory: Path, snapshot: Oid) -> None:
    """Note a checkout that was moved to where it is now."""
    if not _entry(store.layout, os.path.abspath(directory)).exists():
        remember_checkout(store, directory, snapshot)


def known_checkouts(store: ObjectStore) -> Iterator[KnownCheckout]:
    """Every directory that a snapshot was laid out in, by what can be seen of it now."""
    folder = _folder(store.layout)
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_whole = not entry.name.startswith(".")  # and otherwise it has not got its name yet
        found = _read(store.layout, entry) if is_whole else None
        if found is not None:
            yield found


def _folder(layout: Layout) -> Path:
    return layout.checkouts / ".known"


def _entry(layout: Layout, path: str) -> Path:
    return _folder(layout) / hash_bytes(os.fsencode(path)).hex()


def _read(layout: Layout, entry: Path) -> KnownCheckout | None:
    try:
        value = json.loads(entry.read_bytes())
        root, noted = Path(value["path"]), Oid.parse(value["snapshot"])
        used = entry.stat().st_mtime
        is_at_work = not owner_is_gone(value["host"], str(value["pid"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ZooError):
        return None  # somebody is replacing it, or it is damaged
    is_being_made = is_at_work and not os.path.lexists(root) and _is_staged_beside(root)
    try:
        state = WorkingDirectory(root).state()
    except NotACheckout:
        return KnownCheckout(root, frozenset([noted]), False, is_being_made, used, entry)
    except (OSError, ZooError):  # it is there, and cannot be read
        return KnownCheckout(root, frozenset([noted]), True, is_being_made, used, entry)
    snapshots = {Oid.parse(state.snapshot)} | ({noted} if is_at_work else set())
    is_ours = is_of(state, layout)
    return KnownCheckout(root, frozenset(snapshots), is_ours, is_being_made, used, entry)


def _is_staged_beside(root: Path) -> bool:
    """Whether a process of this machine makes a directory ready beside this one."""
    try:
        return any(
            path.name.startswith(f"{BESIDE}{host_name()}.") for path in root.parent.iterdir()
        )
    except OSError:
        return False


def is_of(state: CheckoutState, layout: Layout) -> bool:
    """Whether what a checkout says of itself is that it is one of this store."""
    try:
        return os.path.samefile(state.store, layout.root)
    except OSError:
        return False
