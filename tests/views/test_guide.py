"""The code of SparseZoo's guide runs, one block after the other, and prints what the guide prints.

`guide_blocks.md` has the blocks as they stand in the guide. In a block, lines that begin with
`>> ` are what the code above them prints; an expression without `print` is shown as a prompt
would show it. All blocks are one session, for those in the middle use the `model` of earlier
ones. Only the import changes, and, where the built-in zoo is used, the stubs.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tarfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Files, LayOut, Serve, Web

BLOCKS_IN_THE_GUIDE = 13

RESNET = "zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/pruned95_quant-none"
BERT = (
    "zoo:nlp/question_answering/bert-base/pytorch/huggingface/squad/"
    "pruned_quant_3layers-aggressive_84"
)
YOLACTS = [
    f"zoo:cv/segmentation/yolact-darknet53/pytorch/dbolya/coco/{tag}-none"
    for tag in ("base", "pruned82_quant", "pruned90")
]
DIGITS = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/pruned80_quant-none"

PLACEHOLDER = '"..."'
"""What the guide writes for a folder of the reader's own."""

LIST_FILES = "[print(file.name) for file in preqat_checkpoint.files]"
LIST_MODELS = "[print(model) for model in models]"
LIST_CHECKPOINTS = "print(available_checkpoints)"

ANY_ORDER = (LIST_FILES, LIST_MODELS)
"""Where the guide's order is that of a database: zoostore sorts by name."""

PRINTED_OF_DIGITS: Mapping[str, str] = {
    LIST_CHECKPOINTS: "['prepruning', 'postpruning', 'preqat', 'postqat']\n",
    LIST_FILES: "checkpoint_preqat.safetensors\nconfig.json\n",
    LIST_MODELS: "",
}
"""Where the built-in model is not the guide's: it is no BERT and keeps four checkpoints, and no
YOLACT is built in."""

_BLOCK = re.compile(r"^# ([^\n]+)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OUTPUT = ">> "
_FOLDER = re.compile(r"/home/\w+/\.cache/sparsezoo/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_URL = "https://models.neuralmagic.com/cv-classification/..."


class Step(NamedTuple):
    """Lines of code, and what the guide says they print; nothing, if it says nothing."""

    code: str
    prints: str

    @property
    def last_line(self) -> str:
        return self.code.splitlines()[-1]


class Block(NamedTuple):
    """A code block of the guide, under our heading."""

    heading: str
    steps: list[Step]


def blocks() -> list[Block]:
    text = Path(__file__).with_name("guide_blocks.md").read_text("utf-8")
    return [Block(heading, list(steps(body))) for heading, body in _BLOCK.findall(text)]


def steps(body: str) -> Iterator[Step]:
    code: list[str] = []
    output: list[str] = []
    for line in body.splitlines():
        if line.startswith(_OUTPUT):
            output.append(line.removeprefix(_OUTPUT))
        elif line.strip():
            if output:
                yield Step("\n".join(code), _joined(output))
                code, output = [], []
            code.append(line)
    yield Step("\n".join(code), _joined(output))


def _joined(output: list[str]) -> str:
    """The lines of an output. One that ends in a comma goes on in the next."""
    return re.sub(r", ?\n", ", ", "".join(f"{line}\n" for line in output))


def run(step: Step, namespace: dict[str, Any]) -> str:
    """What a step prints, as at a prompt.

    Lists that are only made in order to print are not shown, as the guide does not.
    """
    parsed = ast.parse(step.code).body
    last = parsed.pop() if isinstance(parsed[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(parsed, []), "guide", "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "guide", "eval"), namespace)
            is_for_printing = isinstance(value, list) and not any(value)
            if step.prints and value is not None and not is_for_printing:
                print(repr(value))  # noqa: T201 - what a prompt does
    return printed.getvalue()


def is_as_shown(shown: str, printed: str, folder: str, schemes: str) -> bool:
    """Whether output is what the guide shows, for a model that is laid out in `folder`.

    Args:
        schemes: those that a URL may have, as a regular expression.
    """
    pattern = re.escape(_FOLDER.sub(lambda _: folder, shown))
    pattern = pattern.replace(re.escape(_URL), rf"(?:{schemes})://\S+")
    return re.fullmatch(pattern, printed) is not None


Adapt = Callable[[str], str]


def session(adapt: Adapt, schemes: str, instead: Mapping[str, str]) -> Iterator[str]:
    """Run the guide, block by block, and give the heading of each that printed what it should.

    Args:
        adapt: changes code and output of the guide to what is there.
        instead: what other steps print, by their last line.
    """
    namespace: dict[str, Any] = {}
    for heading, parts in blocks():
        adapted = [Step(adapt(part.code), adapt(part.prints)) for part in parts]
        printed = [run(step, namespace) for step in adapted]
        folder = namespace["model"].path
        for step, output in zip(adapted, printed, strict=True):
            shown = instead.get(step.last_line, step.prints)
            if step.last_line in ANY_ORDER:
                shown, output = _sorted(shown), _sorted(output)
            assert is_as_shown(shown, output, folder, schemes), (
                f"{heading}: this:\n\n{step.code}\n\nprints:\n\n{output}\nand not:\n\n{shown}"
            )
        yield heading


def _sorted(text: str) -> str:
    return "".join(sorted(text.splitlines(keepends=True)))


# A zoo that holds what the guide's had


def packed(name: str) -> bytes:
    """An archive as SparseZoo's were: a folder of its name, with arrays in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"{name}/{name}-0000.npz")
        content = f"arrays of {name}".encode()
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


RESNET_FILES: Files = {
    "training/model.pth": b"weights of the resnet",
    "deployment/model.onnx": b"an ONNX model, as large as need be",
    "sample_inputs.tar.gz": packed("sample_inputs"),
    "sample_outputs.tar.gz": packed("sample_outputs"),
    "sample_labels.tar.gz": packed("sample_labels"),
    "model.md": b"# ResNet-50",
    "recipe/recipe_original.md": b"how to prune it",
    "recipe/recipe_transfer-classification.md": b"how to transfer from it",
    "model.onnx": b"an ONNX model, as large as need be",
}
BERT_TRAINING = (
    "vocab.txt",
    "special_tokens_map.json",
    "pytorch_model.bin",
    "config.json",
    "training_args.bin",
    "tokenizer_config.json",
    "trainer_state.json",
    "tokenizer.json",
)
BERT_FILES: Files = {f"training/{name}": f"of bert: {name}".encode() for name in BERT_TRAINING}


@pytest.fixture
def web(new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path, serve: Serve) -> Web:
    """A web server with the guide's models. The resnet is in the folder `resnet`, too."""
    publisher = new_store("publisher")
    publisher.add(lay("resnet", RESNET_FILES), RESNET)
    publisher.add(lay("bert", BERT_FILES), BERT)
    for stub in YOLACTS:
        publisher.add(lay(stub, {"model.md": stub.encode()}), stub)
    publisher.publish([RESNET, BERT, *YOLACTS], tmp_path / "zoo")
    return serve(tmp_path / "zoo")


@pytest.fixture
def guides_zoo(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's empty folder, from where the guide's models are found on the web."""
    monkeypatch.setenv("ZOOSTORE_REMOTE", web.url)
    return _standing_in(tmp_path, monkeypatch)


@pytest.fixture
def builtin_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's empty folder, without a network; in it a checkout of a built-in model."""
    monkeypatch.setenv("ZOOSTORE_OFFLINE", "1")
    user = _standing_in(tmp_path, monkeypatch)
    Store().checkout(DIGITS, user / "digits")
    return user


def _standing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.chdir(user)
    return user


# The guide


@pytest.mark.parametrize("package", ["zoostore", "zoostore.compat"])
def test_the_guide_works_with_another_import(
    guides_zoo: Path, tmp_path: Path, package: str
) -> None:
    def adapt(text: str) -> str:
        text = text.replace("from sparsezoo import", f"from {package} import")
        return text.replace(PLACEHOLDER, repr(str(tmp_path / "resnet")))

    ran = list(session(adapt, "http", instead={}))

    assert ran == [block.heading for block in blocks()]
    assert (guides_zoo / "model_download_directory/model.md").read_bytes() == b"# ResNet-50"


def test_the_guide_works_offline_with_a_built_in_model(builtin_zoo: Path) -> None:
    def adapt(text: str) -> str:
        text = text.replace("from sparsezoo import", "from zoostore import")
        text = text.replace(RESNET, DIGITS).replace(BERT, DIGITS)
        return text.replace(PLACEHOLDER, repr(str(builtin_zoo / "digits")))

    ran = list(session(adapt, "https?|file", instead=PRINTED_OF_DIGITS))

    assert ran == [block.heading for block in blocks()]


def test_the_url_that_the_guide_prints_is_where_the_file_is(guides_zoo: Path) -> None:
    from zoostore import Model

    model = Model(RESNET)

    assert model.onnx_model is not None
    assert model.onnx_model.url is not None
    with urllib.request.urlopen(model.onnx_model.url) as answer:
        assert answer.read() == RESNET_FILES["model.onnx"]


# How the guide is read


def test_no_block_of_the_guide_is_left_out() -> None:
    text = Path(__file__).with_name("guide_blocks.md").read_text("utf-8")

    assert len(blocks()) == text.count("```python") == BLOCKS_IN_THE_GUIDE
    assert len({block.heading for block in blocks()}) == BLOCKS_IN_THE_GUIDE


def test_what_differs_and_what_has_no_order_are_steps_of_the_guide() -> None:
    last_lines = {part.last_line for block in blocks() for part in block.steps}

    assert {*ANY_ORDER, *PRINTED_OF_DIGITS} <= last_lines


def test_a_block_is_read_as_code_and_what_it_prints() -> None:
    body = "a = 1\n# >> no output\n\n{a: 1,\n 2: 3}\n     \n>> {1: 1, \n>> 2: 3}\n>> b\nc\n"

    assert list(steps(body)) == [
        Step("a = 1\n# >> no output\n{a: 1,\n 2: 3}", "{1: 1, 2: 3}\nb\n"),
        Step("c", ""),
    ]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("a = 1", ""),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("a = 1\nprint(a)\n[1]", "1\n[1]\n"),
        ("[print(a) for a in (1, 2)]", "1\n2\n"),
    ],
)
def test_code_is_run_as_at_a_prompt(code: str, printed: str) -> None:
    assert run(Step(code, "something"), {}) == printed


def test_a_value_that_the_guide_does_not_show_is_not_shown() -> None:
    assert run(Step("print(1)\nTrue", ""), {}) == "1\n"


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n", "a", False),
        ("(a.b)\n", "(axb)\n", False),
        ("/home/u/.cache/sparsezoo/eb977dae-2454-471b-9870-4cf38074acf0/x\n", "/f/x\n", True),
        ("/home/u/.cache/sparsezoo/eb977dae-2454-471b-9870-4cf38074acf0/x\n", "/g/x\n", False),
        (f"File URL: {_URL}\n", "File URL: http://host/a#b\n", True),
        (f"File URL: {_URL}\n", "File URL: ftp://host/a\n", False),
        (f"File URL: {_URL}\n", "File URL: None\n", False),
    ],
)
def test_output_is_compared_with_what_the_guide_shows(
    shown: str, printed: str, is_same: bool
) -> None:
    assert is_as_shown(shown, printed, "/f", "https?|file") is is_same
