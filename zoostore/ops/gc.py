"""gc: free what no name, no checkout and no work in progress needs. Only when it is asked to.

First everything that is kept is marked, from the roots down; what is left over on the disk can
go. That is the plan, and without a word more nothing is done. Then the objects are swept, while
others may be writing: see `store.sweeping`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, Diverged, UnknownStub
from zoostore.files.claim import SUFFIX, claim
from zoostore.files.sharing import make_folder
from zoostore.ops.evicting import Evicted, Fit, choose_evicted
from zoostore.ops.graph import Graph
from zoostore.ops.leftovers import Leftover, find_leftovers, remove_leftovers
from zoostore.ops.names import remove
from zoostore.ops.on_disk import OnDisk, on_disk
from zoostore.ops.reach import Reach
from zoostore.ops.roots import Roots, find_roots, roots_since
from zoostore.store.in_flight import oldest_work
from zoostore.store.objectstore import ObjectStore
from zoostore.store.sweeping import Revived, sweep_loose, sweep_packs

GRACE_SECONDS = 14 * 86_400
"""How long is kept what nobody asked to have removed; Git's `gc.pruneExpire` is the same."""

REMOVED = "removed"
MOVED = "moved on"
UNFINISHED = "unfinished"
IN_WORK = "in work"


class Why(NamedTuple):
    """Why objects can go, or cannot yet.

    Attributes:
        reason: `removed`: the name was taken away; `moved on`: the name leads elsewhere;
            `unfinished`: a command that did not end left them; `in work`: a process is at work
            that may need them.
        stub: the name that led to them; empty if none did.
        snapshot: the snapshot that needs them; None if none does.
        since: when it ceased to be kept, in seconds since 1970-01-01 UTC; 0 if nobody knows.
    """

    reason: str
    stub: str = ""
    snapshot: Oid | None = None
    since: int = 0


class Garbage(NamedTuple):
    """Objects that share a fate; `bytes` is what they take."""

    why: Why
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Options:
    """What to free.

    Attributes:
        grace: for how many seconds to keep what nobody asked to have removed.
        max_size: let go of models until what is kept fits so many bytes; None: of none.
        keep_recent: keep so many snapshots of each model's history; None: all.
    """

    grace: float = GRACE_SECONDS
    max_size: int | None = None
    keep_recent: int | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What was freed, or would be.

    Attributes:
        dry_run: whether nothing was done.
        removed_objects, removed_bytes: what goes.
        kept_objects, kept_bytes: what stays.
        removed: what goes, and why.
        waiting: what goes later: nothing needs it, and its time has not come.
        evicted: the models that were let go of.
        over: by how many bytes `max_size` is missed even so.
        leftovers: what else goes that is no object.
        left_damaged: why packs were left as they are; empty if none was.
    """

    dry_run: bool
    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    removed: tuple[Garbage, ...]
    waiting: tuple[Garbage, ...] = ()
    evicted: tuple[Evicted, ...] = ()
    over: int = 0
    leftovers: tuple[Leftover, ...] = ()
    left_damaged: str = ""


def gc(store: ObjectStore, options: Options, now: float, *, dry_run: bool) -> Collected:
    """Find what can go, and remove it unless it is a dry run.

    Raises:
        DamagedContent: what a model needs cannot be read, so nobody knows what can go.
        StoreBusy: another process does the same.
        ReadOnlyStore: it is no dry run, and the store cannot be written to.
    """
    if dry_run:
        return _plan(store, options, now).collected(dry_run=True)
    store.names.require_writable()
    layout = store.layout
    make_folder(layout.tmp)
    with claim(layout.tmp / f"gc{SUFFIX}", f"{layout.root}"):
        return _apply(store, options, now)


@dataclass
class _Plan:
    roots: Roots
    disk: OnDisk
    graph: Graph
    kept: set[bytes]
    dead: dict[bytes, Why]
    waiting: dict[bytes, Why]
    fit: Fit
    leftovers: list[Leftover] = field(default_factory=list)

    def collected(self, *, dry_run: bool) -> Collected:
        """What it comes to."""
        removed, bytes_removed = len(self.dead), self._bytes(self.dead)
        return Collected(
            dry_run,
            removed,
            bytes_removed,
            len(self.disk.sizes) - removed,
            self._bytes(self.disk.sizes) - bytes_removed,
            self._tally(self.dead),
            self._tally(self.waiting),
            self.fit.evicted,
            self.fit.over,
            tuple(self.leftovers),
        )

    def _bytes(self, oids: Iterable[bytes]) -> int:
        return sum(self.disk.sizes[oid] for oid in oids)

    def _tally(self, oids: Mapping[bytes, Why]) -> tuple[Garbage, ...]:
        found: dict[Why, list[int]] = {}
        for oid, why in oids.items():
            found.setdefault(why, []).append(self.disk.sizes[oid])
        return tuple(Garbage(why, len(sizes), sum(sizes)) for why, sizes in found.items())


def _plan(store: ObjectStore, options: Options, now: float) -> _Plan:
    limits = {"grace": options.grace, "now": now}

    def find(without: Collection[str] = ()) -> Roots:
        recent = options.keep_recent
        return find_roots(store, keep_recent=recent, without=without, **limits)

    roots = find()
    disk = on_disk(store.layout)
    graph = Graph(store.without_mending(), disk)
    fit = Fit((), 0)
    if options.max_size is not None:
        fit = choose_evicted(store, graph, roots, disk.sizes, options.max_size)
        roots = find([model.stub for model in fit.evicted])
    kept = _mark(graph, roots)
    lately = _mark_lately(graph, roots, kept)
    plan = _Plan(roots, disk, graph, kept | lately.keys(), {}, {}, fit)
    plan.waiting = {oid: why for oid, why in lately.items() if oid in disk.sizes}
    _sort_out(store, plan, options.grace, now)
    plan.leftovers = find_leftovers(store, plan.kept, **limits)
    return plan


def _mark(graph: Graph, roots: Roots) -> set[bytes]:
    """What is kept for good."""
    kept = Reach(graph)
    for found in roots.names.values():
        kept.add_lines(found.lines)
        for snapshot in found.alone:
            kept.add(snapshot)
    kept.add_those_here(roots.checked_out())
    return kept.objects


def _mark_lately(graph: Graph, roots: Roots, kept: set[bytes]) -> dict[bytes, Why]:
    """What is kept because a name led to it until lately."""
    lately: dict[bytes, Why] = {}
    for stub, found in roots.names.items():
        for snapshot in found.lately:
            if snapshot not in kept and graph.has_snapshot(snapshot):
                reach = Reach(graph, known=kept)
                reach.add_lines([snapshot])
                lately |= dict.fromkeys(reach.objects, Why(MOVED, stub, snapshot))
    return lately


def _sort_out(store: ObjectStore, plan: _Plan, grace: float, now: float) -> None:
    """Say of each object on the disk that is not kept why it goes, or not yet."""
    left = plan.disk.sizes.keys() - plan.kept
    if not left:
        return
    begun = oldest_work(store.layout, now)
    changed = plan.disk.changed(left)
    for oid, why in _explained(plan, left):
        if changed.get(oid, begun) >= begun:
            plan.waiting[oid] = Why(IN_WORK)
        elif why.reason == UNFINISHED and now - changed[oid] < grace:
            plan.waiting[oid] = why
        else:
            plan.dead[oid] = why


def _explained(plan: _Plan, left: set[bytes]) -> Iterator[tuple[bytes, Why]]:
    """Why objects are here that nothing needs: what led to them, as far as that can be told."""
    explained = set(plan.kept)
    for earlier in [*plan.roots.gone, *plan.roots.let_go()]:
        if earlier.snapshot not in left or earlier.snapshot in explained:
            continue
        reach = Reach(plan.graph, strict=False, known=explained)
        reach.add_lines([earlier.snapshot])
        reason = REMOVED if earlier.was_removed else MOVED
        why = Why(reason, earlier.stub, earlier.snapshot, earlier.since)
        yield from ((oid, why) for oid in reach.objects & left)
        explained |= reach.objects
    yield from ((oid, Why(UNFINISHED)) for oid in left - explained)


def _apply(store: ObjectStore, options: Options, now: float) -> Collected:
    first = _plan(store, options, now)
    # What takes no room in the index goes first: the disk may be full.
    remove_leftovers(first.leftovers)
    for model in first.fit.evicted:
        _evict(store, model.stub, now)
    plan = first
    if first.fit.evicted:
        plan = _plan(store, replace(options, max_size=None), now)
    remove_leftovers(plan.leftovers)
    revived = _revived(store, plan)
    dead = set(plan.dead)
    gone = sweep_loose(store.names, plan.disk.loose_among(dead), revived)
    left_damaged = ""
    try:
        gone |= sweep_packs(store.names, list(plan.disk.packs_with(dead)), revived)
    except DamagedContent as error:
        left_damaged = error.message
    store.forget_packs()
    plan.dead = {oid: why for oid, why in plan.dead.items() if oid in gone}
    done = plan.collected(dry_run=False)
    return replace(
        done,
        evicted=first.fit.evicted,
        over=first.fit.over,
        leftovers=tuple(dict.fromkeys([*first.leftovers, *plan.leftovers])),
        left_damaged=left_damaged,
    )


def _evict(store: ObjectStore, stub: str, now: float) -> None:
    try:
        remove(store, stub, int(now))
    except (Diverged, UnknownStub):  # somebody has just pulled it anew, or removed it
        return


def _revived(store: ObjectStore, plan: _Plan) -> Revived:
    """What names and checkouts have come to lead to since the plan was made."""

    def revived() -> Collection[bytes]:
        reach = Reach(plan.graph, known=plan.kept)
        since = roots_since(store, plan.roots.end)
        reach.add_lines(filter(plan.graph.has_snapshot, since))
        return reach.objects

    return revived
