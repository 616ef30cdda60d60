"""What there is to know of a decoder in order to fuzz it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.mutating import mutated, mutated_json
from zoostore.errors import ZooError

EXAMPLES = int(os.environ.get("ZOOSTORE_FUZZ_EXAMPLES", "25"))
"""How many inputs each decoder gets; `python -m tests.fuzz --examples N` sets it."""


@dataclass(frozen=True)
class Decoder:
    """A decoder, and what is right for it to do.

    Attributes:
        seeds: valid encodings.
        decode: gets the bytes, and a folder for those that read files.
        errors: all that it may raise.
        encode: gives the bytes back, where there is only one encoding of a value.
        found: inputs that were found to be of interest.
    """

    seeds: Sequence[bytes]
    decode: Callable[[bytes, Path], Any]
    errors: tuple[type[ZooError], ...] = ()
    encode: Callable[[Any], bytes] | None = None
    found: Sequence[bytes] = ()
    is_json: bool = False

    @property
    def inputs(self) -> st.SearchStrategy[bytes]:
        return (mutated_json if self.is_json else mutated)(self.seeds)

    def check(self, data: bytes, folder: Path) -> None:
        """Decode bytes, whatever they are. It fails if anything comes of it that may not."""
        try:
            value = self.decode(data, folder)
        except self.errors:
            return
        if self.encode is not None:
            assert self.encode(value) == data


def put(folder: Path, name: str, data: bytes) -> Path:
    """A file with this content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def to_json(value: object) -> bytes:
    return json.dumps(value).encode()
