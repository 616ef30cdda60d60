"""What all downloads of one run have in common."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoostore.files.staging import Staging
from zoostore.progress import Progress
from zoostore.transport.addresses import Origin, shown, take_apart
from zoostore.transport.patience import Patience, Tries
from zoostore.transport.wanted import Place

if TYPE_CHECKING:
    from zoostore.transport.http import HttpClient

_SEGMENTS_AT_LEAST = 4
_CONNECTIONS_FOR_ONE = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """How contents are downloaded; shared by all workers.

    Attributes:
        folder: where partial files are.
        segment: bytes of a large content that one connection gets at a time.
        least_free: so many bytes of the disk are left free of a content that nobody gave a size.
        changed: guards and tells of what workers share.
        stop: set when nobody wants the contents any more.
        dead: origins that failed until no try was left; they get one from then on.
    """

    folder: Path
    staging: Staging
    client: HttpClient
    progress: Progress
    patience: Patience
    segment: int
    least_free: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    stop: threading.Event = field(default_factory=threading.Event)
    dead: set[Origin] = field(default_factory=set)

    def tries(self, place: Place) -> Tries:
        """The tries for one request; `TransferFailed` if the place has no address."""
        most = 1 if take_apart(place.url).origin in self.dead else None
        what, note = shown(place.url), self.progress.note
        # Who answered a moment ago may do so again in another.
        was_reached = self.client.has_reached(place.url)
        return Tries(self.patience, what, note, self.stop, most, was_reached=was_reached)

    def connections_for(self, size: int) -> int:
        """How many connections may be at one content at once."""
        return _CONNECTIONS_FOR_ONE if size >= _SEGMENTS_AT_LEAST * self.segment else 1
