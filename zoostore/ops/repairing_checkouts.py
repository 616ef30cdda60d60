"""Repairing checkouts: what a directory knows of itself, made anew from what is left of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import ZooError
from zoostore.files.globs import exact
from zoostore.files.links import COPY, HARDLINK, SYMLINK, symlink
from zoostore.files.staging import random_name
from zoostore.ops.known_checkouts import KnownCheckout, known_checkouts
from zoostore.ops.records import Tracked
from zoostore.ops.status import compare, tracking_of
from zoostore.ops.verifying_checkouts import why_unbelievable
from zoostore.ops.working import CheckoutState, WorkingDirectory
from zoostore.store.objectstore import ObjectStore


def repair_checkout(store: ObjectStore, root: Path) -> bool:
    """Make the records of a checkout anew where they are damaged; whether that could be done.

    Files in it are compared with its snapshot, and none is touched.
    """
    known = next((item for item in known_checkouts(store) if item.root == root), None)
    if known is None:
        return False
    working = WorkingDirectory(root)
    try:
        if why_unbelievable(store, working):
            working.follow(_state_of(store, working, known))
        state = working.state()
        tracking = tracking_of(store, working)
        compared = compare(root, tracking, store.threads)
        working.record_changes(state.snapshot, tracking.paths, compared.clean)
    except (OSError, ZooError):
        return False
    return True


def repair_link(store: ObjectStore, file: Path, oid: Oid) -> bool:
    """Have a link in a checkout lead to its object; whether that could be done.

    What is replaced is a link that leads nowhere, or to another object.
    """
    try:
        target = store.loose_path(oid)
        if target is None:
            return False
        staged = file.with_name(f".zoostore-link.{random_name(4)}")
        symlink(target, staged, 0)
        os.replace(staged, file)
    except (OSError, ZooError):
        return False
    return True


def _state_of(store: ObjectStore, working: WorkingDirectory, known: KnownCheckout) -> CheckoutState:
    """What a checkout says of itself, from what was laid out in it and what the store noted."""
    snapshot = working.recorded() or min(known.snapshots)
    tracking = working.tracking(str(snapshot))
    paths = tracking.paths if tracking else {}
    stubs = [stub for stub, record in store.names.refs().items() if record.snapshot == snapshot]
    stub = min(stubs, default=None) or store.snapshot(snapshot).stub
    left_out = tuple(exact(path) for path, item in paths.items() if not item.is_laid_out)
    place = str(store.layout.root.absolute())
    link = _link_mode(store, working.root, paths)
    return CheckoutState(stub, str(snapshot), place, link, exclude=left_out)


def _link_mode(store: ObjectStore, root: Path, paths: Mapping[str, Tracked]) -> str:
    """How large files were laid out, as far as the first of them tells."""
    for path, tracked in paths.items():
        object_file, file = store.layout.loose(tracked.entry.oid), root / path
        if tracked.is_laid_out and object_file.exists() and os.path.lexists(file):
            if file.is_symlink():
                return SYMLINK
            return HARDLINK if os.path.samefile(file, object_file) else COPY
    return COPY
