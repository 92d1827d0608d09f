"""The picture under test and the picture it should be, for one frame of one file."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.golden import decoding, reference
from viewer.decode import Instance, open_instance
from viewer.render import render_frame
from viewer.windowing import VoiLut, Window

Levels = NDArray[np.int64]


def as_asked(voi: reference.Alternative | None) -> Window | VoiLut | None:
    """Return the viewer's form of a window or table."""
    if voi is None:
        return None
    kind, chosen = voi
    if kind == "window":
        return Window(*chosen)
    return VoiLut(chosen.first, chosen.bits, tuple(chosen.entries.tolist()))


def rendered(
    instance: Instance, frame: int = 1, voi: reference.Alternative | None = None, **options: Any
) -> Levels:
    """The pixels of the PNG that a page gets."""
    encoded = render_frame(instance, frame, window=as_asked(voi), media_type="image/png", **options)
    return np.asarray(Image.open(io.BytesIO(encoded))).astype(np.int64)


def expected(path: Path, frame: int = 1, voi: reference.Alternative | None = None) -> Levels:
    """The pixels by the standard's formulas, from values that another decoder gave."""
    ds = decoding.read(path)
    samples = decoding.samples(path, ds, frame)
    if ds.PhotometricInterpretation.startswith("MONOCHROME"):
        picture = reference.grey_picture(ds, frame, samples, voi)
    elif ds.PhotometricInterpretation == "PALETTE COLOR":
        picture = reference.palette_picture(ds, samples)
    else:
        picture = colours(ds, samples)
    return as_square(ds, frame, picture).astype(np.int64)


def colours(ds: Any, samples: NDArray[Any]) -> reference.Grey:
    eight_bits = samples >> max(0, int(ds.BitsStored) - 8)
    if is_ycbcr(ds):
        return reference.ybr_full_to_rgb(eight_bits)
    return eight_bits.astype(np.uint8)


def is_ycbcr(ds: Any) -> bool:
    """PS3.3 C.7.6.3.1.2; the decoder of JPEG 2000 undoes YBR_ICT and YBR_RCT itself."""
    return str(ds.PhotometricInterpretation) in ("YBR_FULL", "YBR_FULL_422")


def as_square(ds: Any, frame: int, picture: reference.Grey) -> reference.Grey:
    """PS3.3 C.7.6.3.1.7: pixels that are not square make the picture higher or wider."""
    high, wide = pixel_shape(ds, frame)
    rows, columns = picture.shape[:2]
    if abs(high / wide - 1) <= 1e-3:
        return picture
    height = round(rows * max(1.0, high / wide))
    width = round(columns * max(1.0, wide / high))
    return reference.stretched(picture, height, width)


def pixel_shape(ds: Any, frame: int) -> tuple[float, float]:
    """Height and width of a pixel: the spacing in the patient, at the detector, or the ratio."""
    group = reference.frame_group(ds, frame, "PixelMeasuresSequence")
    sources = [ds] if group is None else [group, ds]
    for keyword in (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "PixelAspectRatio",
    ):
        for source in sources:
            if source.get(keyword):
                high, wide = map(float, source[keyword].value)
                if high > 0 and wide > 0:
                    return high, wide
    return 1.0, 1.0


def full_range(path: Path, frame: int = 1) -> reference.Alternative:
    """A window from the lowest to the highest modality value, for headers that have none."""
    ds = decoding.read(path)
    x = reference.modality_values(ds, frame, decoding.samples(path, ds, frame))
    low, high = float(x.min()), float(x.max())
    return "window", ((low + high) / 2 + 0.5, high - low + 1, "LINEAR")


def has_own_voi(path: Path, frame: int = 1) -> bool:
    return bool(reference.voi_alternatives(decoding.read(path), frame, is_signed=False))


def difference(path: Path, frame: int = 1) -> int:
    """Largest distance of the rendered picture from the expected one, in levels; 255 for a size."""
    instance = open_instance(path)
    is_grey = instance.frame_format(frame).is_grey
    voi = full_range(path, frame) if is_grey and not has_own_voi(path, frame) else None
    ours, theirs = rendered(instance, frame, voi), expected(path, frame, voi)
    if ours.shape != theirs.shape:
        return 255
    return int(np.abs(ours - theirs).max())
