"""Where the frames of one instance lie, from its header."""

from dataclasses import replace
from typing import Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from viewer.geometry import plausible_position
from viewer.header import integer, items, number, numbers, text, texts
from viewer.stacks import FramePlace

SOP_CLASSES_OF_PLACED_FRAMES: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{tail}"
    for tail in (
        "2.1",  # Enhanced CT
        "2.2",  # Legacy Converted Enhanced CT
        "4.1",  # Enhanced MR
        "4.3",  # Enhanced MR Color
        "4.4",  # Legacy Converted Enhanced MR
        "6.2",  # Enhanced US Volume
        "13.1.1",  # X-Ray 3D Angiographic
        "13.1.2",  # X-Ray 3D Craniofacial
        "13.1.3",  # Breast Tomosynthesis
        "30",  # Parametric Map
        "66.4",  # Segmentation
        "77.1.5.4",  # Ophthalmic Tomography
        "128.1",  # Legacy Converted Enhanced PET
        "130",  # Enhanced PET
    )
)
"""Objects whose functional groups give each frame a place of its own (PS3.3 C.7.6.16)."""

_FRAME_TYPES: Final = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XRay3DFrameTypeSequence",
)
_GROUP_TAGS: Final = {
    keyword: tag_for_keyword(keyword)
    for keyword in (
        *_FRAME_TYPES,
        "FrameContentSequence",
        "MREchoSequence",
        "MRDiffusionSequence",
        "CardiacSynchronizationSequence",
        "PlaneOrientationSequence",
        "PlanePositionSequence",
        "PixelMeasuresSequence",
    )
}


def frame_places(header: Dataset, number_of_frames: int) -> list[FramePlace]:
    """Read the place of every frame of an object with functional groups.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    number_of_frames : int
        Frames that can be there; further functional groups are not read.

    Returns
    -------
    list of FramePlace
        In the order in which the frames are stored. When a frame lacks a place, all are one run in
        the order of their Dimension Index Values (0020,9157). Empty when a frame lacks those too:
        then the stored order is all that is known.

    Notes
    -----
    PS3.3 C.7.6.16.2, C.7.6.17.
    """
    per_frame = items(header, "PerFrameFunctionalGroupsSequence")
    if len(per_frame) < number_of_frames:
        return []
    common, shared = _common_place(header), _shared_groups(header)
    places = [
        _place(common, _Groups(groups, shared), frame_number)
        for frame_number, groups in enumerate(per_frame[:number_of_frames], start=1)
    ]
    if all(one.image_orientation_patient and one.image_position_patient for one in places):
        return places
    if len({len(one.dimension_index) for one in places}) == 1 and places[0].dimension_index:
        run = text(header, "SOPInstanceUID")
        return [replace(one, run=run, acquisition_time="") for one in places]
    return []


class _Groups:
    """The functional groups of one frame: its own first, then the shared ones."""

    def __init__(self, own: Dataset, shared: dict[str, Dataset]) -> None:
        self._own = own
        self._own_tags = own.keys()
        self._shared = shared

    def of(self, keyword: str) -> Dataset:
        """Return the first item of a group, an empty data set where it is absent."""
        # an enhanced object may have thousands of frames, and asking pydicom for what is not there
        # takes longer than reading what is
        if _GROUP_TAGS[keyword] in self._own_tags and (found := items(self._own, keyword)):
            return found[0]
        return self._shared[keyword]


def _shared_groups(header: Dataset) -> dict[str, Dataset]:
    groups = [*items(header, "SharedFunctionalGroupsSequence")[:1], Dataset()][0]
    return {keyword: [*items(groups, keyword), Dataset()][0] for keyword in _GROUP_TAGS}


def _common_place(header: Dataset) -> FramePlace:
    """Return what the frames of an object have in common."""
    return FramePlace(
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
        rows=integer(header, "Rows"),
        columns=integer(header, "Columns"),
        image_type=texts(header, "ImageType"),
        instance_number=integer(header, "InstanceNumber"),
    )


def _place(common: FramePlace, groups: _Groups, frame_number: int) -> FramePlace:
    content = groups.of("FrameContentSequence")
    echo_time = number(groups.of("MREchoSequence"), "EffectiveEchoTime")
    trigger = groups.of("CardiacSynchronizationSequence")
    orientation = numbers(groups.of("PlaneOrientationSequence"), "ImageOrientationPatient")
    position = numbers(groups.of("PlanePositionSequence"), "ImagePositionPatient")
    return replace(
        common,
        image_orientation_patient=orientation if len(orientation) == 6 else (),
        image_position_patient=plausible_position(position),
        pixel_spacing=numbers(groups.of("PixelMeasuresSequence"), "PixelSpacing"),
        image_type=_frame_type(groups) or common.image_type,
        echo=echo_words("", echo_time),
        diffusion_b_value=number(groups.of("MRDiffusionSequence"), "DiffusionBValue"),
        temporal_position=integer(content, "TemporalPositionIndex"),
        trigger_time=number(trigger, "NominalCardiacTriggerDelayTime"),
        acquisition_number=integer(content, "FrameAcquisitionNumber"),
        acquisition_time=text(content, "FrameAcquisitionDateTime"),
        dimension_index=numbers(content, "DimensionIndexValues"),
        frame_number=frame_number,
    )


def _frame_type(groups: _Groups) -> tuple[str, ...]:
    return next(filter(None, (texts(groups.of(one), "FrameType") for one in _FRAME_TYPES)), ())


def echo_words(echo_numbers: str, echo_time: float | None) -> str:
    """Name an echo.

    Parameters
    ----------
    echo_numbers : str
        (0018,0086), '' when absent.
    echo_time : float or None
        (0018,0081) in ms; some scanners count every echo as the first, so the time counts too.

    Returns
    -------
    str

    Examples
    --------
    >>> echo_words("2", 4.92)
    '2 (4.92 ms)'
    """
    time = "" if echo_time is None else f"({round(echo_time, 2):g} ms)"
    return f"{echo_numbers} {time}".strip()
