"""Staging: a file has its old content or its new one, and nothing is left of what failed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import zoostore
from zoostore.files.staging import (
    BEGUN,
    Staging,
    fsync_directory,
    host_name,
    process_is_alive,
    publish,
    remove_abandoned,
    replace_durably,
)

OLD, NEW = b"old content", b"new content"


def run(script: str, *args: object) -> int:
    """The exit code of a script in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(zoostore.__file__).parent.parent)}
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(command, check=False, env=environment, timeout=30).returncode


def dead_pid() -> int:
    """The id of a process that has ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Giving a file new content


def test_a_file_gets_its_new_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (OLD, NEW, b""):
        replace_durably(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_a_file_that_is_open_keeps_its_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_durably(path, OLD)
    with open(path, "rb") as file:
        replace_durably(path, NEW)
        assert file.read() == OLD
    assert path.read_bytes() == NEW


@pytest.mark.parametrize(
    ("call", "number", "content"),
    [
        ("fsync", 0, OLD),
        ("replace", 0, OLD),
        ("open", 0, NEW),
        ("fsync", 1, NEW),
    ],
    ids=["file not durable", "not renamed", "folder not opened", "name not durable"],
)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_step_leaves_the_old_or_the_new_content_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    content: bytes,
    error: int,
) -> None:
    path = tmp_path / "file"
    replace_durably(path, OLD)
    original: Callable[..., object] = getattr(os, call)
    calls = iter(range(10))

    def failing(*args: object, **named: object) -> object:
        if next(calls) == number:
            raise OSError(error, os.strerror(error))
        return original(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(OSError, match=os.strerror(error)):
            replace_durably(path, NEW)

    assert path.read_bytes() == content
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("call", "content"), [("fsync", OLD), ("replace", OLD), ("open", NEW), ("close", NEW)]
)
def test_a_process_killed_at_any_step_leaves_the_old_or_the_new_content(
    tmp_path: Path, call: str, content: bytes
) -> None:
    path = tmp_path / "file"
    replace_durably(path, OLD)
    script = """
import os, sys
from pathlib import Path
from zoostore.files.staging import replace_durably
setattr(os, sys.argv[2], lambda *_, **__: os._exit(9))
replace_durably(Path(sys.argv[1]), b"new content")
"""
    assert run(script, path, call) == 9

    assert path.read_bytes() == content
    replace_durably(path, NEW)
    assert path.read_bytes() == NEW


def test_a_folder_that_is_not_there_cannot_be_made_durable(tmp_path: Path) -> None:
    fsync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_directory(tmp_path / "missing")


# Publishing


def test_a_published_file_is_read_only_and_has_its_name(tmp_path: Path) -> None:
    staged, target = tmp_path / "staged", tmp_path / "target"
    with open(staged, "xb") as file:
        file.write(NEW)
        status = publish(file, staged, target)

    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == 0o444
    after = target.stat()
    assert (status.st_size, status.st_mtime_ns, status.st_ino) == (
        *(after.st_size, after.st_mtime_ns, after.st_ino),
    )
    assert names(tmp_path) == ["target"]


def test_what_could_not_be_made_durable_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    staged, target = tmp_path / "staged", tmp_path / "target"
    monkeypatch.setattr(os, "fsync", refuse)

    with open(staged, "xb") as file, pytest.raises(OSError, match="Input/output"):
        publish(file, staged, target)

    assert not target.exists()


# Folders for staging


def test_a_staging_folder_is_made_when_it_is_needed_and_removed_when_closed(
    tmp_path: Path,
) -> None:
    staging = Staging(tmp_path / "tmp")
    assert not (tmp_path / "tmp").exists()
    first, second = staging.new_path(), staging.new_path()
    assert first != second
    first.write_bytes(NEW)
    assert len(names(tmp_path / "tmp")) == 1

    staging.close()

    assert names(tmp_path / "tmp") == []
    staging.close()


def test_two_stagings_of_one_process_have_folders_of_their_own(tmp_path: Path) -> None:
    first, second = Staging(tmp_path), Staging(tmp_path)
    kept = first.new_path()
    kept.write_bytes(NEW)
    second.new_path()
    second.close()

    assert kept.read_bytes() == NEW


def test_a_new_file_stays_unless_there_is_an_error(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    with staging.new_file() as (file, kept):
        file.write(NEW)
    assert kept.read_bytes() == NEW

    def fail_within() -> None:
        with staging.new_file() as (file, _):
            file.write(NEW)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_within()
    assert set(kept.parent.iterdir()) == {kept, kept.with_name(BEGUN)}


def test_a_folder_of_a_process_that_is_gone_is_removed_by_the_next_that_stages(
    tmp_path: Path,
) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.files.staging import Staging
Staging(Path(sys.argv[1])).new_path().write_bytes(b"unfinished")
os.kill(os.getpid(), 9)
"""
    assert run(script, tmp_path) == -9
    assert len(names(tmp_path)) == 1

    staging = Staging(tmp_path)
    own = staging.new_path().parent

    assert list(tmp_path.iterdir()) == [own]


def test_only_folders_of_this_machine_and_prefix_whose_process_is_gone_are_removed(
    tmp_path: Path,
) -> None:
    host, gone, here = host_name(), dead_pid(), os.getpid()
    kept = [
        f"{host}.{here}.ab",
        f"{host}.1.ab",
        f"other-machine.{gone}.ab",
        f"prefix-{host}.{gone}.ab",
        f"{host}.x.ab",
        f"{gone}.ab",
        "notes",
        "",
    ]
    for name in (*filter(None, kept), f"{host}.{gone}.ab"):
        (tmp_path / name).mkdir()

    remove_abandoned(tmp_path)
    assert names(tmp_path) == sorted(filter(None, kept))

    remove_abandoned(tmp_path, "prefix-")
    assert f"prefix-{host}.{gone}.ab" not in names(tmp_path)


@pytest.mark.parametrize("pid", ["99999999999999999999", "²", "0", "-1", "01"])
def test_a_folder_named_by_no_possible_process_is_no_error(tmp_path: Path, pid: str) -> None:
    (tmp_path / f"{host_name()}.{pid}.ab").mkdir()

    remove_abandoned(tmp_path)


def test_a_place_that_is_not_there_has_nothing_abandoned(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "missing")


def test_a_process_is_alive_until_it_has_ended() -> None:
    assert process_is_alive(os.getpid())
    assert process_is_alive(1)
    assert not process_is_alive(dead_pid())


def test_a_machines_name_can_stand_in_a_file_name() -> None:
    assert host_name()
    assert "/" not in host_name()
