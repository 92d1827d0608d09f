"""What delivering costs those who send to us: to a PACS that freezes, and to one that is slow."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_node.ledger import FILE, LedgerReader
from tests.conftest import REPOSITORY, is_open, wait_until
from tests.dicom_node.test_gentle import SmallPacs
from tests.faults.instances import make_instance, new_uid
from tests.faults.sender import SUCCESS, Scu

pytestmark = [pytest.mark.full_faults, pytest.mark.peer]

STUDY_UID = new_uid()
"""One study, so that it is sent in one go."""
LARGE_PX = 4472
"""Squared, and 2 bytes each: 40 MB."""
LARGE = 4
SMALL_PX = 512
SMALL = 400


def send(port: int, count: int, edge_px: int) -> float:
    """Send new instances; return megabytes in a second."""
    uids = {"study_instance_uid": STUDY_UID, "series_instance_uid": f"{STUDY_UID}.1"}
    instances = [
        make_instance(number, edge_px=edge_px, seed=number, **uids) for number in range(count)
    ]
    size = sum(len(instance.dataset) for instance in instances)
    with Scu(port, timeout_s=120) as scu:
        begin = time.monotonic()
        assert {scu.store(instance).status for instance in instances} == {SUCCESS}
        return size / 1e6 / (time.monotonic() - begin)


@contextlib.contextmanager
def practice_pacs(folder: Path, port: int, node_port: int):
    command = [sys.executable, "-m", "sample_data.pacs", "--port", str(port)]
    command += ["--folder", str(folder), "--return", f"LIFEBOAT=127.0.0.1:{node_port}"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    wait_until(lambda: is_open(port))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


class Ledger:
    def __init__(self, node) -> None:
        self._reader = LedgerReader(node.data / FILE)

    def counts(self) -> dict[str, int]:
        states = self._reader.destinations()
        return {name: n for state in states for name, n in state.counts.items() if n}

    def given_up(self) -> int:
        """Count how often a conversation came to nothing."""
        kinds = ("delivery_paused", "proof_paused", "unreachable")
        return sum(event.kind in kinds for event in self._reader.events(1000))

    def has_only_proven(self, count: int) -> bool:
        return self.counts() == {"proven": count}


def test_a_pacs_frozen_within_large_instances_costs_neither_reception_nor_an_image(
    make_faulty_node, free_ports, tmp_path, figure
):
    (pacs_port,) = free_ports(1)
    node = make_faulty_node(
        "pacs.host=127.0.0.1",
        f"pacs.port={pacs_port}",
        "pacs.ae_title=PRACTICE-PACS",
        "storage.journal_bytes=536870912",
    )
    node.start("receive", "sync-worker")
    send(node.dicom_port, 2, LARGE_PX)
    base = max(send(node.dicom_port, LARGE, LARGE_PX) for _ in range(2))
    ledger = Ledger(node)
    folder = tmp_path / "pacs"
    with practice_pacs(folder, pacs_port, node.dicom_port) as pacs:
        wait_until(lambda: list(folder.rglob("*.dcm")), 120, "the first is delivered")
        given_up = ledger.given_up()
        pacs.send_signal(signal.SIGSTOP)
        frozen_at = time.monotonic()
        rate = max(send(node.dicom_port, LARGE, LARGE_PX) for _ in range(2))
        wait_until(lambda: ledger.given_up() > given_up, 90, "the conversation is given up")
        given_up_s = time.monotonic() - frozen_at
        pacs.send_signal(signal.SIGCONT)
        total = 2 + 4 * LARGE
        wait_until(lambda: ledger.has_only_proven(total), 300, "all is proven")
    figure("40 MB instances beside a frozen PACS, of the rate before", f"{rate / base:.2f}", 0.9)
    figure("a frozen PACS is given up after, s", f"{given_up_s:.0f}", 60)
    assert given_up_s <= 60
    assert rate >= 0.9 * base


def test_draining_into_a_slow_pacs_slows_reception_by_a_tenth_at_most(
    make_faulty_node, free_ports, tmp_path, figure
):
    (pacs_port,) = free_ports(1)
    node = make_faulty_node(
        "pacs.host=127.0.0.1", f"pacs.port={pacs_port}", "pacs.ae_title=PRACTICE-PACS"
    )
    node.start("receive", "sync-worker")
    send(node.dicom_port, SMALL, SMALL_PX)
    base = max(send(node.dicom_port, SMALL, SMALL_PX) for _ in range(3))
    ledger = Ledger(node)
    pacs = SmallPacs(
        tmp_path / "pacs",
        port=pacs_port,
        return_addresses={"LIFEBOAT": ("127.0.0.1", node.dicom_port)},
    )
    pacs.start()
    try:
        wait_until(lambda: sum(pacs.received.values()) > 20, 60)
        rate = max(send(node.dicom_port, SMALL, SMALL_PX) for _ in range(3))
        assert ledger.counts().get("queued")  # it was draining all the time
    finally:
        pacs.stop()
    figure("CT beside a drain into a slow PACS, of the rate before", f"{rate / base:.2f}", 0.9)
    assert pacs.most_open <= 2
    assert pacs.rejected == 0
    assert rate >= 0.9 * base
