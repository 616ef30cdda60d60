"""What the environment says, read at the moment it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

_TRUE = frozenset(["1", "on", "yes", "true"])


def home() -> Path:
    """Where the store is, if nothing else is said."""
    named = os.environ.get("ZOOSTORE_HOME")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("zoostore", appauthor=False))


def index_folder() -> Path | None:
    """Where the index is, if not in the store."""
    named = os.environ.get("ZOOSTORE_INDEX")
    return Path(named).expanduser() if named else None


def is_offline() -> bool:
    """Whether the network must not be used."""
    return any(
        os.environ.get(name, "").lower() in _TRUE for name in ("ZOOSTORE_OFFLINE", "HF_HUB_OFFLINE")
    )


def first_remote() -> str | None:
    """The URL of a remote to be asked before all others."""
    return os.environ.get("ZOOSTORE_REMOTE") or None
