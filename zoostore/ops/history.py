"""Finding snapshots: from a stub to the snapshot it means, and back through its parents."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import Ambiguous, UnknownRevision, UnknownStub
from zoostore.objects.snapshot import Snapshot
from zoostore.store.objectstore import ObjectStore
from zoostore.stubs import Stub, only_match, parse_stub

DEFAULT_BRANCH = "main"
"""What the Hub calls a model's newest state."""

LEFT_OUT = "left_out"
"""In a snapshot's metadata: how many files of its source it does not have, or `unknown`."""

_COMMIT = r"[0-9a-f]{7,40}"
_ID_PREFIX = r"[0-9a-f]{4,64}"


class Found(NamedTuple):
    """The snapshot that a stub means here.

    Attributes:
        stub: the ref's full name.
        id: the snapshot's oid.
        snapshot: its value.
    """

    stub: str
    id: Oid
    snapshot: Snapshot


def ref_name(store: ObjectStore, stub: Stub) -> str | None:
    """The full name of the ref that a stub means, short names completed; None if none does.

    Raises:
        Ambiguous: a short name fits more than one ref.
    """
    if store.names.ref(stub.name) is not None:
        return stub.name
    return only_match(stub, store.names.refs()) if stub.is_short else None


def find(store: ObjectStore, stub: Stub) -> Found:
    """The snapshot that a stub means, if it is here.

    Raises:
        UnknownStub: no ref has this name.
        UnknownRevision: the model has no such tag, revision or snapshot.
        Ambiguous: a short name or an id prefix fits more than one.
    """
    name = ref_name(store, stub)
    record = store.names.ref(name) if name else None
    if name is None or record is None:
        forgotten = _forgotten(store, stub)
        if forgotten is not None:
            return forgotten
        raise UnknownStub(f"{stub.name} is not in the store {store.layout.root}.", stub=stub.name)
    snapshot = _revision(store, name, record.snapshot, stub.revision)
    return Found(name, snapshot, store.snapshot(snapshot))


def tips_meant(store: ObjectStore, stub: Stub) -> set[Oid]:
    """The snapshots that a stub may mean, whether they can be read or not."""
    name = ref_name(store, stub) or stub.name
    record = store.names.ref(name)
    tips = {record.snapshot} if record is not None else set()
    tips |= set(store.names.tags(name).values())
    if re.fullmatch(_ID_PREFIX, stub.revision):
        tips |= set(store.snapshots_from(stub.revision))
    return tips


def _forgotten(store: ObjectStore, stub: Stub) -> Found | None:
    """A snapshot named by its id, whose ref was removed."""
    if not re.fullmatch(_ID_PREFIX, stub.revision):
        return None
    oid = _by_prefix(store, stub.name, None, stub.revision)
    return Found(stub.name, oid, store.snapshot(oid)) if oid else None


def is_in_part(snapshot: Snapshot) -> bool:
    """Whether a snapshot is known not to have all that its source has, or not known to."""
    return LEFT_OUT in snapshot.metadata


def _revision(store: ObjectStore, name: str, tip: Oid, revision: str) -> Oid:
    base, tilde, generations = revision.partition("~")
    oid = _named(store, name, tip, base) if base else tip
    if not tilde:
        return oid
    for _ in range(int(generations)):
        parents = store.snapshot(oid).parents
        if not parents:
            raise UnknownRevision(
                f"{name}@{revision} does not exist: {oid.short} is the first snapshot.",
                stub=name,
                revision=revision,
            )
        oid = parents[0]
    return oid


def _named(store: ObjectStore, name: str, tip: Oid, revision: str) -> Oid:
    tagged = store.names.tags(name).get(revision)
    if tagged is not None:
        return tagged
    if re.fullmatch(_ID_PREFIX, revision):
        found = _by_prefix(store, name, tip, revision)
        if found is not None:
            return found
    for oid, snapshot in history(store, tip):
        if snapshot.revision == revision:
            return oid
    earlier = _by_reflog(store, name, tip, revision)
    if earlier is not None:
        return earlier
    raise UnknownRevision(
        f"{name} has no tag, revision or snapshot {revision!r}.", stub=name, revision=revision
    )


def _by_prefix(store: ObjectStore, name: str, tip: Oid | None, prefix: str) -> Oid | None:
    candidates = store.snapshots_from(prefix)
    own = [oid for oid in candidates if store.snapshot(oid).stub == name]
    if not own and tip is not None:
        ancestors = {oid for oid, _ in history(store, tip)} if candidates else set()
        own = [oid for oid in candidates if oid in ancestors]
    if len(own) > 1:
        raise Ambiguous(
            f"{prefix!r} begins the ids of {len(own)} snapshots of {name}.",
            stub=name,
            candidates=[str(oid) for oid in own],
        )
    return own[0] if own else None


def _by_reflog(store: ObjectStore, name: str, tip: Oid, revision: str) -> Oid | None:
    """A snapshot that the name or a tag of it ever pointed to, by what its source calls it.

    Of several, the newest that has all files of its source.
    """
    partial = None
    for oid, said in ever_named(store, name):
        snapshot = store.snapshot(oid)
        is_commit = bool(snapshot.revision) and re.fullmatch(_COMMIT, revision) is not None
        if revision in said.split() or (is_commit and snapshot.revision.startswith(revision)):
            if not is_in_part(snapshot):
                return oid
            partial = partial or oid
    is_default = revision == DEFAULT_BRANCH and parse_stub(name).scheme == "hf"
    return partial or (tip if is_default else None)


def ever_named(store: ObjectStore, name: str) -> Iterator[tuple[Oid, str]]:
    """Every snapshot here that the reflog names for a stub, and what was said, the newest first.

    What was said when a tag was set is what the source calls the snapshot: one name, or several
    with spaces between them.
    """
    changes = [line.change for line in store.names.reflog.read() if line.change is not None]
    seen = set()
    for change in reversed(changes):
        said = change.message if change.tag else ""
        if change.stub == name and change.new is not None and (change.new, said) not in seen:
            seen.add((change.new, said))
            if store.knows(change.new):
                yield change.new, said


def history(store: ObjectStore, tip: Oid) -> Iterator[tuple[Oid, Snapshot]]:
    """A snapshot and all it follows that are here, the newest first.

    Parents may be missing: a pulled snapshot comes without its history.
    """
    seen = {tip}
    pending = [(tip, store.snapshot(tip))]
    while pending:
        pending.sort(key=lambda item: item[1].time)
        oid, snapshot = pending.pop()
        yield oid, snapshot
        for parent in snapshot.parents:
            if parent not in seen and store.knows(parent):
                seen.add(parent)
                pending.append((parent, store.snapshot(parent)))


def follows(store: ObjectStore, snapshot: Oid, ancestor: Oid) -> bool:
    """Whether `snapshot` is `ancestor` or has it in its history."""
    return any(oid == ancestor for oid, _ in history(store, snapshot))
