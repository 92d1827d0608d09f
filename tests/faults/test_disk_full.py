"""A disk without room: every refusal is told, viewing goes on, and room is taken when it comes."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.faults.instances import make_instances
from tests.faults.ledger import Ledger, audit, stored_digests
from tests.faults.node import FaultyNode
from tests.faults.sender import OUT_OF_RESOURCES, Scu
from tests.faults.volumes import run

OBJECTS = 15
RECOVERY_S = 5.0
NO_BYTES = {"size_bytes": 6 << 20, "inodes": 5000}
NO_INODES = {"size_bytes": 64 << 20, "inodes": 50}


def send_all(scu: Scu, ledger: Ledger, count: int = OBJECTS) -> None:
    for instance in make_instances(count, edge_px=512):
        ledger.answered(instance, scu.store(instance))


def seconds_until_stored(scu: Scu, ledger: Ledger) -> float:
    """Send one object after the other until one is stored."""
    begin, stored = time.monotonic(), len(ledger.acknowledged)

    def is_stored() -> bool:
        send_all(scu, ledger, 1)
        return len(ledger.acknowledged) > stored

    wait_until(is_stored, what="an object is stored again")
    return time.monotonic() - begin


@pytest.mark.parametrize(
    ("limits", "what"), [(NO_BYTES, "bytes"), (NO_INODES, "inodes")], ids=["bytes", "inodes"]
)
def test_a_full_disk_refuses_honestly_and_recovers(mounts, make_faulty_node, figure, limits, what):
    disk = mounts.memory(**limits)
    reserve = ("storage.reserve_bytes=1000000", "storage.reserve_inodes=10")
    node = make_faulty_node(*reserve, data=disk / "data").start("receive", "web")
    ledger = Ledger()
    with Scu(node.dicom_port) as scu:  # one association over all of it: no refusal may end it
        send_all(scu, ledger)
        if what == "inodes":  # one file each is not enough of them
            send_all(scu, ledger, 30)
        stored, refused = len(ledger.acknowledged), list(ledger.refused)
        assert stored
        assert refused
        assert {answer.status for answer in refused} == {OUT_OF_RESOURCES}
        assert all(answer.comment for answer in refused)
        assert scu.echo().status == 0
        look(node)
        run("mount", "-o", "remount,size=64m,nr_inodes=5000", disk)
        recovery_s = seconds_until_stored(scu, ledger)
    figure(f"P6 no {what} left", f"{stored} stored, {len(refused)} A700", "A700 each, 0 aborts")
    figure(f"P6 recovery after no {what}", f"{recovery_s:.2f} s", f"{RECOVERY_S} s, no restart")
    assert recovery_s <= RECOVERY_S
    found = audit(node.data, ledger.acknowledged)
    assert found.lost == []
    assert found.torn == []
    assert set(stored_digests(node.data)) == set(ledger.acknowledged)


def look(node: FaultyNode) -> None:
    """View what is there, as on any other day."""
    assert node.get("/")[0] == 200
    wait_until(lambda: node.get("/dicom-web/studies")[0] == 200, what="the study is listed")
    study = node.get_json("/dicom-web/studies")[0]["0020000D"]["Value"][0]
    instances = node.get_json(f"/dicom-web/studies/{study}/instances")
    series, sop = (instances[0][tag]["Value"][0] for tag in ("0020000E", "00080018"))
    path = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}"
    assert node.get(path + "/rendered")[0] == 200


def test_without_a_reserve_the_disk_itself_says_no_and_that_is_told(
    mounts, make_faulty_node, figure
):
    """ENOSPC in the middle of a write: others filled the disk faster than the reserve notices."""
    disk = mounts.memory(**NO_BYTES)
    settings = ("storage.reserve_bytes=0", "storage.reserve_inodes=0")
    node = make_faulty_node(*settings, data=disk / "data").start("receive")
    ledger = Ledger()
    with Scu(node.dicom_port) as scu:
        send_all(scu, ledger)
        run("mount", "-o", "remount,size=64m", disk)
        recovery_s = seconds_until_stored(scu, ledger)
    assert {answer.status for answer in ledger.refused} == {OUT_OF_RESOURCES}
    assert all(answer.comment for answer in ledger.refused)
    figure("P6 recovery after ENOSPC", f"{recovery_s:.2f} s", f"{RECOVERY_S} s, no restart")
    assert recovery_s <= RECOVERY_S
    assert audit(node.data, ledger.acknowledged).lost == []


def test_a_disk_that_became_read_only_refuses_honestly(tmp_path, mounts, make_faulty_node, figure):
    """Linux turns a file system read-only when it finds it damaged; the node keeps running."""
    image = tmp_path / "disk.img"
    disk = mounts.image(image, size_bytes=128 << 20, options=",errors=remount-ro")
    node = make_faulty_node(data=disk / "data").start("receive")
    ledger = Ledger()
    with Scu(node.dicom_port) as scu:
        send_all(scu, ledger, 5)
        assert len(ledger.acknowledged) == 5
        make_read_only(disk)
        send_all(scu, ledger)
        assert scu.echo().status == 0
    figure("P6 read-only disk", f"{len(ledger.refused)} of {OBJECTS} A700", "all A700, 0 aborts")
    assert len(ledger.acknowledged) == 5
    assert {answer.status for answer in ledger.refused} == {OUT_OF_RESOURCES}
    assert all(answer.comment for answer in ledger.refused)
    node.kill()


def make_read_only(disk: Path) -> None:
    """Let ext4 believe that it found an error: open files keep it from a plain remount."""
    source = subprocess.run(
        ["findmnt", "-n", "-o", "SOURCE", disk], capture_output=True, text=True, check=True
    ).stdout.strip()
    switch = Path("/sys/fs/ext4") / Path(source).name / "trigger_fs_error"
    if not switch.exists():
        pytest.skip("this kernel does not let a test damage ext4")
    switch.write_text("1\n")

    def is_read_only() -> bool:
        with contextlib.suppress(OSError):
            (disk / "probe").write_bytes(b"")
            (disk / "probe").unlink()
            return False
        return True

    wait_until(is_read_only, what="the disk is read-only")
