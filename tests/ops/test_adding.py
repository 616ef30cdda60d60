"""add: what goes in comes out, what cannot be kept is refused whole, twice is once."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.sockets import make_socket
from zoostore import Store
from zoostore.errors import (
    CannotAdd,
    FileChanged,
    InvalidStub,
    SpecialFile,
    UnsafeName,
    UsageError,
)
from zoostore.files.copying import copy_aside
from zoostore.progress import Silent

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:mine"
BIG = bytes(range(256))
FILES: dict[str, Content] = {
    "a.txt": b"a",
    "b/big.bin": BIG,
    "b/run*": b"#!",
    "b/link": "../a.txt",
    "void/": None,
}


def inventory(store: Store) -> tuple[set[str], int]:
    """What files a store holds, the index left out, and how long its reflog is."""
    parts = ("objects", "packs", "tmp", "quarantine", "reflog")
    found = {
        str(path.relative_to(store.path))
        for part in parts
        for path in [store.path / part, *(store.path / part).rglob("*")]
        if path.is_file()
    }
    reflog = store.path / "reflog"
    return found, reflog.stat().st_size if reflog.exists() else 0


# Recording


def test_what_was_added_is_counted(store: Store, lay: LayOut) -> None:
    done = store.add(lay("source", FILES), STUB)

    assert (done.stub, done.parent) == (STUB, None)
    assert (done.files, done.size) == (4, 1 + 256 + 2 + len("../a.txt"))
    assert done.new_objects == 3 + 3 + 1  # three contents, three folders, the snapshot
    assert store.du().objects == done.new_objects
    assert store.du().stored_bytes == done.new_bytes


def test_adding_again_changes_nothing(store: Store, lay: LayOut) -> None:
    first = store.add(lay("source", FILES), STUB, message="m", metadata={"k": "v"})
    before = inventory(store)

    second = store.add(lay("source", {}), STUB)

    assert (second.snapshot, second.new_objects, second.new_bytes) == (first.snapshot, 0, 0)
    assert (second.files, second.size, second.parent) == (first.files, first.size, first.parent)
    assert inventory(store) == before
    assert len(store.log(STUB)) == 1


def test_adding_the_same_with_another_message_is_another_snapshot(
    store: Store, lay: LayOut
) -> None:
    first = store.add(lay("source", FILES), STUB, message="one")

    second = store.add(lay("source", {}), STUB, message="two")

    assert second.parent == first.snapshot
    assert second.new_objects == 1
    assert [entry.snapshot.message for entry in store.log(STUB)] == ["two", "one"]


def test_adding_something_else_follows_what_was_there(store: Store, lay: LayOut) -> None:
    first = store.add(lay("one", {"a": b"1"}), STUB)
    second = store.add(lay("two", {"a": b"2"}), STUB)

    assert second.parent == first.snapshot
    assert [entry.id for entry in store.log(STUB)] == [second.snapshot, first.snapshot]


def test_the_same_content_under_another_name_takes_one_snapshot_more(
    store: Store, lay: LayOut
) -> None:
    store.add(lay("source", FILES), STUB)

    again = store.add(lay("source", {}), "zoo:other")

    assert again.new_objects == 1
    assert again.parent is None


def test_the_same_content_at_many_paths_is_stored_once(store: Store, lay: LayOut) -> None:
    paths = [f"dir{number}/file" for number in range(20)]

    done = store.add(lay("source", dict.fromkeys(paths, BIG)), STUB)

    assert done.new_objects == 1 + 1 + 1 + 1  # content, the folder, the top folder, the snapshot
    assert (done.files, done.size) == (20, 20 * 256)


def test_message_metadata_and_time_are_kept(store: Store, lay: LayOut) -> None:
    metadata = {"accuracy": "0.98", "ключ": "значение", "empty": "", "line": "a\nb\0c"}

    done = store.add(
        lay("source", FILES), STUB, message="Zażółć 🦓\n\nmore", metadata=metadata, time=12345
    )

    snapshot = store.snapshot(f"{STUB}@{done.snapshot}").snapshot
    assert (snapshot.message, snapshot.time) == ("Zażółć 🦓\n\nmore", 12345)
    assert snapshot.metadata == metadata


def test_the_same_bytes_name_and_note_give_the_same_ids_anywhere(
    store: Store, new_store: Callable[[str], Store], lay: LayOut
) -> None:
    directory = lay("source", FILES)
    other = new_store("other")
    (other.path / "config.toml").unlink()  # another threshold: another form, the same ids

    ids = {where.add(directory, STUB, message="m", time=1).snapshot for where in (store, other)}

    assert len(ids) == 1


@pytest.mark.parametrize(
    "note",
    [
        {"time": -1},
        {"time": 1 << 53},
        {"message": "\udcff"},
        {"metadata": {"\udcff": "v"}},
        {"metadata": {"k": "\udcff"}},
        {"metadata": {"k": "v" * (1 << 20)}},
        {"metadata": {"k": 1}},
        {"time": 1.5},
    ],
    ids=str,
)
def test_a_note_that_no_snapshot_can_hold_is_refused(
    store: Store, lay: LayOut, note: dict[str, Any]
) -> None:
    """Whatever is taken must be readable afterwards."""
    directory = lay("source", FILES)
    store.add(directory, "zoo:other")
    before = inventory(store)

    with pytest.raises((UsageError, TypeError)):
        store.add(directory, STUB, **note)

    assert inventory(store) == before
    assert [model.stub for model in store.snapshots()] == ["zoo:other"]


@pytest.mark.parametrize(
    ("stub", "error"),
    [
        ("zoo:a@v1", UsageError),
        ("zoo:a?recipe=original", UsageError),
        ("", InvalidStub),
        ("../a", InvalidStub),
        ("zoo:a b", InvalidStub),
        ("zoo:" + "a" * 500, InvalidStub),
    ],
)
def test_a_stub_that_names_no_ref_is_refused(
    store: Store, lay: LayOut, stub: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store.add(lay("source", FILES), stub)


def test_what_is_not_a_directory_is_refused(store: Store, lay: LayOut, tmp_path: Path) -> None:
    for path in (tmp_path / "none", lay("source", FILES) / "a.txt"):
        with pytest.raises(UsageError):
            store.add(path, STUB)


@pytest.mark.parametrize("up", [0, 1])
def test_a_directory_that_holds_the_store_is_refused(store: Store, lay: LayOut, up: int) -> None:
    store.add(lay("source", FILES), "zoo:first")

    with pytest.raises(UsageError):
        store.add([store.path, store.path.parent][up], STUB)


def test_a_folder_within_the_store_is_no_way_in(store: Store, lay: LayOut) -> None:
    """Its objects are read-only files as any others; adding them must not harm them."""
    store.add(lay("source", FILES), "zoo:first")

    store.add(store.path / "objects", STUB)

    assert store.verify().is_clean


def test_an_empty_directory_is_a_model_without_files(
    store: Store, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    done = store.add(lay("source", {}), STUB)

    assert (done.files, done.size) == (0, 0)
    assert look(store.checkout(STUB, tmp_path / "work").directory) == {}
    assert store.status(tmp_path / "work").is_clean


def test_a_checkout_can_be_added_without_its_own_folder(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    store.add(lay("source", FILES), STUB)
    work = store.checkout(STUB, tmp_path / "work").directory

    store.add(work, "zoo:copy")

    assert store.snapshot("zoo:copy").snapshot.tree == store.snapshot(STUB).snapshot.tree


def test_a_directory_through_a_link_is_added(store: Store, lay: LayOut, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(lay("source", FILES))

    assert store.add(tmp_path / "alias", STUB).files == 4


# Contents and names


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1])
def test_a_file_of_any_size_comes_back(
    store: Store, lay: LayOut, tmp_path: Path, look: Look, size: int
) -> None:
    content = (BIG * (size // 256 + 1))[:size]

    store.add(lay("source", {"file": content, "tool*": content}), STUB)

    assert look(store.checkout(STUB, tmp_path / "work").directory) == {
        "file": content,
        "tool*": content,
    }


NAMES = {
    "spaces": " leading and trailing ",
    "trailing full stop": "name.",
    "leading dash": "-rf",
    "leading full stop": ".hidden",
    "full stops": "...",
    "newline": "new\nline",
    "tab and escape": "tab\t\x1b[31m",
    "quotes": 'it\'s "quoted"',
    "backslash": "back\\slash",
    "wildcards": "*?[a]{b}~",
    "percent": "%00%2f",
    "Polish": "Zażółć gęślą jaźń",
    "Russian": "модель",
    "Arabic": "نموذج",
    "Hindi": "प्रतिरूप",
    "Chinese": "模型",
    "Japanese": "モデル",
    "Korean, composed": unicodedata.normalize("NFC", "모델"),
    "Korean, decomposed": unicodedata.normalize("NFD", "모델"),
    "combining": "e\u0301\u0323",
    "emoji": "🦓👩‍🔬🇵🇱",
    "right to left mark": "a\u202eb",
    "no-break space": "a\u00a0b",
    "zero width": "a\u200bb",
    "255 bytes": "n" * 255,
    "255 bytes in three-byte characters": "模" * 85,
    "Windows device": "CON",
    "a drive": "C:",
    "Git's": ".git",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_in_any_script_comes_back(
    store: Store, lay: LayOut, tmp_path: Path, look: Look, name: str
) -> None:
    names: dict[str, Content] = {
        f"{name}/{name}": b"small",
        f"{name}/x/{name}": BIG,
        f"links/{name}": "../other",
        f"empty/{name}/": None,
    }
    directory = tmp_path / "source"
    for path, content in names.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            (directory / path).mkdir()
        elif isinstance(content, str):
            (directory / path).symlink_to(content)
        else:
            (directory / path).write_bytes(content)

    store.add(directory, STUB)

    work = store.checkout(STUB, tmp_path / "work").directory
    assert look(work) == look(directory)
    assert store.status(work).is_clean
    (work / name / name).write_bytes(b"edited")
    assert store.status(work).modified == (f"{name}/{name}",)
    with store.open_file(STUB, f"{name}/{name}") as file:
        assert file.read() == b"small"


def test_a_deep_directory_comes_back(store: Store, lay: LayOut, tmp_path: Path, look: Look) -> None:
    files: dict[str, Content] = {"d/" * 120 + "file": b"deep"}

    store.add(lay("source", files), STUB)

    assert look(store.checkout(STUB, tmp_path / "work").directory) == files


def test_very_many_files_take_one_pack(
    store: Store, lay: LayOut, packs: Callable[[Path], list[Path]]
) -> None:
    names = {f"{number % 10}/{number}": b"%d" % number for number in range(1000)}

    done = store.add(lay("source", names), STUB)

    assert done.files == 1000
    assert len(packs(store.path)) == 1
    assert not list((store.path / "objects").iterdir())


LINKS = {
    "beside": ("link", "a.txt"),
    "to a folder": ("link", "b"),
    "down": ("link", "b/big.bin"),
    "up": ("b/c", "../a.txt"),
    "up and down": ("b/c", "../b/big.bin"),
    "to nothing": ("link", "nothing"),
    "to itself": ("link", "link"),
    "with a full stop": ("link", "./a.txt"),
    "to the top": ("b/c", ".."),
    "with a trailing slash": ("link", "b/"),
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_within_is_kept_as_it_is(
    store: Store, lay: LayOut, tmp_path: Path, look: Look, link: str
) -> None:
    path, target = LINKS[link]
    files = {**FILES, path: target}

    store.add(lay("source", files), STUB)

    assert look(store.checkout(STUB, tmp_path / "work").directory) == files


# Refusals


def undecodable(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).write_bytes(b"x")


def files_named(*names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name in names:
            (folder / name).write_bytes(b"x")

    return make


REFUSED: dict[str, tuple[Callable[[Path], object], type[CannotAdd]]] = {
    "a socket": (lambda folder: make_socket(folder / "s"), SpecialFile),
    "a FIFO": (lambda folder: os.mkfifo(folder / "f"), SpecialFile),
    "a device": (lambda folder: os.mknod(folder / "null", 0o020666, os.makedev(1, 3)), SpecialFile),
    "an absolute link": (lambda folder: (folder / "l").symlink_to("/etc/passwd"), UnsafeName),
    "a link to the directory itself": (
        lambda folder: (folder / "l").symlink_to(folder),
        UnsafeName,
    ),
    "a link outside": (lambda folder: (folder / "l").symlink_to("../../x"), UnsafeName),
    "a link that goes down and outside": (
        lambda folder: (folder / "l").symlink_to("b/../../../x"),
        UnsafeName,
    ),
    "a link that goes down and up": (
        lambda folder: (folder / "l").symlink_to("b/../a.txt"),
        UnsafeName,
    ),
    "case twins": (files_named("Model.onnx", "model.onnx"), UnsafeName),
    "case twins in another script": (files_named("МОДЕЛЬ", "модель"), UnsafeName),
    "sharp s": (files_named("strasse", "straße"), UnsafeName),
    "forms of one letter": (files_named("\u00e9", "e\u0301"), UnsafeName),
    "a name that is not Unicode": (undecodable, UnsafeName),
    "a checkout's folder in capitals": (
        lambda folder: (folder / ".ZOOSTORE").mkdir(),
        UnsafeName,
    ),
}


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_what_no_snapshot_can_hold_is_refused_and_nothing_is_left(
    store: Store,
    lay: LayOut,
    tmp_path: Path,
    case: str,
    in_folder: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make, error = REFUSED[case]
    directory = lay("source", {**FILES, "sub/": None})
    store.add(lay("other", {"o": b"o"}), "zoo:other")
    before = inventory(store)
    try:
        make(directory / "sub" if in_folder else directory)
    except PermissionError:
        pytest.skip("only root may make one")

    with pytest.raises(error) as raised:
        store.add(directory, STUB)

    assert str(directory) in raised.value.message
    assert inventory(store) == before
    assert store.verify().is_clean
    assert [model.stub for model in store.snapshots()] == ["zoo:other"]


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_snapshot_can_hold_is_not_committed_either(
    store: Store, lay: LayOut, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, error = REFUSED[case]
    first = store.add(lay("source", FILES), STUB)
    work = store.checkout(STUB, tmp_path / "work").directory
    before = inventory(store)
    try:
        make(work)
    except PermissionError:
        pytest.skip("only root may make one")

    with pytest.raises(error):
        store.commit(work, message="no")

    assert inventory(store) == before
    assert store.snapshot(STUB).id == first.snapshot
    store.status(work)


class Meddling(Silent):
    """A progress that changes a file while it is being added."""

    def __init__(self, change: Callable[[], object]) -> None:
        self._change = change

    def begin(self, what: str, total_bytes: int) -> None:
        self._change()

    def advance(self, count: int) -> None:
        pass

    def end(self) -> None:
        pass


def growing(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def rewritten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def replaced(path: Path) -> None:
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").replace(path)


def made_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def made_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: list[Callable[[Path], None]] = [
    growing,
    rewritten,
    replaced,
    made_a_link,
    made_a_fifo,
    made_a_folder,
    Path.unlink,
    lambda path: os.truncate(path, 1),
]


@pytest.mark.parametrize("name", ["a.txt", "b/big.bin"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changes_while_it_is_added_is_refused(
    store: Store, lay: LayOut, name: str, change: Callable[[Path], None]
) -> None:
    """It was seen when the directory was listed, and is another when it is read."""
    directory = lay("source", FILES)
    store.add(lay("other", {"o": b"o"}), "zoo:other")
    before = inventory(store)
    meddled = Store(store.path, progress=Meddling(lambda: change(directory / name)))

    with pytest.raises(CannotAdd) as raised:
        meddled.add(directory, STUB)

    assert name in raised.value.message
    assert inventory(store) == before
    assert store.verify().is_clean


def test_a_large_file_that_changes_while_it_is_read_is_refused(
    store: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two readings of it, one to know its id and one to copy it."""
    directory = lay("source", FILES)

    def copy_later(path: Path, *rest: Any) -> Any:
        rewritten(path)
        return copy_aside(path, *rest)

    monkeypatch.setattr("zoostore.files.copying.copy_aside", copy_later)

    with pytest.raises(FileChanged):
        store.add(directory, STUB)

    assert not store.snapshots()
    assert store.verify().is_clean
    assert not list((store.path / "tmp").iterdir())


# Progress


class Recorder(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.works: list[tuple[str, int, int]] = []

    def begin(self, what: str, total_bytes: int) -> None:
        self.works.append((what, total_bytes, 0))

    def advance(self, count: int) -> None:
        what, total, done = self.works[-1]
        self.works[-1] = (what, total, done + count)

    def end(self) -> None:
        pass


def test_progress_counts_up_to_what_it_announced(store: Store, lay: LayOut, tmp_path: Path) -> None:
    recorder = Recorder()
    watched = Store(store.path, progress=recorder)

    watched.add(lay("source", FILES), STUB)
    watched.checkout(STUB, tmp_path / "work")
    watched.verify()
    watched.publish([STUB], tmp_path / "zoo")

    assert [what for what, _, _ in recorder.works] == [
        "adding",
        "checking out",
        "verifying",
        "publishing",
    ]
    assert [total for _, total, done in recorder.works if done != total] == []
