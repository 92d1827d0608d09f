"""What is sent corrected, to real peers, and what happens where a correction would do harm."""

import threading

import pydicom
import pytest
import sqlalchemy as sa

from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionDesk, deciding
from dicom_node.held_reasons import KEEPS_OLD, SPLITS, TWO_CONTENTS
from dicom_node.identity import Identity
from dicom_node.ledger import State
from dicom_node.ledger_tables import deliveries as ledger_rows
from dicom_node.outgoing_corrections import OutgoingCorrections
from dicom_node.study_query import StudyQuery
from dicom_node.sync_order import OrderKind
from tests.dicom_node.desk import START, fill

WHO = {"by": "A. Smith", "reason": "the worklist was down"}


@pytest.fixture
def correct(room):
    """Confirm a correction of the only study, as the page does."""

    def make(correction_id: str = "c1", **values: str) -> Correction:
        (study,) = room.reader.search_studies(StudyQuery())
        identity = Identity(
            study.patient_name,
            study.patient_id,
            study.issuer_of_patient_id,
            study.patient_birth_date,
            study.patient_sex,
            study.accession_number,
            study.study_description,
        )
        made = Correction(correction_id, study.study_instance_uid, values, (identity,))
        with CorrectionDesk(room.data) as desk:
            desk.draft([made], START)
            desk.activate([correction_id], **WHO, now=START)
        return made

    return make


def undo(room, correction_id: str = "c1") -> None:
    with CorrectionDesk(room.data) as desk:
        desk.undo([correction_id], **WHO, now=START)


def stored_files(room) -> dict[str, bytes]:
    return {path: (room.data / path).read_bytes() for path in room.store.walk()}


def deliveries(desk):
    return desk.reader.deliveries(desk.reader.studies()[0].study_instance_uid)


def test_what_is_sent_is_corrected_and_what_is_stored_is_not(
    room, make_pacs, make_desk, make_instance, correct
):
    uids = fill(room, make_instance)
    before = stored_files(room)
    correct(accession_number="ACC9")
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"proven": 3}
    for uid in uids:
        received = pydicom.dcmread(pacs.held[uid])
        assert received.AccessionNumber == "ACC9"
        (item,) = received.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].AccessionNumber == "ACC1"
    assert stored_files(room) == before
    assert {item.correction_id for item in deliveries(desk)} == {"c1"}
    assert not list((room.data / "outgoing").iterdir())


def test_an_image_of_another_patient_in_the_same_study_is_held_and_the_others_go(
    room, make_pacs, make_desk, make_instance, correct
):
    first = make_instance(1)
    stranger = make_instance(2, StudyInstanceUID=first.StudyInstanceUID, PatientName="SMITH^JOHN")
    room.accept(first)
    room.accept(stranger)
    room.settle()
    correct(patient_id="PH-2")  # made when only the first was here
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"proven": 1, "held": 1}
    assert set(pacs.received) == {str(first.SOPInstanceUID)}
    (held,) = [item for item in deliveries(desk) if item.state == State.HELD]
    assert held.sop_instance_uid == stranger.SOPInstanceUID
    assert "names a patient" in held.last_error


def test_what_would_split_a_study_is_held_until_the_correction_is_undone(
    room, make_pacs, make_desk, make_instance, correct
):
    uids = fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.step()
    assert len(pacs.received) == 1
    correct(patient_id="PH-2")
    desk.step(1)
    desk.step(1)
    assert desk.counts() == {"proven": 1, "held": 2}
    assert {item.last_error for item in deliveries(desk)} == {"", SPLITS}
    assert len(pacs.received) == 1
    undo(room)
    step_until(desk, {"proven": 3})
    assert set(pacs.received) == set(uids)


def test_what_the_pacs_would_not_change_any_more_is_held(
    room, make_pacs, make_desk, make_instance, correct
):
    fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.step()
    correct(accession_number="ACC9")
    desk.step(1)
    desk.step(1)
    assert desk.counts() == {"proven": 1, "held": 2}
    assert KEEPS_OLD in {item.last_error for item in deliveries(desk)}


def test_once_begun_a_correction_goes_on_after_a_restart(
    room, make_pacs, make_desk, make_instance, correct
):
    fill(room, make_instance)
    correct(patient_id="PH-2", patient_name="DOE^JANE")
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.step()
    desk.close()
    desk.open()
    for _ in range(4):
        desk.step(1)
    assert desk.counts() == {"proven": 3}
    assert {pydicom.dcmread(path).PatientID for path in pacs.held.values()} == {"PH-2"}


def test_whoever_takes_and_whoever_decides_wait_for_each_other(
    room, make_pacs, make_desk, make_instance, correct, wait
):
    """Nothing is taken to be sent while somebody looks whether anything was."""
    fill(room, make_instance)
    correct(accession_number="ACC9")
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    with deciding(room.data):
        sending = threading.Thread(target=desk.step)
        sending.start()
        wait(
            lambda: room.data.joinpath("ledger.sqlite").exists() and desk.counts() == {"queued": 3}
        )
        undo(room)
    sending.join(30)
    for _ in range(3):
        desk.step(1)
    assert desk.counts() == {"proven": 3}
    assert {pydicom.dcmread(path).AccessionNumber for path in pacs.held.values()} == {"ACC1"}
    assert {item.correction_id for item in deliveries(desk)} == {""}


def test_two_contents_under_one_uid_stay_held_when_the_correction_is_undone(
    room, make_pacs, make_desk, make_instance, correct
):
    """Whatever held it first: the correction, or the other content of it."""
    uids = fill(room, make_instance, 4)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.step()
    (sent,) = pacs.received
    correct(patient_id="PH-2")
    desk.step(1)
    held, waiting = sorted(
        (item for item in deliveries(desk) if item.sop_instance_uid != sent),
        key=lambda item: item.state,
    )[:2]
    assert (held.state, waiting.state) == ("held", "queued")
    desk.ledger.hold([held.sop_instance_uid], TWO_CONTENTS)
    desk.ledger.take([waiting.delivery_id], "2026")
    desk.ledger.update([waiting.delivery_id], expected=State.SENDING, correction_id="c1")
    desk.ledger.hold([waiting.sop_instance_uid], TWO_CONTENTS)
    undo(room)
    for _ in range(5):
        desk.step(1)
    assert desk.counts() == {"proven": 2, "held": 2}
    assert set(uids) - set(pacs.received) == {held.sop_instance_uid, waiting.sop_instance_uid}


def test_however_much_is_held_for_a_correction_all_of_it_is_let_go(room, make_desk):
    desk = make_desk(1)
    rows = [
        {
            "destination": "pacs",
            "study_instance_uid": "1.2",
            "sop_instance_uid": f"1.2.{number}",
            "state": "held",
            "correction_id": "c1",
            "last_error": SPLITS,
        }
        for number in range(1500)
    ]
    (pacs,) = desk.settings.pacs
    with desk.ledger.change() as connection:
        connection.execute(
            sa.insert(ledger_rows), [row | {"destination": pacs.name} for row in rows]
        )
    corrections = OutgoingCorrections(room.data, "node", desk.ledger, pacs.name)
    corrections.release()
    corrections.close()
    assert desk.counts() == {"queued": 1500}


def step_until(desk, counts: dict[str, int]) -> None:
    """Step until that is so: a conversation that a busy machine cut off is begun again later."""
    for turn in range(100):
        desk.step(1)
        if turn >= 2 and desk.counts() == counts:
            return
    assert desk.counts() == counts


def test_once_the_pacs_was_mended_what_was_held_goes_when_a_person_says_so(
    room, make_pacs, make_desk, make_instance, correct
):
    uids = fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.step()
    correct(patient_id="PH-2")
    desk.step(1)
    desk.step(1)
    desk.sync_orders.give(OrderKind.RETRY, **WHO)
    step_until(desk, {"proven": 1, "held": 2})  # nothing was mended yet
    (there,) = pacs._holdings.all()
    there.header.PatientID = "PH-2"
    desk.sync_orders.give(OrderKind.RETRY, **WHO)
    for _ in range(5):
        desk.step(1)
    assert desk.counts() == {"proven": 3}
    assert set(pacs.received) == set(uids)
