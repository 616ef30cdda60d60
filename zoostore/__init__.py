"""Git for model files: every file once, by its hash; models as snapshots; checkouts as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoostore.api import Store
    from zoostore.errors import ZooError

__version__ = "0.1.0"
__all__ = ["Store", "ZooError", "__version__"]

_PLACES = {"Store": "zoostore.api", "ZooError": "zoostore.errors"}


def __getattr__(name: str) -> Any:
    # Imported when asked for: the command line must start fast.
    if name not in _PLACES:
        raise AttributeError(f"module 'zoostore' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
