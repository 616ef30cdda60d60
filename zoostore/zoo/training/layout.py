"""Writes a model as a directory in SparseZoo's layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .cards import model_card
from .checking import FLOAT_TOLERANCE, check_onnx
from .data import SPLIT_SEED
from .onnx_export import INPUT_NAME, OUTPUT_NAME, onnx_model
from .quantization import Quantization
from .recipes import original_recipe, transfer_recipe
from .release import Release, Step
from .samples import sample_archives


def model_files(release: Release) -> dict[str, bytes]:
    """Every file of the model: path below its directory, to content.

    Raises ModelMismatch if onnxruntime does not compute what was trained.
    """
    onnx_file = _checked_onnx(release)
    files = {
        "model.onnx": onnx_file,
        "deployment/model.onnx": onnx_file,
        "deployment/config.json": _json(_deployment_config(release)),
        "training/config.json": _json(_training_config(release)),
        "model.md": model_card(release).encode(),
        "recipe/recipe_original.md": original_recipe(release).encode(),
        "recipe/recipe_transfer-classification.md": transfer_recipe(release).encode(),
        **sample_archives(release),
    }
    for name, content in release.checkpoints.items():
        files[f"training/{_checkpoint_file(name)}"] = content
    return files


def write_model(release: Release, root: Path) -> Path:
    """The directory of the model, made below ``root``.

    Raises FileExistsError if it is there already, since its files could be another model's.
    """
    directory = root / release.name.directory
    directory.mkdir(parents=True)
    for path, content in model_files(release).items():
        target = directory / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    return directory


def _checked_onnx(release: Release) -> bytes:
    model = onnx_model(
        release.name.directory,
        release.network,
        release.parameters,
        release.input_shape,
        len(release.dataset.classes),
        release.quantization,
    )
    inputs = release.dataset.test.inputs
    exact = release.network.logits(release.parameters, inputs).values
    # Power-of-two scales leave nothing to round, so the quantized model must match to the bit.
    tolerance = 0.0 if release.quantization else FLOAT_TOLERANCE
    check_onnx(model, inputs.values, exact, tolerance)
    return model


def _deployment_config(release: Release) -> Mapping[str, object]:
    config: dict[str, object] = {
        "model": release.name.stub,
        "precision": release.precision,
        "input": {"name": INPUT_NAME, "dtype": "float32", "shape": ["batch", *release.input_shape]},
        "output": {
            "name": OUTPUT_NAME,
            "dtype": "float32",
            "shape": ["batch", len(release.dataset.classes)],
        },
        "classes": release.dataset.classes,
    }
    if release.dataset.standardization:
        config["standardization"] = asdict(release.dataset.standardization)
    if release.quantization:
        config["quantization"] = _quantization_config(release.quantization)
    return config


def _quantization_config(quantization: Quantization) -> Mapping[str, object]:
    return {
        "input_scales": {name: 2.0**-bits for name, bits in quantization.inputs.items()},
        "weight_scales": {name: 2.0**-bits for name, bits in quantization.weights.items()},
    }


def _training_config(release: Release) -> Mapping[str, object]:
    dataset = release.dataset
    return {
        "model": release.name.stub,
        "parameters": {name: tensor.values.shape for name, tensor in release.parameters.items()},
        "checkpoints": {name: _checkpoint_file(name) for name in release.checkpoints},
        "dataset": {
            "name": dataset.name,
            "train_examples": len(dataset.train),
            "test_examples": len(dataset.test),
            "split_seed": SPLIT_SEED,
        },
        "stages": [_stage_config(step) for step in release.steps],
    }


def _stage_config(step: Step) -> Mapping[str, object]:
    config: dict[str, object] = {"title": step.title, "optimizer": "sgd", **asdict(step.stage)}
    if step.pruning:
        config["pruning"] = asdict(step.pruning)
    config["holds_zeros"] = step.holds_zeros
    config["quantized"] = step.quantized
    return config


def _checkpoint_file(name: str) -> str:
    return f"checkpoint_{name}.safetensors"


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
