"""Waveforms as traces on millimetre paper: where each strip lies, its gain and its path."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viewer.waveforms import MultiplexGroup

MM_PER_SECOND: Final = 25
"""Speed of the paper, mm/s."""

PAGE_S: Final = 10.0
"""So many seconds are drawn at once."""

UNITS_PER_MM: Final = 100
"""Coordinates of a path are whole numbers of 0.01 mm."""

_USUAL_MV_PER_MM: Final = 0.1
_TALLEST_MM: Final = 40.0
_SMALLEST_MM: Final = 20
_SQUARE_MM: Final = 5
_BIN_MM: Final = 0.1
"""Samples closer together are drawn as their smallest and largest value: no peak is lost."""
_LARGEST_VALUE: Final = 1e12
"""No recorder measures more, in any unit."""
_STEPS: Final = (1.0, 2.0, 5.0)
_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strip:
    """The trace of one channel.

    Parameters
    ----------
    label, unit : str
        Of the channel.
    gain : str
        In words: `10 mm/mV`, or `1 mm = 5 mm[Hg]`.
    note : str
        What else must be known, '' when nothing.
    top_mm, height_mm : float
        Where the strip lies on the paper; a multiple of 5 mm.
    zero_mm : float or None
        Where the value zero lies, below the paper's top; None when it is outside the strip.
    pulse_mm : float or None
        Height of 1 mV; None for other units.
    path : str
        SVG path in units of 0.01 mm; x from the start of the page, y from the paper's top.
    """

    label: str
    unit: str
    gain: str
    note: str
    top_mm: float
    height_mm: float
    zero_mm: float | None
    pulse_mm: float | None
    path: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A page of a multiplex group: `seconds` from `start_s` on, its strips one below the other."""

    start_s: float
    seconds: float
    height_mm: float
    strips: tuple[Strip, ...]


def trace_of(group: MultiplexGroup, start_s: float = 0.0) -> Trace:
    """Draw up to ten seconds of a multiplex group.

    Parameters
    ----------
    group : MultiplexGroup
        The channels.
    start_s : float
        Where to begin, in seconds from the group's first sample.

    Returns
    -------
    Trace
    """
    seconds = min(PAGE_S, max(group.duration_s - start_s, 0.0))
    strips: list[Strip] = []
    top_mm = 0.0
    for channel in range(len(group.channels)):
        strips.append(_strip(group, channel, start_s, top_mm))
        top_mm += strips[-1].height_mm
    return Trace(start_s, seconds, top_mm, tuple(strips))


def _strip(group: MultiplexGroup, channel: int, start_s: float, top_mm: float) -> Strip:
    about = group.channels[channel]
    times, values = _page(group, channel, start_s)
    low, high = _extremes(values)
    per_mm = _units_per_mm(about.unit, high - low)
    pulse_mm = 1 / per_mm if about.unit == "mV" else None
    above, below = _squares(low / per_mm, high / per_mm, pulse_mm or 0.0)
    is_zero_inside = below <= 0 <= above
    x = (times - start_s) * MM_PER_SECOND
    y = top_mm + above - values / per_mm
    return Strip(
        label=about.label,
        unit=about.unit,
        gain=_gain(about.unit, per_mm),
        note=_note(about.is_calibrated, values, is_zero_inside=is_zero_inside),
        top_mm=top_mm,
        height_mm=above - below,
        zero_mm=top_mm + above if is_zero_inside else None,
        pulse_mm=pulse_mm,
        path=_path(*_reduced(x, y)),
    )


def _page(group: MultiplexGroup, channel: int, start_s: float) -> tuple[_Values, _Values]:
    """Return the times and values of a channel that lie on a page; absurd ones become NaN."""
    frequency, skew_s = group.sampling_frequency, group.channels[channel].time_skew_s
    first, last = (
        math.ceil(min(max((at_s - skew_s) * frequency, 0), group.number_of_samples))
        for at_s in (start_s, start_s + PAGE_S)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        values = group.values(channel, first, last)
    values[~(np.abs(values) < _LARGEST_VALUE)] = np.nan
    return np.arange(first, last) / frequency + skew_s, values


def _extremes(values: _Values) -> tuple[float, float]:
    drawn = values[np.isfinite(values)]
    return (float(drawn.min()), float(drawn.max())) if drawn.size else (0.0, 0.0)


def _units_per_mm(unit: str, span: float) -> float:
    """Return the value of 1 mm: an ECG's usual gain, or the next round one that fits the strip."""
    needed = span / _TALLEST_MM
    if unit == "mV" and needed <= _USUAL_MV_PER_MM:
        return _USUAL_MV_PER_MM
    if needed < 1e-290:
        return 1.0
    power = 10.0 ** math.floor(math.log10(needed))
    # the tolerance keeps a rounding error from taking the next coarser gain
    return next(step * power for step in (*_STEPS, 10.0) if step * power >= needed * 0.999999)


def _squares(low_mm: float, high_mm: float, pulse_mm: float) -> tuple[float, float]:
    """Return the ends of a strip above and below zero, on lines of the 5 mm grid.

    Zero and the pulse on it are inside where they fit.
    """
    if max(high_mm, 0.0) - min(low_mm, 0.0) <= _TALLEST_MM:
        low_mm, high_mm = min(low_mm, 0.0), max(high_mm, pulse_mm)
    above = math.ceil(high_mm / _SQUARE_MM) * _SQUARE_MM
    below = math.floor(low_mm / _SQUARE_MM) * _SQUARE_MM
    while above - below < _SMALLEST_MM:
        above += _SQUARE_MM
        below -= _SQUARE_MM if above - below < _SMALLEST_MM else 0
    return above, below


def _gain(unit: str, per_mm: float) -> str:
    if unit == "mV":
        return f"{1 / per_mm:g} mm/mV"
    return f"1 mm = {per_mm:g} {unit or 'as stored'}"


def _note(is_calibrated: bool, values: _Values, *, is_zero_inside: bool) -> str:
    notes = []
    if not is_calibrated:
        notes.append("no sensitivity given: values as stored")
    if not np.isfinite(values).all():
        notes.append("gaps: no value recorded")
    if not is_zero_inside:
        notes.append("zero lies outside the strip")
    return "; ".join(notes)


def _reduced(x: _Values, y: _Values) -> tuple[_Values, _Values]:
    """Draw samples that lie closer than the eye can tell as their smallest and largest value."""
    bins = np.floor(x / _BIN_MM)
    firsts = np.flatnonzero(np.diff(bins, prepend=-np.inf))
    if 2 * firsts.size >= x.size:
        return x, y
    both = np.stack((np.fmin.reduceat(y, firsts), np.fmax.reduceat(y, firsts)), axis=1)
    return np.repeat(bins[firsts] * _BIN_MM + _BIN_MM / 2, 2), both.ravel()


def _path(x: _Values, y: _Values) -> str:
    """Return an SVG path through the points, broken where there is no value."""
    is_drawn = np.isfinite(y)
    points = np.rint(np.stack((x, np.where(is_drawn, y, 0.0)), axis=1) * UNITS_PER_MM)
    parts = []
    is_pen_down = False
    for (right, down), is_here in zip(points.astype(np.int64).tolist(), is_drawn, strict=True):
        if is_here:
            parts.append(f"{'L' if is_pen_down else 'M'}{right} {down}")
        is_pen_down = bool(is_here)
    return "".join(parts)
