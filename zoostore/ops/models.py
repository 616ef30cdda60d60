"""ls: the models that are here. Reads nothing but the index."""

from __future__ import annotations

from dataclasses import dataclass

from zoostore.digest import Oid
from zoostore.store.names import Names


@dataclass(frozen=True, slots=True)
class Model:
    """A ref, as `ls` shows it; `size` in bytes.

    Attributes:
        partial: whether some of its files were left out when it was pulled.
    """

    stub: str
    snapshot: Oid
    files: int
    size: int
    partial: bool


def models(names: Names) -> list[Model]:
    """Every ref, in the order of names."""
    return [
        Model(stub, record.snapshot, record.files, record.size, record.is_partial)
        for stub, record in names.refs().items()
    ]
