"""Known caches: the folders of other tools that were adopted, where lost contents may still be.

For each there is a file `checkouts/.adopted/KEY`, a JSON object: `path`, and `stub`, the name that
its one model was given, or null. KEY is the BLAKE3 of the path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from zoostore.caches.base import Cache
from zoostore.caches.detect import read_cache
from zoostore.digest import hash_bytes
from zoostore.errors import ZooError
from zoostore.files.sharing import make_folder
from zoostore.files.staging import replace_durably
from zoostore.store.layout import Layout


def remember_cache(layout: Layout, directory: Path, stub: str | None) -> None:
    """Note that a folder was adopted.

    Args:
        stub: what it was adopted as, if it had to be said.
    """
    path = os.path.abspath(directory)
    entry = _folder(layout) / hash_bytes(os.fsencode(path)).hex()
    make_folder(entry.parent)
    value = {"path": path, "stub": stub}
    replace_durably(entry, json.dumps(value, sort_keys=True).encode("ascii"))


def known_caches(layout: Layout) -> Iterator[Cache]:
    """The folders that were adopted and can still be read, as what they are now."""
    folder = _folder(layout)
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            value = json.loads(entry.read_bytes())
            yield read_cache(Path(value["path"]), stub=value["stub"])
        except (OSError, ValueError, TypeError, KeyError, ZooError):
            continue  # it is gone, or is another thing by now


def _folder(layout: Layout) -> Path:
    return layout.checkouts / ".adopted"
