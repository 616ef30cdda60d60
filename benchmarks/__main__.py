"""zoostore beside its peers: `python -m benchmarks`. docs/benchmarks.md says what is measured."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import growth, reporting
from benchmarks.contests import COLD, WARM, Fact
from benchmarks.machine import facts
from benchmarks.measuring import can_drop_caches
from benchmarks.plotting import NoMatplotlib, draw, draw_growth, require_matplotlib
from benchmarks.reporting import FactDoc, ReportDoc, RowDoc
from benchmarks.suite import WORKLOADS, Options, found_tools, held

_VERBS = ("run", "growth", "draw")
_CACHES = (WARM, COLD)


def main(arguments: Sequence[str]) -> int:
    """Run what the command line says; the exit code, 1 if something failed."""
    options = _parsed(arguments)
    try:
        if options.plot:
            require_matplotlib()
        if options.verb == "draw":
            return _draw(options)
        with _scratch(options.directory) as folder:
            return _grow(options, folder) if options.verb == "growth" else _run(options, folder)
    except NoMatplotlib as error:
        print(error, file=sys.stderr)
        return 2


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "verb",
        nargs="?",
        choices=_VERBS,
        default="run",
        help="run: the table (the default); growth: from 1x to 100x the work; "
        "draw: the tables and the plot from --json FILE of an earlier run",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the workloads' sizes")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument(
        "--only", nargs="+", choices=WORKLOADS, default=WORKLOADS, metavar="WORKLOAD"
    )
    parser.add_argument(
        "--rows", nargs="+", default=(), metavar="WORD", help="those whose names hold one of these"
    )
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", help="how their names begin (default: all)"
    )
    parser.add_argument(
        "--caches", nargs="+", choices=_CACHES, default=_CACHES, help="the kernel's (default: both)"
    )
    parser.add_argument("--directory", type=Path, help="on the file system to be measured")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="SVG, or what the suffix says")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.verb == "draw" and options.json is None:
        parser.error("draw needs the --json FILE of a run")
    return options


@contextlib.contextmanager
def _scratch(directory: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zoostore-bench-", dir=directory) as folder:
        yield Path(folder)


def _run(given: argparse.Namespace, folder: Path) -> int:
    caches = [each for each in given.caches if each == WARM or can_drop_caches()]
    options = Options(
        given.scale, given.rounds, given.only, given.rows, given.peers, folder, caches
    )
    tools = found_tools(options.peers)
    for tool in tools:
        print(f"{tool.name}: {tool.absent or tool.version}")
    head = {
        "scale": given.scale,
        "rounds": given.rounds,
        "machine": facts(folder),
        "caches": " and ".join(caches),
    }
    rows: list[RowDoc] = []
    found: list[FactDoc] = []
    for outcome in held(options, tools):
        if isinstance(outcome, Fact):
            found.append(reporting.fact_of(outcome))
        else:
            rows.append(reporting.row_of(outcome, folder))
            _print_lines(["", *reporting.row_lines(rows[-1])])
        _write(given, reporting.report(head, tools, rows, found))
    document = reporting.report(head, tools, rows, found)
    _print_lines(["", *reporting.verdict_lines(document)])
    if given.plot:
        draw(document, given.plot)
    return 1 if any(row["ours"] in row["failed"] for row in rows) else 0


def _write(given: argparse.Namespace, document: ReportDoc) -> None:
    """Written after each row, so that a run that is broken off leaves what it found."""
    if given.json:
        _write_json(given.json, document)
    if given.markdown:
        given.markdown.write_text("".join(f"{line}\n" for line in reporting.markdown(document)))


def _draw(given: argparse.Namespace) -> int:
    document = json.loads(given.json.read_text())
    if "growths" in document:
        if given.plot:
            draw_growth(document, given.plot)
        return 0
    if given.markdown:
        given.markdown.write_text("".join(f"{line}\n" for line in reporting.markdown(document)))
    if given.plot:
        draw(document, given.plot)
    return 0


def _grow(given: argparse.Namespace, folder: Path) -> int:
    document: growth.GrowthDoc = {
        "scale": given.scale,
        "rounds": given.rounds,
        "machine": facts(folder),
        "growths": [],
    }
    for work in growth.grown(folder, given.scale, given.rounds):
        document["growths"].append(work)
        _print_lines(growth.lines(work))
        if given.json:
            _write_json(given.json, document)
    if given.plot:
        draw_growth(document, given.plot)
    return 0


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM):  # neither leaves 40 GB behind
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
