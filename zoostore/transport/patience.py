"""How long a slow or failing server is waited for, and how often it is asked."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from zoostore.errors import TransferFailed


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of waiting; times in seconds.

    Attributes:
        tries: how often something is asked for in vain, one after the other.
        first_tries: the same of a server that nobody has reached yet: it is rather gone than busy.
        first_pause: before the second try; it doubles with each further one.
        longest_pause: what it grows to.
        longest_wait: of what a server asks for with `Retry-After`; if it asks for more, it is
            given up.
        connect: until there is a connection.
        read: until the next byte.
        window, least: so many seconds of waiting must bring so many bytes.
    """

    tries: int = 5
    first_tries: int = 2
    first_pause: float = 0.5
    longest_pause: float = 30
    longest_wait: float = 120
    connect: float = 10
    read: float = 30
    window: float = 30
    least: int = 1 << 12


DEFAULT_PATIENCE = Patience()


class Interrupted(Exception):
    """A request failed in a way that the next one may not.

    Args:
        reason: half a sentence.
        status: what the server answered with; None if it was not that.
        retry_after: seconds that the server asks to wait; None if it does not say.
        unreachable: whether there was nobody to ask.
    """

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        unreachable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.unreachable = unreachable


class Stopped(Exception):
    """Whoever wanted the transfer does not want it any more."""


class Tries:
    """The tries of one thing, and the pauses between them.

    Args:
        what: an address, fit to be shown.
        note: is told why there is a pause.
        stop: ends a pause at once when it is set.
        most: the number of tries if it is not that of `patience`.
        was_reached: whether the server has answered before.
    """

    def __init__(
        self,
        patience: Patience,
        what: str,
        note: Callable[[str], None],
        stop: threading.Event | None = None,
        most: int | None = None,
        *,
        was_reached: bool = False,
    ) -> None:
        self._patience = patience
        self._what = what
        self._note = note
        self._stop = stop or threading.Event()
        self._most = most or patience.tries
        self._was_reached = was_reached
        self._failed = 0

    def progressed(self) -> None:
        """Something came: the tries are counted anew."""
        self._failed = 0
        self._was_reached = True

    def failed(self, error: Interrupted) -> None:
        """Wait before the next try.

        Raises:
            TransferFailed: it was tried often enough, or the server asks to wait too long.
            Stopped: nobody waits any more.
        """
        self._failed += 1
        asked = error.retry_after or 0
        self._was_reached = self._was_reached or not error.unreachable
        most = self._most if self._was_reached else min(self._most, self._patience.first_tries)
        if self._failed >= most or asked > self._patience.longest_wait:
            raise self._given_up(error)
        grown = self._patience.first_pause * 2 ** (self._failed - 1)
        # Jitter, so that those whom a server turned away together do not come back together.
        pause = max(asked, min(grown, self._patience.longest_pause) * random.uniform(0.5, 1.5))
        self._note(f"{self._what}: {error.reason}; trying again in {pause:.0f} s.")
        if self._stop.wait(pause):
            raise Stopped

    def _given_up(self, error: Interrupted) -> TransferFailed:
        times = "1 try" if self._failed == 1 else f"{self._failed} tries"
        facts: dict[str, object] = {"url": self._what}
        if error.status is not None:
            facts["status"] = error.status
        asked = error.retry_after or 0
        wait = f" It asks to wait {asked:.0f} s." if asked > self._patience.longest_wait else ""
        return TransferFailed(
            f"{self._what} could not be read: {error.reason} ({times}).{wait}", **facts
        )
