"""The command line starts fast: it imports only what the verb at hand needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Scene

PROGRAM = """
import contextlib, io, json, sys
from zoostore.cli.main import run
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    code = run(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]))
"""
NEVER = {"numpy", "onnx", "onnxruntime", "sklearn", "rich", "requests"}
NOT_FOR_HELP = NEVER | {"lmdb", "blake3", "platformdirs", "tomlkit", "pathspec", "urllib3"}


def imported_by(*arguments: str | Path) -> set[str]:
    """The modules that are imported when a command has ended."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([str(argument) for argument in arguments])],
        capture_output=True,
        timeout=60,
        check=True,
        env=os.environ,
    )
    code, modules = json.loads(done.stdout)
    assert code == 0, done.stderr.decode()
    return set(modules)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("--version",), ("checkout", "-h"), ("completion", "bash")]
)
def test_help_needs_nothing_but_click(arguments: tuple[str, ...]) -> None:
    assert not imported_by(*arguments) & NOT_FOR_HELP


@pytest.mark.parametrize(
    "verb",
    [
        ("ls",),
        ("ls", "zoo:one"),
        ("show", "zoo:one"),
        ("log", "zoo:one"),
        ("status", "{work}"),
        ("diff", "zoo:one@v1", "zoo:one"),
        ("du",),
        ("verify",),
        ("checkout", "zoo:one", "{work}2"),
        ("checkout", "mlp-512-digits-base", "{work}2"),
        ("commit", "{work}", "-m", "m"),
    ],
)
def test_a_verb_that_sends_nothing_imports_no_http_and_no_progress_bar(
    scene: Scene, verb: tuple[str, ...]
) -> None:
    modules = imported_by(*(argument.format(work=scene.work) for argument in verb))

    assert not modules & (NEVER | {"urllib3", "tomlkit"})


def test_ls_reads_the_index_and_nothing_else(scene: Scene) -> None:
    modules = imported_by("ls", "--json")

    assert "lmdb" in modules
    assert not {
        name for name in modules if name.startswith(("zoostore.ops.check", "zoostore.sources"))
    }
