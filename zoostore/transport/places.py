"""Who may still give a content, who had a part in it, and what went wrong."""

from __future__ import annotations

from zoostore.errors import ZooError
from zoostore.transport.wanted import Place, Wanted


class Places:
    """The places of one content, in the order in which they are asked.

    What came stays when a place is given up and the next is asked. If it is wrong in the end,
    and not all of it came from one place in this run, each place has to give all of it alone.

    Args:
        alone: whether that is so from the start.

    Attributes:
        failures: why places were given up.
    """

    def __init__(self, wanted: Wanted, *, alone: bool) -> None:
        self._all = wanted.places
        self._left = list(wanted.places)
        self._without_ranges: list[Place] = []
        self._liars: set[Place] = set()
        self._givers: set[Place | None] = set()
        self._must_be_alone = alone
        self.failures: list[ZooError] = []

    @property
    def current(self) -> Place | None:
        """Whom to ask; None if nobody is left."""
        return self._left[0] if self._left else None

    @property
    def only_giver(self) -> Place | None:
        """Who gave all that is there; None if several did, or it was on the disk."""
        return next(iter(self._givers)) if len(self._givers) == 1 else None

    @property
    def is_mixed(self) -> bool:
        """Whether what is there must be thrown away before the current place is asked."""
        return self._must_be_alone and bool(self._left) and bool(self._givers - {self._left[0]})

    def gave(self, place: Place | None) -> None:
        """A place had a part in what is there; None is the disk."""
        self._givers.add(place)

    def nothing_is_there(self) -> None:
        self._givers.clear()

    def give_up(self, place: Place, error: ZooError) -> None:
        self.failures.append(error)
        self._remove(place)

    def leave_for_last(self, place: Place) -> None:
        """A place has no ranges; it is asked for the whole when those that have are given up."""
        if self._remove(place):
            self._without_ranges.append(place)

    def bring_last(self) -> bool:
        """Ask those that were left for last; whether there are any."""
        if not self._left:
            self._left, self._without_ranges = self._without_ranges, []
            return bool(self._left)
        return False

    def was_wrong(self, error: ZooError) -> None:
        """The content is whole, and not the one that was promised."""
        self.failures.append(error)
        liar = self.only_giver
        if liar is not None:
            self._liars.add(liar)
            self._remove(liar)
            return
        self._must_be_alone = True
        self._without_ranges = []
        self._left = [place for place in self._all if place not in self._liars]

    def _remove(self, place: Place) -> bool:
        if place in self._left:
            self._left.remove(place)
            return True
        return False
