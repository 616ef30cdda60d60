"""What is known of a model beside its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from zoostore.digest import Oid
from zoostore.ops.browse import Contents

_LATEST = 253402300799
"""The last second of the year 9999. A snapshot may say any time it likes."""


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """The snapshot that a model is.

    Attributes:
        id: its oid; `STUB@ID` means it always.
        parents: the snapshots it follows.
        date: when it was made.
        message: what its maker says of it.
        metadata: what else its maker says of it.
        files, size: what it holds; `size` in bytes.
    """

    id: Oid
    parents: tuple[Oid, ...]
    date: datetime
    message: str
    metadata: Mapping[str, str]
    files: int
    size: int

    @classmethod
    def of(cls, contents: Contents) -> Self:
        value = contents.snapshot
        return cls(
            contents.id,
            value.parents,
            datetime.fromtimestamp(min(value.time, _LATEST), UTC),
            value.message,
            value.metadata,
            value.files,
            value.size,
        )


@dataclass(frozen=True, slots=True)
class ModelResult:
    """A number that a model's maker recorded, and what it is a number of."""

    recorded_value: float
    recorded_units: str


def numbers(metadata: Mapping[str, str]) -> Iterator[ModelResult]:
    """The values of some metadata that are numbers."""
    for key, text in metadata.items():
        with contextlib.suppress(ValueError):
            yield ModelResult(float(text), key)
