"""Writing one span of a partial file, as its bytes come."""

from __future__ import annotations

from zoostore.digest import Hasher
from zoostore.transport.journal import GRAIN
from zoostore.transport.partial import Partial, Span


class SpanWriter:
    """Takes the bytes of a span in order, and adds each grain that they complete.

    Grains that are there already are passed over: a server that cannot begin in the middle is
    read from the start.

    Attributes:
        at: where the next byte belongs.
        end: where the span ends; None if the content's size is not known.
        furthest: the highest that `at` has been, wherever it went since.
    """

    def __init__(self, partial: Partial, span: Span) -> None:
        self._partial = partial
        self._hasher = Hasher()
        self.at, self.end = span
        self.furthest = self.at

    @property
    def is_done(self) -> bool:
        return self.end is not None and self.at >= self.end

    @property
    def rest(self) -> Span:
        """What is left to be written when another writer goes on: no grain is written by two."""
        return Span(self.at - self.at % GRAIN, self.end)

    @property
    def unfinished(self) -> int:
        """Bytes of a grain that is not complete."""
        return self._hasher.size

    def go_to(self, span: Span) -> None:
        """Write another span, from the start of a grain on."""
        self._hasher = Hasher()
        self.at, self.end = span

    def skip(self) -> None:
        """Pass over grains that are there, up to the end."""
        while not self.is_done and self.at % GRAIN == 0 and self._partial.has(self.at // GRAIN):
            self.at += GRAIN
        if self.end is not None:
            self.at = min(self.at, self.end)

    def write(self, view: memoryview) -> int:
        """Take the next bytes of the content; returns how many of them were not there.

        There are never more of them than up to the end.
        """
        new = 0
        while view:
            grain, within = divmod(self.at, GRAIN)
            count = min(len(view), GRAIN - within)
            if not self._partial.has(grain):
                self._partial.write(self.at, view[:count])
                self._hasher.update(view[:count])
                new += count
            self.at += count
            self.furthest = max(self.furthest, self.at)
            if self.at == self.end or self.at % GRAIN == 0:
                self.finish_grain()
            view = view[count:]
        return new

    def finish_grain(self) -> None:
        """The grain before `at` ends here."""
        if self._hasher.size:
            self._partial.add((self.at - 1) // GRAIN, self._hasher.oid())
            self._hasher = Hasher()
