"""The facts of the machine without which a number says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import zoostore
from zoostore.files.mounts import spins

_MOUNTS = Path("/proc/self/mounts")
_CPU = Path("/proc/cpuinfo")


def facts(folder: Path) -> dict[str, str | int | float]:
    """What this machine is, and the file system that holds a folder."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "rotational": {True: "yes", False: "no", None: "unknown"}[spins(folder)],
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "zoostore": zoostore.__version__,
        "commit": _commit(),
    }


def _cpu() -> str:
    if _CPU.exists():
        for line in _CPU.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type and the options of the mount that a folder is on."""
    found = ("", "unknown", "")
    if _MOUNTS.exists():
        path = folder.resolve()
        for line in _MOUNTS.read_text().splitlines():
            _, mount, kind, options, *_ = line.split()
            if path.is_relative_to(mount) and len(mount) >= len(found[0]):
                found = (mount, kind, options)
    return f"{found[1]} ({found[2]})"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
