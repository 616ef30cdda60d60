"""Sweeps: one command, cut off or failing at every position, in a process of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

from tests.crashes.scenes import publish_zoo
from tests.crashes.shim import build
from tests.web_server import WebServer

ROOT = Path(__file__).parents[2]
IN_MEMORY = Path("/dev/shm")

KINDS = ("before", "after", "torn", "power", "EIO", "ENOSPC", "EDQUOT")
"""The process is killed before a call, after it, or in the middle of a write; the power goes; the
call fails."""


class Swept(NamedTuple):
    """What a sweep came to.

    Attributes:
        positions: how many calls of the command change something.
        tried: at how many of them something was done, by kind.
        failures: what was not as it must be.
    """

    positions: int
    tried: Mapping[str, int]
    failures: Sequence[str]


class Setting(NamedTuple):
    """What all sweeps share: the shim, and a published zoo with a web server."""

    shim: Path
    zoo: Path
    web: str


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def set_up(folder: Path) -> Iterator[Setting]:
    """Have what sweeps need in a folder, for as long as the context lasts."""
    shim, zoo = build(folder), publish_zoo(folder)
    with WebServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(zoo))) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Setting(shim, zoo, f"http://127.0.0.1:{web.server_port}")
        web.shutdown()
        thread.join()


def sweep(setting: Setting, command: str, kinds: Sequence[str], step: int = 1) -> Swept:
    """Sweep a command.

    Args:
        kinds: in which ways, of `KINDS`.
        step: at every so many positions.
    """
    # Nothing need last there, and files are made a thousand times.
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zoostore-sweep-", dir=place) as folder:
        job = [str(setting.shim), folder, str(setting.zoo), setting.web, command]
        done = subprocess.run(
            [sys.executable, "-m", "tests.crashes.driver", json.dumps([*job, list(kinds), step])],
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(setting.shim)},
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return Swept(**json.loads(done.stdout))
