"""Twenty minutes of good and bad peers: nothing grows."""

import contextlib
import math
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tests.conftest import wait_until
from tests.faults.instances import make_instances, new_uid
from tests.faults.ledger import Ledger, audit
from tests.faults.node import FaultyNode
from tests.faults.sender import Scu

SEED = 20260102
CYCLES = 30
CYCLE_S = 20
WARM_UP_CYCLES = 8
STANDSTILL_S = 3.0
MB_PER_HOUR = 1.0
PAUSE_S = 0.02
"""Between two visits of one peer."""
ONE_ARENA = "MALLOC_ARENA_MAX=1"
"""An arena of the allocator for each thread makes noise of 20 MB, in which no leak is seen."""


class Peers:
    """Every kind of peer, each again and again in a thread of its own."""

    def __init__(self, node: FaultyNode, ledger: Ledger) -> None:
        self._node, self._ledger = node, ledger
        self._stopping = threading.Event()
        kinds = (self._send, self._send, self._cut, self._echo, self._stay_silent, self._babble)
        self._threads = [threading.Thread(target=self._visit, args=(kind,)) for kind in kinds]
        self.visits = 0

    def __enter__(self) -> "Peers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, kind: Callable[[random.Random], None]) -> None:
        chance = random.Random(SEED)
        while not self._stopping.wait(PAUSE_S):
            with contextlib.suppress(ConnectionError):
                kind(chance)
            self.visits += 1

    def _send(self, chance: random.Random) -> None:
        """Send a short series; leave in order, or without a word."""
        with Scu(self._node.dicom_port) as scu:
            for instance in make_instances(chance.randint(1, 8), edge_px=chance.choice((32, 256))):
                self._ledger.answered(instance, scu.store(instance))
            if chance.random() < 0.7:
                scu.release()

    def _cut(self, chance: random.Random) -> None:
        """Break off in the middle of an object."""
        with Scu(self._node.dicom_port) as scu:
            scu.begin_store(new_uid())
            for _ in range(chance.randint(0, 20)):
                scu.send_fragment(bytes(scu.fragment_bytes), is_last=False)

    def _echo(self, chance: random.Random) -> None:
        with Scu(self._node.dicom_port) as scu:
            scu.echo()
            scu.release()

    def _stay_silent(self, chance: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self._node.dicom_port), 10):
            self._stopping.wait(chance.random() * 8)

    def _babble(self, chance: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self._node.dicom_port), 10) as connection:
            connection.sendall(chance.randbytes(chance.randint(1, 4000)))


def slope(seconds: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the growth per hour and its standard error, by least squares."""
    line = statistics.linear_regression(seconds, values)
    middle = statistics.fmean(seconds)
    spread = sum((second - middle) ** 2 for second in seconds)
    left = [
        (value - line.intercept - line.slope * second) ** 2
        for second, value in zip(seconds, values, strict=True)
    ]
    error = math.sqrt(sum(left) / (len(values) - 2) / spread)
    return line.slope * 3600, error * 3600


def at_rest(node: FaultyNode) -> tuple[int, int]:
    """Return how many threads and open files there are when nothing changes any more."""
    since, before = time.monotonic(), (0, 0)
    while time.monotonic() < since + STANDSTILL_S:
        now = len(node.threads()), node.open_files()
        if now != before:
            since, before = time.monotonic(), now
        time.sleep(0.1)
    return before


@pytest.mark.full_faults
def test_nothing_grows_over_twenty_minutes(make_faulty_node, figure):
    """Load and rest by turns, measured at rest: what a visit leaves behind is still there then."""
    node = make_faulty_node(environment=(ONE_ARENA,)).start("receive")
    threads, files = at_rest(node)
    ledger, visits, begin, memory = Ledger(), 0, time.monotonic(), []
    for _ in range(CYCLES):
        with Peers(node, ledger) as peers:
            time.sleep(CYCLE_S)
        visits += peers.visits
        wait_until(lambda: len(node.threads()) <= threads, what="the threads of visits end")
        wait_until(lambda: node.open_files() <= files, what="the files of visits are closed")
        memory.append((time.monotonic() - begin, node.memory("RssAnon") / 1e6))
    seconds, megabytes = zip(*memory[WARM_UP_CYCLES:], strict=True)
    growth, error = slope(seconds, megabytes)
    name = f"P20 {seconds[-1] / 60:.0f} min, {visits} visits, {len(ledger.acknowledged)} stored"
    more = f"{at_rest(node)[0] - threads:+} threads, {at_rest(node)[1] - files:+} files"
    figure(name + ": left behind", more, "none")
    figure(
        name + ": own memory",
        f"{megabytes[-1]:.0f} MB, {growth:+.1f} MB an hour, standard error {error:.1f}",
        f"<= {MB_PER_HOUR} within 3 standard errors",
    )
    assert growth - 3 * error <= MB_PER_HOUR
    assert audit(node.data, ledger.acknowledged, 60).lost == []
