"""Files to decode, and the standard's formulas written as plainly as possible."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of real files that nobody of this project wrote."""
    if not CORPUS.exists():
        pytest.skip("the corpus of real files is not beside this repository")
    return CORPUS


@pytest.fixture(scope="session")
def testdata() -> Callable[[str], Path]:
    """Return the path of a file that comes with pydicom or pydicom-data."""

    def find(name: str) -> Path:
        found = get_testdata_file(name, download=False)
        if found is None:
            pytest.skip(f"{name} does not come with the installed pydicom-data")
        return Path(str(found))

    return find


def _grey_dataset(pixels: NDArray[Any]) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3"
    ds.StudyInstanceUID = "1.2"
    ds.PatientName = "PHANTOM^TEST"
    ds.PatientID = "P1"
    ds.Modality = "OT"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored = ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return ds


@pytest.fixture(scope="session")
def grey_dataset() -> Callable[[NDArray[Any]], Dataset]:
    """Return a valid secondary capture data set around an array of grey or RGB pixels."""
    return _grey_dataset


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write pixels to a Part 10 file.

    Keywords set elements; `frames` gives codestreams to encapsulate instead of native pixels.
    """

    def write_file(
        pixels: NDArray[Any],
        *,
        transfer_syntax_uid: str = ExplicitVRLittleEndian,
        frames: list[bytes] | None = None,
        name: str = "instance.dcm",
        **elements: Any,
    ) -> Path:
        ds = _grey_dataset(pixels)
        ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        if frames is not None:
            ds.PixelData = encapsulate(frames)
            ds["PixelData"].VR = "OB"
            ds["PixelData"].is_undefined_length = True
        path = tmp_path / name
        if frames is None:
            ds.save_as(path, enforce_file_format=True)
        else:  # any syntax, also those that pydicom does not know
            ds.preamble = bytes(128)
            ds.save_as(path, implicit_vr=False, little_endian=True, force_encoding=True)
        return path

    return write_file


def _reference_window(
    x: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.int64]:
    if function == "LINEAR" and width >= 1:
        bottom, top = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    elif function == "SIGMOID":
        with np.errstate(over="ignore"):
            return np.floor(255 / (1 + np.exp(-4 * (x - center) / width)) + 0.5).astype(np.int64)
    else:
        bottom, top = center - width / 2, center + width / 2
        y = ((x - center) / width + 0.5) * 255
    y = np.where(x <= bottom, 0.0, np.where(x > top, 255.0, y))
    return np.floor(y + 0.5).astype(np.int64)


@pytest.fixture(scope="session")
def reference_window() -> Callable[..., NDArray[np.int64]]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, letter by letter in float64, on 0-255.

    A LINEAR window narrower than 1, which the standard does not allow, is LINEAR_EXACT.
    """
    return _reference_window


def _picture(dtype: Any, low: int, high: int) -> NDArray[Any]:
    """A smooth picture with a little noise, of a size that is no power of two."""
    rows, columns = np.mgrid[0:37, 0:51]
    smooth = low + (high - low) * (rows + columns) / (37 + 51)
    noise = np.random.default_rng(5).integers(-2, 3, smooth.shape)
    return np.clip(smooth + noise, low, high).astype(dtype)


def _rle(pixels: NDArray[Any]) -> bytes:
    planes = pixels.astype(">u2").view(np.uint8).reshape(*pixels.shape, 2)
    segments = [imagecodecs.packbits_encode(planes[..., n].copy(), axis=-1) for n in range(2)]
    segments = [bytes(part) + b"\0" * (len(part) % 2) for part in segments]
    offsets = [64, 64 + len(segments[0])]
    return struct.pack("<16L", 2, *offsets, *[0] * 13) + b"".join(segments)


_ENCODERS: dict[str, Callable[[NDArray[Any]], bytes]] = {
    RLELossless: _rle,
    JPEGLosslessSV1: lambda pixels: bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=16)),
    JPEGLSLossless: lambda pixels: bytes(imagecodecs.jpegls_encode(pixels)),
    JPEG2000Lossless: lambda pixels: bytes(
        imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True)
    ),
    HTJ2KLossless: lambda pixels: bytes(imagecodecs.htj2k_encode(pixels, reversible=True)),
}


@pytest.fixture(scope="session")
def picture() -> Callable[[Any, int, int], NDArray[Any]]:
    """Make a smooth picture with a little noise: type, lowest and highest value."""
    return _picture


@pytest.fixture(scope="session")
def encoders() -> dict[str, Callable[[NDArray[Any]], bytes]]:
    """Lossless encoders of 16 bit grey pictures by transfer syntax UID."""
    return _ENCODERS


@pytest.fixture
def dcmj2pnm(tmp_path: Path) -> Callable[..., NDArray[np.int64]]:
    """Draw a grey file with DCMTK: path, window center and width, further options."""
    program = shutil.which("dcmj2pnm")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("DCMTK is not installed")

    def draw(path: Path, center: float, width: float, *options: str) -> NDArray[np.int64]:
        picture = tmp_path / "dcmtk.pgm"
        window = ["+op", "+Ww", str(center), str(width)]
        subprocess.run([program, *options, *window, path, picture], check=True, timeout=60)
        return np.asarray(Image.open(picture)).astype(np.int64)

    return draw
