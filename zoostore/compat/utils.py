"""`sparsezoo.utils`: arrays and ONNX files."""

from __future__ import annotations

import os
from typing import Any

from zoostore.errors import UsageError
from zoostore.views.arrays import load_numpy_list, save_numpy
from zoostore.views.batches import DataLoader, Dataset
from zoostore.views.extras import extra

__all__ = ["DataLoader", "Dataset", "load_numpy_list", "save_numpy", "save_onnx", "validate_onnx"]


def save_onnx(
    model: Any, model_path: str | os.PathLike[str], external_data_file: str | None = None
) -> bool:
    """Write an ONNX model; whether its tensors went to a file of their own.

    Args:
        model: an `onnx.ModelProto`.
        external_data_file: the name of that file, beside the model; None: none is made.
    """
    onnx = extra("onnx")
    is_external = external_data_file is not None
    onnx.save_model(
        model,
        os.fspath(model_path),
        save_as_external_data=is_external,
        location=external_data_file,
    )
    return is_external


def validate_onnx(model: Any) -> None:
    """Refuse what is no valid ONNX model.

    Args:
        model: an `onnx.ModelProto`, or a file's path.

    Raises:
        UsageError: it is none (which is a ValueError).
    """
    onnx = extra("onnx")
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx have several of their own
        raise UsageError(f"This is no valid ONNX model: {error}.") from error
