"""What stands beside the files that are kept here: a line on each, its parts between bars."""

from __future__ import annotations

from pathlib import Path


def parts_of(listing: Path) -> list[list[str]]:
    """The parts of each line of a listing; empty lines and those that begin with `#` are none."""
    lines = listing.read_text("utf-8").splitlines()
    kept = (line for line in lines if line and not line.startswith("#"))
    return [[part.strip() for part in line.split("|")] for line in kept]
