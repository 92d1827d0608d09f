"""How a PACS lists a study: the query that asks for its identity, and what was answered."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.identity import ATTRIBUTES, Identity

_KEYWORDS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_description": "StudyDescription",
}


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """One match of a C-FIND at STUDY level.

    `returned` are the attributes of the identity it holds, filled or empty; `instances` is Number
    of Study Related Instances (0020,1208), None where it does not say.
    """

    identity: Identity
    returned: frozenset[str]
    instances: int | None


def study_identifier(study_instance_uid: str) -> Dataset:
    """Return the identifier that asks under which identity a study is kept (PS3.4 C.6.2.1.2).

    Parameters
    ----------
    study_instance_uid : str
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    for keyword in _KEYWORDS.values():
        setattr(identifier, keyword, "")
    identifier.NumberOfStudyRelatedInstances = None
    return identifier


def read_study_answer(match: Dataset) -> StudyAnswer:
    """Read one match.

    Parameters
    ----------
    match : pydicom.Dataset
    """
    values = {name: str(match.get(_KEYWORDS[name]) or "") for name in ATTRIBUTES}
    returned = frozenset(name for name in ATTRIBUTES if _KEYWORDS[name] in match)
    try:
        number = match.get("NumberOfStudyRelatedInstances")
        instances = None if number is None else int(number)
    except (TypeError, ValueError):
        instances = None
    return StudyAnswer(Identity.of(values), returned, instances)
