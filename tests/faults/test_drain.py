"""SIGTERM while scanners send: what is under way is finished, what was acknowledged is kept."""

import signal
import threading
import time

import pytest

from tests.faults.instances import make_instance, make_instances
from tests.faults.ledger import Ledger, audit
from tests.faults.sender import Aborted, Answer, Gone, Scu

DRAIN_S = 20.0
SENDERS = 4


class SlowSender(threading.Thread):
    """Sends some instances at once, then one with a pause in its middle."""

    def __init__(self, port: int, ledger: Ledger, barrier: threading.Barrier, pause_s: float):
        super().__init__()
        self._port, self._ledger = port, ledger
        self._barrier, self._pause_s = barrier, pause_s
        self.last: Answer | Exception | None = None

    def run(self) -> None:
        with Scu(self._port) as scu:
            for instance in make_instances(5):
                self._ledger.answered(instance, scu.store(instance))
            large = make_instance(edge_px=512)  # four PDUs
            try:
                self.last = scu.store(large, self._in_the_middle)
            except Gone as error:
                self.last = error
                self._ledger.broke(large, by_abort=isinstance(error, Aborted))
            else:
                self._ledger.answered(large, self.last)

    def _in_the_middle(self, sent: int) -> None:
        if not self._barrier.broken and sent < 1 << 18:
            self._barrier.wait(30)
            time.sleep(self._pause_s)
            self._barrier.abort()


@pytest.mark.parametrize("pause_s", [0.5, 4.0])
def test_transfers_that_run_are_finished_before_the_end(make_faulty_node, figure, pause_s):
    node = make_faulty_node().start("receive")
    ledger, barrier = Ledger(), threading.Barrier(SENDERS + 1)
    senders = [SlowSender(node.dicom_port, ledger, barrier, pause_s) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    barrier.wait(30)  # each is in the middle of an object
    begin = time.monotonic()
    node.receiver.send_signal(signal.SIGTERM)
    node.receiver.wait(60)
    exit_s = time.monotonic() - begin
    exit_code = node.receiver.returncode
    assert node.is_dead()
    for sender in senders:
        sender.join()
    node.start("receive")
    found = audit(node.data, ledger.acknowledged)
    figure(
        f"P19 SIGTERM, senders pause {pause_s} s in their objects",
        f"exit {exit_s:.1f} s, {SENDERS * 6 - len(ledger.acknowledged)} cut off, "
        f"{len(found.lost)} of {len(ledger.acknowledged)} lost",
        f"<= {DRAIN_S:.0f} s, 0 cut off, 0 lost",
    )
    assert exit_s <= DRAIN_S
    assert exit_code == 0
    assert found.lost == []
    assert [sender.last for sender in senders] == [Answer(0)] * SENDERS


def test_a_sender_that_never_goes_on_does_not_keep_the_node_from_ending(
    make_faulty_node, size, figure
):
    drain_s = size(3, 18)
    node = make_faulty_node(f"dicom.drain_timeout_s={drain_s}").start("receive")
    ledger = Ledger()
    with Scu(node.dicom_port) as scu:
        for instance in make_instances(5):
            ledger.answered(instance, scu.store(instance))
        instance = make_instance(edge_px=512)
        scu.begin_store(instance.sop_instance_uid)
        scu.send_fragment(instance.dataset[: scu.fragment_bytes], is_last=False)
        begin = time.monotonic()
        node.receiver.send_signal(signal.SIGTERM)
        node.receiver.wait(60)
        exit_s = time.monotonic() - begin
    assert node.is_dead()
    node.start("receive")
    found = audit(node.data, ledger.acknowledged)
    figure(
        f"P19 SIGTERM, a sender hangs, drain of {drain_s} s",
        f"exit {exit_s:.1f} s, {len(found.lost)} lost",
        f"<= {drain_s + 2} s, 0 lost",
    )
    assert exit_s <= drain_s + size(6, 2)  # quick: beside other tests
    assert found.lost == []
