"""Recipes in the form SparseML made common: YAML front matter that lists modifiers, then text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from .quantization import ACTIVATION_LIMIT, WEIGHT_LIMIT
from .release import Release, Step
from .trainer import WEIGHT_BITS

Settings: TypeAlias = Mapping[str, str | float | bool | list[str]]

MODIFIER_GROUPS = ("training_modifiers", "pruning_modifiers", "quantization_modifiers")


@dataclass(frozen=True)
class _Modifier:
    group: str
    name: str
    settings: Settings


def original_recipe(release: Release) -> str:
    """How the model came to be: from random weights if it is dense, else from the dense model."""
    steps = release.steps if len(release.steps) == 1 else release.steps[1:]
    if len(release.steps) == 1:
        start = "It starts from random weights; no pruning and no quantization take place."
    else:
        start = (
            "It starts from the dense model, which is in this model's own training folder as "
            "`checkpoint_prepruning.safetensors`."
        )
    text = f"""# {release.title}: how it was made

This is what was done to make this model, in the vocabulary of SparseML recipes. {start}

{_described(steps)}

{_conventions(release)}
"""
    return _front_matter(release, steps) + text


def transfer_recipe(release: Release) -> str:
    """How to go on from the model with other data, keeping what makes it small."""
    last = release.steps[-1]
    kept = replace(last, pruning=None, holds_zeros=release.pruned)
    checkpoint = _transfer_checkpoint(release)
    text = f"""# {release.title}: fine-tuning it on other data

A starting point for classifying something else of the same input shape. This recipe was not used \
to make the model; its settings are those of the last stage that was ({last.title}){_kept(kept)}.

1. Load `checkpoint_{checkpoint}.safetensors` from the training folder.
2. Replace the last layer (`{_layers(release)[-1]}`) if the number of classes differs.
3. Train as the front matter says, and expect to adjust the learning rate and the epochs.
"""
    return _front_matter(release, (kept,)) + text


def _transfer_checkpoint(release: Release) -> str:
    """Before quantization if there was one, since that is where training starts again."""
    return "preqat" if release.quantization else list(release.checkpoints)[-1]


def _kept(step: Step) -> str:
    if step.quantized:
        return ", with the zeros held where they are and quantization on from the start"
    if step.holds_zeros:
        return ", with the zeros held where they are instead of being chosen anew"
    return ""


def _described(steps: tuple[Step, ...]) -> str:
    lines = []
    for number, step in enumerate(steps, start=1):
        stage = step.stage
        lines.append(
            f"{number}. {step.title[0].upper()}{step.title[1:]}: {stage.epochs} epochs in batches "
            f"of {stage.batch_size}, learning rate from {stage.learning_rate} in a straight line "
            f"to 0, momentum {stage.momentum}.{_pruning_text(step)}{_quantization_text(step)}"
        )
    return "\n".join(lines)


def _pruning_text(step: Step) -> str:
    if step.pruning:
        return (
            f" The smallest weights of each layer are set to zero, {step.pruning.initial:.0%} of "
            f"them in the first epoch and {step.pruning.final:.0%} from epoch "
            f"{step.pruning.last_epoch} on; the epochs after that only tune the others."
        )
    return " Zeros stay zero." if step.holds_zeros else ""


def _quantization_text(step: Step) -> str:
    if not step.quantized:
        return ""
    return (
        " Weights and activations are rounded as in the exported model; scales are powers of two, "
        "fixed beforehand from the weights and from the training examples."
    )


def _conventions(release: Release) -> str:
    decay = "Weight decay applies to weights, not to biases."
    if release.quantization:
        return (
            f"{decay} Weights use the integers from -{WEIGHT_LIMIT} to {WEIGHT_LIMIT}, activations "
            f"those from 0 to {ACTIVATION_LIMIT}."
        )
    return f"{decay} The released weights are rounded to multiples of 2**-{WEIGHT_BITS}."


def _front_matter(release: Release, steps: tuple[Step, ...]) -> str:
    modifiers = _modifiers(release, steps)
    lines = ["---"]
    for group in MODIFIER_GROUPS:
        members = [modifier for modifier in modifiers if modifier.group == group]
        if members:
            lines.append(f"{group}:")
            lines += [line for member in members for line in _yaml(member)]
    return "\n".join([*lines, "---", "", ""])


def _modifiers(release: Release, steps: tuple[Step, ...]) -> list[_Modifier]:
    end = float(sum(step.stage.epochs for step in steps))
    every = _Modifier(
        "training_modifiers", "EpochRangeModifier", {"start_epoch": 0.0, "end_epoch": end}
    )
    found = [every]
    start = 0.0
    for step in steps:
        found += [
            *_learning(step, start),
            *_zeroing(release, step, start),
            *_rounding(release, step, start),
        ]
        start += step.stage.epochs
    return found


def _learning(step: Step, start: float) -> list[_Modifier]:
    rate: Settings = {
        "start_epoch": start,
        "end_epoch": start + step.stage.epochs,
        "lr_func": "linear",
        "init_lr": step.stage.learning_rate,
        "final_lr": 0.0,
    }
    decay = {"start_epoch": start, "weight_decay": step.stage.weight_decay}
    return [
        _Modifier("training_modifiers", "LearningRateFunctionModifier", rate),
        _Modifier("training_modifiers", "SetWeightDecayModifier", decay),
    ]


def _zeroing(release: Release, step: Step, start: float) -> list[_Modifier]:
    weights = [f"{layer}.weight" for layer in _layers(release)]
    end = start + step.stage.epochs
    if step.pruning:
        gradual: Settings = {
            "params": weights,
            "init_sparsity": step.pruning.initial,
            "final_sparsity": step.pruning.final,
            "start_epoch": start,
            "end_epoch": start + step.pruning.last_epoch,
            "update_frequency": 1.0,
            "inter_func": "cubic",
            "mask_type": "unstructured",
            "leave_enabled": True,
        }
        return [_Modifier("pruning_modifiers", "GMPruningModifier", gradual)]
    if step.holds_zeros:
        settings: Settings = {"params": weights, "start_epoch": start, "end_epoch": end}
        return [_Modifier("pruning_modifiers", "ConstantPruningModifier", settings)]
    return []


def _rounding(release: Release, step: Step, start: float) -> list[_Modifier]:
    if not step.quantized:
        return []
    settings: Settings = {
        "start_epoch": start,
        "submodules": _layers(release),
        "disable_quantization_observer_epoch": start,
    }
    return [_Modifier("quantization_modifiers", "QuantizationModifier", settings)]


def _layers(release: Release) -> list[str]:
    return [name.removesuffix(".weight") for name in release.parameters if name.endswith("weight")]


def _yaml(modifier: _Modifier) -> list[str]:
    lines = [f"  - !{modifier.name}"]
    for key, value in modifier.settings.items():
        text = f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
        lines.append(f"    {key}: {text}")
    return lines
