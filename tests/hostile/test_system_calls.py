"""The same from outside of the process: no system call that changes a file names one elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile.make_archives import FOLDER as ARCHIVES
from tests.hostile.make_zoos import lay_out
from tests.hostile.raw_cache import COMMIT, good_cache, stand

if TYPE_CHECKING:
    from tests.conftest import Serve

STRACE = shutil.which("strace")
CHANGING = (
    *("mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "unlink", "unlinkat", "rename", "renameat"),
    *("renameat2", "link", "linkat", "symlink", "symlinkat", "truncate", "creat", "chmod"),
    *("fchmodat", "chown", "lchown", "fchownat", "utimensat", "setxattr", "lsetxattr"),
)
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)")
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


def can_trace() -> bool:
    if STRACE is None:
        return False
    done = subprocess.run(
        [STRACE, "-qq", "-o", os.devnull, "true"], capture_output=True, check=False
    )
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not trace")


def changed_paths(trace: str, cwd: Path) -> Iterator[tuple[str, str]]:
    """Every path that a traced call would change, and the call.

    Of links only the last: what they lead to does not change.
    """
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        is_open = call in ("open", "openat", "openat2") and WRITES.search(rest)
        if not (is_open or call in CHANGING):
            continue
        found = PATH.findall(rest)
        for folder, name in found[-1:] if "link" in call else found:
            text = name.encode("ascii").decode("unicode_escape").encode("latin-1").decode()
            yield call, os.path.normpath(os.path.join(folder or cwd, text))


def trace(cwd: Path, *arguments: str | Path) -> tuple[int, list[tuple[str, str]]]:
    """Run the command line; how it ended, and the paths that it would have changed."""
    assert STRACE is not None
    calls = f"open,openat,openat2,{','.join(f'?{call}' for call in CHANGING)}"
    output = cwd / "trace"
    command = [sys.executable, "-B", "-m", "zoostore", *map(str, arguments)]
    tracing = [STRACE, "-f", "-qq", "-y", "-s", "5000", "-e", f"trace={calls}", "-o", str(output)]
    done = subprocess.run(
        [*tracing, "--", *command], cwd=cwd, capture_output=True, timeout=120, check=False
    )
    return done.returncode, list(changed_paths(output.read_text(), cwd))


def elsewhere(changes: list[tuple[str, str]], *within: Path) -> list[tuple[str, str]]:
    return [
        (call, path)
        for call, path in changes
        if not any(Path(path).is_relative_to(folder) for folder in within)
        and not path.startswith(("/dev/null", "/dev/tty", "/dev/pts", "/dev/shm"))
    ]


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("cwd", "scratch", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    return tmp_path / "cwd"


def test_a_trace_shows_what_was_written(cwd: Path, tmp_path: Path) -> None:
    code, changes = trace(cwd, "--store", tmp_path / "store", "add", tmp_path / "work", "zoo:m")

    assert code == 0
    assert {call for call, _ in changes} >= {"openat", "rename", "mkdir"}
    assert elsewhere(changes)
    assert elsewhere(changes, tmp_path / "store") == []


@pytest.mark.parametrize(
    "name", ["link-then-through.tar.gz", "hardlink-absolute.tar.gz", "up.zip", "nested.zip"]
)
def test_an_archive_changes_nothing_but_the_store(
    name: str, cwd: Path, tmp_path: Path, serve: Serve
) -> None:
    web = serve(ARCHIVES)

    code, changes = trace(
        cwd, "--store", tmp_path / "store", "pull", f"{web.url}/{name}", "--as", "zoo:evil"
    )

    assert code == (0 if name == "nested.zip" else 5)
    assert elsewhere(changes, tmp_path / "store") == []


@pytest.mark.parametrize("name", ["links-in-a-loop", "link-to-its-folder", "rows-that-overlap"])
def test_a_zoo_changes_nothing_but_the_store_and_the_target(
    name: str, cwd: Path, tmp_path: Path
) -> None:
    zoo, at = lay_out(name, tmp_path / "zoo"), ("--store", tmp_path / "store")
    assert trace(cwd, *at, "remote", "add", "zoo", zoo)[0] == 0

    _, changes = trace(cwd, *at, "checkout", "zoo:evil", tmp_path / "work/out")

    assert changes
    assert elsewhere(changes, tmp_path / "store", tmp_path / "work") == []


def test_a_cache_changes_nothing_but_the_store_and_what_is_linked_anew(
    cwd: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 100)
    root = good_cache("hub", tmp_path / "cache")
    for name, what in (("a", "-> SECRET"), ("b", "-> /etc/passwd"), ("c", "-> ../../../..")):
        stand(root / "snapshots" / COMMIT / name, what, tmp_path / "secret")

    code, changes = trace(cwd, "--store", tmp_path / "store", "adopt", root, "--relink")

    assert code == 0
    assert elsewhere(changes, tmp_path / "store", root) == []
