"""tag and rm: names for snapshots, given and taken away."""

from __future__ import annotations

from zoostore.digest import Oid
from zoostore.errors import UnknownStub
from zoostore.ops.history import Found
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange


def tag(store: ObjectStore, found: Found, name: str, now: int) -> Oid:
    """Give a snapshot a name that does not move. To do it twice is to do it once.

    Raises:
        TagExists: the name is taken by another snapshot.
    """
    if store.names.tags(found.stub).get(name) != found.id:
        store.names.change(RefChange(found.stub, found.id, None, "tag", now, tag=name))
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
