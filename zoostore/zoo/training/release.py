"""A trained model together with everything its files are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .data import Dataset
from .network import FixedParameters, Network
from .pruning import Pruning, zeros
from .quantization import Quantization
from .trainer import Stage, correct

LICENSE = "apache-2.0"


@dataclass(frozen=True)
class ModelName:
    """The parts of a zoo stub."""

    domain: str
    sub_domain: str
    architecture: str
    sub_architecture: str
    framework: str
    repo: str
    dataset: str
    sparse_tag: str

    @property
    def stub(self) -> str:
        """``zoo:domain/sub_domain/architecture-sub_architecture/framework/repo/dataset/tag``."""
        network = f"{self.architecture}-{self.sub_architecture}"
        parts = (self.domain, self.sub_domain, network, self.framework, self.repo, self.dataset)
        return f"zoo:{'/'.join(parts)}/{self.sparse_tag}"

    @property
    def directory(self) -> str:
        """The name of the model's directory, such as ``mlp-512-digits-base-none``."""
        return f"{self.architecture}-{self.sub_architecture}-{self.dataset}-{self.sparse_tag}"


@dataclass(frozen=True)
class Step:
    """A stage of training as it was done, in the words the model's files use for it.

    ``holds_zeros``: weights that were zero at its start stayed zero. ``quantized``: it computed
    with rounded weights and activations.
    """

    title: str
    stage: Stage
    pruning: Pruning | None = None
    holds_zeros: bool = False
    quantized: bool = False


@dataclass(frozen=True)
class Release:
    """A finished model.

    ``steps`` go back to random weights. ``checkpoints`` map SparseZoo's names for states of
    training (``prepruning``, ``postqat``, …) to files in the safetensors format. ``parameters``
    are what ``network`` computes with, already rounded to the stored integers if there is a
    ``quantization``.
    """

    name: ModelName
    title: str
    message: str
    dataset: Dataset
    network: Network
    parameters: FixedParameters
    steps: tuple[Step, ...]
    checkpoints: Mapping[str, bytes]
    quantization: Quantization | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        return self.dataset.test.inputs.values.shape[1:]

    @property
    def precision(self) -> str:
        """The type the weights are stored in."""
        return "int8" if self.quantization else "float32"

    @property
    def pruned(self) -> bool:
        """Whether weights were set to zero on purpose."""
        return any(step.pruning for step in self.steps)

    @property
    def size(self) -> int:
        """How many parameters there are, biases included."""
        return sum(np.size(tensor.values) for tensor in self.parameters.values())

    @cached_property
    def zero_weights(self) -> tuple[int, int]:
        """(zero weights, all weights), without biases."""
        return zeros(self.parameters)

    @cached_property
    def train_correct(self) -> int:
        """Training examples classified correctly."""
        return correct(self.network, self.parameters, self.dataset.train)

    @cached_property
    def test_correct(self) -> int:
        """Test examples classified correctly."""
        return correct(self.network, self.parameters, self.dataset.test)

    @property
    def sparsity(self) -> float:
        """The share of weights that are zero, 0 to 1."""
        zero, weights = self.zero_weights
        return zero / weights

    @property
    def accuracy(self) -> float:
        """The share of test examples classified correctly, 0 to 1."""
        return self.test_correct / len(self.dataset.test)
