"""Asking a modality worklist for what was ordered: what is asked, and what an answer says."""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.identity import Identity
from dicom_node.study_search import answered_text

_PATIENT: Final = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_description": "RequestedProcedureDescription",
}
_ORDER: Final = {
    "study_instance_uid": "StudyInstanceUID",
    "requested_procedure_id": "RequestedProcedureID",
}
_STEP: Final = {
    "start_date": "ScheduledProcedureStepStartDate",
    "start_time": "ScheduledProcedureStepStartTime",
    "modality": "Modality",
    "station_ae_title": "ScheduledStationAETitle",
    "step_description": "ScheduledProcedureStepDescription",
    "step_id": "ScheduledProcedureStepID",
}


@dataclass(frozen=True, slots=True)
class WorklistKeys:
    """What to look for, as DICOM matches it (PS3.4 K.2.2.1); '' matches everything.

    `start_date` and `start_time` are those of the scheduled procedure step.
    """

    patient_id: str = ""
    patient_name: str = ""
    start_date: str = ""
    start_time: str = ""


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One scheduled procedure step: for whom, as what, when and where; '' where it does not say.

    The identity's study description is that of the requested procedure (0032,1060).
    """

    identity: Identity
    study_instance_uid: str
    requested_procedure_id: str
    start_date: str
    start_time: str
    modality: str
    station_ae_title: str
    step_description: str
    step_id: str


def worklist_identifier(keys: WorklistKeys) -> Dataset:
    """Return the identifier of a query of a modality worklist (PS3.4 K.6.1.2.2).

    Parameters
    ----------
    keys : WorklistKeys

    Returns
    -------
    pydicom.Dataset
        With every value that is wanted back.
    """
    identifier, step = Dataset(), Dataset()
    if not (keys.patient_id + keys.patient_name).isascii():
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_PATIENT.values(), *_ORDER.values()):
        setattr(identifier, keyword, None)
    identifier.PatientName, identifier.PatientID = keys.patient_name, keys.patient_id
    for keyword in _STEP.values():
        setattr(step, keyword, None)
    step.ScheduledProcedureStepStartDate = keys.start_date
    step.ScheduledProcedureStepStartTime = keys.start_time
    identifier.ScheduledProcedureStepSequence = [step]
    return identifier


def scheduled_step(match: Dataset) -> ScheduledStep:
    """Read one answer of a worklist.

    Parameters
    ----------
    match : pydicom.Dataset
    """
    steps = match.get("ScheduledProcedureStepSequence") or [Dataset()]
    texts = {name: answered_text(match, keyword) for name, keyword in _ORDER.items()}
    texts |= {name: answered_text(steps[0], keyword) for name, keyword in _STEP.items()}
    identity = Identity.of(
        {name: answered_text(match, keyword) for name, keyword in _PATIENT.items()}
    )
    return ScheduledStep(identity, **texts)
