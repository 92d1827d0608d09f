"""Nothing is rejected before what replaces it is proven, and seen under the right identity."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from dicom_node import reissue
from dicom_node import rejection_gate as gate
from dicom_node.clock import stamp
from dicom_node.correction import Correction, Source
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.held_reasons import NEVER_SENT, TWO_CONTENTS
from dicom_node.identity import Identity
from dicom_node.identity_decisions import accept, code_of, difference_of
from dicom_node.kept_identity import Finding, Kept, find_identity
from dicom_node.ledger import Delivery, State, may_be_tried_again
from dicom_node.ledger_commitments import LedgerCommitments
from dicom_node.ledger_proofs import LedgerProofs, look_again
from dicom_node.ledger_tables import deliveries, destinations
from dicom_node.ledger_writer import Ledger
from dicom_node.outgoing_corrections import OutgoingCorrections
from dicom_node.reissue import Reissue
from dicom_node.rejection_note import rejection_note
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import OrderKind, SyncOrder
from tests.dicom_node.desk import START

NOW = stamp(START)
STUDY = "1.2.9"
ORDER = SyncOrder(OrderKind.REISSUE, "pacs", STUDY, NOW, "A", "why", meaning="113038", seen="c1")
SAME = Finding(Kept.SAME)
OURS = Identity.of({"patient_name": "DOE^JANE", "patient_id": "PH-2"})
THEIRS = StudyAnswer(Identity.of({"patient_id": "PH-1"}), frozenset({"patient_id"}))
THERE = {"state": State.PROVEN, "sent_at": NOW, "stored_at": NOW, "proven_at": NOW}


class Books:
    """A ledger of one study at one PACS or two."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.proofs = LedgerProofs(ledger, "pacs")
        with ledger.change() as connection:
            row = {"name": "pacs", "ae_title": "P", "host": "h", "port": 1}
            connection.execute(sa.insert(destinations).values(row))

    def owe(self, number: int, destination: str = "pacs", **facts: Any) -> None:
        row = {
            "destination": destination,
            "study_instance_uid": STUDY,
            "series_instance_uid": f"{STUDY}.1",
            "sop_instance_uid": f"{STUDY}.1.{number}",
            "path": f"instances/{number}.dcm",
            "digest": f"d{number}",
            "queued_at": NOW,
            "state": State.QUEUED,
        }
        with self.ledger.change() as connection:
            connection.execute(sa.insert(deliveries).values(row | facts))

    def reissue(self, destination: str = "pacs") -> str:
        with self.ledger.change() as connection:
            return reissue.enter(connection, ORDER, destination, NOW, bytes(16))

    def assign(self) -> None:
        with self.ledger.change() as connection:
            reissue.assign(connection, "pacs")

    def undo(self) -> str:
        with self.ledger.change() as connection:
            return reissue.undo(connection, "pacs", STUDY)

    def prove(self, finding: Finding | None = None) -> None:
        """Have all proven that has new UIDs, and look at it."""
        is_new = sa.and_(
            deliveries.c.destination == "pacs", deliveries.c.sent_sop_instance_uid != ""
        )
        with self.ledger.change() as connection:
            connection.execute(sa.update(deliveries).where(is_new).values(THERE))
        if finding is not None:
            self.proofs.record_finding(STUDY, finding, NOW)

    def rows(self, destination: str = "pacs") -> list[Delivery]:
        return self.ledger.matching(deliveries.c.destination == destination, limit=-1)

    def why(self) -> str:
        with self.ledger.engine.connect() as connection:
            (one,) = reissue.of_study(connection, STUDY, "pacs")
            return gate.why_not_yet(connection, one)

    def one(self) -> Reissue:
        with self.ledger.engine.connect() as connection:
            (one,) = reissue.of_study(connection, STUDY, "pacs")
            return one


@pytest.fixture
def books(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield Books(ledger)
    ledger.close()


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING])
def test_what_was_on_its_way_when_it_was_ordered_is_waited_for(books, state):
    books.owe(1, state=state, sent_at=NOW)
    books.reissue()
    assert books.why() == gate.NOT_ASSIGNED
    books.ledger.requeue_unknown()
    books.assign()
    assert books.why() == gate.NOT_PROVEN
    books.prove(SAME)
    assert books.why() == ""


def test_of_two_contents_under_one_uid_none_is_waited_for_or_chosen(books):
    books.owe(1, **THERE)
    books.owe(2, state=State.HELD, last_error=TWO_CONTENTS)
    books.reissue()
    books.prove(SAME)
    assert books.why() == ""


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (None, gate.NOT_LOOKED_AT),
        (SAME, ""),
        (Finding(Kept.ACCEPTED), ""),
        (Finding(Kept.KEPT), gate.DIFFERS),
        (Finding(Kept.SPLIT), gate.DIFFERS),
        (Finding(Kept.UNLISTED), gate.UNLISTED),
        (Finding(Kept.UNREAD), gate.UNREAD),
        (Finding(Kept.UNANSWERED), ""),  # it answers no query at all
    ],
)
def test_only_what_was_found_under_the_right_identity_replaces_the_old(books, finding, words):
    books.owe(1, **THERE)
    books.reissue()
    books.prove(finding)
    assert books.why() == words


def test_a_pacs_that_answers_queries_now_and_then_is_heard_first(books):
    books.owe(1, **THERE)
    books.owe(2, study_instance_uid="1.2.8", identity_state="same", **THERE)
    books.reissue()
    books.prove(Finding(Kept.UNANSWERED))
    assert books.why() == gate.UNANSWERED


@pytest.mark.parametrize("is_corrected", [True, False])
def test_what_lost_its_correction_goes_when_there_is_one_or_a_person_says_so(
    books, tmp_path, is_corrected
):
    books.owe(1, state=State.HELD, last_error=NEVER_SENT)
    assert len(books.ledger.matching(may_be_tried_again(), 9)) == 1
    with CorrectionDesk(tmp_path) as desk:
        if is_corrected:
            made = Correction("c2", STUDY, {"patient_id": "PH-2"}, (OURS,), Source.TYPED)
            desk.draft([made], START)
            desk.activate(["c2"], by="A", reason="b", now=START)
    corrections = OutgoingCorrections(tmp_path, "node", books.ledger, "pacs")
    corrections.release()
    corrections.close()
    assert [item.state for item in books.rows()] == ["queued" if is_corrected else "held"]


def test_an_order_to_look_again_is_no_look(books):
    books.owe(1, **THERE)
    books.owe(1, destination="other", **THERE)
    books.reissue()
    books.prove()
    assert books.reissue("other") == "reissued, 1 sent again"
    assert books.why() == gate.NOT_LOOKED_AT
    assert [item.verified_at for item in books.rows()] == [""]
    books.prove(SAME)
    with books.ledger.change() as connection:
        assert look_again(connection, "pacs") == 1
    assert books.why() == gate.NOT_LOOKED_AT


def test_a_late_answer_for_an_old_uid_proves_nothing_of_the_new_one(books):
    books.owe(1, state=State.STORED, sent_at=NOW, stored_at=NOW)
    commitments = LedgerCommitments(books.ledger)
    batch = books.ledger.unproven("pacs", NOW, NOW, 10)
    books.reissue()
    commitments.record_commitment_request("9.9", "pacs", batch, NOW)
    assert [item.transaction_uid for item in books.rows()] == [""]
    books.ledger.take([1], NOW, [item.sent_sop_instance_uid for item in books.rows()])
    books.ledger.update([1], expected=State.SENDING, state=State.STORED, stored_at=NOW)
    commitments.record_committed("9.9", batch[0].sop_instance_uid, NOW)
    commitments.record_commitment_request("9.9.9", "pacs", batch, NOW)
    (item,) = books.rows()
    assert (item.state, item.transaction_uid) == (State.STORED, "")
    commitments.record_commitment_request("9.10", "pacs", [item], NOW)
    commitments.record_committed("9.10", item.there.sop_instance_uid, NOW)
    assert [item.state for item in books.rows()] == [State.PROVEN]


def test_what_was_taken_back_before_it_was_sent_is_not_sent(books):
    books.owe(1, **THERE)
    books.owe(2)
    books.reissue()
    books.assign()
    due = books.ledger.due("pacs", NOW, NOW, 10)
    books.undo()
    ids, uids = [item.delivery_id for item in due], [item.sent_sop_instance_uid for item in due]
    assert books.ledger.take(ids, NOW, uids) == set()
    assert {item.state for item in books.rows()} == {State.STORED, State.QUEUED}
    assert books.ledger.take(ids, NOW) == {2}


def test_what_was_accepted_of_the_old_study_is_not_accepted_of_the_new(books):
    wrong = find_identity(OURS, [THEIRS], was_there_before=False)
    books.owe(1, **THERE)
    books.proofs.record_finding(STUDY, wrong, NOW)
    with books.ledger.change() as connection:
        code = code_of(difference_of(connection, "pacs", STUDY))
        seen = replace(ORDER, meaning="same-person", seen=code)
        assert accept(connection, seen, "pacs", NOW) == "accepted for 1 proven"
    books.reissue()
    books.prove(wrong)
    assert books.why() == gate.DIFFERS


def test_undone_what_a_person_must_decide_stays_with_that_person(books):
    books.owe(1, **THERE)
    books.owe(2)
    books.reissue()
    books.assign()
    books.owe(3, sop_instance_uid=f"{STUDY}.1.2", state=State.HELD, last_error=TWO_CONTENTS)
    books.ledger.hold([f"{STUDY}.1.1", f"{STUDY}.1.2"], TWO_CONTENTS)
    assert books.undo() == "undone"
    assert {(item.state, item.last_error) for item in books.rows()} == {("held", TWO_CONTENTS)}
    assert {item.there for item in books.rows()} == {item.here for item in books.rows()}
    assert books.rows()[0].stored_at == NOW  # the PACS has it still


def test_what_the_pacs_turns_out_to_have_after_the_note_is_rejected_too(books):
    books.owe(1, **THERE)
    books.reissue()
    with books.ledger.change() as connection:
        reissue.settle(connection, 1, state="rejected", still_listed=0, settled_at=NOW)
    books.owe(2)
    books.assign()
    assert books.one().state == "rejected"  # it never had this one
    books.owe(3, state=State.STORED, stored_at=NOW)
    books.assign()
    one, (first, _, third) = books.one(), books.rows()
    assert (one.state, one.still_listed) == ("sending", None)
    notes = [rejection_note(one, named, OURS, Dataset()) for named in ([first], [first, third])]
    assert len({note.SOPInstanceUID for note in notes}) == 2
    again = rejection_note(one, [third, first], OURS, Dataset())
    assert again.SOPInstanceUID == notes[1].SOPInstanceUID


def test_what_comes_later_is_named_by_its_new_uid_already(books):
    books.owe(1, **THERE)
    books.reissue()
    books.owe(2)
    one, (_, late) = books.one(), books.rows()
    with books.ledger.engine.connect() as connection:
        known = reissue.uid_map(connection, one)
    assert known[late.sop_instance_uid] == one.new_uids(late).sop_instance_uid
