"""Arrays: NumPy's files as items, items as datasets, datasets as batches.

An item is what one file holds: an .npz file is a dict of arrays, in the file's order;
an .npy file is one array. Nothing here reads or writes pickles.
"""

from __future__ import annotations

import glob
import itertools
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from zoostore.errors import MalformedObject, UnknownPath, UsageError
from zoostore.files.archive import unpack
from zoostore.files.disk import errors_named
from zoostore.files.staging import random_name
from zoostore.views.extras import extra, said

if TYPE_CHECKING:
    from numpy.typing import NDArray

# In quotes, because NumPy is an extra and may be missing.
Arrays: TypeAlias = "dict[str, NDArray[Any]]"
Item: TypeAlias = "NDArray[Any] | Arrays"
Batch: TypeAlias = "list[NDArray[Any]] | Arrays"
DataSource: TypeAlias = "str | os.PathLike[str] | Iterable[str | os.PathLike[str] | Item]"

LONE_KEY = "ndarray"
"""What a lone array is called where names are needed."""

_ENDINGS = (".npz", ".npy")
_ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ZIP_MAGIC = b"PK"


def named(item: Item) -> Arrays:
    """An item as arrays by name; a lone array is called `ndarray`."""
    return dict(item) if isinstance(item, Mapping) else {LONE_KEY: item}


# Reading


def load_numpy(source: str | os.PathLike[str] | BinaryIO) -> Item:
    """What an .npz or .npy file holds. Its content says which of the two it is, not its name.

    Args:
        source: a path, or a file open for reading that can seek; it is left open.

    Raises:
        UnknownPath: there is no such file.
        FileSystemError: it cannot be opened.
        MalformedObject: it is neither, is damaged, or holds pickled objects.
    """
    extra("numpy")
    if not isinstance(source, str | os.PathLike):
        return _read(source, str(getattr(source, "name", "an open file")))
    path = os.fspath(source)
    with _open(path) as file:
        return _read(file, path)


def _open(path: str) -> BinaryIO:
    with errors_named():
        try:
            return open(path, "rb")
        # A ValueError: no file's name has a NUL in it.
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise _unknown(path) from error


def _unknown(path: str) -> UnknownPath:
    return UnknownPath(f"There is no file {path!r}.", path=path)


def _read(file: BinaryIO, path: str) -> Item:
    try:
        start = file.tell()
        magic = file.read(len(_ZIP_MAGIC))
        file.seek(start)
        return _read_zip(file) if magic == _ZIP_MAGIC else _read_array(file)
    # Neither numpy nor zipfile names all that junk makes them raise: errors of zlib, of struct,
    # of the Python parser, MemoryError for a shape that nothing could hold, and more.
    except Exception as error:
        raise MalformedObject(
            f"{path} cannot be read as NumPy's arrays: {said(error)}.", path=path
        ) from error


def _read_zip(file: BinaryIO) -> Arrays:
    # Not by numpy.load: with it, an array called `x.npy` is taken for one called `x`.
    arrays: Arrays = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"it has two arrays called {name!r}")
            with archive.open(member) as content:
                arrays[name] = _read_array(cast(BinaryIO, content))
                if content.read(1):  # reading to the end is what compares the checksum, too
                    raise ValueError(f"{member.filename!r} goes on after its array")
    return arrays


def _read_array(file: BinaryIO) -> NDArray[Any]:
    array: NDArray[Any] = extra("numpy.lib.format").read_array(file, allow_pickle=False)
    return array


def load_numpy_list(data: DataSource) -> list[Item]:
    """All items that some data has.

    Args:
        data: a folder (its .npz and .npy files), a .tar or .tar.gz (those in it, folders
            included), one file, a glob (the files that fit it), each sorted by name; or an
            iterable of paths of files and of items, which stay as they are. An array is an
            iterable of what stands along its first axis.

    Raises:
        UnknownPath: there is no such file, or nothing fits the glob.
        UsageError: `data` is a single dict of arrays, or holds what is neither path nor item.
        MalformedObject: a file cannot be read as arrays, or an archive not unpacked.
        FileSystemError: the file system failed.
    """
    if isinstance(data, str | os.PathLike):
        return _load_path(os.fspath(data))
    if isinstance(data, Mapping):
        raise UsageError("A dict of arrays is one item, not a list of items.")
    try:
        elements = list(data)
    except TypeError as error:
        raise UsageError(f"{type(data).__name__} is no list of items.") from error
    return [_load_element(index, element) for index, element in enumerate(elements)]


def _load_element(index: int, element: object) -> Item:
    if isinstance(element, str | os.PathLike):
        return load_numpy(element)
    numpy = extra("numpy")
    if isinstance(element, numpy.ndarray | Mapping):
        return cast("Item", element)
    if isinstance(element, numpy.generic):
        return cast("Item", numpy.asarray(element))
    raise UsageError(
        f"Item {index} is neither a path nor arrays but {type(element).__name__}.", index=index
    )


def _load_path(path: str) -> list[Item]:
    if os.path.isdir(path):
        with errors_named():
            files = _array_files(Path(path).iterdir())
        return [load_numpy(file) for file in files]
    if os.path.isfile(path) and path.endswith(_ARCHIVE_ENDINGS):
        return _load_archive(Path(path))
    if os.path.lexists(path):
        return [load_numpy(path)]
    # With a NUL among the folders, glob raises a ValueError.
    found = [] if "\0" in path else sorted(filter(os.path.isfile, glob.glob(path)))
    if not found:
        raise _unknown(path)
    return [load_numpy(file) for file in found]


def _load_archive(path: Path) -> list[Item]:
    with errors_named(), tempfile.TemporaryDirectory(prefix="zoostore-") as name:
        folder = Path(name)
        unpack(path, folder)
        return [load_numpy(file) for file in _array_files(folder.rglob("*"))]


def _array_files(paths: Iterable[Path]) -> list[Path]:
    """The NumPy files among some paths, sorted; hidden ones, such as macOS adds, left out."""
    return sorted(
        path
        for path in paths
        if path.suffix in _ENDINGS and not path.name.startswith(".") and not path.is_dir()
    )


# Writing


def save_numpy(
    array: Item | Iterable[NDArray[Any]],
    export_dir: str | os.PathLike[str],
    name: str,
    npz: bool = True,
) -> str:
    """Write arrays to a file that is whole or not there, and give its path.

    Args:
        array: one array, arrays by name, or arrays that are then called arr_0, arr_1, ….
        export_dir: the folder for the file; it is made if it is not there.
        name: the file's name without its ending.
        npz: whether to write a compressed .npz; else an .npy, which holds one array.

    Raises:
        UsageError: the arrays hold Python objects, or are too many for an .npy, or the
            name is not that of a file.
        FileSystemError: the file cannot be written; so do DiskFull and ReadOnlyStore say.
    """
    if name in ("", ".", "..") or "/" in name or os.sep in name or "\0" in name:
        raise UsageError(f"{name!r} is not a file's name.", name=name)
    arrays = _plain_arrays(array, npz)
    path = os.path.join(os.fspath(export_dir), f"{name}{'.npz' if npz else '.npy'}")
    with errors_named():
        os.makedirs(export_dir, exist_ok=True)
        _write_aside(Path(path), arrays, npz)
    return path


def _plain_arrays(array: Item | Iterable[NDArray[Any]], npz: bool) -> Arrays:
    """What to write, by name.

    Raises:
        UsageError: it cannot be written.
    """
    numpy = extra("numpy")
    given: Mapping[Any, Any]
    if isinstance(array, Mapping):
        given = array
    elif isinstance(array, numpy.ndarray | numpy.generic):
        given = {"arr_0": array}
    elif isinstance(array, Iterable) and not isinstance(array, str | bytes):
        given = {f"arr_{index}": one for index, one in enumerate(array)}
    else:
        raise UsageError(f"{type(array).__name__} is neither an array nor arrays.")
    if not npz and not isinstance(array, numpy.ndarray | numpy.generic):
        raise UsageError("An .npy file holds one array; several need an .npz file.")
    return {_checked_name(name): _plain(name, one) for name, one in given.items()}


def _checked_name(name: object) -> str:
    # A zip file's names end at a NUL, and none has half a surrogate pair.
    if not isinstance(name, str) or "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        raise UsageError(f"An array cannot be called {name!r}.", array=repr(name))
    return name


def _plain(name: str, value: Any) -> NDArray[Any]:
    try:
        array: NDArray[Any] = extra("numpy").asarray(value)
    except ValueError as error:
        raise UsageError(f"{name!r} is no array: {said(error)}.", array=name) from error
    if array.dtype.kind in "OT":  # objects, and texts of any length: both would be pickled
        raise UsageError(f"Array {name!r} holds Python objects, which are not written.", array=name)
    return array


def _write_aside(path: Path, arrays: Arrays, npz: bool) -> None:
    staged = path.with_name(f".{random_name(8)}.tmp")
    try:
        with open(staged, "xb") as file:
            if npz:
                _write_zip(file, arrays)
            else:
                (array,) = arrays.values()
                _write_array(file, array)
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def _write_zip(file: BinaryIO, arrays: Arrays) -> None:
    # Not by numpy.savez_compressed: it has no room for an array called `file`.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # The size is not known beforehand, so room is made for one over 2 GiB.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as content:
                _write_array(cast(BinaryIO, content), array)


def _write_array(file: BinaryIO, array: NDArray[Any]) -> None:
    extra("numpy.lib.format").write_array(file, array, allow_pickle=False)


# Batches


class Dataset:
    """Items in memory, under a name.

    Args:
        name: what a loader of several datasets calls this one.
        data: what `load_numpy_list` takes.

    Raises:
        ZooError: what `load_numpy_list` raises.
    """

    def __init__(self, name: str, data: DataSource) -> None:
        self._name = name
        self._data = load_numpy_list(data)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Item:
        return self._data[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._data)

    @property
    def name(self) -> str:
        """What the dataset is called."""
        return self._name

    @property
    def data(self) -> list[Item]:
        """The items themselves, not a copy."""
        return self._data


class DataLoader:
    """Batches of one or more datasets of the same length.

    Every batch has exactly `batch_size` items, as models of a fixed batch size need: where
    the data ends, a batch goes on with the first item. Each array of a batch is the items'
    arrays along a new first axis. A batch of one dataset is a dict by the arrays' names; one
    of several datasets is a dict of such batches by the datasets' names.

    Each iteration starts with the first item, and iterations do not disturb each other.

    Args:
        batch_size: how many items a batch has; at least 1.
        iter_steps: how many batches an iteration has: 0 for as many as hold all the data,
            -1 for no end.
        batch_as_list: whether a batch of a dataset is a list of arrays instead of a dict.

    Raises:
        UsageError: there is no dataset, or an empty one, or two of one name or of different
            lengths; or a number is out of its range.
    """

    def __init__(
        self,
        *datasets: Dataset,
        batch_size: int,
        iter_steps: int = 0,
        batch_as_list: bool = False,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"A batch has at least 1 item, not {batch_size}.")
        if iter_steps < -1:
            raise UsageError(
                f"The steps are -1 (no end), 0 (once through the data) or more, not {iter_steps}."
            )
        _require_alike(datasets)
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._batch_size = batch_size
        self._iter_steps = iter_steps
        self._batch_as_list = batch_as_list
        self._num_items = len(datasets[0])

    def __len__(self) -> int:
        """How many batches an iteration has; 0 if it has no end."""
        if self.infinite:
            return 0
        return self._iter_steps or -(-self._num_items // self._batch_size)

    def __iter__(self) -> Iterator[Batch | dict[str, Batch]]:
        """The batches.

        Raises:
            UsageError: items of a batch differ in their names or shapes.
        """
        steps = itertools.count() if self.infinite else range(len(self))
        return (self._batch(step) for step in steps)

    def get_batch(self, batch_index: int) -> Batch | dict[str, Batch]:
        """The batch that an iteration gives at this place, counted from 0.

        Raises:
            IndexError: an iteration has no such batch.
            UsageError: items of the batch differ in their names or shapes.
        """
        if batch_index < 0 or (not self.infinite and batch_index >= len(self)):
            count = "no end of" if self.infinite else str(len(self))
            raise IndexError(f"There is no batch {batch_index}; the loader has {count} batches.")
        return self._batch(batch_index)

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The datasets by their names."""
        return self._datasets

    @property
    def batch_size(self) -> int:
        """How many items a batch has."""
        return self._batch_size

    @property
    def iter_steps(self) -> int:
        """How many batches were asked for: 0 for once through the data, -1 for no end."""
        return self._iter_steps

    @property
    def infinite(self) -> bool:
        """Whether an iteration has no end."""
        return self._iter_steps == -1

    @property
    def batch_as_list(self) -> bool:
        """Whether a batch of a dataset is a list of arrays."""
        return self._batch_as_list

    @property
    def num_items(self) -> int:
        """How many items each dataset has."""
        return self._num_items

    def _batch(self, step: int) -> Batch | dict[str, Batch]:
        start = step * self._batch_size
        places = [(start + offset) % self._num_items for offset in range(self._batch_size)]
        batches = {name: self._stack(dataset, places) for name, dataset in self._datasets.items()}
        if len(batches) > 1:
            return batches
        (batch,) = batches.values()
        return batch

    def _stack(self, dataset: Dataset, places: Sequence[int]) -> Batch:
        items = [named(dataset[place]) for place in places]
        for place, item in zip(places, items, strict=True):
            _require_fit(dataset.name, (places[0], items[0]), (place, item))
        stack = extra("numpy").stack
        batch = {name: stack([item[name] for item in items]) for name in items[0]}
        return list(batch.values()) if self._batch_as_list else batch


def _require_alike(datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise UsageError("A loader needs at least one dataset.")
    names: set[str] = set()
    for dataset in datasets:
        if not len(dataset):
            raise UsageError(f"Dataset {dataset.name!r} has no items.", dataset=dataset.name)
        if len(dataset) != len(datasets[0]):
            raise UsageError(
                f"Dataset {dataset.name!r} has {len(dataset)} items, but "
                f"{datasets[0].name!r} has {len(datasets[0])}.",
                dataset=dataset.name,
            )
        if dataset.name in names:
            raise UsageError(f"Two datasets are called {dataset.name!r}.", dataset=dataset.name)
        names.add(dataset.name)


def _require_fit(dataset: str, first: tuple[int, Arrays], other: tuple[int, Arrays]) -> None:
    """Raise UsageError unless an item can be stacked onto the first of its batch."""
    (first_place, expected), (place, item) = first, other
    what = f"Item {place} of dataset {dataset!r} does not fit item {first_place}"
    for name in [*expected, *item]:
        if name not in item or name not in expected:
            without = place if name not in item else first_place
            raise UsageError(
                f"{what}: item {without} has no array {name!r}.", item=place, array=name
            )
        shape, came = expected[name].shape, item[name].shape
        if came != shape:
            raise UsageError(
                f"{what}: array {name!r} has shape {came}, expected {shape}.",
                item=place,
                array=name,
            )
