"""Train the built-in models and publish them into the package.

    python -m zoostore.zoo.publish [DIRECTORY]

The same sources give the same bytes, so a zoo published twice is the same zoo.
Needs the packages of `zoostore[dev]`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from zoostore.api import Store
from zoostore.ops.publish import Published
from zoostore.zoo.training import build_models

PUBLISHED = Path(__file__).parent / "published"
NAME = "zoostore built-in zoo"
TIME = 1793491200
"""Of every snapshot: 2026-11-01 00:00:00 UTC. A clock would give other ids each time."""


def publish_builtin_zoo(directory: Path) -> Published:
    """Train every model, and publish all of them in `directory`."""
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "store", offline=True)
        models = build_models(Path(scratch) / "models")
        for model in models:
            store.add(
                model.directory,
                model.stub,
                message=model.message,
                metadata=model.metadata,
                time=TIME,
            )
        return store.publish([model.stub for model in models], directory, name=NAME)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED
    done = publish_builtin_zoo(target)
    sys.stdout.write(f"{done.directory}: {done.total_models} models\n")
