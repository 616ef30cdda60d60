"""Downloads: contents from the web, each checked against what was promised."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zoostore.digest import DigestHasher
from zoostore.errors import TransferFailed, WrongContent, ZooError
from zoostore.files.staging import Staging
from zoostore.progress import Progress, Silent
from zoostore.transport.addresses import shown
from zoostore.transport.patience import Interrupted, Patience, Tries
from zoostore.transport.wanted import Arrived, Failed, Place, Wanted

if TYPE_CHECKING:
    from types import TracebackType

    from zoostore.transport.http import HttpClient


class Downloads:
    def __init__(
        self,
        folder: Path,
        client: HttpClient,
        progress: Progress | None = None,
        *,
        connections: int = 8,
        patience: Patience | None = None,
        segment: int = 16 << 20,
        small: int = 1 << 20,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._staging = Staging(folder)
        self._client, self._progress = client, progress or Silent()
        self._small = small
        self._patience = patience or client.patience
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._staging.close()

    def run(self, wanted: Iterable[Wanted]) -> Iterator[Arrived | Failed]:
        for one in wanted:
            yield self._one(one)

    def _one(self, wanted: Wanted) -> Arrived | Failed:
        failure: ZooError = TransferFailed(f"{wanted.name} has no place.")
        for place in wanted.places:
            tries = Tries(self._patience, shown(place.url), self._progress.note)
            while True:
                try:
                    return self._from(wanted, place)
                except Interrupted as error:
                    try:
                        tries.failed(error)
                    except TransferFailed as error:
                        failure = error
                        break
                except ZooError as error:
                    failure = error
                    break
                finally:
                    self._progress.item_end(wanted.name)
        return Failed(wanted, failure)

    def _from(self, wanted: Wanted, place: Place) -> Arrived:
        hasher = DigestHasher(
            wanted.compute | {digest.algorithm for digest in wanted.digests}, wanted.size
        )
        with (
            self._client.ask(place, stop=self._stop) as answer,
            self._staging.new_file() as (file, path),
        ):
            for piece in answer.pieces():
                file.write(piece)
                hasher.update(piece)
                self._progress.advance(len(piece))
                self._progress.item(wanted.name, hasher.size, wanted.size)
                if wanted.size is not None and hasher.size > wanted.size:
                    break
            digests = hasher.digests()
            if wanted.size not in (None, hasher.size) or any(
                digests[digest.algorithm] != digest for digest in wanted.digests
            ):
                raise WrongContent(f"{wanted.name} is not what was promised.")
        content: bytes | Path = path
        if hasher.size < self._small:
            content = path.read_bytes()
            path.unlink()
        etag = answer.headers.get("ETag", "")
        return Arrived(wanted, content, hasher.size, digests, place, etag, hasher.size)
