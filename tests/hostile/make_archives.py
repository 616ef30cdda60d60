"""Makes the archives in `archives/`: `python -m tests.hostile.make_archives`.

What each is, and what must become of it, is said in `archives.txt`, a line for each.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent / "archives"
END = bytes(1024)
LONG = "n" * 255
SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 62)}
Format = Literal[0, 1, 2]


# Tar


def tar_member(
    name: str,
    content: bytes = b"",
    type: bytes = tarfile.REGTYPE,
    link: str = "",
    size: int | None = None,
    pax: Mapping[str, str] | None = None,
    format: Format = tarfile.PAX_FORMAT,
) -> bytes:
    """A member, whatever it is."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, link
    info.size = len(content) if size is None else size
    info.pax_headers = dict(pax or {})
    head = info.tobuf(format, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % 512)


def gz(*members: bytes, end: bytes = END) -> bytes:
    return gzip.compress(b"".join(members) + end, mtime=0)


def named(*names: str) -> bytes:
    """Files of these names."""
    return gz(*(tar_member(name, b"x") for name in names))


def link(name: str, to: str) -> bytes:
    return tar_member(name, type=tarfile.SYMTYPE, link=to)


def hard(name: str, to: str) -> bytes:
    return tar_member(name, type=tarfile.LNKTYPE, link=to)


def extended(records: bytes, size: int | None = None) -> bytes:
    """A pax header with anything in it."""
    return tar_member("pax", records, tarfile.XHDTYPE, size=size, format=tarfile.GNU_FORMAT)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while length != len(key) + len(value) + 3 + len(str(length)):
        length = len(key) + len(value) + 3 + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


GOOD = tar_member("good", b"good")


def bomb() -> bytes:
    """What follows the end of a tar file: 1.3 GiB of zeros, in streams of 46 MB each."""
    return bz2.compress(GOOD + END) + bz2.compress(bytes(45_899_235)) * 30


def greedy_xz() -> bytes:
    """An .xz file that asks for a dictionary of 4 GiB (3.1 and 5.3.1 of its format)."""
    data = bytearray(lzma.compress(GOOD + END))
    data[16] = 40
    end = 12 + (data[12] + 1) * 4
    data[end - 4 : end] = struct.pack("<I", zlib.crc32(data[12 : end - 4]))
    return bytes(data)


# Zip


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(content) + packer.flush()


def zip_of(*items: tuple[bytes, bytes], mode: int = 0o100644, **changed: object) -> bytes:
    """A zip file of names and contents. `changed` are numbers that lie, in its directory or end."""
    data, directory = b"", b""
    method = int(bool(changed.get("deflate"))) * 8
    for name, content in items:
        packed = deflated(content) if method else content
        numbers = (zlib.crc32(content), len(packed), len(content))
        said = {key: changed.get(key, number) for key, number in zip("cps", numbers, strict=True)}
        offset = len(data)
        data += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0x800, method, 0, 0, *numbers, len(name), 0)
        data += name + packed
        extra = changed.get("extra", b"")
        assert isinstance(extra, bytes)
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 0x31E, 20, changed.get("flags", 0x800), method, 0, 0),
            *(said["c"], said["p"], said["s"], len(name), len(extra), 0, 0, 0),
            *(mode << 16, changed.get("offset", offset)),
        )
        directory += name + extra
    start, count = len(data), changed.get("count", len(items))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return data + directory + end


def quoted() -> bytes:
    """Fifield's bomb: each member quotes the header of the next, and all end in one kernel."""
    body, following, members = deflated(bytes(8 << 20)), b"", []
    for number in reversed(range(150)):
        if following:  # a block of deflate that is stored: the header, as content
            length = len(following)
            body = struct.pack("<BHH", 0, length, length ^ 0xFFFF) + body
        numbers = (0, len(body), (8 << 20) + (149 - number) * 33, 3)
        name = b"%03d" % number
        following = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0x800, 8, 0, 0, *numbers, 0) + name
        body = following + body
        members.append((name, numbers, len(body)))
    directory = b""
    for name, numbers, distance in reversed(members):
        place = (0, 0, 0, 0, 0o100644 << 16, len(body) - distance)
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 0x31E, 20, 0x800, 8, 0, 0, *numbers, *place
        )
        directory += name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 150, 150, len(directory), len(body), 0)
    return body + directory + end


def overlapping() -> bytes:
    """One member, listed a hundred times."""
    single = zip_of((b"a", bytes(16 << 20)), deflate=True)
    at = single.index(b"PK\1\2")
    row = single[at : single.index(b"PK\5\6")]
    rows = row * 90
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 90, 90, len(rows), at, 0)
    return single[:at] + rows + end


def zip64(size: int) -> bytes:
    """A member whose size stands elsewhere, and is a lie."""
    extra = struct.pack("<2HQ", 1, 8, size)
    return zip_of((b"a", b"x"), s=0xFFFFFFFF, extra=extra)


ONE_LINK = stat.S_IFLNK | 0o777
INNER = zip_of((b"inner.zip", zip_of((b"deepest.zip", zip_of((b"x", b"x"))))))

ARCHIVES: dict[str, Callable[[], bytes]] = {
    # Where names lead
    "up.tar.gz": lambda: named("../evil"),
    "up-from-within.tar.gz": lambda: named("a/../../evil"),
    "absolute.tar.gz": lambda: named("/tmp/zoostore-evil"),
    "double-slash.tar.gz": lambda: named("//tmp/zoostore-evil"),
    "nul.tar.gz": lambda: gz(extended(record(b"path", b"a\0b")), GOOD),
    "no-unicode.tar.gz": lambda: named("\udcff\udcfe"),
    "empty-name.tar.gz": lambda: gz(extended(record(b"path", b"")), GOOD),
    "own-folder.tar.gz": lambda: named(".zoostore/checkout.json"),
    "own-folder-in-capitals.tar.gz": lambda: named("a/.ZooStore/entries"),
    "up.zip": lambda: zip_of((b"../evil", b"x")),
    "absolute.zip": lambda: zip_of((b"/tmp/zoostore-evil", b"x")),
    "backslash.zip": lambda: zip_of((b"..\\evil", b"x")),
    "nul.zip": lambda: zip_of((b"good\0/../evil", b"x")),
    # What some systems cannot hold
    "windows-devices.tar.gz": lambda: named("CON", "aux.txt", "com1", "nul.tar.gz"),
    "windows-ends.tar.gz": lambda: named("dot.", "end ", "a:b", "q?"),
    "name-of-255.tar.gz": lambda: named(LONG),
    "name-of-256.tar.gz": lambda: named(LONG + "n"),
    "name-of-1021.tar.gz": lambda: named("n" * 1021),
    "path-of-4090.tar.gz": lambda: named("/".join(["d" * 199] * 20) + "/" + "f" * 90),
    "path-of-5000.tar.gz": lambda: named("/".join(["d" * 199] * 25)),
    "depth-of-512.tar.gz": lambda: named("d/" * 511 + "f"),
    "depth-of-513.tar.gz": lambda: named("d/" * 512 + "f"),
    # What hides what
    "twice.tar.gz": lambda: named("a", "a"),
    "file-and-folder.tar.gz": lambda: named("a", "a/b"),
    "twins-by-case.tar.gz": lambda: named("Model.bin", "model.bin"),
    "twins-by-case-above.tar.gz": lambda: named("Sub/a", "sub/b"),
    "twins-by-form.tar.gz": lambda: named("\u00e9", "e\u0301"),
    "twins-by-folding.tar.gz": lambda: named("stra\u00dfe", "strasse"),
    "twice.zip": lambda: zip_of((b"a", b"1"), (b"a", b"2")),
    # Links
    "link-out.tar.gz": lambda: gz(GOOD, link("l", "../../secret")),
    "link-absolute.tar.gz": lambda: gz(GOOD, link("l", "/etc/passwd")),
    "link-then-through.tar.gz": lambda: gz(link("l", ".."), tar_member("l/evil", b"x")),
    "link-then-over.tar.gz": lambda: gz(GOOD, link("l", "good"), tar_member("l", b"x")),
    "link-loop.tar.gz": lambda: gz(link("a", "b"), link("b", "a")),
    "link-to-itself.tar.gz": lambda: gz(link("a", "a")),
    "link-chain-of-40.tar.gz": lambda: gz(
        *(link(f"{number:02}", f"{number + 1:02}") for number in range(40)), tar_member("40", b"x")
    ),
    "link-chain-of-41.tar.gz": lambda: gz(
        *(link(f"{number:02}", f"{number + 1:02}") for number in range(41)), tar_member("41", b"x")
    ),
    "link-within.tar.gz": lambda: gz(GOOD, link("sub/l", "../good")),
    "hardlink-out.tar.gz": lambda: gz(GOOD, hard("h", "../../secret/key")),
    "hardlink-absolute.tar.gz": lambda: gz(GOOD, hard("h", "/etc/passwd")),
    "hardlink-then-over.tar.gz": lambda: gz(GOOD, hard("h", "good"), tar_member("h", b"x")),
    "hardlink-within.tar.gz": lambda: gz(GOOD, hard("h", "good")),
    "link-out.zip": lambda: zip_of((b"l", b"../../secret/key"), mode=ONE_LINK),
    "link-absolute.zip": lambda: zip_of((b"l", b"/etc/passwd"), mode=ONE_LINK),
    # What is no file
    "character-device.tar.gz": lambda: gz(GOOD, tar_member("zero", type=tarfile.CHRTYPE)),
    "block-device.tar.gz": lambda: gz(GOOD, tar_member("disk", type=tarfile.BLKTYPE)),
    "fifo.tar.gz": lambda: gz(GOOD, tar_member("pipe", type=tarfile.FIFOTYPE)),
    "unknown-kind.tar.gz": lambda: gz(GOOD, tar_member("what", type=b"Z")),
    "fifo.zip": lambda: zip_of((b"pipe", b""), mode=stat.S_IFIFO | 0o644),
    # Sizes that lie
    "sparse-old.tar.gz": lambda: gz(tar_member("holes", type=b"S", size=0)),
    "sparse-new.tar.gz": lambda: gz(tar_member("holes", b"0\n" + bytes(510), pax=SPARSE)),
    "size-of-2-to-62.tar.gz": lambda: gz(
        tar_member("a", b"x", size=1 << 62, format=tarfile.GNU_FORMAT)
    ),
    "size-below-nought.tar.gz": lambda: gz(
        tar_member("a", b"x", size=-512, format=tarfile.GNU_FORMAT)
    ),
    "pax-size-below-nought.tar.gz": lambda: gz(extended(record(b"size", b"-1")), GOOD),
    "pax-size-of-400-digits.tar.gz": lambda: gz(extended(record(b"size", b"9" * 400)), GOOD),
    "pax-size-not-in-ascii.tar.gz": lambda: gz(extended(record(b"size", "\u0664".encode())), GOOD),
    "pax-of-3-gb.tar.gz": lambda: gz(extended(b"", size=3 << 30), GOOD),
    "pax-junk.tar.gz": lambda: gz(extended(b"junk junk junk"), GOOD),
    "pax-length-lies.tar.gz": lambda: gz(extended(b"999 path=x\n"), GOOD),
    "zeros-behind-the-end.tar.bz2": bomb,
    "asks-for-4-gb.tar.xz": greedy_xz,
    "two-headers.zip": lambda: zip_of((b"a", b"content"), s=3, p=3),
    "size-lies.zip": lambda: zip_of((b"a", bytes(100_000)), deflate=True, s=10),
    "crc-lies.zip": lambda: zip_of((b"a", b"content"), c=7),
    "zip64-of-2-to-63.zip": lambda: zip64(1 << 63),
    "zip64-of-3-gb.zip": lambda: zip64(3 << 30),
    "count-lies.zip": lambda: zip_of((b"a", b"x"), count=65535),
    "offset-lies.zip": lambda: zip_of((b"a", b"x"), offset=1 << 31),
    "listed-ninety-times.zip": overlapping,
    "quotes-its-headers.zip": quoted,
    "encrypted.zip": lambda: zip_of((b"a", b"x"), flags=1),
    # What was cut off, goes on, or is something else
    "cut-off.tar.gz": lambda: named("a", "b")[:-20],
    "without-end.tar": lambda: GOOD,
    "more-behind.zip": lambda: zip_of((b"a", b"x")) + b"more",
    "more-before.zip": lambda: b"#!/bin/sh\n" + zip_of((b"a", b"x")),
    "a-web-page.tar.gz": lambda: b"<!doctype html><title>Sign in</title>" * 30,
    "nothing.zip": lambda: b"",
    "nested.zip": lambda: INNER,
    "gzip-in-gzip.tar.gz": lambda: gzip.compress(named("a"), mtime=0),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, make in ARCHIVES.items():
        (FOLDER / name).write_bytes(make())


if __name__ == "__main__":
    main()
