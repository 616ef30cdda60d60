"""Stubs: the grammar, its round trip, and what short names stand for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zoostore.errors import Ambiguous, InvalidName, InvalidStub
from zoostore.stubs import (
    MAX_NAME_BYTES,
    SELECTORS,
    Stub,
    check_tag_name,
    fits,
    only_match,
    parse_stub,
)

RESNET = "zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/pruned95_quant-none"
BERT = (
    "zoo:nlp/question_answering/bert-base/pytorch/huggingface/squad/pruned_quant_3layers-"
    "aggressive_84"
)
YOLACT = "zoo:cv/segmentation/yolact-darknet53/pytorch/dbolya/coco/base-none"

# The grammar, written down a second time: what is generated here must be accepted there.
_FIRST = "ABZabz019_"
PARTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+]{0,8}", fullmatch=True)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,12}", fullmatch=True)
MAYBE_SUFFIX = st.one_of(st.just(""), TAGS.map("-{}".format))
FULL_NAMES = st.tuples(
    PARTS,
    PARTS,
    st.tuples(PARTS, MAYBE_SUFFIX).map("".join),
    PARTS,
    PARTS,
    st.tuples(PARTS, MAYBE_SUFFIX).map("".join),
    TAGS,
).map(lambda parts: "zoo:" + "/".join(parts))
HUB_NAMES = st.tuples(
    st.sampled_from(["hf:", "hf:datasets/"]),
    st.one_of(st.just(""), TAGS.map("{}/".format)),
    TAGS,
).map("".join)
HOSTS = st.tuples(TAGS, st.sampled_from(["", ":5000"])).map("".join)
OLLAMA_NAMES = st.tuples(
    st.one_of(
        st.just(""), TAGS.map("{}/".format), st.tuples(HOSTS, TAGS).map("{0[0]}/{0[1]}/".format)
    ),
    TAGS,
    TAGS,
).map("ollama:{0[0]}{0[1]}:{0[2]}".format)
NAMES = st.one_of(FULL_NAMES, TAGS.map("zoo:{}".format), HUB_NAMES, OLLAMA_NAMES)
REVISIONS = st.one_of(
    st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,12}(~[0-9]{1,6})?", fullmatch=True)
)
VALUES = st.text(
    st.characters(exclude_characters="&?", exclude_categories=["Cs"]), min_size=1, max_size=8
)
SELECTED = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from(values) if values else VALUES for key, values in SELECTORS.items()
    },
).filter(lambda chosen: len({chosen.get("recipe"), chosen.get("recipe_type")} - {None}) < 2)
STUBS = st.builds(Stub, NAMES, REVISIONS, SELECTED)


@given(STUBS)
def test_what_a_stub_prints_is_parsed_back_to_the_same_stub(stub: Stub) -> None:
    assert parse_stub(str(stub)) == stub


@given(STUBS)
def test_selectors_keep_the_order_they_were_written_in(stub: Stub) -> None:
    assert list(parse_stub(str(stub)).selectors.items()) == list(stub.selectors.items())


@given(st.text(max_size=60))
def test_any_text_is_parsed_to_what_prints_and_parses_the_same_or_is_refused(text: str) -> None:
    try:
        stub = parse_stub(text)
    except InvalidStub:
        return
    assert parse_stub(str(stub)) == stub


@pytest.mark.parametrize("text", [RESNET, BERT, YOLACT])
def test_the_stubs_of_the_reference_guide_are_their_own_canonical_form(text: str) -> None:
    assert str(parse_stub(text)) == text
    assert parse_stub(text.removeprefix("zoo:")) == parse_stub(text)


def test_every_part_of_a_full_name_has_its_facet() -> None:
    stub = parse_stub("cv/classification/resnet_v1-50/pytorch/sparseml/imagenet-augment/base-none")

    assert stub.facets == {
        "domain": "cv",
        "sub_domain": "classification",
        "architecture": "resnet_v1",
        "sub_architecture": "50",
        "framework": "pytorch",
        "repo": "sparseml",
        "dataset": "imagenet",
        "training_scheme": "augment",
        "sparse_tag": "base-none",
    }


def test_optional_parts_that_are_missing_have_no_facet() -> None:
    facets = parse_stub("cv/detection/ssd/pytorch/sparseml/coco/base-none").facets

    assert "sub_architecture" not in facets
    assert "training_scheme" not in facets


def test_only_the_first_hyphen_divides_an_architecture() -> None:
    facets = parse_stub("nlp/mlm/bert-large-uncased/pytorch/hf/wiki/base-none").facets

    assert (facets["architecture"], facets["sub_architecture"]) == ("bert", "large-uncased")


@pytest.mark.parametrize("text", ["zoo:resnet", "hf:org/name", "hf:a/b"])
def test_what_is_no_full_zoo_name_has_no_facets(text: str) -> None:
    assert parse_stub(text).facets == {}


def test_the_guides_selector_is_read() -> None:
    stub = parse_stub(f"{RESNET}?recipe=transfer")

    assert (stub.name, stub.revision, dict(stub.selectors)) == (
        RESNET,
        "",
        {"recipe": "transfer"},
    )


def test_revision_and_selectors_stand_together() -> None:
    stub = parse_stub("hf:org/name@refs/pr/1~2?recipe=a=b@d&checkpoint=preqat")

    assert stub.revision == "refs/pr/1~2"
    assert dict(stub.selectors) == {"recipe": "a=b@d", "checkpoint": "preqat"}


@pytest.mark.parametrize(
    "revision", ["main", "v1.0", "0", "_x", "refs/heads/a+b", "~1", "tag~000123", "a" * 64]
)
def test_a_revision_is_read(revision: str) -> None:
    assert parse_stub(f"resnet@{revision}").revision == revision


@pytest.mark.parametrize(
    "revision", ["", "~", "~x", "a~", "a~1234567", "~1~2", "-x", ".x", "/x", "a b", "a@b", "é"]
)
def test_what_cannot_be_a_revision_is_refused(revision: str) -> None:
    with pytest.raises(InvalidStub):
        parse_stub(f"resnet@{revision}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zoo:",
        "hf:",
        ":",
        "@main",
        "?recipe=x",
        "s3:bucket",
        "ZOO:resnet",
        "zoo:zoo:resnet",
        "zoo:cv/classification",
        "zoo:cv/classification/resnet/pytorch/sparseml/imagenet",
        "zoo:cv/classification/resnet/pytorch/sparseml/imagenet/base/more",
        "zoo:cv//resnet/pytorch/sparseml/imagenet/base",
        "zoo:/cv/classification/resnet/pytorch/sparseml/imagenet/base",
        "zoo:cv/classification/resnet/pytorch/sparseml/imagenet/base/",
        "zoo:cv-x/classification/resnet/pytorch/sparseml/imagenet/base",
        "zoo:cv/classification/-50/pytorch/sparseml/imagenet/base",
        "zoo:cv/classification/resnet-/pytorch/sparseml/imagenet/base",
        "zoo:cv/../resnet/pytorch/sparseml/imagenet/base",
        "zoo:..",
        "zoo:.hidden",
        "zoo:-rf",
        "zoo:two words",
        "zoo:new\nline",
        "zoo:resnet\n",
        "zoo:résnet",
        "zoo:res\0net",
        "zoo:\ud800",
        "hf:a/b/c",
        "hf:datasets/a/b/c",
        "hf:/name",
        "hf:org/",
        "hf:../name",
        "hf:org/..",
        "ollama:",
        "ollama:llama3:",
        "ollama::8b",
        "ollama:llama3:8b:q4",
        "ollama:/llama3:8b",
        "ollama:host/name/more/llama3:8b",
        "ollama:host:99999999/name/llama3:8b",
        "ollama:name:5000/llama3:8b",
        "ollama:../llama3:8b",
        "ollama:llama3:..",
    ],
)
def test_what_does_not_follow_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidStub) as caught:
        parse_stub(text)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "query",
    [
        "?recipe",
        "?recipe=",
        "?=x",
        "?Recipe=x",
        "?unknown=x",
        "?recipe=a&recipe=b",
        "?recipe=a&",
        "?&recipe=a",
        "?",
    ],
)
def test_what_is_no_selector_is_refused(query: str) -> None:
    with pytest.raises(InvalidStub):
        parse_stub(f"resnet{query}")


def test_a_name_may_be_as_long_as_an_index_key_can_hold_and_no_longer() -> None:
    longest = "zoo:" + "a" * (MAX_NAME_BYTES - len("zoo:"))

    assert parse_stub(longest).name == longest
    with pytest.raises(InvalidStub):
        parse_stub(longest + "a")


@pytest.mark.parametrize(
    ("text", "scheme", "path", "is_short"),
    [
        ("resnet", "zoo", "resnet", True),
        (RESNET, "zoo", RESNET.removeprefix("zoo:"), False),
        ("hf:gpt2", "hf", "gpt2", False),
        ("hf:datasets/org/squad", "hf", "datasets/org/squad", False),
        ("ollama:llama3:8b", "ollama", "llama3:8b", False),
        ("ollama:hf.co/org/name:Q4_K_M", "ollama", "hf.co/org/name:Q4_K_M", False),
        ("ollama:localhost:5000/me/llama3:8b", "ollama", "localhost:5000/me/llama3:8b", False),
        ("ollama:me/llama3", "ollama", "me/llama3:latest", False),
    ],
)
def test_a_name_has_a_scheme_and_a_path(text: str, scheme: str, path: str, is_short: bool) -> None:
    stub = parse_stub(text)

    assert (stub.scheme, stub.path, stub.is_short) == (scheme, path, is_short)


@pytest.mark.parametrize(
    ("text", "short_name"),
    [
        (RESNET, "resnet_v1-50-imagenet-pruned95_quant"),
        (BERT, "bert-base-squad-pruned_quant_3layers-aggressive_84"),
        (YOLACT, "yolact-darknet53-coco-base"),
        ("resnet", "resnet"),
        ("hf:openai/gpt2", "gpt2"),
        ("hf:datasets/org/squad", "squad"),
        ("ollama:llama3:8b", "llama3-8b"),
        ("ollama:hf.co/org/name:Q4_K_M", "name-Q4_K_M"),
    ],
)
def test_a_short_name_is_what_a_person_would_say(text: str, short_name: str) -> None:
    assert parse_stub(text).short_name == short_name


@given(NAMES)
def test_a_short_name_can_be_the_name_of_a_directory(name: str) -> None:
    short_name = parse_stub(name).short_name

    assert short_name not in ("", ".", "..")
    assert "/" not in short_name
    assert ":" not in short_name


@pytest.mark.parametrize(
    ("short", "fitting"),
    [
        ("resnet_v1-50-imagenet-pruned95_quant", True),
        ("resnet_v1-50-imagenet-pruned95_quant-none", True),
        ("resnet_v1-50-imagenet-pruned95", False),
        ("resnet_v1-imagenet-pruned95_quant", False),
        ("resnet_v1-50-imagenet", False),
        ("resnet", False),
    ],
)
def test_a_short_name_fits_with_or_without_a_final_none(short: str, fitting: bool) -> None:
    assert fits(parse_stub(short), RESNET) is fitting


@given(FULL_NAMES)
@example("zoo:cv/detection/ssd/pytorch/repo/coco/none-none")
@example("zoo:cv/detection/ssd/pytorch/repo/coco/base-none-none")
@example("zoo:cv/detection/ssd/pytorch/repo/coco/none")
def test_a_models_own_short_name_fits_it(name: str) -> None:
    assert fits(parse_stub(parse_stub(name).short_name), name)


def test_a_short_name_stands_for_full_zoo_names_only() -> None:
    assert only_match(parse_stub("zoo:gpt2"), ["hf:openai/gpt2"]) is None


def test_the_only_name_that_fits_is_found() -> None:
    assert only_match(parse_stub("yolact-darknet53-coco-base"), [RESNET, YOLACT]) == YOLACT


def test_nothing_is_found_where_nothing_fits() -> None:
    assert only_match(parse_stub("resnet"), [RESNET, YOLACT]) is None
    assert only_match(parse_stub("resnet"), []) is None


def test_a_short_name_that_fits_two_models_is_ambiguous_and_names_both() -> None:
    twin = RESNET.replace("/pytorch/", "/keras/")

    with pytest.raises(Ambiguous) as caught:
        only_match(parse_stub(parse_stub(RESNET).short_name), [RESNET, YOLACT, twin])

    assert caught.value.facts["candidates"] == sorted([RESNET, twin])
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("name", ["v1", "1.0", "_", "a+b-c.d", "x" * 100, "a" * 63, "A" * 64])
def test_a_tag_name_is_taken(name: str) -> None:
    check_tag_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-x", ".x", "+x", "a/b", "a~1", "a b", "a@b", "a\n", "é", "x" * 101, "0" * 64, "f" * 64],
)
def test_what_cannot_be_a_tag_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check_tag_name(name)


@given(st.one_of(TAGS, st.text(_FIRST + ".+-/~@ ", max_size=12)))
def test_every_tag_can_be_written_as_a_revision(name: str) -> None:
    try:
        check_tag_name(name)
    except InvalidName:
        return
    assert parse_stub(f"resnet@{name}").revision == name
