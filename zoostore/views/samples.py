"""NumpyDirectory: sample data, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, cast

from zoostore.errors import UsageError
from zoostore.roles import ARCHIVE
from zoostore.views.arrays import Arrays, load_numpy, load_numpy_list, named
from zoostore.views.batches import Batch, DataLoader, Dataset
from zoostore.views.directory import Directory, all_files
from zoostore.views.file import File


class NumpyDirectory(Directory):
    """A folder of `.npz` files, one sample each. Iterating it gives dictionaries of arrays.

    Needs NumPy: `pip install 'zoostore[onnx]'`.
    """

    def __init__(
        self,
        files: Sequence[File] | None = None,
        name: str = "",
        path: str | os.PathLike[str] | None = None,
        url: str | None = None,
        parent_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(name, files, path, url, parent_directory)

    def __iter__(self) -> Iterator[Arrays]:  # type: ignore[override]  # as SparseZoo has it
        """Each sample: its arrays by name, without a batch dimension."""
        for file in self._samples():
            for item in load_numpy_list(file.path):
                yield named(item)

    def dataset(self) -> Dataset:
        """All samples, with a length and an index."""
        return Dataset(self._dataset_name, [file.path for file in self._samples()])

    def loader(
        self, batch_size: int = 1, iter_steps: int = 0, batch_as_list: bool = True
    ) -> DataLoader:
        """The samples in batches, stacked along a new first axis.

        Args:
            batch_size: how many samples each batch has; where they end, they begin anew.
            iter_steps: how many batches; 0: once through the samples; -1: without end.
            batch_as_list: whether a batch is a list of arrays, or a dictionary of them.
        """
        return DataLoader(
            self.dataset(),
            batch_size=batch_size,
            iter_steps=iter_steps,
            batch_as_list=batch_as_list,
        )

    def sample_batch(
        self, batch_index: int = 0, batch_size: int = 1, batch_as_list: bool = True
    ) -> Batch:
        """One batch; see `loader`. Raises `IndexError` if there are not so many."""
        return cast("Batch", self.loader(batch_size, 0, batch_as_list).get_batch(batch_index))

    def validate(  # type: ignore[override]  # as SparseZoo has it
        self, model: Any = None, integration: str | None = None, strict_mode: bool = True
    ) -> bool:
        """Whether every sample can be loaded and, given a model, has the arrays that it takes.

        Args:
            model: an `onnx.ModelProto`; its inputs' names are compared with `sample_inputs`,
                its outputs' with `sample_outputs`.
            integration: taken for SparseZoo's sake.
            strict_mode: raise, instead of saying False.
        """
        if model is not None:
            return self._fits(model, strict=strict_mode)
        return all(file.validate(strict_mode) for file in self.files)

    def _fits(self, model: Any, *, strict: bool) -> bool:
        kind = self._dataset_name.replace("-", "_")
        values = model.graph.output if kind.startswith("sample_outputs") else model.graph.input
        expected = [value.name for value in values]
        for file in self._samples():
            item = named(load_numpy(file.path))
            if list(item) == expected:
                continue
            if strict:
                raise UsageError(
                    f"{file.name} has the arrays {list(item)}, and the model takes or gives "
                    f"{expected}."
                )
            return False
        return True

    def _samples(self) -> Iterator[File]:
        """The samples' files, wherever in the folder they are."""
        return (file for _, file in all_files(self))

    @property
    def _dataset_name(self) -> str:
        return self.name.removesuffix(ARCHIVE)
