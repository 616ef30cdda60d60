"""How each verb grows from 1x to 10x to 100x the work: a line of slope 1 at most."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from benchmarks.measuring import Step, measure, run
from benchmarks.reserve import Reserve
from benchmarks.seats import same
from benchmarks.tools.zoostore import STUB, zoostore
from benchmarks.workloads import big, many

_FACTORS = (0.01, 0.1, 1.0)
_HIGHEST_SLOPE = 1.15
"""A straight line has 1; the rest is for noise, and for what a machine's caches hold no more."""


class VerbDoc(TypedDict):
    """Medians by size, and the slope of the last step on logarithmic axes."""

    verb: str
    seconds: list[float]
    slope: float
    straight_or_flat: bool


class WorkDoc(TypedDict):
    unit: str
    sizes: list[int]
    verbs: list[VerbDoc]


class GrowthDoc(TypedDict):
    scale: float
    rounds: int
    machine: dict[str, str | int | float]
    growths: list[WorkDoc]


@dataclass(frozen=True)
class Work:
    """What grows: its unit, how much of it there is at scale 1, and who writes it."""

    unit: str
    most: int
    write: Callable[[Path, float], None]


FILES = Work("files", many.FILES, many.write)
BYTES = Work("bytes", big.BYTES, big.write)


def grown(root: Path, scale: float, rounds: int) -> Iterator[WorkDoc]:
    """Measure all verbs on three sizes: of files in one model, and of bytes in one file."""
    for work in (FILES, BYTES):
        medians: dict[str, list[float]] = {}
        for factor in _FACTORS:
            folder = root / f"{work.unit}-{factor}"
            folder.mkdir()
            with Reserve(scale) as reserve:
                for verb, seconds in measured(folder, work, factor * scale, rounds, reserve):
                    medians.setdefault(verb, []).append(seconds)
            shutil.rmtree(folder)
        yield {
            "unit": work.unit,
            "sizes": [max(1, int(factor * scale * work.most)) for factor in _FACTORS],
            "verbs": [verb_of(verb, seconds) for verb, seconds in medians.items()],
        }


def measured(
    root: Path, work: Work, scale: float, rounds: int, reserve: Reserve
) -> Iterator[tuple[str, float]]:
    """The median of each verb at one scale."""
    source = root / "source"
    work.write(source, scale)
    store = root / "store"
    run(zoostore(store, "add", str(source), STUB))
    run(zoostore(store, "checkout", STUB, str(root / "kept")))
    for verb, step in _steps(root, source, store).items():
        yield verb, statistics.median(measure(step, reserve).seconds for _ in range(rounds))


def _steps(root: Path, source: Path, store: Path) -> dict[str, Step]:
    fresh, out = root / "fresh", root / "out"
    return {
        "add": Step(zoostore(fresh, "add", str(source), STUB), after=lambda: shutil.rmtree(fresh)),
        "checkout": Step(
            zoostore(store, "checkout", STUB, str(out), "--link", "copy"),
            check=lambda: same(source, out),
            after=lambda: shutil.rmtree(out),
        ),
        "status": Step(zoostore(store, "status", str(root / "kept"), "--exit-code")),
        "verify": Step(zoostore(store, "verify")),
        "du": Step(zoostore(store, "du")),
        "gc": Step(zoostore(store, "gc")),
        "ls": Step(zoostore(store, "ls")),
        "ls STUB": Step(zoostore(store, "ls", STUB)),
    }


def verb_of(verb: str, seconds: list[float]) -> VerbDoc:
    """What the medians of three sizes say of a verb."""
    slope = math.log10(seconds[-1] / seconds[-2]) / math.log10(_FACTORS[-1] / _FACTORS[-2])
    return {
        "verb": verb,
        "seconds": seconds,
        "slope": slope,
        "straight_or_flat": slope <= _HIGHEST_SLOPE,
    }


def lines(work: WorkDoc) -> Iterator[str]:
    """A table of one kind of work."""
    sizes = " | ".join(f"{size:,} {work['unit']}" for size in work["sizes"])
    yield from ("", f"| verb | {sizes} | slope | straight or flat |", "|---|--:|--:|--:|--:|---|")
    for verb in work["verbs"]:
        seconds = " | ".join(f"{value:.3f} s" for value in verb["seconds"])
        is_so = "yes" if verb["straight_or_flat"] else "**no**"
        yield f"| {verb['verb']} | {seconds} | {verb['slope']:.2f} | {is_so} |"
