"""The tools that are measured, each set up in one way."""

from __future__ import annotations

from benchmarks.tools.base import Tool
from benchmarks.tools.borg import Borg
from benchmarks.tools.casync import Casync
from benchmarks.tools.downloaders import Downloader
from benchmarks.tools.dvc import Dvc
from benchmarks.tools.git import Git, GitLfs
from benchmarks.tools.hugging_face import HuggingFace
from benchmarks.tools.ostree import Ostree
from benchmarks.tools.plain import B3sum, Cp, Find, Python
from benchmarks.tools.restic import Restic
from benchmarks.tools.zoostore import Zoostore

OURS = ZOOSTORE_COPY, ZOOSTORE_LINK = Zoostore("copy"), Zoostore("hardlink")

GIT, GIT_LFS = Git(), GitLfs()
DVC_COPY, DVC_LINK = Dvc("copy"), Dvc("hardlink")
RESTIC = Restic()
BORG, BORG_TUNED = Borg(tuned=False), Borg(tuned=True)
OSTREE_COPY, OSTREE_LINK = Ostree(links=False), Ostree(links=True)
CASYNC = Casync()
HUGGING_FACE = HuggingFace()

CP, CP_ALL, CP_LINK = Cp("-r"), Cp("-a"), Cp("-al")
CP_REFLINK = Cp("-a", "--reflink=always")
B3SUM, B3SUM_UNIQUE = B3sum(unique=False), B3sum(unique=True)
B3SUM_AND_CP = B3sum(unique=True, copies=True)
FIND = Find()
DOWNLOADERS = (
    Downloader("curl", "-sf", "-o"),
    Downloader("aria2c -x4", "-q", "-x4", "-s4", "-k1M", "-o"),
)
PYTHON = Python("python", "sys")
PYTHON_IMPORTS = Python("python + imports", "click, lmdb, blake3")

PEERS: tuple[Tool, ...] = (
    *(GIT, GIT_LFS, DVC_COPY, DVC_LINK, RESTIC, BORG, BORG_TUNED, OSTREE_COPY, OSTREE_LINK),
    *(CASYNC, HUGGING_FACE, CP, CP_ALL, CP_LINK, CP_REFLINK, B3SUM, B3SUM_UNIQUE, B3SUM_AND_CP),
    *(FIND, PYTHON, PYTHON_IMPORTS, *DOWNLOADERS),
)
"""All but zoostore."""
