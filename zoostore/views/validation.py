"""Validation: whether a file can be loaded as what its name says it is."""

from __future__ import annotations

import json
import os

from zoostore.errors import MalformedObject
from zoostore.views.arrays import load_numpy
from zoostore.views.extras import extra

_TEXTS = (".md", ".csv", ".yaml", ".yml", ".txt")
_IMAGES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
}
"""How images of a kind begin."""


def is_loadable(path: str, name: str, *, strict: bool) -> bool:
    """Whether a file can be loaded; True for kinds of files that nothing is known of.

    Args:
        name: what it is called, which says what it should be.
        strict: raise instead of saying False.

    Raises:
        MalformedObject: it cannot, and `strict` was asked for.
        MissingExtra: an optional package is needed to know.
    """
    try:
        _check(path, os.path.splitext(name)[1].lower())
    except MalformedObject:
        if strict:
            raise
        return False
    return True


def _check(path: str, suffix: str) -> None:
    if suffix in (".npz", ".npy"):
        load_numpy(path)
    elif suffix == ".onnx":
        _check_onnx(path)
    elif suffix == ".json" or suffix in _TEXTS:
        _check_text(path, is_json=suffix == ".json")
    elif suffix in _IMAGES:
        with open(path, "rb") as file:
            if not file.read(8).startswith(_IMAGES[suffix]):
                raise MalformedObject(f"{path} is no {suffix[1:]} image.", path=path)


def _check_onnx(path: str) -> None:
    onnx = extra("onnx")
    try:
        # What the graph needs of other files is checked when it is run.
        onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf has errors of its own, and more than one
        raise MalformedObject(f"{path} is no ONNX model: {error}.", path=path) from error


def _check_text(path: str, *, is_json: bool) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            if is_json:
                json.load(file)
            else:
                for _ in file:
                    pass
    except (ValueError, RecursionError) as error:
        kind = "JSON" if is_json else "text"
        raise MalformedObject(f"{path} is no {kind}: {error}.", path=path) from error
