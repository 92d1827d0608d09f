"""What delivering costs those who send to us: to a PACS that freezes, and to one that is slow.

PACS and modality are processes of their own, and the node is measured by turns alone and beside a
delivery: what counts is the median of the ratios, for a shared machine drifts by more than that.
"""

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_node.ledger import FILE, LedgerReader
from dicom_node.sync_order import OrderKind, SyncOrders
from tests.conftest import REPOSITORY, is_open, wait_until
from tests.faults.modality import Modality

pytestmark = [pytest.mark.full_faults, pytest.mark.peer]

ROUNDS = 5
LARGE_PX = 4472
"""Squared, and 2 bytes each: 40 MB."""
LARGE = 3
SMALL_PX = 512
SMALL = 200


@contextlib.contextmanager
def program(module: str, *arguments: object, port: int):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: is_open(port), 60)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)
        process.stdout.close()


class Delivery:
    """The delivering half of a node, to be paused and let go."""

    def __init__(self, data: Path) -> None:
        self._reader = LedgerReader(data / FILE)
        self._orders = SyncOrders(data)

    def counts(self) -> dict[str, int]:
        states = self._reader.destinations()
        return {name: n for state in states for name, n in state.counts.items() if n}

    def given_up(self) -> int:
        """Count how often a conversation came to nothing."""
        kinds = ("delivery_paused", "proof_paused", "unreachable")
        return sum(event.kind in kinds for event in self._reader.events(1000))

    def pause(self) -> None:
        self._orders.give(OrderKind.PAUSE, by="the test", reason="to measure")
        wait_until(lambda: "sending" not in self.counts(), 120, "nothing is sent")

    def go_on(self) -> None:
        stored = self._stored()
        self._orders.give(OrderKind.START, by="the test", reason="to measure")
        wait_until(lambda: self._stored() > stored, 120, "it is being sent")

    def _stored(self) -> int:
        counts = self.counts()
        return counts.get("stored", 0) + counts.get("proven", 0)


class Turns:
    """Rates and processor time, alone and beside something, in turn."""

    def __init__(self, node, modality: Modality) -> None:
        self._node = node
        self._modality = modality
        self.rates: dict[str, list[float]] = {"alone": [], "beside": []}
        self.cpu_s: dict[str, list[float]] = {"alone": [], "beside": []}

    def take(self, turn: str) -> None:
        before = self._node.cpu_s()
        self.rates[turn].append(self._modality.send())
        self.cpu_s[turn].append(self._node.cpu_s() - before)

    def ratios(self) -> list[float]:
        return [b / a for a, b in zip(self.rates["alone"], self.rates["beside"], strict=True)]

    def tell(self, figure, what: str) -> float:
        """Enter the figures; return the median of the ratios."""
        low, middle, high = statistics.quantiles(self.ratios(), n=4)
        cpu = {turn: statistics.median(found) for turn, found in self.cpu_s.items()}
        alone = statistics.quantiles(self.rates["alone"], n=4)
        noise = f"half of them {low:.2f} to {high:.2f}; alone {alone[0]:.0f} to {alone[2]:.0f}/s"
        figure(f"{what}, of the rate alone ({noise})", f"{middle:.2f}", 0.9)
        figure(f"{what}, processor of receiving", f"{cpu['beside'] / cpu['alone']:.2f}", "about 1")
        return middle


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
    folder = tmp_path / "pacs"
    address = ("--port", pacs_port, "--folder", folder)
    returns = ("--return", f"LIFEBOAT=127.0.0.1:{node.dicom_port}")
    with Modality(node.dicom_port, LARGE, LARGE_PX) as modality:
        modality.send()
        delivery, turns = Delivery(node.data), Turns(node, modality)
        longest_s = 0.0
        with program("sample_data.pacs", *address, *returns, port=pacs_port) as pacs:
            for _ in range(ROUNDS):
                delivery.go_on()
                given_up = delivery.given_up()
                pacs.send_signal(signal.SIGSTOP)
                frozen_at = time.monotonic()
                turns.take("beside")
                wait_until(lambda n=given_up: delivery.given_up() > n, 90, "it is given up")
                longest_s = max(longest_s, time.monotonic() - frozen_at)
                pacs.send_signal(signal.SIGCONT)
                delivery.pause()
                turns.take("alone")
            delivery.go_on()
            total = LARGE * (1 + 2 * ROUNDS)
            wait_until(lambda: delivery.counts() == {"proven": total}, 600, "all is proven")
    figure("a frozen PACS is given up after, s", f"{longest_s:.0f}", 60)
    ratio = turns.tell(figure, "40 MB instances beside a frozen PACS")
    assert longest_s <= 60
    assert ratio >= 0.9


def test_draining_into_a_slow_pacs_slows_reception_by_a_tenth_at_most(
    make_faulty_node, free_ports, tmp_path, figure
):
    (pacs_port,) = free_ports(1)
    node = make_faulty_node(
        "pacs.host=127.0.0.1", f"pacs.port={pacs_port}", "pacs.ae_title=PRACTICE-PACS"
    )
    node.start("receive", "sync-worker")
    arguments = (pacs_port, tmp_path / "pacs", node.dicom_port)
    with Modality(node.dicom_port, SMALL, SMALL_PX) as modality:
        modality.send()
        delivery, turns = Delivery(node.data), Turns(node, modality)
        with program("tests.faults.small_pacs", *arguments, port=pacs_port) as pacs:
            for number in range(ROUNDS):
                for turn in ("alone", "beside") if number % 2 else ("beside", "alone"):
                    delivery.pause() if turn == "alone" else delivery.go_on()
                    turns.take(turn)
            delivery.go_on()
            assert delivery.counts().get("queued")  # it was draining all the time
            pacs.terminate()
            asked = json.loads(pacs.communicate(timeout=60)[0])
    ratio = turns.tell(figure, "CT beside a drain into a slow PACS")
    figure("associations at once with a PACS for two", asked["most_open"], 2)
    assert asked["most_open"] == 2
    assert ratio >= 0.9
