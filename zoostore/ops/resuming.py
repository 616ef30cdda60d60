"""Resuming: a checkout follows a commit that was cut off after it had moved the ref."""

from __future__ import annotations

import os

from zoostore.digest import Oid
from zoostore.errors import DamagedContent
from zoostore.ops.working import CheckoutState, Committing, WorkingDirectory
from zoostore.store.objectstore import ObjectStore


def resume(store: ObjectStore, working: WorkingDirectory) -> None:
    """Make a directory a checkout of what a commit there recorded, and could not note any more.

    Raises:
        NotACheckout: the directory is not one.
    """
    committing = working.begun_commit()
    if committing is None or not os.access(working.folder, os.W_OK):
        return
    state = working.state()
    if _was_recorded(store, state, committing):
        working.follow(state._replace(stub=committing.stub, snapshot=committing.snapshot))


def _was_recorded(store: ObjectStore, state: CheckoutState, committing: Committing) -> bool:
    from zoostore.ops.history import follows

    ref = store.names.ref(committing.stub)
    snapshot = Oid.parse(committing.snapshot)
    try:
        return (
            ref is not None
            and follows(store, ref.snapshot, snapshot)
            and Oid.parse(state.snapshot) in store.snapshot(snapshot).parents
        )
    except DamagedContent:  # whoever needs the history will say so
        return False
