"""Where a frame lies in the patient: its plane, its place along the normal, its edges."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from viewer.header import functional_group, number, numbers, text, texts

Vector = tuple[float, float, float]

FARTHEST_MM: Final = 1e6
"""A position beyond this counts as absent: no frame of reference reaches a kilometre."""
_OPPOSITE: Final = str.maketrans("RLAPHF", "LRPAFH")
_SMALLEST_COSINE: Final = 0.1


@dataclass(frozen=True, slots=True)
class OrientationLetters:
    """What lies beyond each edge of the frame, up to three of R L A P H F each."""

    left: str
    top: str
    right: str
    bottom: str


def slice_normal(image_orientation_patient: Sequence[float]) -> Vector | None:
    """Return the unit normal of an image plane, row direction x column direction.

    Returns
    -------
    tuple of float or None
        None when the six cosines are not two perpendicular unit vectors.

    Notes
    -----
    PS3.3 C.7.6.2.1.1.
    """
    if len(image_orientation_patient) != 6:
        return None
    row, column = image_orientation_patient[:3], image_orientation_patient[3:]
    lengths = (math.hypot(*row), math.hypot(*column))
    is_skew = abs(sum(r * c for r, c in zip(row, column, strict=True))) > 0.05
    if is_skew or any(abs(length - 1) > 0.05 for length in lengths):
        return None
    (r0, r1, r2), (c0, c1, c2) = row, column
    normal = (r1 * c2 - r2 * c1, r2 * c0 - r0 * c2, r0 * c1 - r1 * c0)
    size = math.hypot(*normal)
    return normal[0] / size, normal[1] / size, normal[2] / size


def slice_position(
    image_orientation_patient: Sequence[float], image_position_patient: Sequence[float]
) -> float | None:
    """Return a slice's place along its normal in mm, None when unknown."""
    normal = slice_normal(image_orientation_patient)
    if normal is None or len(image_position_patient) != 3:
        return None
    return sum(n * p for n, p in zip(normal, image_position_patient, strict=True))


def orientation_letters(
    image_orientation_patient: Sequence[float], patient_orientation: Sequence[str] = ()
) -> OrientationLetters | None:
    """Name the four edges of a frame.

    Parameters
    ----------
    image_orientation_patient : sequence of float
        (0020,0037), six cosines; () when absent.
    patient_orientation : sequence of str
        (0020,0020), direction of the rows and of the columns; () when absent.

    Returns
    -------
    OrientationLetters or None
        Letters by falling weight; directions within about 6 degrees of a plane leave its third
        letter out. None when unknown, or when the two say the opposite of each other: no letter is
        better than a wrong one.

    Notes
    -----
    PS3.3 C.7.6.1.1.1, C.7.6.2.1.1. The patient's left, back and head are the positive axes.
    """
    is_written = len(patient_orientation) == 2 and all(map(_is_biped, patient_orientation))
    if slice_normal(image_orientation_patient) is not None:
        edges = _letters(image_orientation_patient[:3]), _letters(image_orientation_patient[3:])
        if is_written and any(map(_are_opposite, edges, patient_orientation)):
            return None
    elif is_written:
        edges = patient_orientation[0], patient_orientation[1]
    else:
        return None
    right, bottom = edges
    return OrientationLetters(
        right.translate(_OPPOSITE), bottom.translate(_OPPOSITE), right, bottom
    )


def displayed_letters(
    letters: OrientationLetters | None, quarter_turns: int = 0, *, is_flipped: bool = False
) -> OrientationLetters | None:
    """Name the edges of a frame that is shown turned or flipped.

    Parameters
    ----------
    letters : OrientationLetters or None
        Of the frame as stored.
    quarter_turns : int
        Clockwise, each of 90 degrees; negative is counter-clockwise.
    is_flipped : bool
        Whether left and right are exchanged before turning. Exchanging top and bottom is this and
        two quarter turns.

    Returns
    -------
    OrientationLetters or None
        None when unknown; nothing makes unknown edges known.
    """
    if letters is None:
        return None
    edges = [letters.left, letters.top, letters.right, letters.bottom]
    if is_flipped:
        edges[0], edges[2] = edges[2], edges[0]
    turns = quarter_turns % 4
    return OrientationLetters(*(edges[(place - turns) % 4] for place in range(4)))


def frame_letters(header: Dataset, frame_index: int) -> OrientationLetters | None:
    """Name the four edges of a frame.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.

    Returns
    -------
    OrientationLetters or None
        As `orientation_letters`; None for four-legged patients, whose axes and letters differ.

    Notes
    -----
    Anatomical Orientation Type (0010,2210), PS3.3 C.7.6.1.1.1.
    """
    if text(header, "AnatomicalOrientationType") == "QUADRUPED":
        return None
    return orientation_letters(
        image_orientation_patient(header, frame_index), patient_orientation(header)
    )


def _letters(direction: Sequence[float]) -> str:
    named = zip(direction, ("LR", "PA", "HF"), strict=True)
    heavy = sorted(named, key=lambda pair: -abs(pair[0]))
    return "".join(
        names[0] if cosine > 0 else names[1]
        for cosine, names in heavy
        if abs(cosine) >= _SMALLEST_COSINE
    )


def _are_opposite(one: str, other: str) -> bool:
    """Tell whether the heaviest letter of one is the opposite of that of the other."""
    return one[:1].translate(_OPPOSITE) == other[:1]


def _is_biped(letters: str) -> bool:
    """Accept one to three letters, one of each axis."""
    axes = letters.translate(str.maketrans("RLAPHF", "xxyyzz"))
    return 1 <= len(letters) <= 3 and set(axes) <= set("xyz") and len(set(axes)) == len(axes)


def image_orientation_patient(header: Dataset, frame_index: int) -> tuple[float, ...]:
    """Return the six cosines of a frame's rows and columns (0020,0037), () when absent."""
    group = functional_group(header, frame_index, "PlaneOrientationSequence")
    found = numbers(header if group is None else group, "ImageOrientationPatient")
    return found if len(found) == 6 else ()


def image_position_patient(header: Dataset, frame_index: int) -> tuple[float, ...]:
    """Return the place of a frame's first pixel (0020,0032) in mm, () when absent."""
    group = functional_group(header, frame_index, "PlanePositionSequence")
    return plausible_position(numbers(header if group is None else group, "ImagePositionPatient"))


def plausible_position(values: Sequence[float]) -> tuple[float, ...]:
    """Return a position in mm; () for one that is none, or further off than any patient."""
    is_near = len(values) == 3 and all(abs(value) <= FARTHEST_MM for value in values)
    return tuple(values) if is_near else ()


def patient_orientation(header: Dataset) -> tuple[str, ...]:
    """Return Patient Orientation (0020,0020), () when absent."""
    return tuple(value.upper() for value in texts(header, "PatientOrientation"))


def slice_thickness(header: Dataset, frame_index: int) -> float | None:
    """Return Slice Thickness (0018,0050) in mm."""
    measures = functional_group(header, frame_index, "PixelMeasuresSequence")
    return number(header if measures is None else measures, "SliceThickness")


def spacing_between_slices(header: Dataset, frame_index: int) -> float | None:
    """Return Spacing Between Slices (0018,0088) in mm."""
    measures = functional_group(header, frame_index, "PixelMeasuresSequence")
    return number(header if measures is None else measures, "SpacingBetweenSlices")
