"""Edges and places follow the patient, never a guess."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from viewer.geometry import (
    OrientationLetters,
    displayed_letters,
    frame_letters,
    orientation_letters,
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


def test_an_edge_that_two_elements_call_opposite_has_no_letter() -> None:
    assert orientation_letters(AXIAL, ("R", "P")) is None
    assert orientation_letters(AXIAL, ("L", "A")) is None
    assert orientation_letters(AXIAL, ("L", "PF")) == OrientationLetters("R", "A", "L", "P")


def test_a_quadruped_has_no_letters() -> None:
    header = Dataset()
    header.ImageOrientationPatient = list(AXIAL)
    assert frame_letters(header, 0) == OrientationLetters("R", "A", "L", "P")
    header.AnatomicalOrientationType = "QUADRUPED"
    assert frame_letters(header, 0) is None


CORNERS = OrientationLetters("R", "A", "L", "P")


@pytest.mark.parametrize(
    ("turns", "is_flipped", "shown"),
    [
        (0, False, CORNERS),
        (1, False, OrientationLetters("P", "R", "A", "L")),
        (2, False, OrientationLetters("L", "P", "R", "A")),
        (-1, False, OrientationLetters("A", "L", "P", "R")),
        (0, True, OrientationLetters("L", "A", "R", "P")),
        (1, True, OrientationLetters("P", "L", "A", "R")),
        (2, True, OrientationLetters("R", "P", "L", "A")),
    ],
)
def test_letters_follow_turning_and_flipping(
    turns: int, is_flipped: bool, shown: OrientationLetters
) -> None:
    assert displayed_letters(CORNERS, turns, is_flipped=is_flipped) == shown


@given(st.integers(-9, 9), st.booleans())
def test_letters_stay_what_a_turned_picture_shows(turns: int, is_flipped: bool) -> None:
    picture = np.array([["", "A", ""], ["R", "", "L"], ["", "P", ""]])
    shown = np.rot90(np.fliplr(picture) if is_flipped else picture, -turns)
    expected = OrientationLetters(*(str(shown[at]) for at in ((1, 0), (0, 1), (1, 2), (2, 1))))
    assert displayed_letters(CORNERS, turns, is_flipped=is_flipped) == expected
    assert displayed_letters(None, turns, is_flipped=is_flipped) is None
