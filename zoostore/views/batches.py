"""Batches: items as datasets, and datasets in batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from zoostore.errors import UsageError
from zoostore.views.arrays import Arrays, DataSource, Item, load_numpy_list, named
from zoostore.views.extras import extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

# In quotes, because NumPy is an extra and may be missing.
Batch: TypeAlias = "list[NDArray[Any]] | Arrays"


class Dataset:
    """Items in memory, under a name.

    Args:
        name: what a loader of several datasets calls this one.
        data: what `load_numpy_list` takes.

    Raises:
        ZooError: what `load_numpy_list` raises.
    """

    def __init__(self, name: str, data: DataSource) -> None:
        self._name = name
        self._data = load_numpy_list(data)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Item:
        return self._data[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._data)

    @property
    def name(self) -> str:
        """What the dataset is called."""
        return self._name

    @property
    def data(self) -> list[Item]:
        """The items themselves, not a copy."""
        return self._data


class DataLoader:
    """Batches of one or more datasets of the same length.

    Every batch has exactly `batch_size` items, as models of a fixed batch size need: where
    the data ends, a batch goes on with the first item. Each array of a batch is the items'
    arrays along a new first axis. A batch of one dataset is a dict by the arrays' names; one
    of several datasets is a dict of such batches by the datasets' names.

    Each iteration starts with the first item, and iterations do not disturb each other.

    Args:
        batch_size: how many items a batch has; at least 1.
        iter_steps: how many batches an iteration has: 0 for as many as hold all the data,
            -1 for no end.
        batch_as_list: whether a batch of a dataset is a list of arrays instead of a dict.

    Raises:
        UsageError: there is no dataset, or an empty one, or two of one name or of different
            lengths; or a number is out of its range.
    """

    def __init__(
        self,
        *datasets: Dataset,
        batch_size: int,
        iter_steps: int = 0,
        batch_as_list: bool = False,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"A batch has at least 1 item, not {batch_size}.")
        if iter_steps < -1:
            raise UsageError(
                f"The steps are -1 (no end), 0 (once through the data) or more, not {iter_steps}."
            )
        _require_alike(datasets)
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._batch_size = batch_size
        self._iter_steps = iter_steps
        self._batch_as_list = batch_as_list
        self._num_items = len(datasets[0])

    def __len__(self) -> int:
        """How many batches an iteration has; 0 if it has no end."""
        if self.infinite:
            return 0
        return self._iter_steps or -(-self._num_items // self._batch_size)

    def __iter__(self) -> Iterator[Batch | dict[str, Batch]]:
        """The batches.

        Raises:
            UsageError: items of a batch differ in their names or shapes.
        """
        steps = itertools.count() if self.infinite else range(len(self))
        return (self._batch(step) for step in steps)

    def get_batch(self, batch_index: int) -> Batch | dict[str, Batch]:
        """The batch that an iteration gives at this place, counted from 0.

        Raises:
            IndexError: an iteration has no such batch.
            UsageError: items of the batch differ in their names or shapes.
        """
        if batch_index < 0 or (not self.infinite and batch_index >= len(self)):
            count = "no end of" if self.infinite else str(len(self))
            raise IndexError(f"There is no batch {batch_index}; the loader has {count} batches.")
        return self._batch(batch_index)

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The datasets by their names."""
        return self._datasets

    @property
    def batch_size(self) -> int:
        """How many items a batch has."""
        return self._batch_size

    @property
    def iter_steps(self) -> int:
        """How many batches were asked for: 0 for once through the data, -1 for no end."""
        return self._iter_steps

    @property
    def infinite(self) -> bool:
        """Whether an iteration has no end."""
        return self._iter_steps == -1

    @property
    def batch_as_list(self) -> bool:
        """Whether a batch of a dataset is a list of arrays."""
        return self._batch_as_list

    @property
    def num_items(self) -> int:
        """How many items each dataset has."""
        return self._num_items

    def _batch(self, step: int) -> Batch | dict[str, Batch]:
        start = step * self._batch_size
        places = [(start + offset) % self._num_items for offset in range(self._batch_size)]
        batches = {name: self._stack(dataset, places) for name, dataset in self._datasets.items()}
        if len(batches) > 1:
            return batches
        (batch,) = batches.values()
        return batch

    def _stack(self, dataset: Dataset, places: Sequence[int]) -> Batch:
        items = [named(dataset[place]) for place in places]
        for place, item in zip(places, items, strict=True):
            _require_fit(dataset.name, (places[0], items[0]), (place, item))
        stack = extra("numpy").stack
        batch = {name: stack([item[name] for item in items]) for name in items[0]}
        return list(batch.values()) if self._batch_as_list else batch


def _require_alike(datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise UsageError("A loader needs at least one dataset.")
    names: set[str] = set()
    for dataset in datasets:
        if not len(dataset):
            raise UsageError(f"Dataset {dataset.name!r} has no items.", dataset=dataset.name)
        if len(dataset) != len(datasets[0]):
            raise UsageError(
                f"Dataset {dataset.name!r} has {len(dataset)} items, but "
                f"{datasets[0].name!r} has {len(datasets[0])}.",
                dataset=dataset.name,
            )
        if dataset.name in names:
            raise UsageError(f"Two datasets are called {dataset.name!r}.", dataset=dataset.name)
        names.add(dataset.name)


def _require_fit(dataset: str, first: tuple[int, Arrays], other: tuple[int, Arrays]) -> None:
    """Raise UsageError unless an item can be stacked onto the first of its batch."""
    (first_place, expected), (place, item) = first, other
    what = f"Item {place} of dataset {dataset!r} does not fit item {first_place}"
    for name in [*expected, *item]:
        if name not in item or name not in expected:
            without = place if name not in item else first_place
            raise UsageError(
                f"{what}: item {without} has no array {name!r}.", item=place, array=name
            )
        shape, came = expected[name].shape, item[name].shape
        if came != shape:
            raise UsageError(
                f"{what}: array {name!r} has shape {came}, expected {shape}.",
                item=place,
                array=name,
            )
