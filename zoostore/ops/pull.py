"""pull: bring a source's model into the store, moving only what is not here."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace

from zoostore.digest import hash_bytes
from zoostore.errors import (
    MissingObject,
    NeededNetwork,
    StoreBusy,
    UnknownRevision,
    UnknownStub,
)
from zoostore.files.claim import SUFFIX, claim
from zoostore.files.globs import Selector
from zoostore.files.staging import host_name
from zoostore.objects.listing import Listing
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.walking import flatten
from zoostore.ops.asking import Sources, resolve
from zoostore.ops.bringing import missing_blobs, reused_if_complete
from zoostore.ops.choosing import choose, nothing_left
from zoostore.ops.completing import starter
from zoostore.ops.from_upstream import UpstreamPlan, plan_upstream, pull_upstream
from zoostore.ops.from_zoo import PullPlan, pull_offer
from zoostore.ops.history import Found, find, is_in_part, ref_name
from zoostore.ops.pulled import Pulled
from zoostore.progress import Progress
from zoostore.sources.base import Upstream
from zoostore.store.objectstore import ObjectStore
from zoostore.stubs import HUB, Stub

_HEX = re.compile(r"[0-9a-f]{4,64}")
_WAIT_SECONDS = 0.1


def plan_pull(
    store: ObjectStore, sources: Sources, stub: Stub, is_chosen: Selector, progress: Progress
) -> PullPlan | UpstreamPlan | Pulled:
    """What a pull would do; or what it comes to if everything is here already.

    Raises:
        NothingLeft: the globs choose no file.
        And what `resolve` and `plan_upstream` raise.
    """
    base, since = store.names.ref(stub.name), store.sweep_mark()
    here = _found_here(store, stub)
    if here is not None and _is_pinned(store, here, stub) and not is_in_part(here.snapshot):
        done = reused_if_complete(store, here, is_chosen)
        if done is not None:
            return done
        # A source need not know of our own tags and parents, but an id is an id.
        stub = Stub(here.stub, here.snapshot.revision if _is_of_hub(here) else str(here.id))
    try:
        resolved = resolve(sources, stub)
    except (UnknownStub, UnknownRevision, NeededNetwork):
        done = reused_if_complete(store, here, is_chosen) if here else None
        if done is None and stub.revision and ref_name(store, stub) is not None:
            find(store, stub)  # says that it is the revision that is not known
        if done is None:
            raise
        return done
    offer = resolved.value
    if isinstance(offer, Upstream):
        plan = _plan_upstream(store, offer, here, is_chosen, progress)
        return replace(plan, base=base, since=since) if isinstance(plan, UpstreamPlan) else plan
    if here is not None and here.id != offer.id and not stub.revision:
        # What a later source has is no news where the one that counts could not be asked.
        if resolved.failure is not None:
            raise resolved.failure
        done = reused_if_complete(store, here, is_chosen) if resolved.not_asked else None
        if done is not None:
            return done
    chosen = choose(offer.stub, offer.listing, is_chosen)
    return PullPlan(offer, resolved.source.name, chosen, missing_blobs(store, chosen), since)


def _plan_upstream(
    store: ObjectStore,
    upstream: Upstream,
    here: Found | None,
    is_chosen: Selector,
    progress: Progress,
) -> UpstreamPlan | Pulled:
    before: Listing = {}
    if here is not None and _is_state_of(here.snapshot, upstream):
        if not is_in_part(here.snapshot):
            done = reused_if_complete(store, here, is_chosen)
            if done is not None:
                return done._replace(notes=upstream.notes)
        listing = flatten(store.tree, here.snapshot.tree)
        before = {path: entry for path, entry in listing.items() if store.has(entry.oid)}
    plan = plan_upstream(store, upstream, is_chosen, before, progress)
    if upstream.files and not plan.chosen:
        raise nothing_left(upstream.stub, len(upstream.files))
    return plan


def pull(
    store: ObjectStore,
    sources: Sources,
    stub: Stub,
    is_chosen: Selector,
    now: int,
    progress: Progress,
    *,
    force: bool = False,
) -> Pulled:
    """Bring a model here, and point its ref to it once all that was chosen is here.

    With a revision, a ref that exists stays, and the revision becomes a tag of it.
    What arrives before an error stays, and is not asked for again.

    Raises:
        Diverged: the ref has a snapshot of its own that the source's does not follow.
        WrongContent: the source sent other bytes than it promised.
        And what `plan_pull` raises.
    """
    todo = plan_pull(store, sources, stub, is_chosen, progress)
    if isinstance(todo, Pulled):
        return todo
    with alone(store, stub.name, progress) as has_waited:
        if has_waited or _is_outdated(store, todo):
            todo = plan_pull(store, sources, stub, is_chosen, progress)
        if isinstance(todo, Pulled):
            return todo
        if isinstance(todo, UpstreamPlan):
            start = starter(store, sources)
            return pull_upstream(store, todo, stub.revision, start, now, progress, force=force)
        return pull_offer(store, sources, todo, stub, now, progress, force=force)


def _is_outdated(store: ObjectStore, todo: PullPlan | UpstreamPlan) -> bool:
    """Whether the ref moved after the plan was made, before this pull was the only one."""
    return isinstance(todo, UpstreamPlan) and store.names.ref(todo.upstream.stub) != todo.base


@contextlib.contextmanager
def alone(store: ObjectStore, name: str, progress: Progress) -> Iterator[bool]:
    """Pull a model while nobody else of this machine does; whether there was a wait for that.

    What two pull at once would be downloaded twice. Nothing else depends on it: a process of
    another machine, which cannot be known to be alive, is not waited for.
    """
    path = store.layout.tmp / f"pull-{hash_bytes(name.encode()).short}{SUFFIX}"
    has_waited = False
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(claim(path, f"{name} in {store.layout.root}"))
                break
            except StoreBusy as error:
                if error.facts.get("host") != host_name():
                    break
                if not has_waited:
                    progress.note(f"waiting for process {error.facts['pid']}, which pulls {name}")
                has_waited = True
                time.sleep(_WAIT_SECONDS)
        yield has_waited


def _found_here(store: ObjectStore, stub: Stub) -> Found | None:
    try:
        return find(store, stub)
    except (UnknownStub, UnknownRevision, MissingObject):
        return None


def _is_pinned(store: ObjectStore, found: Found, stub: Stub) -> bool:
    """Whether a stub can only ever mean the snapshot that was found."""
    if not stub.revision or stub.scheme != HUB:
        return bool(stub.revision)
    return bool(_HEX.fullmatch(stub.revision)) or stub.revision in store.names.tags(found.stub)


def _is_state_of(snapshot: Snapshot, upstream: Upstream) -> bool:
    return bool(upstream.revision) and snapshot.revision == upstream.revision


def _is_of_hub(found: Found) -> bool:
    return found.stub.startswith(f"{HUB}:") and bool(found.snapshot.revision)
