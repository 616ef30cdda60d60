"""A crowd for as long as one likes: `python -m tests.crowd [--processes 16] [--seconds 60]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crowd.crowd import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crowd", description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.processes, options.seconds, options.seed)
    sys.stdout.write(f"{sum(result.done.values())} verbs done: {dict(result.done)}\n")
    sys.stdout.write(f"refused as they should be: {dict(result.said)}\n")
    for wrong in result.wrong:
        sys.stdout.write(f"WRONG: {wrong}\n")
    return int(bool(result.wrong))


if __name__ == "__main__":
    sys.exit(main())
