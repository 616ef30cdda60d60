"""Archives: what is in them comes out whole, and what could do harm does not come out at all."""

from __future__ import annotations

import bz2
import errno
import functools
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoostore.errors import MalformedObject, SpecialFile, UnknownPath, UnsafeArchive, UnsafePath
from zoostore.files.archive import SUFFIX, Member, members, pack, unpack
from zoostore.files.entries import DEFAULT_LIMITS, Limits

Part = tuple[tarfile.TarInfo, bytes]
Format = Literal[0, 1, 2]
Packed = list[tuple[str, Path]]
Look = Callable[[Path], dict[str, bytes | str | None]]

END = bytes(1024)
FEW = Limits(entries=50, spare=1 << 16, ratio=1)


def member(
    name: str,
    content: bytes = b"",
    *,
    type: bytes = tarfile.REGTYPE,
    link: str = "",
    mode: int = 0o644,
    size: int | None = None,
    pax: Mapping[str, str] | None = None,
) -> Part:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = type, link, mode
    info.size = len(content) if size is None else size
    info.pax_headers = dict(pax or {})
    return info, content


def folder(name: str) -> Part:
    return member(name, type=tarfile.DIRTYPE)


def symlink(name: str, to: str) -> Part:
    return member(name, type=tarfile.SYMTYPE, link=to)


def hardlink(name: str, to: str) -> Part:
    return member(name, type=tarfile.LNKTYPE, link=to)


def raw(*parts: Part, format: Format = tarfile.PAX_FORMAT, end: bytes = END) -> bytes:
    """A tar file that holds these, whatever they are."""
    blocks = []
    for info, content in parts:
        blocks += [info.tobuf(format, "utf-8", "surrogateescape"), content]
        blocks.append(bytes(-len(content) % 512))
    return b"".join(blocks) + end


def extension(type: bytes, content: bytes, size: int | None = None) -> bytes:
    """An extended header, as it is before the header of its member."""
    return raw(member("ext", content, type=type, size=size), format=tarfile.GNU_FORMAT, end=b"")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes `archive.tar.gz`."""
    return lambda *parts: write(tmp_path / "archive.tar.gz", raw(*parts))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "around" / "out").mkdir(parents=True)
    return tmp_path / "around" / "out"


def everything(root: Path) -> list[tuple[str, int, int]]:
    """All that is below a folder, with what would show that it was touched."""
    paths = sorted(root.rglob("*"))
    return [(str(path), path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths]


def refused(
    archive: Path, limits: Limits = DEFAULT_LIMITS, error: type[MalformedObject] = MalformedObject
) -> str:
    """Why nothing can be read or unpacked. Nothing in or around the folder was touched."""
    out = archive.parent / "around" / "out"
    out.mkdir(parents=True, exist_ok=True)
    before = everything(archive.parent)
    with pytest.raises(MalformedObject) as listed:
        members(archive, limits)
    with pytest.raises(MalformedObject) as unpacked:
        unpack(archive, out, limits=limits)
    assert everything(archive.parent) == before
    for raised in (listed, unpacked):
        assert type(raised.value) is error
        assert raised.value.facts == {"path": str(archive)}
        assert str(archive) in raised.value.message
        assert raised.value.message.endswith("It was not unpacked.")
    assert listed.value.message == unpacked.value.message
    return unpacked.value.message


# What is in an archive


@pytest.fixture
def files(tmp_path: Path) -> Packed:
    contents: dict[str, bytes] = {
        "0.npz": b"zero",
        "sub/ü/" + "long" * 60: b"long" * 1000,
        "run*": b"#!",
        "empty": b"",
        "block": bytes(range(256)) * 2,
    }
    packed = []
    for number, (name, content) in enumerate(contents.items()):
        path = tmp_path / f"source{number}"
        path.write_bytes(content)
        path.chmod(0o700 if name.endswith("*") else 0o600)
        packed.append((name.rstrip("*"), path))
    return packed


def test_what_was_packed_is_listed_and_unpacked_in_its_order(
    tmp_path: Path, out: Path, files: Packed, look: Look
) -> None:
    archive = tmp_path / f"inputs{SUFFIX}"
    pack(files, archive, top="inputs")

    found = members(archive)
    assert found == tuple(Member(name, path.stat().st_size, name == "run") for name, path in files)
    assert unpack(archive, out) == found
    assert look(out) == {name + "*" * (name == "run"): path.read_bytes() for name, path in files}


def test_other_tools_read_what_was_packed(tmp_path: Path, files: Packed) -> None:
    archive = tmp_path / "inputs.tar.gz"
    pack(files, archive, top="inputs")

    with tarfile.open(archive) as tar:
        infos = tar.getmembers()
    assert [info.name for info in infos] == [f"inputs/{name}" for name, _ in files]
    for info in infos:
        assert info.isreg()
        assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
        assert info.mode == (0o755 if info.name == "inputs/run" else 0o644)


def test_the_same_files_give_the_same_bytes(tmp_path: Path, files: Packed) -> None:
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    pack(files, first, top="inputs")
    for _, path in files:
        os.utime(path, (1, 1))
    pack(iter(files), second, top="inputs")

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[4:8] == bytes(4), "no time in the header of gzip"
    pack(files[::-1], second, top="inputs")
    assert first.read_bytes() != second.read_bytes()


def test_an_archive_is_replaced_when_the_new_one_is_whole(tmp_path: Path, files: Packed) -> None:
    archive = tmp_path / "inputs.tar.gz"
    pack(files, archive, top="inputs")
    before, content = everything(tmp_path), archive.read_bytes()

    def failing() -> Iterator[tuple[str, Path]]:
        yield from files
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        pack(failing(), archive, top="inputs")
    assert everything(tmp_path) == before

    pack(files[:1], archive, top="inputs")
    assert archive.read_bytes() != content
    assert [path for path, *_ in everything(tmp_path)] == [path for path, *_ in before]


@pytest.mark.parametrize(
    ("names", "top"),
    [
        (["../up"], "top"),
        (["/absolute"], "top"),
        (["a//b"], "top"),
        (["./a"], "top"),
        (["a/"], "top"),
        ([""], "top"),
        (["\udc80"], "top"),
        (["a"], ".."),
        (["a"], ""),
        (["a", "a"], "top"),
        (["a", "A"], "top"),
        (["a", "a/b"], "top"),
    ],
)
def test_names_that_could_not_be_read_again_are_not_packed(
    tmp_path: Path, files: Packed, names: list[str], top: str
) -> None:
    before = everything(tmp_path)
    with pytest.raises(UnsafePath):
        pack([(name, files[0][1]) for name in names], tmp_path / "a.tar.gz", top=top)
    assert everything(tmp_path) == before


def test_only_regular_files_are_packed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(SpecialFile):
            pack([("name", path)], tmp_path / "a.tar.gz", top="a")
    with pytest.raises(FileNotFoundError):
        pack([("name", tmp_path / "missing")], tmp_path / "a.tar.gz", top="a")
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".tar", bytes),
        (".tgz", gzip.compress),
        (".tar.bz2", bz2.compress),
        (".tar.xz", lzma.compress),
        (".tar.xz", lambda data: lzma.compress(data[:700]) + lzma.compress(data[700:])),
        (".TAR.LZMA", lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
        (".tar.gz", lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]) + END),
    ],
)
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar_file_can_be_read(
    tmp_path: Path, out: Path, suffix: str, compress: Callable[[bytes], bytes], format: Format
) -> None:
    long = "/".join(["folder" * 5] * 6)
    names = ["inputs/a", "inputs/" + long + "/b", "inputs/c"]
    archive = tmp_path / f"inputs{suffix}"
    archive.write_bytes(compress(raw(*(member(name, b"x" * 513) for name in names), format=format)))

    assert unpack(archive, out) == tuple(
        Member(name.removeprefix("inputs/"), 513, False) for name in names
    )
    assert (out / long / "b").read_bytes() == b"x" * 513


def test_what_tarfile_and_tar_write_can_be_read(tmp_path: Path, out: Path, files: Packed) -> None:
    """With times that are no whole seconds, owners, folders, and a link."""
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = tmp_path / "inputs.tar.bz2"
        with tarfile.open(archive, "w:bz2", format=format) as tar:
            tar.add(
                tmp_path, "./inputs", filter=lambda info: info if "bz2" not in info.name else None
            )
        assert {found.path for found in members(archive)} == {path.name for _, path in files}


def test_long_links_are_read_in_both_formats(tmp_path: Path) -> None:
    name = "n" * 200
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = write(
            tmp_path / "a.tar.gz", raw(member(name, b"x"), hardlink("l" * 200, name), format=format)
        )
        assert members(archive) == (Member(name, 1, False), Member("l" * 200, 1, False))


def test_global_headers_are_passed_over(tmp_path: Path) -> None:
    header = extension(tarfile.XGLTYPE, b"17 comment=hello\n")
    archive = write(tmp_path / "a.tar.gz", header + header + raw(member("name", b"x")))

    assert members(archive) == (Member("name", 1, False),)


def test_an_archive_that_holds_nothing_has_no_members(tmp_path: Path, out: Path) -> None:
    archive = write(tmp_path / "archive.tar.gz", raw(folder("archive"), folder("archive/empty")))

    assert members(archive) == unpack(archive, out) == ()
    assert list(out.iterdir()) == []


def test_modes_follow_the_umask_and_nothing_else(make: Callable[..., Path], out: Path) -> None:
    archive = make(member("set", mode=0o7777), member("plain", mode=0o066), member("none", mode=0))
    old = os.umask(0o027)
    try:
        unpack(archive, out)
    finally:
        os.umask(old)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert modes == {"set": 0o750, "plain": 0o640, "none": 0o640}


# Paths


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        ("./name", "name"),
        ("a//b", "a/b"),
        ("a/./b", "a/b"),
        ("././a", "a"),
        ("name/", "name"),
        ("...", "..."),
        ("a\\b", "a\\b"),
        ("ü", "ü"),
        ("new\nline", "new\nline"),
    ],
)
def test_a_name_has_one_form(make: Callable[..., Path], out: Path, stored: str, path: str) -> None:
    archive = make(member(stored, b"x"))

    assert unpack(archive, out) == (Member(path, 1, False),)
    assert (out / path).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["inputs/0", "inputs/1"], ["0", "1"]),
        (["inputs/0"], ["0"]),
        (["inputs"], ["inputs"]),
        (["inputs/inputs"], ["inputs"]),
        (["tmp/x/inputs/0", "./tmp/x/inputs/a/1"], ["0", "a/1"]),
        (["inputs/inputs/0", "inputs/inputs/1"], ["0", "1"]),
        (["inputs/a/inputs/b/0"], ["b/0"]),
        (["inputs/0", "inputs/inputs/1"], ["0", "inputs/1"]),
        (["inputs/0", "other/1"], ["inputs/0", "other/1"]),
        (["inputs/0", "inputs2/1"], ["inputs/0", "inputs2/1"]),
        (["other/0", "other/1"], ["other/0", "other/1"]),
        (["INPUTS/0"], ["INPUTS/0"]),
        (["inputs.tar/0"], ["inputs.tar/0"]),
    ],
)
def test_paths_begin_below_the_folder_called_as_the_archive_is(
    tmp_path: Path, names: list[str], paths: list[str]
) -> None:
    for suffix in (".tar.gz", ".tgz", ".tar", ".tar.zst", ".TXZ", ""):
        archive = write(tmp_path / f"inputs{suffix}", raw(*(member(name) for name in names)))
        assert [found.path for found in members(archive)] == paths


def test_folders_and_links_count_as_what_they_are_for_the_common_folder(tmp_path: Path) -> None:
    archive = tmp_path / "in.tar.gz"
    write(archive, raw(folder("other"), member("in/0", b"0"), symlink("in/1", "0")))
    assert [found.path for found in members(archive)] == ["0", "1"]
    write(archive, raw(member("in/0", b"0"), symlink("1", "in/0")))
    assert [found.path for found in members(archive)] == ["in/0", "1"]


# Choosing


def test_only_what_was_chosen_is_written(make: Callable[..., Path], out: Path, look: Look) -> None:
    archive = make(member("a", b"a"), member("b/c", b"c"), hardlink("b/d", "a"), member("e", b"e"))

    assert unpack(archive, out, only=["b/d", "b/c"]) == (
        Member("b/c", 1, False),
        Member("b/d", 1, False),
    )
    assert look(out) == {"b/c": b"c", "b/d": b"a"}
    assert unpack(archive, out, only=()) == ()
    assert [found.path for found in unpack(archive, out, only={"e"})] == ["e"]


def test_a_choice_that_is_not_in_the_archive_is_an_error(
    make: Callable[..., Path], out: Path
) -> None:
    with pytest.raises(UnknownPath, match="'b'"):
        unpack(make(member("a")), out, only=["a", "b"])
    assert list(out.iterdir()) == []


def test_a_file_that_is_there_is_not_replaced(make: Callable[..., Path], out: Path) -> None:
    (out / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        unpack(make(member("a", b"new")), out)
    assert (out / "a").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["link/a", "link"])
def test_a_link_in_the_folder_is_not_followed(
    make: Callable[..., Path], tmp_path: Path, out: Path, name: str
) -> None:
    (tmp_path / "outside").mkdir()
    (out / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        unpack(make(member(name, b"x")), out)
    assert list((tmp_path / "outside").iterdir()) == []


def test_two_archives_fit_in_one_folder(tmp_path: Path, out: Path, look: Look) -> None:
    for name in ("a", "b"):
        unpack(write(tmp_path / f"{name}.tar.gz", raw(member(f"sub/{name}", b"x"))), out)
    assert look(out) == {"sub/a": b"x", "sub/b": b"x"}


# Links


def test_a_link_is_a_copy_of_the_file_it_leads_to(make: Callable[..., Path], out: Path) -> None:
    archive = make(
        symlink("sub/early", "../run"),
        member("run", b"#!" * 999, mode=0o755),
        hardlink("./sub/hard", "./run"),
        symlink("sub/chain", "./hard"),
    )

    assert [found.path for found in unpack(archive, out)] == [
        *("sub/early", "run", "sub/hard", "sub/chain"),
    ]
    for name in ("run", "sub/early", "sub/hard", "sub/chain"):
        status = (out / name).lstat()
        assert stat.S_ISREG(status.st_mode)
        assert (status.st_nlink, status.st_mode & 0o100) == (1, 0o100)
        assert (out / name).read_bytes() == b"#!" * 999


def chain(length: int) -> list[Part]:
    links = [symlink(f"{number:03}", f"{number + 1:03}") for number in range(length)]
    return [*links, member(f"{length:03}", b"x")]


def test_a_chain_of_links_may_be_forty_long(make: Callable[..., Path]) -> None:
    assert len(members(make(*chain(40)))) == 41
    assert "'000' leads to no file within 40 links" in refused(
        make(*chain(41)), error=UnsafeArchive
    )


A = member("a", b"x")


@pytest.mark.parametrize(
    "parts",
    [
        [A, symlink("l", "/etc/passwd")],
        [A, symlink("l", "../a")],
        [A, symlink("s/l", "../../a")],
        [A, folder("s"), symlink("l", "s/../a")],
        [A, symlink("l", "missing")],
        [A, symlink("l", "")],
        [A, symlink("l", ".")],
        [A, symlink("s/l", "..")],
        [A, folder("s"), symlink("l", "s")],
        [member("s/a"), symlink("l", "s")],
        [A, symlink("l", "l")],
        [A, symlink("l", "m"), symlink("m", "l")],
        [member("s/a"), symlink("d", "s"), symlink("l", "d/a")],
        [A, symlink("l", "C:\\a")],
        [A, hardlink("l", "/etc/passwd")],
        [A, hardlink("l", "../a")],
        [A, hardlink("s/l", "../a")],
        [A, hardlink("l", "missing")],
        [A, hardlink("l", "")],
        [A, hardlink("l", "l")],
        [A, folder("s"), hardlink("l", "s")],
        [member("s/a"), hardlink("s/l", "a")],
    ],
)
def test_a_link_that_leads_to_no_file_of_the_archive_is_refused(
    make: Callable[..., Path], parts: list[Part]
) -> None:
    message = refused(make(*parts), error=UnsafeArchive)
    assert "The link" in message
    assert any(repr(info.name) in message for info, _ in parts if info.linkname or not info.isreg())


def test_a_link_cannot_be_written_through(make: Callable[..., Path]) -> None:
    """The way out that extraction by name falls for."""
    refused(make(symlink("l", "../.."), member("l/evil", b"x")), error=UnsafeArchive)
    refused(make(A, symlink("l", "a"), member("l", b"x")), error=UnsafeArchive)
    refused(make(A, hardlink("l", "a"), member("l/x", b"x")), error=UnsafeArchive)


# What is refused


@pytest.mark.parametrize(
    "name",
    [
        "/absolute",
        "//absolute",
        "../up",
        "a/../b",
        "a/..",
        "..",
        ".",
        "./",
        ".zoostore/state",
        "a/.ZooStore",
        "n" * 1021,
        "n/" * 512 + "n",
        ("n" * 900 + "/") * 5 + "n",
        "\udc80",
        "/",
    ],
)
def test_a_name_that_no_snapshot_may_hold_is_refused(make: Callable[..., Path], name: str) -> None:
    assert repr(name)[:40] in refused(make(A, member(name, b"x")), error=UnsafeArchive)


@pytest.mark.parametrize("name", ["/absolute", "..", "a/../..", ".zoostore"])
def test_a_folder_of_such_a_name_is_refused_too(make: Callable[..., Path], name: str) -> None:
    refused(make(A, folder(name)), error=UnsafeArchive)


def test_the_name_of_a_long_header_counts(tmp_path: Path) -> None:
    plain = raw(member("plain", b"x"))
    for type, content in {
        tarfile.GNUTYPE_LONGNAME: b"../up\0",
        tarfile.XHDTYPE: b"14 path=../up\n",
        tarfile.SOLARIS_XHDTYPE: b"14 path=../up\n",
    }.items():
        archive = write(tmp_path / "a.tar.gz", extension(type, content) + plain)
        assert "'../up'" in refused(archive, error=UnsafeArchive)
    nul = extension(tarfile.XHDTYPE, b"12 path=a\0b\n")
    assert "NUL" in refused(write(tmp_path / "a.tar.gz", nul + plain), error=UnsafeArchive)


@pytest.mark.parametrize(
    "parts",
    [
        [member("a"), member("a")],
        [member("a"), member("./a")],
        [member("a"), symlink("a", "a")],
        [member("a"), folder("a")],
        [folder("a"), member("a")],
        [member("a"), member("a/b")],
        [member("a/b"), member("a")],
        [member("a"), folder("a/b")],
        [member("a"), member("A")],
        [member("x/a"), member("X/b")],
        [folder("x"), folder("X")],
        [member("é"), member("e\u0301")],
        [member("ß"), member("ss")],
    ],
)
def test_names_that_hide_each_other_are_refused(
    make: Callable[..., Path], parts: list[Part]
) -> None:
    message = refused(make(*parts), error=UnsafeArchive)
    assert repr(parts[0][0].name.split("/")[0])[1:-1] in message


def test_a_folder_may_be_named_twice(make: Callable[..., Path]) -> None:
    archive = make(member("s/a"), folder("s"), folder("s/"), folder("./"), member("s/b"))
    assert [found.path for found in members(archive)] == ["s/a", "s/b"]


@pytest.mark.parametrize(
    "type", [b"3", b"4", b"6", b"S", b"D", b"M", b"N", b"V", b"Z", b"8", b"\xff"]
)
def test_what_is_no_file_no_folder_and_no_link_is_refused(
    make: Callable[..., Path], type: bytes
) -> None:
    assert "'strange'" in refused(make(A, member("strange", type=type)), error=UnsafeArchive)


def test_a_sparse_file_is_refused(make: Callable[..., Path]) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "real"}
    archive = make(member("holes", b"0\n" + bytes(510), pax=sparse))
    assert "'holes' is a sparse file" in refused(archive, error=UnsafeArchive)


# Limits


def test_an_archive_may_hold_as_many_entries_as_the_limit(make: Callable[..., Path]) -> None:
    archive = make(*(member(f"s/{number}") for number in range(4)), folder("s"))
    assert len(members(archive, Limits(entries=6))) == 4
    assert "more than 5 files and folders" in refused(archive, Limits(entries=5), UnsafeArchive)


@pytest.mark.parametrize(
    "parts",
    [
        [folder("s")] * 60,
        [member("a/" * 60 + "b")],
        [member("a"), *(hardlink(f"l{number}", "a") for number in range(60))],
    ],
    ids=["one folder", "one path", "links"],
)
def test_repeated_folders_folders_without_headers_and_links_count(
    make: Callable[..., Path], parts: list[Part]
) -> None:
    refused(make(*parts), FEW, UnsafeArchive)


def test_an_archive_may_hold_as_many_bytes_as_the_limit(make: Callable[..., Path]) -> None:
    archive = make(member("a", bytes(1000)), member("b", bytes(1000)))
    size = archive.stat().st_size
    assert len(members(archive, Limits(spare=2000, ratio=0))) == 2
    assert len(members(archive, Limits(spare=2000 - 2 * size, ratio=2))) == 2
    assert "more than 1999 bytes" in refused(archive, Limits(spare=1999, ratio=0), UnsafeArchive)


def test_a_link_counts_as_the_copy_it_becomes(make: Callable[..., Path]) -> None:
    archive = make(member("a", bytes(30_000)), hardlink("b", "a"), symlink("c", "b"))
    refused(archive, FEW, UnsafeArchive)
    assert len(members(archive, Limits(spare=100_000, ratio=0))) == 3


def peak_of(act: Callable[[], object]) -> int:
    """The most memory, in bytes, that Python had while it did something."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ZEROS = 1 << 24
GNU: Format = tarfile.GNU_FORMAT
BOMBS: dict[str, Callable[[], bytes]] = {
    "size": lambda: raw(member("a", bytes(ZEROS))),
    "claim": lambda: raw(member("a", b"x", size=1 << 60), format=GNU),
    "below zero": lambda: raw(member("a", size=-512), format=GNU),
    "claim in pax": lambda: raw(member("a", pax={"size": "9" * 19})),
    "long claim in pax": lambda: raw(member("a", pax={"size": "9" * 9999})),
    "strange claim in pax": lambda: raw(member("a", pax={"size": "²"})),
    "pax": lambda: extension(tarfile.XHDTYPE, b"", size=10 << 30),
    "pax below zero": lambda: extension(tarfile.XHDTYPE, b"", size=-1),
    "name": lambda: extension(tarfile.GNUTYPE_LONGNAME, bytes(ZEROS)),
    "link": lambda: extension(tarfile.GNUTYPE_LONGLINK, bytes(ZEROS)),
    "global": lambda: extension(tarfile.XGLTYPE, bytes(ZEROS)),
    "tail": lambda: END + bytes(ZEROS),
    "headers": lambda: extension(tarfile.XHDTYPE, b"") * 2500,
    "many": lambda: b"".join(raw(member(f"{number}"), end=b"") for number in range(1000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, bomb: str) -> None:
    archive = write(tmp_path / "bomb.tar.gz", BOMBS[bomb]())

    assert peak_of(lambda: refused(archive, FEW, UnsafeArchive)) < 6 << 20


def test_a_bomb_is_refused_before_it_is_decompressed(tmp_path: Path) -> None:
    """What follows is not even gzip."""
    packer = zlib.compressobj(wbits=31)
    header = raw(member("a", size=1 << 60), format=tarfile.GNU_FORMAT, end=bytes(1 << 20))
    start = packer.compress(header)
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(start + packer.flush(zlib.Z_SYNC_FLUSH) + b"\xff" * 100)
    refused(archive, error=UnsafeArchive)


def test_extended_headers_may_be_long_but_not_all_of_them(tmp_path: Path) -> None:
    comment = b"65500 comment=" + bytes(65485) + b"\n"
    header = extension(tarfile.XHDTYPE, comment)
    long = header + raw(A, end=b"") + header + raw(member("b"))
    archive = write(tmp_path / "a.tar.gz", long)
    assert len(members(archive, FEW)) == 2
    write(archive, header * 20 + raw(A))
    assert "extended headers are too" in refused(archive, FEW, UnsafeArchive)
    write(archive, extension(tarfile.GNUTYPE_LONGNAME, b"n" * ((1 << 20) + 1)) + raw(A))
    assert "A header claims 1048577 bytes" in refused(archive, error=UnsafeArchive)


def test_a_header_that_takes_tarfile_forever_is_read_at_once(tmp_path: Path) -> None:
    """Digits for the expression of CVE-2024-6232; the records in records after it, for memory."""
    for content in (b"1" * (1 << 20), b"5 a=\n" + b"5 a" * (1 << 18)):
        archive = write(tmp_path / "a.tar.gz", extension(tarfile.XHDTYPE, content) + raw(A))
        assert peak_of(functools.partial(refused, archive)) < 6 << 20


def test_an_archive_cannot_ask_for_the_memory_of_its_decompressor(tmp_path: Path) -> None:
    """Source: the .xz file format, 3.1 "Block Header" and 5.3.1 "LZMA2"."""
    data = bytearray(lzma.compress(raw(A)))
    assert data[14:16] == b"\x21\x01", "the filter is LZMA2, with one byte that says how much"
    data[16] = 38  # 2 GiB
    end = 12 + (data[12] + 1) * 4
    data[end - 4 : end] = struct.pack("<I", zlib.crc32(data[12 : end - 4]))
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(data)
    assert "Memory usage limit exceeded" in refused(archive)


# What cannot be read


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"PK\x03\x04" + bytes(1000),
        b"\x1f\x8b",
        b"\x1f\x8b\x08" + bytes(100),
        b"BZh91AY&SY" + bytes(100),
        b"\xfd7zXZ\0" + bytes(100),
        b"\x5d\0\0\x80" + bytes(100),
        b"x" * 2000,
        gzip.compress(b"", mtime=0),
        gzip.compress(b"x" * 2000, mtime=0),
        raw(A, end=b""),
        raw(A)[:700],
        raw(A)[:200],
        raw(A, end=b"x" * 1024),
        raw(A, end=b"") + bytes(100),
        extension(tarfile.XHDTYPE, b"14 path=name\n"),
        extension(tarfile.XHDTYPE, b"99999 path=name\n") + raw(A),
        extension(tarfile.XHDTYPE, b"0 path=name\n") + raw(A),
        extension(tarfile.XHDTYPE, b"-1 path=name\n") + raw(A),
        extension(tarfile.XHDTYPE, b"9 noequals\n") + raw(A),
        extension(tarfile.GNUTYPE_LONGNAME, b"", size=5000) + raw(A),
    ],
)
def test_what_is_no_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(data)
    assert "cannot be read" in refused(archive)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_that_was_cut_off_or_changed_anywhere_is_an_error(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(raw(member("a", os.urandom(300))))
    archive = tmp_path / "a.tar.gz"
    for length in range(0, len(data), 7):
        archive.write_bytes(data[:length])
        with pytest.raises(MalformedObject):
            members(archive)
    for position in range(20, len(data) - 4, 7):
        changed = data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
        archive.write_bytes(changed)
        if not says_the_same_in_bzip2(changed, data):
            with pytest.raises(MalformedObject):
                members(archive)


def says_the_same_in_bzip2(changed: bytes, data: bytes) -> bool:
    """Whether a bit was changed that means nothing: a code of a symbol that does not occur."""
    try:
        return bz2.decompress(changed) == bz2.decompress(data)
    except (OSError, ValueError):
        return False


def test_a_missing_file_is_not_an_archive_and_neither_is_a_folder(
    tmp_path: Path, out: Path
) -> None:
    for act in (members, lambda path: unpack(path, out)):
        with pytest.raises(UnknownPath):
            act(tmp_path / "missing.tar.gz")
    os.mkfifo(tmp_path / "fifo.tar.gz")
    (tmp_path / "folder.tar.gz").mkdir()
    for name in ("fifo", "folder"):
        assert "no regular file" in refused(tmp_path / f"{name}.tar.gz")


def test_an_error_of_the_disk_is_not_one_of_the_archive(
    make: Callable[..., Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make(A)

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(gzip.GzipFile, "read", failing)
        with pytest.raises(OSError, match="Input/output"):
            members(archive)
    monkeypatch.setattr(os, "mkdir", failing)
    with pytest.raises(OSError, match="Input/output"):
        unpack(make(member("s/a")), out)


def test_a_name_that_the_file_system_cannot_hold_is_the_archives_fault(
    make: Callable[..., Path], out: Path
) -> None:
    archive = make(member("n" * 1000, b"x"))
    assert len(members(archive)) == 1
    with pytest.raises(UnsafeArchive, match="The file system cannot hold 'nnn"):
        unpack(archive, out)


def test_an_archive_that_changes_between_plan_and_content_is_an_error(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(raw(member("a", b"x"), member("b", b"y")))

    def swap(tree: object) -> None:
        archive.write_bytes(raw(member("a", b"x"), member("b", b"longer")))

    monkeypatch.setattr("zoostore.files.archive._check_twins", swap)
    with pytest.raises(MalformedObject, match="changed while it was read"):
        unpack(archive, out)


# Anything


SEEDS = [
    raw(folder("top"), member("top/a", b"x" * 600, mode=0o755), symlink("top/l", "a")),
    raw(member("n" * 150, b"y"), hardlink("l", "n" * 150), format=tarfile.GNU_FORMAT),
    raw(member("ü" * 80, b"y"), symlink("s/l" * 50, "a"), member("b", pax={"comment": "c"})),
]


def checksummed(data: bytes) -> bytes:
    """With all checksums right again, so that what was changed is looked at."""
    blocks = [bytearray(data[start : start + 512]) for start in range(0, len(data), 512)]
    for block in blocks:
        if block[257:262] == b"ustar" and len(block) == 512:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


changes = st.lists(
    st.tuples(st.integers(0, 4000), st.binary(max_size=12), st.integers(0, 12)), max_size=4
)
packers = st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress])


def changed(data: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    for place, put, cut in changes:
        place %= len(data) + 1
        data = data[:place] + put + data[place + cut :]
    return data


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(SEEDS), changes, st.booleans(), packers, changes)
def test_whatever_the_bytes_are_nothing_but_two_errors_and_files_below_the_folder_come_out(
    tmp_path_factory: pytest.TempPathFactory,
    seed: bytes,
    inner: list[tuple[int, bytes, int]],
    mend: bool,
    packer: Callable[[bytes], bytes],
    outer: list[tuple[int, bytes, int]],
) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    out = place / "around" / "out"
    out.mkdir(parents=True)
    archive = place / "top.tar.gz"
    tar = changed(seed, inner)
    archive.write_bytes(changed(packer(checksummed(tar) if mend else tar), outer))
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
    assert sorted(path.name for path in place.iterdir()) == ["around", "top.tar.gz"]
    assert [path.name for path in (place / "around").iterdir()] == ["out"]


def test_tarfile_finds_the_same_files(tmp_path: Path) -> None:
    """What is read here of the seeds is what the library's own reader reads."""
    for seed in [*SEEDS[:2], raw(member("s/a", b"1"), folder("t"), member("ü" * 80, b"22"))]:
        archive = write(tmp_path / "other.tar.gz", seed)
        with tarfile.open(fileobj=io.BytesIO(seed)) as tar:
            expected = [info.name for info in tar if not info.isdir()]
        assert [found.path for found in members(archive)] == expected
