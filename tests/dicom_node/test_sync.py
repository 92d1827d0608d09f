"""Delivery against practice PACSs that are really there, really gone, or really frozen."""

from itertools import islice
from pathlib import Path

import pytest
from pydicom.multival import MultiValue

from dicom_node.adoption import Adopter, record_reports
from dicom_node.index import CommitmentReport
from dicom_node.ledger import State
from dicom_node.ledger_commitments import LedgerCommitments
from dicom_node.ledger_writer import Ledger
from dicom_node.settings import load_settings
from tests.dicom_node.desk import START, fill


def test_sent_once_and_proven_by_commitment(room, make_pacs, make_desk, make_instance, wait):
    uids = fill(room, make_instance)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    wait(lambda: desk.step(1) or desk.counts() == {"proven": 3})
    assert dict(pacs.received) == dict.fromkeys(uids, 1)
    (study,) = desk.reader.studies()
    assert study.proofs == ("commitment",)
    assert study.queued_at <= study.stored_at <= study.proven_at
    for uid in uids:
        stored = next(path for path in room.store.walk() if Path(path).stem == uid)
        assert pacs.held[uid].read_bytes()[-8192:] == (room.data / stored).read_bytes()[-8192:]


def test_without_commitment_a_query_is_the_proof(room, make_pacs, make_desk, make_instance):
    fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"proven": 3}
    assert desk.reader.studies()[0].proofs == ("c-find",)


def test_commitment_demanded_but_not_offered_is_never_called_proven(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "pacs.proof=commitment")
    for _ in range(5):
        desk.step(20)
    assert desk.counts() == {"stored": 3}


def test_a_pacs_that_is_down_gets_everything_when_it_is_back(
    room, make_pacs, make_desk, make_instance, wait
):
    pacs = make_pacs()
    pacs.start()
    pacs.stop()
    desk = make_desk(pacs.port)
    fill(room, make_instance)
    for _ in range(3):
        desk.step(20)
    assert desk.counts() == {"queued": 3}
    (state,) = desk.reader.destinations()
    assert state.is_reachable is False
    assert state.detail
    pacs.start()
    wait(lambda: desk.step(20) or desk.counts() == {"proven": 3})
    assert set(pacs.received.values()) == {1}
    kinds = [event.kind for event in desk.reader.events() if "mode" not in event.kind]
    assert kinds == ["reachable", "unreachable"]


def test_the_outbox_survives_a_restart_and_asks_before_it_sends_again(
    room, make_pacs, make_desk, make_instance, wait
):
    uids = fill(room, make_instance)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    # as if killed between the answer of the PACS and the ledger: the outcome is unknown
    (study,) = desk.reader.studies()
    sent = desk.reader.deliveries(study.study_instance_uid)
    ids, state = [item.delivery_id for item in sent], State(sent[0].state)
    desk.ledger.update(ids, expected=state, state=State.SENDING, transaction_uid="", proven_at="")
    desk.close()
    desk.open()
    wait(lambda: desk.step(1) or desk.counts() == {"proven": 3})
    assert dict(pacs.received) == dict.fromkeys(uids, 1)


def test_a_rebuilt_index_owes_nothing_twice(room, make_pacs, make_desk, make_instance, wait):
    fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    desk.ledger.set_mark("generation", "another index")
    desk.step(1)
    assert desk.counts() == {"proven": 3}
    assert set(pacs.received.values()) == {1}


def test_what_arrived_before_a_pacs_was_configured_is_owed_to_it(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    lonely = load_settings(environment={}, data=room.data)
    ledger = Ledger(room.data / "ledger.sqlite")
    Adopter(lonely, ledger, room.reader).step()
    ledger.close()
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"proven": 3}


def test_conflicting_versions_are_held_for_a_person(room, make_pacs, make_desk, make_instance):
    ds = make_instance()
    room.accept(ds)
    ds.PatientName = "OTHER^PERSON"
    room.accept(ds)
    room.settle()
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"held": 2}
    assert not pacs.received


def test_a_lost_instance_is_sent_again(room, make_pacs, make_desk, make_instance, wait):
    uids = fill(room, make_instance)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    wait(lambda: desk.step(1) or desk.counts() == {"proven": len(uids)})
    delivery = desk.reader.deliveries(desk.reader.studies()[0].study_instance_uid)[0]
    desk.ledger.update(
        [delivery.delivery_id], expected=State.PROVEN, state=State.STORED, transaction_uid="1.2.3"
    )
    report = CommitmentReport(0, "1.2.3", delivery.sop_instance_uid, 0x0112, "")
    record_reports(desk.ledger, [report], desk.settings.sync, desk.now)
    changed = desk.reader.deliveries(delivery.study_instance_uid)[0]
    assert (changed.state, changed.transaction_uid) == ("queued", "")
    assert "0112" in changed.last_error
    assert changed.next_attempt_at > delivery.stored_at
    wait(lambda: desk.step(10) or desk.counts() == {"proven": len(uids)})


@pytest.mark.parametrize(
    ("reason", "state"), [(0x0213, "stored"), (0x0119, "attention"), (0x0122, "stored")]
)
def test_other_refusals_to_commit_are_asked_again_or_need_a_person(
    room, make_desk, make_instance, free_ports, reason, state
):
    uids = fill(room, make_instance, count=1)
    desk = make_desk(free_ports(1)[0])
    desk.adopter.step()
    desk.ledger.update([1], expected=State.QUEUED, state=State.STORED, transaction_uid="1.2.3")
    (uid,) = uids
    report = CommitmentReport(0, "1.2.3", uid, reason, "")
    record_reports(desk.ledger, [report], desk.settings.sync, START)
    assert desk.counts() == {state: 1}


def test_an_unanswered_commitment_is_followed_by_a_query(room, make_pacs, make_desk, make_instance):
    fill(room, make_instance)
    pacs = make_pacs(retry_pauses_s=())
    pacs._return_addresses["LIFEBOAT"] = ("127.0.0.1", 9)  # nobody listens there
    pacs.start()
    desk = make_desk(pacs.port, "pacs.commitment_wait_s=100")
    desk.step()
    assert desk.counts() == {"stored": 3}
    desk.step(50)
    assert desk.counts() == {"stored": 3}
    desk.step(60)
    assert desk.counts() == {"proven": 3}
    assert desk.reader.studies()[0].proofs == ("c-find",)


def test_a_pacs_that_was_away_is_asked_again_soon_and_once(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance)
    pacs = make_pacs()
    pacs._deliver = lambda request, asked_on: None  # it is killed before it answers
    pacs.start()
    desk = make_desk(pacs.port)
    asked = []
    ask = desk.pacs.request_commitment
    desk.pacs.request_commitment = lambda uid, instances: (asked.append(uid), ask(uid, instances))[
        1
    ]
    desk.step()
    pacs.stop()
    desk.step(120)
    assert not desk.reader.destinations()[0].is_reachable
    pacs.start()
    desk.step(120)
    assert len(asked) == 1  # it may still answer
    desk.step(61)
    assert len(asked) == 2
    for _ in range(3):
        pacs.stop()
        desk.step(60)
        pacs.start()
        desk.step(60)
        desk.step(61)
    assert len(asked) == 2  # one that comes and goes is not flooded
    del pacs._deliver
    desk.step(800)
    assert len(asked) == 3
    wait(lambda: desk.step(1) or desk.counts() == {"proven": 3})
    assert desk.reader.studies()[0].proofs == ("commitment",)


@pytest.mark.parametrize("way", ["knows lists", "knows no lists", "refuses lists"])
def test_a_list_cut_short_takes_back_no_proof_but_a_loss_does(
    room, make_pacs, make_desk, make_instance, wait, way
):
    uids = fill(room, make_instance, count=5)
    pacs = make_pacs()
    find, most = pacs._find, 100

    def find_some(event):
        asked = event.identifier.get("SOPInstanceUID")
        if isinstance(asked, MultiValue) and way == "refuses lists":
            yield 0xA900, None
        elif not isinstance(asked, MultiValue) or way == "knows lists":
            yield from islice(find(event), most)  # and success

    pacs._find = find_some
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    wait(lambda: desk.step(1) or desk.counts() == {"proven": 5})
    wait(lambda: desk.step(1) or "" not in desk.identity_states())
    most = 2
    (study,) = desk.reader.studies()
    verified = {i.verified_at for i in desk.reader.deliveries(study.study_instance_uid)}
    desk.step(90000)
    assert desk.counts() == {"proven": 5}
    assert not desk.events("instances_missing")
    found = {i.verified_at for i in desk.reader.deliveries(study.study_instance_uid)}
    assert not found & verified  # it was looked at
    del pacs._holdings._held[uids[3]]
    desk.step(90000)
    assert [words.split()[4] for words in desk.events("instances_missing")] == ["1"]


def without_answers(make_pacs, make_desk, *settings: str):
    """Return a PACS that takes requests for commitment and reports nothing, and a desk for it."""
    pacs = make_pacs()
    pacs._deliver = lambda request, asked_on: None
    pacs.start()
    return pacs, make_desk(pacs.port, *settings)


def test_a_pacs_that_never_reports_and_comes_and_goes_is_proven_by_its_list_in_time(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    pacs, desk = without_answers(make_pacs, make_desk, "pacs.commitment_wait_s=1000")
    desk.step()
    for _ in range(3):
        pacs.stop()
        desk.step(120)
        pacs.start()
        desk.step(120)
        desk.step(61)
        assert desk.counts() == {"stored": 3}
    desk.step(200)
    assert desk.counts() == {"proven": 3}
    assert desk.reader.studies()[0].proofs == ("c-find",)


def test_a_restart_of_ours_is_no_absence_of_the_pacs(room, make_pacs, make_desk, make_instance):
    fill(room, make_instance)
    _, desk = without_answers(make_pacs, make_desk)
    desk.step()
    desk.close()
    desk.open()
    asked = []
    desk.pacs.request_commitment = lambda *request: asked.append(request)
    for _ in range(4):
        desk.step(120)
    (study,) = desk.reader.studies()
    assert not asked
    assert {i.last_error for i in desk.reader.deliveries(study.study_instance_uid)} == {""}


def test_a_restart_while_the_pacs_is_away_does_not_hide_that_it_was(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance)
    pacs, desk = without_answers(make_pacs, make_desk)
    desk.step()
    pacs.stop()
    desk.step(120)
    desk.close()
    desk.open()
    del pacs._deliver
    pacs.start()
    desk.step(120)
    desk.step(61)
    wait(lambda: desk.step(1) or desk.counts() == {"proven": 3})
    assert desk.reader.studies()[0].proofs == ("commitment",)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([("1.1", None), ("1.2", 0x0112)], "queued"),
        ([("1.2", 0x0112), ("1.1", None)], "queued"),
        ([("1.1", None), ("1.2", 0x0110)], "stored"),
        ([("1.2", 0x0110), ("1.1", None)], "stored"),
        ([("1.1", 0x0112), ("1.2", None)], "proven"),
        ([("1.2", None), ("1.1", 0x0112)], "proven"),
        ([("1.1", None)], "proven"),
        ([("1.2", None), ("1.2", 0x0112)], "proven"),
    ],
)
@pytest.mark.parametrize("is_repeated", [True, False])
def test_the_newest_request_decides_whatever_an_older_one_is_answered(
    room, make_desk, make_instance, free_ports, answers, state, is_repeated
):
    (uid,) = fill(room, make_instance, count=1)
    desk = make_desk(free_ports(1)[0])
    desk.adopter.step()
    desk.ledger.update([1], expected=State.QUEUED, state=State.STORED)
    batch = desk.ledger.unproven("pacs", "2026", "2030", 10)
    commitments = LedgerCommitments(desk.ledger)
    commitments.record_commitment_request("1.1", "pacs", batch, "2026-01-01")
    if not is_repeated:
        commitments.withdraw_commitment("1.1", "not answered")
    commitments.record_commitment_request(
        "1.2", "pacs", batch, "2026-01-02", is_repeated=is_repeated
    )
    for transaction, reason in answers:
        report = CommitmentReport(0, transaction, uid, reason, "")
        record_reports(desk.ledger, [report], desk.settings.sync, START)
    assert desk.counts() == {state: 1}
    (study,) = desk.reader.studies()
    (item,) = desk.reader.deliveries(study.study_instance_uid)
    assert bool(item.proof) == bool(item.proven_at) == (state == "proven")


def test_a_report_of_no_transaction_proves_nothing(room, make_desk, make_instance, free_ports):
    (uid,) = fill(room, make_instance, count=1)
    desk = make_desk(free_ports(1)[0])
    desk.adopter.step()
    desk.ledger.update([1], expected=State.QUEUED, state=State.STORED)
    for transaction in ("", "1.2.3"):
        report = CommitmentReport(0, transaction, uid, None, "")
        record_reports(desk.ledger, [report], desk.settings.sync, START)
    assert desk.counts() == {"stored": 1}


def test_a_late_or_partial_answer_still_counts(room, make_desk, make_instance, free_ports):
    first, second = fill(room, make_instance, count=2)
    desk = make_desk(free_ports(1)[0])
    desk.adopter.step()
    desk.ledger.update([1, 2], expected=State.QUEUED, state=State.STORED)
    batch = desk.ledger.unproven("pacs", "2026", "2030", 10)
    commitments = LedgerCommitments(desk.ledger)
    commitments.record_commitment_request("1.2.3", "pacs", batch, "2026-01-01")

    def report(uid: str) -> None:
        answer = CommitmentReport(0, "1.2.3", uid, None, "")
        record_reports(desk.ledger, [answer], desk.settings.sync, START)

    report(first)
    assert desk.counts() == {"stored": 1, "proven": 1}
    assert commitments.unanswered_commitments("pacs", "2026-01-02") == ["1.2.3"]
    commitments.withdraw_commitment("1.2.3", "the commitment was not answered")
    report(second)
    assert desk.counts() == {"proven": 2}


def test_another_pacs_behind_the_same_name_has_proven_nothing(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    old, new = make_pacs(commitment=False), make_pacs(commitment=False)
    old.start()
    desk = make_desk(old.port)
    desk.step()
    assert desk.counts() == {"proven": 3}
    new.start()
    moved = make_desk(new.port)
    assert moved.counts() == {"queued": 3}
    moved.step()
    assert moved.counts() == {"proven": 3}
    assert len(new.received) == 3
