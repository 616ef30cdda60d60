"""Trains the small models of the built-in zoo and writes them as SparseZoo model directories.

Needs numpy, scikit-learn, onnx and onnxruntime, none of which the store itself depends on; nothing
outside this package imports it while the store runs.
"""

from __future__ import annotations

from .models import BuiltModel, build_models

__all__ = ["BuiltModel", "build_models"]
