"""`sparsezoo.model.utils`: models' names, and folders that are to become models."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from zoostore.errors import DirectoryNotEmpty, InvalidStub, UnknownPath, UsageError
from zoostore.files.disk import errors_named
from zoostore.stubs import parse_stub
from zoostore.views.directory import Directory
from zoostore.views.file import File
from zoostore.views.packed_onnx import PackedOnnx
from zoostore.views.select import Recipes
from zoostore.views.unpacking import members_of

__all__ = [
    "ZOO_STUB_PREFIX",
    "is_stub",
    "parse_zoo_stub",
    "setup_model",
]

ZOO_STUB_PREFIX = "zoo:"
_SHORT_PARTS = 3

Pointer: TypeAlias = str | os.PathLike[str] | File
"""A file or a folder: its path, or a view of it."""


def is_stub(candidate: str) -> bool:
    """Whether a text is a model's name, and not a folder's path.

    A short name counts if it has a scheme, or three parts: architecture, dataset, tag.
    """
    try:
        stub = parse_stub(candidate)
    except InvalidStub:
        return False
    has_scheme = candidate.startswith(("zoo:", "hf:"))
    return has_scheme or bool(stub.facets) or stub.path.count("-") >= _SHORT_PARTS - 1


def parse_zoo_stub(
    stub: str, valid_params: Sequence[str] | None = None
) -> tuple[str, dict[str, str]]:
    """A stub without its scheme, and what stands behind the `?`.

    Args:
        valid_params: the names that may stand there; others are warned of. None: any.

    Raises:
        InvalidStub: there are two `?`, or something behind it is not `NAME=VALUE`.
    """
    name, *queries = stub.removeprefix(ZOO_STUB_PREFIX).split("?")
    if len(queries) > 1:
        raise InvalidStub(f"{stub!r} has more than one '?'.", stub=stub)
    pairs = [pair.partition("=") for query in queries for pair in query.split("&")]
    if not all(key and equals for key, equals, _ in pairs):
        raise InvalidStub(f"What follows the '?' of {stub!r} is not NAME=VALUE.", stub=stub)
    params = {key: value for key, _, value in pairs}
    strange = sorted(params.keys() - set(valid_params)) if valid_params is not None else []
    if strange:
        warnings.warn(f"{stub} has {strange}; there are {valid_params}.", stacklevel=2)
    return name, params


def setup_model(
    output_dir: str | os.PathLike[str],
    training: Pointer | Sequence[Pointer],
    deployment: Pointer | Sequence[Pointer],
    onnx_model: Pointer,
    sample_inputs: Pointer,
    sample_outputs: Pointer | Sequence[Pointer] | None = None,
    sample_labels: Pointer | None = None,
    sample_originals: Pointer | None = None,
    logs: Pointer | Sequence[Pointer] | None = None,
    analysis: Pointer | None = None,
    benchmarks: Pointer | None = None,
    eval_results: Pointer | None = None,
    model_card: Pointer | None = None,
    recipes: Pointer | Sequence[Pointer] | None = None,
) -> None:
    """Copy files together into a folder that is laid out as a model.

    Args:
        output_dir: the folder; it is not there yet, or empty.
        training, deployment, logs: a folder, or the files that are to be in it.
        onnx_model: the model, with the files beside it that it keeps tensors in.
        sample_inputs, sample_outputs, sample_labels, sample_originals: folders, or archives.
        analysis, benchmarks, eval_results, model_card, recipes: files.

    Raises:
        DirectoryNotEmpty: the folder holds something; nothing was changed.
        UnknownPath: a file is not there.
    """
    root = Path(output_dir)
    if root.exists() and any(root.iterdir()):
        raise DirectoryNotEmpty(f"{root} is not empty; nothing was changed.", path=str(root))
    folders = {"training": training, "deployment": deployment, "logs": logs}
    loose = [sample_inputs, sample_outputs, sample_labels, sample_originals, analysis]
    loose += [benchmarks, eval_results, model_card, recipes]
    with errors_named():
        root.mkdir(parents=True, exist_ok=True)
        for name, given in folders.items():
            _copy_as_folder(given, root / name)
        _copy_onnx(onnx_model, root)
        for given in loose:
            for path in _paths(given):
                _copy(path, root / path.name)


def _paths(given: Pointer | Sequence[Pointer] | None) -> list[Path]:
    if given is None:
        return []
    if isinstance(given, Recipes):
        return [Path(file.path) for file in given.recipes]
    if isinstance(given, File):
        return [Path(given.path)]
    if isinstance(given, str | os.PathLike):
        return [Path(given)]
    return [path for each in given for path in _paths(each)]


def _copy_as_folder(given: Pointer | Sequence[Pointer] | None, target: Path) -> None:
    paths = _paths(given)
    if isinstance(given, Directory | str | os.PathLike) and paths and paths[0].is_dir():
        _copy(paths[0], target)
        return
    for path in paths:
        _copy(path, target / path.name)


def _copy_onnx(given: Pointer, root: Path) -> None:
    (path,) = _paths(given)
    if isinstance(given, PackedOnnx):
        archive = given.own_path()
        for name in (archive.name, *(member.path for member in members_of(archive))):
            _copy(path.with_name(name), root / name)
    else:
        _copy(path, root / path.name)


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise UnknownPath(f"{source} does not exist.", path=str(source))
    if target.exists():
        raise UsageError(f"Two files are to be {target.name} in {target.parent}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
