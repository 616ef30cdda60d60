"""`sparsezoo.utils`: arrays and ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
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
            Nor is it if all tensors are small.
    """
    onnx = extra("onnx")
    path = os.path.abspath(model_path)
    if external_data_file is None:
        onnx.save_model(model, path)
        return False
    data = Path(path).with_name(external_data_file)
    data.unlink(missing_ok=True)  # onnx would write behind what it holds
    onnx.save_model(model, path, save_as_external_data=True, location=external_data_file)
    return data.exists()


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
