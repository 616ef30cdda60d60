"""Makes what is kept here: a store, a checkout of it, and a published zoo, as we write them.

    python -m tests.golden.make

What is kept is never made anew for a release: later ones must read it. This is how it was made.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from zoostore import Store
from zoostore.digest import GIT_BLOB, SHA256, digest_bytes, hash_bytes
from zoostore.ops.names import remove, tag
from zoostore.store.batch import Batch
from zoostore.stubs import parse_stub

HERE = Path(__file__).parent
BASE = "zoo:cv/classification/mlp-9/numpy/zoostore/digits/base-none"
SETTINGS = 'large_object = 64\n\n[remotes.lab]\nurl = "https://models.example.org/zoo"\n'
FILES = {
    "model.onnx": bytes(range(256)),
    "model.md": b"# A model\n",
    "recipe/run.sh": b"#!/bin/sh\n",
    "training/große.bin": b"weights " * 20,
    "nothing": b"",
}


def make(root: Path) -> None:
    """Make them below a folder."""
    store = Store(root / "store", offline=True)
    (root / "store").mkdir()
    (root / "store/config.toml").write_text(SETTINGS)
    source = root / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "recipe/run.sh").chmod(0o755)
    (source / "latest").symlink_to("model.onnx")
    (source / "empty").mkdir()
    store.add(source, BASE, message="The first", metadata={"run": "1"}, time=1_793_491_200)
    objects = store._opened.writable()
    tag(objects, parse_stub(BASE), "v1", 1_793_491_201)
    (source / "model.md").write_bytes(b"# A better model\n")
    store.add(source, BASE, message="Größer", time=1_793_491_202)
    store.add(source, "zoo:gone", time=1_793_491_203)
    remove(objects, "zoo:gone", 1_793_491_204)
    with open(root / "store/reflog", "ab") as reflog:
        reflog.write(b'{"check":"0123456789abcdef","fil torn\n')
    with Batch(objects) as batch:
        content = FILES["model.onnx"]
        named = [digest_bytes(kind, content) for kind in (SHA256, GIT_BLOB)]
        batch.note_aliases("https://models.example.org", {hash_bytes(content): named})
        batch.publish()
    store.checkout(BASE, root / "checkout", link="copy")
    store.publish([BASE], root / "zoo", name="Golden")
    shutil.rmtree(source)


def keep(made: Path) -> None:
    """Keep what was made, without what is derived, and without the names of this machine."""
    for name in ("index", "tmp", "checkouts"):
        shutil.rmtree(made / "store" / name, ignore_errors=True)
    state = made / "checkout/.zoostore/checkout.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "store": "/gone/store"}))
    for name in ("store", "checkout", "zoo"):
        shutil.rmtree(HERE / name, ignore_errors=True)
        shutil.copytree(made / name, HERE / name, symlinks=True)


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        keep(Path(folder))
