"""Which file system a path is on, by what the system says is mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import NetworkFileSystem
from zoostore.files import mounts
from zoostore.files.mounts import kind_of_file_system, spins

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv rw - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /srv/local rw master:2 - xfs /dev/sdb1 rw
32 22 0:41 / /with\040space rw - fuse.sshfs me@there:/ rw
33 22 0:42 / /over rw - ext4 /dev/sdc1 rw
34 33 0:43 / /over rw - cifs //server/share rw
not a line
35 22 0:44 / /srvother rw - tmpfs tmpfs rw
"""


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/store/index", "nfs4"),
        ("/srv/local/index", "xfs"),
        ("/srvother/x", "tmpfs"),
        ("/with space/x", "fuse.sshfs"),
        ("/over/x", "cifs"),
    ],
)
def test_the_nearest_mount_counts(mounted: Path, path: str, kind: str) -> None:
    assert kind_of_file_system(Path(path), mounted) == kind


def test_where_nobody_says_nothing_is_known(tmp_path: Path) -> None:
    assert kind_of_file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it so")
def test_it_is_what_the_system_says(tmp_path: Path) -> None:
    said = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        pytest.skip("findmnt is not here")
    assert kind_of_file_system(tmp_path) == said.stdout.split()[-1]


@pytest.fixture
def devices(tmp_path: Path) -> Callable[[str, str], Path]:
    """Devices as the system describes them: one, with a queue of its own or of a disk it is on."""

    def describe(where: str, rotational: str) -> Path:
        folder = tmp_path / "devices"
        number = os.stat(tmp_path).st_dev
        link = folder / f"{os.major(number)}:{os.minor(number)}"
        disk = tmp_path / "disk"
        (disk / "partition").mkdir(parents=True)
        folder.mkdir()
        link.symlink_to(disk if where == "disk" else disk / "partition")
        (disk / "queue").mkdir()
        (disk / "queue/rotational").write_text(rotational)
        return folder

    return describe


@pytest.mark.parametrize("where", ["disk", "partition"])
def test_a_disk_spins_if_the_system_says_so(
    devices: Callable[[str, str], Path], tmp_path: Path, where: str
) -> None:
    assert spins(tmp_path, devices(where, "1\n"))


def test_what_is_not_said_to_spin_does_not(
    devices: Callable[[str, str], Path], tmp_path: Path
) -> None:
    assert not spins(tmp_path, tmp_path / "none")
    assert not spins(tmp_path, devices("disk", "0\n"))


def test_a_virtual_machine_does_not_know_what_its_disks_are(
    devices: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = devices("partition", "1\n")
    (tmp_path / "virtio_blk").mkdir()
    (tmp_path / "disk/device").mkdir()
    (tmp_path / "disk/device/driver").symlink_to(tmp_path / "virtio_blk")

    assert spins(tmp_path, folder) is None


@pytest.mark.parametrize("driver", ["virtio_blk", "sd"])
def test_what_lies_on_a_disk_is_what_that_is(
    devices: Callable[[str, str], Path], tmp_path: Path, driver: str
) -> None:
    folder = devices("disk", "1\n")
    below = tmp_path / "below"
    (tmp_path / driver).mkdir()
    (below / "device").mkdir(parents=True)
    (below / "queue").mkdir()
    (below / "queue/rotational").write_text("1\n")
    (below / "device/driver").symlink_to(tmp_path / driver)
    (tmp_path / "disk/slaves").mkdir()
    (tmp_path / "disk/slaves/below").symlink_to(below)

    assert spins(tmp_path, folder) is (True if driver == "sd" else None)


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system says is on a network file system."""
    folder = tmp_path / "far"
    folder.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS + f"40 22 0:50 / {folder} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(mounts.kind_of_file_system, "__defaults__", (table,))
    return folder


def test_no_index_is_kept_on_a_network(on_nfs: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a").write_bytes(b"a")

    with pytest.raises(NetworkFileSystem, match="nfs4"):
        Store(on_nfs / "store").add(tmp_path / "m", "zoo:m")


def test_with_the_index_elsewhere_the_store_may_be_there(
    on_nfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a").write_bytes(b"a" * 100_000)
    monkeypatch.setenv("ZOOSTORE_INDEX", str(tmp_path / "near"))
    store = Store(on_nfs / "store")

    store.add(tmp_path / "m", "zoo:m")

    assert store.verify().is_clean
    assert not (on_nfs / "store/index").exists()


def test_a_store_may_be_where_there_are_no_hard_links_and_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, lay: LayOut
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setenv("ZOOSTORE_INDEX", str(tmp_path / "near"))
    directory = lay("dir", {"big.bin": bytes(range(256)) * 300, "small": b"small"})

    for verb in (
        ("add", directory, "zoo:one"), ("pull", "mlp-512-digits-base"), ("tag", "zoo:one", "v1"),
        ("checkout", "zoo:one", tmp_path / "work"), ("gc", "--yes"), ("repair",), ("verify",),
        ("publish", "zoo:one", "--to", tmp_path / "zoo"),
    ):  # fmt: skip
        ran = cli("--store", tmp_path / "store", *verb)
        assert ran.code == 0, (verb, ran.err)


def test_an_alternate_on_a_network_has_its_index_here(
    on_nfs: Path, lay: LayOut, new_store: Callable[[str], Store]
) -> None:
    (on_nfs / "store").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mounts.kind_of_file_system, "__defaults__", (on_nfs / "none",))
        shared = Store(on_nfs / "store")
        snapshot = shared.add(lay("one", {"big.bin": bytes(range(256))}), "zoo:one").snapshot
    del shared
    before = {path: path.stat() for path in on_nfs.rglob("*")}
    own = new_store("own")
    (own.path / "config.toml").write_text(f'alternates = ["{on_nfs}/store"]\n')

    for _ in range(2):
        pulled = Store(own.path).pull("zoo:one")
        assert (pulled.snapshot, pulled.downloaded_files) == (snapshot, 0)
    (index,) = (own.path / "index/alternates").iterdir()
    assert (index / "data.mdb").exists()
    assert {path: path.stat().st_mtime_ns for path in on_nfs.rglob("*")} == {
        path: status.st_mtime_ns for path, status in before.items()
    }
