"""One large content on its way into a partial file: what is there, and who gets which span."""

from __future__ import annotations

from collections import deque

from zoostore.digest import hash_bytes
from zoostore.errors import WrongContent
from zoostore.transport.frontier import Frontier
from zoostore.transport.journal import State
from zoostore.transport.partial import Partial, Span
from zoostore.transport.places import Places
from zoostore.transport.promises import algorithms_of, check, strongest, worst
from zoostore.transport.spans import SpanWriter
from zoostore.transport.tally import Tally
from zoostore.transport.terms import Terms
from zoostore.transport.wanted import Arrived, Failed, Place, Wanted


class Transfer:
    """A content that several workers may be at, each with a span of its own.

    When a worker finds that the spans make no sense any more, all leave theirs, and the last
    one makes a new plan. What is not said otherwise is called with `terms.changed` held.

    Without a digest, nothing but the server says that two answers are parts of one content:
    there is one connection, and the server is held to the state that it named first.

    Attributes:
        is_sole: there is one worker at most.
        is_plain: a worker that begins at the start asks for the whole.
        must_replan: workers leave their spans.
    """

    def __init__(self, wanted: Wanted, terms: Terms) -> None:
        digest = strongest(wanted)
        url = hash_bytes(wanted.places[0].url.encode("utf-8", "replace"))
        self.wanted, self.terms = wanted, terms
        self.has_digest = digest is not None
        self.places = Places(wanted, alone=not self.has_digest)
        self.tally = Tally(terms.progress, wanted.name, wanted.size)
        self.is_sole = self.is_plain = not self.has_digest
        self.must_replan = self._must_discard = False
        self.changes_left = terms.patience.tries
        self.etag = ""
        self._place = wanted.places[0]
        self._todo: deque[Span] = deque()
        self._workers, self._limit = 1, 0
        self._frontier: Frontier | None = None
        self._origin = "" if digest else str(url)
        name = f"{digest.algorithm}-{digest.value.hex()}" if digest else f"url-{url}"
        self.partial = Partial(terms.folder, name, terms.staging)

    # What workers get

    def take(self) -> SpanWriter | None:
        """A span for a further worker."""
        if self._workers >= self._limit or not self._is_workable():
            return None
        self._workers += 1
        return self._cut()

    def _is_workable(self) -> bool:
        return bool(self._todo) and self.places.current is not None and not self.must_replan

    def begin(self) -> SpanWriter | Arrived | Failed:
        """Look at what is there. Called without the lock, by the first worker."""
        known = self.partial.known_state
        size = known.size if self.wanted.size is None else self.wanted.size
        is_same = self.has_digest or (known.place == self._origin and bool(known.validator))
        validator = known.validator if is_same else ""
        self.partial.resume(State(size, self._origin, validator), self.terms.stop)
        if not self.has_digest and (not validator or self.partial.is_whole):
            self.partial.restart(State(self.wanted.size, self._origin))
        if self.partial.bytes_there:
            self.tally.found(self.partial.bytes_there)
            self.places.gave(None if self.has_digest else self._place)
        return self._go_on()

    def next(self, writer: SpanWriter) -> SpanWriter | Arrived | Failed | None:
        """What a worker does after a span that is done, or that it had to leave.

        Called without the lock. None means that others see to the rest.
        """
        with self.terms.changed:
            self.tally.found(-writer.unfinished)
            if self.is_sole:  # it may have read past what was there
                self._todo = deque(self.partial.missing())
            elif not writer.is_done:
                self._todo.appendleft(writer.rest)
            if self._is_workable():
                return self._cut()
            self.terms.changed.notify_all()
            if self._workers > 1:
                self._workers -= 1
                return None
            self._limit = 0
        return self._go_on()

    def _go_on(self) -> SpanWriter | Arrived | Failed:
        """The only worker finds out what is to be done. Called without the lock."""
        while True:
            if self.partial.is_whole and not self._must_discard:
                arrived = self._finish()
                if arrived is not None:
                    return arrived
            if self.places.bring_last():
                self.is_sole = True
            if self.places.current is None:
                return self._fail()
            if self._must_discard or self.places.is_mixed:
                self.discard()
            self._plan()
            with self.terms.changed:
                if self._todo:
                    return self._cut()

    def _plan(self) -> None:
        with self.terms.changed:
            self.must_replan = False
            self._todo = deque(self.partial.missing())
            self._limit = 1

    def _cut(self) -> SpanWriter:
        span = self._todo.popleft()
        size = self.partial.size
        is_whole = self.is_sole or (size is not None and self.terms.connections_for(size) == 1)
        if not is_whole:
            segment = self.terms.segment
            end = span.start - span.start % segment + segment
            if span.end is None or end < span.end:
                self._todo.appendleft(Span(end, span.end))
                span = Span(span.start, end)
        return SpanWriter(self.partial, span)

    # What workers find out

    def may_be_joined(self) -> None:
        """The place gives parts, and one connection does not use up what there is to be had.

        Called without the lock.
        """
        size = self.partial.size
        if self._limit == 1 and not self.is_sole and size is not None:
            with self.terms.changed:
                self._limit = self.terms.connections_for(size)
                self.terms.changed.notify_all()

    def take_whole(self, writer: SpanWriter) -> bool:
        """The place gives the whole only: have one worker read all of it, if it is the only one."""
        if self._workers > 1:
            return False
        self.is_sole, self._limit = True, 1
        self._todo.clear()
        self.tally.found(-writer.unfinished)
        writer.go_to(Span(0, self.partial.size))
        return True

    def learn_size(self, size: int, writer: SpanWriter) -> None:
        """The server says what nobody promised."""
        self.tally.total = size
        self.partial.learn_size(size)
        self._todo = deque(
            Span(span.start, size if span.end is None else min(span.end, size))
            for span in self._todo
            if span.start < size
        )
        writer.end = size if writer.end is None else min(writer.end, size)

    def gave(self, place: Place, etag: str) -> None:
        self.places.gave(place)
        self._place, self.etag = place, etag
        if self._frontier is None:
            self._start_frontier()

    def replan(self, *, discard: bool = False) -> None:
        self.must_replan = True
        self._must_discard = self._must_discard or discard

    # What becomes of what came

    def discard(self, validator: str = "") -> None:
        """Throw away what is there. Called by the only worker."""
        self._stop_frontier()
        self.tally.found(-self.partial.bytes_there)
        self.partial.restart(State(self.wanted.size, self._origin, validator))
        self.tally.total = self.wanted.size
        self.places.nothing_is_there()
        self._must_discard = False

    def _finish(self) -> Arrived | None:
        if self._frontier is None:
            self._start_frontier()
        assert self._frontier is not None
        digests = self._frontier.digests()
        size = self.partial.bytes_there
        wrong = check(self.wanted, size, digests, self.places.only_giver)
        if wrong is not None:
            self.places.was_wrong(wrong)
            self._must_discard = True
            return None
        return Arrived(
            self.wanted,
            self.partial.path,
            size,
            digests,
            self._place,
            self.etag,
            self.tally.received,
        )

    def _fail(self) -> Failed:
        error = worst(self.wanted, self.places.failures)
        if self._must_discard or (self.wanted.size is None and isinstance(error, WrongContent)):
            self.discard()  # the size that a server gave may be what is wrong
        return Failed(self.wanted, error)

    def _start_frontier(self) -> None:
        self._frontier = Frontier(self.partial, algorithms_of(self.wanted))
        self._frontier.start()

    def _stop_frontier(self) -> None:
        if self._frontier is not None:
            self._frontier.stop()
            self._frontier = None

    def interrupt(self) -> None:
        """Nobody wants it any more: have those who wait for its digests wait no longer."""
        if self._frontier is not None:
            self._frontier.stop()

    def close(self) -> None:
        """Let go of it; what is there stays for the next process. Called without workers."""
        self._stop_frontier()
        self.partial.close()

    def forget(self) -> None:
        """Its file was taken away."""
        self._stop_frontier()
        self.partial.forget()
