"""A published directory behind a web server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from zoostore.transport.addresses import shown
from zoostore.transport.base import RangesIgnored
from zoostore.transport.http import Answer, HttpClient
from zoostore.transport.patience import Interrupted, Tries
from zoostore.transport.wanted import Place


class HttpFiles:
    """The files below a URL.

    A body that breaks off is asked for again from where it broke; whoever reads
    it checks the content.
    """

    needs_network = True

    def __init__(self, url: str, client: HttpClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._client = client or HttpClient()

    def close(self) -> None:
        self._client.close()

    @property
    def address(self) -> str:
        return shown(self._url)

    @property
    def url(self) -> str:
        return self.address

    def place_of(self, path: str) -> Place:
        """Where a file is, to be downloaded from."""
        return Place(f"{self._url}/{path}")

    def has_folder(self, path: str) -> bool:
        return True

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        # The first request is made here, so that a file that is not there is known at once.
        tries = self._tries(path)
        first = self._ask(path, 0, tries)
        with contextlib.ExitStack() as stack:
            stack.enter_context(first)
            yield self._continued(path, first, tries, stack)

    def read_range(self, path: str, offset: int, into: memoryview) -> int:
        tries = self._tries(path)
        headers = {"Range": f"bytes={offset}-{offset + len(into) - 1}"}
        while True:
            try:
                with self._client.ask(self.place_of(path), headers) as answer:
                    if answer.status != 206:
                        raise RangesIgnored(f"{self.address} sends whole files only.")
                    return answer.read_into(into)
            except Interrupted as error:
                tries.failed(error)

    def _continued(
        self, path: str, answer: Answer, tries: Tries, stack: contextlib.ExitStack
    ) -> Iterator[bytes]:
        received = 0
        while True:
            at = received if answer.status == 206 else 0  # a server without ranges begins again
            try:
                for piece in answer.pieces():
                    at += len(piece)
                    if at > received:
                        tries.progressed()
                        yield bytes(piece[-(at - received) :])
                        received = at
                return
            except Interrupted as error:
                stack.close()
                tries.failed(error)
            answer = stack.enter_context(self._ask(path, received, tries))

    def _ask(self, path: str, start: int, tries: Tries) -> Answer:
        headers = {"Range": f"bytes={start}-"} if start else {}
        while True:
            try:
                return self._client.ask(self.place_of(path), headers)
            except Interrupted as error:
                tries.failed(error)

    def _tries(self, path: str) -> Tries:
        return Tries(self._client.patience, f"{self.address}/{path}", self._client.progress.note)
