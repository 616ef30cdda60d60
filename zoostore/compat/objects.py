"""`sparsezoo.objects`: files and directories."""

from __future__ import annotations

from zoostore.views.directory import Directory, is_directory
from zoostore.views.file import File
from zoostore.views.samples import NumpyDirectory
from zoostore.views.select import Recipes, SelectDirectory

__all__ = ["Directory", "File", "NumpyDirectory", "Recipes", "SelectDirectory", "is_directory"]
