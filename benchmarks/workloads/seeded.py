"""Files whose bytes follow from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 24


def write_seeded(path: Path, size: int, seed: str) -> None:
    """Write a file of `size` bytes that no tool can compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.writelines(seeded_chunks(size, seed))


def seeded_chunks(size: int, seed: str) -> Iterator[bytes]:
    """The bytes of a seed, in pieces."""
    source = random.Random(seed)
    for start in range(0, size, _CHUNK):
        yield source.randbytes(min(_CHUNK, size - start))
