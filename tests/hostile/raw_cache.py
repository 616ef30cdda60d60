"""Caches of other tools made by hand, each with one good model, and with anything else put in."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from tests.sockets import make_socket

COMMIT = "1" * 40
WRONG = "a" * 64
GOOD = b"good" * 100
DIGITS = hashlib.sha256(GOOD).hexdigest()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def good_cache(cache: str, root: Path) -> Path:
    """A cache with one model in it; the folder that a line's paths are below."""
    if cache == "hub":
        repository = root / "huggingface/hub/models--org--name"
        put(repository / "blobs" / DIGITS, GOOD)
        snapshot = repository / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (snapshot / "good").symlink_to(f"../../blobs/{DIGITS}")
        (snapshot / "wrong").symlink_to(f"../../blobs/{WRONG}")
        return repository
    if cache == "ollama":
        layers = [
            {"mediaType": f"a.{name}", "digest": f"sha256:{digits}", "size": size}
            for name, digits, size in (("good", DIGITS, len(GOOD)), ("wrong", WRONG, 11))
        ]
        put(root / "blobs" / f"sha256-{DIGITS}", GOOD)
        manifest = root / "manifests/registry.ollama.ai/library/good/latest"
        put(manifest, json.dumps({"layers": layers}).encode())
        return root
    if cache == "sparsezoo":
        put(root / "sparsezoo/neuralmagic/good/model.onnx", GOOD)
        return root / "sparsezoo"
    put(root / "loras/good.gguf", GOOD)
    return root / "loras"


def stand(path: Path, what: str, secret: Path) -> None:
    """Put there what a line says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir(exist_ok=True)
    elif what == "socket":
        make_socket(path)
    elif what.startswith("-> "):
        path.symlink_to(what.removeprefix("-> ").replace("SECRET", str(secret)))
    else:
        path.write_bytes(what.replace("COMMIT", COMMIT).replace("WRONG", WRONG).encode())
