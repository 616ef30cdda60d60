"""The names that code written for SparseZoo imports, in the places it imports them from.

Replace `sparsezoo` by `zoostore.compat` in the imports. What is new in zoostore is in
`zoostore` itself, and so are the most used of these names.
"""

from __future__ import annotations

from zoostore.compat.model import (
    Model,
    is_stub,
    parse_zoo_stub,
    setup_model,
)
from zoostore.compat.objects import (
    Directory,
    File,
    NumpyDirectory,
    Recipes,
    SelectDirectory,
    is_directory,
)
from zoostore.compat.search import ModelArgs, model_args_to_stub, search_models
from zoostore.compat.utils import (
    DataLoader,
    Dataset,
    load_numpy_list,
    save_numpy,
    save_onnx,
    validate_onnx,
)

__all__ = [
    "DataLoader",
    "Dataset",
    "Directory",
    "File",
    "Model",
    "ModelArgs",
    "NumpyDirectory",
    "Recipes",
    "SelectDirectory",
    "is_directory",
    "is_stub",
    "load_numpy_list",
    "model_args_to_stub",
    "parse_zoo_stub",
    "save_numpy",
    "save_onnx",
    "search_models",
    "setup_model",
    "validate_onnx",
]
