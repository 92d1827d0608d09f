"""What a header says of the grey pipeline: modality, VOI, polarity and padding of one frame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from pydicom.dataset import Dataset

from viewer.decode import StoredFrame
from viewer.errors import UnsupportedPixels
from viewer.header import (
    as_list,
    functional_group,
    integer,
    items,
    number,
    numbers,
    text,
    texts,
    value_of,
)
from viewer.pixel_format import PixelFormat
from viewer.windowing import (
    AUTOMATIC,
    VOI_LUT_FUNCTIONS,
    ModalityLut,
    VoiLut,
    VoiLutFunction,
    Window,
    automatic_window,
    modality_values,
    window_between,
)

_LARGEST_NUMBER: Final = 1e30
_MOST_ENTRIES: Final = 65536
_FLOAT_PADDING: Final = {4: "FloatPixelPadding", 8: "DoubleFloatPixelPadding"}


@dataclass(frozen=True, slots=True)
class GreyTransforms:
    """The grey pipeline of one frame.

    Parameters
    ----------
    modality : ModalityLut
        Stored to modality values.
    windows : tuple of Window
        Alternatives, in the header's order; those without a usable width are left out.
    voi_luts : tuple of VoiLut
        Alternatives, in the header's order; damaged ones are left out.
    is_window_of_frame : bool
        The windows come from the frame's own functional group.
    is_inverted : bool
        Low values are bright: MONOCHROME1, or Presentation LUT Shape INVERSE.
    pixel_padding : tuple of float or None
        Lowest and highest stored value that are background, whole numbers for whole pixels.
    """

    modality: ModalityLut
    windows: tuple[Window, ...]
    voi_luts: tuple[VoiLut, ...]
    is_window_of_frame: bool
    is_inverted: bool
    pixel_padding: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class InitialVoi:
    """How a frame is shown first.

    Parameters
    ----------
    voi : Window or VoiLut
        What to apply.
    index : int or None
        Its place in `GreyTransforms.windows` or `.voi_luts`; None when computed from the pixels.
    """

    voi: Window | VoiLut
    index: int | None


@dataclass(frozen=True, slots=True)
class _Lut:
    first: int
    bits: int
    values: tuple[int, ...]


def grey_transforms_of(
    header: Dataset, frame_index: int, pixel_format: PixelFormat
) -> GreyTransforms:
    """Read the whole grey pipeline of one frame.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.
    pixel_format : PixelFormat
        Of this frame.

    Raises
    ------
    UnsupportedPixels
        When the modality LUT is damaged: without it every value would be wrong.
    """
    modality = modality_lut_of(header, frame_index, pixel_format)
    return GreyTransforms(
        modality=modality,
        windows=windows_of(header, frame_index),
        voi_luts=voi_luts_of(header, is_negative_possible(modality, pixel_format)),
        is_window_of_frame=_frame_voi(header, frame_index) is not None,
        is_inverted=is_inverted(header, pixel_format),
        pixel_padding=pixel_padding_of(header, pixel_format),
    )


def modality_lut_of(header: Dataset, frame_index: int, pixel_format: PixelFormat) -> ModalityLut:
    """Read the modality transform of one frame.

    The frame's Pixel Value Transformation comes first, then the Modality LUT Sequence, then
    Rescale Slope and Intercept, then Dose Grid Scaling, whose unit is Dose Units. A slope that is
    0 or not a number counts as absent.

    Raises
    ------
    UnsupportedPixels
        When the Modality LUT Sequence is damaged.

    Notes
    -----
    PS3.3 C.11.1, C.7.6.16.2.9, C.8.8.3.4.
    """
    group = functional_group(header, frame_index, "PixelValueTransformationSequence")
    if group is not None:
        return _rescale(group)
    sequence = items(header, "ModalityLUTSequence")
    if not sequence:
        return _rescale(header)
    lut = _read_lut(header, sequence[0], is_signed=pixel_format.is_signed)
    if lut is None:
        raise UnsupportedPixels(
            "The modality lookup table of this object is damaged, so its values are unknown."
            " Open it on the PACS."
        )
    rescale_type = text(sequence[0], "ModalityLUTType")
    return ModalityLut(rescale_type=rescale_type, first=lut.first, values=lut.values)


def _rescale(dataset: Dataset) -> ModalityLut:
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        return _dose(dataset)
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    if slope == 0 or abs(slope) > _LARGEST_NUMBER or abs(intercept) > _LARGEST_NUMBER:
        return ModalityLut()
    return ModalityLut(slope, intercept, text(dataset, "RescaleType"))


def _dose(dataset: Dataset) -> ModalityLut:
    scaling = number(dataset, "DoseGridScaling")
    if scaling is None or not 0 < scaling <= _LARGEST_NUMBER:
        return ModalityLut()
    return ModalityLut(scaling, 0.0, text(dataset, "DoseUnits"))


def windows_of(header: Dataset, frame_index: int) -> tuple[Window, ...]:
    """Read the windows of one frame.

    Parameters
    ----------
    header : pydicom.Dataset
        With Window Center (0028,1050) and Width (0028,1051), or functional groups.
    frame_index : int
        0-based.

    Returns
    -------
    tuple of Window
        Center, width and explanation paired by place, as many as the shorter of centers and
        widths; those whose width is not positive are left out. A segmentation without any gets
        one from 0 to its highest fraction or label.

    Notes
    -----
    PS3.3 C.11.2.1.2; the Frame VOI LUT (C.7.6.16.2.10) comes before the instance's own.
    """
    group = _frame_voi(header, frame_index)
    dataset = header if group is None else group
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    explanations = texts(dataset, "WindowCenterWidthExplanation")
    function = _function(dataset)
    windows = (
        Window(center, width, function, explanations[n] if n < len(explanations) else None)
        for n, (center, width) in enumerate(zip(centers, widths, strict=False))
    )
    return tuple(window for window in windows if _is_sane(window)) or _segment_windows(header)


def _segment_windows(header: Dataset) -> tuple[Window, ...]:
    """Return what shows all of a segmentation's values: fractions, or labels (PS3.3 C.8.20.2)."""
    highest = number(header, "MaximumFractionalValue")
    if text(header, "SegmentationType") == "LABELMAP":
        numbers_given = [
            integer(item, "SegmentNumber") for item in items(header, "SegmentSequence")
        ]
        highest = max((found for found in numbers_given if found), default=None)
    if highest is None or not 0 < highest <= _LARGEST_NUMBER:
        return ()
    return (window_between(0, highest, AUTOMATIC),)


def _frame_voi(header: Dataset, frame_index: int) -> Dataset | None:
    return functional_group(header, frame_index, "FrameVOILUTSequence")


def _function(dataset: Dataset) -> VoiLutFunction:
    name = text(dataset, "VOILUTFunction").upper()
    return cast(VoiLutFunction, name) if name in VOI_LUT_FUNCTIONS else "LINEAR"


def _is_sane(window: Window) -> bool:
    return window.is_usable and max(abs(window.center), window.width) <= _LARGEST_NUMBER


def voi_luts_of(
    header: Dataset, is_signed_input: bool, *, within: Dataset | None = None
) -> tuple[VoiLut, ...]:
    """Read the VOI LUT Sequence (0028,3010), leaving damaged items out.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    is_signed_input : bool
        Modality values can be negative: the first mapped value then is signed too.
    within : pydicom.Dataset, optional
        The item of the header that holds the sequence; the header itself when not given.

    Notes
    -----
    PS3.3 C.11.2.1.1, C.11.1.1.
    """
    found = []
    for item in items(header if within is None else within, "VOILUTSequence"):
        lut = _read_lut(header, item, is_signed=is_signed_input)
        if lut is not None:
            explanation = text(item, "LUTExplanation") or None
            found.append(VoiLut(lut.first, lut.bits, lut.values, explanation))
    return tuple(found)


def _read_lut(header: Dataset, item: Dataset, *, is_signed: bool) -> _Lut | None:
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    entries, first, bits = (int(value) for value in descriptor)
    entries = (entries & 0xFFFF) or _MOST_ENTRIES
    values = _lut_values(header, value_of(item, "LUTData"), entries, bits)
    if len(values) < entries:
        return None
    values = values[:entries]
    first &= 0xFFFF
    if is_signed and first > 0x7FFF:
        first -= 0x10000
    needed = max(1, max(values).bit_length())
    return _Lut(first, max(bits, needed) if 1 <= bits <= 16 else needed, values)


def _lut_values(header: Dataset, data: Any, entries: int, bits: int) -> tuple[int, ...]:
    """Return the entries: 16 bit words, or 8 bit ones alone or packed in words, low byte first."""
    if isinstance(data, bytes):
        is_little_endian = header.original_encoding[1] is not False
        if bits <= 8 and len(data) < 2 * entries and is_little_endian:
            return tuple(data)
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if is_little_endian else ">u2")
    else:
        words = np.asarray(as_list(data), dtype=np.int64)
    if bits <= 8 and len(words) < entries:
        words = np.stack((words & 0xFF, words >> 8 & 0xFF), axis=1).reshape(-1)
    return tuple((words.astype(np.int64) & 0xFFFF).tolist())


def is_negative_possible(modality: ModalityLut, pixel_format: PixelFormat) -> bool:
    """Tell whether modality values can be below 0: a VOI LUT's first mapped value then is signed.

    Notes
    -----
    PS3.3 C.11.2.1.1.
    """
    if modality.values is not None or pixel_format.is_float:
        return pixel_format.is_float
    domain = np.asarray(pixel_format.stored_domain)
    return bool(modality_values(domain, modality).min() < 0)


def is_inverted(header: Dataset, pixel_format: PixelFormat) -> bool:
    """Tell whether low values are bright.

    Notes
    -----
    PS3.3 C.11.6: Presentation LUT Shape (2050,0020) decides where it is given; otherwise
    MONOCHROME1 (C.7.6.3.1.2) is inverted.
    """
    shape = text(header, "PresentationLUTShape").upper()
    if shape in ("INVERSE", "IDENTITY"):
        return shape == "INVERSE"
    return pixel_format.photometric_interpretation == "MONOCHROME1"


def pixel_padding_of(header: Dataset, pixel_format: PixelFormat) -> tuple[float, float] | None:
    """Read which stored values are background.

    Returns
    -------
    tuple of float or None
        Lowest and highest, from Pixel Padding Value (0028,0120) and Range Limit (0028,0121) in
        either order; from (0028,0122) to (0028,0125) for floating point pixels.

    Notes
    -----
    PS3.3 C.7.5.1.1.2, C.7.6.24, C.7.6.25.
    """
    name = _FLOAT_PADDING[pixel_format.container_bytes] if pixel_format.is_float else "PixelPadding"
    read = number if pixel_format.is_float else integer
    value, limit = read(header, f"{name}Value"), read(header, f"{name}RangeLimit")
    if value is None:
        return None
    edges = [value, value if limit is None else limit]
    if not pixel_format.is_float:
        edges = [_as_stored(int(edge), pixel_format) for edge in edges]
    return min(edges), max(edges)


def _as_stored(value: int, pixel_format: PixelFormat) -> int:
    """Read a value that was written with the other sign."""
    span = 1 << pixel_format.bits_allocated
    if pixel_format.is_signed and value >= span // 2:
        return value - span
    if not pixel_format.is_signed and value < 0:
        return value + span
    return value


def initial_voi(
    transforms: GreyTransforms,
    pixel_format: PixelFormat,
    read_stored: Callable[[], StoredFrame],
) -> InitialVoi:
    """Choose how a frame is shown first.

    In order: the frame's own window, the first VOI LUT, the first window, and where the header
    has none of them: all of the range for values of up to 8 bits, a window by percentiles
    otherwise.

    Parameters
    ----------
    transforms : GreyTransforms
        Of this frame.
    pixel_format : PixelFormat
        Of this frame.
    read_stored : callable
        Returns the stored frame; called only when the pixels are needed.
    """
    if transforms.windows and (transforms.is_window_of_frame or not transforms.voi_luts):
        return InitialVoi(transforms.windows[0], 0)
    if transforms.voi_luts:
        return InitialVoi(transforms.voi_luts[0], 0)
    if pixel_format.bits_stored <= 8 and transforms.modality.values is None:
        edges = modality_values(np.asarray(pixel_format.stored_domain), transforms.modality)
        return InitialVoi(window_between(float(edges.min()), float(edges.max()), AUTOMATIC), None)
    window = automatic_window(read_stored(), transforms.modality, transforms.pixel_padding)
    return InitialVoi(window, None)
