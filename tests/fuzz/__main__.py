"""`python -m tests.fuzz --examples N`: feed every decoder with N inputs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, metavar="N")
    parser.add_argument("rest", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    os.environ["ZOOSTORE_FUZZ_EXAMPLES"] = str(options.examples)
    folder = Path(__file__).parent
    return pytest.main([str(folder), "--timeout=0", "--hypothesis-show-statistics", *options.rest])


if __name__ == "__main__":
    sys.exit(main())
