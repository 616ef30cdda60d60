"""many: 100,000 files of 1 to 8 KiB in 1,000 folders."""

from __future__ import annotations

import random
from pathlib import Path

FILES = 100_000
_FILES_IN_A_FOLDER = 100


def write(folder: Path, scale: float) -> None:
    """Write the files below a folder."""
    source = random.Random("many")
    for number in range(max(1, int(scale * FILES))):
        path = folder / f"d{number // _FILES_IN_A_FOLDER:04}" / f"f{number:06}.bin"
        if number % _FILES_IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(source.randbytes(source.randint(1024, 8192)))
