"""Stored values and colour samples by other decoders than the viewer's.

Native pixels are cut out of their words here, by PS3.5 8.1.1. Compressed ones are decompressed by
DCMTK (JPEG, JPEG-LS, RLE), Pillow through pydicom (JPEG 2000), or OpenJPH (HTJ2K).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array

JPEG = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70))
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HTJ2K = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
RLE = ("1.2.840.10008.1.2.5",)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
DEFLATED = "1.2.840.10008.1.2.1.99"
DECOMPRESSORS = {
    **dict.fromkeys(JPEG, ("dcmdjpeg", "+cn")),
    **dict.fromkeys(JPEG_LS, ("dcmdjpls",)),
    **dict.fromkeys(RLE, ("dcmdrle",)),
}


class NotDecodable(Exception):
    """No other decoder here opens this file."""


def read(path: Path) -> Dataset:
    return pydicom.dcmread(path)


def syntax_of(ds: Dataset) -> str:
    return str(ds.file_meta.get("TransferSyntaxUID", ""))


def samples(path: Path, ds: Dataset, frame: int) -> NDArray[Any]:
    """Return one frame's samples, (rows, columns) or (rows, columns, 3), unconverted."""
    syntax = syntax_of(ds)
    for keyword, kind in (("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")):
        if keyword in ds:
            return floats(ds, keyword, kind, frame)
    if int(ds.BitsAllocated) == 1:
        return single_bits(ds, frame)
    if syntax in (*NATIVE, DEFLATED):
        return native_samples(ds, frame)
    if syntax in DECOMPRESSORS:
        return native_samples(decompressed(path, *DECOMPRESSORS[syntax]), frame)
    if syntax in JPEG_2000:
        return cut(pixel_array(ds, index=frame - 1, raw=True), ds)
    if syntax in HTJ2K:
        return cut(imagecodecs.htj2k_decode(get_frame(ds.PixelData, frame - 1), planar=False), ds)
    raise NotDecodable(syntax)


def floats(ds: Dataset, keyword: str, kind: str, frame: int) -> NDArray[Any]:
    """PS3.3 C.7.6.24 and C.7.6.25."""
    order = ">" if syntax_of(ds) == NATIVE[2] else "<"
    values = np.frombuffer(ds[keyword].value, order + kind)
    return values.reshape(-1, int(ds.Rows), int(ds.Columns))[frame - 1]


def single_bits(ds: Dataset, frame: int) -> NDArray[np.int64]:
    """PS3.5 8.1.1: from the lowest bit of the first byte on, frames follow without a gap."""
    if syntax_of(ds) not in NATIVE:
        raise NotDecodable("compressed single bits")
    content = np.frombuffer(ds.PixelData, "u1")
    if syntax_of(ds) == NATIVE[2] and ds["PixelData"].VR == "OW":
        content = content[: len(content) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
    size = int(ds.Rows) * int(ds.Columns)
    bits = np.unpackbits(content, bitorder="little")[(frame - 1) * size : frame * size]
    return bits.reshape(int(ds.Rows), int(ds.Columns)).astype(np.int64)


def decompressed(path: Path, program: str, *options: str) -> Dataset:
    if shutil.which(program) is None:
        raise NotDecodable(f"{program} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        native = Path(folder) / "native.dcm"
        done = subprocess.run(
            [program, "-q", *options, str(path), str(native)], timeout=60, check=False
        )
        if done.returncode or not native.exists():
            raise NotDecodable(f"{program} refuses it")
        return pydicom.dcmread(native, force=True)


def native_samples(ds: Dataset, frame: int) -> NDArray[Any]:
    count = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel)
    is_big_endian = syntax_of(ds) == "1.2.840.10008.1.2.2"
    content = ds.PixelData
    size = int(ds.BitsAllocated) // 8
    if ds.PhotometricInterpretation == "YBR_FULL_422" and len(content) < count * size:
        return unpacked_422(content, ds, frame)
    if is_big_endian and size == 1 and ds["PixelData"].VR == "OW":
        content = np.frombuffer(content, ">u2").astype("<u2").tobytes()
    words = np.frombuffer(
        content, f"{'>' if is_big_endian else '<'}u{size}", count, (frame - 1) * count * size
    )
    return cut(arranged(words, ds), ds)


def arranged(words: NDArray[Any], ds: Dataset) -> NDArray[Any]:
    """PS3.3 C.7.6.3.1.3."""
    rows, columns, planes = int(ds.Rows), int(ds.Columns), int(ds.SamplesPerPixel)
    if planes == 1:
        return words.reshape(rows, columns)
    if ds.get("PlanarConfiguration") == 1:
        return np.moveaxis(words.reshape(planes, rows, columns), 0, 2)
    return words.reshape(rows, columns, planes)


def unpacked_422(content: bytes, ds: Dataset, frame: int) -> NDArray[Any]:
    """PS3.3 C.7.6.3.1.2: Y1 Y2 CB CR for each two pixels of a row."""
    rows, columns = int(ds.Rows), int(ds.Columns)
    size = rows * columns * 2
    quads = np.frombuffer(content, "u1", size, (frame - 1) * size).reshape(rows, columns // 2, 4)
    first, second = quads[:, :, (0, 2, 3)], quads[:, :, (1, 2, 3)]
    return np.stack([first, second], axis=2).reshape(rows, columns, 3)


def cut(words: NDArray[Any], ds: Dataset) -> NDArray[np.int64]:
    """PS3.5 8.1.1: Bits Stored below High Bit, two's complement when signed."""
    bits, high = int(ds.BitsStored), int(ds.HighBit)
    values = (words.astype(np.int64) >> (high + 1 - bits)) & (2**bits - 1)
    if ds.PixelRepresentation == 1:
        values = np.where(values >= 2 ** (bits - 1), values - 2**bits, values)
    return values
