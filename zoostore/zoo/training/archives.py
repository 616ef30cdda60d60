"""tar.gz and npz files whose bytes depend on their content alone.

The usual tools record the time, the user and the host's way of compressing: zlib and zlib-ng give
different bytes for the same data. Everything here is stored uncompressed with fixed headers.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

FILE_MODE = 0o644
# The first moment that the zip format can express.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
ZIP_UNIX = 3
STORED_BLOCK_LIMIT = 0xFFFF
GZIP_DEFLATE = 8
GZIP_UNKNOWN_SYSTEM = 255


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz holding ``files`` (path to content), sorted by path, without directory entries.

    Readers of SparseZoo archives take every entry for an array, so directories stay implied.
    """
    parts = [_tar_entry(path, files[path]) for path in sorted(files)]
    end_of_archive = bytes(2 * tarfile.BLOCKSIZE)
    return _gzip(b"".join(parts) + end_of_archive)


def npz(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """What np.load reads back as ``arrays``, in the order given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=ZIP_DATE)
            entry.create_system = ZIP_UNIX
            entry.external_attr = FILE_MODE << 16
            archive.writestr(entry, _npy(array))
    return buffer.getvalue()


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _tar_entry(path: str, content: bytes) -> bytes:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    entry.mode = FILE_MODE
    # TarInfo's own defaults are what is wanted for the rest: time 0, user and group 0, no names.
    header = entry.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    return header + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _gzip(content: bytes) -> bytes:
    """RFC 1952 around stored RFC 1951 blocks: no time, no name, no compressor."""
    header = struct.pack("<HBBIBB", 0x8B1F, GZIP_DEFLATE, 0, 0, 0, GZIP_UNKNOWN_SYSTEM)
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return header + b"".join(_stored_blocks(content)) + trailer


def _stored_blocks(content: bytes) -> Iterable[bytes]:
    for start in range(0, len(content), STORED_BLOCK_LIMIT):
        block = content[start : start + STORED_BLOCK_LIMIT]
        last = start + STORED_BLOCK_LIMIT >= len(content)
        yield struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
