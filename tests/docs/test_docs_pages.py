"""The pages of the documentation hang together, and leave nothing out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoostore

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
PACKAGE = Path(zoostore.__file__).parent
WIDTH = 115

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def error_kinds() -> Iterator[str]:
    """Every `kind` that a class of the package has."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from _kinds_in(node)


def _kinds_in(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            names = [target] if target else getattr(statement, "targets", [])
            is_kind = any(isinstance(name, ast.Name) and name.id == "kind" for name in names)
            if is_kind and isinstance(statement.value, ast.Constant):
                yield str(statement.value.value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", text_of(page))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page

        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_can_be_read_in_a_terminal(page: Path) -> None:
    long = [line for line in _FENCED.sub("", text_of(page)).splitlines() if len(line) > WIDTH]

    assert not long


def test_the_index_names_every_page() -> None:
    others = {page.name for page in DOCS.glob("*.md")} - {"README.md"}

    assert set(_LINK.findall(text_of(DOCS / "README.md"))) == others


def test_every_kind_of_error_is_explained() -> None:
    named = re.findall(r"^- \*\*`(\w+)`\*\*", text_of(DOCS / "trouble.md"), re.MULTILINE)
    made_by_the_command_line = {"interrupted", "internal"}

    assert len(named) == len(set(named))
    assert set(named) == {*error_kinds(), *made_by_the_command_line}


def test_the_exit_codes_that_are_named_with_errors_are_theirs() -> None:
    from zoostore.errors import NeededNetwork, NoStore, StoreBusy

    text = text_of(DOCS / "trouble.md")
    for error in (NeededNetwork, NoStore, StoreBusy):
        assert f"**`{error.kind}`** (exit code {error.exit_code})" in text


def test_the_design_names_every_module() -> None:
    text = text_of(DOCS / "design.md")
    names = [
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("__")
    ]
    unnamed = [
        name for name in names if f"`{name}`" not in text and not name.startswith("zoo.training.")
    ]

    assert not unnamed, "give these modules a place in docs/design.md"


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= 120
