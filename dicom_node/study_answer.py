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

    `returned` are the attributes of the identity it holds, filled or empty.
    """

    identity: Identity
    returned: frozenset[str]


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
    return identifier


def read_study_answer(match: Dataset) -> StudyAnswer:
    """Read one match.

    Parameters
    ----------
    match : pydicom.Dataset
    """
    values = {name: str(match.get(_KEYWORDS[name]) or "") for name in ATTRIBUTES}
    returned = frozenset(name for name in ATTRIBUTES if _KEYWORDS[name] in match)
    return StudyAnswer(Identity.of(values), returned)
