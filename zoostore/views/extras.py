"""Extras: packages that the store does without and some views need, imported when used."""

from __future__ import annotations

import importlib
from typing import Any

from zoostore.errors import MissingExtra

_MAX_SAID = 500


def extra(module: str) -> Any:
    """A module of a package that comes with `zoostore[onnx]`, by its dotted name.

    Raises:
        MissingExtra: it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} is needed for this and is not installed: pip install 'zoostore[onnx]'.",
            module=module,
            extra="onnx",
        ) from error


def said(error: Exception) -> str:
    """What an error of such a package says, on one line of bounded length, without a full stop.

    NumPy quotes whole headers of files, onnxruntime writes several lines.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= _MAX_SAID else f"{text[:_MAX_SAID]}…").rstrip(".")
