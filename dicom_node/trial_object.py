"""A tiny instance to try a PACS with: nobody can take it for a patient's."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import SecondaryCaptureImageStorage

PATIENT_ID: Final = "LIFEBOAT-TEST"
_NAMES: Final = uuid.UUID("0b8a5f0e-5a55-4c8e-9d0c-6d4e3d8a2f17")
"""Of UUIDs made from names (RFC 4122 section 4.3), so that a node's UIDs are always the same."""
_SIDE_PX: Final = 16


@dataclass(frozen=True, slots=True)
class TrialObject:
    """One instance; `dataset` is encoded in Implicit VR Little Endian."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    dataset: bytes


def make_trial_object(our_ae_title: str, sop_instance_uid: str, now: datetime) -> TrialObject:
    """Make the instance of one trial.

    All trials of a node are one series of one study, each an instance of its own, because some
    archives answer success to what they have already without storing anything.

    Parameters
    ----------
    our_ae_title : str
        Of the node; its study and series follow from it.
    sop_instance_uid : str
        Never used before.
    now : datetime
        UTC.

    Returns
    -------
    TrialObject
        A Secondary Capture image (PS3.3 A.8.1), which every archive takes.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, sop_instance_uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        _uid("study", our_ae_title),
        _uid("series", our_ae_title),
    )
    ds.PatientName, ds.PatientID = "LIFEBOAT TEST^NOT A PATIENT", PATIENT_ID
    ds.IssuerOfPatientID = "LIFEBOAT"
    ds.PatientBirthDate = ds.PatientSex = ds.ReferringPhysicianName = ""
    ds.StudyDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.StudyTime = ds.ContentTime = now.strftime("%H%M%S")
    ds.AccessionNumber, ds.StudyID = "", "TEST"
    ds.StudyDescription = ds.SeriesDescription = "LIFEBOAT TEST - MAY BE DELETED"
    ds.Manufacturer, ds.ConversionType, ds.Modality = "Lifeboat", "SYN", "OT"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.QualityControlImage, ds.PatientOrientation = "YES", ""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = _SIDE_PX
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = bytes(range(256))
    return TrialObject(
        str(ds.SOPClassUID),
        sop_instance_uid,
        str(ds.StudyInstanceUID),
        str(ds.SeriesInstanceUID),
        encoded(ds),
    )


def encoded(ds: Dataset) -> bytes:
    """Return a data set in Implicit VR Little Endian, without a head."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def _uid(kind: str, our_ae_title: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMES, f'{kind} {our_ae_title}').int}"
