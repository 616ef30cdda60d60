"""Trying a model: its samples run through an engine, and what comes out compared."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoostore.errors import MalformedObject, UnknownPath, UsageError
from zoostore.files.archive import pack
from zoostore.roles import ARCHIVE, FRAMEWORK
from zoostore.views.arrays import save_numpy
from zoostore.views.directory import all_files
from zoostore.views.inference import compare_outputs, run_model
from zoostore.views.trees import SnapshotTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoostore.views.file import File
    from zoostore.views.model import Model
    from zoostore.views.samples import NumpyDirectory

_LOGGER = logging.getLogger("zoostore")
_TOLERANCE = 1e-5
_SHOWN = 5


def outputs_of(model: Model, engine: str) -> Iterator[list[NDArray[Any]]]:
    """What an engine makes of each sample. Raises what `Model.generate_outputs` raises."""
    if model.onnx_model is None:
        raise UnknownPath(f"{model.name} has no ONNX model to run.")
    return run_model(model.onnx_model.path, _inputs(model), engine)


def save_outputs(model: Model, engine: str) -> Path:
    """Write what an engine makes of the samples beside them, as an archive; its path."""
    tree = model._tree
    if isinstance(tree, SnapshotTree) and tree.directory is None:
        raise UsageError(
            f"{model.name} is laid out in the store, which holds what the snapshot does and no "
            "more: make the model with a download_path, or of a checkout."
        )
    inputs = _inputs(model)
    name = inputs.name.removesuffix(ARCHIVE).replace("inputs", "outputs") + f"_{engine}"
    archive = tree.root / (name + ARCHIVE)
    with tempfile.TemporaryDirectory() as scratch:
        members = []
        for (_, file), arrays in zip(all_files(inputs), outputs_of(model, engine), strict=True):
            stem = Path(file.name).stem.replace("inp", "out")
            members.append((f"{stem}.npz", Path(save_numpy(arrays, scratch, stem))))
        pack(members, archive, top=name)
    folder = tree.root / name
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)  # what an earlier archive held
    vars(model).pop("sample_outputs", None)  # there is one more now
    return archive


def is_valid(model: Model, *, run: bool, minimal: bool) -> bool:
    """Whether a model is whole, can be loaded, and makes of the samples what it says."""
    wrong = list(_wrong_files(model, minimal=minimal))
    if run:
        wrong += _wrong_outputs(model)
    for problem in wrong:
        _LOGGER.warning("%s: %s", model.name, problem)
    return not wrong


def _wrong_files(model: Model, *, minimal: bool) -> Iterator[str]:
    needed = ("training", "deployment", "onnx_model") if minimal else ("model_card", "onnx_model")
    there = model.available
    yield from (f"there is no {role}" for role in needed if role not in there)
    files: list[File] = []
    for role, value in there.items():
        if role in needed or not minimal:
            files += value.values() if isinstance(value, Mapping) else [value]
    for file in files:
        try:
            file.validate()
        except MalformedObject as error:
            yield error.message


def _wrong_outputs(model: Model) -> list[str]:
    outputs = model.sample_outputs
    if not outputs:
        raise UnknownPath(f"{model.name} has no sample outputs to compare with.")
    engines = ("onnxruntime", FRAMEWORK, *outputs)
    expected = next(outputs[engine] for engine in engines if engine in outputs)
    got = outputs_of(model, "onnxruntime")
    try:
        found = compare_outputs(expected, got, atol=_TOLERANCE, rtol=_TOLERANCE)
    except UsageError as error:  # a sample that the model does not take
        return [error.message]
    return [f"{expected.name}: {mismatch}" for mismatch in found[:_SHOWN]]


def _inputs(model: Model) -> NumpyDirectory:
    if model.sample_inputs is None:
        raise UnknownPath(f"{model.name} has no sample inputs to run.")
    return model.sample_inputs
