"""What was ordered, asked of a real modality worklist, beside what came without it."""

import re
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind

from dicom_node.identity import Identity
from dicom_node.pacs import Pacs
from dicom_node.setting_tables import WorklistSettings
from dicom_node.study_search import FoundStudy
from dicom_node.worklist_search import ScheduledStep, WorklistKeys
from tests.conftest import is_open, require_program, wait_until
from web.app import create_app
from web.candidates import find_candidates, find_ordered
from web.context import EXTENSION

ORDERED = {
    "patient_name": "MÜLLER^JÖRG",
    "patient_id": "PH-7",
    "accession_number": "ACC77",
}


def write_order(path: Path, *, name: str, number: str, time: str, study: str) -> None:
    order, step = Dataset(), Dataset()
    order.SpecificCharacterSet = "ISO_IR 100"
    order.PatientName, order.PatientID, order.AccessionNumber = name, number, f"ACC{time[:2]}"
    order.PatientBirthDate, order.PatientSex = "19700101", "M"
    order.StudyInstanceUID, order.RequestedProcedureID = study, f"RP{time[:2]}"
    order.RequestedProcedureDescription = "CT of the head"
    step.ScheduledStationAETitle, step.Modality = "CT1", "CT"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260102", time
    step.ScheduledPerformingPhysicianName = "SMITH"
    step.ScheduledProcedureStepDescription = "Head plain"
    step.ScheduledProcedureStepID = f"SPS{time[:2]}"
    order.ScheduledProcedureStepSequence = [step]
    order.file_meta = FileMetaDataset()
    order.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    order.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
    order.file_meta.MediaStorageSOPInstanceUID = f"{study}.9"
    order.save_as(path, enforce_file_format=True)


@pytest.fixture
def worklist(tmp_path, free_ports):
    """DCMTK's worklist with three orders, two of them in the hour of the images."""
    folder = tmp_path / "worklist" / "RIS"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    jane = {"name": "DOE^JANE", "number": "PH-8"}
    write_order(folder / "1.wl", name="MÜLLER^JÖRG", number="PH-7", time="031000", study="1.2.7")
    write_order(folder / "2.wl", **jane, time="034500", study="1.2.8")
    write_order(folder / "3.wl", **jane, time="180000", study="1.2.9")
    (port,) = free_ports(1)
    program = require_program("wlmscpfs")
    process = subprocess.Popen([program, "-s", "-csk", "-dfp", str(folder.parent), str(port)])
    wait_until(lambda: is_open(port))
    yield WorklistSettings(ae_title="RIS", host="127.0.0.1", port=port)
    process.terminate()
    process.wait(30)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.peer
def test_scheduled_steps_are_found_by_patient_and_by_time(worklist):
    pacs = Pacs(worklist.peer, "LIFEBOAT")
    (step,) = pacs.find_scheduled(WorklistKeys(patient_id="PH-7"))
    assert {name: getattr(step.identity, name) for name in ORDERED} == {
        **ORDERED,
        "accession_number": "ACC03",
    }
    assert (step.study_instance_uid, step.requested_procedure_id) == ("1.2.7", "RP03")
    assert (step.start_date, step.start_time, step.modality) == ("20260102", "031000", "CT")
    found = pacs.find_scheduled(WorklistKeys(start_date="20260102", start_time="020400-040459"))
    assert {one.study_instance_uid for one in found} == {"1.2.7", "1.2.8"}
    (named, other) = pacs.find_scheduled(WorklistKeys(patient_name="DOE^JANE"))
    assert named.identity.patient_id == other.identity.patient_id == "PH-8"


@pytest.mark.peer
def test_an_order_of_the_same_hour_can_be_taken_for_what_came_without_one(
    settings, worklist, keeper, make_instance
):
    """The study came at 03:04 of that day, under a temporary ID and without an accession."""
    ds = make_instance(PatientName="EMERGENCY^UNKNOWN", PatientID="TMP-1", AccessionNumber="")
    keeper.keep(ds)
    app = create_app(replace(settings, worklist=worklist))
    page = app.test_client().post(f"/reconcile/studies/{ds.StudyInstanceUID}/candidates").text
    app.extensions[EXTENSION].close()
    said = text_of(page)
    for words in (
        "Worklist (RIS)",
        "2 scheduled steps",
        "MÜLLER, Jörg",
        "DOE, Jane",
        "same hour, order RP03, for CT1",
        "Head plain",
        "Ordered",
    ):
        assert words in said
    assert "SPS18" not in said
    assert "RP18" not in said
    assert 'name="accession_number" value="ACC03"' in page


def test_a_worklist_that_does_not_answer_is_said(settings, held, free_ports):
    (port,) = free_ports(1)
    silent = replace(settings, worklist=WorklistSettings(host="127.0.0.1", port=port))
    app = create_app(silent)
    answer = app.test_client().post(f"/reconcile/studies/{held.StudyInstanceUID}/candidates")
    app.extensions[EXTENSION].close()
    assert "Worklist (RIS)" in text_of(answer.text)
    assert "It could not be asked" in text_of(answer.text)


def test_what_an_answer_does_not_say_is_not_said_of_it():
    """A peer may match otherwise than it was asked to, or not at all."""
    record = SimpleNamespace(study_date="20260102", study_time="101500")
    context = SimpleNamespace(index=SimpleNamespace(study_as_received=lambda study: record))
    ours = Identity(patient_name="DOE^JANE", patient_id="P1", patient_birth_date="19700101")
    other = Identity(patient_name="ROE^RICHARD", patient_id="X9")
    right = ScheduledStep(ours, "9.8", "RP1", "20260102", "1100", "CT", "CT1", "HEAD", "S1")
    wrong = ScheduledStep(other, "9.9", "RP1", "20260102", "180000", "CT", "CT1", "HEAD", "S2")
    said = dict(find_ordered(lambda keys: [right, wrong], context, "1.2", ours))
    assert said[right] == ["same patient ID", "same name", "same hour"]
    assert said[wrong] == [
        "not the same patient ID, though asked for it",
        "not the same name, though asked for it",
        "not the same hour, though asked for it",
    ]
    found = FoundStudy(other, (), "9.9", "20250102", "101500", "CT", "1")
    twin = replace(found, identity=ours)  # one study under two patients
    courier = SimpleNamespace(find_studies=lambda keys: [found, twin])
    said = dict(find_candidates(courier, context, "1.2", ours))
    assert "not the same name and birth date, though asked for it" in said[found]
    assert said[twin][:2] == ["same patient ID", "same name and birth date"]
    assert said[twin][2] == "not the same hour, though asked for it"


@pytest.fixture
def endless(free_ports):
    """A worklist that sends one answer after the other, and never the last one."""
    entity, ended = AE("RIS"), threading.Event()
    entity.add_supported_context(ModalityWorklistInformationFind)

    def answer(event):
        while not ended.wait(0.5):
            yield 0xFF00, event.identifier

    (port,) = free_ports(1)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)]
    )
    yield WorklistSettings(ae_title="RIS", host="127.0.0.1", port=port)
    ended.set()
    server.shutdown()


@pytest.mark.peer
def test_a_peer_that_answers_without_an_end_keeps_nobody_waiting(
    settings, held, endless, monkeypatch
):
    monkeypatch.setattr("web.candidates.QUESTION_TIMEOUT_S", 6.0)
    app = create_app(replace(settings, worklist=endless))
    begun = time.monotonic()
    answer = app.test_client().post(f"/reconcile/studies/{held.StudyInstanceUID}/candidates")
    took = time.monotonic() - begun
    app.extensions[EXTENSION].close()
    assert "not done within 6 seconds" in text_of(answer.text)
    assert took < 30
