"""`sparsezoo.search`: models by the parts of their names."""

from __future__ import annotations

from zoostore.views.search import ModelArgs, model_args_to_stub, search_models

__all__ = ["ModelArgs", "model_args_to_stub", "search_models"]
