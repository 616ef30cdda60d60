"""Path safety: which names and links a snapshot may hold."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.errors import MalformedObject, UnsafePath
from zoostore.objects.paths import (
    MAX_DEPTH,
    MAX_LINK_BYTES,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    check_link,
    check_name,
    check_path,
    check_siblings,
    folded,
    why_not_on_windows,
)

UNSAFE_NAMES = [
    "",
    ".",
    "..",
    "/",
    "a/b",
    "/a",
    "a/",
    "\0",
    "a\0b",
    "a" * (MAX_NAME_BYTES + 1),
    "\N{GRINNING FACE}" * 255 + "a",
    "\ud800",
    "a\udcffb",
    ".zoostore",
    ".ZOOSTORE",
    ".ZooStore",
    ".zooſtore",
]

SAFE_NAMES = [
    "model.onnx",
    "...",
    ".hidden",
    ".zoostore2",
    "zoostore",
    "-rf",
    " ",
    "a b",
    "~",
    "tab\there",
    "new\nline",
    "модель",
    "モデル",
    "模型",
    "نموذج",
    "דגם",
    "मॉडल",
    "โมเดล",
    "\N{GRINNING FACE}" * 255,
    "a" * MAX_NAME_BYTES,
    "e\N{COMBINING ACUTE ACCENT}",
    "é",
    "\x7f",
    "�",
]

TWINS = [
    ("README", "readme"),
    ("Straße", "STRASSE"),
    ("é", "e\N{COMBINING ACUTE ACCENT}"),
    ("É", "e\N{COMBINING ACUTE ACCENT}"),
    ("\N{KELVIN SIGN}", "k"),
    ("\N{ANGSTROM SIGN}", "å"),
    ("Σ", "ς"),
    ("\N{HANGUL SYLLABLE HAN}", "\u1112\u1161\u11ab"),
    ("\N{LATIN SMALL LIGATURE FI}", "FI"),
    ("q\u0323\u0307", "q\u0307\u0323"),
]

NO_TWINS = [
    ("a", "b"),
    ("a", "a "),
    ("a", "a."),
    ("o", "ö"),
    ("o", "ø"),
    ("i", "ı"),
    ("1", "\N{SUPERSCRIPT ONE}"),
    ("模", "型"),
]

SAFE_LINKS = [
    ("link", "target"),
    ("link", "a/b/c"),
    ("link", "./a"),
    ("link", "."),
    ("link", "a//b"),
    ("link", "..."),
    ("link", "..a"),
    ("link", "a/..b"),
    ("a/link", "../target"),
    ("a/link", ".."),
    ("a/b/link", "../../x"),
    ("a/b/link", "./.././../x"),
    ("a/b/link", "..//../x"),
    ("link", "模型/é"),
    ("link", "t" * MAX_LINK_BYTES),
]

UNSAFE_LINKS = [
    ("link", ""),
    ("link", ".."),
    ("link", "../x"),
    ("link", "./../x"),
    ("a/link", "../../x"),
    ("a/link", "../../../../etc/passwd"),
    ("a/b/link", "../../../x"),
    ("a/b/c/d/link", "../" * 5 + "x"),
    ("link", "a/../../x"),
    ("a/b/c/link", "x/.."),
    ("a/b/c/link", "x/../y"),
    ("a/b/c/link", "../x/../y"),
    ("link", "/"),
    ("link", "/etc/passwd"),
    ("link", "//server/share"),
    ("link", "\\\\server\\share"),
    ("link", "a\\b"),
    ("a/link", "..\\..\\x"),
    ("link", "C:"),
    ("link", "C:x"),
    ("link", "c:/x"),
    ("link", "a\0b"),
    ("link", "\udcff"),
    ("link", "t" * (MAX_LINK_BYTES + 1)),
    ("link", "é" * (MAX_LINK_BYTES // 2 + 1)),
]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_a_name_that_is_not_one_plain_component_is_refused(name: str) -> None:
    with pytest.raises(UnsafePath) as caught:
        check_name(name)

    assert caught.value.facts["name"] == name
    assert isinstance(caught.value, MalformedObject)


@pytest.mark.parametrize("name", SAFE_NAMES)
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(("first", "second"), TWINS)
def test_names_that_some_file_system_takes_for_one_are_refused(first: str, second: str) -> None:
    with pytest.raises(UnsafePath) as caught:
        check_siblings([first, "other", second])

    assert (caught.value.facts["twin"], caught.value.facts["name"]) == (first, second)


@pytest.mark.parametrize(("first", "second"), NO_TWINS)
def test_names_that_are_two_everywhere_are_taken(first: str, second: str) -> None:
    check_siblings([first, second])


@given(TEXTS)
def test_folding_a_folded_name_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@given(TEXTS, st.sampled_from(["NFC", "NFD"]))
def test_unicode_form_does_not_count_once_folded(name: str, form: str) -> None:
    normal = unicodedata.normalize("NFC" if form == "NFC" else "NFD", name)

    assert folded(normal) == folded(name)


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_ascii_folds_as_it_does_among_other_letters(name: str) -> None:
    assert folded(name + "é") == folded(name) + folded("é")


def test_a_path_may_have_so_many_folders_and_bytes_and_no_more() -> None:
    deepest = "/".join("a" * MAX_DEPTH)
    longest = "/".join(["a" * 1023] * 4) + "b"
    assert (deepest.count("/"), len(longest)) == (MAX_DEPTH - 1, MAX_PATH_BYTES)

    check_path(deepest)
    check_path(longest)
    for path in (deepest + "/a", longest + "b", "é" * (MAX_PATH_BYTES // 2) + "a"):
        with pytest.raises(UnsafePath):
            check_path(path)


@pytest.mark.parametrize(("path", "target"), SAFE_LINKS)
def test_a_link_that_stays_inside_is_taken(path: str, target: str) -> None:
    check_link(path, target)


@pytest.mark.parametrize(("path", "target"), UNSAFE_LINKS)
def test_a_link_that_may_lead_outside_is_refused(path: str, target: str) -> None:
    with pytest.raises(UnsafePath) as caught:
        check_link(path, target)

    assert (caught.value.facts["path"], caught.value.facts["target"]) == (path, target)


@given(
    st.lists(st.sampled_from("abc"), max_size=3),
    st.lists(st.sampled_from(["..", ".", "", "a", "b"]), min_size=1, max_size=8).map("/".join),
)
def test_every_link_that_is_taken_stays_inside_whatever_it_passes(
    folders: list[str], target: str
) -> None:
    try:
        check_link("/".join([*folders, "link"]), target)
    except UnsafePath:
        return
    depth = len(folders)
    for component in target.split("/"):
        depth -= component == ".."
        assert depth >= 0
        # A name may itself be a link to the top: from there, nothing leads up any more.
        depth = 0 if component in ("a", "b") else depth


@pytest.mark.parametrize(
    "name",
    [
        *("a:b", "a\\b", "a*", "a?", 'a"', "<a", "a>", "a|b", "a\tb", "a ", "a."),
        *("con", "NUL", "aux.txt", "Com1.tar.gz", "lpt9", "COM¹", "conin$", "nul .x"),
    ],
)
def test_what_windows_cannot_name_is_known(name: str) -> None:
    assert why_not_on_windows(name)


@pytest.mark.parametrize("name", ["a", "a.b", " a", ".a", "console", "com0", "null", "é", "a'b"])
def test_what_windows_can_name_is_known(name: str) -> None:
    assert why_not_on_windows(name) is None
