"""Stored values to display values: the modality, VOI and polarity steps of the grey pipeline.

Numbers and arrays only. Everything here follows one rule of rounding: a display value is
``floor(y + 0.5)`` where ``y`` is the standard's formula in float64 with the output range 0-255.
What draws whole pictures by it, quickly, is `viewer.grey_levels`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

VoiLutFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
VOI_LUT_FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

GreyFrame = NDArray[np.uint8]
"""(rows, columns), 0 = black, 255 = white."""

AUTOMATIC: Final = "automatic"
"""Explanation of windows that were computed from the pixels."""

_Float64 = NDArray[np.float64]
_WHITE: Final = 255.0
_SAMPLE_PIXELS: Final = 65536
_LARGEST_FLOAT: Final = 1e200


@dataclass(frozen=True, slots=True)
class Window:
    """A window over modality values.

    Parameters
    ----------
    center, width : float
        (0028,1050), (0028,1051), finite, width > 0, in modality units.
    function : {'LINEAR', 'LINEAR_EXACT', 'SIGMOID'}
        VOI LUT Function (0028,1056). The standard wants width >= 1 for LINEAR; a smaller one is
        computed as LINEAR_EXACT.
    explanation : str or None
        (0028,1055).
    """

    center: float
    width: float
    function: VoiLutFunction = "LINEAR"
    explanation: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether center and width are finite and the width is positive."""
        return math.isfinite(self.center) and math.isfinite(self.width) and self.width > 0


@dataclass(frozen=True, slots=True)
class VoiLut:
    """One item of the VOI LUT Sequence (0028,3010).

    Parameters
    ----------
    first : int
        Modality value that the first entry belongs to.
    bits : int
        Bits of the entries: ``2**bits - 1`` is white.
    values : tuple of int
        Entries; input beyond either end takes the end's entry.
    explanation : str or None
        (0028,3003).
    """

    first: int
    bits: int
    values: tuple[int, ...]
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class ModalityLut:
    """Stored values to modality values.

    Parameters
    ----------
    slope, intercept : float
        (0028,1053), (0028,1052); used when there is no table.
    rescale_type : str
        (0028,1054) or Modality LUT Type (0028,3004), '' when absent.
    first : int
        Stored value that the table's first entry belongs to.
    values : tuple of int or None
        Modality LUT Sequence (0028,3000), overrides slope and intercept.
    """

    slope: float = 1.0
    intercept: float = 0.0
    rescale_type: str = ""
    first: int = 0
    values: tuple[int, ...] | None = None


def modality_values(stored: NDArray[Any], modality: ModalityLut) -> _Float64:
    """Map stored values to modality values.

    Parameters
    ----------
    stored : numpy.ndarray
        Stored values of any shape.
    modality : ModalityLut
        Table, or ``stored * slope + intercept``.

    Returns
    -------
    numpy.ndarray
        float64, same shape, for example HU.

    Notes
    -----
    PS3.3 C.11.1.
    """
    if modality.values is not None:
        return _look_up(stored.astype(np.float64), modality.first, modality.values)
    return stored.astype(np.float64, copy=False) * modality.slope + modality.intercept


def _look_up(x: _Float64, first: int, values: Sequence[int]) -> _Float64:
    places = np.clip(np.floor(x + 0.5) - first, 0, len(values) - 1).astype(np.intp)
    found: _Float64 = np.asarray(values, dtype=np.float64)[places]
    return found


def display_values(x: _Float64, voi: Window | VoiLut) -> GreyFrame:
    """Map modality values to display values, before any inversion.

    Parameters
    ----------
    x : numpy.ndarray
        float64 modality values of any shape.
    voi : Window or VoiLut
        What to apply.

    Returns
    -------
    numpy.ndarray
        uint8, same shape, 0 = black.

    Notes
    -----
    PS3.3 C.11.2.1.2 and C.11.2.1.3. A table's entry ``v`` becomes
    ``v * 255 / (2**bits - 1)``, looked up at ``floor(x + 0.5)``.

    Examples
    --------
    >>> display_values(np.array([-0.5, 0.0, 127.5, 255.0]), Window(128, 256)).tolist()
    [0, 0, 128, 255]
    """
    if isinstance(voi, VoiLut):
        y = _look_up(x, voi.first, voi.values) * _WHITE / ((1 << voi.bits) - 1)
    elif voi.function == "SIGMOID":
        y = _sigmoid(x, voi.center, voi.width)
    elif voi.function == "LINEAR" and voi.width >= 1:
        y = _linear(x, voi.center, voi.width)
    else:
        y = _linear_exact(x, voi.center, voi.width)
    return (y + 0.5).astype(np.uint8)  # none is negative: what is cut off is the fraction


def _linear(x: _Float64, center: float, width: float) -> _Float64:
    middle = center - 0.5
    half = (width - 1) / 2
    with np.errstate(all="ignore"):  # width 1 divides by zero; every such value is replaced below
        y = (x - middle) * _WHITE / (width - 1) + _WHITE / 2
    return _between(x, middle - half, middle + half, y)


def _linear_exact(x: _Float64, center: float, width: float) -> _Float64:
    with np.errstate(over="ignore"):  # a minute width: values far off overflow, and are replaced
        y = (x - center) * _WHITE / width + _WHITE / 2
    return _between(x, center - width / 2, center + width / 2, y)


def _between(x: _Float64, bottom: float, top: float, y: _Float64) -> _Float64:
    np.copyto(y, 0.0, where=x <= bottom)
    np.copyto(y, _WHITE, where=x > top)
    return y


def _sigmoid(x: _Float64, center: float, width: float) -> _Float64:
    with np.errstate(over="ignore"):  # exp grows to infinity far below the center, which is black
        return _WHITE / (1 + np.exp(-4 * (x - center) / width))


def finite_values(stored: NDArray[Any]) -> _Float64:
    """Return values the formulas can take: NaN as 0, infinity and what is close to it as less."""
    values = np.nan_to_num(stored.astype(np.float64))
    return np.clip(values, -_LARGEST_FLOAT, _LARGEST_FLOAT, out=values)


def automatic_window(
    stored: NDArray[Any], modality: ModalityLut, padding: tuple[float, float] | None = None
) -> Window:
    """Choose a window from the values themselves.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns) stored values.
    modality : ModalityLut
        Stored to modality values.
    padding : tuple of int, optional
        Stored values to leave out.

    Returns
    -------
    Window
        LINEAR, from the 1st percentile (black) to the 99th (white); from the lowest to the
        highest value when those are equal. Percentiles are taken from about 65,536 evenly
        spread pixels; NaN and infinity are left out. LINEAR_EXACT for floating point values, which
        have no half levels.
    """
    step = max(1, math.isqrt(stored.size // _SAMPLE_PIXELS))
    sample = stored[::step, ::step]
    if padding is not None:
        sample = sample[(sample < padding[0]) | (sample > padding[1])]
    if stored.dtype.kind == "f":
        sample = finite_values(sample[np.isfinite(sample)])
    if not sample.size:
        return Window(0.5, 1.0, "LINEAR", AUTOMATIC)
    x = modality_values(sample, modality)
    black, white = (float(edge) for edge in np.percentile(x, (1, 99)))
    if black == white:
        black, white = float(x.min()), float(x.max())
    if stored.dtype.kind == "f" and black < white:
        return Window((black + white) / 2, white - black, "LINEAR_EXACT", AUTOMATIC)
    return window_between(black, white, AUTOMATIC)


def window_between(black: float, white: float, explanation: str | None = None) -> Window:
    """Return the LINEAR window that maps `black` to 0 and `white` to 255."""
    return Window((black + white) / 2 + 0.5, white - black + 1, "LINEAR", explanation)
