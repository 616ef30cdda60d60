"""What the tests of the store share: stores, other processes, other users, small disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

import zoostore
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore

SMALL_DISK_BYTES = 3 << 20

# Permissions do not bind root. What is imported late is imported first: nobody may be unable to.
BECOME_NOBODY = """
import json, os, pkgutil, shutil, subprocess, tempfile
import zoostore.files, zoostore.store
for package in (zoostore.files, zoostore.store):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        __import__(module.name)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""

# Runs check(folder) for each folder in a process of its own, so that one may die of it.
_IN_OWN_PROCESSES = """
import json, os, sys, traceback
from pathlib import Path

def run(folder, out):
    try:
        answer = check(Path(folder))
    except BaseException:
        answer = "raised " + traceback.format_exc()
    os.write(out, answer.encode())

def outcome(folder):
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receive)
        run(folder, send)
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as answers:
        answer = answers.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return answer if code == 0 else f"died of {-code} after {answer!r}"

print(json.dumps({folder: outcome(folder) for folder in sys.argv[1:]}))
"""


class OpenStore(Protocol):
    def __call__(self, *, large_object: int = 1000) -> ObjectStore: ...


class RunPython(Protocol):
    def __call__(
        self, script: str, *args: object, as_nobody: bool = False, check: bool = True
    ) -> subprocess.CompletedProcess[str]: ...


class StartPython(Protocol):
    def __call__(self, script: str, *args: object) -> subprocess.Popen[str]: ...


class Outcomes(Protocol):
    def __call__(self, script: str, folders: Iterable[Path]) -> dict[str, str]: ...


def environment() -> dict[str, str]:
    root = str(Path(zoostore.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A new and empty store."""
    layout = Layout(tmp_path / "store")
    layout.create()
    return layout


@pytest.fixture
def open_store(layout: Layout) -> OpenStore:
    """Opens the store again, as another process would."""

    def opened(*, large_object: int = 1000) -> ObjectStore:
        return ObjectStore(Names(layout), large_object=large_object)

    return opened


@pytest.fixture
def store(open_store: OpenStore) -> ObjectStore:
    """The open store, where 1000 bytes are a large object."""
    return open_store()


@pytest.fixture
def run_python() -> RunPython:
    """Runs a script in a process of its own."""

    def run(
        script: str, *args: object, as_nobody: bool = False, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                BECOME_NOBODY + script if as_nobody else script,
                *map(str, args),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            timeout=60,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    return run


@pytest.fixture
def outcomes(run_python: RunPython) -> Outcomes:
    """Runs the script's `check(folder)` for each folder: what it returned, raised, or died of."""

    def run(script: str, folders: Iterable[Path]) -> dict[str, str]:
        done = run_python(script + _IN_OWN_PROCESSES, *folders)
        answers: dict[str, str] = json.loads(done.stdout)
        return answers

    return run


@pytest.fixture
def start_python() -> Iterator[StartPython]:
    """Starts a script in a process of its own, which has ended when the test has."""
    processes: list[subprocess.Popen[str]] = []

    def start(script: str, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can read; pytest's own cannot be."""
    with tempfile.TemporaryDirectory(prefix="zoostore-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    place = tmp_path / "small-disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "none", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily: an index that is still open keeps a file there.
        subprocess.run(["umount", "--lazy", str(place)], check=True)
