"""Every command, cut off and failing at every position: `python -m tests.crashes`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crashes.commands import COMMANDS
from tests.crashes.shim import compiler
from tests.crashes.sweeps import KINDS, Swept, set_up, sweep

HEADINGS = ("command", "positions", "killed before / after", "torn", "power cut", *KINDS[4:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), help="default: all")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS, help="default: all")
    parser.add_argument("--step", type=int, default=1, help="try every so many positions")
    parser.add_argument("--processes", type=int, default=1, help="commands swept at once")
    options = parser.parse_args()
    if compiler() is None:
        parser.error("there is no C compiler here, and the shim has to be built")
    _write_row(*HEADINGS, "failures")
    _write_row(*["---"] * (len(HEADINGS) + 1))
    failures = []
    with (
        tempfile.TemporaryDirectory() as folder,
        set_up(Path(folder)) as setting,
        ThreadPoolExecutor(options.processes) as pool,
    ):
        swept = pool.map(
            lambda name: sweep(setting, name, options.kinds, options.step), options.commands
        )
        for name, result in zip(options.commands, swept, strict=True):
            _write_result(name, result)
            failures += [f"{name}, {failure}" for failure in result.failures]
    for failure in failures:
        sys.stdout.write(f"\n{failure}\n")
    return int(bool(failures))


def _write_result(name: str, result: Swept) -> None:
    tried = {kind: result.tried.get(kind, 0) for kind in KINDS}
    kills = f"{tried['before']} / {tried['after']}"
    rest = [tried[kind] for kind in KINDS[2:]]
    _write_row(f"`{name}`", result.positions, kills, *rest, len(result.failures))


def _write_row(*cells: object) -> None:
    sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
