"""Roots: the snapshots that are kept, because of a name, a checkout, or what was done lately."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from zoostore.digest import Oid
from zoostore.ops.history import history
from zoostore.ops.known_checkouts import KnownCheckout, known_checkouts
from zoostore.store.index import Reader
from zoostore.store.lost_names import lost_names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange, RefRecord


@dataclass(frozen=True, slots=True)
class Earlier:
    """A snapshot that a name led to, and does not any more.

    Attributes:
        stub: the name.
        snapshot: what it led to.
        since: when it ceased to, in seconds since 1970-01-01 UTC.
        was_removed: whether the name itself was taken away, and not pointed elsewhere.
    """

    stub: str
    snapshot: Oid
    since: int
    was_removed: bool


@dataclass
class NameRoots:
    """What one name keeps.

    Attributes:
        lines: snapshots that are kept with all they follow.
        alone: snapshots that are kept without.
        lately: snapshots that it led to until lately, kept with all they follow.
        let_go: what it does not keep any more.
    """

    lines: set[Oid] = field(default_factory=set)
    alone: set[Oid] = field(default_factory=set)
    lately: set[Oid] = field(default_factory=set)
    let_go: list[Earlier] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Roots:
    """All that is kept, and what is not any more.

    Attributes:
        names: by stub.
        gone: what names led to that were taken away.
        checkouts: the directories that count.
        end: how far the reflog says so, in bytes: what lines behind that say is not in here.
    """

    names: dict[str, NameRoots]
    gone: list[Earlier]
    checkouts: list[KnownCheckout]
    end: int

    def let_go(self) -> list[Earlier]:
        """What names that are still there do not keep any more."""
        return [earlier for found in self.names.values() for earlier in found.let_go]

    def checked_out(self) -> set[Oid]:
        return set().union(*(checkout.snapshots for checkout in self.checkouts))


def find_roots(
    store: ObjectStore,
    *,
    grace: float,
    now: float,
    keep_recent: int | None = None,
    without: Collection[str] = (),
) -> Roots:
    """Find what is kept.

    Args:
        grace: how long what a name led to is kept, in seconds.
        keep_recent: how many snapshots of a name's history are kept; None: all.
        without: names that are to be taken away.
    """
    # All of one moment: a line may stand in the reflog before the index knows what it says.
    refs, tagged, end = store.names.view(_known_names)
    reading = _Reading()
    for line in store.names.reflog.read():
        if line.end <= end and line.change is not None:
            reading.read(line.change)
    gone = list(reading.gone)
    names = {}
    for stub, record in refs.items():
        earlier = reading.moved.get(stub, {})
        tags = tagged.get(stub, set())
        if stub in without:
            tips = {record.snapshot, *tags, *earlier}
            gone += [Earlier(stub, tip, int(now), was_removed=True) for tip in tips]
        else:
            found = NameRoots({record.snapshot} | tags)
            found.lately = {oid for oid, since in earlier.items() if now - since < grace}
            late = [(oid, since) for oid, since in earlier.items() if oid not in found.lately]
            found.let_go = [Earlier(stub, oid, since, was_removed=False) for oid, since in late]
            if keep_recent is not None:
                _keep_recent(store, stub, record.snapshot, tags, keep_recent, found)
            names[stub] = found
    for lost in lost_names(store.layout):
        for change in lost.changes:
            if change.new is not None and store.knows(change.new):
                names.setdefault(change.stub, NameRoots()).lines.add(change.new)
    checkouts = [found for found in known_checkouts(store) if found.counts(grace, now)]
    return Roots(names, gone, checkouts, end)


def _known_names(index: Reader) -> tuple[dict[str, RefRecord], dict[str, set[Oid]], int]:
    """What refs and tags lead to, and how much of the reflog says so, in bytes."""
    tagged: dict[str, set[Oid]] = {}
    for stub, _, snapshot in index.all_tags():
        tagged.setdefault(stub, set()).add(snapshot)
    return dict(index.refs()), tagged, index.reflog_position().length


def roots_since(store: ObjectStore, end: int) -> Iterator[Oid]:
    """The snapshots that names and checkouts have come to lead to since the reflog was read."""
    for line in store.names.reflog.read(end):
        if line.change is not None and line.change.new is not None:
            yield line.change.new
    for checkout in known_checkouts(store):
        if checkout.is_there or checkout.is_being_made:
            yield from checkout.snapshots


def _keep_recent(
    store: ObjectStore, stub: str, tip: Oid, tags: set[Oid], count: int, found: NameRoots
) -> None:
    line = list(history(store, tip))
    recent = {oid for oid, _ in line[: max(count, 1)]}
    found.lines = set()
    found.alone = recent | tags
    found.lately -= {oid for oid, _ in line}
    beyond = [(oid, snapshot) for oid, snapshot in line if oid not in found.alone]
    found.let_go += [
        Earlier(stub, oid, snapshot.time, was_removed=False) for oid, snapshot in beyond
    ]


class _Reading:
    """What the reflog says of names that lead elsewhere by now, read line by line.

    Attributes:
        moved: by stub, the snapshots that it led to since it was made, and when it ceased to.
        gone: what names led to that were taken away.
    """

    def __init__(self) -> None:
        self.moved: dict[str, dict[Oid, int]] = {}
        self.gone: list[Earlier] = []
        self._current: dict[str, Oid] = {}
        self._tags: dict[str, set[Oid]] = {}

    def read(self, change: RefChange) -> None:
        if change.is_note:
            return
        if change.tag:
            if change.new is not None:
                self._tags.setdefault(change.stub, set()).add(change.new)
        elif change.new is None:
            self._remove(change)
        else:
            self._move(change, change.new)

    def _move(self, change: RefChange, new: Oid) -> None:
        before = self._current.get(change.stub)
        moved = self.moved.setdefault(change.stub, {})
        if before is not None and before != new:
            moved[before] = change.time
        moved.pop(new, None)
        self._current[change.stub] = new

    def _remove(self, change: RefChange) -> None:
        tips = {*self.moved.pop(change.stub, {}), *self._tags.pop(change.stub, ())}
        current = self._current.pop(change.stub, None)
        if current is not None:
            tips.add(current)
        self.gone += [Earlier(change.stub, tip, change.time, was_removed=True) for tip in tips]
