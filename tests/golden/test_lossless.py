"""One picture in every lossless transfer syntax: the same bytes come out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from tests.golden.codestreams import ENCODERS
from tests.golden.files import find
from tests.golden.generated import image, ramp, write_encapsulated, write_native
from viewer.decode import open_instance
from viewer.render import render_frame, thumbnail
from web.frames import decoded

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True)
class Picture:
    """Pixels, and the header elements that say how they are meant."""

    pixels: NDArray[Any]
    elements: dict[str, Any]

    def data_set(self) -> Dataset:
        return image(self.pixels, **self.elements)

    @property
    def bits(self) -> int:
        return int(self.elements.get("BitsStored", self.pixels.dtype.itemsize * 8))


def cut(name: str, rows: slice, columns: slice) -> NDArray[Any]:
    return np.ascontiguousarray(pydicom.dcmread(find(name)).pixel_array[rows, columns])


def depth(bits: int) -> dict[str, Any]:
    return {"BitsStored": bits, "HighBit": bits - 1}


def film(bits: int, pixels: NDArray[Any]) -> Picture:
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    return Picture(pixels, depth(bits) | window | {"PhotometricInterpretation": "MONOCHROME1"})


def noisy(bits: int) -> NDArray[Any]:
    smooth = ramp(np.int64, 0, 2**bits - 1, 60, 80)
    noise = np.random.default_rng(bits).integers(-9, 10, smooth.shape)
    return np.clip(smooth + noise, 0, 2**bits - 1).astype(np.uint16)


PICTURES: dict[str, Callable[[], Picture]] = {
    "CT, signed 16 bits": lambda: Picture(
        cut("CT_small.dcm", slice(0, 97), slice(0, 128)),
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400},
    ),
    "MR, unsigned 12 bits": lambda: Picture(
        cut("MR2_UNCR.dcm", slice(400, 497), slice(400, 528)),
        depth(12) | {"WindowCenter": 1000, "WindowWidth": 2000},
    ),
    "film, 10 bits": lambda: film(10, cut("RG3_UNCR.dcm", slice(800, 897), slice(800, 928))),
    "film, 14 bits": lambda: film(14, noisy(14)),
    "film, 15 bits": lambda: film(15, cut("RG1_UNCR.dcm", slice(900, 997), slice(900, 1028))),
    "8 bits": lambda: Picture(noisy(8).astype(np.uint8), {}),
    "colour": lambda: Picture(cut("color-px.dcm", slice(0, 97), slice(60, 188)), {}),
}


def written(picture: Picture, syntax: str, folder: Path) -> Path:
    path = folder / f"{syntax}.dcm"
    if syntax in NATIVE:
        return write_native(path, picture.pixels, picture.data_set(), syntax)
    native = folder / "native.dcm"
    write_native(native, picture.pixels, picture.data_set(), uid.ExplicitVRLittleEndian)
    codestream = ENCODERS[syntax](picture.pixels, picture.bits, native)
    return write_encapsulated(path, codestream, picture.data_set(), syntax)


def outputs(path: Path) -> dict[str, str]:
    """What leaves the viewer for one file, each as a digest."""
    instance = open_instance(path)
    stored = instance.stored_frame(1)
    leaving = {
        "values": stored.tobytes() + stored.dtype.str.encode(),
        "octets": decoded(instance, 1),
        "png": render_frame(instance, 1, media_type="image/png"),
        "jpeg": render_frame(instance, 1),
        "small jpeg": render_frame(instance, 1, viewport=(50, 50)),
        "thumbnail": thumbnail(instance, 1),
    }
    return {name: hashlib.sha256(content).hexdigest() for name, content in leaving.items()}


@pytest.mark.peer
@pytest.mark.parametrize("name", PICTURES)
def test_every_lossless_syntax_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    picture = PICTURES[name]()
    expected = outputs(written(picture, uid.ExplicitVRLittleEndian, tmp_path))
    assert np.array_equal(
        open_instance(tmp_path / f"{uid.ExplicitVRLittleEndian}.dcm").stored_frame(1),
        picture.pixels,
    )
    found = {syntax: outputs(written(picture, syntax, tmp_path)) for syntax in (*NATIVE, *ENCODERS)}
    assert {syntax: seen for syntax, seen in found.items() if seen != expected} == {}
