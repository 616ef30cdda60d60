"""What `import zoostore` gives: little, documented, and fast."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import zoostore
from zoostore import Store, ZooError

HEAVY = {"lmdb", "blake3", "requests", "rich", "click", "numpy", "tomlkit", "pathspec"}
PROMISED = {
    "add",
    "checkout",
    "commit",
    "diff",
    "du",
    "log",
    "open",
    "pull",
    "snapshot",
    "snapshots",
    "status",
    "tag",
    "verify",
}
"""What INTERFACE.md says of `Store`, so far as it is there."""


def in_new_process(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=True, text=True
    )
    return done.stdout.strip()


def test_public_names_are_sorted() -> None:
    assert zoostore.__all__ == sorted(zoostore.__all__)
    assert {"Store", "ZooError"} <= set(zoostore.__all__)


@pytest.mark.parametrize("name", zoostore.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(zoostore, name)

    if name != "__version__":
        assert inspect.getdoc(value)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        zoostore.no_such_name  # noqa: B018


def test_importing_zoostore_imports_nothing_heavy() -> None:
    program = "import sys, zoostore; print(*{name.split('.')[0] for name in sys.modules})"

    assert not HEAVY & set(in_new_process(program).split())


def test_public_names_are_imported_when_they_are_asked_for() -> None:
    program = (
        "import sys, zoostore; before = 'zoostore.api' in sys.modules; zoostore.Store; "
        "print(before, 'zoostore.api' in sys.modules)"
    )

    assert in_new_process(program) == "False True"


def test_a_store_is_not_touched_before_a_method_is_called() -> None:
    program = (
        "import sys, zoostore; store = zoostore.Store('/nonexistent/store'); print(store); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )

    shown, modules = in_new_process(program).splitlines()

    assert shown == "Store('/nonexistent/store')"
    assert "lmdb" not in modules.split()


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_the_store_has_the_promised_methods(name: str) -> None:
    assert callable(getattr(Store, name))


@pytest.mark.parametrize(
    ("name", "method"),
    [item for item in inspect.getmembers(Store, callable) if not item[0].startswith("_")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_method_of_a_store_is_documented_and_typed(name: str, method: object) -> None:
    assert callable(method)
    signature = inspect.signature(method)

    assert inspect.getdoc(method)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        if parameter.name != "self":
            assert parameter.annotation is not inspect.Parameter.empty


def test_errors_can_be_caught_by_what_is_public() -> None:
    with pytest.raises(ZooError) as raised:
        Store("/nonexistent/store").snapshots()

    assert (raised.value.kind, raised.value.exit_code) == ("no_store", 10)


def test_types_are_published() -> None:
    from importlib.resources import files

    assert files("zoostore").joinpath("py.typed").is_file()


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert version("zoostore") == zoostore.__version__
