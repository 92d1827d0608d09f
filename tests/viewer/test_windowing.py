"""Windows keep the standard's formulas, whatever path computes them."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from viewer.grey_levels import level_table, window_to_uint8
from viewer.windowing import (
    AUTOMATIC,
    ModalityLut,
    VoiLut,
    Window,
    automatic_window,
    display_values,
    modality_values,
    window_between,
)

Reference = Callable[..., NDArray[np.int64]]
DTYPES = (np.int16, np.uint16, np.uint8)
HU = ModalityLut(1.0, -1024.0, "HU")
PLAIN = ModalityLut()
MODALITIES = (PLAIN, HU, ModalityLut(0.5, 3.25), ModalityLut(-2.0, 100.0))


def every_value(dtype: Any) -> NDArray[Any]:
    """All values of a type, as a picture of one row."""
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)[np.newaxis]


def middle_and_span(window: Window) -> tuple[float, float]:
    """The value drawn mid-grey, and the distance of black from white."""
    if window.function == "LINEAR" and window.width >= 1:
        return window.center - 0.5, window.width - 1
    return window.center, window.width


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [0.25, 0.999, 1, 1.5, 2, 3, 80, 255, 256, 400, 4096, 65536, 1e9])
def test_every_stored_value_gets_the_standards_grey_level(
    reference_window: Reference, dtype: Any, function: Any, width: float
) -> None:
    stored = every_value(dtype)
    for center, modality in product((40, -600.5, 0), MODALITIES):
        window = Window(center, width, function)
        shown = window_to_uint8(stored, modality, window)
        x = stored.astype(np.float64) * modality.slope + modality.intercept
        expected = reference_window(x, center, width, function)
        difference = np.abs(shown.astype(np.int64) - expected)
        assert difference.max() <= 1
        # the standard's order of operations and ours may differ only where y + 0.5 is whole
        middle, span = middle_and_span(window)
        y = (x[difference > 0] - middle) * 255 / (span or 1) + 128
        assert np.abs(y - np.round(y)).max(initial=0) < 1e-6


@pytest.mark.parametrize("width", [2, 52, 256, 341, 511, 4096])
def test_halves_are_rounded_up_exactly(width: int) -> None:
    stored = np.arange(-600, 600, dtype=np.int16)[np.newaxis]
    shown = window_to_uint8(stored, PLAIN, Window(40, width))
    for value, level in zip(stored[0].tolist(), shown[0].tolist(), strict=True):
        y = (Fraction(value) - 40 + Fraction(1, 2)) / (width - 1) * 255 + Fraction(255, 2)
        assert level == math.floor(min(max(y, Fraction(0)), Fraction(255)) + Fraction(1, 2))


def test_width_one_is_a_threshold() -> None:
    stored = np.array([[39, 40, 41]], dtype=np.int16)
    assert window_to_uint8(stored, PLAIN, Window(40, 1)).tolist() == [[0, 255, 255]]


finite = st.floats(-1e5, 1e5)
windows = st.builds(
    Window,
    finite,
    st.floats(1e-3, 1e6),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
modalities = st.builds(
    ModalityLut, st.floats(-100, 100).filter(lambda slope: abs(slope) > 1e-6), finite
)


@given(windows, modalities, st.sampled_from(DTYPES), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_fast_pass_table_and_formula_agree_exactly(
    window: Window, modality: ModalityLut, dtype: Any, invert: bool
) -> None:
    stored = every_value(dtype)
    shown = window_to_uint8(stored, modality, window, invert=invert)
    formula = display_values(modality_values(stored, modality), window)
    formula = 255 - formula if invert else formula
    assert np.array_equal(shown, formula)
    table = level_table(stored.dtype, modality, window, invert)
    assert np.array_equal(shown[0], table[stored[0].view(f"u{stored.dtype.itemsize}")])


@given(windows, st.floats(1e-3, 100), finite)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_brightness_never_falls_as_values_rise(
    window: Window, slope: float, intercept: float
) -> None:
    shown = window_to_uint8(every_value(np.int16), ModalityLut(slope, intercept), window)
    assert (np.diff(shown[0].astype(int)) >= 0).all()


@given(windows)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_inversion_mirrors_every_level(window: Window) -> None:
    stored = every_value(np.int16)
    upright = window_to_uint8(stored, PLAIN, window)
    inverted = window_to_uint8(stored, PLAIN, window, invert=True)
    assert (upright.astype(int) + inverted == 255).all()


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_32_bit_values_go_through_the_same_formula(reference_window: Reference, dtype: Any) -> None:
    stored = np.arange(70_000, 170_000, 7).astype(dtype).reshape(-1, 2)[:7000]
    shown = window_to_uint8(stored, ModalityLut(0.001), Window(100, 90))
    expected = reference_window(stored * 0.001, 100, 90, "LINEAR")
    assert np.abs(shown - expected).max() <= 1


def test_pictures_of_many_blocks_are_whole() -> None:
    stored = np.arange(300 * 1000, dtype=np.uint32).astype(np.uint16).reshape(300, 1000)
    shown = window_to_uint8(stored, PLAIN, Window(20000, 30000))
    assert np.array_equal(shown, display_values(stored.astype(np.float64), Window(20000, 30000)))


def test_a_view_with_gaps_is_windowed_like_its_copy() -> None:
    stored = np.arange(40_000, dtype=np.int32).astype(np.int16).reshape(200, 200)[::2, 1::3]
    window = Window(0, 500)
    assert np.array_equal(
        window_to_uint8(stored, PLAIN, window), window_to_uint8(stored.copy(), PLAIN, window)
    )


def test_input_is_left_as_it_was() -> None:
    stored = np.array([[-5, 7]], dtype=np.int16)
    stored.flags.writeable = False
    window_to_uint8(stored, PLAIN, Window(0, 10), invert=True, padding=(-5, -5))
    assert stored.tolist() == [[-5, 7]]


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("padding", [(-2000, -2000), (-2000, -1990), (30, 50), (-99999, 99999)])
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
def test_padding_is_black_even_when_inverted(
    invert: bool, padding: tuple[int, int], function: Any
) -> None:
    stored = every_value(np.int16)
    window = Window(40, 400, function)
    shown = window_to_uint8(stored, PLAIN, window, invert=invert, padding=padding)
    without = window_to_uint8(stored, PLAIN, window, invert=invert)
    is_padding = (stored >= padding[0]) & (stored <= padding[1])
    assert not shown[is_padding].any()
    assert np.array_equal(shown[~is_padding], without[~is_padding])


def test_padding_of_32_bit_values_is_black() -> None:
    stored = np.array([[0, 100_000]], dtype=np.uint32)
    shown = window_to_uint8(stored, PLAIN, Window(10, 5), invert=True, padding=(100_000, 100_000))
    assert shown.tolist() == [[255, 0]]


def test_voi_lut_clamps_at_both_ends_and_scales_by_its_bits() -> None:
    lut = VoiLut(first=10, bits=12, values=(0, 2048, 4095))
    stored = np.array([[-3, 10, 11, 12, 900]], dtype=np.int16)
    assert window_to_uint8(stored, PLAIN, lut).tolist() == [[0, 0, 128, 255, 255]]


def test_modality_lut_replaces_slope_and_intercept() -> None:
    modality = ModalityLut(slope=7, intercept=9, first=-1, values=(100, 200, 300))
    stored = np.array([[-9, -1, 0, 1, 9]], dtype=np.int16)
    assert modality_values(stored, modality).tolist() == [[100, 100, 200, 300, 300]]


def test_automatic_window_spans_the_values_without_padding() -> None:
    stored = np.tile(np.arange(1000, dtype=np.int16), (100, 1))
    stored[:, :500] = -2000
    window = automatic_window(stored, PLAIN, (-2000, -2000))
    assert window.explanation == AUTOMATIC
    assert 500 <= window.center - window.width / 2 <= 510
    assert 990 <= window.center + window.width / 2 <= 1001


@pytest.mark.parametrize("value", [0, 77])
def test_automatic_window_of_a_flat_or_empty_picture_is_usable(value: int) -> None:
    stored = np.full((4, 4), value, dtype=np.uint16)
    assert automatic_window(stored, PLAIN).is_usable
    assert automatic_window(stored, PLAIN, (value, value)).is_usable


@given(st.integers(-30000, 30000), st.integers(1, 60000))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_window_between_two_values_shows_them_black_and_white(black: int, span: int) -> None:
    x = np.array([black, black + span], dtype=np.float64)
    assert display_values(x, window_between(black, black + span)).tolist() == [0, 255]


@pytest.mark.parametrize("width", [0.0, -5.0, math.nan, math.inf])
def test_a_width_that_is_not_positive_is_not_usable(width: float) -> None:
    assert not Window(0, width).is_usable


@pytest.mark.parametrize("slope", [1e-300, 1.578150678556223e-101, 1e-40, 1e-25, 1e-15])
def test_a_minute_slope_is_drawn_by_the_formula(slope: float) -> None:
    modality, window = ModalityLut(slope, 0.0), Window(0, 2)
    stored = every_value(np.int16)
    expected = display_values(modality_values(stored, modality), window)
    assert np.array_equal(window_to_uint8(stored, modality, window), expected)
