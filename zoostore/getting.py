"""Getting what a command needs and a store does not have, or has damaged."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from zoostore.errors import (
    DamagedContent,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
    ZooError,
)
from zoostore.opened import Opened, again_if_swept
from zoostore.ops.history import Found, find, is_in_part, tips_meant
from zoostore.progress import Progress
from zoostore.source_book import SourceBook
from zoostore.stubs import Stub, parse_stub

# What asks others is imported where it is needed: most often all is here.
if TYPE_CHECKING:
    from zoostore.files.globs import Selector
    from zoostore.objects.listing import Listing
    from zoostore.ops.asking import Sources
    from zoostore.ops.bringing import Brought
    from zoostore.ops.browse import Contents
    from zoostore.ops.missing import Missing
    from zoostore.store.objectstore import ObjectStore

T = TypeVar("T")


class Getter:
    """Has models, or parts of them, here or looked at, whoever has them.

    Args:
        book: whom to ask.
    """

    def __init__(self, opened: Opened, book: SourceBook, progress: Progress) -> None:
        self._opened = opened
        self._book = book
        self._progress = progress

    def contents(self, stub: Stub) -> Contents:
        """A snapshot with its files, from a source if it is not here; nothing is kept of that.

        Raises: what `here_or_there` raises.
        """
        from zoostore.ops.browse import Contents, contents

        def there(sources: Sources, stub: Stub) -> Contents:
            from zoostore.ops.asking import resolve
            from zoostore.sources.base import Offer

            offer = resolve(sources, stub).value
            if not isinstance(offer, Offer):
                raise UnknownStub(
                    f"{stub} is not here. What is in it is known once it was pulled.",
                    stub=str(stub),
                )
            return Contents(offer.stub, offer.id, offer.snapshot, offer.listing)

        return self.here_or_there(stub, contents, there)

    def here_or_there(
        self,
        stub: Stub,
        here: Callable[[ObjectStore, Found], T],
        there: Callable[[Sources, Stub], T],
    ) -> T:
        """What the store has to say of a stub, or else the sources.

        Raises:
            UnknownStub, UnknownRevision: nobody has it.
            NeededNetwork: offline, and it is not here.
        """
        absent: ZooError | None = None
        if self._opened.exists():
            store = self._opened.objects()
            try:
                found = self.again_if_healed([stub], lambda: find(store, stub))
                stub = Stub(found.stub, str(found.id))
                return self.again_if_healed([stub], lambda: here(store, found))
            except (UnknownStub, UnknownRevision, DamagedContent) as error:
                absent = error
        with self._book.sources(stub) as sources:
            try:
                return there(sources, stub)
            except UnknownStub as error:
                raise absent or error from None

    def left_out(self, stub: Stub) -> list[str]:
        """The globs that leave out what the stub's selectors do not choose."""
        if not stub.selectors:
            return []
        from zoostore.files.globs import exact
        from zoostore.roles import left_out

        listing = self.contents(stub).listing
        return [exact(path) for path in sorted(left_out(listing, stub.selectors))]

    def bring(
        self, store: ObjectStore, stub: Stub, chosen: Selector, *, verify: bool = False
    ) -> Brought:
        """A snapshot with all that is chosen of it here, pulled only if it must be.

        Args:
            verify: read every object again before it is used.
        """
        from zoostore.ops.bringing import Brought, bring_here

        now = int(time.time())
        damage = part = None

        def bring(found: Found) -> Brought:
            get = functools.partial(self._get_missing, store, found)
            return bring_here(store, get, found, chosen, now)

        try:
            if verify:
                store.distrust_all()
            found = self.again_if_healed([stub], lambda: find(store, stub))
            is_all = not is_in_part(found.snapshot)
            if is_all or self._book.is_offline or store.names.read_only:
                # From here on exactly this snapshot is meant, whatever a source has now.
                stub = Stub(found.stub, str(found.id))
                return self.again_if_healed([stub], lambda: bring(found))
            part = found  # and the source has the rest
        except (UnknownStub, UnknownRevision):
            store.names.require_writable()
        except DamagedContent as error:  # a tree or the snapshot itself: a source may have it
            if store.names.read_only:
                raise
            damage = error
        from zoostore.objects.walking import flatten
        from zoostore.ops.pull import pull

        try:
            with self._book.sources(stub) as sources:
                pulled = again_if_swept(
                    lambda: pull(store, sources, stub, chosen, now, self._progress)
                )
        except (UnknownStub, UnknownRevision) as error:
            raise damage or error from None
        except TransferFailed:
            if part is None:
                raise
            return bring(part)
        found = find(store, Stub(pulled.stub, str(pulled.snapshot)))
        return Brought(found, flatten(store.tree, found.snapshot.tree), pulled)

    def complete(self, store: ObjectStore, found: Found, wanted: Listing) -> None:
        """Get what is missing or damaged of some files of a snapshot, if anybody has it.

        Raises: what `ops.completing.complete` raises.
        """
        from zoostore.ops.bringing import missing_blobs

        missing = missing_blobs(store, wanted)
        if missing is not None and not store.names.read_only:
            self._get_missing(store, found, missing)

    def again_if_healed(self, stubs: Sequence[Stub], work: Callable[[], T]) -> T:
        """What some work comes to, done again where a tree or a snapshot had to be got back."""
        try:
            return work()
        except DamagedContent:
            if self._opened.names().read_only or not self._heal_all(stubs):
                raise
        return work()

    def _get_missing(self, store: ObjectStore, found: Found, missing: Missing) -> None:
        """Ask every source for what is missing of some files."""
        from zoostore.ops.completing import complete

        with self._book.sources(parse_stub(found.stub)) as sources:
            complete(store, sources, found, missing, self._progress)

    def _heal_all(self, stubs: Sequence[Stub]) -> bool:
        """Heal every one of them; whether any had to be, and could be."""
        healed = [self._heal(stub) for stub in stubs]
        return any(healed)

    def _heal(self, stub: Stub) -> bool:
        """Get back the trees and snapshots that a stub leads to; whether all of them are here."""
        from zoostore.ops.regaining import lost_structure, regain_structure

        store = self._opened.objects()
        tips = tips_meant(store, stub)
        if not any(lost_structure(store, tips)):
            return False  # that was not it
        with self._book.sources(stub) as sources:
            return not regain_structure(store, sources.usable(), tips)
