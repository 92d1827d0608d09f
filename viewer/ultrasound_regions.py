"""Regions of an ultrasound picture, each with its units, and what may be measured in them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

from viewer.header import integer, items, number

SpatialFormat = Literal["none", "2d", "m-mode", "spectral", "waveform", "graphics"]
Unit = Literal["", "%", "dB", "cm", "s", "Hz", "dB/s", "cm/s", "cm²", "cm²/s", "cm³", "cm³/s", "°"]
Kind = Literal["length", "time and depth", "time and velocity", "time and frequency", "pixels"]

_FORMATS: Final[tuple[SpatialFormat, ...]] = (
    "none",
    "2d",
    "m-mode",
    "spectral",
    "waveform",
    "graphics",
)
_UNITS: Final[tuple[Unit, ...]] = (
    "",
    "%",
    "dB",
    "cm",
    "s",
    "Hz",
    "dB/s",
    "cm/s",
    "cm²",
    "cm²/s",
    "cm³",
    "cm³/s",
    "°",
)
_LOW_PRIORITY: Final = 1
_MM_IN_CM: Final = 10.0
_SAME: Final = 1e-6
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class UltrasoundRegion:
    """One item of the Sequence of Ultrasound Regions (0018,6011).

    Parameters
    ----------
    min_x, min_y, max_x, max_y : int
        Bounds in pixels of the whole picture, both ends included.
    spatial_format : str
        (0018,6012): `2d`, `m-mode`, `spectral`, `waveform`, `graphics` or `none`.
    data_type : int
        (0018,6014) as coded: 1 tissue, 2 colour flow, 3 and 4 pulsed and continuous wave Doppler.
    is_low_priority : bool
        Where regions overlap, the others count (bit 0 of Region Flags (0018,6016)).
    unit_x, unit_y : str
        What one step of `delta_x`, `delta_y` is in; '' when none.
    delta_x, delta_y : float
        Physical value of one pixel to the right, and down.
    reference_x, reference_y : int or None
        Reference pixel, counted from `min_x` and `min_y`; it may lie outside the region.
    reference_value_x, reference_value_y : float
        Physical value there.
    """

    min_x: int
    min_y: int
    max_x: int
    max_y: int
    spatial_format: SpatialFormat
    data_type: int
    is_low_priority: bool
    unit_x: Unit
    unit_y: Unit
    delta_x: float
    delta_y: float
    reference_x: int | None = None
    reference_y: int | None = None
    reference_value_x: float = 0.0
    reference_value_y: float = 0.0

    def holds(self, point: Point) -> bool:
        """Tell whether a point, (x, y) in pixels, lies in the region."""
        x, y = point
        return (
            self.min_x - 0.5 <= x <= self.max_x + 0.5 and self.min_y - 0.5 <= y <= self.max_y + 0.5
        )

    def value_x(self, x: float) -> float | None:
        """Return the physical value at a column, None without a reference pixel."""
        if self.reference_x is None:
            return None
        return (x - self.min_x - self.reference_x) * self.delta_x + self.reference_value_x

    def value_y(self, y: float) -> float | None:
        """Return the physical value at a row, None without a reference pixel."""
        if self.reference_y is None:
            return None
        return (y - self.min_y - self.reference_y) * self.delta_y + self.reference_value_y


@dataclass(frozen=True, slots=True)
class Measurement:
    """What may be said of two points.

    Parameters
    ----------
    kind : str
        `length`, `time and depth`, `time and velocity`, `time and frequency` or `pixels`.
    length : float
        The distance in mm for `length`, in pixels for `pixels`, 0 else.
    difference_x, difference_y : float
        Between both points along x and y, without sign, in `unit_x` and `unit_y`.
    unit_x, unit_y : str
        `mm`, `s`, `cm/s`, `Hz` or `px`.
    values_y : tuple of float
        Value at either end for velocity and frequency, in `unit_y`; () when there is no reference.
    reason : str
        Why it is only pixels, in words; '' else.
    """

    kind: Kind
    length: float
    difference_x: float
    difference_y: float
    unit_x: str
    unit_y: str
    values_y: tuple[float, ...] = ()
    reason: str = ""


def ultrasound_regions(header: Dataset) -> list[UltrasoundRegion]:
    """Read the regions of a picture.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.

    Returns
    -------
    list of UltrasoundRegion
        In the order of the file, without those that make no sense.

    Notes
    -----
    PS3.3 C.8.5.5.
    """
    regions = [_region(item) for item in items(header, "SequenceOfUltrasoundRegions")]
    return [region for region in regions if region is not None]


def _region(item: Dataset) -> UltrasoundRegion | None:
    bounds = [
        integer(item, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    ]
    min_x, min_y, max_x, max_y = bounds
    if min_x is None or min_y is None or max_x is None or max_y is None:
        return None
    if not (0 <= min_x <= max_x and 0 <= min_y <= max_y):
        return None
    return UltrasoundRegion(
        min_x,
        min_y,
        max_x,
        max_y,
        spatial_format=_FORMATS[_code(item, "RegionSpatialFormat", len(_FORMATS))],
        data_type=integer(item, "RegionDataType") or 0,
        is_low_priority=bool((integer(item, "RegionFlags") or 0) & _LOW_PRIORITY),
        unit_x=_UNITS[_code(item, "PhysicalUnitsXDirection", len(_UNITS))],
        unit_y=_UNITS[_code(item, "PhysicalUnitsYDirection", len(_UNITS))],
        delta_x=number(item, "PhysicalDeltaX") or 0.0,
        delta_y=number(item, "PhysicalDeltaY") or 0.0,
        reference_x=integer(item, "ReferencePixelX0"),
        reference_y=integer(item, "ReferencePixelY0"),
        reference_value_x=number(item, "ReferencePixelPhysicalValueX") or 0.0,
        reference_value_y=number(item, "ReferencePixelPhysicalValueY") or 0.0,
    )


def _code(item: Dataset, keyword: str, number_of_codes: int) -> int:
    found = integer(item, keyword) or 0
    return found if 0 <= found < number_of_codes else 0


def region_at(regions: Iterable[UltrasoundRegion], point: Point) -> UltrasoundRegion | None:
    """Return the region a point lies in.

    Parameters
    ----------
    regions : iterable of UltrasoundRegion
    point : (float, float)
        (x, y) in pixels.

    Returns
    -------
    UltrasoundRegion or None
        Of several, one of high priority, then the smallest.
    """
    holding = [region for region in regions if region.holds(point)]
    return min(holding, key=_precedence, default=None)


def _precedence(region: UltrasoundRegion) -> tuple[bool, int]:
    area = (region.max_x - region.min_x + 1) * (region.max_y - region.min_y + 1)
    return region.is_low_priority, area


def measure(regions: Sequence[UltrasoundRegion], a: Point, b: Point) -> Measurement:
    """Measure between two points as far as the regions allow.

    Parameters
    ----------
    regions : sequence of UltrasoundRegion
        All regions of the picture.
    a, b : (float, float)
        (x, y) in pixels of the stored frame.

    Returns
    -------
    Measurement
        In physical units only if both points lie in one region, or in two pictures of the same
        units and scale; else in pixels, with the reason.

    Notes
    -----
    PS3.3 C.8.5.5.1. In a spectrum, time and velocity are different things: there is no length
    between them.
    """
    first, second = region_at(regions, a), region_at(regions, b)
    if first is None or second is None:
        return _pixels(a, b, "An end lies outside the calibrated regions")
    if first is not second and not _is_same_scale(first, second):
        return _pixels(a, b, "The ends lie in regions of different scale")
    if not first.delta_x or not first.delta_y:
        return _pixels(a, b, "This region is not calibrated")
    if first.spatial_format == "2d" and first.unit_x == first.unit_y == "cm":
        return _length(first, a, b)
    kind = _KINDS.get((first.spatial_format, first.unit_x, first.unit_y))
    if kind is None:
        return _pixels(a, b, "This region has no units that can be measured here")
    return _apart(kind, first, a, b)


_KINDS: Final[dict[tuple[SpatialFormat, Unit, Unit], Kind]] = {
    ("m-mode", "s", "cm"): "time and depth",
    ("spectral", "s", "cm/s"): "time and velocity",
    ("spectral", "s", "Hz"): "time and frequency",
}


def _is_same_scale(one: UltrasoundRegion, other: UltrasoundRegion) -> bool:
    """Tell whether two regions are pictures of one scale; a spectrum is never like another."""
    return (
        one.spatial_format == other.spatial_format == "2d"
        and (one.unit_x, one.unit_y) == (other.unit_x, other.unit_y)
        and math.isclose(one.delta_x, other.delta_x, rel_tol=_SAME)
        and math.isclose(one.delta_y, other.delta_y, rel_tol=_SAME)
    )


def _length(region: UltrasoundRegion, a: Point, b: Point) -> Measurement:
    x = abs((b[0] - a[0]) * region.delta_x) * _MM_IN_CM
    y = abs((b[1] - a[1]) * region.delta_y) * _MM_IN_CM
    return Measurement("length", math.hypot(x, y), x, y, "mm", "mm")


def _apart(kind: Kind, region: UltrasoundRegion, a: Point, b: Point) -> Measurement:
    x, y = abs((b[0] - a[0]) * region.delta_x), abs((b[1] - a[1]) * region.delta_y)
    if kind == "time and depth":
        return Measurement(kind, 0.0, x, y * _MM_IN_CM, "s", "mm")
    ends = tuple(value for point in (a, b) if (value := region.value_y(point[1])) is not None)
    return Measurement(kind, 0.0, x, y, "s", region.unit_y, ends)


def _pixels(a: Point, b: Point, reason: str) -> Measurement:
    x, y = abs(b[0] - a[0]), abs(b[1] - a[1])
    return Measurement("pixels", math.hypot(x, y), x, y, "px", "px", reason=reason)
