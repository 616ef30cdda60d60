"""One word, one exit code and one piece of advice for each kind of error."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import zoostore
from zoostore.cli.hints import HINTS, hint
from zoostore.errors import ZooError

EXIT_CODES = {0, 1, 2, 3, 4, 5, 6, 10, 11, 130}


def import_everything() -> None:
    for module in pkgutil.walk_packages(zoostore.__path__, "zoostore."):
        if not module.name.startswith(("zoostore.zoo", "zoostore.__main__")):
            importlib.import_module(module.name)


def all_errors() -> list[type[ZooError]]:
    import_everything()

    def below(error: type[ZooError]) -> Iterator[type[ZooError]]:
        yield error
        for child in error.__subclasses__():
            yield from below(child)

    found = dict.fromkeys(below(ZooError))
    return [error for error in found if error.__module__.startswith("zoostore.")]


ERRORS = all_errors()


def test_kinds_are_unique() -> None:
    kinds = [error.kind for error in ERRORS]

    assert sorted(kinds) == sorted(set(kinds))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_kind_of_error_is_whole(error: type[ZooError]) -> None:
    assert error.kind == error.kind.lower()
    assert error.kind.replace("_", "").isalpha()
    assert "kind" in vars(error), "a class without a kind of its own cannot be told apart"
    assert error.exit_code in EXIT_CODES - {0, 3, 130}
    assert error.__doc__


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_kind_of_error_has_a_hint(error: type[ZooError]) -> None:
    advice = hint(error("It failed."))

    assert advice.endswith((".", ").", "`."))


def test_every_hint_is_for_an_error() -> None:
    assert HINTS.keys() == {error.kind for error in ERRORS}


def test_an_error_of_a_kind_has_the_exit_code_of_what_it_is() -> None:
    codes = {error.kind: error.exit_code for error in ERRORS}

    expected = {
        "error": 1,
        "usage": 2,
        "invalid_stub": 2,
        "offline": 4,
        "damaged": 5,
        "missing_object": 5,
        "wrong_content": 5,
        "malformed": 5,
        "unsafe_path": 5,
        "not_found": 6,
        "unknown_stub": 6,
        "unknown_revision": 6,
        "unknown_path": 6,
        "no_store": 10,
        "busy": 11,
    }
    assert {kind: codes[kind] for kind in expected} == expected


def test_facts_are_kept_apart_from_the_message() -> None:
    error = ZooError("It failed.", path="a", size=3)

    assert (str(error), error.message, error.facts) == (
        "It failed.",
        "It failed.",
        {"path": "a", "size": 3},
    )
