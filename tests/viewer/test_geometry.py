"""Edges, order and size follow the patient, never a guess."""

import math
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from viewer.decode import open_instance
from viewer.geometry import (
    OrientationLetters,
    PixelSpacing,
    SlicePlace,
    image_orientation_patient,
    image_position_patient,
    orientation_letters,
    pixel_aspect_ratio,
    pixel_spacing,
    slice_normal,
    slice_order,
    slice_position,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        (AXIAL, OrientationLetters("R", "A", "L", "P")),
        (SAGITTAL, OrientationLetters("A", "H", "P", "F")),
        (CORONAL, OrientationLetters("R", "H", "L", "F")),
        ((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), OrientationLetters("L", "A", "R", "P")),
        ((0.8, 0.6, 0.0, 0.0, 0.0, -1.0), OrientationLetters("RA", "H", "LP", "F")),
        ((0.0, 0.6, 0.8, 0.0, -0.8, 0.6), OrientationLetters("FA", "PF", "HP", "AH")),
        ((0.999, 0.0447, 0.0, -0.0447, 0.999, 0.0), OrientationLetters("R", "A", "L", "P")),
    ],
)
def test_edges_are_named_from_the_direction_cosines(
    orientation: tuple[float, ...], letters: OrientationLetters
) -> None:
    assert orientation_letters(orientation) == letters


def test_three_oblique_axes_give_three_letters() -> None:
    third = 1 / math.sqrt(3)
    half = 1 / math.sqrt(2)
    letters = orientation_letters((third, third, third, half, -half, 0.0))
    assert letters is not None
    assert sorted(letters.right) == sorted("LPH")


@pytest.mark.parametrize(
    ("patient_orientation", "letters"),
    [
        (("L", "F"), OrientationLetters("R", "H", "L", "F")),
        (("A", "FR"), OrientationLetters("P", "HL", "A", "FR")),
    ],
)
def test_projections_are_named_from_patient_orientation(
    patient_orientation: tuple[str, ...], letters: OrientationLetters
) -> None:
    assert orientation_letters((), patient_orientation) == letters


@pytest.mark.parametrize("orientation", [(), (1.0,) * 6, (0.0,) * 6, (1.0, 0, 0, 1.0, 0, 0)])
@pytest.mark.parametrize(
    "patient_orientation", [(), ("L",), ("X", "F"), ("LR", "F"), ("", ""), ("LE", "CD")]
)
def test_no_letters_where_the_orientation_is_unknown(
    orientation: tuple[float, ...], patient_orientation: tuple[str, ...]
) -> None:
    assert orientation_letters(orientation, patient_orientation) is None


def test_a_position_is_measured_along_the_normal() -> None:
    assert slice_position(AXIAL, (5, 6, 7)) == pytest.approx(7)
    assert slice_position(SAGITTAL, (5, 6, 7)) == pytest.approx(-5)
    assert slice_position(AXIAL, ()) is None
    assert slice_position((), (5, 6, 7)) is None


angles = st.floats(-math.pi, math.pi)


@given(angles, angles, st.permutations(range(12)))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_slices_are_ordered_by_position_in_any_oblique_stack(
    turn: float, tilt: float, shuffled: list[int]
) -> None:
    row = (math.cos(turn), math.sin(turn), 0.0)
    column = (
        -math.sin(turn) * math.cos(tilt),
        math.cos(turn) * math.cos(tilt),
        math.sin(tilt),
    )
    normal = slice_normal((*row, *column))
    assert normal is not None
    places = [
        SlicePlace((*row, *column), tuple(2.5 * n * part for part in normal)) for n in shuffled
    ]
    assert [shuffled[n] for n in slice_order(places)] == list(range(12))


def test_equal_positions_are_ordered_by_time_then_number() -> None:
    def place(time: str, number: int) -> SlicePlace:
        return SlicePlace(AXIAL, (0, 0, 1), time, 0, number)

    places = [place("1200", 1), place("1100", 9), place("1100", 3)]
    assert slice_order(places) == [2, 1, 0]


@pytest.mark.parametrize("odd_one", [SlicePlace(instance_number=2), SlicePlace(CORONAL, (0, 0, 0))])
def test_stacks_without_common_geometry_are_ordered_by_number(odd_one: SlicePlace) -> None:
    first = SlicePlace(AXIAL, (0, 0, 9), instance_number=1)
    third = SlicePlace(AXIAL, (0, 0, 5), instance_number=3)
    odd = SlicePlace(
        odd_one.image_orientation_patient, odd_one.image_position_patient, instance_number=2
    )
    assert slice_order([third, odd, first]) == [2, 1, 0]


def test_slices_without_anything_keep_the_order_of_receipt() -> None:
    assert slice_order([SlicePlace(), SlicePlace(), SlicePlace(instance_number=4)]) == [2, 0, 1]
    assert slice_order([]) == []


def spacing_dataset(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, PixelSpacing(None, None, "none")),
        ({"PixelSpacing": [0.5, 0.4], "Modality": "CT"}, PixelSpacing(0.5, 0.4, "patient")),
        ({"PixelSpacing": [0.5, 0.4], "Modality": "CR"}, PixelSpacing(0.5, 0.4, "detector")),
        (
            {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]},
            PixelSpacing(0.2, 0.2, "detector"),
        ),
        (
            {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.2, 0.2]},
            PixelSpacing(0.15, 0.15, "calibrated"),
        ),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, "detector")),
        ({"NominalScannedPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, "detector")),
        (
            {"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            PixelSpacing(pytest.approx(0.2), pytest.approx(0.2), "detector"),
        ),
        ({"PixelSpacing": [0, 0.4]}, PixelSpacing(None, None, "none")),
        (
            {"PixelSpacing": [0.5, 0.5], "PixelSpacingCalibrationType": "FIDUCIAL"},
            PixelSpacing(0.5, 0.5, "calibrated"),
        ),
    ],
)
def test_spacing_says_where_it_comes_from(
    elements: dict[str, object], expected: PixelSpacing
) -> None:
    assert pixel_spacing(spacing_dataset(**elements), 0) == expected


def test_aspect_ratio_counts_only_without_spacing() -> None:
    assert pixel_aspect_ratio(spacing_dataset(PixelAspectRatio=[2, 1]), 0) == (2, 1)
    both = spacing_dataset(PixelAspectRatio=[2, 1], PixelSpacing=[0.5, 0.5])
    assert pixel_aspect_ratio(both, 0) == (0.5, 0.5)
    assert pixel_aspect_ratio(spacing_dataset(PixelAspectRatio=[0, 1]), 0) == (1, 1)


@pytest.mark.parametrize("series", ["mr-sag-HFS", "mr-sag-HFDL"])
def test_a_real_stack_comes_back_in_order_from_any_order(corpus: Path, series: str) -> None:
    paths = sorted((corpus / "series" / series).glob("*.dcm"))
    random.Random(4).shuffle(paths)
    places = []
    for path in paths:
        header = open_instance(path).header
        places.append(
            SlicePlace(image_orientation_patient(header, 0), image_position_patient(header, 0))
        )
    ordered = [places[n] for n in slice_order(places)]
    positions = [
        slice_position(place.image_orientation_patient, place.image_position_patient)
        for place in ordered
    ]
    assert None not in positions
    steps = [b - a for a, b in pairwise(positions) if a is not None]
    assert len(steps) == 34
    assert min(steps) > 0
    assert max(steps) - min(steps) < 0.01
