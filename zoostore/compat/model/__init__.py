"""`sparsezoo.model`: models, their names, and folders that are to become models."""

from __future__ import annotations

from zoostore.compat.model.utils import ZOO_STUB_PREFIX, is_stub, parse_zoo_stub, setup_model
from zoostore.views.facts import ModelResult
from zoostore.views.model import Model

__all__ = [
    "ZOO_STUB_PREFIX",
    "Model",
    "ModelResult",
    "is_stub",
    "parse_zoo_stub",
    "setup_model",
]
