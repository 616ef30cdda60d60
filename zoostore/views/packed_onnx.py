"""PackedOnnx: an ONNX model that is kept in an archive, with the files it keeps tensors in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from zoostore.digest import Oid
from zoostore.errors import UnknownPath
from zoostore.ops.status import content_oid
from zoostore.roles import ARCHIVE
from zoostore.views.file import File
from zoostore.views.trees import Tree


class PackedOnnx(File):
    """The `model.onnx` of a `model.onnx.tar.gz`, which may hold more that it needs."""

    @classmethod
    def _in(cls, tree: Tree, at: str, **own: Any) -> PackedOnnx:
        return super()._in(tree, at, **{"name": at.rpartition("/")[2].removesuffix(ARCHIVE), **own})

    @property
    def path(self) -> str:
        archive = self.own_path()
        self._tree.unpack(self._at, archive.parent)
        target = archive.with_name(self.name)
        if not target.is_file():
            raise UnknownPath(f"{archive} holds no {self.name}.", path=str(archive))
        return str(target)

    @property
    def is_archive(self) -> bool:
        return True

    @property
    def size(self) -> int:
        return os.stat(self.path).st_size

    @property
    def oid(self) -> Oid:
        return content_oid(Path(self.path))

    def open(self) -> BinaryIO:
        return open(self.path, "rb")
