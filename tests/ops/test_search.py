"""search: models by the parts of their names, here and in the catalogs of remotes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Model, ModelArgs, Store, model_args_to_stub, search_models
from zoostore.errors import UsageError
from zoostore.stubs import FACETS

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
    assert model_args_to_stub(sparse_tag="pruned-none") == "zoo://////pruned-none"
    with pytest.raises(UsageError):
        model_args_to_stub(colour="red")
