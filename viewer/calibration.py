"""The size of a pixel, where it comes from, and what may be said of a length measured with it."""

import math
from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

from viewer.geometry import image_orientation_patient
from viewer.header import functional_group, number, numbers, text

SpacingOrigin = Literal["detector", "patient", "calibrated", "estimated", "unknown", "none"]

_TOLERANCE: Final = 1e-3
_PROJECTION_MODALITIES: Final = frozenset(("CR", "DX", "MG", "XA", "RF", "PX", "IO", "RG"))
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_LARGEST_MM: Final = 100.0
_SMALLEST_MM: Final = 1e-5
_LARGEST_RATIO: Final = 100.0
_LARGEST_MAGNIFICATION: Final = 10.0
_UNIT_WORDS: Final[dict[SpacingOrigin, str]] = {
    "detector": "mm at detector",
    "patient": "mm",
    "calibrated": "mm calibrated",
    "estimated": "mm estimated",
    "unknown": "mm at detector or unknown",
    "none": "px",
}


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Distance between pixel centres and what it means.

    Parameters
    ----------
    row, column : float or None
        mm between rows, between columns; None when unknown.
    origin : {'detector', 'patient', 'calibrated', 'estimated', 'unknown', 'none'}
        At the detector's surface; in the patient; calibrated by a person, a known object or known
        geometry; at the detector divided by an estimated magnification; at the detector or
        calibrated, the file does not say; no usable value.
    calibration_type : str
        (0028,0A02), `GEOMETRY` or `FIDUCIAL`, '' when not calibrated or not said.
    calibration_description : str
        (0028,0A04), '' when absent.
    magnification : float or None
        The factor (0018,1114) the distance was divided by.
    refused : str
        Why a value in the file is not used, in words; '' when none was refused.
    """

    row: float | None = None
    column: float | None = None
    origin: SpacingOrigin = "none"
    calibration_type: str = ""
    calibration_description: str = ""
    magnification: float | None = None
    refused: str = ""

    @property
    def unit_words(self) -> str:
        """What stands behind every length: the unit and what it means."""
        return _UNIT_WORDS[self.origin]


_Pair = tuple[float, float]


def pixel_spacing(header: Dataset, frame_index: int) -> PixelSpacing:
    """Read the size of a pixel and what it means.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.

    Returns
    -------
    PixelSpacing
        Of origin `none` when there is no value, or when what there is contradicts itself.

    Notes
    -----
    PS3.3 10.7.1.3: Pixel Spacing (0028,0030) equal to Imager (0018,1164) or Nominal Scanned
    Pixel Spacing (0018,2010) is at the detector, different from it is calibrated; Pixel Spacing
    Calibration Type (0028,0A02) says so outright. Imager Pixel Spacing alone is divided by the
    Estimated Radiographic Magnification Factor (0018,1114). Pixel Spacing alone is in the patient
    for cross-sections; on a projection or a secondary capture nothing tells what it is.
    """
    measures = functional_group(header, frame_index, "PixelMeasuresSequence")
    holder = header if measures is None else measures
    refused = _refusal(holder, "PixelSpacing", "Pixel Spacing")
    pixel = None if refused else _pair(holder, "PixelSpacing")
    detector, refused_detector = _detector_pair(header)
    if pixel is None:
        return _detector_spacing(header, detector, refused or refused_detector)
    kind = text(header, "PixelSpacingCalibrationType").upper()
    if kind == "GEOMETRY" and detector is not None and not _is_one_scale(pixel, detector):
        return PixelSpacing(
            refused="Pixel Spacing does not fit the detector's by one magnification"
        )
    calibration = (kind, text(header, "PixelSpacingCalibrationDescription"))
    if kind or (detector is not None and not _is_close(pixel, detector)):
        return PixelSpacing(*pixel, "calibrated", *calibration, refused=refused_detector)
    if detector is not None:
        return PixelSpacing(*pixel, "detector")
    return PixelSpacing(*pixel, _plain_origin(header, frame_index), refused=refused_detector)


def _plain_origin(header: Dataset, frame_index: int) -> SpacingOrigin:
    """Say what Pixel Spacing alone means."""
    if image_orientation_patient(header, frame_index):
        return "patient"
    is_captured = text(header, "SOPClassUID").startswith(_SECONDARY_CAPTURE)
    is_projection = text(header, "Modality") in _PROJECTION_MODALITIES
    return "unknown" if is_captured or is_projection else "patient"


def _detector_pair(header: Dataset) -> tuple[_Pair | None, str]:
    for keyword, words in (
        ("ImagerPixelSpacing", "Imager Pixel Spacing"),
        ("NominalScannedPixelSpacing", "Nominal Scanned Pixel Spacing"),
    ):
        if refused := _refusal(header, keyword, words):
            return None, refused
        if pair := _pair(header, keyword):
            return pair, ""
    return None, ""


def _detector_spacing(header: Dataset, detector: _Pair | None, refused: str) -> PixelSpacing:
    if detector is None:
        return PixelSpacing(refused=refused)
    factor = number(header, "EstimatedRadiographicMagnificationFactor")
    if factor is None or math.isclose(factor, 1, rel_tol=_TOLERANCE):
        return PixelSpacing(*detector, "detector", refused=refused)
    if not 1 < factor <= _LARGEST_MAGNIFICATION:
        return PixelSpacing(
            *detector, "detector", refused="The magnification factor is not possible"
        )
    return PixelSpacing(
        detector[0] / factor,
        detector[1] / factor,
        "estimated",
        magnification=factor,
        refused=refused,
    )


def _refusal(dataset: Dataset, keyword: str, words: str) -> str:
    """Say why a spacing that is there cannot be one, '' when it can or is absent."""
    values = numbers(dataset, keyword)
    if not text(dataset, keyword):
        return ""
    if len(values) != 2 or not all(_SMALLEST_MM <= value <= _LARGEST_MM for value in values):
        return f"{words} is not a possible size of a pixel"
    if max(values) > _LARGEST_RATIO * min(values):
        return f"{words} says that pixels are over {_LARGEST_RATIO:g} times as long as wide"
    return ""


def _pair(dataset: Dataset, keyword: str) -> _Pair | None:
    values = numbers(dataset, keyword)
    if len(values) != 2 or min(values) <= 0:
        return None
    return values[0], values[1]


def _is_close(one: _Pair, other: _Pair) -> bool:
    return all(math.isclose(a, b, rel_tol=_TOLERANCE) for a, b in zip(one, other, strict=True))


def _is_one_scale(pixel: _Pair, detector: _Pair) -> bool:
    """Tell whether one magnification of at least 1 leads from the detector to the patient."""
    rows, columns = detector[0] / pixel[0], detector[1] / pixel[1]
    return min(rows, columns) >= 1 - _TOLERANCE and math.isclose(rows, columns, rel_tol=0.01)


def pixel_aspect_ratio(header: Dataset, frame_index: int) -> tuple[float, float]:
    """Return a pixel's height and width in any common unit.

    Notes
    -----
    PS3.3 C.7.6.3.1.7: Pixel Aspect Ratio (0028,0034) is used only where there is no spacing.
    """
    spacing = pixel_spacing(header, frame_index)
    if spacing.row is not None and spacing.column is not None:
        return spacing.row, spacing.column
    ratio = _pair(header, "PixelAspectRatio")
    if ratio is None or max(ratio) > _LARGEST_RATIO * min(ratio):
        return 1.0, 1.0
    return ratio
