"""Grey pictures drawn by the formulas of `viewer.windowing`, quickly and to the same level.

Values of 8 and 16 bits go through a table of all of them, others through the formula itself. A
table is exact for every window and lookup table, and is looked up nearly as fast as memory is read.
A linear window of 16 bit values is a multiplication instead, once that is shown to give the same.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from viewer.opencv import cv2
from viewer.scaling import scaling_of
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
"""Worked on at once: few enough that what the formula needs stays in the cache."""
_NEIGHBOURS: Final = 256
"""Values in a row whose ends may tell what lies between."""
_TABLES_KEPT: Final = 64
"""Of up to 64 KiB each."""
_WHITE: Final = 255


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
    if dtype.itemsize == 2 and _is_linear(voi, modality):
        scaling = scaling_of(dtype, modality, voi, invert, padding)
        if scaling is not None:
            return scaling.draw
    is_short = isinstance(voi, Window) and modality.values is None
    table_of = _kept_table if is_short else level_table
    return partial(_by_table, table_of(dtype, modality, voi, invert, padding))


def _is_linear(voi: Window | VoiLut, modality: ModalityLut) -> TypeGuard[Window]:
    return isinstance(voi, Window) and voi.function != "SIGMOID" and modality.values is None


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
    values = unsigned.view(dtype.newbyteorder("=")).reshape(-1, _NEIGHBOURS)
    levels = _between_ends if _is_linear(voi, modality) else _levels
    table = levels(values, modality, voi)
    _finish(table, values, invert, padding)
    table.flags.writeable = False  # it may be kept
    return table.reshape(-1)


_kept_table = lru_cache(_TABLES_KEPT)(level_table)  # frames of a stack are drawn with one window


def _levels(values: NDArray[Any], modality: ModalityLut, voi: Window | VoiLut) -> GreyFrame:
    return display_values(modality_values(values, modality), voi)


def _between_ends(values: NDArray[Any], modality: ModalityLut, voi: Window | VoiLut) -> GreyFrame:
    """Return the display values of rows of neighbours, computing few of them.

    Along a linear window they only rise, or only fall, in floating point as well: where both ends
    of a row are equal, so is what lies between.
    """
    ends = _levels(values[:, [0, -1]], modality, voi)
    found = np.repeat(ends[:, :1], values.shape[1], axis=1)
    is_mixed = ends[:, 0] != ends[:, 1]
    found[is_mixed] = _levels(values[is_mixed], modality, voi)
    return found


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
        grey[rows] = _levels(part, modality, voi)
    _finish(grey, stored, invert, padding)


def _by_table(table: NDArray[np.uint8], stored: NDArray[Any], grey: GreyFrame) -> None:
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    cv2.LUT(native.view(f"u{native.dtype.itemsize}"), table, grey)


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
