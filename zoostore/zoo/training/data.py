"""The datasets the built-in models are trained and tested on, and their fixed splits.

Both come with scikit-learn, so nothing is downloaded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn import datasets

from .fixed import Array, Fixed, snap

Labels: TypeAlias = npt.NDArray[np.int64]

SPLIT_SEED = 1797
TEST_FRACTION = 0.25
PIXEL_BITS = 4
FEATURE_BITS = 8


@dataclass(frozen=True)
class Examples:
    """``inputs`` of shape (n, ...) as the model takes them, ``labels`` of shape (n,)."""

    inputs: Fixed
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Examples:
        """The examples at ``rows``, in that order."""
        return Examples(Fixed(self.inputs.values[rows], self.inputs.bits), self.labels[rows])


@dataclass(frozen=True)
class Standardization:
    """Per feature, in the feature's own unit: a model input is ``(value - mean) / scale``."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class Dataset:
    """A dataset split once and for all into ``train`` and ``test``."""

    name: str
    title: str
    classes: tuple[str, ...]
    train: Examples
    test: Examples
    standardization: Standardization | None = None


def load_digits() -> Dataset:
    """1797 grey images of handwritten digits; inputs of shape (n, 1, 8, 8), ink 0 to 1."""
    bunch = datasets.load_digits()
    # Pixels are whole numbers from 0 to 16, so dividing by 16 is exact.
    inputs = Fixed(bunch.images[:, None, :, :] / 16.0, PIXEL_BITS)
    everything = Examples(inputs, bunch.target.astype(np.int64))
    train, test = _split(everything.labels)
    return Dataset(
        name="digits",
        title="the UCI handwritten digits that come with scikit-learn",
        classes=tuple(str(digit) for digit in range(10)),
        train=everything.take(train),
        test=everything.take(test),
    )


def load_breast_cancer() -> Dataset:
    """569 tumours described by 30 measurements; inputs of shape (n, 30), standardized."""
    bunch = datasets.load_breast_cancer()
    labels = bunch.target.astype(np.int64)
    train, test = _split(labels)
    names = tuple(str(name) for name in bunch.feature_names)
    standardization = _standardization(names, bunch.data[train])
    everything = Examples(_standardize(bunch.data, standardization), labels)
    return Dataset(
        name="breast_cancer",
        title="the Wisconsin diagnostic breast cancer data that come with scikit-learn",
        classes=tuple(str(name) for name in bunch.target_names),
        train=everything.take(train),
        test=everything.take(test),
        standardization=standardization,
    )


def one_of_each(examples: Examples, count: int) -> npt.NDArray[np.int64]:
    """Row numbers of ``count`` examples, taking the classes in turn, first come first taken."""
    waiting = [list(np.flatnonzero(examples.labels == label)) for label in _classes(examples)]
    rows = [waiting[turn % len(waiting)].pop(0) for turn in range(count)]
    return np.array(rows, dtype=np.int64)


def _classes(examples: Examples) -> range:
    return range(int(examples.labels.max()) + 1)


def _split(labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row numbers of the training and the test examples."""
    # RandomState rather than default_rng: numpy promises that its streams never change (NEP 19).
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels)).astype(np.int64)
    tests = round(len(labels) * TEST_FRACTION)
    return order[tests:], order[:tests]


def _standardization(names: tuple[str, ...], values: Array) -> Standardization:
    """Six digits are plenty, and can be written down in a config file as they are."""
    # fsum is correctly rounded; np.mean depends on how the CPU groups the additions.
    means = [math.fsum(column) / len(column) for column in values.T]
    variances = [
        math.fsum((value - mean) ** 2 for value in column) / len(column)
        for column, mean in zip(values.T.tolist(), means, strict=True)
    ]
    return Standardization(
        features=names,
        mean=tuple(_six_digits(mean) for mean in means),
        scale=tuple(_six_digits(math.sqrt(variance)) for variance in variances),
    )


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _standardize(values: Array, by: Standardization) -> Fixed:
    return snap((values - np.array(by.mean)) / np.array(by.scale), FEATURE_BITS)
