"""Caches of the Hugging Face Hub, written by hand as huggingface_hub 2.4 has them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

FIRST = "1" * 40
SECOND = "2" * 40


def etag_of(content: bytes, *, is_large: bool) -> str:
    if is_large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(path: str) -> bool:
    return path.endswith(".bin")


class CachedRepository:
    """A repository's folder. Files called `*.bin` are large: their etag is a sha256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, content: bytes) -> Path:
        """A file of the folder itself."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def link(self, path: str, target: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        return place

    def blob(self, path: str, content: bytes) -> Path:
        """The blob of a file that is called so."""
        return self.put(f"blobs/{etag_of(content, is_large=is_large(path))}", content)

    def snapshot(self, commit: str, files: Mapping[str, bytes]) -> Path:
        """A snapshot, whose files are links."""
        for path, content in files.items():
            up = "../" * (path.count("/") + 2)
            name = f"snapshots/{commit}/{path}"
            self.link(name, f"{up}blobs/{self.blob(path, content).name}")
        return self.folder / "snapshots" / commit

    def ref(self, name: str, commit: str, mtime: int = 0) -> Path:
        place = self.put(f"refs/{name}", commit.encode())
        os.utime(place, (mtime, mtime))
        return place

    def list_files(self, commit: str, files: Mapping[str, bytes]) -> Path:
        """The listing of a commit."""
        lines = {path: self.line(path, content) for path, content in files.items()}
        return self.write_listing(commit, {"format_version": 1, "files": lines})

    def write_listing(self, commit: str, value: object) -> Path:
        return self.put(f"trees/{commit}.json", json.dumps(value).encode())

    @staticmethod
    def line(path: str, content: bytes) -> dict[str, Any]:
        size = len(content)
        if not is_large(path):
            return {"size": size, "blob_id": etag_of(content, is_large=False)}
        sha256 = etag_of(content, is_large=True)
        return {"size": size, "blob_id": "e" * 40, "lfs_sha256": sha256, "lfs_size": size}


@pytest.fixture
def hub_root(tmp_path: Path) -> Path:
    """Where the cache is, in what huggingface_hub calls its home."""
    root = tmp_path / "huggingface" / "hub"
    root.mkdir(parents=True)
    return root


@pytest.fixture
def repository(hub_root: Path) -> Callable[..., CachedRepository]:
    """Makes the folder of a repository, `models--org--name` if it is not called otherwise."""
    return lambda name="models--org--name": CachedRepository(hub_root / name)
