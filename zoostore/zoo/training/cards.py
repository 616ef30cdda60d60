"""Model cards: YAML front matter that programs read, then text that people read."""

from __future__ import annotations

from .onnx_export import INPUT_NAME, OUTPUT_NAME
from .release import LICENSE, Release
from .samples import OUTPUT_BITS, SAMPLES

CHECKPOINT_TEXTS = {
    "prepruning": "the dense network, as trained from random weights",
    "postpruning": "the pruned network in float32",
    "preqat": "the same file again, as the state that quantization-aware training starts from",
    "postqat": "the float32 weights after quantization-aware training, not yet rounded to int8",
}
DATASET_TEXTS = {
    "digits": (
        "Images are 8 by 8 pixels, grey values from 0 (paper) to 16 (ink); the model takes them "
        "divided by 16. The data were published by the UCI Machine Learning Repository under "
        "CC BY 4.0 (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits)."
    ),
    "breast_cancer": (
        "Each tumour is described by 30 measurements of cell nuclei. The model takes them "
        "standardized, `(value - mean) / scale`; the means and scales are in "
        "`deployment/config.json`. The data were published by the UCI Machine Learning Repository "
        "under CC BY 4.0 (Wolberg, Mangasarian, Street and Street, Breast Cancer Wisconsin)."
    ),
}
CLASS_TEXTS = {
    "digits": "the digits 0 to 9",
    "breast_cancer": "malignant, benign",
}
LIMIT_TEXTS = {
    "digits": (
        "The training and the test images come from the same writers, so the accuracy on other "
        "handwriting will be lower. Images must be prepared like those of the dataset."
    ),
    "breast_cancer": (
        "This is an exercise on a small historical dataset. It is not a medical device and must "
        "not be used to judge anybody's health."
    ),
}


def model_card(release: Release) -> str:
    """The text of model.md."""
    sections = [
        f"# {release.title}",
        _what(release),
        "It is one of the small models that zoostore carries so that every command can be tried "
        "without a network connection. It is really trained and really measured.",
        "## Input and output",
        _interface(release),
        "## Accuracy",
        _accuracy(release),
        "## How it was made",
        _making(release),
        "## Files",
        _files(release),
        "## Limits",
        LIMIT_TEXTS[release.dataset.name],
    ]
    return "\n\n".join([_front_matter(release), *sections]) + "\n"


def _front_matter(release: Release) -> str:
    name = release.name
    tags = [name.domain, name.sub_domain, name.dataset, release.precision, *_kinds(release)]
    lines = [
        "---",
        f"name: {name.directory}",
        f"stub: {name.stub}",
        f"domain: {name.domain}",
        f"sub_domain: {name.sub_domain}",
        f"architecture: {name.architecture}",
        f'sub_architecture: "{name.sub_architecture}"',
        f"framework: {name.framework}",
        f"repo: {name.repo}",
        f"dataset: {name.dataset}",
        f"sparse_tag: {name.sparse_tag}",
        f"license: {LICENSE}",
        "tags:",
        *(f"  - {tag}" for tag in tags),
        "metrics:",
        f"  test_accuracy: {release.accuracy:.4f}",
        f"  test_correct: {release.test_correct}",
        f"  test_examples: {len(release.dataset.test)}",
        f"  weight_sparsity: {release.sparsity:.4f}",
        f"  parameters: {release.size}",
        "---",
    ]
    return "\n".join(lines)


def _kinds(release: Release) -> list[str]:
    kinds = ["pruned"] if release.pruned else ["dense"]
    return [*kinds, "quantized"] if release.quantization else kinds


def _what(release: Release) -> str:
    zero, weights = release.zero_weights
    text = f"{release.message} It has {release.size} parameters, stored as {release.precision}."
    return f"{text} {zero} of its {weights} weights are zero." if release.pruned else text


def _interface(release: Release) -> str:
    shape = ", ".join(str(size) for size in release.input_shape)
    classes = len(release.dataset.classes)
    return "\n".join(
        [
            f"- `{INPUT_NAME}`: float32 of shape (batch, {shape}). "
            f"{DATASET_TEXTS[release.dataset.name]}",
            f"- `{OUTPUT_NAME}`: float32 of shape (batch, {classes}), one logit per class, in the "
            f"order {CLASS_TEXTS[release.dataset.name]}. The largest one is the answer.",
        ]
    )


def _accuracy(release: Release) -> str:
    test, train = len(release.dataset.test), len(release.dataset.train)
    remembered = release.train_correct / train
    return "\n".join(
        [
            "| examples | correct | of | accuracy |",
            "|---|---|---|---|",
            f"| test | {release.test_correct} | {test} | {release.accuracy:.2%} |",
            f"| training | {release.train_correct} | {train} | {remembered:.2%} |",
            "",
            f"Measured on {release.dataset.title}. A quarter of the examples, drawn once at "
            f"random, was set aside for the test and never trained on.",
        ]
    )


def _making(release: Release) -> str:
    steps = [
        f"{number}. {step.title[0].upper()}{step.title[1:]}, {step.stage.epochs} epochs."
        for number, step in enumerate(release.steps, start=1)
    ]
    details = (
        "Details are in `recipe/recipe_original.md` and `training/config.json`. Training uses only "
        "arithmetic that gives the same bits on every machine, so that building the model again "
        "gives the same files."
    )
    if release.quantization:
        details += (
            " The scales of weights and activations are powers of two, so that no step of the "
            "quantized model depends on how a CPU rounds."
        )
    return "\n".join([*steps, "", details])


def _files(release: Release) -> str:
    checkpoints = [
        f"- `training/checkpoint_{name}.safetensors`: {CHECKPOINT_TEXTS[name]}"
        for name in release.checkpoints
    ]
    return "\n".join(
        [
            "- `model.onnx`, and the same file in `deployment/`: the model for onnxruntime",
            *checkpoints,
            f"- `sample_inputs.tar.gz`, `sample_labels.tar.gz`: {SAMPLES} test examples",
            f"- `sample_outputs.tar.gz`: the logits for them{_rounding(release)}",
            "- `recipe/`: how the model was made, and how to fine-tune it on other data",
        ]
    )


def _rounding(release: Release) -> str:
    if release.quantization:
        return ", exact to the last bit"
    return (
        f", computed exactly and rounded to multiples of 2**-{OUTPUT_BITS}; what onnxruntime gives "
        f"may differ by about 1e-5, depending on the CPU"
    )
