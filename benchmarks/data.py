"""Made instances: the size, header and noise of real ones, plainly invented identities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_ROOT_UID,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

_PRIVATE_BLOCK_BYTES: Final = 4096
_IDENTIFIERS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of instance.

    `background`, `body`, `contrast` and `noise` are modality values: what lies around the body,
    the body, the largest difference of what lies in it, and the standard deviation of the noise.
    """

    name: str
    sop_class_uid: str
    rows: int
    columns: int
    bits_stored: int
    is_signed: bool
    rescale_intercept: int
    background: int
    body: int
    contrast: int
    noise: int
    window: tuple[float, float]
    """Center and width, in modality values."""


CT: Final = Kind("CT", CTImageStorage, 512, 512, 16, True, -1024, -1000, 40, 900, 18, (40, 400))
MR: Final = Kind("MR", MRImageStorage, 256, 256, 12, False, 0, 8, 600, 400, 25, (600, 1200))
DX: Final = Kind(
    "DX",
    DigitalXRayImageStorageForPresentation,
    3000,
    2500,
    14,
    False,
    0,
    1500,
    9000,
    6000,
    90,
    (9000, 10000),
)
MG: Final = Kind(
    "MG",
    DigitalMammographyXRayImageStorageForPresentation,
    4096,
    3328,
    12,
    False,
    0,
    100,
    1900,
    1200,
    40,
    (1900, 2000),
)


class UidFactory:
    """Makes UIDs of one length, so that one replaces another in the bytes of a file.

    Parameters
    ----------
    token : int
        0 to 10**10 - 1; another one in each run of the benchmarks.
    """

    def __init__(self, token: int) -> None:
        self._token = token
        self._serial = 0

    def new_uid(self) -> str:
        """Return a UID that was not returned before."""
        self._serial += 1
        return f"{PYDICOM_ROOT_UID}1{self._token:010d}{self._serial:08d}"


class InstanceFile:
    """A file whose identifiers can be replaced where they stand.

    Parameters
    ----------
    path : Path
        The file.
    uids : dict
        Keyword to UID, each in the file at least once.
    """

    def __init__(self, path: Path, uids: dict[str, str]) -> None:
        content = path.read_bytes()
        self.path = path
        self.size_bytes = len(content)
        self.uids = uids
        self._offsets = {
            keyword: tuple(_places(content, uid.encode("ascii"))) for keyword, uid in uids.items()
        }

    def replace(self, uids: dict[str, str]) -> None:
        """Write other UIDs of the same length over the present ones."""
        with self.path.open("r+b") as file:
            for keyword, offsets in self._offsets.items():
                for offset in offsets:
                    file.seek(offset)
                    file.write(uids[keyword].encode("ascii"))
        self.uids = uids


def _places(content: bytes, wanted: bytes) -> Iterator[int]:
    offset = content.find(wanted)
    while offset >= 0:
        yield offset
        offset = content.find(wanted, offset + 1)


def make_series(
    kind: Kind, folder: Path, count: int, uids: UidFactory, rng: np.random.Generator
) -> list[InstanceFile]:
    """Write one series of instances.

    Parameters
    ----------
    kind : Kind
        What they are.
    folder : Path
        A new folder is made for them in it.
    count : int
        How many.
    uids : UidFactory
        Identifies them.
    rng : numpy.random.Generator
        Makes the noise.

    Returns
    -------
    list of InstanceFile
        Uncompressed, Explicit VR Little Endian.
    """
    target = folder / kind.name
    target.mkdir(parents=True)
    # one field of noise, shifted for each instance, is as hard to compress and much quicker
    noise = _smooth(rng.normal(0, kind.noise, (kind.rows, kind.columns)))
    study, series = uids.new_uid(), uids.new_uid()
    return [
        _write_instance(kind, target, number, (study, series, uids.new_uid()), noise, rng)
        for number in range(1, count + 1)
    ]


def give_new_identity(files: Sequence[InstanceFile], uids: UidFactory) -> None:
    """Turn a series into another one that no receiver has seen.

    A receiver answers for an instance that it holds without writing it, so each sending needs new
    ones. Only the UIDs change, in place.
    """
    study, series = uids.new_uid(), uids.new_uid()
    for file in files:
        file.replace(dict(zip(_IDENTIFIERS, (study, series, uids.new_uid()), strict=True)))


def _write_instance(
    kind: Kind,
    folder: Path,
    number: int,
    identity: tuple[str, str, str],
    noise: NDArray[np.float64],
    rng: np.random.Generator,
) -> InstanceFile:
    ds = _header(kind, number, rng)
    uids = dict(zip(_IDENTIFIERS, identity, strict=True))
    for keyword, uid in uids.items():
        setattr(ds, keyword, uid)
    values = _anatomy(kind, number) + np.roll(noise, (37 * number, 61 * number), (0, 1))
    ds.PixelData = _stored_values(kind, values).tobytes()
    ds["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta = meta
    path = folder / f"{number:04}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return InstanceFile(path, uids)


def _smooth(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate neighbours as a scanner's reconstruction does; the deviation stays."""
    for axis in (0, 1):
        field = (np.roll(field, 1, axis) + field + np.roll(field, -1, axis)) / 3
    return field * 3


def _anatomy(kind: Kind, number: int) -> NDArray[np.float64]:
    """Draw an ellipse with discs of different density that move from slice to slice."""
    y, x = np.ogrid[-1 : 1 : kind.rows * 1j, -1 : 1 : kind.columns * 1j]
    values = np.full((kind.rows, kind.columns), float(kind.background))
    values[(x / 0.8) ** 2 + (y / 0.65) ** 2 < 1] = kind.body
    for disc in range(14):
        across = 0.55 * np.cos(disc + number / 40)
        down = 0.4 * np.sin(2 * disc + number / 55)
        radius = 0.06 + 0.01 * (disc % 7)
        level = kind.body + (-1) ** disc * kind.contrast * (disc + 1) / 14
        values[(x - across) ** 2 + (y - down) ** 2 < radius**2] = level
    return values


def _stored_values(kind: Kind, values: NDArray[np.float64]) -> NDArray[Any]:
    stored = np.rint(values - kind.rescale_intercept)
    highest = 4095 if kind.is_signed else (1 << kind.bits_stored) - 1
    return np.clip(stored, 0, highest).astype("<i2" if kind.is_signed else "<u2")


def _header(kind: Kind, number: int, rng: np.random.Generator) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.Modality = kind.sop_class_uid, kind.name
    for moment in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{moment}Date", "20260115")
        setattr(ds, f"{moment}Time", "101112.130000")
    ds.PatientName, ds.PatientID = f"BENCHMARK^{kind.name}", f"BENCHMARK-{kind.name}"
    ds.PatientBirthDate, ds.PatientSex = "19600101", "O"
    ds.AccessionNumber, ds.StudyID = f"BENCHMARK{kind.name}", "1"
    ds.StudyDescription, ds.SeriesDescription = f"{kind.name} benchmark", "made by code"
    ds.Manufacturer, ds.InstitutionName, ds.StationName = "Made by code", "Benchmark", "STATION1"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 1, 1, number
    _add_acquisition(ds)
    _add_sequences(ds)
    block = ds.private_block(0x0029, "BENCHMARK HEADER", create=True)
    block.add_new(0x10, "OB", rng.bytes(_PRIVATE_BLOCK_BYTES))
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-175, -175, number], [1, 0, 0, 0, 1, 0]
    ds.SliceLocation, ds.PixelSpacing = number, [0.68, 0.68]
    _add_pixel_description(ds, kind)
    return ds


def _add_acquisition(ds: Dataset) -> None:
    numbers = {
        "KVP": 120,
        "ExposureTime": 500,
        "XRayTubeCurrent": 200,
        "SliceThickness": 1,
        "SpacingBetweenSlices": 1,
        "GantryDetectorTilt": 0,
        "TableHeight": 150,
        "DistanceSourceToDetector": 950,
        "DistanceSourceToPatient": 540,
        "ReconstructionDiameter": 350,
    }
    for keyword, value in numbers.items():
        setattr(ds, keyword, value)
    ds.ConvolutionKernel, ds.PatientPosition = "B30", "HFS"
    ds.BodyPartExamined, ds.ProtocolName = "CHEST", "Chest routine"


def _add_sequences(ds: Dataset) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CHEST", "99BENCH", "Chest"
    ds.ProcedureCodeSequence = [code]
    reference = Dataset()
    reference.ReferencedSOPClassUID = ds.SOPClassUID
    reference.ReferencedSOPInstanceUID = f"{PYDICOM_ROOT_UID}2"
    ds.ReferencedImageSequence = [reference] * 3
    ds.FrameOfReferenceUID = f"{PYDICOM_ROOT_UID}3"


def _add_pixel_description(ds: Dataset, kind: Kind) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = kind.rows, kind.columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, kind.bits_stored, kind.bits_stored - 1
    ds.PixelRepresentation = int(kind.is_signed)
    ds.RescaleIntercept, ds.RescaleSlope = kind.rescale_intercept, 1
    ds.RescaleType = "HU" if kind.name == "CT" else "US"
    ds.WindowCenter, ds.WindowWidth = kind.window
