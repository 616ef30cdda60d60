"""Zip files: what is in them comes out whole, and what could do harm does not come out at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoostore.errors import MalformedObject, UnsafeArchive
from zoostore.files.archive import Member, is_named_archive, members, unpack
from zoostore.files.entries import DEFAULT_LIMITS, Limits

Look = Callable[[Path], dict[str, bytes | str | None]]
Make = Callable[..., Path]

FEW = Limits(entries=50, spare=1 << 16, ratio=1)
UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class Item:
    """A member as it is to be written, right or wrong.

    Attributes:
        packed: the content as it stands in the file; None to make it from `content`.
        local, central: what the two headers say in place of what is so.
    """

    name: str | bytes
    content: bytes = b""
    method: int = 0
    flags: int = 0x0800
    mode: int = 0
    packed: bytes | None = None
    extra: bytes = b""
    after: bytes = b""
    local: Mapping[str, int] = field(default_factory=dict)
    central: Mapping[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes = b""

    @property
    def raw_name(self) -> bytes:
        if isinstance(self.name, bytes):
            return self.name
        return self.name.encode("utf-8", "surrogateescape")

    @property
    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == 8 else self.content

    def said(self, other: Mapping[str, int]) -> dict[str, int]:
        return {
            "flags": self.flags,
            "method": self.method,
            "crc": zlib.crc32(self.content),
            "packed": len(self.data),
            "size": len(self.content),
            "disk": 0,
            "attributes": self.mode << 16,
            **other,
        }

    def written(self) -> bytes:
        """Its header, its content, and what follows that."""
        say, name = self.said(self.local), self.raw_name
        name = name if self.local_name is None else self.local_name
        numbers = (say["flags"], say["method"], 0, 0, say["crc"], say["packed"], say["size"])
        lengths = (len(name), len(self.local_extra))
        header = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *numbers, *lengths)
        return header + name + self.local_extra + self.data + self.after

    def listed(self, offset: int) -> bytes:
        """Its header in the directory."""
        say = self.said({"offset": offset, **self.central})
        numbers = (say["flags"], say["method"], 0, 0, say["crc"], say["packed"], say["size"])
        lengths = (len(self.raw_name), len(self.extra), 0)
        rest = (say["disk"], 0, say["attributes"], say["offset"])
        header = struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x314, 20, *numbers, *lengths, *rest)
        return header + self.raw_name + self.extra


def deflated(content: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=-15)
    return packer.compress(content) + packer.flush()


def raw(*items: Item, comment: bytes = b"", end: Mapping[str, int] | None = None) -> bytes:
    """A zip file that holds these, whatever they are."""
    body, directory = b"", b""
    for item in items:
        directory += item.listed(len(body))
        body += item.written()
    say = {"disk": 0, "count": len(items), "length": len(directory), "start": len(body)}
    say |= end or {}
    numbers = (say["disk"], say["disk"], say["count"], say["count"], say["length"], say["start"])
    return body + directory + struct.pack("<4s4H2LH", b"PK\5\6", *numbers, len(comment)) + comment


def large(*items: Item, end: Mapping[str, int] | None = None) -> bytes:
    """The same as a zip file for more and longer members has it."""
    plain = raw(*items)
    body = plain[:-22]
    start = struct.unpack_from("<L", plain, len(plain) - 6)[0]
    say = {"count": len(items), "start": start, "parts": 1, "at": len(body), "length": 44}
    say |= end or {}
    record = struct.pack(
        "<4sQ2H2L4Q",
        *(b"PK\6\6", say["length"], 45, 45, 0, 0),
        *(say["count"], say["count"], len(body) - start, say["start"]),
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, say["at"], say["parts"])
    return (
        body
        + record
        + locator
        + struct.pack("<4s4H2LH", b"PK\5\6", *[0xFFFF] * 4, *[UNKNOWN] * 2, 0)
    )


def symlink(name: str, to: str, **other: int) -> Item:
    return Item(name, to.encode(), mode=stat.S_IFLNK | 0o777, **other)  # type: ignore[arg-type]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes `archive.zip`."""

    def write(*items: Item) -> Path:
        return of(tmp_path, raw(*items))

    return write


def of(place: Path, data: bytes) -> Path:
    archive = place / "archive.zip"
    archive.write_bytes(data)
    return archive


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "around" / "out").mkdir(parents=True)
    return tmp_path / "around" / "out"


def refused(
    archive: Path, limits: Limits = DEFAULT_LIMITS, error: type[MalformedObject] = MalformedObject
) -> str:
    """Why nothing can be read or unpacked. Nothing was written."""
    out = archive.parent / "around" / "out"
    out.mkdir(parents=True, exist_ok=True)
    with pytest.raises(MalformedObject) as listed:
        members(archive, limits)
    with pytest.raises(MalformedObject) as unpacked:
        unpack(archive, out, limits=limits)
    assert [*out.iterdir()] == []
    assert [*out.parent.iterdir()] == [out]
    for raised in (listed, unpacked):
        assert type(raised.value) is error, raised.value
        assert raised.value.facts == {"path": str(archive)}
        assert raised.value.message.endswith("It was not unpacked.")
    assert listed.value.message == unpacked.value.message
    return unpacked.value.message


A = Item("a", b"content of a")


# What is in an archive


CONTENTS: dict[str, bytes] = {
    "plain": b"zero",
    "sub/ü/" + "long" * 60: b"long" * 1000,
    "run": b"#!",
    "empty": b"",
    "random": os.urandom(100_000),
    "zeros": bytes(3_000_000),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_python_zips_is_listed_and_unpacked_in_its_order(
    tmp_path: Path, out: Path, look: Look, method: int
) -> None:
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.mkdir("sub")
        for name, content in CONTENTS.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | (0o755 if name == "run" else 0o644)) << 16
            info.compress_type = method
            file.writestr(info, content)

    found = members(archive)

    assert found == tuple(Member(name, len(it), name == "run") for name, it in CONTENTS.items())
    assert unpack(archive, out) == found
    assert look(out) == {name + "*" * (name == "run"): it for name, it in CONTENTS.items()}


@pytest.mark.skipif(shutil.which("zip") is None, reason="there is no zip")
@pytest.mark.parametrize(
    "options", [["-r"], ["-r", "-0"], ["-r", "-y"], ["-r", "-fz"], ["-r", "-fd"]]
)
def test_what_zip_zips_is_unpacked(
    tmp_path: Path, out: Path, look: Look, options: list[str]
) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "ü").write_bytes(bytes(5000))
    (source / "link").symlink_to("sub/ü")
    subprocess.run(["zip", "-q", *options, "../other.zip", "."], cwd=source, check=True)

    unpack(tmp_path / "other.zip", out)

    assert look(out) == {"sub/ü": bytes(5000), "link": bytes(5000)}


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def test_sizes_may_stand_behind_the_content(tmp_path: Path, out: Path, look: Look) -> None:
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in CONTENTS.items():
            file.writestr(name, content)
        assert file.infolist()[0].flag_bits & 8

    unpack(of(tmp_path, stream.getvalue()), out)

    assert look(out) == CONTENTS


def test_an_archive_for_large_files_is_read(tmp_path: Path, out: Path, look: Look) -> None:
    extra = struct.pack("<2HQQQ", 1, 24, len(A.content), len(A.content), 0)
    elsewhere = {"size": UNKNOWN, "packed": UNKNOWN, "offset": UNKNOWN}
    item = Item("a", A.content, extra=extra, central=elsewhere)

    unpack(of(tmp_path, large(item, Item("b", b"2"))), out)

    assert look(out) == {"a": A.content, "b": b"2"}


def test_a_local_header_for_large_files_is_read(tmp_path: Path, out: Path, look: Look) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file, file.open("a", "w", force_zip64=True) as member:
        member.write(b"content")

    unpack(of(tmp_path, stream.getvalue()), out)

    assert look(out) == {"a": b"content"}


def test_names_are_read_as_the_format_says(make: Make) -> None:
    crc = struct.pack("<L", zlib.crc32(b"\x81"))
    named = b"\1" + crc + "ý".encode()
    unicode = struct.pack("<2H", 0x7075, len(named)) + named
    stale = unicode.replace(crc, b"\0\0\0\0")
    archive = make(
        Item("ü.txt"),
        Item(b"\x81.txt", flags=0),
        Item(b"\x81", flags=0, extra=unicode),
        Item(b"\x82", flags=0, extra=stale),
    )
    # The second is the first again, in the old code page.
    assert "'ü.txt' is there twice" in refused(archive, error=UnsafeArchive)
    archive = make(
        Item(b"\x81", flags=0, extra=unicode),
        Item(b"\x82", flags=0, extra=stale),
        Item(b"\x84", flags=0),
    )
    assert [found.path for found in members(archive)] == ["ý", "é", "ä"]


def test_a_folder_called_as_the_archive_is_left_out(make: Make) -> None:
    assert [found.path for found in members(make(Item("archive/a"), Item("archive/s/b")))] == [
        "a",
        "s/b",
    ]
    assert [found.path for found in members(make(Item("model-main/a")))] == ["model-main/a"]


def test_links_become_the_files_that_they_lead_to(make: Make, out: Path, look: Look) -> None:
    archive = make(
        symlink("s/up", "../a"), Item("a", b"content", mode=0o100755), symlink("again", "s/up")
    )

    unpack(archive, out)

    assert look(out) == {"s/up*": b"content", "a*": b"content", "again*": b"content"}


def test_an_archive_may_be_empty_or_have_a_comment(tmp_path: Path, make: Make, out: Path) -> None:
    assert unpack(make(), out) == ()
    for comment in (b"x" * 65535, b"PK\5\6" * 16000, raw()[:-1]):
        assert len(members(of(tmp_path, raw(A, comment=comment)))) == 1
    assert "cannot be read" in refused(of(tmp_path, raw(A, comment=raw())))


def test_only_some_are_unpacked_if_only_they_are_asked_for(
    make: Make, out: Path, look: Look
) -> None:
    unpack(make(A, Item("b", b"b"), Item("c", b"c")), out, only={"b"})

    assert look(out) == {"b": b"b"}


def test_an_archive_is_known_by_what_it_is_not_by_its_name(
    tmp_path: Path, make: Make, out: Path, look: Look
) -> None:
    archive = make(A).rename(tmp_path / "archive.tar.gz")

    unpack(archive, out)

    assert look(out) == {"a": A.content}


def test_names_of_archives() -> None:
    yes = [
        "a.zip",
        "A.ZIP",
        "a.tar",
        "a.tar.gz",
        "a.tgz",
        "a.tar.bz2",
        "a.tbz2",
        "a.tar.xz",
        "a.txz",
    ]
    no = ["zip", "a.gz", "a.zip.part", "a.tar.zst", "a.7z", "a.safetensors", "tar.gz.sig", ""]

    assert [name for name in yes + no if is_named_archive(name)] == yes


# What could do harm


OUTSIDE = [
    "../up",
    "a/../../up",
    "..",
    "/abs",
    "//abs",
    "a\0b",
    "",
    "\udcff",
    ".zoostore/x",
    "n" * 2000,
]
OUTSIDE += ["..\\up", "C:\\up", "a\\b", "d/" * 600 + "x"]


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("suffix", ["", "/"])
def test_names_that_lead_outside_are_refused(make: Make, name: str, suffix: str) -> None:
    if name + suffix == "/":
        pytest.skip("that is the folder itself")
    refused(make(A, Item(name + suffix)), error=UnsafeArchive)


@pytest.mark.parametrize(
    "parts",
    [
        [Item("x"), Item("x")],
        [Item("x"), Item("./x")],
        [Item("x"), symlink("x", "x")],
        [Item("x"), Item("x/")],
        [Item("x/"), Item("x")],
        [Item("x"), Item("x/b")],
        [Item("x/b"), Item("x")],
        [Item("x"), Item("X")],
        [Item("x/a"), Item("X/b")],
        [Item("é"), Item("e\u0301")],
    ],
)
def test_names_that_hide_each_other_are_refused(make: Make, parts: list[Item]) -> None:
    refused(make(*parts), error=UnsafeArchive)


LOST = [("l", "/etc/passwd"), ("l", "../up"), ("s/l", "../../up"), ("l", "s/../../up"), ("l", "")]
LOST += [("l", "l"), ("l", "missing"), ("l", "s"), ("l", "a\0"), ("l", "C:\\x"), ("l", "x" * 5000)]


@pytest.mark.parametrize(("link", "to"), LOST)
def test_links_that_lead_to_no_file_in_it_are_refused(make: Make, link: str, to: str) -> None:
    assert repr(link) in refused(make(A, Item("s/"), symlink(link, to)), error=UnsafeArchive)


def test_the_target_of_a_link_is_checked_though_it_is_packed(make: Make) -> None:
    bomb = Item("l", bytes(1 << 20), method=8, mode=stat.S_IFLNK, central={"size": 10})
    refused(make(A, bomb), error=UnsafeArchive)
    refused(make(symlink("l", "/etc/passwd", method=8)), error=UnsafeArchive)


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, 0o30000])
def test_what_is_no_file_no_folder_and_no_link_is_refused(make: Make, kind: int) -> None:
    assert "'x' is " in refused(make(A, Item("x", mode=kind)), error=UnsafeArchive)


def test_a_folder_has_no_content(make: Make) -> None:
    for item in (Item("x/", b"x"), Item("x", b"x", mode=stat.S_IFDIR), symlink("x/", "a")):
        assert "is a folder" in refused(make(A, item), error=UnsafeArchive)
    assert len(members(make(A, Item("x", mode=stat.S_IFDIR | 0o755), Item("x/b")))) == 2


@pytest.mark.parametrize("flag", [0x0001, 0x0040, 0x2000, 0x0020])
def test_what_is_encrypted_or_a_patch_cannot_be_read(make: Make, flag: int) -> None:
    assert "'secret' is " in refused(make(A, Item("secret", b"x", flags=flag)))


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 98])
def test_what_is_compressed_otherwise_cannot_be_read(make: Make, method: int) -> None:
    assert f"by method {method}" in refused(make(A, Item("x", b"x", method=method)))


DIFFERENT: dict[str, Item] = {
    "name": Item("a", local_name=b"b"),
    "length of name": Item("a", local_name=b"a/b"),
    "method": Item("a", b"abc", local={"method": 8}),
    "size": Item("a", b"abc", local={"size": 4}),
    "packed size": Item("a", b"abc", local={"packed": 2}),
    "checksum": Item("a", b"abc", local={"crc": 1}),
    "two sizes": Item("a", b"abc", central={"size": 2}, local={"size": 2}),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_headers_that_differ_are_refused(make: Make, what: str) -> None:
    refused(make(DIFFERENT[what]), error=UnsafeArchive)


def both(**said: int) -> dict[str, Mapping[str, int]]:
    return {"local": said, "central": said}


def test_a_member_that_is_more_than_it_says_is_refused(make: Make) -> None:
    zeros = bytes(1 << 20)
    for size in (0, 1, 1000, (1 << 20) - 1):
        item = Item("x", zeros, method=8, **both(size=size))  # type: ignore[arg-type]
        assert f"more than the {size} bytes" in refused(make(A, item), error=UnsafeArchive)


def test_a_member_that_is_less_or_other_than_it_says_is_damaged(make: Make) -> None:
    for said in ({"size": 4}, {"crc": 7}):
        item = Item("x", b"abc", method=8, local=said, central=said)
        assert "is damaged" in refused(make(A, item))
    assert "is damaged" in refused(make(Item("x", b"abc", **both(crc=7))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        deflated(b"abc")[:-1],
        deflated(b"abc") + b"more",
        b"\xff\xff\xff",
        deflated(b"x" * 99)[:3],
    ],
)
def test_content_that_is_broken_cannot_be_read(make: Make, packed: bytes) -> None:
    refused(make(A, Item("x", b"abc", method=8, packed=packed)))


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    kernel = Item("a", bytes(1 << 16), method=8)
    same = Item("b", bytes(1 << 16), method=8, packed=kernel.data)
    overlapped = raw(
        kernel, Item("a", kernel.content, method=8, packed=kernel.data, central={"offset": 0})
    )
    assert "shares bytes" in refused(of(tmp_path, overlapped), error=UnsafeArchive)

    quoted = raw(Item("a", local={"packed": 500}, central={"packed": 500}, method=8), same)
    assert "shares bytes" in refused(of(tmp_path, quoted), error=UnsafeArchive)

    into = Item("a", method=8, local={"packed": 2 + 1}, central={"packed": 2 + 1})
    assert "shares bytes" in refused(of(tmp_path, raw(into)), error=UnsafeArchive)


# Limits


def test_an_archive_may_hold_as_many_entries_as_the_limit(make: Make) -> None:
    archive = make(*(Item(f"s/{number}") for number in range(4)), Item("s/"))
    assert len(members(archive, Limits(entries=6))) == 4
    for most in (5, 4):
        message = refused(archive, Limits(entries=most), UnsafeArchive)
        assert f"more than {most} files and folders" in message


def test_an_archive_may_hold_as_many_bytes_as_the_limit(make: Make) -> None:
    archive = make(Item("a", bytes(1000)), Item("b", bytes(1000), method=8))
    assert len(members(archive, Limits(spare=2000, ratio=0))) == 2
    assert "more than 1999 bytes" in refused(archive, Limits(spare=1999, ratio=0), UnsafeArchive)


def test_a_link_counts_as_the_copy_it_becomes(make: Make) -> None:
    archive = make(Item("a", bytes(30_000)), symlink("b", "a"), symlink("c", "b"))
    refused(archive, Limits(spare=80_000, ratio=0), UnsafeArchive)
    assert len(members(archive, Limits(spare=100_000, ratio=0))) == 3


def peak_of(act: Callable[[], object]) -> int:
    """The most memory, in bytes, that Python had while it did something."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMBS: dict[str, Callable[[], bytes]] = {
    "size": lambda: raw(Item("a", bytes(1 << 24), method=8)),
    "claim": lambda: raw(Item("a", b"x", method=8, **both(size=1 << 31))),  # type: ignore[arg-type]
    "large claim": lambda: large(
        Item("a", extra=struct.pack("<2HQ", 1, 8, 1 << 63), central={"size": UNKNOWN}, method=8)
    ),
    "many": lambda: raw(*(Item(f"{number}") for number in range(1000))),
    "count": lambda: raw(A, end={"count": 65535}),
    "large count": lambda: large(A, end={"count": 1 << 60}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, bomb: str) -> None:
    archive = of(tmp_path, BOMBS[bomb]())

    assert peak_of(lambda: refused(archive, FEW, UnsafeArchive)) < 6 << 20


def test_a_long_member_is_unpacked_in_little_memory(make: Make, out: Path) -> None:
    archive = make(Item("a", bytes(1 << 25), method=8))

    assert peak_of(lambda: unpack(archive, out)) < 8 << 20
    assert (out / "a").stat().st_size == 1 << 25


# What cannot be read


BROKEN: dict[str, bytes] = {
    "no end": raw(A)[:-22],
    "end cut off": raw(A)[:-1],
    "something behind the end": raw(A) + b"x",
    "something before": b"PK\3\4" + raw(A),
    "another part": raw(A, end={"disk": 1}),
    "part of a member": raw(Item("a", central={"disk": 3})),
    "too few members": raw(A, Item("b"), end={"count": 1}),
    "too many members": raw(A, end={"count": 2}),
    "directory elsewhere": raw(A, end={"start": 0}),
    "directory too long": raw(A, end={"length": 400}),
    "directory behind the file": raw(A, end={"start": 1 << 30, "length": 1}),
    "member elsewhere": raw(A, Item("b", central={"offset": 3})),
    "member behind the file": raw(Item("a", central={"offset": 1 << 30})),
    "large record elsewhere": large(A, end={"at": 0}),
    "large record behind the file": large(A, end={"at": 1 << 40}),
    "large record of another length": large(A, end={"length": 45}),
    "large directory elsewhere": large(A, end={"start": 1}),
    "large size missing": raw(Item("a", extra=struct.pack("<2H", 1, 0), central={"size": UNKNOWN})),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_zip_file_is_an_error(tmp_path: Path, what: str) -> None:
    assert "cannot be read" in refused(of(tmp_path, BROKEN[what]))


def test_an_archive_that_was_cut_off_or_changed_anywhere_is_an_error_or_the_same(
    tmp_path: Path,
) -> None:
    data = raw(A, Item("b", b"b" * 300, method=8))
    for length in range(4, len(data)):
        archive = of(tmp_path, data[:length])
        with pytest.raises(MalformedObject):
            members(archive)
    usual = {member.size for member in members(of(tmp_path, data))}
    for position in range(len(data)):
        of(tmp_path, data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        with contextlib.suppress(MalformedObject):
            assert {member.size for member in members(archive)} == usual


# Anything


SEEDS = [
    raw(Item("top/"), Item("top/a", b"x" * 600, mode=0o100755), symlink("top/l", "a")),
    raw(
        Item("a", b"y" * 90, method=8),
        Item("b/c", b"z", flags=0x0808, after=b"PK\7\10" + bytes(12)),
    ),
    large(Item("a", b"y", extra=struct.pack("<2HQ", 1, 8, 1), central={"size": UNKNOWN})),
]

changes = st.lists(
    st.tuples(st.integers(0, 4000), st.binary(max_size=6), st.integers(0, 6)), max_size=4
)


def changed(data: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    for place, put, cut in changes:
        place %= len(data) + 1
        data = data[:place] + put + data[place + cut :]
    return data


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(SEEDS), changes)
def test_whatever_the_bytes_are_nothing_but_two_errors_and_files_below_the_folder_come_out(
    tmp_path_factory: pytest.TempPathFactory, seed: bytes, inner: list[tuple[int, bytes, int]]
) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    out = place / "around" / "out"
    out.mkdir(parents=True)
    archive = of(place, b"PK" + changed(seed, inner)[2:])
    try:
        listed = members(archive, FEW)
        written = unpack(archive, out, limits=FEW)
    except MalformedObject as error:
        kind = type(error)
    else:
        kind = MalformedObject
        found = {path.relative_to(out).as_posix(): path for path in out.rglob("*")}
        sizes = {name: path.lstat().st_size for name, path in found.items() if path.is_file()}
        assert sizes == {member.path: member.size for member in listed}
        assert written == listed
        assert not any(path.is_symlink() for path in found.values())
    assert kind in (MalformedObject, UnsafeArchive)
    assert sorted(path.name for path in place.iterdir()) == ["archive.zip", "around"]
    assert [path.name for path in (place / "around").iterdir()] == ["out"]
