"""search: models by the parts of their names, here and in the catalogs of remotes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Model, ModelArgs, Store, model_args_to_stub, search_models
from zoostore.digest import hash_bytes
from zoostore.errors import UsageError
from zoostore.sources.catalog import (
    Listed,
    Manifest,
    catalog_path,
    encode_catalog,
    encode_manifest,
)
from zoostore.stubs import FACETS, parse_stub

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut, Serve, Web

YOLACT = "zoo:cv/segmentation/yolact-darknet53/pytorch/dbolya/coco/"
STUBS = [
    YOLACT + "base-none",
    YOLACT + "pruned82_quant-none",
    YOLACT + "pruned90-moderate-vnni",
    "zoo:nlp/question_answering/bert-base/pytorch/huggingface/squad-augmented/base-none",
]


@pytest.fixture
def web(tmp_path: Path, lay: LayOut, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Web:
    """A zoo behind a web server, that is asked first."""
    maker = Store(tmp_path / "maker")
    for number, stub in enumerate(STUBS):
        maker.add(lay(f"model{number}", {"model.md": stub.encode()}), stub)
    maker.tag(STUBS[0], "v1")
    maker.add(lay("newer", {"model.md": b"newer"}), STUBS[0])
    maker.publish(STUBS, tmp_path / "zoo")
    web = serve(tmp_path / "zoo")
    monkeypatch.setenv("ZOOSTORE_REMOTE", web.url)
    return web


def stubs_of(**said: str) -> list[str]:
    return search_models(**said, return_stubs=True)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"domain": "nlp"}, STUBS[3:]),
        ({"sub_domain": "segmentation", "architecture": "yolact"}, STUBS[:3]),
        ({"sub_architecture": "darknet53", "framework": "pytorch"}, STUBS[:3]),
        ({"repo": "dbolya", "dataset": "coco", "sparse_name": "base"}, STUBS[:1]),
        ({"sparse_category": "moderate", "sparse_target": "vnni"}, STUBS[2:3]),
        ({"training_scheme": "augmented"}, STUBS[3:]),
        ({"domain": "cv", "architecture": "yol"}, []),
        ({"release_version": "v1"}, [STUBS[0] + "@v1"]),
    ],
)
def test_all_that_is_said_must_be_so(web: Web, said: dict[str, str], found: list[str]) -> None:
    assert stubs_of(**said) == found


def test_only_the_catalog_is_read(web: Web) -> None:
    models = search_models("cv", "segmentation")

    assert [repr(model) for model in models] == [f"Model(stub={stub})" for stub in STUBS[:3]]
    assert [path.split("/")[1] for path in web.paths] == ["zoo.json", "catalog"]


def test_models_of_a_release_are_pinned_to_it(web: Web) -> None:
    (model,) = search_models(release_version="v1")

    assert isinstance(model, Model)
    assert model.model_card is not None
    assert model.model_card.open().read() == STUBS[0].encode()


def test_results_come_in_pages(web: Web) -> None:
    pages = [
        search_models("cv", "segmentation", page=page, page_length=2, return_stubs=True)
        for page in (1, 2, 3)
    ]

    assert pages == [STUBS[:2], STUBS[2:3], []]
    with pytest.raises(UsageError):
        search_models(page=0)


def test_what_is_here_goes_before_what_a_remote_has(web: Web, lay: LayOut) -> None:
    store = Store()
    mine = store.add(lay("mine", {"model.md": b"mine"}), STUBS[0])

    found = {hit.stub: hit for hit in store.search("yolact").hits}

    assert (found[STUBS[0]].is_here, found[STUBS[0]].snapshot) == (True, mine.snapshot)
    assert (found[STUBS[1]].is_here, found[STUBS[1]].source) == (False, "environment")


def test_a_catalog_of_hundreds_is_read_in_one_request(
    web: Web, lay: LayOut, tmp_path: Path
) -> None:
    maker = Store(tmp_path / "maker")
    many = [f"zoo:nlp/text/bert-{n}/pytorch/own/squad/base-none" for n in range(300)]
    source = lay("tiny", {"model.md": b"tiny"})
    recorded = maker.add(source, many[0])
    listed = [Listed(stub, recorded.snapshot, 1, 4) for stub in many]
    data = encode_catalog(listed)
    zoo = tmp_path / "zoo"
    manifest = Manifest("many", hash_bytes(data), len(data))
    (zoo / catalog_path(manifest.catalog)).write_bytes(data)
    (zoo / "zoo.json").write_bytes(encode_manifest(manifest))

    found = search_models("nlp", "text", page_length=1000)

    assert [repr(model) for model in found] == [f"Model(stub={stub})" for stub in sorted(many)]
    assert [path.split("/")[1] for path in web.paths] == ["zoo.json", "catalog"]


def test_a_search_needs_and_makes_no_store(web: Web, tmp_path: Path) -> None:
    store = Store(tmp_path / "none")

    assert {hit.source for hit in store.search().hits} == {"environment", "builtin"}
    assert not (tmp_path / "none").exists()


def test_what_two_remotes_have_is_found_once_at_the_first(web: Web, tmp_path: Path) -> None:
    store = Store()
    store.add_remote("copy", str(tmp_path / "zoo"))

    hits = store.search("yolact").hits

    assert [(hit.stub, hit.source) for hit in hits] == [
        (stub, "environment") for stub in sorted(STUBS[:3])
    ]


def test_a_name_is_that_of_what_is_here(web: Web, lay: LayOut) -> None:
    store = Store()
    store.add(lay("mine", {"model.md": b"mine"}), STUBS[0])

    (model,) = search_models(repo="dbolya", sparse_name="base")

    assert model.model_card is not None
    with model.model_card.open() as file:
        assert file.read() == b"mine"
    assert model.is_here


def test_the_numbers_are_those_of_the_snapshot_that_is_meant(store: Store, lay: LayOut) -> None:
    store.add(lay("first", {"model.md": b"12345"}), STUBS[0])
    store.tag(STUBS[0], "v1")
    store.add(lay("second", {"model.md": b"1", "more": b"2"}), STUBS[0])

    (hit,) = store.search(tag="v1").hits

    assert hit.snapshot == store.snapshot(f"{STUBS[0]}@v1").id
    assert (hit.files, hit.size) == (1, 5)


def test_the_parts_may_be_said_in_their_order(web: Web) -> None:
    parts = ("cv", "segmentation", "yolact", "darknet53", "pytorch", "dbolya", "coco", None)
    sparse = ("pruned90", "moderate", "vnni")

    (model,) = search_models(*parts, *sparse, None, 1, 20, True, False)

    assert repr(model) == f"Model(stub={STUBS[2]})"
    assert search_models(*parts, *sparse, "v1", 1, 20, True) == []
    (tagged,) = search_models(*parts, "base", "none", None, "v1", 1, 20)
    assert repr(tagged) == f"Model(stub={STUBS[0]}@v1)"


@pytest.mark.parametrize("stub", STUBS)
def test_each_part_of_a_stub_finds_it(web: Web, cli: Cli, stub: str) -> None:
    parts = parse_stub(stub).parts

    for name, value in parts.items():
        option = f"--{name.replace('_', '-')}"
        found = [hit["stub"] for hit in cli("search", option, value, "--json").json]
        assert stub in found
        assert all(parse_stub(other).parts[name] == value for other in found)
    options = [word for name in parts for word in (f"--{name.replace('_', '-')}", parts[name])]
    assert [hit["stub"] for hit in cli("search", *options, "--json").json] == [stub]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (["yolact"], STUBS[:3]),
        (["YOLACT", "Quant"], STUBS[1:2]),
        (["yolact quant"], STUBS[1:2]),
        (["coco/pruned9"], STUBS[2:3]),
        (["bert", "yolact"], []),
    ],
)
def test_words_stand_anywhere(web: Web, cli: Cli, text: list[str], found: list[str]) -> None:
    assert [hit["stub"] for hit in cli("search", *text, "--json").json] == found


def test_the_table_says_which_how_large_and_where(web: Web, cli: Cli, lay: LayOut) -> None:
    mine = Store().add(lay("mine", {"model.md": b"mine", "more": b"12"}), STUBS[1])
    far = Store().search(sparse_target="vnni").hits[0]

    ran = cli("search", "yolact", "pruned")

    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows == [
        [mine.snapshot.short, "2", "6", "B", "here", STUBS[1]],
        [far.snapshot.short, "1", str(far.size), "B", "environment", STUBS[2]],
    ]


def test_as_json_all_is_said_of_a_model(web: Web, cli: Cli) -> None:
    (hit,) = cli("search", "yolact", "base", "--json").json

    assert hit.keys() >= {"stub", "snapshot", "files", "size", "tags", "source", "here"}
    assert (hit["files"], hit["size"], hit["here"]) == (1, 5, False)
    assert hit["tags"].keys() == {"v1"}
    assert hit["snapshot"] != hit["tags"]["v1"]
    (tagged,) = cli("search", "--release-version", "v1", "--json").json
    assert tagged["snapshot"] == hit["tags"]["v1"]


def test_a_search_that_was_done_in_part_says_so_in_json_too(web: Web, cli: Cli) -> None:
    """A script that reads the models only must be able to learn which remote is missing."""
    web.answers["/zoo.json"] = [lambda request: request.answer(404, b"")]

    ran = cli("search", "--domain", "tabular", "--json")

    assert ran.code == 3
    assert "breast_cancer" in ran.out
    assert "environment" in ran.out + ran.err


def test_offline_only_what_needs_no_network_is_searched(
    web: Web, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOSTORE_OFFLINE", "1")

    ran = cli("search", "digits", "quant")

    assert (ran.code, len(ran.out.splitlines())) == (0, 1)
    assert "environment" in ran.err
    assert not search_models(domain="nlp")
    assert not web.requests


def test_a_remote_that_is_gone_is_named_and_the_rest_is_found(
    web: Web, cli: Cli, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    web.answers["/zoo.json"] = [lambda request: request.answer(404, b"")]

    ran = cli("search", "--domain", "tabular")

    assert ran.code == 3
    assert "breast_cancer" in ran.out
    assert "environment was not searched" in ran.err
    assert search_models("tabular")
    assert "environment" in caplog.text


def test_the_command_has_every_part_of_a_stub(web: Web, cli: Cli) -> None:
    for facet in FACETS:
        assert cli("search", f"--{facet.replace('_', '-')}", "nothing", "--json").json == []
    (hit,) = cli("search", "--json", "--sparse-tag", "pruned82_quant-none").json
    assert (hit["stub"], hit["here"], hit["source"]) == (STUBS[1], False, "environment")
    assert cli("search", "no such model").out == ""


def test_a_facet_that_no_stub_has_is_an_error() -> None:
    with pytest.raises(UsageError, match="colour"):
        Store().search(colour="red")


def test_the_parts_make_a_stub() -> None:
    parts = {"domain": "cv", "architecture": "a", "sub_architecture": "b", "sparse_name": "base"}

    assert ModelArgs(**parts).stub == model_args_to_stub(**parts) == "zoo:cv//a-b////base"
    for stub in STUBS:
        facets = parse_stub(stub).facets
        assert model_args_to_stub(**facets) == stub
        del facets["sparse_tag"]
        assert ModelArgs(**facets, sparse_name=parse_stub(stub).facets["sparse_tag"]).stub == stub
    assert model_args_to_stub(sparse_tag="pruned-none") == "zoo://////pruned-none"
    with pytest.raises(UsageError):
        model_args_to_stub(colour="red")
