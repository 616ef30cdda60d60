"""tag and rm: names for snapshots, given and taken away."""

from __future__ import annotations

from zoostore.digest import Oid
from zoostore.errors import SweptAway, UnknownStub
from zoostore.ops.history import find
from zoostore.store.index import Writer
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange
from zoostore.stubs import Stub


def tag(store: ObjectStore, stub: Stub, name: str, now: int) -> Oid:
    """Give a snapshot a name that does not move. To do it twice is to do it once.

    Raises:
        TagExists: the name is taken by another snapshot.
        SweptAway: something was removed after the snapshot was found.
        And what `find` raises.
    """
    since = store.sweep_mark()
    found = find(store, stub)

    def check(index: Writer) -> None:
        if index.sweep_mark() != since:
            raise SweptAway(f"{stub} may have gone while it was tagged; nothing was changed.")

    if store.names.tags(found.stub).get(name) != found.id:
        change = RefChange(found.stub, found.id, None, "tag", now, tag=name)
        store.names.change(change, check)
    return found.id


def remove(store: ObjectStore, name: str, now: int) -> Oid:
    """Forget a ref and its tags. The snapshot stays, and can be named by its id, until gc.

    Raises:
        UnknownStub: no ref has this name.
    """
    record = store.names.ref(name)
    if record is None:
        raise UnknownStub(f"{name} is not in the store {store.layout.root}.", stub=name)
    store.names.change(RefChange(name, None, record.snapshot, "rm", now))
    return record.snapshot
