"""big: one file of 2 GiB."""

from __future__ import annotations

from pathlib import Path

from benchmarks.workloads.seeded import write_seeded

BYTES = 2 << 30


def write(folder: Path, scale: float) -> None:
    """Write the file below a folder."""
    write_seeded(folder / "model.bin", int(scale * BYTES), "big")
