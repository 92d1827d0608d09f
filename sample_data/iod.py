"""What every phantom's data set has in common: UIDs, patient, study, series, geometry, pixels."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

IMPLEMENTATION_CLASS_UID = UID("2.25.296823408177356198318519238270391746110")
IMPLEMENTATION_VERSION_NAME = "PHANTOMS_1"
MANUFACTURER = "Practice Phantoms"
INSTITUTION = "Practice Hospital"


@dataclass(frozen=True, slots=True)
class Seed:
    """The one source of UIDs and noise of a phantom: the same text gives the same bytes.

    Attributes
    ----------
    text : str
        Anything; another text gives other UIDs.
    """

    text: str

    def uid(self, *names: str | int) -> UID:
        """Return the UID that belongs to a name.

        Parameters
        ----------
        names : str or int
            What it is for, for example ``"series", 1``.

        Returns
        -------
        UID
            Of the form 2.25.<128 bit number>, at most 44 characters (PS3.5 B.2).
        """
        return UID(f"2.25.{self._number(*names)}")

    def random(self, *names: str | int) -> np.random.Generator:
        """Return a random generator of its own for a name."""
        return np.random.default_rng(self._number(*names))

    def _number(self, *names: str | int) -> int:
        words = "/".join([self.text, *map(str, names)])
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:16], "big")


@dataclass(frozen=True, slots=True)
class Patient:
    """A plainly invented person; every attribute is the element of that name."""

    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str


@dataclass(frozen=True, slots=True)
class Study:
    """One study; every attribute is the element of that name, `started_at` gives date and time."""

    study_instance_uid: UID
    study_id: str
    accession_number: str
    study_description: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """One series; every attribute is the element of that name."""

    series_instance_uid: UID
    series_number: int
    series_description: str
    modality: str
    body_part_examined: str
    manufacturer_model_name: str


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one slice lies (PS3.3 C.7.6.2).

    Attributes
    ----------
    image_position_patient : NDArray
        (3,) float, mm, centre of the first pixel.
    image_orientation_patient : NDArray
        (6,) float, direction of the row and of the column.
    pixel_spacing : tuple of float
        Between rows and between columns, mm.
    slice_thickness, spacing_between_slices : float
        mm.
    """

    image_position_patient: NDArray[np.float64]
    image_orientation_patient: NDArray[np.float64]
    pixel_spacing: tuple[float, float]
    slice_thickness: float
    spacing_between_slices: float


def new_dataset(
    sop_class_uid: UID,
    sop_instance_uid: UID,
    patient: Patient,
    study: Study,
    series: Series,
    instance_number: int,
) -> Dataset:
    """Return a data set with the patient, study, series, equipment and SOP common modules.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid : UID
        (0008,0016) and (0008,0018).
    patient, study, series : Patient, Study, Series
        What it belongs to.
    instance_number : int
        (0020,0013).

    Returns
    -------
    Dataset
        With file meta information for Explicit VR Little Endian, without pixels.

    Notes
    -----
    PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1, C.12.1.
    """
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.InstanceNumber = instance_number
    _add_patient(dataset, patient)
    _add_study(dataset, study)
    _add_series(dataset, series)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return dataset


def _add_patient(dataset: Dataset, patient: Patient) -> None:
    dataset.PatientName = patient.patient_name
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = patient.patient_birth_date
    dataset.PatientSex = patient.patient_sex


def _add_study(dataset: Dataset, study: Study) -> None:
    date, time = f"{study.started_at:%Y%m%d}", f"{study.started_at:%H%M%S}"
    dataset.StudyInstanceUID = study.study_instance_uid
    dataset.StudyID = study.study_id
    dataset.AccessionNumber = study.accession_number
    dataset.StudyDescription = study.study_description
    dataset.ReferringPhysicianName = "PRACTICE^DOCTOR"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = date
    dataset.AcquisitionDate = date
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = time
    dataset.AcquisitionTime = time


def _add_series(dataset: Dataset, series: Series) -> None:
    dataset.SeriesInstanceUID = series.series_instance_uid
    dataset.SeriesNumber = series.series_number
    dataset.SeriesDescription = series.series_description
    dataset.Modality = series.modality
    dataset.BodyPartExamined = series.body_part_examined
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = series.manufacturer_model_name
    dataset.InstitutionName = INSTITUTION
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = "1"


def add_plane(dataset: Dataset, plane: Plane, frame_of_reference_uid: UID) -> None:
    """Add the frame of reference and image plane modules (PS3.3 C.7.4.1, C.7.6.2).

    Parameters
    ----------
    dataset : Dataset
        Changed in place.
    plane : Plane
        Where the slice lies.
    frame_of_reference_uid : UID
        (0020,0052), the same for all slices of a scan.
    """
    row, column = plane.image_orientation_patient[:3], plane.image_orientation_patient[3:]
    dataset.FrameOfReferenceUID = frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = _decimals(plane.image_position_patient)
    dataset.ImageOrientationPatient = _decimals(plane.image_orientation_patient)
    dataset.PixelSpacing = _decimals(np.asarray(plane.pixel_spacing))
    dataset.SliceThickness = f"{plane.slice_thickness:g}"
    dataset.SpacingBetweenSlices = f"{plane.spacing_between_slices:g}"
    along_normal = float(np.dot(np.cross(row, column), plane.image_position_patient))
    dataset.SliceLocation = f"{along_normal:.3f}"


def _decimals(values: NDArray[np.float64]) -> list[str]:
    """Write numbers as decimal strings of at most 16 characters (PS3.5 6.2, DS)."""
    return [f"{value:.9g}" for value in values.tolist()]


def add_grey_pixels(dataset: Dataset, stored: NDArray[np.uint16], bits_stored: int) -> None:
    """Add an unsigned grey frame in native form (PS3.3 C.7.6.3).

    Parameters
    ----------
    dataset : Dataset
        Changed in place; (0028,0004) is MONOCHROME2 unless already set.
    stored : NDArray
        (rows, columns) uint16, stored values below 2 ** bits_stored.
    bits_stored : int
        (0028,0101).
    """
    dataset.SamplesPerPixel = 1
    if "PhotometricInterpretation" not in dataset:
        dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = 0
    dataset.add_new("PixelData", "OW", stored.astype("<u2").tobytes())


def set_encapsulated(dataset: Dataset, frames: list[bytes], transfer_syntax_uid: UID) -> None:
    """Replace the pixels by compressed frames (PS3.5 A.4).

    Parameters
    ----------
    dataset : Dataset
        Changed in place.
    frames : list of bytes
        One codestream per frame.
    transfer_syntax_uid : UID
        The transfer syntax they are in.
    """
    dataset.file_meta.TransferSyntaxUID = transfer_syntax_uid
    dataset.add_new("PixelData", "OB", encapsulate(frames))


def write_instance(dataset: Dataset, path: Path) -> None:
    """Write a data set as a Part 10 file.

    Parameters
    ----------
    dataset : Dataset
        With file meta information.
    path : Path
        The file; its folder is created when missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
