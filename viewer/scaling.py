"""Linear windows as one multiplication, where it is shown to give the levels of the formula."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viewer.opencv import cv2
from viewer.windowing import GreyFrame, ModalityLut, Window, display_values, modality_values

_MOST_SCALED: Final = 16_384
"""Values within a window: for more, making a table takes no longer than looking at all of them."""
_FLOAT32_ERROR: Final = 2.0**-22
"""Of a product and a sum in float32, with room to spare, as a part of the larger."""
_SMALLEST: Final = {"i": -32768, "u": 0}
_LARGEST_UNSIGNED: Final = 65535
_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Scaling:
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
    Each stored value within the window bounds the offset: its product, rounded, has to be the level
    that the formula gives. An offset is taken from the middle of what all of them leave, if that is
    wider than all that float32 may add, with a fused multiplication or without.
    """
    values = _values_within(dtype, modality, window)
    if not 2 < values.size <= _MOST_SCALED:
        return None
    levels = display_values(modality_values(values, modality), window)
    levels = _WHITE - levels if invert else levels
    kept = _steps(levels)
    if kept is None or not _is_black_beyond(values, levels, padding):
        return None
    slope = _slope(modality, window, invert)
    offset = _offset(values[kept], levels[kept], slope)
    if offset is None:
        return None
    lowest, highest = int(values[kept.start]), int(values[kept.stop - 1])
    return Scaling(dtype.type(lowest), dtype.type(highest), slope, offset)


def _values_within(
    dtype: np.dtype[Any], modality: ModalityLut, window: Window
) -> NDArray[np.float64]:
    """Return the stored values between black and white, and some beyond each."""
    if not modality.slope:
        return np.empty(0)
    middle = (window.center - modality.intercept) / modality.slope
    half = (window.width / 2 + 1) / abs(modality.slope) + 2
    smallest = _SMALLEST[dtype.kind]
    largest = smallest + _LARGEST_UNSIGNED
    lowest = max(smallest, min(middle - half, largest))
    highest = max(smallest, min(middle + half, largest))
    return np.arange(int(lowest), int(highest) + 1, dtype=np.float64)


def _steps(levels: NDArray[np.uint8]) -> slice | None:
    """Return where levels differ from those at both ends, with one of each end; None if nowhere.

    They only rise, or only fall, so that the ends are runs. Bytes take a fifth of the time that
    arrays take for so few.
    """
    run = levels.tobytes()
    begin = len(run) - len(run.lstrip(run[:1]))
    end = len(run.rstrip(run[-1:]))
    return slice(begin - 1, end + 1) if begin < end else None


def _is_black_beyond(
    values: NDArray[np.float64], levels: NDArray[np.uint8], padding: tuple[float, float] | None
) -> bool:
    """Return whether padding lies wholly where everything is black anyway."""
    if padding is None:
        return True
    is_below = padding[1] <= values[0] and levels[0] == 0
    return bool(is_below or (padding[0] >= values[-1] and levels[-1] == 0))


def _slope(modality: ModalityLut, window: Window, invert: bool) -> float:
    width = window.width - (window.function == "LINEAR" and window.width >= 1)
    return float(np.float32((-_WHITE if invert else _WHITE) * modality.slope / width))


def _offset(values: NDArray[np.float64], levels: NDArray[np.uint8], slope: float) -> float | None:
    products = values * slope
    lacking = levels - products
    at_least = float(lacking.max()) - 0.5
    # white is at one of the ends, if anywhere, and may come to more
    limited = slice(int(levels[0] == _WHITE), len(levels) - int(levels[-1] == _WHITE))
    at_most = float(lacking[limited].min()) + 0.5
    offset = (at_least + at_most) / 2
    error = _FLOAT32_ERROR * max(abs(products[0]), abs(products[-1]), abs(offset), _WHITE)
    return offset if at_most - at_least > 2 * error else None
