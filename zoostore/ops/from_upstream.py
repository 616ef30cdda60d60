"""Pulling from an upstream: a source that calls contents by other digests than ours.

Its state has no snapshot until the content of every file is known. What the store has under
any of the digests, or finds to have them, is not downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zoostore.digest import Digest, Oid
from zoostore.errors import Diverged, WrongContent
from zoostore.files.globs import Selector
from zoostore.objects.listing import EMPTY_TREE, Listing, build
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import flatten, totals
from zoostore.ops.fetching import StartDownloads, receive_downloads
from zoostore.ops.history import LEFT_OUT, Found, history, is_in_part
from zoostore.ops.keeping import kept_on_errors
from zoostore.ops.pulled import Pulled, commit_state, keep_name, pulled, ref_change
from zoostore.ops.recording import put_snapshot, put_trees
from zoostore.progress import Progress
from zoostore.sources.base import Upstream, UpstreamFile
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange, RefRecord
from zoostore.store.refs import PULL
from zoostore.stubs import is_tag_name
from zoostore.transport.wanted import Arrived, Wanted

_CANDIDATES = 4
"""For each file that is not known to be here, so many others of its size are read at most."""

_COMPUTED_HERE = "this store"
"""The origin of digests that nobody asked us for."""


@dataclass(frozen=True, slots=True)
class UpstreamPlan:
    """What a pull from an upstream would do.

    Attributes:
        chosen: the files that were chosen, by path.
        here: those that are here already.
        before: files of the same state that were pulled earlier, and stay part of it.
        learned: digests that were computed to find that out.
        since: the store's sweep mark before anything was looked for.
        base: what the ref was when the plan was made; nothing else is replaced by it.
    """

    upstream: Upstream
    chosen: Mapping[str, UpstreamFile]
    here: Listing
    before: Listing
    learned: Mapping[Oid, frozenset[Digest]]
    since: bytes
    base: RefRecord | None = None

    @property
    def missing(self) -> dict[Wanted, list[str]]:
        """What must be downloaded, with the paths that it is for."""
        found: dict[object, tuple[Wanted, list[str]]] = {}
        for path, file in self.chosen.items():
            if path not in self.here:
                key = (file.wanted.digests, file.wanted.size) if file.wanted.digests else path
                found.setdefault(key, (file.wanted, []))[1].append(path)
        return dict(found.values())

    def summary(self, snapshot: Oid | None = None, listing: Listing | None = None) -> Pulled:
        """What it comes to.

        Args:
            snapshot: what was made of it, if it was done.
            listing: what that holds.
        """
        missing = self.missing
        if listing is not None:
            files, size = totals(listing)
        else:
            files = len(self.chosen)
            size = sum(file.wanted.size or 0 for file in self.chosen.values())
        moved = sum(self._size(wanted, paths, listing) for wanted, paths in missing.items())
        named = sorted((paths[0], wanted.size or 0) for wanted, paths in missing.items())
        totals_of_it = (files, size, len(missing), moved, files - len(missing), size - moved)
        stub, notes = self.upstream.stub, self.upstream.notes
        source = self.upstream.source if missing else ""
        return Pulled(stub, snapshot, *totals_of_it, source, tuple(named), notes)

    @staticmethod
    def _size(wanted: Wanted, paths: list[str], listing: Listing | None) -> int:
        return listing[paths[0]].size if listing is not None else wanted.size or 0

    @property
    def left_out(self) -> int:
        """How many files of the upstream the snapshot will not have."""
        return sum(
            file.path not in self.chosen and file.path not in self.before
            for file in self.upstream.files
        )


def plan_upstream(
    store: ObjectStore,
    upstream: Upstream,
    is_chosen: Selector,
    before: Listing,
    progress: Progress,
) -> UpstreamPlan:
    """What is to be downloaded.

    Args:
        before: files of the same state that were pulled earlier.

    Raises:
        UnsafePath, MalformedObject: the paths cannot stand in a snapshot; nothing was fetched.
    """
    since = store.sweep_mark()
    nothing = Entry(Kind.FILE, 0, EMPTY_TREE)
    build({file.path: nothing for file in upstream.files})  # refuses what cannot be safe
    files = {file.path: file for file in upstream.files}
    chosen = {path: file for path, file in files.items() if is_chosen(path, Kind.FILE)}
    unknown = [file.wanted for file in chosen.values() if _find(store, file.wanted, {}) is None]
    learned = _recognise(store, unknown, progress)
    known = {digest: oid for oid, digests in learned.items() for digest in digests}
    here = {}
    for path, file in chosen.items():
        oid = _find(store, file.wanted, known)
        if oid is not None:
            here[path] = Entry(Kind.FILE, store.size_of_blob(oid) or 0, oid)
    kept = {path: entry for path, entry in before.items() if path in files}
    return UpstreamPlan(upstream, chosen, here, kept, learned, since)


def _find(store: ObjectStore, wanted: Wanted, known: Mapping[Digest, Oid]) -> Oid | None:
    for digest in wanted.digests:
        oid = known.get(digest) or store.find(digest)
        if oid is not None and wanted.size in (None, store.size_of_blob(oid)):
            return oid
    return None


def _recognise(
    store: ObjectStore, missing: list[Wanted], progress: Progress
) -> dict[Oid, frozenset[Digest]]:
    """The digests of contents here that could be those that are missing.

    What was added from a directory has no digests but its oid. A content of the same size may
    be the one: to read it is cheaper than to download it.
    """
    wanted: dict[int, set[str]] = {}
    counts: dict[int, int] = {}
    for item in missing:
        if item.size and item.digests:
            wanted.setdefault(item.size, set()).update(digest.algorithm for digest in item.digests)
            counts[item.size] = counts.get(item.size, 0) + 1
    if not wanted:
        return {}
    named = store.names.view(lambda index: set(index.named(set().union(*wanted.values()))))
    found = {}
    for size, oids in store.blobs_of_sizes(wanted).items():
        candidates = [oid for oid in oids if oid not in named and store.has(oid)]
        for oid in candidates[: _CANDIDATES * counts[size]]:
            progress.note(f"reading {oid.short}, which may be what is to be pulled")
            found[oid] = store.digests_of(oid, wanted[size])
    return found


def fetch_upstream(
    batch: Batch, plan: UpstreamPlan, start: StartDownloads, progress: Progress
) -> dict[str, Entry]:
    """Download what is missing; the listing of the snapshot. What did arrive stays.

    Raises:
        TransferFailed: a file cannot be had.
        WrongContent: what came for one is not what the upstream promised.
    """
    missing = plan.missing
    listing = {**plan.before, **plan.here}

    def take(arrived: Arrived) -> None:
        for path in missing[arrived.wanted]:
            listing[path] = Entry(Kind.FILE, arrived.size, arrived.oid)

    progress.begin("pulling", sum(wanted.size or 0 for wanted in missing))
    try:
        with kept_on_errors(batch):
            batch.note_aliases(_COMPUTED_HERE, plan.learned)
            if missing:
                _download(batch, list(missing), plan.upstream.source, start, take)
    finally:
        progress.end()
    return listing


def _download(
    batch: Batch,
    wanted: list[Wanted],
    origin: str,
    start: StartDownloads,
    take: Callable[[Arrived], None],
) -> None:
    with start() as downloads:
        failures = receive_downloads(batch, downloads, wanted, origin, take)
    for error in failures:
        if isinstance(error, WrongContent):
            raise error
    if failures:
        raise failures[0]


def pull_upstream(
    store: ObjectStore,
    plan: UpstreamPlan,
    revision: str,
    start: StartDownloads,
    now: int,
    progress: Progress,
    *,
    force: bool,
) -> Pulled:
    """Bring a state here, and point the model's ref to it once all that was chosen is here.

    With a revision, a ref to another state stays, and the state becomes a tag of it.

    Args:
        revision: what was asked for, in the source's words; empty for its newest.

    Raises:
        Diverged: the model was changed here.
        And what `fetch_upstream` raises.
    """
    upstream = plan.upstream
    record = plan.base
    if record is not None and not record.is_pulled and not revision and not force:
        return _ahead(store, plan, record)
    with Batch(store, plan.since) as batch:
        listing = fetch_upstream(batch, plan, start, progress)
        tree = put_trees(batch, listing)
        oid, snapshot = record_state(batch, upstream, tree, listing, plan.left_out)
        found = Found(upstream.stub, oid, snapshot)
        moves = record is None or not revision or _is_same_state(store, record, snapshot)
        if moves and (record is None or record.snapshot != oid):
            old = record.snapshot if record else None
            commit_state(store, batch, ref_change(found, old, now, f"from {upstream.source}"))
        else:
            batch.publish()
        if revision:
            keep_tag(store, batch, found, revision, now)
    return plan.summary(oid, listing)


def record_state(
    batch: Batch, upstream: Upstream, tree: Oid, listing: Listing, left_out: int | None
) -> tuple[Oid, Snapshot]:
    """Take the snapshot of what was pulled into a batch.

    Whoever pulls the same state gets the same snapshot.

    Args:
        tree: that of the listing, which is in the batch.
        left_out: how many files of the state the listing does not have; None: nobody knows.
    """
    said = "unknown" if left_out is None else str(left_out)
    files, size = totals(listing)
    batch.rely_on(entry.oid for entry in listing.values() if entry.kind.is_file)
    snapshot = Snapshot(
        tree=tree,
        files=files,
        size=size,
        stub=upstream.stub,
        time=upstream.time,
        source=upstream.source,
        revision=upstream.revision,
        metadata={} if left_out == 0 else {LEFT_OUT: said},
    )
    return put_snapshot(batch, snapshot), snapshot


def _ahead(store: ObjectStore, plan: UpstreamPlan, record: RefRecord) -> Pulled:
    """What a pull comes to where the model was changed here, on top of the same state.

    Raises:
        Diverged: it was changed on top of another.
    """
    upstream = plan.upstream
    if not any(
        snapshot.revision == upstream.revision for _, snapshot in history(store, record.snapshot)
    ):
        raise Diverged(
            f"{upstream.stub} was changed here: it points to {record.snapshot.short}, which does "
            f"not follow {upstream.revision}, the source's state. Nothing was pulled.",
            stub=upstream.stub,
            current=str(record.snapshot),
            offered=upstream.revision,
        )
    listing = flatten(store.tree, store.snapshot(record.snapshot).tree)
    return pulled(upstream.stub, record.snapshot, listing)._replace(notes=upstream.notes)


def _is_same_state(store: ObjectStore, record: RefRecord, snapshot: Snapshot) -> bool:
    return record.is_pulled and store.snapshot(record.snapshot).revision == snapshot.revision


def keep_tag(store: ObjectStore, batch: Batch, found: Found, revision: str, now: int) -> None:
    """Name a state that was asked for, so that it is found again without asking the source.

    Args:
        batch: has taken in, or found, what it is made of.
    """
    is_whole = not is_in_part(found.snapshot)
    can_be_tag = is_tag_name(found.snapshot.revision)
    tag = found.snapshot.revision if is_whole and can_be_tag else found.id.short
    taken = store.names.tags(found.stub)
    if tag in taken and taken[tag] != found.id:
        tag = found.id.short
    if taken.get(tag) == found.id:
        return
    said = "" if revision == found.snapshot.revision else revision
    change = RefChange(found.stub, found.id, None, PULL, now, tag=tag, message=said)
    keep_name(store, batch, change)
