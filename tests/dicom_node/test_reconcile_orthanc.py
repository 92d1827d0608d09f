"""Corrections that come too late, with Orthanc as the PACS: each is noticed and said."""

from dataclasses import asdict

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.courier import Courier
from dicom_node.held_reasons import KEEPS_OLD, SPLITS
from dicom_node.identity import Identity
from dicom_node.kept_identity import Kept, find_identity
from dicom_node.study_query import StudyQuery
from dicom_node.study_search import StudyKeys
from tests.dicom_node.desk import START, fill

pytestmark = pytest.mark.peer


@pytest.fixture
def orthanc(make_orthanc, node_port):
    return make_orthanc(node_port).start()


@pytest.fixture
def desk(make_desk, orthanc):
    return make_desk(orthanc.dicom_port, "pacs.ae_title=ORTHANC", "pacs.proof=c-find")


def correct(room, **values: str) -> Correction:
    (study,) = room.reader.search_studies(StudyQuery())
    made = Correction("c1", study.study_instance_uid, values, (Identity.of(asdict(study)),))
    with CorrectionDesk(room.data) as desk:
        desk.draft([made], START)
        desk.activate(["c1"], by="A. Smith", reason="the worklist was down", now=START)
    return made


def send_directly(orthanc, ds) -> None:
    """Send an instance past the node, as a scanner does that sends to both."""
    entity = AE(ae_title="CT1")
    entity.add_requested_context(CTImageStorage, ds.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", orthanc.dicom_port, ae_title="ORTHANC")
    assert association.send_c_store(ds).Status == 0
    association.release()


def said(desk) -> set[str]:
    (study,) = desk.reader.studies()
    return {item.last_error for item in desk.reader.deliveries(study.study_instance_uid)}


@pytest.mark.parametrize(
    ("values", "words"),
    [({"accession_number": "ACC9"}, KEEPS_OLD), ({"patient_id": "PH-2"}, SPLITS)],
)
def test_what_the_pacs_has_in_part_is_not_mixed_with_what_is_corrected(
    room, make_instance, orthanc, desk, values, words
):
    uids = fill(room, make_instance)
    first = next(path for path in room.store.walk() if uids[0] in path)
    send_directly(orthanc, pydicom.dcmread(room.data / first))
    correct(room, **values)
    desk.step()
    desk.step(1)
    assert words in said(desk)
    assert orthanc.number_of_instances() == 1
    assert len(orthanc.get("/studies")) == 1


def test_corrected_before_the_first_send_it_is_kept_as_corrected(
    room, make_instance, orthanc, desk
):
    fill(room, make_instance, count=2)
    correction = correct(room, patient_id="PH-2", accession_number="ACC9")
    for _ in range(3):
        desk.step(1)
    assert desk.counts() == {"proven": 2}
    answers = desk.pacs.find_study(correction.study_instance_uid)
    corrected = correction.of(correction.identities[0])
    assert find_identity(corrected, answers, was_there_before=False).kept is Kept.SAME
    (study,) = orthanc.get("/studies?expand")
    assert study["PatientMainDicomTags"]["PatientID"] == "PH-2"


def test_sent_again_with_other_tags_the_pacs_keeps_the_old_ones_and_that_is_seen(
    room, make_instance, orthanc, desk
):
    ds = make_instance()
    room.accept(ds)
    room.settle()
    desk.step()
    ds.AccessionNumber = "ACC9"
    send_directly(orthanc, ds)
    wanted = Identity(str(ds.PatientName), ds.PatientID, accession_number="ACC9")
    answers = desk.pacs.find_study(str(ds.StudyInstanceUID))
    assert find_identity(wanted, answers, was_there_before=False).kept is Kept.KEPT


def test_a_changed_patient_id_splits_the_study_and_that_is_seen(room, make_instance, orthanc, desk):
    ds = make_instance()
    room.accept(ds)
    room.settle()
    desk.step()
    ds.PatientID = "PH-2"
    send_directly(orthanc, ds)
    answers = desk.pacs.find_study(str(ds.StudyInstanceUID))
    wanted = Identity(str(ds.PatientName), "PH-2")
    assert find_identity(wanted, answers, was_there_before=False).kept is Kept.SPLIT


def test_candidates_are_found_by_id_by_name_and_by_time_from_a_child(orthanc, make_instance, desk):
    held = make_instance(PatientName="MÜLLER^JÖRG", PatientID="PH-7", StudyTime="101500")
    send_directly(orthanc, held)
    send_directly(orthanc, make_instance(PatientName="SMITH^JOHN", StudyTime="180000"))
    (pacs,) = desk.settings.pacs
    courier = Courier(pacs, "LIFEBOAT")
    try:
        for keys in (
            StudyKeys(patient_id="PH-7"),
            StudyKeys(patient_name="MÜLLER^JÖRG", patient_birth_date="19700101"),
            StudyKeys(study_date="20260102", study_time="100000-110000"),
        ):
            (found,) = courier.find_studies(keys)
            assert found.identity.patient_name == "MÜLLER^JÖRG"
            assert found.study_instance_uid == held.StudyInstanceUID
    finally:
        courier.close()
