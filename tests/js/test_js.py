"""Runs the tests of the front end's modules that need no page, with node."""

import base64
import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viewer.colour import Palette, apply_supplemental_palette
from viewer.differences import differences
from viewer.geometry import slice_normal
from viewer.grey_levels import window_to_uint8
from viewer.planes import FramePlane, distance_mm, localizer_line, patient_point, pixel_of
from viewer.reduced import means, means_without_padding, picks
from viewer.shutters import Circle, Rectangle, Shutter, apply_shutter, opening
from viewer.windowing import ModalityLut, VoiLut, Window

FOLDER = Path(__file__).parent


def vector(
    name: str,
    dtype: str,
    modality: ModalityLut,
    voi: Window | VoiLut,
    *,
    invert: bool = False,
    by_user: bool = False,
    padding: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Return one case with the grey level the node gives every stored value."""
    limits = np.iinfo(np.dtype(dtype))
    stored = np.arange(limits.min, limits.max + 1, dtype=np.int64).astype(dtype).reshape(256, -1)
    levels = window_to_uint8(stored, modality, voi, invert=invert != by_user, padding=padding)
    is_table = isinstance(voi, VoiLut)
    return {
        "name": name,
        "info": {
            "pixels": {"dtype": dtype, "min": int(limits.min), "max": int(limits.max)},
            "modality": {
                "rescale_slope": modality.slope,
                "rescale_intercept": modality.intercept,
                "lut": modality.values and {"first": modality.first, "values": modality.values},
            },
            "voi_luts": [{"first": voi.first, "bits": voi.bits, "values": voi.values}]
            if is_table
            else [],
            "invert": invert,
            "pixel_padding": padding,
        },
        "voi": {"kind": "voi_lut", "index": 0}
        if is_table
        else {"kind": "window", "center": voi.center, "width": voi.width, "function": voi.function},
        "inverted": by_user,
        "levels": base64.b64encode(levels.tobytes()).decode(),
    }


def vectors() -> list[dict[str, Any]]:
    """Return cases over the functions, signs, slopes and widths of PS3.3 C.11."""
    hounsfield = ModalityLut(1.0, -1024.0, "HU")
    table = ModalityLut(first=-5, values=tuple(range(0, 4000, 7)))
    curve = VoiLut(
        first=100, bits=12, values=tuple(int(4095 * (n / 999) ** 2) for n in range(1000))
    )
    narrow = Window(40_000, 300)
    cases = [
        vector(
            f"{function} {center}/{width} {dtype}",
            dtype,
            hounsfield,
            Window(center, width, function),
        )
        for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
        for center, width in ((40, 400), (40.5, 1), (-600, 1500), (0, 0.3), (12.3, 80.7))
        for dtype in ("int16", "uint16")
    ]
    cases += [
        vector(
            f"{function} {center}/{width} slope {slope}",
            "int16",
            ModalityLut(slope, intercept),
            Window(center, width, function),
        )
        for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
        for center, width in ((-600.5, 2), (1024.3, 4096), (70_000, 1e6))
        for slope, intercept in ((1.7e-3, -1.5), (-1, 100), (3, -7))
    ]
    return [
        *cases,
        vector("odd slope", "int16", ModalityLut(0.37, 11.5), Window(30, 77)),
        vector("falling slope", "int16", ModalityLut(-2.0, 3.0), Window(0, 900)),
        vector("modality table", "int16", table, Window(1000, 2000)),
        vector("voi table", "uint16", ModalityLut(), curve),
        vector("voi table inverted", "uint16", ModalityLut(), curve, invert=True),
        vector("eight bits", "uint8", ModalityLut(), Window(128, 256)),
        vector(
            "padding inverted",
            "int16",
            hounsfield,
            Window(40, 400),
            invert=True,
            padding=(-2000, 5),
        ),
        vector("padding beyond the type", "uint16", ModalityLut(), narrow, padding=(-9, 70_000)),
        vector("table of one entry", "int16", ModalityLut(), VoiLut(-3, 4, (9,))),
        vector("table of 65,536", "int16", hounsfield, VoiLut(-33_000, 16, tuple(range(65_536)))),
        vector("table over fractions", "int16", ModalityLut(0.5, 0.25), curve),
        vector("inverted twice", "int16", hounsfield, Window(40, 80), invert=True, by_user=True),
    ]


def coverings() -> dict[str, Any]:
    """Return shutters of every shape with what they cover, and a frame under a palette."""
    return {"shutters": [case for n in range(200) if (case := covered(n))], "palette": coloured()}


def covered(seed: int) -> dict[str, Any] | None:
    """Return one shutter of shapes by chance; None when nothing would be seen."""
    chance = np.random.default_rng(seed)
    rows, columns = (int(side) for side in chance.integers(1, 40, 2))
    places = chance.integers(-5, 45, 8).tolist()
    corners = int(chance.integers(3, 9))
    vertices = chance.integers(-5, 45, (corners, 2)).astype(float).tolist()
    kinds = int(chance.integers(1, 8))
    shutter = Shutter(
        Rectangle(*sorted(places[:2]), *sorted(places[2:4])) if kinds & 1 else None,
        Circle(places[4], places[5], abs(places[6])) if kinds & 2 else None,
        tuple((row, column) for row, column in vertices) if kinds & 4 else (),
        False,
        0,
    )
    aspect = (float(chance.uniform(0.5, 2)), 1.0)
    seen = opening(shutter, rows, columns, aspect)
    return (
        seen
        if seen is None
        else {
            "shutter": asdict(shutter) | {"aspect": aspect[0]},
            "rows": rows,
            "columns": columns,
            "closed": base64.b64encode((~seen).astype(np.uint8).tobytes()).decode(),
        }
    )


def coloured() -> dict[str, Any]:
    """Return a frame of one row, grey 10 throughout, with colours from 4 on and its last closed."""
    stored = np.array([[3, 4, 5, 6, 90, 7, 4]])
    palette = Palette(4, np.array([[200, 1, 2], [3, 220, 4], [5, 6, 240]], np.uint8))
    shutter = Shutter(Rectangle(1, 6, 1, 1), None, (), False, 77)
    grey = np.full(stored.shape, 10, np.uint8)
    rgb = apply_supplemental_palette(grey, stored, palette, padding=(7, 7))
    info = {
        "rows": 1,
        "columns": 7,
        "pixel_padding": [7, 7],
        "supplemental_palette": {"first": palette.first, "rgb": palette.rgb.tobytes().hex()},
        "shutter": asdict(shutter) | {"aspect": 1.0},
    }
    rgb = apply_shutter(rgb, shutter)
    return {"info": info, "stored": stored[0].tolist(), "rgb": rgb[0].tolist()}


def a_plane(random: np.random.Generator) -> FramePlane:
    """A frame anywhere, turned at will, mostly in one of two spaces."""
    turned, _ = np.linalg.qr(random.normal(size=(3, 3)))
    if random.random() < 0.3:
        turned = np.eye(3)[random.permutation(3)]
    return FramePlane(
        tuple(float(x) for x in (*turned[0], *turned[1])),
        tuple(float(x) for x in random.uniform(-80, 80, 3)),
        float(random.uniform(0.2, 3)),
        float(random.uniform(0.2, 3)),
        int(random.integers(20, 300)),
        int(random.integers(20, 300)),
        "1.2" if random.random() < 0.9 else "1.3",
    )


def as_info(plane: FramePlane) -> dict[str, Any]:
    """The parts of a frame's info that tell its place."""
    normal = slice_normal(plane.image_orientation_patient)
    return {
        "image_orientation_patient": plane.image_orientation_patient,
        "image_position_patient": plane.image_position_patient,
        "normal": normal,
        "pixel_spacing": {"row": plane.row_spacing, "column": plane.column_spacing},
        "rows": plane.rows,
        "columns": plane.columns,
        "frame_of_reference_uid": plane.frame_of_reference_uid,
    }


def planes() -> list[dict[str, Any]]:
    """Pairs of frames with the line and the points the node finds."""
    random = np.random.default_rng(20)
    cases = []
    for _ in range(400):
        one, other = a_plane(random), a_plane(random)
        pixel = (float(random.uniform(0, 100)), float(random.uniform(0, 100)))
        point = patient_point(one, pixel)
        cases.append(
            {
                "one": as_info(one),
                "other": as_info(other),
                "pixel": pixel,
                "point": point,
                "foot": pixel_of(other, point),
                "distance": distance_mm(other, point),
                "line": localizer_line(one, other),
            }
        )
    return cases


def packings() -> list[dict[str, Any]]:
    """Frames of any size and sign, packed and reduced by the node."""
    random = np.random.default_rng(31)
    cases = []
    for _ in range(60):
        dtype = np.dtype(random.choice(["int16", "uint16"]))
        limits = np.iinfo(dtype)
        shape = tuple(int(side) for side in random.integers(1, 23, 2))
        stored = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        step = int(random.integers(2, 9))
        low, high = sorted(random.integers(limits.min, limits.max, 2).tolist())
        cases.append(
            {
                "dtype": dtype.name,
                "rows": shape[0],
                "columns": shape[1],
                "step": step,
                "stored": base64.b64encode(stored.tobytes()).decode(),
                "packed": base64.b64encode(differences(stored)).decode(),
                "means": means(stored, step).ravel().tolist(),
                "picks": picks(stored, step).ravel().tolist(),
                "padding": [low, high],
                "unpadded": means_without_padding(stored, step, (low, high)).ravel().tolist(),
            }
        )
    return cases


def test_the_modules_of_the_front_end(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed; `make test` installs it")
        pytest.skip("node is not installed: the front end's modules are tested in the browser only")
    file = tmp_path / "vectors.json"
    file.write_text(json.dumps(vectors()))
    over = tmp_path / "coverings.json"
    over.write_text(json.dumps(coverings()))
    space = tmp_path / "planes.json"
    space.write_text(json.dumps(planes()))
    packed = tmp_path / "packings.json"
    packed.write_text(json.dumps(packings()))
    tests = sorted(str(path) for path in FOLDER.glob("*.test.mjs"))
    result = subprocess.run(
        [node, "--test", *tests],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ
        | {
            "LIFEBOAT_VECTORS": str(file),
            "LIFEBOAT_COVERINGS": str(over),
            "LIFEBOAT_PLANES": str(space),
            "LIFEBOAT_PACKINGS": str(packed),
        },
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "# skipped 0" in result.stdout
