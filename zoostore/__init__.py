"""Git for model files: every file once, by its hash; models as snapshots; checkouts as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoostore.api import Store
    from zoostore.errors import ZooError
    from zoostore.views.directory import Directory
    from zoostore.views.file import File
    from zoostore.views.model import Model
    from zoostore.views.search import ModelArgs, model_args_to_stub, search_models

__version__ = "0.1.0"
__all__ = [
    "Directory",
    "File",
    "Model",
    "ModelArgs",
    "Store",
    "ZooError",
    "__version__",
    "model_args_to_stub",
    "search_models",
]

_PLACES = {
    "Directory": "zoostore.views.directory",
    "File": "zoostore.views.file",
    "Model": "zoostore.views.model",
    "ModelArgs": "zoostore.views.search",
    "Store": "zoostore.api",
    "ZooError": "zoostore.errors",
    "model_args_to_stub": "zoostore.views.search",
    "search_models": "zoostore.views.search",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: the command line must start fast.
    if name not in _PLACES:
        raise AttributeError(f"module 'zoostore' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
