"""The models of the built-in zoo: what they are and how each is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .checkpoints import safetensors
from .data import Dataset, load_breast_cancer, load_digits
from .layout import write_model
from .network import (
    Conv3x3,
    Dense,
    FixedParameters,
    Flatten,
    MaxPool2,
    Network,
    Parameters,
    Relu,
    initial_parameters,
)
from .pruning import Pruning, gradual, holding
from .quantization import calibrate, rounding, with_rounding
from .release import LICENSE, ModelName, Release, Step
from .trainer import Stage, released, train

MLP = Network((Flatten(), Dense("fc1", 64, 512), Relu(), Dense("fc2", 512, 10)))
CONVNET = Network(
    (
        Conv3x3("conv1", 1, 16),
        Relu(),
        MaxPool2(),
        Conv3x3("conv2", 16, 32),
        Relu(),
        MaxPool2(),
        Flatten(),
        Dense("fc", 128, 10),
    )
)
TABULAR_MLP = Network((Dense("fc1", 30, 32), Relu(), Dense("fc2", 32, 2)))

PRUNING = Pruning(initial=0.3, final=0.8, last_epoch=20)

MLP_TRAINING = Step("training from random weights", Stage(40, 0.1, 0.001, seed=2))
MLP_PRUNING = Step(
    "gradual magnitude pruning",
    Stage(30, 0.05, 0.001, seed=3),
    pruning=PRUNING,
)
MLP_QUANTIZATION = Step(
    "quantization-aware training",
    Stage(10, 0.02, 0.001, seed=4),
    holds_zeros=True,
    quantized=True,
)
CONVNET_TRAINING = Step("training from random weights", Stage(20, 0.05, 0.001, seed=6))
TABULAR_TRAINING = Step("training from random weights", Stage(40, 0.02, 0.01, seed=8))


@dataclass(frozen=True)
class BuiltModel:
    """A model directory, and what a store should record with it."""

    stub: str
    directory: Path
    message: str
    metadata: dict[str, str]


def build_models(root: Path) -> list[BuiltModel]:
    """Trains all models and writes each to a directory of its own below ``root``.

    The same code gives the same bytes on every machine. Raises FileExistsError if one of the
    directories exists, and ModelMismatch if an exported model does not compute what was trained.
    """
    digits = load_digits()
    releases = [*_digits_mlps(digits), _digits_convnet(digits), _tabular_mlp(load_breast_cancer())]
    return [_built(release, root) for release in releases]


def _built(release: Release, root: Path) -> BuiltModel:
    metadata = {
        "license": LICENSE,
        "task": f"{release.name.domain} {release.name.sub_domain}",
        "precision": release.precision,
        "parameters": str(release.size),
        "weight_sparsity": f"{release.sparsity:.4f}",
        "test_accuracy": f"{release.accuracy:.4f}",
        "test_correct": str(release.test_correct),
        "test_examples": str(len(release.dataset.test)),
    }
    directory = write_model(release, root)
    return BuiltModel(release.name.stub, directory, release.message, metadata)


def _digits_mlps(digits: Dataset) -> list[Release]:
    """The dense network, what pruning makes of it, and what quantization makes of that."""
    dense = _dense_mlp(digits)
    pruned = _pruned_mlp(dense)
    return [dense, pruned, _quantized_mlp(pruned)]


def _dense_mlp(digits: Dataset) -> Release:
    weights = train(MLP, initial_parameters(MLP, seed=1), digits.train, MLP_TRAINING.stage)
    parameters = released(weights)
    return Release(
        name=_cv_name("mlp", "512", "base-none"),
        title="Digits, dense network",
        message="A network with one hidden layer of 512 units that reads handwritten digits.",
        dataset=digits,
        network=MLP,
        parameters=parameters,
        steps=(MLP_TRAINING,),
        checkpoints={"prepruning": safetensors(parameters)},
    )


def _pruned_mlp(dense: Release) -> Release:
    start, masks = _trainable(dense.parameters), gradual(PRUNING)
    weights = train(MLP, start, dense.dataset.train, MLP_PRUNING.stage, masks)
    parameters = released(weights)
    return replace(
        dense,
        name=replace(dense.name, sparse_tag="pruned80-none"),
        title="Digits, pruned network",
        message="The dense digits network with 80% of its weights pruned away.",
        parameters=parameters,
        steps=(*dense.steps, MLP_PRUNING),
        checkpoints={**dense.checkpoints, "postpruning": safetensors(parameters)},
    )


def _quantized_mlp(pruned: Release) -> Release:
    examples = pruned.dataset.train
    quantization = calibrate(MLP, pruned.parameters, examples.inputs)
    network, rounded = with_rounding(MLP, quantization), rounding(quantization)
    start, masks = _trainable(pruned.parameters), holding(pruned.parameters)
    weights = train(network, start, examples, MLP_QUANTIZATION.stage, masks, rounded)
    # The exported integers are made from the checkpoint, so that it alone is enough to redo them.
    checkpoint = released(weights)
    states = {
        "preqat": pruned.checkpoints["postpruning"],
        "postqat": safetensors(checkpoint),
    }
    return replace(
        pruned,
        name=replace(pruned.name, sparse_tag="pruned80_quant-none"),
        title="Digits, pruned and quantized network",
        message="The pruned digits network with 8-bit weights and activations.",
        network=network,
        parameters=rounded(_trainable(checkpoint)),
        steps=(*pruned.steps, MLP_QUANTIZATION),
        checkpoints={**pruned.checkpoints, **states},
        quantization=quantization,
    )


def _digits_convnet(digits: Dataset) -> Release:
    start = initial_parameters(CONVNET, seed=5)
    parameters = released(train(CONVNET, start, digits.train, CONVNET_TRAINING.stage))
    return Release(
        name=_cv_name("convnet", "16", "base-none"),
        title="Digits, convolutional network",
        message="A network with two convolution layers that reads handwritten digits.",
        dataset=digits,
        network=CONVNET,
        parameters=parameters,
        steps=(CONVNET_TRAINING,),
        checkpoints={"prepruning": safetensors(parameters)},
    )


def _tabular_mlp(tumours: Dataset) -> Release:
    start = initial_parameters(TABULAR_MLP, seed=7)
    parameters = released(train(TABULAR_MLP, start, tumours.train, TABULAR_TRAINING.stage))
    return Release(
        name=ModelName(
            domain="tabular",
            sub_domain="classification",
            architecture="mlp",
            sub_architecture="32",
            framework="numpy",
            repo="zoostore",
            dataset=tumours.name,
            sparse_tag="base-none",
        ),
        title="Breast cancer measurements, dense network",
        message="A network with one hidden layer of 32 units that classifies tumours.",
        dataset=tumours,
        network=TABULAR_MLP,
        parameters=parameters,
        steps=(TABULAR_TRAINING,),
        checkpoints={"prepruning": safetensors(parameters)},
    )


def _cv_name(architecture: str, size: str, sparse_tag: str) -> ModelName:
    return ModelName(
        domain="cv",
        sub_domain="classification",
        architecture=architecture,
        sub_architecture=size,
        framework="numpy",
        repo="zoostore",
        dataset="digits",
        sparse_tag=sparse_tag,
    )


def _trainable(parameters: FixedParameters) -> Parameters:
    return {name: tensor.values for name, tensor in parameters.items()}
