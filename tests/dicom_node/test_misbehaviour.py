"""Twelve misbehaviours of a PACS, at random: all is proven or a person's, nothing is doubled."""

import os
import time

import pytest

from tests.dicom_node.fickle_pacs import (
    OF_COMMITMENT,
    OF_CONNECTION,
    OF_STORE,
    REASONS,
    Door,
    FicklePacs,
)

IS_FULL = os.environ.get("LIFEBOAT_FAULTS") == "full"
COUNT = 1000 if IS_FULL else 100
SEEDS = (1, 2, 3) if IS_FULL else (1,)
PATIENCE_S = 2.0 if IS_FULL else 0.6
"""How long an answer may take; on a busy machine the long form must not be fooled by its load."""


def study(make_instance, count: int) -> list:
    """Make tiny instances of a few studies."""
    made = []
    for number in range(count):
        if number % 50 == 0:
            first = make_instance(1)
        uids = {
            "StudyInstanceUID": first.StudyInstanceUID,
            "SeriesInstanceUID": first.SeriesInstanceUID,
        }
        made.append(make_instance(number % 50 + 1, **uids))
    return made


# the library's threads on the side of the PACS stumble over connections that were cut
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.timeout(2400 if IS_FULL else 240)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_a_pacs_does_all_is_proven_or_a_persons_and_nothing_is_doubled(
    room, make_desk, make_instance, node_port, tmp_path, seed
):
    sent = study(make_instance, COUNT)
    for ds in sent:
        room.accept(ds)
    room.settle()
    pacs = FicklePacs(
        tmp_path / "fickle",
        seed=seed,
        silence_s=1.5 * PATIENCE_S,
        return_addresses={"LIFEBOAT": ("127.0.0.1", node_port)},
    )
    pacs.start()
    try:
        with Door(pacs) as door:
            desk = make_desk(
                door.port,
                f"pacs.answer_timeout_s={PATIENCE_S}",
                f"pacs.connect_timeout_s={PATIENCE_S}",
                f"pacs.probe_timeout_s={PATIENCE_S}",
                "pacs.commitment_wait_s=1800",
                f"sync.batch_size={COUNT // 3}",
            )
            counts = drain(desk, 1500 if IS_FULL else 120)
    finally:
        pacs.stop()
    print(f"{counts} after {dict(pacs.did)}")
    assert not set(counts) - {"proven", "attention"}, counts
    assert sum(counts.values()) == COUNT
    proven = [item for uid in studies(sent) for item in desk.reader.deliveries(uid)]
    really_there = set(pacs.held)
    for item in proven:
        if item.state == "proven":
            assert item.sop_instance_uid in really_there
        else:
            assert item.last_error
            assert pacs.excuses[item.sop_instance_uid]
    doubled = {uid: times for uid, times in pacs.received.items() if times > 1 + pacs.excuses[uid]}
    assert not doubled
    did_happen = set(pacs.did)
    assert len(did_happen) >= 6
    if IS_FULL:
        assert did_happen >= {*OF_CONNECTION, *OF_STORE, *OF_COMMITMENT}
        assert did_happen >= {f"commitment {reason:04X}" for reason in REASONS}


def studies(sent) -> list[str]:
    return list(dict.fromkeys(str(ds.StudyInstanceUID) for ds in sent))


def delivery(desk):
    (found,) = desk.reader.studies()
    (item,) = desk.reader.deliveries(found.study_instance_uid)
    return item


def drain(desk, limit_s: float) -> dict[str, int]:
    """Let hours pass until nothing is open, or this takes too long."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        desk.step(1800)
        counts = desk.counts()
        if not set(counts) - {"proven", "attention"}:
            return counts
        time.sleep(0.01)  # reports of commitment come on connections of their own
    return desk.counts()


@pytest.mark.parametrize(
    ("status", "state"),
    [(0xA700, "queued"), (0xC000, "queued"), (0xB000, "proven")],
)
def test_each_status_has_its_consequence(
    status, state, room, make_pacs, make_desk, make_instance, wait
):
    room.accept(make_instance())
    room.settle()
    pacs = make_pacs(commitment=False)
    keep = pacs._store
    pacs._store = lambda event: (keep(event) if status == 0xB000 else 0, status)[1]
    pacs.start()
    desk = make_desk(pacs.port)
    wait(lambda: desk.step(1) or delivery(desk).last_status == status)
    item = delivery(desk)
    assert item.state == state
    # no room is the archive's trouble; what it cannot understand is the instance's
    assert item.attempts == (1 if status == 0xC000 else 0)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_not_to_commit_ends_in_proof_or_with_a_person(
    room, make_desk, make_instance, node_port, tmp_path, wait, reason
):
    room.accept(make_instance())
    room.settle()
    pacs = FicklePacs(
        tmp_path / "fickle", seed=1, return_addresses={"LIFEBOAT": ("127.0.0.1", node_port)}
    )
    failing = [reason]
    if reason == 0x0122:
        failing *= 100  # it will never commit this class
    pacs.behave = lambda ways: "fails" if "commitment fails" in ways and failing else ""
    pacs.choose = lambda reasons: failing.pop()
    pacs.start()
    try:
        # hours pass with each look, also while an answer is on its way
        waits = ("commitment_wait_s=1e8", "answer_timeout_s=60", "connect_timeout_s=60")
        desk = make_desk(pacs.port, *(f"pacs.{wait}" for wait in waits))
        end = "attention" if reason == 0x0119 else "proven"
        wait(lambda: desk.step(600) or desk.counts() == {end: 1}, 60)
        item = delivery(desk)
    finally:
        pacs.stop()
    assert pacs.received[item.sop_instance_uid] == 1  # what it lists is never sent again
    if reason == 0x0119:
        assert "another kind of object" in item.last_error
    else:
        assert item.proof == ("c-find" if reason == 0x0122 else "commitment")
