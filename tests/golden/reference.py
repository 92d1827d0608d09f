"""The picture the standard describes, formula by formula in float64, with nothing of the viewer.

Written to be compared by eye with PS3.3 C.7.6.3 and C.11, not to be fast. A display value is the
formula's with the output range 0-255, rounded by ``floor(y + 0.5)``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]
Alternative = tuple[str, Any]
"""('window', (center, width, function)) or ('lut', Lut)."""

WHITE = 255.0


@dataclass(frozen=True)
class Lut:
    """A lookup table: the input of its first entry, the bits of an entry, the entries."""

    first: int
    bits: int
    entries: NDArray[np.int64]

    def __call__(self, x: Floats) -> Floats:
        """Values before the first entry take the first, values after the last take the last."""
        places = np.floor(x + 0.5) - self.first
        places = np.minimum(np.maximum(places, 0), len(self.entries) - 1)
        return self.entries[places.astype(np.int64)].astype(np.float64)


def rounded(y: Floats) -> Grey:
    """Round half up."""
    return np.floor(y + 0.5).astype(np.uint8)


def linear(x: Floats, center: float, width: float) -> Floats:
    """PS3.3 C.11.2.1.2.1."""
    below = x <= center - 0.5 - (width - 1) / 2
    above = x > center - 0.5 + (width - 1) / 2
    y = np.empty_like(x)
    y[below] = 0
    y[above] = WHITE
    between = ~below & ~above
    if between.any():
        y[between] = (x[between] - (center - 0.5)) * WHITE / (width - 1) + 0.5 * WHITE
    return y


def linear_exact(x: Floats, center: float, width: float) -> Floats:
    """PS3.3 C.11.2.1.3.2."""
    below = x <= center - width / 2
    above = x > center + width / 2
    y = np.empty_like(x)
    y[below] = 0
    y[above] = WHITE
    between = ~below & ~above
    y[between] = (x[between] - center) * WHITE / width + 0.5 * WHITE
    return y


def sigmoid(x: Floats, center: float, width: float) -> Floats:
    """PS3.3 C.11.2.1.3.1."""
    with np.errstate(over="ignore"):
        return WHITE / (1 + np.exp(-4 * (x - center) / width))


def windowed(x: Floats, center: float, width: float, function: str = "LINEAR") -> Grey:
    """Display values of modality values; LINEAR narrower than 1 has no formula and is exact."""
    if function == "SIGMOID":
        return rounded(sigmoid(x, center, width))
    if function == "LINEAR" and width >= 1:
        return rounded(linear(x, center, width))
    return rounded(linear_exact(x, center, width))


def through_voi_lut(x: Floats, lut: Lut) -> Grey:
    """PS3.3 C.11.2.1.1: the table's output spans its bits."""
    return rounded(lut(x) * WHITE / (2**lut.bits - 1))


def frame_group(ds: Dataset, frame: int, keyword: str) -> Dataset | None:
    """PS3.3 C.7.6.16: the item of a functional group, the frame's own before the shared."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    for groups in [*per_frame[frame - 1 : frame], *shared]:
        if groups.get(keyword):
            return groups[keyword].value[0]
    return None


def read_lut(ds: Dataset, item: Dataset, is_signed: bool) -> Lut:
    """PS3.3 C.11.1.1.1: the descriptor's three values, and the data in 8 or 16 bits."""
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = count % 65536 or 65536
    first = first % 65536
    if is_signed and first >= 32768:
        first -= 65536
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if ds.original_encoding[1] else ">"
        data = np.frombuffer(data, "u1" if len(data) in (count, count + 1) else order + "u2")
    entries = np.atleast_1d(data).astype(np.int64) % 65536
    if len(entries) < count:  # two entries in each word, the low byte first
        entries = np.stack([entries % 256, entries // 256], axis=1).reshape(-1)
    entries = entries[:count]
    return Lut(first, max(bits, int(entries.max()).bit_length()), entries)


def modality_values(ds: Dataset, frame: int, stored: NDArray[Any]) -> Floats:
    """PS3.3 C.11.1: a table overrides slope and intercept; frames may have their own."""
    x = stored.astype(np.float64)
    group = frame_group(ds, frame, "PixelValueTransformationSequence")
    if group is None and ds.get("ModalityLUTSequence"):
        return read_lut(ds, ds.ModalityLUTSequence[0], ds.PixelRepresentation == 1)(x)
    source = ds if group is None else group
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    if slope is None and intercept is None and ds.get("DoseGridScaling"):
        slope = ds.DoseGridScaling  # PS3.3 C.8.8.3.4
    if slope is not None and float(slope) == 0:
        return x
    slope = 1.0 if slope is None else float(slope)
    return x * slope + (0.0 if intercept is None else float(intercept))


def as_list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


def windows(source: Dataset) -> list[Alternative]:
    """PS3.3 C.11.2.1.2: center i belongs to width i; each pair is an alternative."""
    function = source.get("VOILUTFunction") or "LINEAR"
    pairs = zip(
        as_list(source.get("WindowCenter")), as_list(source.get("WindowWidth")), strict=False
    )
    return [("window", (float(c), float(w), function)) for c, w in pairs if float(w) > 0]


def voi_alternatives(ds: Dataset, frame: int, is_signed: bool) -> list[Alternative]:
    """What the header offers for the VOI step, the first choice first."""
    group = frame_group(ds, frame, "FrameVOILUTSequence")
    tables = [("lut", read_lut(ds, item, is_signed)) for item in ds.get("VOILUTSequence") or []]
    if group is not None:
        return windows(group) + tables
    return tables + windows(ds)


def is_inverted(ds: Dataset) -> bool:
    """PS3.3 C.11.6 where it is given, else C.7.6.3.1.2."""
    shape = ds.get("PresentationLUTShape")
    if shape in ("INVERSE", "IDENTITY"):
        return bool(shape == "INVERSE")
    return bool(ds.PhotometricInterpretation == "MONOCHROME1")


def padding_mask(ds: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """PS3.3 C.7.5.1.1.2: stored values between padding value and range limit, inclusive."""
    value = ds.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = ds.get("PixelPaddingRangeLimit")
    modulus = 2 ** int(ds.BitsAllocated)
    low, high = sorted(
        with_sign(int(edge), modulus, ds.PixelRepresentation == 1)
        for edge in (value, value if limit is None else limit)
    )
    return (stored >= low) & (stored <= high)


def with_sign(value: int, modulus: int, is_signed: bool) -> int:
    value %= modulus
    return value - modulus if is_signed and value >= modulus // 2 else value


def grey_picture(
    ds: Dataset, frame: int, stored: NDArray[Any], voi: Alternative | None = None
) -> Grey:
    """PS3.4 N.2: modality, VOI, polarity, then padding over all of it.

    Without `voi` the first alternative of the header is taken.
    """
    x = modality_values(ds, frame, stored)
    kind, chosen = voi or voi_alternatives(ds, frame, bool(x.min(initial=0) < 0))[0]
    grey = through_voi_lut(x, chosen) if kind == "lut" else windowed(x, *chosen)
    if is_inverted(ds):
        grey = (255 - grey).astype(np.uint8)
    grey[padding_mask(ds, stored)] = 0
    return grey


def ybr_full_to_rgb(ybr: NDArray[Any]) -> Grey:
    """PS3.3 C.7.6.3.1.2, YBR_FULL: the three equations solved for R, G, B, in whole numbers.

    R = Y + 1.402 r, B = Y + 1.772 b, and G = (Y - 0.299 R - 0.114 B) / 0.587.
    """
    y, b, r = (ybr[..., n].astype(np.int64) - offset for n, offset in enumerate((0, 128, 128)))
    red = half_up(1000 * y + 1402 * r, 1000)
    green = half_up(587_000 * y - 299 * 1402 * r - 114 * 1772 * b, 587_000)
    blue = half_up(1000 * y + 1772 * b, 1000)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)


def half_up(numerator: NDArray[np.int64], denominator: int) -> NDArray[np.int64]:
    return (2 * numerator + denominator) // (2 * denominator)


def palette_channel(ds: Dataset, name: str) -> Lut:
    """PS3.3 C.7.6.3.1.5 and .6: one colour of the palette."""
    count, first, bits = (
        int(value) for value in ds[f"{name}PaletteColorLookupTableDescriptor"].value
    )
    count = count % 65536 or 65536
    first = with_sign(first, 65536, ds.PixelRepresentation == 1)
    order = "<" if ds.original_encoding[1] else ">"
    plain = ds.get(f"{name}PaletteColorLookupTableData")
    segmented = ds.get(f"Segmented{name}PaletteColorLookupTableData")
    if plain:
        is_packed = bits == 8 and len(plain) < 2 * count
        entries = np.frombuffer(plain, "u1" if is_packed else order + "u2").astype(np.int64)
    else:
        entries = unfold(np.frombuffer(segmented, "u1" if bits == 8 else order + "u2").tolist())
    return Lut(first, bits, entries[:count])


def unfold(data: list[int]) -> NDArray[np.int64]:
    """PS3.3 C.7.9.2: discrete (0), linear (1) and indirect (2) segments."""
    out: list[float] = []
    place = 0
    while place < len(data):
        opcode, length = data[place], data[place + 1]
        if opcode == 2:
            start = data[place + 2] + data[place + 3] * 65536
            for _ in range(length):
                start += unfold_segment(data, start, out)
            place += 4
        else:
            place += unfold_segment(data, place, out)
    return np.array(out).astype(np.int64)


def unfold_segment(data: list[int], place: int, out: list[float]) -> int:
    opcode, length = data[place], data[place + 1]
    if opcode == 0:
        out.extend(data[place + 2 : place + 2 + length])
        return 2 + length
    start, end = out[-1], data[place + 2]
    out.extend(np.floor(start + (end - start) * n / length + 0.5) for n in range(1, length + 1))
    return 3


def palette_picture(ds: Dataset, stored: NDArray[Any]) -> Grey:
    """Each stored value takes its colour; 16 bit entries give their high byte."""
    channels = [palette_channel(ds, name) for name in ("Red", "Green", "Blue")]
    colours = np.stack([channel(stored.astype(np.float64)) for channel in channels], axis=-1)
    is_wide = channels[0].bits == 16 and max(c.entries.max() for c in channels) > 255
    return (colours // 256 if is_wide else colours).astype(np.uint8)


def stretched(picture: Grey, height: int, width: int) -> Grey:
    """Bilinear enlargement: each new pixel's centre lies somewhere between old ones' centres."""
    values = picture.astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        places = (np.arange(size) + 0.5) * values.shape[axis] / size - 0.5
        places = np.clip(places, 0, values.shape[axis] - 1)
        low = np.floor(places).astype(np.int64)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = (places - low).reshape([-1 if n == axis else 1 for n in range(values.ndim)])
        lower, upper = np.take(values, low, axis), np.take(values, high, axis)
        values = lower * (1 - share) + upper * share
    return rounded(values)
