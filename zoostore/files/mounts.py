"""Mounts: what a path is on: which kind of file system, and which kind of disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_DEVICES = Path("/sys/dev/block")
_ROTATIONAL = "queue/rotational"

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

_VIRTUAL_DRIVERS = frozenset(["virtio_blk", "xen-blkfront"])
"""They do not know what kind of disk the host has."""

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

    A virtual machine is not told what its disks are: Linux calls all of them spinning there.

    Args:
        devices: block devices by their numbers. Source: Linux, sysfs, `queue/rotational`.
    """
    block = _block_of(path, devices)
    if block is None or _is_virtual(block, devices):
        return None
    return (block / _ROTATIONAL).read_text().strip() == "1"


def _block_of(path: Path, devices: Path) -> Path | None:
    """The disk that a path is on, as the system describes it."""
    device = os.stat(path).st_dev
    return _disk_of(devices / f"{os.major(device)}:{os.minor(device)}")


def _disk_of(device: Path) -> Path | None:
    """A device, or of a partition its disk."""
    block = device.resolve()
    return next((each for each in (block, block.parent) if (each / _ROTATIONAL).exists()), None)


def _is_virtual(block: Path, devices: Path) -> bool:
    """Whether a device is a virtual machine's disk, or lies on one."""
    if (block / "device/driver").resolve().name in _VIRTUAL_DRIVERS:
        return True
    try:
        file = _block_of(Path((block / "loop/backing_file").read_text().strip()), devices)
    except OSError:
        file = None
    below = [file, *map(_disk_of, (block / "slaves").glob("*"))]
    return any(disk is not None and _is_virtual(disk, devices) for disk in below)


def _is_at_or_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point if point.endswith("/") else point + "/")
