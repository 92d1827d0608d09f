"""What the browser measures equals what numpy says of the same numbers; run with node."""

import base64
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from viewer.ultrasound_regions import UltrasoundRegion, measure, region_at
from viewer.windowing import ModalityLut

FOLDER = Path(__file__).parent / "marks"
CASES = 300
Json = dict[str, Any]


def point(xy: Any) -> Json:
    return {"x": float(xy[0]), "y": float(xy[1])}


def points(chance: Generator, count: int, size: float = 60) -> NDArray[np.float64]:
    """Return points, some of them on whole and half pixels, where edges are decided."""
    found = chance.uniform(-5, size, (count, 2))
    return np.round(found * 2) / 2 if chance.random() < 0.5 else found


def spaced(row: float | None, column: float | None, origin: str) -> Json:
    return {
        "regions": [],
        "pixel_spacing": {"row": row, "column": column, "origin": origin, "refused": ""},
        "pixel_aspect_ratio": [row or 1.0, column or 1.0],
    }


def lengths(chance: Generator) -> list[Json]:
    cases = []
    for _ in range(CASES):
        row, column = chance.uniform(0.05, 3, 2)
        a, b = points(chance, 2)
        mm = float(np.linalg.norm((b - a) * (column, row)))
        px = float(np.linalg.norm(b - a))
        cases.append({"info": spaced(row, column, "patient"), "a": point(a), "b": point(b)})
        cases[-1] |= {"length": mm, "unit": "mm"}
        cases.append({"info": spaced(None, None, "none"), "a": point(a), "b": point(b)})
        cases[-1] |= {"length": px, "unit": "px"}
    return cases


def angle(u: NDArray[np.float64], v: NDArray[np.float64]) -> float | None:
    """Return the angle of two vectors by their unit vectors (Kahan), None without a direction."""
    if not np.linalg.norm(u) or not np.linalg.norm(v):
        return None
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))


def angles(chance: Generator) -> list[Json]:
    cases = []
    for _ in range(CASES):
        row, column = chance.uniform(0.05, 3, 2)
        four = points(chance, 4)
        if chance.random() < 0.05:
            four[1] = four[0]
        lines = np.array([four[1] - four[0], four[3] - four[2]]) * (column, row)
        arms = np.array([four[0] - four[1], four[2] - four[1]]) * (column, row)
        cobb = angle(*lines)
        cases.append(
            {
                "info": spaced(row, column, "patient"),
                "points": [point(one) for one in four],
                "angle": angle(*arms),
                "cobb": cobb if cobb is None else min(cobb, 180 - cobb),
            }
        )
    return cases


def region(chance: Generator) -> UltrasoundRegion:
    low, size = chance.integers(0, 30, 2), chance.integers(10, 60, 2)
    kinds: list[tuple[Any, Any, Any]] = [
        ("2d", "cm", "cm"), ("2d", "cm", "cm"), ("m-mode", "s", "cm"), ("spectral", "s", "cm/s"),
        ("spectral", "s", "Hz"), ("2d", "cm", ""), ("waveform", "s", ""),
    ]  # fmt: skip
    spatial_format, unit_x, unit_y = kinds[chance.integers(len(kinds))]
    delta_x, delta_y = chance.choice([0.01, 0.02, -0.03, 0.0], 2, p=[0.5, 0.2, 0.2, 0.1]).tolist()
    return UltrasoundRegion(
        *(int(value) for value in (*low, *(low + size))),
        spatial_format,
        1,
        bool(chance.random() < 0.3),
        unit_x,
        unit_y,
        delta_x,
        delta_y,
        reference_x=None,
        reference_y=None if chance.random() < 0.3 else int(chance.integers(-5, 50)),
        reference_value_y=float(chance.uniform(-20, 20)),
    )


def regions(chance: Generator) -> list[Json]:
    """Return pictures of several regions; the browser must say of two points what the node says."""
    cases = []
    for _ in range(5 * CASES):
        here = [region(chance) for _ in range(int(chance.integers(1, 4)))]
        a, b = points(chance, 2, 80)
        # the node counts from the centre of the first pixel, the browser from its corner
        centred = (tuple(a - 0.5), tuple(b - 0.5))
        found = region_at(here, centred[0])
        cases.append(
            {
                "info": spaced(1.0, 1.0, "patient") | {"regions": [asdict(one) for one in here]},
                "a": point(a),
                "b": point(b),
                "region": None if found is None else here.index(found),
                "expected": asdict(measure(here, *centred)),
            }
        )
    return cases


FRAMES: list[tuple[str, Callable[[Generator], NDArray[Any]]]] = [
    ("int16", lambda chance: chance.integers(-1500, 3000, (48, 57))),
    ("uint8", lambda chance: chance.integers(0, 256, (48, 57))),
    ("uint16", lambda chance: chance.integers(60_000, 65_536, (48, 57))),
    ("float32", lambda chance: chance.normal(1e4, 3, (48, 57))),
    ("rgb8", lambda chance: chance.integers(0, 256, (48, 57, 3))),
]


def modality_of(chance: Generator, dtype: str) -> ModalityLut:
    if dtype == "uint8" and chance.random() < 0.5:
        return ModalityLut(first=9, values=tuple(chance.integers(0, 5000, 100).tolist()))
    return ModalityLut(*chance.choice([(1, -1024), (0.37, 11.5), (-2, 3)]).tolist())


def modality_values(stored: NDArray[Any], modality: ModalityLut) -> NDArray[np.float64]:
    if modality.values:
        index = np.clip(stored.astype(int) - modality.first, 0, len(modality.values) - 1)
        return np.asarray(modality.values, np.float64)[index]
    return stored.astype(np.float64) * modality.slope + modality.intercept


def inside(kind: str, a: NDArray[Any], b: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return which pixels have their centre in the area or on its edge."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    (left, top), (right, bottom) = np.minimum(a, b), np.maximum(a, b)
    if kind == "rectangle":
        return np.asarray((left <= x) & (x <= right) & (top <= y) & (y <= bottom))
    with np.errstate(all="ignore"):  # an ellipse without width holds nothing
        u = (x - (left + right) / 2) / ((right - left) / 2)
        v = (y - (top + bottom) / 2) / ((bottom - top) / 2)
        return np.asarray(u * u + v * v <= 1)


def statistics(chance: Generator) -> list[Json]:
    return [
        statistics_case(chance, dtype, make(chance), kind)
        for _ in range(CASES // 10)
        for dtype, make in FRAMES
        for kind in ("ellipse", "rectangle")
    ]


def statistics_case(chance: Generator, dtype: str, drawn: NDArray[Any], kind: str) -> Json:
    is_colour = dtype == "rgb8"
    stored = drawn.astype("uint8" if is_colour else dtype)
    padding = None if is_colour or chance.random() < 0.5 else sorted(chance.choice(stored.flat, 2))
    if dtype == "float32":
        padding, stored[5, 7], stored[20, 20] = None, np.nan, np.inf
    modality = modality_of(chance, dtype)
    a, b = points(chance, 2)
    mask = inside(kind, a, b, (48, 57))
    counted = mask & np.isfinite(stored) if not is_colour else mask
    if padding is not None:
        counted &= (stored < padding[0]) | (stored > padding[1])
    kept = stored[counted].astype(np.float64) if is_colour else stored[counted]
    values = kept if is_colour else modality_values(kept, modality)[:, None]
    box = np.abs((b - a) * (0.7, 0.4))
    lut = {"first": modality.first, "values": modality.values} if modality.values else None
    return {
        "info": spaced(0.4, 0.7, "patient")
        | {
            "kind": "colour" if is_colour else "grey",
            "rows": 48,
            "columns": 57,
            "pixels": {"dtype": dtype},
            "pixel_padding": None if padding is None else [int(one) for one in padding],
            "modality": {
                "rescale_slope": modality.slope,
                "rescale_intercept": modality.intercept,
                "lut": lut,
            },
        },
        "pixels": base64.b64encode(stored.tobytes()).decode(),
        "kind": kind,
        "a": point(a),
        "b": point(b),
        "area": float(np.prod(box)) * (np.pi / 4 if kind == "ellipse" else 1),
        "count": int(counted.sum()),
        "padding": int(mask.sum() - counted.sum()),
        "channels": [
            {"mean": one.mean(), "sd": one.std(), "min": one.min(), "max": one.max()}
            for one in (values.T if len(values) else [])
        ],
        "probes": probes(chance, stored, modality, is_colour=is_colour),
    }


def probes(
    chance: Generator, stored: NDArray[Any], modality: ModalityLut, *, is_colour: bool
) -> list[Json]:
    found = []
    for at in points(chance, 5):
        column, row = np.floor(at).astype(int)
        if not (0 <= row < 48 and 0 <= column < 57):
            values = None
        elif is_colour:
            values = stored[row, column].tolist()
        elif np.isfinite(stored[row, column]):
            values = modality_values(stored[row, column][None], modality).tolist()
        else:
            continue
        found.append({"at": point(at), "values": values})
    return found


def vectors() -> Json:
    chance = np.random.default_rng(20261122)
    made = {
        "lengths": lengths(chance),
        "angles": angles(chance),
        "regions": regions(chance),
        "statistics": statistics(chance),
    }
    kinds = {case["expected"]["kind"] for case in made["regions"]}
    assert kinds == {
        "length", "time and depth", "time and velocity", "time and frequency", "pixels",
    }, "chance must reach every kind"  # fmt: skip
    return made


def test_the_browser_measures_what_numpy_measures(tmp_path: Path, require: Any) -> None:
    file = tmp_path / "measurements.json"
    file.write_text(json.dumps(vectors()))
    result = subprocess.run(
        [require("node"), "--test", *sorted(str(path) for path in FOLDER.glob("*.test.mjs"))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"LIFEBOAT_MEASUREMENTS": str(file)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "# skipped 0" in result.stdout
