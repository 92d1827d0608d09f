"""Valid objects around given pixels, written with pydicom."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)


def dataset(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def lut_item(descriptor: list[int], data: Any, vr: str = "US") -> Dataset:
    """One item of a Modality or VOI LUT Sequence; a negative first value is written as SS."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if descriptor[1] < 0 else "US", descriptor)
    item.add_new("LUTData", vr, data)
    return item


def image(pixels: NDArray[Any], **elements: Any) -> Dataset:
    """A secondary capture data set around grey (rows, columns) or RGB (rows, columns, 3) pixels."""
    ds = dataset(
        SOPClassUID=SecondaryCaptureImageStorage,
        SOPInstanceUID="1.2.3.4",
        SeriesInstanceUID="1.2.3",
        StudyInstanceUID="1.2",
        PatientName="PHANTOM^TEST",
        PatientID="P1",
        Modality="OT",
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        SamplesPerPixel=1 if pixels.ndim == 2 else 3,
        PhotometricInterpretation="MONOCHROME2" if pixels.ndim == 2 else "RGB",
        BitsAllocated=pixels.dtype.itemsize * 8,
        BitsStored=pixels.dtype.itemsize * 8,
        HighBit=pixels.dtype.itemsize * 8 - 1,
        PixelRepresentation=int(pixels.dtype.kind == "i"),
    )
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if keyword in elements:
            ds[keyword].VR = "SS" if elements[keyword] < 0 else "US"
    return ds


def write(path: Path, pixels: NDArray[Any], **elements: Any) -> Path:
    """Write a native object, Explicit VR Little Endian."""
    return write_native(path, pixels, image(pixels, **elements), ExplicitVRLittleEndian)


def write_native(path: Path, pixels: NDArray[Any], ds: Dataset, syntax: str) -> Path:
    """Write a data set with uncompressed pixels in one of the four native syntaxes."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    # 8 bit samples as OB, so that no byte order applies to them
    ds.add_new(
        "PixelData",
        "OB" if pixels.dtype.itemsize == 1 else "OW",
        content + b"\0" * (len(content) % 2),
    )
    save(ds, path, syntax)
    return path


def write_encapsulated(path: Path, codestream: bytes, ds: Dataset, syntax: str) -> Path:
    """Write a data set with one compressed frame."""
    ds.add_new("PixelData", "OB", encapsulate([codestream]))
    ds["PixelData"].is_undefined_length = True
    save(ds, path, syntax)
    return path


def save(ds: Dataset, path: Path, syntax: str) -> None:
    """Write a data set with its pixels as a Part 10 file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.preamble = bytes(128)
    if syntax == DeflatedExplicitVRLittleEndian:
        ds.save_as(path, enforce_file_format=True)
        return
    ds.save_as(
        path,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )


def enhanced(
    groups: list[Dataset], shared: Dataset | None = None, **elements: Any
) -> dict[str, Any]:
    """Elements of a multi-frame object with functional groups, one item for each frame."""
    return {
        "NumberOfFrames": len(groups),
        "PerFrameFunctionalGroupsSequence": Sequence(groups),
        "SharedFunctionalGroupsSequence": Sequence([shared or Dataset()]),
        **elements,
    }


def ramp(dtype: Any, low: int, high: int, rows: int = 64, columns: int = 96) -> NDArray[Any]:
    """All values from low to high, evenly, with both ends."""
    values = np.linspace(low, high, rows * columns)
    return np.round(values).astype(dtype).reshape(rows, columns)
