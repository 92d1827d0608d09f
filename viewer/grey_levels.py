"""Grey pictures drawn by the formulas of `viewer.windowing`, quickly and to the same level.

Linear windows over 8 and 16 bit values run as one float32 pass over blocks that stay in the cache;
everything else goes through a table of all stored values, 32 bit values through the formula itself.
All three give the same values.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viewer.windowing import (
    GreyFrame,
    ModalityLut,
    VoiLut,
    Window,
    display_values,
    finite_values,
    modality_values,
)

DrawLevels = Callable[[NDArray[Any], GreyFrame], None]
"""Takes rows of stored values, and writes their display values into rows of a picture."""

_BLOCK_PIXELS: Final = 131_072
"""Worked on at once: few enough for the cache, enough that threads seldom wait for each other."""
_WHITE: Final = 255
_LEVELS: Final = np.arange(1, _WHITE + 1, dtype=np.float64)
_SCALES_KEPT: Final = 256
_SMALLEST_FACTOR: Final = 1e-20
"""Levels for each stored value; offsets that go with less may be beyond float32."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """``trunc((clip(stored, low, high) + offset) * factor)`` in float32 is the display value."""

    low: int
    high: int
    offset: np.float32
    factor: np.float32


def window_to_uint8(
    stored: NDArray[Any],
    modality: ModalityLut,
    voi: Window | VoiLut,
    *,
    invert: bool = False,
    padding: tuple[float, float] | None = None,
) -> GreyFrame:
    """Map stored values to display values.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns) uint8, int16, uint16, int32, uint32, float32 or float64 stored values; not
        changed. NaN and infinity are background: drawn 0, inverted or not.
    modality, voi, invert, padding
        As `level_drawing`.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8, 0 = black.
    """
    grey = np.empty(stored.shape, np.uint8)
    level_drawing(stored.dtype, modality, voi, invert=invert, padding=padding)(stored, grey)
    return grey


def level_drawing(
    dtype: np.dtype[Any],
    modality: ModalityLut,
    voi: Window | VoiLut,
    *,
    invert: bool = False,
    padding: tuple[float, float] | None = None,
) -> DrawLevels:
    """Return what draws the rows of a picture; several threads may use it at once.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the stored values.
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
    callable

    Notes
    -----
    PS3.4 N.2 (order of the steps), PS3.3 C.7.5.1.1.2 (padding).
    """
    if dtype.itemsize > 2:
        return partial(_by_formula, modality, voi, invert, padding)
    if isinstance(voi, Window) and modality.values is None:
        scale = _scale(modality, voi, dtype, invert)
        if scale is not None:
            return partial(_by_scale, scale, padding)
    return partial(_by_table, level_table(dtype, modality, voi, invert, padding))


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
    table = np.empty(unsigned.shape, np.uint8)
    every_value = unsigned.view(dtype)[np.newaxis]
    _by_formula(modality, voi, invert, padding, every_value, table[np.newaxis])
    return table


def _by_formula(
    modality: ModalityLut,
    voi: Window | VoiLut,
    invert: bool,
    padding: tuple[float, float] | None,
    stored: NDArray[Any],
    grey: GreyFrame,
) -> None:
    for rows in _row_blocks(stored):
        part = stored[rows] if stored.dtype.kind != "f" else finite_values(stored[rows])
        grey[rows] = display_values(modality_values(part, modality), voi)
    _finish(grey, stored, invert, padding)


def _by_table(table: NDArray[np.uint8], stored: NDArray[Any], grey: GreyFrame) -> None:
    places = stored.view(f"u{stored.dtype.itemsize}")
    for rows in _row_blocks(stored):
        # wrap instead of raise: no place is outside, and the check costs a copy
        np.take(table, places[rows], out=grey[rows], mode="wrap")


def _by_scale(
    scale: _Scale, padding: tuple[float, float] | None, stored: NDArray[Any], grey: GreyFrame
) -> None:
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
