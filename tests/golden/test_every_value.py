"""Every stored value there is, under windows and tables of every kind: no level off."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.golden import reference
from viewer.grey_levels import level_table, window_to_uint8
from viewer.scaling import scaling_of
from viewer.windowing import (
    ModalityLut,
    VoiLut,
    Window,
    modality_values,
)

TYPES = (np.int16, np.uint16)
WIDTHS = (1, 0.3, 2, 400, 4096, 1e6)
CENTERS = (0, 40, -600.5, 1024.3, 70_000, -1e6)
RESCALES = ((1, 0), (1, -1024), (0.5, 3.25), (-1, 100), (1.7e-3, -1.5), (3, -7))
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def every_value(dtype: Any) -> NDArray[Any]:
    """All 65,536 values, as a picture of 256 rows; any row begins where the last ended."""
    return np.arange(65536, dtype=np.uint16).view(dtype).reshape(256, 256)


def rescaled(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[np.float64]:
    return stored.astype(np.float64) * slope + intercept


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_tables_have_the_formulas_level_for_every_stored_value(dtype: Any, function: Any) -> None:
    """The whole product: 216 windows for each type and function."""
    stored = every_value(dtype)
    for slope, intercept in RESCALES:
        x = rescaled(stored, slope, intercept)
        modality = ModalityLut(slope, intercept)
        for center, width in product(CENTERS, WIDTHS):
            expected = reference.windowed(x, center, width, function)
            table = level_table(stored.dtype, modality, Window(center, width, function))
            assert np.array_equal(table, expected.reshape(-1)), (slope, intercept, center, width)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rescale", RESCALES)
def test_the_pass_over_a_picture_has_them_too(dtype: Any, rescale: tuple[float, float]) -> None:
    """Linear windows take another way than the table; the others are looked up in it."""
    stored = every_value(dtype)
    x = rescaled(stored, *rescale)
    for function, width in product(FUNCTIONS, WIDTHS):
        for center in CENTERS[:4] if function == "LINEAR" else CENTERS[2:3]:
            expected = reference.windowed(x, center, width, function)
            window = Window(center, width, function)
            shown = window_to_uint8(stored, ModalityLut(*rescale), window)
            assert np.array_equal(shown, expected), (function, center, width)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_formula_leaves_float64_no_say(function: str, width: float) -> None:
    """Against 64 bits of mantissa: a level differs only where the exact value ends in one half."""
    stored = every_value(np.int16)
    for slope, intercept in RESCALES:
        x = rescaled(stored, slope, intercept)
        level = reference.windowed(x, 1024.3, width, function).astype(np.int64)
        exact = long_formula(x.astype(np.longdouble), 1024.3, width, function)
        off = level != np.floor(exact + np.longdouble(0.5))
        assert (np.abs(exact[off] - np.floor(exact[off]) - 0.5) < 1e-9).all()


def long_formula(x: NDArray[Any], center: float, width: float, function: str) -> NDArray[Any]:
    """PS3.3 C.11.2 once more, in the widest type at hand, ends by clipping."""
    c, w = np.longdouble(center), np.longdouble(width)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 255 / (1 + np.exp(-4 * (x - c) / w))
    if function == "LINEAR" and w == 1:
        return np.where(x > c - 0.5, 255, 0).astype(np.longdouble)
    if function == "LINEAR" and w > 1:
        c, w = c - np.longdouble(0.5), w - 1
    return np.clip(((x - c) / w + np.longdouble(0.5)) * 255, 0, 255)


finite = st.floats(-1e5, 1e5, allow_subnormal=False)
slopes = st.one_of(
    st.floats(-100, 100, allow_subnormal=False),
    st.sampled_from([0.0, 1e-6, -1e-6, 1e-30, 1e6, -1e6, 1.0, -1.0]),
)
windows = st.builds(
    Window,
    finite,
    st.one_of(st.floats(1e-3, 1e6), st.sampled_from([1.0, 0.999, 1.001, 1e-9, 1e12, 2.0])),
    st.sampled_from(FUNCTIONS),
)
dtypes = st.sampled_from(TYPES)
entries = st.lists(st.integers(0, 65535), min_size=1, max_size=40)
firsts = st.one_of(st.integers(-70_000, 70_000), st.sampled_from([-32768, 65535, 0]))


def voi_of(values: list[int], first: int, extra_bits: int) -> tuple[VoiLut, reference.Lut]:
    bits = min(16, max(1, max(values).bit_length()) + extra_bits)
    table = reference.Lut(first, bits, np.array(values, dtype=np.int64))
    return VoiLut(first, bits, tuple(values)), table


vast = st.one_of(finite, st.floats(-1e20, 1e20), st.sampled_from([1e13, -1e15, 1e300]))


@given(st.floats(-50, 50), st.floats(3, 500), vast, st.booleans(), dtypes)
@settings(max_examples=100, derandomize=True)
def test_an_intercept_of_any_size_leaves_the_formulas_level(
    center: float, width: float, intercept: float, is_exact: bool, dtype: Any
) -> None:
    """Beyond 1e13 float64 leaves out the levels that lie between."""
    stored = every_value(dtype)
    window = Window(intercept + center, width, "LINEAR_EXACT" if is_exact else "LINEAR")
    shown = window_to_uint8(stored, ModalityLut(1, intercept), window)
    x = rescaled(stored, 1, intercept)
    assert np.array_equal(shown, reference.windowed(x, window.center, width, window.function))


@given(windows, slopes, finite, dtypes)
@settings(max_examples=60, derandomize=True)
def test_any_window_over_any_slope(
    window: Window, slope: float, intercept: float, dtype: Any
) -> None:
    stored = every_value(dtype)
    shown = window_to_uint8(stored, ModalityLut(slope, intercept), window)
    x = rescaled(stored, slope, intercept)
    expected = reference.windowed(x, window.center, window.width, window.function)
    assert np.array_equal(shown, expected)


HU = ModalityLut(1, -1024)
LUNG = Window(-600, 1500)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("modality", "window"),
    [
        (HU, Window(40, 400)),
        (HU, Window(300.25, 2000, "LINEAR_EXACT")),
        (HU, Window(40.5, 401)),  # between two levels at every other value
        (ModalityLut(-1, 4095), Window(2048, 4096)),
        (ModalityLut(1.23e-3, 0), Window(5, 10)),
        (ModalityLut(), Window(128, 256)),
    ],
)
def test_ordinary_windows_are_a_multiplication_in_rows_of_any_length(
    modality: ModalityLut, window: Window, invert: bool, dtype: Any
) -> None:
    """So that the tests of this file look at both ways."""
    stored = every_value(dtype)
    scaling = scaling_of(stored.dtype, modality, window, invert)
    assert scaling is not None
    table = level_table(stored.dtype, modality, window, invert)
    for columns in (1, 3, 17, 31, 65536):
        rows = stored.reshape(-1)[: 65536 // columns * columns].reshape(-1, columns)
        grey = np.zeros(rows.shape, np.uint8)
        scaling.draw(rows, grey)
        assert np.array_equal(grey, table[rows.view(np.uint16)])


@pytest.mark.parametrize(
    ("slope", "window"),
    [
        (0.5, Window(-19612.0, 5152.2)),
        (1.1, Window(-23014.7, 6111.9)),
        (1, Window(21085.5, 5993.6)),
    ],
)
def test_a_window_that_float32_would_draw_otherwise_is_no_multiplication(
    slope: float, window: Window
) -> None:
    """Found by drawing with no regard for its rounding: up to 64,814 values were a level off."""
    assert scaling_of(np.dtype(np.int16), ModalityLut(slope, -1024), window) is None


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(("dtype", "padding"), [(np.int16, -2000), (np.uint16, 64_000)])
def test_padding_is_left_to_a_multiplication_only_where_it_is_black_anyway(
    dtype: Any, padding: int, invert: bool
) -> None:
    scaling = scaling_of(np.dtype(dtype), HU, LUNG, invert, (padding, padding))
    assert (scaling is not None) == (invert == (padding > 0))
    reaching_in = min(padding, 500), max(padding, 500)
    assert scaling_of(np.dtype(dtype), HU, LUNG, invert, reaching_in) is None
    assert scaling_of(np.dtype(dtype), HU, LUNG, invert, (500, 600)) is None


clinical = st.builds(
    Window,
    st.one_of(st.integers(-3000, 6000).map(lambda halves: halves / 2), st.floats(-1500, 3000)),
    st.one_of(st.integers(100, 5000), st.floats(100, 5000)),
    st.sampled_from(("LINEAR", "LINEAR_EXACT")),
)


@given(clinical, st.sampled_from(RESCALES), st.booleans(), dtypes)
@settings(max_examples=200, derandomize=True)
def test_what_a_multiplication_draws_is_the_formulas_level(
    window: Window, rescale: tuple[float, float], invert: bool, dtype: Any
) -> None:
    stored = every_value(dtype)
    scaling = scaling_of(stored.dtype, ModalityLut(*rescale), window, invert)
    if scaling is not None:
        grey = np.zeros(stored.shape, np.uint8)
        scaling.draw(stored, grey)
        x = rescaled(stored, *rescale)
        expected = reference.windowed(x, window.center, window.width, window.function)
        assert np.array_equal(grey, 255 - expected if invert else expected)


edges = st.integers(-100_000, 100_000)


@given(windows, edges, edges, st.booleans(), dtypes)
@settings(max_examples=60, derandomize=True)
def test_any_padding_is_black_and_nothing_else_changes(
    window: Window, low: int, high: int, invert: bool, dtype: Any
) -> None:
    """Limits may lie beyond the type: then they take in all of it, or nothing."""
    low, high = min(low, high), max(low, high)
    stored = every_value(dtype)
    shown = window_to_uint8(stored, ModalityLut(), window, invert=invert, padding=(low, high))
    x = stored.astype(np.float64)
    expected = reference.windowed(x, window.center, window.width, window.function)
    expected = (255 - expected if invert else expected).astype(np.uint8)
    expected[(x >= low) & (x <= high)] = 0
    assert np.array_equal(shown, expected)


@given(entries, firsts, st.integers(0, 4), slopes, st.booleans(), dtypes)
@settings(max_examples=40, derandomize=True)
def test_any_voi_table_over_any_slope(
    values: list[int], first: int, extra_bits: int, slope: float, invert: bool, dtype: Any
) -> None:
    voi, table = voi_of(values, first, extra_bits)
    stored = every_value(dtype)
    shown = window_to_uint8(stored, ModalityLut(slope, 5), voi, invert=invert)
    expected = reference.through_voi_lut(rescaled(stored, slope, 5), table)
    assert np.array_equal(shown, 255 - expected if invert else expected)


@given(entries, firsts, windows, dtypes)
@settings(max_examples=40, derandomize=True)
def test_any_modality_table(values: list[int], first: int, window: Window, dtype: Any) -> None:
    stored = every_value(dtype)
    modality = ModalityLut(slope=9, intercept=9, first=first, values=tuple(values))
    x = reference.Lut(first, 16, np.array(values, dtype=np.int64))(stored.astype(np.float64))
    assert np.array_equal(modality_values(stored, modality), x)
    shown = window_to_uint8(stored, modality, window)
    expected = reference.windowed(x, window.center, window.width, window.function)
    assert np.array_equal(shown, expected)


def test_a_table_of_all_65536_entries_in_both_places() -> None:
    values = np.random.default_rng(8).integers(0, 65536, 65536)
    table = reference.Lut(-32768, 16, values)
    stored = every_value(np.int16)
    voi = VoiLut(-32768, 16, tuple(values.tolist()))
    modality = ModalityLut(first=-32768, values=tuple(values.tolist()))
    expected = reference.through_voi_lut(table(stored.astype(np.float64)), table)
    assert np.array_equal(window_to_uint8(stored, modality, voi), expected)
