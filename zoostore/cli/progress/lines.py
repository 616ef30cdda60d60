"""Progress as lines, for pipes and logs: a whole one every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoostore.cli.output import printable
from zoostore.cli.progress.watch import View
from zoostore.units import human_size, human_speed, human_time

if TYPE_CHECKING:
    from typing import TextIO

    from zoostore.cli.progress.work import Part, Seen


class Lines(View):
    """Says nothing of work that is done soon, not even what there was to note."""

    patience = 5.0
    period = 5.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_patient = True
        self._noted: list[str] = []

    def begin(self, seen: Seen) -> None:
        self._start_again()

    def show(self, seen: Seen | None) -> None:
        self._is_patient = False
        for text in self._noted:
            self._write(text)
        self._noted.clear()
        if seen is not None:
            self._write(sentence(seen.whole))

    def note(self, text: str) -> None:
        if self._is_patient:
            self._noted.append(printable(text))
        else:
            self._write(printable(text))

    def end(self, seen: Seen) -> None:
        self._start_again()

    def _start_again(self) -> None:
        # What was waited for has come, and why it was is no news.
        self._is_patient = True
        self._noted.clear()

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def sentence(part: Part) -> str:
    """`pulling: 1.2 GB of 5.0 GB (24%), 85.0 MB/s, 44 s left`."""
    pieces = [f"{printable(part.name)}: {amount(part)}", human_speed(part.speed)]
    if part.left is not None:
        pieces.append(f"{human_time(part.left)} left")
    return ", ".join(pieces)


def amount(part: Part) -> str:
    """`1.2 GB of 5.0 GB (24%)`; without a total, only what is done."""
    if part.total is None or part.share is None:
        return human_size(part.done)
    return f"{human_size(part.done)} of {human_size(part.total)} ({percent(part.share)})"


def percent(share: float) -> str:
    """Rounded down: only what is done is 100%."""
    return f"{int(share * 100)}%"
