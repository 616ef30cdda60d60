"""Arrays: NumPy's files as items.

An item is what one file holds: an .npz file is a dict of arrays, in the file's order;
an .npy file is one array. Nothing here reads or writes pickles.
"""

from __future__ import annotations

import glob
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
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
