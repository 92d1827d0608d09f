"""The note that tells a PACS to hide instances: a Key Object Selection Document (PS3.3 A.35.4).

IHE calls it a Rejection Note (Radiology Technical Framework, Imaging Object Change Management,
transaction RAD-66): its title is the reason, its evidence names what is rejected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from dicom_node.identity import Identity
from dicom_node.identity_edits import KEYWORDS, UTF_8
from dicom_node.ledger import Delivery
from dicom_node.part10 import IMPLEMENTATION_VERSION_NAME
from dicom_node.reissue import TITLE_WORDS, Reissue
from dicom_node.reissued_uids import new_uid

SOP_CLASS_UID: Final = str(KeyObjectSelectionDocumentStorage)
TRANSFER_SYNTAX_UID: Final = str(ExplicitVRLittleEndian)
SERIES_NUMBER: Final = "9000"
_WAVEFORMS: Final = "1.2.840.10008.5.1.4.1.1.9."
_NO_IMAGES: Final = (
    "1.2.840.10008.5.1.4.1.1.11.",
    "1.2.840.10008.5.1.4.1.1.66",
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.104.",
    "1.2.840.10008.5.1.4.1.1.481.",
)
"""Presentation states, registrations, documents and plans: COMPOSITE in a content tree."""


def rejection_note(
    reissue: Reissue, instances: Sequence[Delivery], identity: Identity, study: Dataset
) -> Dataset:
    """Return the note that rejects the old instances of a reissue.

    Parameters
    ----------
    reissue : Reissue
    instances : sequence of Delivery
        What is rejected, under the UIDs it was received with.
    identity : Identity
        The one the PACS keeps the old study under: the note is filed beside what it rejects.
    study : Dataset
        StudyDate, StudyTime, StudyID and ReferringPhysicianName, where they are known.

    Returns
    -------
    Dataset
        With the same UIDs however often it is made of the same instances.
    """
    ds = Dataset()
    texts = [*asdict(identity).values(), reissue.reason, str(study.get("ReferringPhysicianName"))]
    if not all(map(str.isascii, texts)):
        ds.SpecificCharacterSet = UTF_8
    _put_identity(ds, identity)
    _put_study(ds, study, reissue)
    _put_series(ds, reissue)
    ds.SOPClassUID, ds.SOPInstanceUID = SOP_CLASS_UID, _note_uid(reissue, instances)
    ds.ReferencedRequestSequence = Items()
    ds.CurrentRequestedProcedureEvidenceSequence = Items([_evidence(instances)])
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = Items([_code(reissue.title, TITLE_WORDS[reissue.title])])
    ds.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    ds.ContentTemplateSequence = Items([template])
    ds.ContentSequence = Items([_why(reissue), *map(_content, instances)])
    return ds


def _note_uid(reissue: Reissue, instances: Sequence[Delivery]) -> str:
    """Return the SOP Instance UID of a note: one that names others has another."""
    named = " ".join(sorted(item.sop_instance_uid for item in instances))
    return new_uid(reissue.namespace, f"rejection note {reissue.reissue_id} {named}")


def _put_identity(ds: Dataset, identity: Identity) -> None:
    for name, value in asdict(identity).items():
        # all but the issuer and the description are type 2: empty where they are unknown
        if value or name not in ("issuer_of_patient_id", "study_description"):
            setattr(ds, KEYWORDS[name], value)


def _put_study(ds: Dataset, study: Dataset, reissue: Reissue) -> None:
    ds.StudyInstanceUID = reissue.study_instance_uid
    for keyword in ("StudyDate", "StudyTime", "StudyID", "ReferringPhysicianName"):
        setattr(ds, keyword, study.get(keyword, ""))


def _put_series(ds: Dataset, reissue: Reissue) -> None:
    at = datetime.fromisoformat(reissue.at)
    ds.Modality = "KO"
    ds.SeriesInstanceUID = new_uid(reissue.namespace, f"rejection series {reissue.reissue_id}")
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBER, "1"
    ds.SeriesDescription = TITLE_WORDS[reissue.title]
    ds.ReferencedPerformedProcedureStepSequence = Items()
    ds.Manufacturer, ds.SoftwareVersions = "Lifeboat", IMPLEMENTATION_VERSION_NAME
    ds.ContentDate, ds.ContentTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    ds.TimezoneOffsetFromUTC = f"{at:%z}"[:5]


def _evidence(instances: Iterable[Delivery]) -> Dataset:
    """Return the one study, its series and their instances (PS3.3 Table C.17-3b)."""
    study = Dataset()
    series: dict[str, Dataset] = {}
    for item in instances:
        study.StudyInstanceUID = item.study_instance_uid
        of_series = series.setdefault(item.series_instance_uid, Dataset())
        of_series.SeriesInstanceUID = item.series_instance_uid
        if "ReferencedSOPSequence" not in of_series:
            of_series.ReferencedSOPSequence = Items()
        of_series.ReferencedSOPSequence.append(_reference(item))
    study.ReferencedSeriesSequence = Items(series.values())
    return study


def _reference(item: Delivery) -> Dataset:
    found = Dataset()
    found.ReferencedSOPClassUID = item.sop_class_uid
    found.ReferencedSOPInstanceUID = item.sop_instance_uid
    return found


def _content(item: Delivery) -> Dataset:
    found = Dataset()
    found.RelationshipType, found.ValueType = "CONTAINS", _value_type(item.sop_class_uid)
    found.ReferencedSOPSequence = Items([_reference(item)])
    return found


def _value_type(sop_class_uid: str) -> str:
    if sop_class_uid.startswith(_WAVEFORMS):
        return "WAVEFORM"
    return "COMPOSITE" if sop_class_uid.startswith(_NO_IMAGES) else "IMAGE"


def _why(reissue: Reissue) -> Dataset:
    """Return the description of TID 2010, with the reason a person gave."""
    found = Dataset()
    found.RelationshipType, found.ValueType = "CONTAINS", "TEXT"
    found.ConceptNameCodeSequence = Items([_code("113012", "Key Object Description")])
    found.TextValue = f"Replaced under new UIDs: {reissue.reason}"
    return found


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
