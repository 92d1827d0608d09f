"""Under which identity a PACS keeps a study, and whether it still has it, asked of real PACSs."""

import pytest

from dicom_node.identity import Identity
from dicom_node.kept_identity import Kept, find_identity
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import OrderKind
from tests.dicom_node.desk import fill
from tests.dicom_node.rest_orthanc import RestOrthanc

OURS = Identity("DOE^JANE", "P1", "HOSP", "19700101", "F", "ACC1", "Chest")
ALL = frozenset(Identity.__dataclass_fields__)


def answer(returned=ALL, **changes: str) -> StudyAnswer:
    values = {name: getattr(OURS, name) for name in ALL} | changes
    return StudyAnswer(Identity(**values), frozenset(returned))


def kept(*answers: StudyAnswer, was_there_before: bool = False):
    finding = find_identity(OURS, answers, was_there_before=was_there_before)
    return finding.kept, [item.attribute for item in finding.found]


def test_the_same_identity_however_it_is_written_is_the_same():
    assert kept(answer()) == (Kept.SAME, [])
    assert kept(answer(patient_name="Doe^Jane^^^", study_description="other")) == (Kept.SAME, [])


def test_another_name_or_accession_is_named():
    assert kept(answer(patient_name="ROE^JANE")) == (Kept.KEPT, ["patient_name"])
    assert kept(answer(accession_number="")) == (Kept.KEPT, ["accession_number"])
    assert kept(answer(patient_birth_date="19700102", patient_sex="M"), was_there_before=True) == (
        Kept.THERE_BEFORE,
        ["patient_birth_date", "patient_sex"],
    )


def test_a_study_under_two_patients_is_split():
    assert kept(answer(), answer(patient_id="P2")) == (Kept.SPLIT, ["patient_id"])


def test_what_a_pacs_does_not_return_says_nothing():
    assert kept(answer(returned={"patient_name", "patient_id"}, patient_sex="")) == (Kept.SAME, [])
    assert kept(answer(issuer_of_patient_id="", patient_sex="")) == (Kept.SAME, [])


def test_what_is_not_listed_or_cannot_be_asked_is_not_called_verified():
    assert kept() == (Kept.UNLISTED, [])
    finding = find_identity(OURS, None, was_there_before=False)
    assert (finding.kept, finding.state) == (Kept.UNANSWERED, "")
    assert "not verified" in finding.words


@pytest.fixture
def orthanc(make_orthanc, node_port, require):
    require("Orthanc")
    return make_orthanc(node_port).start()


@pytest.fixture
def desk_of(make_desk):
    return lambda orthanc, *settings: make_desk(
        orthanc.dicom_port, "pacs.ae_title=ORTHANC", *settings
    )


def is_verified(desk, count: int):
    """Step once; tell whether all is proven and its identity asked for."""

    def step() -> bool:
        desk.step(30)
        return desk.counts() == {"proven": count} and "" not in desk.identity_states()

    return step


@pytest.mark.peer
def test_an_instance_deleted_in_orthanc_after_commitment_is_noticed_and_sent_again(
    room, orthanc, desk_of, make_instance, wait
):
    uids = fill(room, make_instance, count=4)
    desk = desk_of(orthanc)
    wait(is_verified(desk, 4))
    assert desk.reader.studies()[0].proofs == ("commitment",)
    assert (desk.identity_states(), desk.differences()) == ({"same"}, {})
    rest = RestOrthanc(orthanc.http_port)
    rest.call("DELETE", f"/instances/{rest.instances()[0]}")
    desk.step(3600)
    assert desk.counts() == {"proven": 4}  # looked at once a day
    desk.step(86400)
    assert desk.events("instances_missing") == [
        "it no longer lists 1 instances it vouched for: asking, then sending"
    ]
    wait(is_verified(desk, 4))
    assert rest.uids() == set(uids)
    assert orthanc.stores_received() == 5


@pytest.mark.peer
def test_one_lost_and_one_gained_is_noticed_though_the_number_is_the_same(
    room, orthanc, desk_of, make_instance, wait, tmp_path
):
    ds = make_instance()
    of_the_study = {
        "StudyInstanceUID": ds.StudyInstanceUID,
        "SeriesInstanceUID": ds.SeriesInstanceUID,
    }
    for one in (ds, make_instance(2, **of_the_study)):
        room.accept(one)
    room.settle()
    desk = desk_of(orthanc)
    wait(is_verified(desk, 2))
    rest = RestOrthanc(orthanc.http_port)
    sent = rest.uids()
    rest.call("DELETE", f"/instances/{rest.instances()[0]}")
    (lost,) = sent - rest.uids()
    make_instance(3, **of_the_study).save_as(tmp_path / "gained.dcm", enforce_file_format=True)
    rest.call("POST", "/instances", (tmp_path / "gained.dcm").read_bytes())
    assert len(rest.uids()) == 2
    desk.step(90000)
    assert desk.events("instances_missing") == [
        "it no longer lists 1 instances it vouched for: asking, then sending"
    ]
    wait(lambda: desk.step(30) or lost in rest.uids())
    assert len(rest.uids()) == 3


@pytest.mark.peer
def test_on_order_it_is_looked_at_once(room, orthanc, desk_of, make_instance, wait):
    uids = fill(room, make_instance, count=2)
    desk = desk_of(orthanc, "sync.reverify_interval_s=0")
    wait(is_verified(desk, 2))
    rest = RestOrthanc(orthanc.http_port)
    rest.call("DELETE", f"/instances/{rest.instances()[0]}")
    desk.step(864000)
    assert len(rest.uids()) == 1
    desk.sync_orders.give(OrderKind.VERIFY, by="A. Smith", reason="the PACS was restored")
    wait(lambda: desk.step(30) or rest.uids() == set(uids))


@pytest.mark.peer
def test_an_identity_the_pacs_had_before_is_said_and_not_called_verified(
    room, orthanc, desk_of, make_instance, wait, tmp_path
):
    """The PACS holds the instance under an older name; it keeps it, whatever comes."""
    ds = make_instance()
    old = make_instance(
        StudyInstanceUID=ds.StudyInstanceUID, SeriesInstanceUID=ds.SeriesInstanceUID
    )
    old.SOPInstanceUID = old.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    old.PatientName, old.AccessionNumber = "OLD^NAME", "OLD1"
    old.save_as(tmp_path / "old.dcm", enforce_file_format=True)
    rest = RestOrthanc(orthanc.http_port)
    rest.call("POST", "/instances", (tmp_path / "old.dcm").read_bytes())
    room.accept(ds)
    room.settle()
    desk = desk_of(orthanc)
    wait(is_verified(desk, 1))
    assert desk.identity_states() == {"differs"}
    assert desk.differences() == {"there-before": ["patient_name", "accession_number"]}
    (words,) = desk.events("identity_differs")
    assert "a person must say" in words
    assert "OLD" not in words
    assert "PHANTOM" not in words


@pytest.mark.peer
def test_a_pacs_that_keeps_the_old_identity_of_a_study_is_told_apart(
    room, orthanc, desk_of, make_instance, wait
):
    """We sent it under one name; corrected later and sent again, it keeps the first."""
    ds = make_instance()
    room.accept(ds)
    room.settle()
    desk = desk_of(orthanc)
    wait(is_verified(desk, 1))
    corrected = Identity("PHANTOM^CORRECTED", "PH-TEST", "", "19700101", "O", "ACC2", "")
    desk.destination._verifier._identity_of = lambda uid: corrected
    desk.step(90000)
    assert desk.identity_states() == {"differs"}
    assert desk.differences() == {"kept": ["patient_name", "accession_number"]}
    assert "kept the old identity" in desk.events("identity_differs")[0]


@pytest.mark.peer
def test_a_changed_patient_id_that_splits_the_study_is_said(
    room, orthanc, desk_of, make_instance, wait, tmp_path
):
    ds = make_instance()
    room.accept(ds)
    room.settle()
    desk = desk_of(orthanc)
    wait(is_verified(desk, 1))
    ds.PatientID = "PH-OTHER"
    ds.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    rest = RestOrthanc(orthanc.http_port)
    rest.call("POST", "/instances", (tmp_path / "other.dcm").read_bytes())
    desk.step(90000)
    assert desk.differences() == {"split": ["patient_id"]}
    assert "more than one patient" in desk.events("identity_differs")[0]


def test_a_pacs_without_queries_proves_but_verifies_nothing(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance, count=2)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    desk.pacs.find_study = lambda uid: None
    wait(lambda: desk.step(1) or (desk.counts() == {"proven": 2} and desk.differences()))
    assert desk.identity_states() == {""}
    assert desk.differences() == {"unanswered": []}


def test_a_verified_study_is_not_asked_about_until_something_new_arrives(
    room, make_pacs, make_desk, make_instance, wait
):
    uids = fill(room, make_instance, count=2)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    wait(is_verified(desk, len(uids)))
    asked = []
    find_study = desk.pacs.find_study
    desk.pacs.find_study = lambda uid: asked.append(uid) or find_study(uid)
    for _ in range(20):
        desk.step(60)
    assert not asked
