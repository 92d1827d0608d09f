"""Stored values to display values: the modality, VOI and polarity steps of the grey pipeline.

Numbers and arrays only. Everything here follows one rule of rounding: a display value is
``floor(y + 0.5)`` where ``y`` is the standard's formula in float64 with the output range 0-255.
The fast pass and the table give exactly the same values.
"""

import math
from collections.abc import Iterator, Sequence
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
_WHITE: Final = 255
_BLOCK_PIXELS: Final = 65536
_FRACTION_BITS: Final = 24
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


@dataclass(frozen=True, slots=True)
class _FixedPoint:
    """``((clip(stored, low, high) - low) * factor + offset) >> 24`` is the display value.

    Before the shift it always lies in 0 to ``2**32 - 1``, so it may be computed modulo ``2**32``.
    """

    low: int
    high: int
    factor: int
    offset: int


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
    return stored.astype(np.float64) * modality.slope + modality.intercept


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
    return np.floor(y + 0.5).astype(np.uint8)


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
    np.copyto(y, float(_WHITE), where=x > top)
    return y


def _sigmoid(x: _Float64, center: float, width: float) -> _Float64:
    with np.errstate(over="ignore"):  # exp grows to infinity far below the center, which is black
        return _WHITE / (1 + np.exp(-4 * (x - center) / width))


def window_to_uint8(
    stored: NDArray[Any],
    modality: ModalityLut,
    voi: Window | VoiLut,
    *,
    invert: bool = False,
    padding: tuple[float, float] | None = None,
) -> GreyFrame:
    """Map stored values to display values.

    Linear windows over 8 and 16 bit values run as one integer pass over blocks that stay in the
    cache; everything else goes through a table of all stored values, 32 bit values through the
    formula itself. All three give the same values.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns) uint8, int16, uint16, int32, uint32, float32 or float64 stored values; not
        changed. NaN and infinity are background: drawn 0, inverted or not.
    modality : ModalityLut
        Stored to modality values.
    voi : Window or VoiLut
        Modality to display values.
    invert : bool
        Replace ``v`` by ``255 - v``, after the VOI step.
    padding : tuple of float, optional
        Lowest and highest stored value that are background: drawn 0, inverted or not.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8, 0 = black.

    Notes
    -----
    PS3.4 N.2 (order of the steps), PS3.3 C.7.5.1.1.2 (padding).
    """
    if stored.dtype.itemsize > 2:
        return _by_formula(stored, modality, voi, invert, padding)
    scale = _fixed_point(modality, voi, stored.dtype)
    if scale is None or _padding_shows(padding, scale, invert, stored.dtype):
        return _by_table(stored, level_table(stored.dtype, modality, voi, invert, padding))
    grey = _by_fixed_point(stored, scale)
    _finish(grey, stored, invert, None)
    return grey


def level_table(
    dtype: np.dtype[Any],
    modality: ModalityLut,
    voi: Window | VoiLut,
    invert: bool = False,
    padding: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """Tabulate the display value of every stored value of an 8 or 16 bit type.

    Returns
    -------
    numpy.ndarray
        (256,) or (65536,) uint8, indexed by the stored value's bits read as unsigned.
    """
    unsigned = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    table = _by_formula(unsigned.view(dtype)[np.newaxis], modality, voi, invert, padding)
    return table.reshape(-1)


def _by_formula(
    stored: NDArray[Any],
    modality: ModalityLut,
    voi: Window | VoiLut,
    invert: bool,
    padding: tuple[float, float] | None,
) -> GreyFrame:
    grey = np.empty(stored.shape, np.uint8)
    for rows in _row_blocks(stored):
        part = stored[rows] if stored.dtype.kind != "f" else _finite(stored[rows])
        grey[rows] = display_values(modality_values(part, modality), voi)
    _finish(grey, stored, invert, padding)
    return grey


def _finite(stored: NDArray[Any]) -> _Float64:
    """Return values the formulas can take: NaN as 0, infinity and what is close to it as less."""
    values = np.nan_to_num(stored.astype(np.float64))
    return np.clip(values, -_LARGEST_FLOAT, _LARGEST_FLOAT, out=values)


def _by_table(stored: NDArray[Any], table: NDArray[np.uint8]) -> GreyFrame:
    grey = np.empty(stored.shape, np.uint8)
    places = stored.view(f"u{stored.dtype.itemsize}")
    for rows in _row_blocks(stored):
        # wrap instead of raise: no place is outside, and the check costs a copy
        np.take(table, places[rows], out=grey[rows], mode="wrap")
    return grey


def _padding_shows(
    padding: tuple[float, float] | None, scale: _FixedPoint, invert: bool, dtype: np.dtype[Any]
) -> bool:
    """Tell whether padding would be drawn other than black by the window alone."""
    if padding is None:
        return False
    limits = np.iinfo(dtype)
    if padding[1] < limits.min or padding[0] > limits.max:
        return False
    is_black = padding[1] <= scale.low and scale.offset < 1 << _FRACTION_BITS
    return invert or not is_black


def _by_fixed_point(stored: NDArray[Any], scale: _FixedPoint) -> GreyFrame:
    grey = np.empty(stored.shape, np.uint8)
    block = next(_row_blocks(stored), slice(0))
    shape = (min(block.stop, stored.shape[0]), *stored.shape[1:])
    narrow, wide = np.empty(shape, stored.dtype), np.empty(shape, np.int32)
    low, high = stored.dtype.type(scale.low), stored.dtype.type(scale.high)
    factor, offset = _wrapped(scale.factor), _wrapped(scale.offset - scale.low * scale.factor)
    for rows in _row_blocks(stored):
        part = stored[rows]
        value, product = narrow[: len(part)], wide[: len(part)]
        np.clip(part, low, high, out=value)
        np.multiply(value, factor, out=product)
        np.add(product, offset, out=product)
        level = product.view(np.uint32)
        np.right_shift(level, np.uint32(_FRACTION_BITS), out=level)
        np.copyto(grey[rows], level, casting="unsafe")
    return grey


def _wrapped(number: int) -> np.int32:
    """Return a number modulo ``2**32``, as the signed integer of the same bits."""
    return np.uint32(number & 0xFFFFFFFF).view(np.int32)


def _row_blocks(stored: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of whole rows, each small enough that its buffers stay in the cache."""
    step = max(1, _BLOCK_PIXELS // max(1, stored.shape[1]))
    for begin in range(0, stored.shape[0], step):
        yield slice(begin, begin + step)


def _finish(
    grey: GreyFrame, stored: NDArray[Any], invert: bool, padding: tuple[float, float] | None
) -> None:
    if invert:
        np.subtract(_WHITE, grey, out=grey)
    if stored.dtype.kind == "f":
        np.copyto(grey, 0, where=~np.isfinite(stored))
    if padding is None:
        return
    for rows in _row_blocks(stored):
        part = stored[rows]
        is_padding = part >= padding[0]
        np.logical_and(is_padding, part <= padding[1], out=is_padding)
        np.copyto(grey[rows], 0, where=is_padding)


def _fixed_point(
    modality: ModalityLut, voi: Window | VoiLut, dtype: np.dtype[Any]
) -> _FixedPoint | None:
    """Find integers that reproduce the formula for every stored value, or None.

    The display value rises with the stored value, so it is fully told by the lowest stored value
    that reaches each of 1-255. A factor and an offset are accepted only when they step at exactly
    those places, which leaves nothing to rounding luck.
    """
    if isinstance(voi, VoiLut) or voi.function == "SIGMOID":
        return None
    if modality.values is not None or modality.slope <= 0:
        return None
    limits = np.iinfo(dtype)
    steps = _steps(modality, voi, limits.min, limits.max)
    if steps is None:
        return None
    low = min(max(int(steps[0]) - 1, limits.min), limits.max)
    high = min(max(int(steps[-1]), low), limits.max)
    return _fit(steps, low, high, _slope_per_stored_value(modality, voi), limits.min, limits.max)


def _slope_per_stored_value(modality: ModalityLut, window: Window) -> float:
    is_exact = window.function == "LINEAR_EXACT" or window.width < 1
    span = window.width if is_exact else window.width - 1
    return min(_WHITE * modality.slope / span, _WHITE) if span > 0 else _WHITE


def _steps(
    modality: ModalityLut, window: Window, lowest: int, highest: int
) -> NDArray[np.int64] | None:
    """Return the lowest stored value that reaches each display value 1-255.

    Steps below the type's range are given as `lowest`, those above as `highest` + 1. None when
    rounding hides where a step lies.
    """
    levels = np.arange(1, _WHITE + 1, dtype=np.float64)
    share = (levels - 0.5) / _WHITE - 0.5
    if window.function == "LINEAR" and window.width >= 1:
        x = share * (window.width - 1) + (window.center - 0.5)
    else:
        x = share * window.width + window.center
    with np.errstate(over="ignore"):  # a minute slope: infinity is clipped to the range
        near = np.ceil((x - modality.intercept) / modality.slope)
    near = np.clip(near, lowest - 2, highest + 3)
    candidates = near + np.arange(-2.0, 2.0)[:, np.newaxis]
    reached = display_values(modality_values(candidates, modality), window) >= levels
    missing = 4 - reached.sum(axis=0)
    is_hidden = (missing == 0) & (near - 2 > lowest) | (missing == 4) & (near + 1 < highest)
    if is_hidden.any():
        return None
    steps: NDArray[np.int64] = np.clip(near - 2 + missing, lowest, highest + 1).astype(np.int64)
    return steps


def _fit(
    steps: NDArray[np.int64], low: int, high: int, slope: float, lowest: int, highest: int
) -> _FixedPoint | None:
    factor = round(slope * (1 << _FRACTION_BITS))
    targets = np.arange(1, _WHITE + 1, dtype=np.int64) << _FRACTION_BITS
    reach, miss = steps <= highest, steps > lowest
    at_least = (targets - (steps - low) * factor)[reach]
    below = (targets - (steps - 1 - low) * factor)[miss]
    least = max(0, int(at_least.max(initial=0)))
    room = ((_WHITE + 1) << _FRACTION_BITS) - (high - low) * factor
    most = min(room, int(below.min(initial=room))) - 1
    if least > most:
        return None
    return _FixedPoint(low, high, factor, (least + most) // 2)


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
        sample = _finite(sample[np.isfinite(sample)])
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
