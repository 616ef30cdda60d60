"""What a Hub has: repositories, their commits, and the files of those."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

LFS = (".safetensors", ".bin", ".onnx", ".gguf", ".pt", ".h5")
"""How the names of large files end."""

FIRST_MOMENT = 1_700_000_000


def git_blob(content: bytes) -> str:
    """What Git calls a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Blob(NamedTuple):
    """A file of a commit."""

    content: bytes
    is_lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What Git keeps in place of a large file."""
        return (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{self.sha256}\nsize {len(self.content)}\n"
        ).encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else git_blob(self.content)

    def listed(self, path: str) -> dict[str, Any]:
        """Its line in a tree."""
        line = {"type": "file", "path": path, "size": len(self.content)}
        if not self.is_lfs:
            return line | {"oid": git_blob(self.content)}
        pointer = self.pointer
        lfs = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(pointer)}
        return line | {"oid": git_blob(pointer), "lfs": lfs}


class Commit(NamedTuple):
    """A state of a repository; `time` in seconds since 1970."""

    id: str
    time: int
    blobs: Mapping[str, Blob]

    @property
    def date(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.time))

    def tree(self) -> list[dict[str, Any]]:
        """All lines of the tree, folders among them."""
        lines = [blob.listed(path) for path, blob in self.blobs.items()]
        parents = (parent for path in self.blobs for parent in list(Path(path).parents)[:-1])
        for name in {parent.as_posix() for parent in parents}:
            oid = hashlib.sha1(name.encode()).hexdigest()
            lines.append({"type": "directory", "path": name, "size": 0, "oid": oid})
        return sorted(lines, key=lambda line: str(line["path"]))


@dataclass
class Repository:
    """A model or a dataset.

    Attributes:
        name: as it stands in a stub behind `hf:`.
        commits: by id, the oldest first.
        refs: branches and tags; `refs/pr/1` for a pull request.
        gated: whether reading files needs a permission: False, "auto" or "manual".
        is_listing_gated: whether that goes for its listing too.
        is_private: whether its being there may only be known with a permission.
        is_disabled: whether the Hub has taken it away.
        readers: tokens of those who have a permission.
    """

    name: str
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool | str = False
    is_listing_gated: bool = False
    is_private: bool = False
    is_disabled: bool = False
    readers: set[str] = field(default_factory=set)

    def commit(self, files: Mapping[str, bytes], to: str) -> str:
        """Add a commit that holds just these files, and point a branch to it; its id."""
        moment = FIRST_MOMENT + 60 * len(self.commits)
        blobs = {path: Blob(content, path.endswith(LFS)) for path, content in files.items()}
        said = [self.name, moment, sorted((path, blob.etag) for path, blob in blobs.items())]
        id = hashlib.sha1(repr(said).encode()).hexdigest()
        self.commits[id] = Commit(id, moment, blobs)
        self.refs[to] = id
        return id

    def find(self, revision: str) -> Commit | None:
        revision = self.refs.get(revision, revision)
        if len(revision) < 7:
            return None
        found = (commit for id, commit in self.commits.items() if id.startswith(revision))
        return next(found, None)

    def info(self, commit: Commit) -> dict[str, Any]:
        """What the Hub says of it at a commit."""
        return {
            "_id": "0123456789abcdef01234567",
            "id": self.name.removeprefix("datasets/"),
            "sha": commit.id,
            "lastModified": max(self.commits.values(), key=lambda commit: commit.time).date,
            "private": self.is_private,
            "gated": self.gated,
            "disabled": self.is_disabled,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(commit.blobs)],
        }
