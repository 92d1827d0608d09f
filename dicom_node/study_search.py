"""Asking a PACS for studies by whose they are: what is asked, and what an answer says."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.identity import Identity

MOST_FOUND: Final = 50
"""Answers to one question that are looked at; more tell that it was asked too broadly."""

_IDENTITY: Final = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_description": "StudyDescription",
}
_STUDY: Final = {
    "study_instance_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "modalities_in_study": "ModalitiesInStudy",
    "number_of_study_related_instances": "NumberOfStudyRelatedInstances",
}


@dataclass(frozen=True, slots=True)
class StudyKeys:
    """What to look for, as DICOM matches it (PS3.4 C.2.2.2); '' matches everything."""

    study_instance_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """One study a PACS holds: whose it is, and what it returned of the attributes asked for."""

    identity: Identity
    returned: tuple[str, ...]
    study_instance_uid: str
    study_date: str
    study_time: str
    modalities_in_study: str
    number_of_study_related_instances: str


def search_identifier(keys: StudyKeys) -> Dataset:
    """Return the identifier of a query at study level (PS3.4 C.6.2.1).

    Parameters
    ----------
    keys : StudyKeys

    Returns
    -------
    pydicom.Dataset
    """
    wanted = asdict(keys)
    identifier = Dataset()
    if not "".join(wanted.values()).isascii():
        identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = "STUDY"
    for name, keyword in (_IDENTITY | _STUDY).items():
        setattr(identifier, keyword, wanted.get(name, "") or None)
    return identifier


def found_study(match: Dataset) -> FoundStudy:
    """Read one answer of a PACS.

    Parameters
    ----------
    match : pydicom.Dataset

    Returns
    -------
    FoundStudy
    """
    texts = {name: answered_text(match, keyword) for name, keyword in (_IDENTITY | _STUDY).items()}
    returned = tuple(name for name, keyword in _IDENTITY.items() if keyword in match)
    return FoundStudy(Identity.of(texts), returned, **{name: texts[name] for name in _STUDY})


def answered_text(match: Dataset, keyword: str) -> str:
    """Return one value of an answer as text, '' where there is none that can be read."""
    try:
        value = match.get(keyword)
    except (ValueError, TypeError, LookupError):  # an answer need not be good DICOM
        return ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
