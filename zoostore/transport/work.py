"""The workers of one run: threads that share what is to be downloaded."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from zoostore.transport.patience import Stopped
from zoostore.transport.promises import worst
from zoostore.transport.small import fetch_small
from zoostore.transport.spans import SpanWriter
from zoostore.transport.streaming import fill
from zoostore.transport.terms import Terms
from zoostore.transport.transfer import Transfer
from zoostore.transport.wanted import Arrived, Failed, Wanted

_WAITING_AT_MOST = 32
"""Outcomes that wait to be taken; small contents are in memory meanwhile."""
_GOODBYE_SECONDS = 5.0

_Outcome: TypeAlias = Arrived | Failed
_Job: TypeAlias = Callable[[], _Outcome | None]


class Work:
    """Takes contents from `wanted` one by one, and gives each to a worker that has nothing to do.

    A worker that has nothing to do rather joins a transfer that has begun: few files that are
    nearly done are better than many that are not.

    Args:
        small: contents of fewer bytes are kept in memory.
    """

    def __init__(self, terms: Terms, wanted: Iterable[Wanted], small: int) -> None:
        self._terms = terms
        self._wanted: Iterator[Wanted] | None = iter(wanted)
        self._small = small
        self._going_on: list[Transfer] = []
        self._arrived: dict[Path, Transfer] = {}
        self._threads: list[threading.Thread] = []
        self._running = self._busy = 0
        self._results: queue.Queue[_Outcome | BaseException | None] = queue.Queue()
        self._room = threading.Semaphore(_WAITING_AT_MOST)

    def outcomes(self, workers: int) -> Iterator[_Outcome]:
        """What became of the contents, as soon as it is known. Raises what a worker raised."""
        self._running = workers
        for number in range(workers):
            name = f"zoostore-download-{number}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()
        while (result := self._results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            self._room.release()
            yield result

    def hand_over(self, path: Path) -> Transfer:
        """The transfer that brought a file; it is not looked after here any more."""
        return self._arrived.pop(path)

    def end(self) -> None:
        """Stop whatever is going on; what is there of it stays for the next process.

        A worker that waits for a connection ends when it has one, or none.
        """
        self._terms.stop.set()
        with self._terms.changed:
            self._terms.changed.notify_all()
            going_on = list(self._going_on)
        for transfer in going_on:
            transfer.interrupt()
        for _ in self._threads:
            self._room.release()
        for thread in self._threads:
            thread.join(_GOODBYE_SECONDS)
        # Not by a worker: what has arrived may be handed over in the same moment.
        while self._arrived:
            self._arrived.popitem()[1].close()

    def _run(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                outcome = job()
                if outcome is not None:
                    self._room.acquire()
                    self._results.put(outcome)
                with self._terms.changed:
                    self._busy -= 1
                    self._terms.changed.notify_all()
        except Stopped:
            pass
        except BaseException as error:
            self._terms.stop.set()
            self._results.put(error)
        finally:
            self._leave()

    def _leave(self) -> None:
        """The last worker closes what is not finished."""
        with self._terms.changed:
            self._running -= 1
            self._terms.changed.notify_all()
            if self._running:
                return
        for transfer in self._going_on:
            transfer.tally.end()
            transfer.close()
        self._results.put(None)

    def _next_job(self) -> _Job | None:
        with self._terms.changed:
            while not self._terms.stop.is_set():
                job = self._job()
                if job is not None:
                    self._busy += 1
                    return job
                if not self._busy:
                    return None
                self._terms.changed.wait()
        return None

    def _job(self) -> _Job | None:
        for transfer in self._going_on:
            writer = transfer.take()
            if writer is not None:
                return functools.partial(self._work_at, transfer, writer)
        one = next(self._wanted, None) if self._wanted is not None else None
        if one is None:
            self._wanted = None
            return None
        return functools.partial(self._begin, one)

    def _begin(self, wanted: Wanted) -> _Outcome | None:
        if not wanted.places:
            return Failed(wanted, worst(wanted, ()))
        if wanted.size is not None and wanted.size < self._small:
            return fetch_small(wanted, self._terms)
        transfer = Transfer(wanted, self._terms)
        with self._terms.changed:
            self._going_on.append(transfer)
        return self._work_at(transfer, transfer.begin())

    def _work_at(self, transfer: Transfer, doing: SpanWriter | _Outcome | None) -> _Outcome | None:
        while isinstance(doing, SpanWriter):
            fill(transfer, doing)
            doing = transfer.next(doing)
        if doing is None:
            return None
        transfer.tally.end()
        with self._terms.changed:
            self._going_on.remove(transfer)
            if isinstance(doing, Arrived):
                self._arrived[transfer.partial.path] = transfer
        if isinstance(doing, Failed):
            transfer.close()
        return doing
