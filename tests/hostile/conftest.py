"""What hostile input is given to: a store and a target with much around them that must stay."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.hostile.watching import Watch, picture

if TYPE_CHECKING:
    from tests.conftest import LayOut

Watching: TypeAlias = Callable[..., contextlib.AbstractContextManager[Watch]]


@pytest.fixture
def around(lay: LayOut, tmp_path: Path) -> Path:
    """What nobody may touch: it stands where paths that lead up or away would lead."""
    lay("", {"evil": b"mine", "x": b"mine", "passwd": b"mine", "secret/key": b"mine"})
    lay("around", {"evil": b"mine", "x": b"mine", "etc/passwd": b"mine", "link": "../secret"})
    return tmp_path / "around"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; nothing is left there."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path / "scratch"


@pytest.fixture
def watch(tmp_path: Path, around: Path, scratch: Path) -> Watching:
    """Watches that nothing is written but below some folders, and for temporary files.

    What is made ready beside a target, under a name that begins with `.zoostore-`, is gone when
    the watch ends; a test that checks out names the folder that the target is in.
    """

    @contextlib.contextmanager
    def watched(*within: Path) -> Iterator[Watch]:
        before = picture(tmp_path, [*within, scratch])
        with Watch([*within, scratch]) as watch:
            yield watch
        assert watch.outside == []
        assert picture(tmp_path, [*within, scratch]) == before
        assert list(scratch.iterdir()) == []

    return watched
