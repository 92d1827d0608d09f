"""Where a frame lies in the patient: edges, order of slices, size of a pixel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

from viewer.header import functional_group, number, numbers, text, texts

SpacingOrigin = Literal["detector", "patient", "calibrated", "none"]
Vector = tuple[float, float, float]

_OPPOSITE: Final = str.maketrans("RLAPHF", "LRPAFH")
_SMALLEST_COSINE: Final = 0.1
_TOLERANCE: Final = 1e-3
_PROJECTION_MODALITIES: Final = frozenset(("CR", "DX", "MG", "XA", "RF", "PX", "IO", "RG"))


@dataclass(frozen=True, slots=True)
class OrientationLetters:
    """What lies beyond each edge of the frame, up to three of R L A P H F each."""

    left: str
    top: str
    right: str
    bottom: str


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Distance between pixel centres.

    Parameters
    ----------
    row, column : float or None
        mm between rows, between columns; None when unknown.
    origin : {'detector', 'patient', 'calibrated', 'none'}
        What the distance means: at the detector's surface, in the patient, or calibrated by a
        person or a known object.
    """

    row: float | None
    column: float | None
    origin: SpacingOrigin


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """What decides a slice's place in its stack.

    Parameters
    ----------
    image_orientation_patient : tuple of float
        (0020,0037), () when absent.
    image_position_patient : tuple of float
        (0020,0032) in mm, () when absent.
    acquisition_time : str
        (0008,0032), '' when absent.
    temporal_position : int
        (0020,0100), 0 when absent.
    instance_number : int or None
        (0020,0013).
    """

    image_orientation_patient: tuple[float, ...] = ()
    image_position_patient: tuple[float, ...] = ()
    acquisition_time: str = ""
    temporal_position: int = 0
    instance_number: int | None = None


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


def slice_order(places: Sequence[SlicePlace]) -> list[int]:
    """Order the slices of one stack.

    Parameters
    ----------
    places : sequence of SlicePlace
        In the order of receipt.

    Returns
    -------
    list of int
        Indices into `places`. By position along the common normal, ties by acquisition time,
        temporal position and instance number. When any slice lacks a position or lies at another
        angle: by instance number, acquisition time, receipt.
    """
    positions = _common_positions(places)
    if positions is None:
        return sorted(range(len(places)), key=lambda n: _by_number(places[n]))
    return sorted(range(len(places)), key=lambda n: (positions[n], *_tie_break(places[n])))


def _common_positions(places: Sequence[SlicePlace]) -> list[float] | None:
    if not places:
        return None
    first = slice_normal(places[0].image_orientation_patient)
    positions = []
    for place in places:
        normal = slice_normal(place.image_orientation_patient)
        position = slice_position(place.image_orientation_patient, place.image_position_patient)
        if first is None or normal is None or position is None:
            return None
        if sum(a * b for a, b in zip(first, normal, strict=True)) < 1 - _TOLERANCE:
            return None
        positions.append(round(position, 3))
    return positions


def _by_number(place: SlicePlace) -> tuple[float, str]:
    missing = math.inf if place.instance_number is None else place.instance_number
    return missing, place.acquisition_time


def _tie_break(place: SlicePlace) -> tuple[str, int, float]:
    return place.acquisition_time, place.temporal_position, _by_number(place)[0]


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
        letter out. None when unknown or contradictory: no letter is better than a wrong one.

    Notes
    -----
    PS3.3 C.7.6.1.1.1, C.7.6.2.1.1. The patient's left, back and head are the positive axes.
    """
    if slice_normal(image_orientation_patient) is not None:
        right = _letters(image_orientation_patient[:3])
        bottom = _letters(image_orientation_patient[3:])
    elif len(patient_orientation) == 2 and all(map(_is_biped, patient_orientation)):
        right, bottom = patient_orientation
    else:
        return None
    return OrientationLetters(
        right.translate(_OPPOSITE), bottom.translate(_OPPOSITE), right, bottom
    )


def _letters(direction: Sequence[float]) -> str:
    named = zip(direction, ("LR", "PA", "HF"), strict=True)
    heavy = sorted(named, key=lambda pair: -abs(pair[0]))
    return "".join(
        names[0] if cosine > 0 else names[1]
        for cosine, names in heavy
        if abs(cosine) >= _SMALLEST_COSINE
    )


def _is_biped(letters: str) -> bool:
    """Accept one to three letters, one of each axis."""
    axes = letters.translate(str.maketrans("RLAPHF", "xxyyzz"))
    return 1 <= len(letters) <= 3 and set(axes) <= set("xyz") and len(set(axes)) == len(axes)


def pixel_spacing(header: Dataset, frame_index: int) -> PixelSpacing:
    """Read the size of a pixel and what it means.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.

    Notes
    -----
    PS3.3 10.7.1.3: Pixel Spacing (0028,0030) equal to Imager (0018,1164) or Nominal Scanned
    Pixel Spacing (0018,2010) is at the detector, different from it is calibrated. Imager Pixel
    Spacing alone is divided by the Estimated Radiographic Magnification Factor (0018,1114).
    """
    measures = functional_group(header, frame_index, "PixelMeasuresSequence")
    pixel = _pair(header if measures is None else measures, "PixelSpacing")
    detector = _pair(header, "ImagerPixelSpacing") or _pair(header, "NominalScannedPixelSpacing")
    if pixel is None:
        return _detector_spacing(header, detector)
    if detector is not None:
        return PixelSpacing(*pixel, "detector" if _is_close(pixel, detector) else "calibrated")
    if text(header, "PixelSpacingCalibrationType"):
        return PixelSpacing(*pixel, "calibrated")
    is_projection = text(header, "Modality") in _PROJECTION_MODALITIES
    return PixelSpacing(*pixel, "detector" if is_projection else "patient")


def _detector_spacing(header: Dataset, detector: tuple[float, float] | None) -> PixelSpacing:
    if detector is None:
        return PixelSpacing(None, None, "none")
    factor = number(header, "EstimatedRadiographicMagnificationFactor") or 1.0
    factor = factor if factor > 0 else 1.0
    return PixelSpacing(detector[0] / factor, detector[1] / factor, "detector")


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    values = numbers(dataset, keyword)
    if len(values) != 2 or min(values) <= 0:
        return None
    return values[0], values[1]


def _is_close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=_TOLERANCE) for a, b in zip(one, other, strict=True))


def pixel_aspect_ratio(header: Dataset, frame_index: int) -> tuple[float, float]:
    """Return a pixel's height and width in any common unit.

    Notes
    -----
    PS3.3 C.7.6.3.1.7: Pixel Aspect Ratio (0028,0034) is used only where there is no spacing.
    """
    spacing = pixel_spacing(header, frame_index)
    if spacing.row is not None and spacing.column is not None:
        return spacing.row, spacing.column
    return _pair(header, "PixelAspectRatio") or (1.0, 1.0)


def image_orientation_patient(header: Dataset, frame_index: int) -> tuple[float, ...]:
    """Return the six cosines of a frame's rows and columns (0020,0037), () when absent."""
    group = functional_group(header, frame_index, "PlaneOrientationSequence")
    found = numbers(header if group is None else group, "ImageOrientationPatient")
    return found if len(found) == 6 else ()


def image_position_patient(header: Dataset, frame_index: int) -> tuple[float, ...]:
    """Return the place of a frame's first pixel (0020,0032) in mm, () when absent."""
    group = functional_group(header, frame_index, "PlanePositionSequence")
    found = numbers(header if group is None else group, "ImagePositionPatient")
    return found if len(found) == 3 else ()


def patient_orientation(header: Dataset) -> tuple[str, ...]:
    """Return Patient Orientation (0020,0020), () when absent."""
    return tuple(value.upper() for value in texts(header, "PatientOrientation"))


def slice_thickness(header: Dataset, frame_index: int) -> float | None:
    """Return Slice Thickness (0018,0050) in mm."""
    measures = functional_group(header, frame_index, "PixelMeasuresSequence")
    return number(header if measures is None else measures, "SliceThickness")
