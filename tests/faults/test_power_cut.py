"""Power cuts: the disk as it is at any instant holds all that was acknowledged before it."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.conftest import require_program
from tests.faults.instances import series
from tests.faults.ledger import Findings, Ledger, Senders, audit
from tests.faults.node import FaultyNode
from tests.faults.volumes import PowerCutDisk

SEED = 20260102
CUTS_OF_CONTROL = 3

Cut = tuple[Path, dict[str, str]]
"""An image, and what was acknowledged before it was taken."""


def receive_and_cut(node: FaultyNode, disk: PowerCutDisk, count: int) -> list[Cut]:
    """Receive from four scanners and copy the disk at moments they do not know of."""
    node.start("receive")
    ledger, chance, cuts = Ledger(), random.Random(SEED), []
    with Senders(node.dicom_port, ledger, lambda: series(32, 64, 128, length=25)):
        for _ in range(count):
            ledger.wait_for(len(ledger.so_far()) + chance.randint(1, 30))
            time.sleep(chance.random() * 0.05)
            acknowledged = ledger.so_far()
            cuts.append((disk.cut(), acknowledged))
    node.kill()
    return cuts


def recover(
    make_node: Callable[..., FaultyNode],
    after: AbstractContextManager[Path],
    acknowledged: dict[str, str],
    timeout_s: float,
) -> Findings:
    """Start a node on what a cut left."""
    with after as folder:
        node = make_node(data=folder / "data")
        node.start("receive")
        found = audit(node.data, acknowledged, timeout_s)
        node.kill()
        return found


def test_nothing_acknowledged_is_lost_by_a_power_cut(
    tmp_path, mounts, make_faulty_node, size, figure
):
    disk = PowerCutDisk(tmp_path, mounts)
    node = make_faulty_node(data=disk.folder / "data")
    cuts = receive_and_cut(node, disk, size(5, 200))
    lost, torn, total = 0, 0, 0
    for image, acknowledged in cuts:
        found = recover(make_faulty_node, disk.after(image), acknowledged, 20)
        lost, torn = lost + len(found.lost), torn + len(found.torn)
        total += len(acknowledged)
    figure(f"P2 power cut, {len(cuts)} times", f"{lost} of {total} lost", "0 lost")
    figure("P2 half files after a power cut", torn, 0)
    assert lost == 0
    assert torn == 0


def test_the_power_cut_finds_a_node_that_does_not_sync(tmp_path, mounts, make_faulty_node, figure):
    require_program("eatmydata")
    disk = PowerCutDisk(tmp_path, mounts)
    node = make_faulty_node(data=disk.folder / "data", environment=["LD_PRELOAD=libeatmydata.so"])
    lost = total = 0
    for image, acknowledged in receive_and_cut(node, disk, CUTS_OF_CONTROL):
        lost += len(recover(make_faulty_node, disk.after(image), acknowledged, 2).lost)
        total += len(acknowledged)
    figure("P2 control: the same without syncs", f"{lost} of {total} lost", "> 0 lost")
    assert lost > 0
