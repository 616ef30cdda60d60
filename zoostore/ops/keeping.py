"""Keeping what came in, where the rest fails."""

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
