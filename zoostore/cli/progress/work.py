"""A piece of work that is going on: how far it is, how fast, and which files are in work."""

from collections import deque
from typing import NamedTuple

_WINDOW_SECONDS = 10.0
_SPACING_SECONDS = 0.25
_LARGEST = 2**63
"""Sizes may be what an upstream says. No more bytes than this are believed."""
_LEAST_SPEED = 1.0
"""In bytes a second: what is slower stands still."""
_MORE_THAN_A_PIECE = 8 << 20
"""If a file is at once so many bytes further, they did not just arrive: they were on the disk."""


class Part(NamedTuple):
    """How far something is: the whole work, or one file of it.

    Attributes:
        name: a word for the work; a file's own name, which may hold any character.
        done: in bytes; never more than `total`.
        total: in bytes; None if it is not known.
        speed: in bytes a second, over the last ten seconds.
    """

    name: str
    done: int
    total: int | None
    speed: float

    @property
    def left(self) -> float | None:
        """How many seconds it will take if it goes on so; None if nobody can say."""
        if self.total is None or self.speed < _LEAST_SPEED:
            return None
        return (self.total - self.done) / self.speed

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None if the total is not known."""
        if self.total is None:
            return None
        return self.done / self.total if self.total else 1.0


class Seen(NamedTuple):
    """What there is to see of a piece of work at one moment.

    Attributes:
        seconds: since it began.
        files: those in work, in the order in which they began.
        moved: how many bytes were done in that time; without those that had been done before.
    """

    whole: Part
    seconds: float
    files: tuple[Part, ...] = ()
    moved: int = 0


class Work:
    """A piece of work. It reads no clock: whoever tells it something says when."""

    def __init__(self, what: str, total: int, now: float) -> None:
        # No bytes at all, or nobody knows how many: there is no share to be shown of either.
        self._whole = _Counted(what, total or None, now)
        self._files: dict[str, _Counted] = {}
        self._since = now

    @property
    def what(self) -> str:
        return self._whole.name

    def advance(self, count: int, now: float) -> None:
        self._whole.set(self._whole.done + count, now)

    def file(self, name: str, done: int, total: int | None, now: float) -> Part | None:
        """A file is so far; what there is to see of it if nothing was known of it before."""
        known = self._files.get(name)
        is_new = known is None
        if known is None:
            known = self._files[name] = _Counted(name, total, now)
        before = known.done
        known.set_total(total)
        known.set(done, now)
        jump = known.done - before
        if jump >= _MORE_THAN_A_PIECE:
            known.found(jump)
            self._whole.found(jump)
        return known.seen(now) if is_new else None

    def end_file(self, name: str) -> bool:
        """A file is not in work any more; whether it was."""
        return self._files.pop(name, None) is not None

    def seen(self, now: float) -> Seen:
        files = tuple(file.seen(now) for file in self._files.values())
        whole = self._whole
        moved = max(0, whole.done - whole.found_bytes)
        return Seen(whole.seen(now), now - self._since, files, moved)


class _Counted:
    """Bytes that are counted, and how many there were at some moments before."""

    def __init__(self, name: str, total: int | None, now: float) -> None:
        self.name = name
        self.set_total(total)
        self.done = 0
        self.found_bytes = 0
        self._before = deque([(now, 0)])

    def set_total(self, total: int | None) -> None:
        self.total = None if total is None else _believed(total)

    def set(self, done: int, now: float) -> None:
        self.done = _believed(done)
        if now - self._before[-1][0] >= _SPACING_SECONDS:
            self._before.append((now, self.done))
        while len(self._before) > 1 and self._before[1][0] <= now - _WINDOW_SECONDS:
            self._before.popleft()

    def found(self, count: int) -> None:
        """Of what is done, so many bytes have always been: they say nothing of the speed."""
        self.found_bytes += count
        self._before = deque((time, min(done + count, self.done)) for time, done in self._before)

    def seen(self, now: float) -> Part:
        self.set(self.done, now)  # a moment in which nothing comes counts for the speed too
        since, done = self._before[0]
        speed = max(0.0, (self.done - done) / (now - since)) if now > since else 0.0
        shown = self.done if self.total is None else min(self.done, self.total)
        return Part(self.name, shown, self.total, speed)


def _believed(size: int) -> int:
    return max(0, min(size, _LARGEST))
