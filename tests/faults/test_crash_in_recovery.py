"""SIGKILL while a start takes over what the last process left: the next start takes it over."""

import random
from collections import Counter
from pathlib import Path

from tests.conftest import wait_until
from tests.faults.instances import make_instances
from tests.faults.ledger import Ledger, audit, indexed_digests, stored_digests
from tests.faults.node import FaultyNode
from tests.faults.sender import Scu
from tests.faults.strace import CHANGES, Strace, known_calls

SEED = 20260102
INSTANCES = 5
SAMPLE = 3


def leave_work(node: FaultyNode, ledger: Ledger) -> None:
    """Acknowledge some instances and die before they are entered."""
    node.start_and_echo()
    with Scu(node.dicom_port) as scu:
        for instance in make_instances(INSTANCES, edge_px=32):
            ledger.answered(instance, scu.store(instance))
    node.kill()


def recover(
    node: FaultyNode, ledger: Ledger, log: Path, calls: list[str], fault: str = ""
) -> Counter[str]:
    """Start under strace until all is taken over or the node is dead; count the calls of a thread.

    Of several threads that make the same call, the one that makes most counts.
    """
    node.start_halted()
    with Strace([node.receiver.pid], log, calls, fault, follow=True) as strace:
        node.proceed()
        wait_until(lambda: node.receiver.poll() is not None or is_taken_over(node, ledger), 60)
    most: Counter[str] = Counter()
    for (_, call), count in Counter(strace.seen()).items():
        most[call] = max(most[call], count)
    return most


def is_taken_over(node: FaultyNode, ledger: Ledger) -> bool:
    stored, indexed = stored_digests(node.data), indexed_digests(node.data)
    return set(ledger.acknowledged) <= set(stored) & set(indexed) and node.answers_echo()


def test_a_crash_during_the_recovery_from_a_crash_is_safe(make_faulty_node, tmp_path, size, figure):
    node, ledger, log = make_faulty_node(), Ledger(), tmp_path / "strace.log"
    calls = known_calls(CHANGES)
    leave_work(node, ledger)
    seen = recover(node, ledger, log, calls)
    node.kill()
    points = [(call, number) for call, most in seen.items() for number in range(1, most + 1)]
    chance, killed = random.Random(SEED), Counter()
    for call, number in chance.sample(points, min(len(points), size(SAMPLE, len(points)))):
        leave_work(node, ledger)
        recover(node, ledger, log, [call], f"signal=KILL:when={number}")
        if node.receiver.poll() is None:
            node.kill()
        else:
            assert node.is_dead()
            killed[call] += 1
    node.start_and_echo()
    found = audit(node.data, ledger.acknowledged)
    places = ", ".join(f"{call} {count}" for call, count in sorted(killed.items()))
    figure(
        f"P3 SIGKILL in recovery at {places}",
        f"{len(found.lost)} of {len(ledger.acknowledged)} lost, {len(found.torn)} torn",
        "0 lost, 0 torn",
    )
    assert killed.total() > 0
    assert ledger.refused == []
    assert found.lost == []
    assert found.torn == []
