"""What a folder of another tool is found to hold. Nothing of it is trusted, or changed."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from zoostore.digest import Digest
from zoostore.files.stamp import Stamp

FOLDER = "folder"
"""The kind of a folder that is no tool's cache."""


class CachedFile(NamedTuple):
    """A file of a model, as it was found.

    Attributes:
        at: where its bytes are: a regular file within the cache, links followed.
        stamp: of that file.
        digests: what its content must have, by its name or by a listing.
        is_executable: whether the model has it as a program.
        may_recur: whether other paths or models may have the same bytes: there are links to them.
    """

    at: str
    stamp: Stamp
    digests: tuple[Digest, ...] = ()
    is_executable: bool = False
    may_recur: bool = True

    @property
    def place(self) -> Path:
        """The same as `at`."""
        return Path(self.at)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stamp.size


class CachedModel(NamedTuple):
    """A state of a model that a cache has.

    Attributes:
        stub: what the model is called, in full.
        revision: the state's own name, which never means another; empty if it has none.
        files: by path within the model, those of one folder one after the other; each path can
            stand in a snapshot beside the others. Of very many, they are found anew for each pass.
        left_out: how many files of the state the cache does not have; None if that is not known.
        is_current: whether the cache takes the model's name to mean this state.
        names: what else the cache calls this state: branches and tags.
    """

    stub: str
    revision: str
    files: Mapping[str, CachedFile]
    left_out: int | None = 0
    is_current: bool = True
    names: tuple[str, ...] = ()


class Cache(NamedTuple):
    """A folder that was read as what it is.

    Attributes:
        kind: `huggingface`, `sparsezoo`, `ollama` or `folder`.
        root: the folder that was taken for it; within or above the one that was named.
        models: in the order of stubs; of one stub, the current state first.
        problems: what was passed over, and why: a sentence for each, by path.
    """

    kind: str
    root: Path
    models: tuple[CachedModel, ...]
    problems: Mapping[str, str] = MappingProxyType({})
