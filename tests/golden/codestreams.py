"""Lossless encoders of other makers, one for each compressed transfer syntax."""

import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import get_frame

from tests.conftest import require_program

Encode = Callable[[NDArray[Any], int, Path], bytes]
"""(pixels, bits stored, the same pixels in a native file) -> codestream."""


def rle(pixels: NDArray[Any], bits: int, native: Path) -> bytes:
    """PS3.5 G: one segment for each byte of each sample, the high byte first."""
    planes = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    big = planes.astype(planes.dtype.newbyteorder(">"))
    octets = np.ascontiguousarray(big).view(np.uint8).reshape(*pixels.shape[:2], -1)
    segments = []
    for n in range(octets.shape[2]):
        packed = bytes(imagecodecs.packbits_encode(octets[..., n].copy(), axis=-1))
        segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    head = [len(segments), *offsets] + [0] * (15 - len(segments))
    return struct.pack("<16L", *head) + b"".join(segments)


def by_dcmtk(program: str, *options: str) -> Encode:
    def encode(pixels: NDArray[Any], bits: int, native: Path) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            compressed = Path(folder) / "compressed.dcm"
            subprocess.run(
                [require_program(program), "-q", *options, native, compressed],
                check=True,
                timeout=60,
            )
            return get_frame(pydicom.dcmread(compressed).PixelData, 0, number_of_frames=1)

    return encode


def jpeg_2000(pixels: NDArray[Any], bits: int, native: Path) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels, codecformat="J2K", reversible=True, bitspersample=bits, mct=False
        )
    )


def htj2k(pixels: NDArray[Any], bits: int, native: Path) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True, rgb=False))


ENCODERS: dict[str, Encode] = {
    uid.RLELossless: rle,
    # +ua: as they are; +e1: lossless process 14, selection value 1; +el: any, here 6
    uid.JPEGLosslessSV1: by_dcmtk("dcmcjpeg", "+e1", "+cn", "+un"),
    uid.JPEGLossless: by_dcmtk("dcmcjpeg", "+el", "+sv", "6", "+cn", "+un"),
    uid.JPEGLSLossless: by_dcmtk("dcmcjpls", "+un"),
    uid.JPEG2000Lossless: jpeg_2000,
    uid.HTJ2KLossless: htj2k,
}
