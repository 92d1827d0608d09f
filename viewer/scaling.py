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
    lowest, highest : int
        What stored values are clipped to.
    slope, offset : float
        Of the multiplication.
    """

    lowest: int
    highest: int
    slope: float
    offset: float

    def draw(self, stored: NDArray[Any], grey: GreyFrame) -> None:
        """Write the display values of rows of stored values."""
        clipped = np.clip(stored, self.lowest, self.highest)
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
    levels = display_values(modality_values(values, modality), window)[0]
    levels = _WHITE - levels if invert else levels
    sloping = np.flatnonzero((levels != levels[0]) & (levels != levels[-1]))
    if not sloping.size or not _is_black_beyond(values[0], levels, padding):
        return None
    kept = slice(max(0, sloping[0] - 1), sloping[-1] + 2)
    return _fitted(values[0, kept], levels[kept], _slope(modality, window, invert))


def _values_within(dtype: np.dtype[Any], modality: ModalityLut, window: Window) -> NDArray[Any]:
    """Return one row of the stored values between black and white, and some beyond each."""
    if not modality.slope:
        return np.empty((1, 0))
    half = window.width / 2 + 1
    ends = [(window.center + x - modality.intercept) / modality.slope for x in (-half, half)]
    smallest = _SMALLEST[dtype.kind]
    bounds = smallest, smallest + _LARGEST_UNSIGNED
    lowest, highest = (
        max(bounds[0], min(end, bounds[1])) for end in (min(ends) - 2, max(ends) + 2)
    )
    return np.arange(int(lowest), int(highest) + 1, dtype=np.float64)[np.newaxis]


def _is_black_beyond(
    values: NDArray[Any], levels: NDArray[np.uint8], padding: tuple[float, float] | None
) -> bool:
    """Return whether padding lies wholly where everything is black anyway."""
    if padding is None:
        return True
    is_below = padding[1] <= values[0] and levels[0] == 0
    return bool(is_below or (padding[0] >= values[-1] and levels[-1] == 0))


def _slope(modality: ModalityLut, window: Window, invert: bool) -> float:
    width = window.width - (window.function == "LINEAR" and window.width >= 1)
    return float(np.float32((-_WHITE if invert else _WHITE) * modality.slope / width))


def _fitted(values: NDArray[Any], levels: NDArray[np.uint8], slope: float) -> Scaling | None:
    products = values * slope
    lacking = levels - products
    at_least = lacking.max() - 0.5
    at_most = lacking[levels < _WHITE].min() + 0.5
    offset = float(at_least + at_most) / 2
    error = _FLOAT32_ERROR * max(abs(products[0]), abs(products[-1]), abs(offset), _WHITE)
    if at_most - at_least <= 2 * error:
        return None
    return Scaling(int(values[0]), int(values[-1]), slope, offset)
