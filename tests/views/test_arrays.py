"""Arrays: files that come back as written, junk that is refused, batches that lose no item."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zoostore.errors import (
    FileSystemError,
    MalformedObject,
    MissingExtra,
    UnknownPath,
    UnsafeArchive,
    UsageError,
    ZooError,
)
from zoostore.views.arrays import (
    Arrays,
    Item,
    load_numpy,
    load_numpy_list,
    save_numpy,
)
from zoostore.views.batches import DataLoader, Dataset

Array: TypeAlias = NDArray[Any]

DTYPES = ["float32", "float64", "float16", "int64", "int8", "uint8", "bool", "complex64", "<U3"]
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
ITEMS = st.dictionaries(
    NAMES | st.sampled_from(["file", "x", "x.npy", "allow_pickle", "a/b", "input:0"]),
    st.builds(np.zeros, SHAPES, st.sampled_from(DTYPES)),
    max_size=3,
)


def numbers(count: int, start: int = 0) -> list[Item]:
    """Samples `{"x": [n, n]}`, each with its own number."""
    return [{"x": np.full(2, n, np.float32)} for n in range(start, start + count)]


def first_values(batches: list[Any]) -> list[int]:
    """The numbers of the samples in some batches."""
    return [int(value) for batch in batches for value in batch["x"][:, 0]]


def npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Array) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy_of_header(header: str, body: bytes = b"") -> bytes:
    """An .npy file with any text where its header is."""
    data = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(data)) + data + body


def shaped(shape: str, descr: str = "'<f4'") -> bytes:
    return npy_of_header(
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n", bytes(64)
    )


def pickled(value: object) -> Array:
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


class Trap:
    """Says so if it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("a pickle was loaded",)


# Reading and writing


@given(ITEMS)
def test_arrays_come_back_as_they_were_written(item: Arrays) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back = load_numpy(save_numpy(item, folder, "f"))

    assert isinstance(back, dict)
    assert list(back) == list(item)
    for name, array in item.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back[name], array)


def test_numpy_reads_what_was_written(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3).T

    with np.load(save_numpy({"file": array, "b": array[0]}, tmp_path, "f")) as archive:
        assert archive.files == ["file", "b"]
        np.testing.assert_array_equal(archive["file"], array)


def test_what_numpy_wrote_is_read_in_its_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", z=np.arange(3), a=np.array(5), m=np.zeros((0, 2)))

    item = load_numpy(tmp_path / "f.npz")

    assert {name: array.tolist() for name, array in item.items()} == {  # type: ignore[union-attr]
        "z": [0, 1, 2],
        "a": 5,
        "m": [],
    }
    assert list(item) == ["z", "a", "m"]


def test_one_array_is_an_array_in_an_npy_file_and_named_in_an_npz_file(tmp_path: Path) -> None:
    array = np.arange(3)

    lone = load_numpy(save_numpy(array, tmp_path, "one", npz=False))
    item = load_numpy(save_numpy(array, tmp_path, "one"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npy", "one.npz"]
    assert isinstance(lone, np.ndarray)
    assert isinstance(item, dict)
    assert list(item) == ["arr_0"]
    np.testing.assert_array_equal(lone, item["arr_0"])


def test_arrays_without_names_are_numbered(tmp_path: Path) -> None:
    item = load_numpy(save_numpy((np.full(2, n) for n in (4, 5)), tmp_path, "f"))

    assert isinstance(item, dict)
    assert {name: array.tolist() for name, array in item.items()} == {
        "arr_0": [4, 4],
        "arr_1": [5, 5],
    }


def test_an_open_file_is_read_from_where_it_stands_and_left_open(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before" + npy(np.arange(3)))

    with open(path, "rb") as file:
        file.seek(6)
        item = load_numpy(file)
        assert not file.closed
    in_memory = load_numpy(io.BytesIO(npz(a=np.arange(3))))

    assert isinstance(item, np.ndarray)
    assert isinstance(in_memory, dict)
    assert item.tolist() == in_memory["a"].tolist() == [0, 1, 2]


def test_the_folder_for_a_file_is_made_and_its_path_given(tmp_path: Path) -> None:
    path = save_numpy(np.arange(3), tmp_path / "a" / "b", "f")

    assert path == str(tmp_path / "a/b/f.npz")
    assert isinstance(path, str)


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(save_numpy({"a": np.arange(3)}, tmp_path, "f"))
    before = path.read_bytes()

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("numpy.lib.format.write_array", fail)
    with pytest.raises(ZooError):
        save_numpy({"a": np.arange(4)}, tmp_path, "f")

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_target_of_a_link_is_not_written_to(tmp_path: Path) -> None:
    original = Path(save_numpy(np.arange(3), tmp_path, "original", npz=False))
    before = original.read_bytes()
    (tmp_path / "link.npy").symlink_to(original)

    save_numpy(np.arange(4), tmp_path, "link", npz=False)

    assert original.read_bytes() == before


@pytest.mark.parametrize(
    ("array", "npz_"),
    [
        ({"a": np.zeros(1)}, False),
        ([np.zeros(1)], False),
        (pickled(Trap()), True),
        (pickled(Trap()), False),
        ({"a": pickled(Trap())}, True),
        ([[[1], [1, 2]]], True),
        ("text", True),
        (5, True),
        ({5: np.zeros(1)}, True),
        ({"a\0b": np.zeros(1)}, True),
        ({"\ud800": np.zeros(1)}, True),
    ],
)
def test_what_the_file_cannot_hold_is_refused_and_nothing_made(
    array: Any, npz_: bool, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        save_numpy(array, tmp_path / "new", "f", npz=npz_)

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\0"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        save_numpy(np.zeros(1), tmp_path, name)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FileSystemError):
        save_numpy(np.zeros(1), tmp_path / "file", "f")


# What cannot be read


@pytest.mark.parametrize("path", ["missing.npz", "f/below.npz", "a\0b.npz"])
def test_a_missing_file_is_said(path: str, tmp_path: Path) -> None:
    (tmp_path / "f").touch()

    with pytest.raises(UnknownPath, match=path.replace("\0", ".*")):
        load_numpy(tmp_path / path)


def test_a_folder_is_no_file_of_arrays(tmp_path: Path) -> None:
    with pytest.raises(FileSystemError):
        load_numpy(tmp_path)


JUNK = {
    "empty": b"",
    "text": b"# a model card\n",
    "web page": b"<!DOCTYPE html><title>404</title>",
    "magic alone": b"\x93NUMPY",
    "half a zip's magic": b"PK",
    "a zip's magic alone": b"PK\x03\x04",
    "unknown version": b"\x93NUMPY\x09\x09" + bytes(64),
    "no array's body": npy(np.zeros(9))[:-1],
    "header cut off": npy(np.zeros(9))[:40],
    "pickle": pickle.dumps(Trap()),
    "pickled objects": npy(pickled(Trap())),
    "pickled objects in a zip": npz(a=pickled(Trap())),
    "a text in a zip": zipped({"a.npy": npy(np.zeros(1)), "README": b"hello"}),
    "a folder in a zip": zipped({"a/": b""}),
    "two of a name": zipped({"a": npy(np.zeros(1)), "a.npy": npy(np.ones(1))}),
    "more than an array in a zip": zipped({"a.npy": npy(np.zeros(1)) + b"more"}),
    "shape too large": shaped("(1000000000000000,)"),
    "shape too large in a zip": zipped({"a.npy": shaped("(1000000000000000,)")}),
    "shape beyond numbers": shaped(f"({2**70},)"),
    "shape that wraps around": shaped(f"({2**32}, {2**32})"),
    "negative shape": shaped("(-1,)"),
    "negative shape in a zip": zipped({"a.npy": shaped("(-1,)")}),
    "shape of texts": shaped("('a',)"),
    "too many dimensions": shaped(repr((1,) * 99)),
    "unknown dtype": shaped("(1,)", "'<q9'"),
    "dtype of objects": shaped("(1,)", "'|O'"),
    "dtype of nonsense": shaped("(1,)", "[[], {}]"),
    "header of another kind": npy_of_header("[1, 2]"),
    "header without keys": npy_of_header("{}"),
    "header of mixed keys": npy_of_header("{1: 2, 'a': 3}"),
    "header that is no literal": npy_of_header("exit()"),
    "header of nested brackets": npy_of_header("(" * 9000),
    "header of nested signs": npy_of_header("-" * 9000 + "1"),
    "header with a NUL": npy_of_header("{\0}"),
    "header of a bad escape": npy_of_header("'\\d'"),
    "header too long": npy_of_header(" " * 20000),
}


@pytest.mark.parametrize("data", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("opened", [False, True])
def test_junk_is_refused_with_the_path(data: bytes, opened: bool, tmp_path: Path) -> None:
    path = tmp_path / "junk.npz"
    path.write_bytes(data)

    with open(path, "rb") as file, pytest.raises(MalformedObject) as caught:
        load_numpy(file if opened else path)

    assert str(path) in caught.value.message
    assert len(caught.value.message) < len(str(path)) + 600


def test_a_zip_of_nothing_is_no_arrays() -> None:
    assert load_numpy(io.BytesIO(zipped({}))) == {}


WHOLE = {
    "npy": npy(np.arange(20, dtype=np.float32)),
    "npz": npz(a=np.arange(20, dtype=np.float32), b=np.zeros((2, 3))),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_file_that_was_cut_off_is_refused_wherever_it_ends(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(MalformedObject):
            load_numpy(io.BytesIO(data[:size]))


@given(st.sampled_from(sorted(WHOLE)), st.integers(0), st.binary(min_size=1, max_size=4))
def test_changed_bytes_never_raise_anything_of_numpys(kind: str, place: int, new: bytes) -> None:
    data = bytearray(WHOLE[kind])
    start = place % len(data)
    data[start : start + len(new)] = new

    try:
        item = load_numpy(io.BytesIO(bytes(data)))
    except ZooError:
        return
    assert isinstance(item, np.ndarray | dict)


@given(st.binary(max_size=64))
def test_random_bytes_never_raise_anything_of_numpys(data: bytes) -> None:
    for start in (b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00", b"\x80\x04"):
        with pytest.raises(MalformedObject):
            load_numpy(io.BytesIO(start + data))


def test_a_changed_value_in_an_npz_file_is_noticed() -> None:
    data = WHOLE["npz"]
    place = data.index(np.float32(7).tobytes())

    with pytest.raises(MalformedObject):
        load_numpy(io.BytesIO(data[:place] + b"\x01" + data[place + 1 :]))


def test_a_file_that_cannot_seek_is_refused() -> None:
    reading, writing = os.pipe()
    os.close(writing)

    with open(reading, "rb") as file, pytest.raises(MalformedObject):
        load_numpy(file)


def test_a_missing_package_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(MissingExtra, match=r"pip install 'zoostore\[onnx\]'") as caught:
        load_numpy(tmp_path / "f.npz")

    assert isinstance(caught.value, ImportError)
    assert caught.value.facts == {"module": "numpy", "extra": "onnx"}


# Lists of items


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three samples, and what is none."""
    root = tmp_path / "samples"
    for number, item in enumerate(numbers(2)):
        save_numpy(item, root, f"inp-{number}")
    save_numpy(np.full(2, 2.0), root, "inp-2", npz=False)
    (root / "README.md").write_text("hello")
    (root / "._inp-0.npz").write_bytes(b"what macOS adds")
    (root / "below.npz").mkdir()
    return root


def firsts(items: list[Item]) -> list[float]:
    """The first value of each item's only array."""
    arrays = [item if isinstance(item, np.ndarray) else item["x"] for item in items]
    return [float(array[0]) for array in arrays]


def test_a_folder_gives_its_arrays_sorted_by_name(folder: Path) -> None:
    assert firsts(load_numpy_list(folder)) == firsts(load_numpy_list(str(folder))) == [0, 1, 2]


def test_a_folder_without_arrays_gives_none(tmp_path: Path) -> None:
    assert load_numpy_list(tmp_path) == []


def test_a_link_to_nowhere_in_a_folder_is_not_passed_over(folder: Path) -> None:
    (folder / "inp-9.npz").symlink_to("gone")

    with pytest.raises(UnknownPath, match=r"inp-9\.npz"):
        load_numpy_list(folder)


def test_a_file_gives_its_item(folder: Path) -> None:
    assert firsts(load_numpy_list(folder / "inp-1.npz")) == [1]
    assert firsts(load_numpy_list(str(folder / "inp-2.npy"))) == [2]


def test_a_glob_gives_the_files_that_fit(folder: Path) -> None:
    assert firsts(load_numpy_list(f"{folder}/inp-[0-9].np?")) == [0, 1, 2]
    assert firsts(load_numpy_list(f"{folder}/inp-[12].*")) == [1, 2]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = save_numpy({"x": np.full(1, 7)}, tmp_path, "[12]")
    save_numpy({"x": np.full(1, 8)}, tmp_path, "1")

    assert firsts(load_numpy_list(path)) == [7]


@pytest.mark.parametrize("path", ["none", "none/*.npz", "*.onnx", "a\0/*.npz"])
def test_nothing_where_arrays_should_be_is_said(path: str, folder: Path) -> None:
    with pytest.raises(UnknownPath):
        load_numpy_list(f"{folder}/{path}")


@pytest.mark.parametrize("name", ["samples.tar", "samples.tar.gz", "other.tgz"])
def test_an_archive_gives_its_arrays_sorted_by_name(name: str, folder: Path) -> None:
    archive = folder.parent / name
    with tarfile.open(archive, "w" if name.endswith(".tar") else "w:gz") as tar:
        for file in ("inp-2.npy", "README.md", "inp-0.npz", "inp-1.npz"):
            tar.add(folder / file, f"samples/{file}")

    assert firsts(load_numpy_list(archive)) == firsts(load_numpy_list(str(archive))) == [0, 1, 2]


def test_an_archive_that_leads_outside_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("../out.npz"))

    with pytest.raises(UnsafeArchive):
        load_numpy_list(archive)


def test_paths_are_loaded_and_items_stay_as_they_are(folder: Path) -> None:
    item: Arrays = {"x": np.full(1, 5)}
    lone = np.full(1, 6)

    loaded = load_numpy_list([folder / "inp-1.npz", item, lone, str(folder / "inp-2.npy")])

    assert loaded[1] is item
    assert loaded[2] is lone
    assert firsts(loaded) == [1, 5, 6, 2]


def test_an_array_is_a_list_of_what_stands_along_its_first_axis() -> None:
    rows = load_numpy_list(np.arange(6).reshape(3, 2))
    values = load_numpy_list(np.arange(3))

    assert [np.shape(row) for row in rows] == [(2,)] * 3  # type: ignore[arg-type]
    assert all(isinstance(value, np.ndarray) and value.shape == () for value in values)


@pytest.mark.parametrize("data", [{"x": np.zeros(1)}, 5, np.array(5), [5], [None], [[1, 2]]])
def test_what_is_no_list_of_items_is_refused(data: Any) -> None:
    with pytest.raises(UsageError):
        load_numpy_list(data)


# Datasets


def test_a_dataset_has_its_items_under_a_name(folder: Path) -> None:
    dataset = Dataset("inputs", folder)

    assert (dataset.name, len(dataset)) == ("inputs", 3)
    assert list(dataset) == dataset.data
    assert dataset[1] is dataset.data[1]
    assert firsts(list(dataset)) == [0, 1, 2]


# Loaders


@given(st.integers(1, 7), st.integers(1, 9), st.integers(-1, 9))
def test_batches_are_full_and_are_the_data_repeated(
    count: int, batch_size: int, iter_steps: int
) -> None:
    loader = DataLoader(Dataset("d", numbers(count)), batch_size=batch_size, iter_steps=iter_steps)
    steps = {-1: 20, 0: -(-count // batch_size)}.get(iter_steps, iter_steps)

    batches: list[Any] = list(itertools.islice(loader, 20))

    assert len(batches) == steps
    assert len(loader) == (0 if iter_steps == -1 else steps)
    assert all(batch["x"].shape == (batch_size, 2) for batch in batches)
    repeated = itertools.islice(itertools.cycle(range(count)), steps * batch_size)
    assert first_values(batches) == list(repeated)
    assert first_values([loader.get_batch(index) for index in range(steps)]) == first_values(
        batches
    )


def test_once_through_the_data_leaves_no_item_out() -> None:
    loader = DataLoader(Dataset("d", numbers(5)), batch_size=2)

    assert first_values(list(loader)) == [0, 1, 2, 3, 4, 0]


def test_iterations_start_anew_and_do_not_disturb_each_other() -> None:
    loader = DataLoader(Dataset("d", numbers(4)), batch_size=1)

    one, other = iter(loader), iter(loader)
    met = [first_values([next(iterator)]) for iterator in (one, one, other, one, other)]

    assert met == [[0], [1], [0], [2], [1]]
    assert first_values(list(loader)) == first_values(list(loader)) == [0, 1, 2, 3]


def test_a_batch_of_one_dataset_is_a_dict_or_a_list() -> None:
    data: list[Item] = [{"b": np.zeros((2, 3)), "a": np.array(n)} for n in range(4)]

    batch: Any = DataLoader(Dataset("d", data), batch_size=4).get_batch(0)
    listed: Any = DataLoader(Dataset("d", data), batch_size=4, batch_as_list=True).get_batch(0)

    assert [(name, array.shape) for name, array in batch.items()] == [("b", (4, 2, 3)), ("a", (4,))]
    assert isinstance(listed, list)
    assert [array.shape for array in listed] == [(4, 2, 3), (4,)]


def test_batches_of_several_datasets_are_named_after_them() -> None:
    loader = DataLoader(
        Dataset("in", numbers(3)), Dataset("out", numbers(3, start=10)), batch_size=2
    )
    listed: Any = DataLoader(*loader.datasets.values(), batch_size=2, batch_as_list=True)

    batches: list[Any] = list(loader)

    assert [list(batch) for batch in batches] == [["in", "out"]] * 2
    assert first_values([batch["in"] for batch in batches]) == [0, 1, 2, 0]
    assert first_values([batch["out"] for batch in batches]) == [10, 11, 12, 10]
    assert {name: type(batch) for name, batch in listed.get_batch(0).items()} == {
        "in": list,
        "out": list,
    }


def test_a_lone_array_is_called_ndarray() -> None:
    batch: Any = DataLoader(Dataset("d", np.arange(6).reshape(3, 2)), batch_size=3).get_batch(0)

    assert list(batch) == ["ndarray"]
    np.testing.assert_array_equal(batch["ndarray"], np.arange(6).reshape(3, 2))


def test_a_loader_says_what_it_was_made_of() -> None:
    dataset = Dataset("d", numbers(3))
    loader = DataLoader(dataset, batch_size=2, iter_steps=-1, batch_as_list=True)

    assert loader.datasets == {"d": dataset}
    assert (loader.batch_size, loader.iter_steps, loader.num_items) == (2, -1, 3)
    assert loader.infinite
    assert loader.batch_as_list
    assert not DataLoader(dataset, batch_size=2).infinite


def test_there_are_as_many_batches_as_an_iteration_gives() -> None:
    dataset = Dataset("d", numbers(3))

    for steps, first_missing in ((0, 2), (1, 1), (5, 5)):
        loader = DataLoader(dataset, batch_size=2, iter_steps=steps)
        loader.get_batch(first_missing - 1)
        with pytest.raises(IndexError):
            loader.get_batch(first_missing)
        with pytest.raises(IndexError):
            loader.get_batch(-1)
    endless = DataLoader(dataset, batch_size=2, iter_steps=-1)
    assert first_values([endless.get_batch(1000)]) == [2, 0]
    with pytest.raises(IndexError):
        endless.get_batch(-1)


@pytest.mark.parametrize(
    ("datasets", "numbers_", "message"),
    [
        ([], {"batch_size": 1}, "at least one dataset"),
        ([("d", 1)], {"batch_size": 0}, "at least 1 item, not 0"),
        ([("d", 1)], {"batch_size": 1, "iter_steps": -2}, "not -2"),
        ([("d", 0)], {"batch_size": 1}, "'d' has no items"),
        ([("d", 2), ("e", 3)], {"batch_size": 1}, "'e' has 3 items, but 'd' has 2"),
        ([("d", 2), ("d", 2)], {"batch_size": 1}, "Two datasets are called 'd'"),
    ],
)
def test_a_loader_that_makes_no_sense_is_refused(
    datasets: list[tuple[str, int]], numbers_: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        DataLoader(*(Dataset(name, numbers(count)) for name, count in datasets), **numbers_)  # type: ignore[arg-type]

    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"x": np.zeros(3)}, r"'x' has shape \(3,\), expected \(2,\)"),
        ({"y": np.zeros(2)}, "item 1 has no array 'x'"),
        ({}, "item 1 has no array 'x'"),
        ({"x": np.zeros(2), "y": np.zeros(2)}, "item 0 has no array 'y'"),
        (np.zeros(2), "item 1 has no array 'x'"),
    ],
)
def test_items_that_do_not_fit_together_are_named(other: Item, message: str) -> None:
    loader = DataLoader(Dataset("d", [*numbers(1), other]), batch_size=2)

    with pytest.raises(UsageError, match=f"Item 1 of dataset 'd' .* item 0: .*{message}"):
        list(loader)


def test_items_of_different_shapes_go_in_batches_of_one() -> None:
    data: list[Item] = [{"x": np.zeros(n)} for n in range(3)]

    batches: list[Any] = list(DataLoader(Dataset("d", data), batch_size=1))

    assert [batch["x"].shape for batch in batches] == [(1, 0), (1, 1), (1, 2)]
