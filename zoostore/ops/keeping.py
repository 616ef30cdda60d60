"""Keeping what came in, where the rest fails, or the process is killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from zoostore.errors import ZooError
from zoostore.store.batch import Batch


@contextlib.contextmanager
def kept_on_errors(batch: Batch) -> Iterator[None]:
    """Publish what came in so far if the rest fails; the error goes on its way."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ZooError):  # the error that is on its way says more
            batch.publish()
        raise


class KeptNowAndThen:
    """Publishes what comes in, whenever it has become much.

    Args:
        most: so many bytes; a process that is killed loses no more.
    """

    def __init__(self, batch: Batch, most: int) -> None:
        self._batch = batch
        self._most = most
        self._published = batch.new_bytes

    def look(self) -> None:
        """See how much there is by now."""
        if self._batch.new_bytes - self._published >= self._most or self._batch.is_full:
            self._batch.publish()
            self._published = self._batch.new_bytes
