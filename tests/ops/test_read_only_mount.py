"""A store on a file system that is mounted read-only answers, and nothing tries to write to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

STUB = "zoo:one"
BIG = bytes(range(256))
FILES: dict[str, Content] = {
    "big.bin": BIG,
    "deployment/model.onnx": b"no real model",
    "small.txt": b"small",
    "sub/run*": b"#!",
}
MOUNTED = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
shift && exec "$@"
"""
PROGRAM = """
import contextlib, io, json, sys
from pathlib import Path
from zoostore import Model
from zoostore.cli.main import run
codes = []
for command in json.loads(sys.argv[2]):
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        codes.append(run(["--store", sys.argv[1], *command]))
model = Model("zoo:one", download_path=sys.argv[3])
content = Path(model.deployment.default.path, "model.onnx").read_bytes()
print(json.dumps([codes, content.decode()]))
"""


def can_mount(folder: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", str(folder), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def listing(root: Path) -> dict[str, tuple[int, int, int, int]]:
    """Every path with its inode, size, and the times of its last changes."""
    statuses = {str(path): path.lstat() for path in [root, *root.rglob("*")]}
    return {
        path: (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for path, status in statuses.items()
    }


@pytest.mark.parametrize("index", ["as it was", "gone", "elsewhere"])
def test_every_verb_that_reads_does_on_a_read_only_mount(
    store: Store, lay: LayOut, tmp_path: Path, index: str
) -> None:
    if not can_mount(tmp_path):
        pytest.skip("only root on Linux may mount, and not everywhere")
    store.add(lay("source", FILES), STUB, message="first", time=1)
    store.tag(STUB, "v1")
    work = store.checkout(STUB, tmp_path / "work", link="copy").directory
    (work / "small.txt").write_bytes(b"edited")
    path = store.path
    del store
    if index == "gone":
        shutil.rmtree(path / "index")
    reading: list[tuple[str, ...]] = [
        ("ls",), ("ls", STUB), ("show", STUB), ("log", STUB), ("cat", STUB, "small.txt"),
        ("cat", STUB, "deployment/model.onnx"), ("diff", f"{STUB}@v1", STUB), ("diff", str(work)),
        ("status", str(work)), ("du",), ("verify",), ("verify", STUB), ("search", "one"), ("gc",),
        ("remote", "ls"), ("remote", "show", "builtin"), ("repair", "--dry-run"),
        ("checkout", STUB, str(tmp_path / "again"), "--link", "auto"),
        ("checkout", f"{STUB}@v1", str(work), "--force"),
        ("publish", STUB, "--to", str(tmp_path / "zoo")),
    ]  # fmt: skip
    writing: list[tuple[str, ...]] = [
        ("add", str(tmp_path / "source"), "zoo:new"), ("tag", STUB, "v2"), ("rm", STUB),
        ("pull", "mlp-512-digits-base"), ("gc", "--yes"), ("repair",),
        ("commit", str(work), "-m", "m"), ("remote", "add", "x", "http://127.0.0.1:1"),
    ]  # fmt: skip
    before = listing(path)

    command = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", str(path), sys.executable, "-c", PROGRAM]
    elsewhere = {"ZOOSTORE_INDEX": str(tmp_path / "index")} if index == "elsewhere" else {}
    done = subprocess.run(
        [*command, str(path), json.dumps([*reading, *writing]), str(tmp_path / "model")],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, **elsewhere, "ZOOSTORE_HOME": str(path)},
    )

    assert done.returncode == 0, done.stderr.decode()
    codes, content = json.loads(done.stdout)
    assert dict(zip(reading, codes, strict=False)) == dict.fromkeys(reading, 0), done.stderr
    assert codes[len(reading) :] == [1] * len(writing), done.stderr.decode()
    assert content == "no real model"
    assert listing(path) == before
    assert (tmp_path / "again/big.bin").read_bytes() == BIG
