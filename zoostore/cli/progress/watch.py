"""Watches work while it lasts, and has it shown from time to time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zoostore.cli.progress.work import Part, Seen, Work


class Spent(NamedTuple):
    """How many seconds some work took, and how many bytes were done in them."""

    seconds: float = 0.0
    moved: int = 0


class View:
    """A way to show work; this one shows nothing. Its methods are called one at a time.

    Attributes:
        patience: how many seconds work lasts before it is shown.
        period: how many seconds pass before it is shown again; 0 if it never is.
    """

    patience = 0.0
    period = 0.0

    def begin(self, seen: Seen) -> None:
        """Work began."""

    def show(self, seen: Seen | None) -> None:
        """A period has passed; None: between two pieces of work, with something noted."""

    def file(self, part: Part) -> None:
        """Work on a file began."""

    def end_file(self, name: str) -> None:
        """Work on a file ended."""

    def note(self, text: str) -> None:
        """Something to be said at once."""

    def end(self, seen: Seen) -> None:
        """Work ended, done or not."""


class Watch:
    """A `Progress` that keeps count, and has a view show it.

    What it is told comes from several threads, and often: that is only written down. The view
    is called by a thread of the watch's own, so it moves on even while nothing arrives.

    Args:
        clock: seconds since whenever.
        is_ticking: whether there is such a thread; without it, `tick` shows what there is.
    """

    def __init__(
        self, view: View, clock: Callable[[], float] = time.monotonic, *, is_ticking: bool = True
    ) -> None:
        self._view = view
        self._clock = clock
        self._is_ticking = is_ticking and view.period > 0
        self._lock = threading.Lock()
        self._work: Work | None = None
        self._ticker: _Ticker | None = None
        self._spent: dict[str, Spent] = {}

    def begin(self, what: str, total_bytes: int) -> None:
        # Imported here: most commands find so little to do that nobody is told of it.
        from zoostore.cli.progress.work import Work

        self.end()
        with self._lock:
            now = self._clock()
            self._work = Work(what, total_bytes, now)
            self._view.begin(self._work.seen(now))
            self._start_ticking()

    def advance(self, count: int) -> None:
        with self._lock:
            if self._work is not None:
                self._work.advance(count, self._clock())

    def item(self, name: str, done: int, total: int | None) -> None:
        with self._lock:
            if self._work is None:
                return
            new = self._work.file(name, done, total, self._clock())
            if new is not None:
                self._view.file(new)

    def item_end(self, name: str) -> None:
        with self._lock:
            if self._work is not None and self._work.end_file(name):
                self._view.end_file(name)

    def note(self, text: str) -> None:
        with self._lock:
            self._view.note(text)
            self._start_ticking()

    def end(self) -> None:
        """Nothing is shown any more; also for work that failed and could not say so."""
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop()
        with self._lock:
            if self._work is None:
                return
            seen = self._work.seen(self._clock())
            self._spent[self._work.what] = Spent(seen.seconds, seen.moved)
            self._work = None
            self._view.end(seen)

    def tick(self) -> None:
        """Show how far the work is now."""
        with self._lock:
            self._view.show(self._work.seen(self._clock()) if self._work else None)

    def spent(self, what: str) -> Spent:
        """What the last work of this name took; nothing if this has been asked before."""
        return self._spent.pop(what, Spent())

    def _start_ticking(self) -> None:
        if self._is_ticking and self._ticker is None:
            self._ticker = _Ticker(self.tick, self._view.patience, self._view.period)
            self._ticker.start()


class _Ticker(threading.Thread):
    """Calls something again and again; first after another pause. Times are in seconds."""

    def __init__(self, tick: Callable[[], None], first_pause: float, pause: float) -> None:
        super().__init__(name="progress", daemon=True)
        self._tick = tick
        self._first_pause, self._pause = first_pause, pause
        self._stopped = threading.Event()

    def run(self) -> None:
        pause = self._first_pause
        while not self._stopped.wait(pause):
            self._tick()
            pause = self._pause

    def stop(self) -> None:
        self._stopped.set()
        self.join()
