"""What the environment says, read at the moment it is asked for."""

import os
from pathlib import Path
from typing import NamedTuple

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


class HubToken(NamedTuple):
    """A secret that tells the Hugging Face Hub who asks, and where it was found."""

    value: str
    found_in: str

    def __repr__(self) -> str:
        return f"HubToken(found_in={self.found_in!r})"


def hub_endpoint() -> str:
    """The address of the Hugging Face Hub, or of what stands in for it; may hold a login."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def hub_home() -> Path:
    """Where huggingface_hub keeps what it has."""
    named = os.environ.get("HF_HOME")
    if not named:
        named = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.path.expandvars(named)).expanduser()


def hub_token() -> HubToken | None:
    """The token of the user who is logged in to the Hub; None to be nobody."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in _TRUE:
        return None
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        value = os.environ.get(name, "").strip()
        if value:
            return HubToken(value, name)
    named = os.environ.get("HF_TOKEN_PATH")
    path = Path(os.path.expandvars(named)).expanduser() if named else hub_home() / "token"
    try:
        value = path.read_text("utf-8").strip()
    except (OSError, ValueError):  # it is not there, or none of ours
        return None
    return HubToken(value, str(path)) if value else None
