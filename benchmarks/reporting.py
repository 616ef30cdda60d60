"""The report: what was measured as one JSON document, and the tables that are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.contests import WARM, Fact, Measured, Outcome, Target
from benchmarks.suite import ToolFacts

VERSION = 1
_MEMORY_LIMIT_BYTES = 100_000_000
_COLUMNS = 48


class ResultDoc(TypedDict):
    """What one contender took; `ratio` and its bounds are ours divided by it."""

    name: str
    seconds: list[float]
    median: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float
    peak_bytes: int
    anonymous_bytes: int
    disk_bytes: int | None


class TargetDoc(TypedDict):
    """A target, and what was reached.

    It is a ratio to `beside`, the fastest of those in `of`, or seconds if there are none. `met`
    is None if there was nobody to compare with, or no limit: with cold caches there is none.
    """

    limit: float | None
    of: list[str]
    beside: str | None
    reached: float | None
    met: bool | None


class RowDoc(TypedDict):
    what: str
    caches: str
    ours: str
    results: list[ResultDoc]
    targets: list[TargetDoc]
    skipped: dict[str, str]
    failed: dict[str, str]


class FactDoc(TypedDict):
    what: str
    value: float
    unit: str
    limit: float | None
    met: bool | None


class ReportDoc(TypedDict):
    version: int
    scale: float
    rounds: int
    machine: dict[str, Any]
    caches: str
    tools: list[dict[str, str]]
    rows: list[RowDoc]
    facts: list[FactDoc]


def row_of(outcome: Outcome, folder: Path) -> RowDoc:
    """An outcome as a part of the report.

    Args:
        folder: all is below it; it is left out of what those who failed said.
    """
    contest, measured = outcome.contest, outcome.measured
    ours = measured.get(contest.ours)
    return {
        "what": contest.what,
        "caches": outcome.caches,
        "ours": contest.ours,
        "results": [_result(name, item, ours or item) for name, item in measured.items()],
        "targets": [_judged(target, ours, outcome) for target in contest.targets],
        "skipped": dict(contest.skipped),
        "failed": {name: why.replace(f"{folder}/", "") for name, why in outcome.failed.items()},
    }


def fact_of(fact: Fact) -> FactDoc:
    """A fact as a part of the report."""
    met = None if fact.limit is None else fact.value <= fact.limit
    return {**asdict(fact), "met": met}  # type: ignore[typeddict-item]


def memory_fact(rows: Iterable[RowDoc]) -> FactDoc:
    """The most memory beyond mapped files that zoostore had in any row."""
    peaks = [
        result["anonymous_bytes"]
        for row in rows
        for result in row["results"]
        if result["name"] == row["ours"]
    ]
    what = "zoostore: memory beyond mapped files, most of all rows"
    return fact_of(Fact(what, max(peaks, default=0), "bytes", _MEMORY_LIMIT_BYTES))


def report(
    head: Mapping[str, Any], tools: Iterable[ToolFacts], rows: list[RowDoc], facts: list[FactDoc]
) -> ReportDoc:
    """The whole document; `head` has the keys that are about the run."""
    described = [asdict(tool) for tool in tools]
    body = {"tools": described, "rows": rows, "facts": [*facts, memory_fact(rows)]}
    return {"version": VERSION, **head, **body}  # type: ignore[typeddict-item]


def _result(name: str, measured: Measured, ours: Measured) -> ResultDoc:
    in_turn = [mine / theirs for mine, theirs in zip(ours.seconds, measured.seconds, strict=True)]
    return {
        "name": name,
        "seconds": measured.seconds,
        "median": measured.median,
        "ratio": ours.median / measured.median,
        "lowest_ratio": min(in_turn),
        "highest_ratio": max(in_turn),
        "peak_bytes": max(run.peak_bytes for run in measured.runs),
        "anonymous_bytes": max(run.anonymous_bytes for run in measured.runs),
        "disk_bytes": measured.disk_bytes,
    }


def _judged(target: Target, ours: Measured | None, outcome: Outcome) -> TargetDoc:
    measured = outcome.measured
    limit = target.limit if outcome.caches == WARM else None
    beside, reached = None, None
    here = [name for name in target.of if name in measured]
    if ours is not None and here:
        beside = min(here, key=lambda name: measured[name].median)
        reached = ours.median / measured[beside].median
    elif ours is not None and not target.of:
        reached = ours.median
    met = None if reached is None or limit is None else reached <= limit
    return {
        "limit": limit,
        "of": list(target.of),
        "beside": beside,
        "reached": reached,
        "met": met,
    }


# Tables


def markdown(document: ReportDoc) -> Iterator[str]:
    """The lines of the report for the docs."""
    yield from _head_lines(document)
    yield from ("", *verdict_lines(document))
    for row in document["rows"]:
        yield from ("", *row_lines(row))
    yield from ("", "| tool | version | durable by |", "|---|---|---|")
    for tool in document["tools"]:
        yield f"| {tool['name']} | {tool['absent'] or tool['version']} | {tool['durability']} |"


def verdict_lines(document: ReportDoc) -> Iterator[str]:
    """The table of targets, and whether they are met."""
    yield "| what | caches | zoostore | reached | must be | met |"
    yield "|---|---|--:|---|--:|---|"
    for row in document["rows"]:
        yield from _target_lines(row)
    for fact in document["facts"]:
        yield _fact_line(fact)


def _head_lines(document: ReportDoc) -> Iterator[str]:
    rounds, caches = document["rounds"], document["caches"]
    yield f"Scale {document['scale']:g}, {rounds} rounds or more; caches: {caches}."
    yield ""
    for name, value in document["machine"].items():
        yield f"- {name}: {value}"


def _target_lines(row: RowDoc) -> Iterator[str]:
    by_name = {result["name"]: result for result in row["results"]}
    ours = by_name.get(row["ours"])
    start = f"| {row['what']} | {row['caches']} | {_seconds(ours['median']) if ours else 'failed'}"
    for target in row["targets"]:
        limit, beside = target["limit"], target["beside"]
        reached = f"{_ratio(by_name[beside])} of {beside}" if beside else ""
        if limit is None:
            yield f"{start} | {reached} | | |"
        else:
            must_be = f"{limit:.3g}" if target["of"] else _seconds(limit)
            yield f"{start} | {reached} | {must_be} | {_MET[target['met']]} |"


_MET = {True: "yes", False: "**no**", None: "?"}


def _ratio(result: ResultDoc) -> str:
    lowest, highest = result["lowest_ratio"], result["highest_ratio"]
    return f"{result['ratio']:.2f} ({lowest:.2f}..{highest:.2f})"


def _fact_line(fact: FactDoc) -> str:
    value = (
        _bytes(fact["value"]) if fact["unit"] == "bytes" else f"{fact['value']:,.0f} {fact['unit']}"
    )
    limit = fact["limit"]
    must_be = "" if limit is None else _bytes(limit) if fact["unit"] == "bytes" else f"{limit:g}"
    met = "" if limit is None else _MET[fact["met"]]
    return f"| {fact['what']} | | {value} | | {must_be} | {met} |"


def row_lines(row: RowDoc) -> Iterator[str]:
    """All contenders of a row."""
    yield f"**{row['what']}** ({row['caches']} caches)"
    yield ""
    yield "| who | median | from..to | zoostore / it | peak memory | beyond files | disk |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for result in row["results"]:
        seconds = result["seconds"]
        disk = result["disk_bytes"]
        yield (
            f"| {result['name']} | {_seconds(result['median'])} "
            f"| {_seconds(min(seconds))}..{_seconds(max(seconds))} | {_ratio(result)} "
            f"| {_bytes(result['peak_bytes'])} | {_bytes(result['anonymous_bytes'])} "
            f"| {'' if disk is None else _bytes(disk)} |"
        )
    for name, why in {**row["skipped"], **row["failed"]}.items():
        yield f"| {name} | {' '.join(why.split())[:_COLUMNS]} | | | | | |"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _bytes(value: float) -> str:
    return f"{value / 1e6:,.0f} MB" if value >= 1e7 else f"{value / 1e6:.2f} MB"
