"""What the tests of the views share: other processes, other users, and no network."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

_NOBODY = 65534

# Permissions do not bind root. What is imported late is imported first: nobody may be unable to.
_BECOME_NOBODY = """
import ast, contextlib, importlib, os, zoostore
from pathlib import Path
package, names = Path(zoostore.__file__).parent, set()
for path in package.rglob("*.py"):
    if not path.is_relative_to(package / "zoo") and path.name != "__main__.py":
        parts = path.relative_to(package).with_suffix("").parts
        names.add(".".join(["zoostore", *parts]).removesuffix(".__init__"))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
for name in names:
    if name.split(".")[0] not in ("rich", "requests", "numpy", "onnxruntime"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""

_AT_ONCE = """
import sys, time
from pathlib import Path
gate, number = Path(sys.argv[1]), sys.argv[2]
gate.with_name(f"{gate.name}.{number}").touch()
while not gate.exists():
    time.sleep(0.001)
"""


class RunPython(Protocol):
    """Runs a program in a process of its own, and gives what it printed."""

    def __call__(self, program: str, *arguments: object, as_nobody: bool = ...) -> str: ...


class RunTogether(Protocol):
    """Runs a program in several processes, let go at once, and gives what each printed.

    In the program, `number` is which of them it is, and its arguments begin at `sys.argv[3]`.
    """

    def __call__(self, program: str, count: int, *arguments: object) -> list[str]: ...


@pytest.fixture
def run_python() -> RunPython:
    def run(program: str, *arguments: object, as_nobody: bool = False) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _BECOME_NOBODY + program if as_nobody else program,
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def run_together(tmp_path: Path) -> Iterator[RunTogether]:
    processes: list[subprocess.Popen[str]] = []

    def run(program: str, count: int, *arguments: object) -> list[str]:
        gate = tmp_path / "gate"
        for number in range(count):
            command = [sys.executable, "-c", _AT_ONCE + program, gate, number, *arguments]
            processes.append(
                subprocess.Popen(
                    list(map(str, command)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        deadline = time.monotonic() + 30
        while len(list(tmp_path.glob("gate.*"))) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        gate.touch()
        said = [process.communicate(timeout=60) for process in processes]
        assert [err for _, err in said] == [""] * count
        assert [process.returncode for process in processes] == [0] * count
        return [out for out, _ in said]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter; `own` in it belongs to nobody."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "own").mkdir()
        if os.geteuid() == 0:
            os.chown(folder / "own", _NOBODY, _NOBODY)
        monkeypatch.setenv("TMPDIR", str(folder / "own"))
        yield folder
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch, impatient: None) -> Callable[[], None]:
    """From when it is called on, no connection can be made."""

    def connect(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    return lambda: monkeypatch.setattr("socket.socket.connect", connect)
