"""Softcopy presentation states: how somebody wanted some frames to be shown."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from viewer.calibration import pixel_aspect_ratio
from viewer.decode import Instance, StoredFrame
from viewer.graphic_annotations import Annotation, Layer, annotations_of, layers_of
from viewer.grey_levels import window_to_uint8
from viewer.grey_transforms import (
    is_negative_possible,
    modality_lut_of,
    pixel_padding_of,
    voi_luts_of,
    windows_of,
)
from viewer.header import integer, items, number, numbers, text
from viewer.overlays import overlays_of
from viewer.pixel_format import PixelFormat
from viewer.references import Reference, is_included, references_in
from viewer.shutters import Shutter, apply_shutter, shutter_of
from viewer.windowing import (
    AUTOMATIC,
    ModalityLut,
    VoiLut,
    Window,
    modality_values,
    window_between,
)

MAX_SELECTIONS: Final = 2000
"""VOI and displayed area selections beyond so many are left out."""

KINDS: Final = {
    "1.2.840.10008.5.1.4.1.1.11.1": "grayscale",
    "1.2.840.10008.5.1.4.1.1.11.2": "color",
    "1.2.840.10008.5.1.4.1.1.11.3": "pseudo-color",
    "1.2.840.10008.5.1.4.1.1.11.4": "blending",
    "1.2.840.10008.5.1.4.1.1.11.5": "xa-xrf-grayscale",
}
"""Presentation states that are read, by SOP class (PS3.4 N)."""

_STATES: Final = "1.2.840.10008.5.1.4.1.1.11."
_UNSIGNED_16: Final = PixelFormat(1, 1, 1, 16, 16, 15, False, "MONOCHROME2", 0)
_LEFT_OUT: Final = {
    "PresentationLUTSequence": "presentation LUT",
    "PaletteColorLookupTableUID": "palette",
    "RedPaletteColorLookupTableDescriptor": "palette",
    "BlendingSequence": "blending",
    "MaskSubtractionSequence": "mask subtraction",
    "ICCProfile": "colour profile",
}


@dataclass(frozen=True, slots=True)
class SoftcopyVoi:
    """Window or table for some frames (PS3.3 C.11.8); `references` () = all of the state's."""

    references: tuple[Reference, ...]
    windows: tuple[Window, ...]
    voi_luts: tuple[VoiLut, ...]


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """What part of the frame is shown, and how large (PS3.3 C.10.4).

    Parameters
    ----------
    references : tuple of Reference
        Frames it is for; () for all of the state's.
    top_left, bottom_right : tuple of int
        (0070,0052), (0070,0053) as column, row of the unturned frame, 1-based. They are the
        corners after rotation and flip, so either coordinate may be the larger one. They may lie
        outside of the frame.
    size_mode : str
        (0070,0100): SCALE TO FIT, TRUE SIZE or MAGNIFY.
    pixel_spacing : tuple of float or None
        (0070,0101): mm between rows, between columns.
    pixel_aspect_ratio : tuple of float or None
        (0070,0102): a pixel's height and width in any unit.
    magnification : float or None
        (0070,0103).
    """

    references: tuple[Reference, ...]
    top_left: tuple[int, int]
    bottom_right: tuple[int, int]
    size_mode: str
    pixel_spacing: tuple[float, float] | None
    pixel_aspect_ratio: tuple[float, float] | None
    magnification: float | None


@dataclass(frozen=True, slots=True)
class PresentationState:
    """A softcopy presentation state.

    Parameters
    ----------
    sop_instance_uid : str
        The state.
    kind : str
        A value of `KINDS`, or `other`: then only what it refers to is known.
    label, description, creator, creation_date, creation_time : str
        (0070,0080) to (0070,0084).
    references : tuple of Reference
        All frames it is for.
    modality : ModalityLut
        Replaces that of the frames; the identity when the state has none.
    voi : tuple of SoftcopyVoi
        Replace those of the frames.
    is_inverted : bool
        Presentation LUT Shape (2050,0020) is INVERSE; Photometric Interpretation does not count.
    rotation : int
        (0070,0042): 0, 90, 180 or 270 degrees clockwise.
    is_flipped : bool
        (0070,0041): left and right are swapped, after the rotation.
    areas : tuple of DisplayedArea
        Displayed areas.
    shutter : Shutter or None
        Replaces that of the frames.
    layers : tuple of Layer
        Graphic layers, lowest first.
    annotations : tuple of Annotation
        Graphics and texts.
    left_out : tuple of str
        What the state asks for and is not applied here, in words.
    """

    sop_instance_uid: str
    kind: str
    label: str
    description: str
    creator: str
    creation_date: str
    creation_time: str
    references: tuple[Reference, ...]
    modality: ModalityLut
    voi: tuple[SoftcopyVoi, ...]
    is_inverted: bool
    rotation: int
    is_flipped: bool
    areas: tuple[DisplayedArea, ...]
    shutter: Shutter | None
    layers: tuple[Layer, ...]
    annotations: tuple[Annotation, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one frame is shown under a presentation state.

    Parameters
    ----------
    modality : ModalityLut
        Stored to modality values.
    voi : Window or VoiLut
        Modality to display values.
    is_inverted : bool
        Replace ``v`` by ``255 - v`` after the VOI step.
    shutter : Shutter or None
        In the unturned frame.
    rotation, is_flipped : int, bool
        As `turned` takes them.
    area : DisplayedArea or None
        In the unturned frame.
    annotations : tuple of Annotation
        Those for this frame.
    """

    modality: ModalityLut
    voi: Window | VoiLut
    is_inverted: bool
    shutter: Shutter | None
    rotation: int
    is_flipped: bool
    area: DisplayedArea | None
    annotations: tuple[Annotation, ...]


def presentation_state_of(header: Dataset) -> PresentationState | None:
    """Read a presentation state.

    Parameters
    ----------
    header : pydicom.Dataset
        Any object's header.

    Returns
    -------
    PresentationState or None
        None when it is none. What is damaged in it is left out.

    Raises
    ------
    UnsupportedPixels
        Its modality LUT is damaged: every value would be wrong.
    """
    sop_class_uid = text(header, "SOPClassUID")
    if not sop_class_uid.startswith(_STATES):
        return None
    rotation = integer(header, "ImageRotation")
    shutter = shutter_of(header)
    return PresentationState(
        sop_instance_uid=text(header, "SOPInstanceUID"),
        kind=KINDS.get(sop_class_uid, "other"),
        label=text(header, "ContentLabel"),
        description=text(header, "ContentDescription"),
        creator=text(header, "ContentCreatorName"),
        creation_date=text(header, "PresentationCreationDate"),
        creation_time=text(header, "PresentationCreationTime"),
        references=_all_references(header),
        modality=modality_lut_of(header, 0, _UNSIGNED_16),
        voi=_voi(header),
        is_inverted=text(header, "PresentationLUTShape").upper() == "INVERSE",
        rotation=rotation if rotation in (90, 180, 270) else 0,
        is_flipped=text(header, "ImageHorizontalFlip").upper() == "Y",
        areas=_areas(header),
        shutter=shutter,
        layers=layers_of(header),
        annotations=annotations_of(header),
        left_out=_left_out(header, shutter),
    )


def _all_references(header: Dataset) -> tuple[Reference, ...]:
    holders = [header, *items(header, "BlendingSequence")]
    series = (one for holder in holders for one in items(holder, "ReferencedSeriesSequence"))
    return tuple(reference for item in series for reference in references_in(item))


def _voi(header: Dataset) -> tuple[SoftcopyVoi, ...]:
    return tuple(
        SoftcopyVoi(
            tuple(references_in(item)),
            windows_of(item, 0),
            voi_luts_of(header, False, within=item),
        )
        for item in items(header, "SoftcopyVOILUTSequence")[:MAX_SELECTIONS]
    )


def _areas(header: Dataset) -> tuple[DisplayedArea, ...]:
    selections = items(header, "DisplayedAreaSelectionSequence")[:MAX_SELECTIONS]
    found = (_area(item) for item in selections)
    return tuple(area for area in found if area is not None)


def _area(item: Dataset) -> DisplayedArea | None:
    first = _pair(item, "DisplayedAreaTopLeftHandCorner")
    last = _pair(item, "DisplayedAreaBottomRightHandCorner")
    if first is None or last is None:
        return None
    return DisplayedArea(
        references=tuple(references_in(item)),
        top_left=(int(first[0]), int(first[1])),
        bottom_right=(int(last[0]), int(last[1])),
        size_mode=text(item, "PresentationSizeMode"),
        pixel_spacing=_pair(item, "PresentationPixelSpacing"),
        pixel_aspect_ratio=_pair(item, "PresentationPixelAspectRatio"),
        magnification=number(item, "PresentationPixelMagnificationRatio"),
    )


def _pair(item: Dataset, keyword: str) -> tuple[float, float] | None:
    values = numbers(item, keyword)
    return (values[0], values[1]) if len(values) == 2 else None


def _left_out(header: Dataset, shutter: Shutter | None) -> tuple[str, ...]:
    named = {words for keyword, words in _LEFT_OUT.items() if keyword in header}
    if shutter is not None and shutter.is_bitmap_left_out:
        named.add("bitmap shutter")
    if overlays_of(header):
        named.add("overlay of the presentation state")
    annotations = items(header, "GraphicAnnotationSequence")
    if any("CompoundGraphicSequence" in item for item in annotations):
        named.add("compound graphics")
    return tuple(sorted(named))


def presentation_of(
    state: PresentationState, instance: Instance, frame_number: int
) -> Presentation | None:
    """Return how a frame is shown under a state.

    Parameters
    ----------
    state : PresentationState
        From `presentation_state_of`.
    instance : Instance
        The instance whose frame is shown.
    frame_number : int
        1-based.

    Returns
    -------
    Presentation or None
        None when the state does not refer to this frame.

    Raises
    ------
    NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `Instance.frame_format`.

    Notes
    -----
    PS3.4 N.2.1: the state's transforms replace the frame's own; one that the state does not have
    is the identity, whatever the frame has.
    """
    uid = text(instance.header, "SOPInstanceUID")
    if not is_included(state.references, uid, frame_number):
        return None

    def is_for_frame(references: tuple[Reference, ...]) -> bool:
        return not references or is_included(references, uid, frame_number)

    pixel_format = instance.frame_format(frame_number)
    modality = _signed_modality(state.modality, pixel_format)
    voi = next((voi for voi in state.voi if is_for_frame(voi.references)), None)
    return Presentation(
        modality=modality,
        voi=_chosen(voi, modality, pixel_format),
        is_inverted=state.is_inverted,
        shutter=state.shutter,
        rotation=state.rotation,
        is_flipped=state.is_flipped,
        area=next((area for area in state.areas if is_for_frame(area.references)), None),
        annotations=tuple(one for one in state.annotations if is_for_frame(one.references)),
    )


def _chosen(
    voi: SoftcopyVoi | None, modality: ModalityLut, pixel_format: PixelFormat
) -> Window | VoiLut:
    if voi is not None and voi.voi_luts:
        lut = voi.voi_luts[0]
        is_signed = is_negative_possible(modality, pixel_format)
        return replace(lut, first=_signed(lut.first)) if is_signed else lut
    if voi is not None and voi.windows:
        return voi.windows[0]
    edges = modality_values(np.asarray(pixel_format.stored_domain), modality)
    if modality.values is not None:
        edges = np.asarray(modality.values, np.float64)
    return window_between(float(edges.min()), float(edges.max()), AUTOMATIC)


def _signed_modality(modality: ModalityLut, pixel_format: PixelFormat) -> ModalityLut:
    is_signed = pixel_format.is_signed and modality.values is not None
    return replace(modality, first=_signed(modality.first)) if is_signed else modality


def _signed(first: int) -> int:
    """Read a table's first mapped value as signed: a state does not know its frames' sign."""
    return first - 0x10000 if first > 0x7FFF else first


def presented_pixels(
    instance: Instance,
    frame_number: int,
    presentation: Presentation,
    *,
    stored: StoredFrame | None = None,
) -> NDArray[np.uint8]:
    """Draw a frame as a presentation state says: transforms, polarity, shutter, then turned.

    Displayed area and annotations are left to whoever shows it.

    Parameters
    ----------
    instance : Instance
        The instance whose frame is shown.
    frame_number : int
        1-based.
    presentation : Presentation
        From `presentation_of` the same frame.
    stored : numpy.ndarray, optional
        What `instance.stored_frame` returned, when the caller has it already.

    Returns
    -------
    numpy.ndarray
        uint8, (rows, columns) or (rows, columns, 3), rows and columns swapped when turned by 90
        or 270 degrees.

    Raises
    ------
    NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `Instance.stored_frame`.

    Notes
    -----
    PS3.4 N.2.1.
    """
    pixel_format = instance.frame_format(frame_number)
    pixels = instance.stored_frame(frame_number) if stored is None else stored
    if pixel_format.is_grey:
        pixels = window_to_uint8(
            pixels,
            presentation.modality,
            presentation.voi,
            invert=presentation.is_inverted,
            padding=pixel_padding_of(instance.header, pixel_format),
        )
    if presentation.shutter is not None:
        aspect = pixel_aspect_ratio(instance.header, frame_number - 1)
        pixels = apply_shutter(pixels, presentation.shutter, aspect)
    return turned(pixels, presentation.rotation, presentation.is_flipped)


def turned(pixels: NDArray[Any], rotation: int, is_flipped: bool) -> NDArray[Any]:
    """Rotate a picture clockwise, then swap left and right.

    Parameters
    ----------
    pixels : numpy.ndarray
        (rows, columns) or (rows, columns, 3).
    rotation : int
        0, 90, 180 or 270.
    is_flipped : bool
        Swap left and right afterwards.

    Returns
    -------
    numpy.ndarray
        A view of `pixels`.

    Notes
    -----
    PS3.3 C.10.6.

    Examples
    --------
    >>> turned(np.array([[1, 2], [3, 4]]), 90, False).tolist()
    [[3, 1], [4, 2]]
    """
    rotated = np.rot90(pixels, -rotation // 90)
    return rotated[:, ::-1] if is_flipped else rotated


def presentation_info(state: PresentationState) -> dict[str, Any]:
    """Return a presentation state as JSON-able values: its fields, tables as lists."""
    return asdict(state)
