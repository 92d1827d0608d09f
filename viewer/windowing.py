"""Stored values to display values: the modality, VOI and polarity steps of the grey pipeline.

Numbers and arrays only. Everything here follows one rule of rounding: a display value is
``floor(y + 0.5)`` where ``y`` is the standard's formula in float64 with the output range 0-255.
The fast pass and the table give exactly the same values.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
_LEVELS: Final = np.arange(1, _WHITE + 1, dtype=np.float64)
_BLOCK_PIXELS: Final = 65536
_SCALES_KEPT: Final = 256
_SAMPLE_PIXELS: Final = 65536
_LARGEST_FLOAT: Final = 1e200
_SMALLEST_FACTOR: Final = 1e-20
"""Levels for each stored value; offsets that go with less may be beyond float32."""


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
class _Scale:
    """``trunc((clip(stored, low, high) + offset) * factor)`` in float32 is the display value."""

    low: int
    high: int
    offset: np.float32
    factor: np.float32


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

    Linear windows over 8 and 16 bit values run as one float32 pass over blocks that stay in the
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
    if isinstance(voi, Window) and modality.values is None:
        scale = _scale(modality, voi, stored.dtype, invert)
        if scale is not None:
            return _by_scale(stored, scale, padding)
    return _by_table(stored, level_table(stored.dtype, modality, voi, invert, padding))


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


def _by_scale(
    stored: NDArray[Any], scale: _Scale, padding: tuple[float, float] | None
) -> GreyFrame:
    grey = np.empty(stored.shape, np.uint8)
    block = next(_row_blocks(stored), slice(0))
    shape = (min(block.stop, stored.shape[0]), *stored.shape[1:])
    narrow, wide = np.empty(shape, stored.dtype), np.empty(shape, np.float32)
    low, high = stored.dtype.type(scale.low), stored.dtype.type(scale.high)
    background = _values_to_blacken(stored.dtype, scale, padding)
    for rows in _row_blocks(stored):
        part = stored[rows]
        value, level = narrow[: len(part)], wide[: len(part)]
        part.clip(low, high, out=value)
        np.copyto(level, value)
        np.add(level, scale.offset, out=level)
        np.multiply(level, scale.factor, out=level)
        np.copyto(grey[rows], level, casting="unsafe")
        if background is not None:
            _blacken(grey[rows], part, *background)
    return grey


def _values_to_blacken(
    dtype: np.dtype[Any], scale: _Scale, padding: tuple[float, float] | None
) -> tuple[int, int] | None:
    """Return the padding as far as it lies in the type, None when the window draws it black."""
    if padding is None:
        return None
    limits = np.iinfo(dtype)
    first = max(math.ceil(padding[0]), int(limits.min))
    last = min(math.floor(padding[1]), int(limits.max))
    is_black_below = (np.float32(scale.low) + scale.offset) * scale.factor < 1
    is_drawn_black = scale.factor > 0 and is_black_below and last <= scale.low
    return None if first > last or is_drawn_black else (first, last)


def _blacken(grey: GreyFrame, stored: NDArray[Any], first: int, last: int) -> None:
    """Make black what lies between two stored values, both within the type."""
    limits = np.iinfo(stored.dtype)
    stays = stored > last if first == limits.min else stored < first
    if first != limits.min and last != limits.max:
        np.logical_or(stays, stored > last, out=stays)
    np.multiply(grey, stays.view(np.uint8), out=grey)


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


@lru_cache(maxsize=_SCALES_KEPT)  # the frames of a stack are drawn with one window
def _scale(
    modality: ModalityLut, window: Window, dtype: np.dtype[Any], invert: bool
) -> _Scale | None:
    """Find float32 numbers that reproduce the formula for every stored value, or None.

    The display value rises with the stored value, so it is fully told by the lowest stored value
    that reaches each of 1-255. An offset and a factor are accepted only when they step at exactly
    those places, which leaves nothing to rounding luck.
    """
    if window.function == "SIGMOID" or modality.slope <= 0:
        return None
    limits = np.iinfo(dtype)
    steps = _steps(modality, window, limits.min, limits.max)
    if steps is None:
        return None
    low = min(max(int(steps[0]) - 1, limits.min), limits.max)
    high = min(max(int(steps[-1]), low), limits.max)
    factor = np.float32(_slope_per_stored_value(modality, window))
    if factor < _SMALLEST_FACTOR:
        return None
    return _fit(steps, low, high, -factor if invert else factor)


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
    share = (_LEVELS - 0.5) / _WHITE - 0.5
    if window.function == "LINEAR" and window.width >= 1:
        x = share * (window.width - 1) + (window.center - 0.5)
    else:
        x = share * window.width + window.center
    with np.errstate(over="ignore"):  # a minute slope: infinity is clipped to the range
        near = np.ceil((x - modality.intercept) / modality.slope)
    near = np.clip(near, lowest - 2, highest + 3)
    candidates = near + np.arange(-2.0, 2.0)[:, np.newaxis]
    reached = display_values(modality_values(candidates, modality), window) >= _LEVELS
    missing = 4 - reached.sum(axis=0)
    is_hidden = (missing == 0) & (near - 2 > lowest) | (missing == 4) & (near + 1 < highest)
    if is_hidden.any():
        return None
    steps: NDArray[np.int64] = np.clip(near - 2 + missing, lowest, highest + 1).astype(np.int64)
    return steps


def _fit(steps: NDArray[np.int64], low: int, high: int, factor: np.float32) -> _Scale | None:
    """Find the offset; a negative factor draws 255 where a positive one draws 0.

    Clipped to `low` and `high`, each stored value must be drawn as many levels above the end of
    the range as there are steps up to it.
    """
    places = np.clip(np.concatenate((steps, steps - 1, (low, high))), low, high)
    levels = np.searchsorted(steps, places, side="right")
    if factor < 0:
        levels = _WHITE - levels
    edges = np.stack((levels, levels + 1)) / np.float64(factor) - places
    least, most = edges.min(axis=0).max(), edges.max(axis=0).min()
    offset = np.float32((least + most) / 2)
    drawn = ((places.astype(np.float32) + offset) * factor).astype(np.int64)
    return _Scale(low, high, offset, factor) if np.array_equal(drawn, levels) else None


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
