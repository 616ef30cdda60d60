"""Downloads: contents from the web, several at once, each checked against what was promised."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zoostore.files.sharing import make_folder
from zoostore.files.staging import Staging
from zoostore.progress import Progress, Silent
from zoostore.transport.patience import Patience
from zoostore.transport.terms import Terms
from zoostore.transport.transfer import Transfer
from zoostore.transport.wanted import Arrived, Failed, Wanted
from zoostore.transport.work import Work

if TYPE_CHECKING:
    from zoostore.transport.http import HttpClient

_CONNECTIONS = 8
_SEGMENT = 16 << 20
_SMALL = 1 << 20
_LEAST_FREE = 1 << 30


class Downloads:
    """Downloads contents into a folder, from which their receiver takes them.

    What did not arrive as a whole stays in the folder, for the next process that wants it. A
    context manager; what arrived as a file is to be taken away before it ends.

    Args:
        folder: for partial files; made if it does not exist.
        client: what servers are asked with.
        progress: is told from several threads.
        connections: how many there are at most.
        patience: for one content; the client's own if it is None.
        segment: a content of four times as many bytes, or more, is fetched in segments of so
            many over several connections, if the server can.
        small: contents of fewer bytes arrive as bytes.
        least_free: a content whose size nobody knows may go on for ever: it is given up when
            fewer bytes of the disk are free.
    """

    def __init__(
        self,
        folder: Path,
        client: HttpClient,
        progress: Progress | None = None,
        *,
        connections: int = _CONNECTIONS,
        patience: Patience | None = None,
        segment: int = _SEGMENT,
        small: int = _SMALL,
        least_free: int = _LEAST_FREE,
    ) -> None:
        make_folder(folder)
        self._staging = Staging(folder)
        self._terms = Terms(
            folder,
            self._staging,
            client,
            progress or Silent(),
            patience or client.patience,
            segment,
            least_free,
        )
        self._connections = connections
        self._small = small
        self._arrived: list[Transfer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget_taken()
        for transfer in self._arrived:
            transfer.close()
        self._staging.close()

    def run(self, wanted: Iterable[Wanted]) -> Iterator[Arrived | Failed]:
        """Download contents; what became of each, in the order in which that is known.

        To close the iterator ends what is going on.

        Raises:
            OSError: the folder cannot be written to.
            And what `wanted` raises.
        """
        work = Work(replace(self._terms, stop=threading.Event()), wanted, self._small)
        try:
            for outcome in work.outcomes(self._connections):
                yield self._delivered(outcome, work)
                self._forget_taken()
        finally:
            work.end()

    def _delivered(self, outcome: Arrived | Failed, work: Work) -> Arrived | Failed:
        if isinstance(outcome, Failed) or isinstance(outcome.content, bytes):
            return outcome
        transfer = work.hand_over(outcome.content)
        if outcome.size >= self._small:
            self._arrived.append(transfer)
            return outcome
        data = outcome.content.read_bytes()
        outcome.content.unlink()
        transfer.forget()
        return replace(outcome, content=data)

    def _forget_taken(self) -> None:
        """Remove what is beside files that their receiver has taken away."""
        taken = [transfer for transfer in self._arrived if not transfer.partial.path.exists()]
        for transfer in taken:
            transfer.forget()
            self._arrived.remove(transfer)
