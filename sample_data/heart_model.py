"""A beating heart made of formulas, as an ultrasound probe at its tip sees it.

Coordinates are in cm: across to the right of the screen, depth away from the probe. The phase runs
from 0 to 1 over one beat, contraction first. Nothing in it is anyone's anatomy.
"""

from dataclasses import dataclass

import numpy as np

from sample_data.shapes import Array, edge, union

MYOCARDIUM = 0.30
BLOOD = 0.004
PERICARDIUM = 2.6
VALVE = 1.6
SURROUNDINGS = 0.16


@dataclass(frozen=True, slots=True)
class Beat:
    """The state of the heart at one moment.

    Attributes
    ----------
    squeeze : float
        0 relaxed to 1 fully contracted ventricles.
    opening : float
        0 closed to 1 open mitral and tricuspid valve.
    """

    squeeze: float
    opening: float


def beat_at(phase: float) -> Beat:
    """Return the state of the heart.

    Parameters
    ----------
    phase : float
        0 to 1, share of the beat.

    Returns
    -------
    Beat
        Contraction in the first 0.42, then filling in two waves.
    """
    is_systole = phase < 0.42
    squeeze = np.sin(np.pi * phase / 0.84) ** 1.5 if is_systole else _relaxation(phase)
    early = np.exp(-(((phase - 0.58) / 0.07) ** 2))
    late = 0.7 * np.exp(-(((phase - 0.88) / 0.05) ** 2))
    resting = 0.30 if 0.5 < phase < 0.95 else 0.0
    return Beat(float(squeeze), float(min(1.0, max(early + late, resting))))


def _relaxation(phase: float) -> float:
    return float(np.exp(-(((phase - 0.42) / 0.13) ** 2)))


def oval(
    across: Array, depth: Array, centre: tuple[float, float], radii: tuple[float, float]
) -> Array:
    """Return the depth inside an ellipse, cm, positive inside."""
    scaled = np.hypot((across - centre[0]) / radii[0], (depth - centre[1]) / radii[1])
    return np.asarray((1 - scaled) * min(radii), dtype=np.float32)


def left_ventricle(across: Array, depth: Array, beat: Beat) -> Array:
    """Return the depth inside the left ventricle, cm, positive inside."""
    width, length = 2.05 - 0.62 * beat.squeeze, 3.9 - 0.75 * beat.squeeze
    lean = across - 0.10 * (depth - 9.5)
    return oval(lean, depth, (1.75, 6.3 - 0.2 * beat.squeeze), (width, length))


def left_atrium(across: Array, depth: Array, beat: Beat) -> Array:
    """Return the depth inside the left atrium, cm, positive inside."""
    size = 1.75 + 0.3 * beat.squeeze
    return oval(across, depth, (1.75, 12.1), (size * 1.05, size))


def echoes(across: Array, depth: Array, beat: Beat, roughness: Array) -> Array:
    """Return how strongly each point sends the sound back.

    Parameters
    ----------
    across, depth : NDArray
        (rows, columns) float32, cm.
    beat : Beat
        State of the heart.
    roughness : NDArray
        (rows, columns) float32, smooth noise of standard deviation 1.

    Returns
    -------
    NDArray
        (rows, columns) float32, 1 for a strong reflector.
    """
    wavy = across + 0.08 * roughness
    canvas = SURROUNDINGS * np.exp(0.5 * roughness - (depth - 4) / 9)
    heart = _outline(wavy, depth, beat)
    _blend(canvas, MYOCARDIUM * np.exp(0.45 * roughness), edge(heart, 0.35))
    sac = edge(0.12 - np.abs(heart - 0.03), 0.25) * edge(depth - 6, 3.0)
    _blend(canvas, PERICARDIUM * np.exp(0.7 * roughness), sac)
    for chamber in _chambers(wavy, depth, beat):
        _blend(canvas, MYOCARDIUM * 2.2, edge(0.10 - np.abs(chamber + 0.06), 0.2))
    for chamber in _chambers(wavy, depth, beat):
        _blend(canvas, BLOOD, edge(chamber, 0.2))
    septum = _segment(wavy, depth, (-0.5, 3.6), (-0.2, 10.2), 0.40 + 0.07 * beat.squeeze)
    between_atria = _segment(wavy, depth, (-0.2, 10.2), (-0.25, 13.8), 0.14)
    _blend(canvas, MYOCARDIUM * np.exp(0.45 * roughness) * 1.3, edge(septum, 0.2))
    _blend(canvas, MYOCARDIUM * 1.3, edge(between_atria, 0.15))
    for leaflet in _leaflets(across, depth, beat):
        _blend(canvas, VALVE, edge(leaflet, 0.10))
    return canvas.astype(np.float32)


def _outline(across: Array, depth: Array, beat: Beat) -> Array:
    """Return the depth inside the heart, an egg with its narrow end at the probe."""
    widening = 0.72 + 0.034 * np.clip(depth, 0, 12)
    return oval(across / widening, depth, (-0.2, 8.2), (4.75 - 0.2 * beat.squeeze, 6.3))


def _chambers(across: Array, depth: Array, beat: Beat) -> list[Array]:
    width = 1.55 - 0.38 * beat.squeeze
    size = 1.65 + 0.25 * beat.squeeze
    lean = across + 0.16 * (depth - 9.5)
    return [
        left_ventricle(across, depth, beat),
        oval(lean, depth, (-2.15, 6.9), (width, 3.1 - 0.5 * beat.squeeze)),
        left_atrium(across, depth, beat),
        oval(across, depth, (-2.2, 12.0), (size * 1.05, size)),
        *(oval(across, depth, (middle, 10.2), (1.05, 1.0)) for middle in (1.75, -2.1)),
    ]


def _leaflets(across: Array, depth: Array, beat: Beat) -> list[Array]:
    """Return the thin flaps of both valves: shut they meet, open they hang into the ventricle."""
    plane = 10.15 - 0.55 * beat.squeeze
    found = []
    for middle, half in ((1.75, 1.45), (-2.2, 1.3)):
        for side in (-1, 1):
            hinge = (middle + side * half, plane)
            reach = half * (1.0 - 0.62 * beat.opening)
            tip = (middle + side * (half - reach), plane - 0.25 - 1.35 * beat.opening)
            found.append(_segment(across, depth, hinge, tip, 0.075))
    return found


def _segment(
    across: Array,
    depth: Array,
    start: tuple[float, float],
    end: tuple[float, float],
    half_width: float,
) -> Array:
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = ((across - start[0]) * dx + (depth - start[1]) * dy) / (dx * dx + dy * dy)
    share = np.clip(share, 0, 1)
    distance = np.hypot(across - start[0] - share * dx, depth - start[1] - share * dy)
    return np.asarray(half_width - distance, dtype=np.float32)


def _blend(canvas: Array, value: float | Array, mask: Array) -> None:
    canvas += (value - canvas) * mask


def flow(across: Array, depth: Array, beat: Beat) -> Array:
    """Return the speed of the blood along the beam.

    Parameters
    ----------
    across, depth : NDArray
        (rows, columns) float32, cm.
    beat : Beat
        State of the heart.

    Returns
    -------
    NDArray
        (rows, columns) float32, -1 away from the probe to 1 towards it, 0 outside blood.
    """
    inside = union(
        left_ventricle(across, depth, beat),
        left_atrium(across, depth, beat),
        oval(across, depth, (1.75, 10.2), (1.0, 1.0)),
    )
    inflow = np.exp(-(((across - 1.75) / 0.85) ** 2) - ((depth - 9.0) / 2.6) ** 2)
    outflow = np.exp(-(((across - 0.75) / 0.65) ** 2) - ((depth - 8.6) / 1.9) ** 2)
    filling = beat.opening if beat.squeeze < 0.5 else 0.0
    ejecting = max(0.0, beat.squeeze - 0.25) * 1.25
    speed = 1.15 * filling * inflow - ejecting * outflow
    return np.asarray(speed * edge(inside - 0.08, 0.15), dtype=np.float32)
