"""repair: set aside what is damaged, and get it back from anyone who has it.

Nothing that might be good is removed: what is damaged goes to `quarantine`. What nobody has stays
known as missing, unless it is to be dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, ZooError
from zoostore.objects.listing import Listing
from zoostore.objects.walking import flatten
from zoostore.ops.asking import Sources
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.completing import complete
from zoostore.ops.dropping import drop_lost
from zoostore.ops.findings import Finding, Report, is_oid
from zoostore.ops.history import Found, history
from zoostore.ops.missing import Missing
from zoostore.ops.regaining import lost_structure, regain_structure
from zoostore.ops.repairing_checkouts import repair_checkout, repair_link
from zoostore.ops.repairing_names import (
    clean_reflog,
    correct_aliases,
    make_index_anew,
    restore_names,
)
from zoostore.ops.verify import settle, summary, survey
from zoostore.ops.verifying_names import partial_snapshots, tips_of
from zoostore.progress import Progress
from zoostore.store.lost_names import lost_names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

AskFor = Callable[[str], Sources]
"""Gives the sources for a model of this name."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name whose snapshot was given up, or is in part from now on.

    Attributes:
        stub, tag: the name; `tag` is empty for the ref itself.
        snapshot: what it leads to now; None if it is gone.
        lost: the snapshot that is lost, or lacks files.
    """

    stub: str
    tag: str
    snapshot: Oid | None
    lost: Oid | None


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair found, and what it did.

    Attributes:
        dry_run: whether nothing was done.
        damaged: what was damaged or missing.
        repaired: of that, what is as it should be now.
        missing: of that, what nobody has. What was dropped is among it.
        dropped: names that were changed for what is missing.
        restored: the stubs of names that had been lost, and lead somewhere again.
    """

    dry_run: bool
    damaged: tuple[Finding, ...]
    repaired: tuple[Finding, ...] = ()
    missing: tuple[Finding, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    restored: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.missing or bool(self.dropped)


def repair(
    store: ObjectStore,
    stubs: Sequence[str],
    ask_for: AskFor,
    now: int,
    progress: Progress,
    *,
    drop: bool = False,
    dry_run: bool = False,
) -> Repaired:
    """Verify, and repair what is found.

    Args:
        stubs: repair what these need; none: everything.
        now: the time of changes of names, in seconds since 1970-01-01 UTC.
        drop: give up what nobody has.
        dry_run: only say what is damaged.

    Raises:
        ReadOnlyStore: the store cannot be written to.
    """
    if not dry_run:
        store.names.require_writable()
    report = survey(store, stubs, progress)
    found = summary(report)
    damaged = (*found.damaged, *found.missing)
    if dry_run:
        return Repaired(True, damaged)
    settle(store, report)
    work = _Repair(store, ask_for, now, progress, report)
    work.set_aside()
    restored = work.repair_names()
    names = list(stubs) or list(store.names.refs())
    work.regain(names)
    dropped = tuple(work.drop(names)) if drop else ()
    work.repair_checkouts()
    return _outcome(work, names, damaged, dropped, restored)


@dataclass
class _Repair:
    store: ObjectStore
    ask_for: AskFor
    now: int
    progress: Progress
    report: Report
    lacking: dict[str, dict[Oid, dict[Oid, list[str]]]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    beyond_repair: set[str] = field(default_factory=set)

    def set_aside(self) -> None:
        """Take away what is damaged. What is intact beside it, or elsewhere here, counts."""
        for oid in sorted(self.report.loose):
            self.store.set_aside(oid)
        for name in sorted(self.report.packs):
            self.store.mend_pack(name)

    def repair_names(self) -> tuple[str, ...]:
        correct_aliases(self.store, self.report.wrong_aliases)
        reflog = str(self.store.layout.reflog)
        is_wrong = self.report.wrong_aliases or self.report.index_is_wrong
        if is_wrong or reflog in self.report.damaged:
            make_index_anew(self.store)
        restored = [change.stub for change in restore_names(self.store, self.now)]
        clean_reflog(self.store)
        return tuple(dict.fromkeys(restored))

    def regain(self, names: Sequence[str]) -> None:
        """Get back trees and snapshots, and then the files that they name."""
        store = self.store
        damaged = set(filter(is_oid, self.report.damaged))
        for name in names:
            tips = self._snapshots(name)
            lost = {Oid.parse(what) for what in damaged if self._is_lost_snapshot(what, name)}
            if lost or any(True for _ in lost_structure(store, tips)):
                with self.ask_for(name) as sources:
                    regain_structure(store, sources.usable(), [*tips, *lost])
        partial = partial_snapshots(store)
        for name in names:
            for oid in self._snapshots(name):
                self._regain_files(name, oid, damaged if oid in partial else None)

    def _is_lost_snapshot(self, what: str, name: str) -> bool:
        """Whether a damaged object is one that a model needs beside its files."""
        is_named = name in self.report.models.get(what, ()) and not self.report.paths.get(what)
        return is_named and self.store.location(Oid.parse(what)) is None

    def _snapshots(self, name: str) -> list[Oid]:
        """The newest, the tagged, and what they follow and is here."""
        found: dict[Oid, None] = {}
        for tip in sorted(tips_of(self.store, name)):
            found[tip] = None
            try:
                found |= dict.fromkeys(oid for oid, _ in history(self.store, tip))
            except DamagedContent:
                continue
        return list(found)

    def _regain_files(self, name: str, oid: Oid, only: set[str] | None) -> None:
        """Get back the files of a snapshot.

        Args:
            only: those alone; None: all. Of a snapshot in part not all were ever here.
        """
        found = self._readable(name, oid)
        if found is None:
            return
        listing = flatten(self.store.tree, found.snapshot.tree)
        wanted: Listing = listing
        if only is not None:
            wanted = {
                path: entry
                for path, entry in listing.items()
                if entry.kind.is_file and str(entry.oid) in only
            }
        missing = missing_blobs(self.store, wanted)
        if missing is None:
            return
        self._complete(found, missing)
        left = missing_blobs(self.store, wanted)
        if left is not None:
            paths: dict[Oid, list[str]] = {}
            for path, entry in wanted.items():
                if entry.oid in left:
                    paths.setdefault(entry.oid, []).append(path)
            self.lacking.setdefault(name, {})[oid] = paths

    def _readable(self, name: str, oid: Oid) -> Found | None:
        try:
            if any(True for _ in lost_structure(self.store, [oid])):
                return None
            return Found(name, oid, self.store.snapshot(oid))
        except DamagedContent:
            return None

    def _complete(self, found: Found, missing: Missing) -> None:
        try:
            with self.ask_for(found.stub) as sources:
                complete(self.store, sources, found, missing, self.progress)
        except ZooError as error:
            for oid in missing:
                self.why[str(oid)] = error.message

    def repair_checkouts(self) -> None:
        """Make right what directories know of themselves, and links that lead elsewhere."""
        for root, record in self.report.checkouts.items():
            if not repair_checkout(self.store, root):
                self.beyond_repair.add(str(record))
        for file, oid in self.report.links.items():
            if not repair_link(self.store, file, oid):
                self.beyond_repair.add(str(file))

    def drop(self, names: Sequence[str]) -> Iterator[Dropped]:
        lacking = {
            stub: {oid: len(paths) for oid, paths in snapshots.items()}
            for stub, snapshots in self.lacking.items()
        }
        for change in drop_lost(self.store, names, lacking, self.now):
            yield _dropped(change)


def _dropped(change: RefChange) -> Dropped:
    return Dropped(change.stub, change.tag, change.new, change.old)


def _outcome(
    work: _Repair,
    names: Sequence[str],
    damaged: tuple[Finding, ...],
    dropped: tuple[Dropped, ...],
    restored: tuple[str, ...],
) -> Repaired:
    """What is as it should be now, and what is not: seen by looking, not by what was done."""
    still = _still_lost(work)
    repaired = tuple(finding for finding in damaged if finding.what not in still)
    missing = tuple(
        replace(finding, reason=f"{finding.reason}. {work.why.get(finding.what, '')}".rstrip(". "))
        for finding in damaged
        if finding.what in still
    )
    missing += tuple(_lost_beside(work, names, damaged))
    return Repaired(False, damaged, repaired, missing, dropped, restored)


def _lost_beside(
    work: _Repair, names: Sequence[str], damaged: Sequence[Finding]
) -> Iterator[Finding]:
    """What names lack that were not known when it was verified."""
    known = {finding.what for finding in damaged}
    for name in names:
        for oid in lost_structure(work.store, sorted(tips_of(work.store, name))):
            if str(oid) not in known:
                known.add(str(oid))
                yield Finding(str(oid), f"{name} needs it, and it is not in the store", (name,))


def _still_lost(work: _Repair) -> set[str]:
    """What was found damaged or missing, and is so still."""
    store, report = work.store, work.report
    lost = {
        str(oid)
        for snapshots in work.lacking.values()
        for paths in snapshots.values()
        for oid in paths
    }
    for what, models in report.models.items():
        if is_oid(what) and models and not store.has(Oid.parse(what)):
            lost.add(what)
    lost |= {str(item.path) for item in lost_names(store.layout)}
    return lost | work.beyond_repair
