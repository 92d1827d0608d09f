"""Linear windows as one multiplication, where it is shown to give the levels of the formula."""

import math
from bisect import bisect
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viewer.opencv import cv2
from viewer.windowing import GreyFrame, ModalityLut, Window, display_values, modality_values

_FLATTEST: Final = 1 / 64
"""Levels from one value to the next: for less, making a table takes no longer than this."""
_FURTHEST: Final = 2**20
"""From 0 to the middle of a window, in stored values: beyond, 16 bits show hardly a level of it."""
_FLOAT32_ERROR: Final = 2.0**-23
"""Twice what one rounding is off by: product, offset, slope and sum are rounded."""
_FLOAT64_ERROR: Final = 2.0**-46
"""Of the formula, with room to spare."""
_SMALLEST: Final = {"i": -32768, "u": 0}
_LARGEST_UNSIGNED: Final = 65535
_MIDDLE: Final = 127.5
_WHITE: Final = 255
_HALF: Final = 0.5
_CHECKS_KEPT: Final = 64
_SLOPES_KEPT: Final = 16
"""With up to 400 KB each."""


class Scaling(NamedTuple):
    """Stored values, clipped, times a slope and with an offset, rounded: their display values.

    Parameters
    ----------
    lowest, highest : numpy.integer
        What stored values are clipped to, of their type: for numbers of Python numpy takes longer.
    slope, offset : float
        Of the multiplication.
    """

    lowest: np.integer[Any]
    highest: np.integer[Any]
    slope: float
    offset: float

    def draw(self, stored: NDArray[Any], grey: GreyFrame) -> None:
        """Write the display values of rows of stored values."""
        clipped = stored.clip(self.lowest, self.highest)
        cv2.convertScaleAbs(clipped, grey, self.slope, self.offset)


class _Line(NamedTuple):
    """Display values of stored values, neither rounded nor limited.

    Parameters
    ----------
    slope : float
        Levels from one value to the next.
    origin : int
        The value nearest to the middle of the window.
    height : float
        The display value of `origin`.
    margin : float
        Of the height: what float64 may be off by in a window's own line; what a line halfway may be
        off by, and each value within the window still has its level.
    """

    slope: float
    origin: int
    height: float
    margin: float

    def ends(self) -> tuple[int, int]:
        """Return the last black and the first white stored value, on the way up the line."""
        rise = abs(self.slope)
        black = math.ceil((_HALF - self.height) / rise) - 1
        white = math.ceil((_WHITE - _HALF - self.height) / rise)
        if self.slope > 0:
            return self.origin + black, self.origin + white
        return self.origin - black, self.origin - white


def scaling_of(
    dtype: np.dtype[Any],
    modality: ModalityLut,
    window: Window,
    invert: bool = False,
    padding: tuple[float, float] | None = None,
) -> Scaling | None:
    """Return the multiplication that a linear window of stored values is, to the same levels.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the stored values: 16 bits.
    modality, window, invert, padding
        As `level_drawing`; neither a table nor SIGMOID.

    Returns
    -------
    Scaling or None
        None where none is found, as for a window of so few values that its ends are too steep.

    Notes
    -----
    When a line is raised, one stored value after the other comes to its next level, at heights
    that its slope decides and that repeat with each level. Between two of them all lines have the
    same levels, and the one halfway is the furthest from anything that float32 may add, with a
    fused multiplication or without. A window whose own line is at such a height, as far as float64
    can tell, has the levels of the lines below or above it, which are compared with the formula's.
    """
    line = _line(modality, window, invert)
    if line is None:
        return None
    lines = _lines_halfway(line)
    is_clear = len(lines) == 1
    for halfway in lines:
        if is_clear or _has_levels(halfway, modality, window, invert):
            return _multiplication(halfway, dtype, padding)
    return None


def _line(modality: ModalityLut, window: Window, invert: bool) -> _Line | None:
    """Return a window's own line; None where it is out of bounds."""
    is_shorter = window.function == "LINEAR" and window.width >= 1
    span, middle = window.width - is_shorter, window.center - is_shorter / 2
    if not (span and modality.slope):
        return None
    levels_per_unit = _WHITE / span
    slope = modality.slope * levels_per_unit
    nearest = (middle - modality.intercept) / modality.slope
    if not (_FLATTEST <= abs(slope) <= _WHITE and abs(nearest) <= _FURTHEST):
        return None
    origin = round(nearest)
    height = _MIDDLE + (origin * modality.slope + modality.intercept - middle) * levels_per_unit
    largest = abs(middle) + abs(modality.intercept) + span
    doubt = _FLOAT64_ERROR * largest * levels_per_unit
    if doubt >= _HALF:
        return None
    if invert:
        return _Line(-slope, origin, _WHITE - height, doubt)
    return _Line(slope, origin, height, doubt)


def _lines_halfway(line: _Line) -> list[_Line]:
    """Return the line of the same levels; two where a line's own may be those of either."""
    turns = _turns(line.slope)
    part = line.height % 1
    below, above = bisect(turns, part - line.margin), bisect(turns, part + line.margin)
    lines = []
    for place in (below, above) if below < above else (below,):
        low, high = turns[place - 1], turns[place]
        height = line.height - part + (low + high) / 2
        lines.append(_Line(line.slope, line.origin, height, (high - low) / 2))
    return lines


@lru_cache(_SLOPES_KEPT)  # whoever changes a window's center, or looks at a stack, keeps its width
def _turns(slope: float) -> memoryview:
    """Return the heights at which a value comes to its next level: of three levels, sorted.

    The line's origin does at -0.5, 0.5 and 1.5. So what is less than half a level from a height of
    0 to 1 lies between two of them.
    """
    furthest = _steps(slope)
    turns = np.arange(-furthest, furthest + 1) * slope
    np.subtract(_HALF, turns, out=turns)
    turns -= np.floor(turns)
    turns.sort()
    return np.concatenate([turns - 1, turns, turns + 1]).data


def _steps(slope: float) -> int:
    """Return how many values there are to either side of a window's middle, and some beyond."""
    return int(_WHITE / 2 / abs(slope)) + 3


@lru_cache(_CHECKS_KEPT)
def _has_levels(line: _Line, modality: ModalityLut, window: Window, invert: bool) -> bool:
    """Return whether the formula gives each value within the window the level of a line."""
    furthest = _steps(line.slope)
    steps = np.arange(-furthest, furthest + 1, dtype=np.float64)
    formula = display_values(modality_values(steps + line.origin, modality), window)
    levels = np.clip(np.floor(steps * line.slope + (line.height + _HALF)), 0, _WHITE)
    return np.array_equal(levels, _WHITE - formula if invert else formula)


def _multiplication(
    line: _Line, dtype: np.dtype[Any], padding: tuple[float, float] | None
) -> Scaling | None:
    slope = float(np.float32(line.slope))
    offset = line.height - line.origin * slope
    black, white = line.ends()
    lowest, highest = (black, white) if black < white else (white, black)
    largest_product = max(-lowest, highest) * abs(slope)  # which the offset hardly exceeds
    if line.margin <= _FLOAT32_ERROR * (largest_product + 2 * _WHITE):
        return None
    # what is clipped to black must not come to less than 0, whose absolute value would be grey
    if line.height + (black - line.origin) * line.slope < -_HALF:
        return None
    if padding is not None and not _is_beyond(padding, black, black < white):
        return None
    smallest = _SMALLEST[dtype.kind]
    lowest, highest = max(lowest, smallest), min(highest, smallest + _LARGEST_UNSIGNED)
    if lowest >= highest:
        return None
    return Scaling(dtype.type(lowest), dtype.type(highest), slope, offset)


def _is_beyond(padding: tuple[float, float], black: int, is_rising: bool) -> bool:
    """Return whether all padding lies where everything is black anyway."""
    return padding[1] <= black if is_rising else padding[0] >= black
