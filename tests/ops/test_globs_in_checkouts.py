"""--include and --exclude choose paths in the language of .gitignore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.errors import NothingLeft, UsageError

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:mine"
BIG = bytes(range(256))
FILES: dict[str, Content] = {
    "model.onnx": BIG,
    "model.md": b"md",
    "training/config.json": b"{}",
    "training/model.pth": BIG[::-1],
    "training/logs/log.txt": b"log",
    "deployment/model.onnx": BIG,
    "logs/log.txt": b"top log",
    "logs/keep.txt": b"keep",
    "empty/": None,
    "link": "model.md",
    "[x]": b"brackets",
    "#hash": b"hash",
}
ALL = {name.rstrip("/") for name in FILES}
TRAINING = {"training/config.json", "training/model.pth", "training/logs/log.txt"}
LOGS = {"logs/log.txt", "logs/keep.txt"}

# What a pattern fits, as git check-ignore says.
PATTERNS: dict[str, set[str]] = {
    "*.onnx": {"model.onnx", "deployment/model.onnx"},
    "/*.onnx": {"model.onnx"},
    "model.*": {"model.onnx", "model.md", "training/model.pth", "deployment/model.onnx"},
    "training": TRAINING,
    "training/": TRAINING,
    "/training": TRAINING,
    "training/*": TRAINING,
    "training/*.json": {"training/config.json"},
    "training/**": TRAINING,
    "**/model.onnx": {"model.onnx", "deployment/model.onnx"},
    "logs": LOGS | {"training/logs/log.txt"},
    "logs/": LOGS | {"training/logs/log.txt"},
    "/logs/": LOGS,
    "**/log.txt": {"logs/log.txt", "training/logs/log.txt"},
    "training/**/log.txt": {"training/logs/log.txt"},
    "log?.txt": set(),
    "lo[a-h].txt": {"logs/log.txt", "training/logs/log.txt"},
    "lo[!a-f].txt": {"logs/log.txt", "training/logs/log.txt"},
    "link": {"link"},
    "link/": set(),
    "empty": {"empty"},
    "empty/": {"empty"},
    "\\[x\\]": {"[x]"},
    "\\#hash": {"#hash"},
    "#hash": set(),
    "": set(),
    "MODEL.ONNX": set(),
    "*": ALL,
}


@pytest.fixture
def added(store: Store, lay: LayOut) -> Store:
    store.add(lay("source", FILES), STUB)
    return store


def paths(found: dict[str, Content]) -> set[str]:
    return {name.rstrip("*/") for name in found}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_exclude_leaves_out_what_git_would_ignore(
    added: Store, tmp_path: Path, look: Look, pattern: str
) -> None:
    left = ALL - PATTERNS[pattern]
    if not left:
        with pytest.raises(NothingLeft):
            added.checkout(STUB, tmp_path / "work", exclude=[pattern])
        return

    done = added.checkout(STUB, tmp_path / "work", exclude=[pattern])

    assert paths(look(tmp_path / "work")) == left
    assert done.files == len(left - {"empty"})
    assert added.status(tmp_path / "work").is_clean


@pytest.mark.parametrize("pattern", PATTERNS)
def test_include_takes_what_git_would_ignore(
    added: Store, tmp_path: Path, look: Look, pattern: str
) -> None:
    chosen = PATTERNS[pattern]
    if not chosen:
        with pytest.raises(NothingLeft):
            added.checkout(STUB, tmp_path / "work", include=[pattern])
        assert not (tmp_path / "work").exists()
        return

    added.checkout(STUB, tmp_path / "work", include=[pattern])

    assert paths(look(tmp_path / "work")) == chosen
    assert added.status(tmp_path / "work").is_clean


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        (["*.onnx", "*.md"], [], {"model.onnx", "deployment/model.onnx", "model.md"}),
        (["training/"], ["*.pth"], {"training/config.json", "training/logs/log.txt"}),
        ([], ["*.onnx", "training/", "logs/"], {"model.md", "empty", "link", "[x]", "#hash"}),
        ([], ["*", "!model.md"], {"model.md"}),
        ([], ["*.txt", "!keep.txt"], ALL - {"logs/log.txt", "training/logs/log.txt"}),
        (["*.onnx", "!deployment/model.onnx"], [], {"model.onnx"}),
    ],
)
def test_patterns_add_up_in_their_order(
    added: Store,
    tmp_path: Path,
    look: Look,
    include: list[str],
    exclude: list[str],
    chosen: set[str],
) -> None:
    added.checkout(STUB, tmp_path / "work", include=include, exclude=exclude)

    assert paths(look(tmp_path / "work")) == chosen


@pytest.mark.parametrize("pattern", ["!", "\\"])
def test_a_pattern_that_is_none_is_refused(added: Store, tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError):
        added.checkout(STUB, tmp_path / "work", include=[pattern])
    with pytest.raises(UsageError):
        added.pull(STUB, exclude=[pattern])

    assert not (tmp_path / "work").exists()


def test_an_edit_to_a_partial_checkout_commits_the_whole(
    added: Store, tmp_path: Path, look: Look
) -> None:
    work = added.checkout(STUB, tmp_path / "work", exclude=["*.onnx", "training/"]).directory
    (work / "model.md").write_bytes(b"edited")
    (work / "new.txt").write_bytes(b"new")
    (work / "link").unlink()

    done = added.commit(work, message="partly")

    expected: dict[str, Content] = {**FILES, "model.md": b"edited", "new.txt": b"new"}
    del expected["link"]
    assert done.files == len(expected) - 1
    assert added.status(work).is_clean
    assert look(added.checkout(STUB, tmp_path / "whole").directory) == expected


def test_a_partial_pull_brings_only_what_is_chosen(
    added: Store, new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    added.publish([STUB], tmp_path / "zoo")
    other = new_store("other")
    other.add_remote("zoo", str(tmp_path / "zoo"))

    done = other.pull(STUB, include=["training/"])

    assert (done.files, done.downloaded_files) == (3, 3)
    assert done.size == done.downloaded_bytes == 2 + 256 + 3
    assert [model.partial for model in other.snapshots()] == [True]
    assert other.verify().is_clean, "what was left out on purpose is not missing"


def test_a_partial_pull_is_completed_by_what_needs_more(
    added: Store, new_store: Callable[[str], Store], tmp_path: Path, look: Look
) -> None:
    added.publish([STUB], tmp_path / "zoo")
    other = new_store("other")
    other.add_remote("zoo", str(tmp_path / "zoo"))
    other.pull(STUB, include=["training/"])

    with other.open_file(STUB, "model.md") as file:
        assert file.read() == b"md"
    done = other.checkout(STUB, tmp_path / "work")

    assert look(tmp_path / "work") == FILES
    assert done.pulled.reused_files == 6  # three pulled, one read, a link, a content twice
    assert other.status(tmp_path / "work").is_clean


def test_a_pull_of_the_whole_after_a_part_is_whole(
    added: Store, new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    added.publish([STUB], tmp_path / "zoo")
    other = new_store("other")
    other.add_remote("zoo", str(tmp_path / "zoo"))
    other.pull(STUB, include=["training/"])

    other.pull(STUB)

    assert [model.partial for model in other.snapshots()] == [False]
    assert other.verify().is_clean


def test_a_checkout_of_the_whole_after_a_part_is_whole(
    added: Store, new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    """Then nothing is left out on purpose any more, and what is lost is missing."""
    added.publish([STUB], tmp_path / "zoo")
    other = new_store("other")
    other.add_remote("zoo", str(tmp_path / "zoo"))
    other.pull(STUB, include=["training/"])

    other.checkout(STUB, tmp_path / "work")

    assert [model.partial for model in other.snapshots()] == [False]
