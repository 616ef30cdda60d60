"""gc: free what no name, no checkout and no work in progress needs. Only when it is asked to.

First everything that is kept is marked, from the roots down; what is left over on the disk can
go. That is the plan, and without a word more nothing is done. Then the objects are swept, while
others may be writing: see `store.sweeping`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from zoostore.errors import DamagedContent, Diverged, UnknownStub
from zoostore.files.claim import SUFFIX, claim
from zoostore.files.sharing import make_folder
from zoostore.ops.evicting import Evicted, Fit, choose_evicted
from zoostore.ops.fates import IN_WORK, MOVED, REMOVED, UNFINISHED, Fates, Garbage, Why
from zoostore.ops.graph import Graph
from zoostore.ops.leftovers import Leftover, find_leftovers, remove_leftovers
from zoostore.ops.names import remove
from zoostore.ops.numbering import Marks
from zoostore.ops.on_disk import OnDisk, on_disk
from zoostore.ops.reach import Reach
from zoostore.ops.roots import Roots, find_roots, roots_since
from zoostore.store.in_flight import oldest_work
from zoostore.store.objectstore import ObjectStore
from zoostore.store.sweeping import Revived, sweep_loose, sweep_packs

GRACE_SECONDS = 14 * 86_400
"""How long is kept what nobody asked to have removed; Git's `gc.pruneExpire` is the same."""


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
    kept: Marks
    dead: Fates
    waiting: Fates
    fit: Fit
    leftovers: list[Leftover] = field(default_factory=list)

    def collected(self, *, dry_run: bool) -> Collected:
        """What it comes to."""
        removed = self.dead.tally()
        objects = sum(garbage.objects for garbage in removed)
        taken = sum(garbage.bytes for garbage in removed)
        return Collected(
            dry_run,
            objects,
            taken,
            len(self.disk.sizes) - objects,
            sum(self.disk.sizes) - taken,
            removed,
            self.waiting.tally(),
            self.fit.evicted,
            self.fit.over,
            tuple(self.leftovers),
        )


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
        fit = choose_evicted(store, graph, roots, options.max_size)
        roots = find([model.stub for model in fit.evicted])
    plan = _Plan(roots, disk, graph, Marks(disk.numbering), Fates(disk), Fates(disk), fit)
    _mark(plan)
    _mark_lately(plan)
    _sort_out(store, plan, options.grace, now)
    plan.leftovers = find_leftovers(store, plan.kept, **limits)
    return plan


def _mark(plan: _Plan) -> None:
    """Mark what is kept for good."""
    reach = Reach(plan.graph, plan.kept)
    for found in plan.roots.names.values():
        reach.add_lines(found.lines)
        for snapshot in found.alone:
            reach.add(snapshot)
    reach.add_those_here(plan.roots.checked_out())


def _mark_lately(plan: _Plan) -> None:
    """Mark what is kept because a name led to it until lately."""
    for stub, found in plan.roots.names.items():
        for snapshot in found.lately:
            if snapshot not in plan.kept and plan.graph.has_snapshot(snapshot):
                reach = Reach(plan.graph, plan.kept)
                reach.add_lines([snapshot])
                for number in reach.here():
                    plan.waiting.set(number, Why(MOVED, stub, snapshot))


def _sort_out(store: ObjectStore, plan: _Plan, grace: float, now: float) -> None:
    """Say of each object on the disk that is not kept why it goes, or not yet."""
    begun = oldest_work(store.layout, now)
    for number, why in _explained(plan):
        changed = plan.disk.changed(number)
        if changed >= begun:
            plan.waiting.set(number, Why(IN_WORK))
        elif why.reason == UNFINISHED and now - changed < grace:
            plan.waiting.set(number, why)
        else:
            plan.dead.set(number, why)


def _explained(plan: _Plan) -> Iterator[tuple[int, Why]]:
    """Why objects are here that nothing needs: what led to them, as far as that can be told."""
    explained = plan.kept.copy()
    for earlier in [*plan.roots.gone, *plan.roots.let_go()]:
        if plan.disk.numbering.find(earlier.snapshot) is None or earlier.snapshot in explained:
            continue
        reach = Reach(plan.graph, explained, strict=False)
        reach.add_lines([earlier.snapshot])
        reason = REMOVED if earlier.was_removed else MOVED
        why = Why(reason, earlier.stub, earlier.snapshot, earlier.since)
        yield from ((number, why) for number in reach.here())
    yield from ((number, Why(UNFINISHED)) for number in explained.without())


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
    plan.graph.forget()
    gone = Marks(plan.disk.numbering)
    sweep_loose(store.names, plan.disk.loose_among(plan.dead), revived, gone.mark)
    left_damaged = ""
    try:
        sweep_packs(store.names, plan.disk.packs_with(plan.dead), revived, gone.mark)
    except DamagedContent as error:
        left_damaged = error.message
    store.forget_packs()
    for number in plan.dead:
        if not gone.has(number):
            plan.dead.forget(number)
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
        reach = Reach(plan.graph, plan.kept.copy())
        since = roots_since(store, plan.roots.end)
        reach.add_lines(filter(plan.graph.has_snapshot, since))
        return {plan.disk.numbering.oid(number) for number in reach.objects}

    return revived
