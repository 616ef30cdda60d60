"""Workloads: folders of files made from seeds, the same on every machine.

At scale 1 they have the sizes that are named here; another scale multiplies them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.workloads import big, family, many, tunes

FOLDERS: dict[str, Callable[[Path, float], None]] = {
    "big": big.write,
    "family": family.write,
    "tunes": tunes.write,
    "many": many.write,
}
"""Each writes its files below a folder, at a scale."""
