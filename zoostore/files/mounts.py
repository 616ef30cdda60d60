"""Mounts: what a path is on: which kind of file system, and which kind of disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_DEVICES = Path("/sys/dev/block")

NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "coda",
        "gpfs",
        "gfs2",
        "lustre",
        "ncpfs",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "panfs",
        "fuse.sshfs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.gcsfuse",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.mount-s3",
    ]
)
"""File systems that several machines may write to, by the names that Linux and FUSE give them."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def kind_of_file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of the file system that a path is on; empty where nobody says.

    Args:
        mounts: what is mounted where. Source: Linux, proc_pid_mountinfo(5).
    """
    try:
        lines = mounts.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    wanted = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5 or not after:
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # Of several at one point, the last lies on top.
        if len(point) >= len(best) and _is_at_or_below(wanted, point):
            best, kind = point, after.split(" ")[0]
    return kind


def spins(path: Path, devices: Path = _DEVICES) -> bool | None:
    """Whether a path is on a disk that spins; None where nobody says.

    Args:
        devices: block devices by their numbers. Source: Linux, sysfs, `queue/rotational`.
    """
    device = os.stat(path).st_dev
    block = devices / f"{os.major(device)}:{os.minor(device)}"
    for queue in (block / "queue", block.resolve().parent / "queue"):  # a partition has none
        try:
            return (queue / "rotational").read_text().strip() == "1"
        except OSError:
            continue
    return None


def _is_at_or_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point if point.endswith("/") else point + "/")
