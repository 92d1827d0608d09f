"""A picture in another size shows the same things at the same places, and nothing else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from viewer import resize
from viewer.resize import resized
from viewer.strips import ALONE

RATIOS = (1.04, 1.2, 1.32, 1.5, 1.9, 2.0, 2.34, 2.9, 3.2, 4.1, 6.5)
"""How many pixels of the picture there are to one of the result."""
LENGTH = 1203
MIDDLE, SWING = 128, 100
HALVINGS_LEVELS = 0.5
"""What rounding halves up may do, an eighth of a level each time that a side is halved."""


def fitted(pixels: NDArray[Any], ratio: float) -> NDArray[np.float64]:
    size = round(pixels.shape[1] / ratio), round(pixels.shape[0] / ratio)
    return np.asarray(resized(pixels, size, ALONE), np.float64)


def area_means(pixels: NDArray[Any], rows: int, columns: int) -> NDArray[np.float64]:
    """The mean over each pixel's area, in float64: what the sum up to each edge grows by."""
    sums: NDArray[np.float64] = pixels.astype(np.float64)
    for length in (rows, columns):
        edges = np.linspace(0, len(sums), length + 1)
        up_to = np.concatenate((np.zeros((1, sums.shape[1])), np.cumsum(sums, axis=0)))
        first = np.minimum(edges.astype(int), len(sums) - 1)
        within = (edges - first)[:, np.newaxis]
        at_edges = up_to[first] * (1 - within) + up_to[first + 1] * within
        sums = np.diff(at_edges, axis=0).T * (length / len(sums))
    return sums


def grating(frequency: float, length: int = LENGTH) -> NDArray[np.uint8]:
    """A pattern of so many waves in each pixel, down and across."""
    wave = np.sin(2 * np.pi * frequency * np.arange(length) + 0.4)
    return np.round(MIDDLE + SWING * np.outer(wave, np.ones(64))).astype(np.uint8)


def contrast(frequency: float, ratio: float) -> float:
    """How much of a grating's contrast is left along both sides, the larger."""
    wanted = round(LENGTH / ratio)
    lines = grating(frequency)
    down = np.asarray(resized(lines, (round(64 / ratio), wanted), ALONE), np.float64)
    across = np.asarray(resized(lines.T.copy(), (wanted, round(64 / ratio)), ALONE), np.float64)
    inner = (down[8:-8].std(axis=0).mean(), across[:, 8:-8].std(axis=1).mean())
    return float(max(inner) * np.sqrt(2) / SWING)


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_pattern_too_fine_leaves_no_more_than_is_said(ratio: float) -> None:
    finest_kept = 0.5 / ratio
    too_fine = np.linspace(1.1 * finest_kept, 0.499, 24) if 1.1 * finest_kept < 0.499 else []

    assert max((contrast(frequency, ratio) for frequency in too_fine), default=0.0) <= 0.61


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_pattern_that_the_result_can_hold_is_kept(ratio: float) -> None:
    assert contrast(0.25 / ratio, ratio) >= 0.73
    assert contrast(0.05 / ratio, ratio) >= 0.97


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_zone_plate_is_as_its_means_where_it_is_coarse_and_has_no_more_moire_elsewhere(
    ratio: float,
) -> None:
    away = np.hypot(*np.ogrid[:LENGTH, :LENGTH])
    plate = np.round(MIDDLE + SWING * np.cos(np.pi * away**2 / (2 * LENGTH))).astype(np.uint8)
    shown = fitted(plate, ratio)
    means = area_means(plate, *shown.shape)
    waves = np.hypot(*np.ogrid[: len(shown), : len(shown)]) * ratio / (2 * LENGTH)  # in a pixel
    is_coarse, is_too_fine = waves * ratio < 0.1, waves * ratio > 0.55

    assert np.abs(shown - means)[is_coarse].mean() <= 0.03 * SWING
    if is_too_fine.any():
        assert shown[is_too_fine].std() <= means[is_too_fine].std() + 0.1 * SWING


@pytest.mark.parametrize("length", [997, 1000, 1001, 1003])
@pytest.mark.parametrize("ratio", RATIOS)
def test_everything_stays_at_its_place(ratio: float, length: int) -> None:
    for place in (60.0, length / 2, length - 60.0):
        bump = 250 * np.exp(-(((np.arange(length) - place) / 15) ** 2))
        across = np.round(np.broadcast_to(bump, (70, length))).astype(np.uint8)
        for shown in (fitted(across, ratio)[3], fitted(across.T.copy(), ratio)[:, 3]):
            places = (np.arange(len(shown)) + 0.5) * length / len(shown) - 0.5
            assert abs(np.average(places, weights=shown) - place) < 0.1


@pytest.mark.parametrize(
    ("length", "wanted"), [(2055, 128), (1283, 160), (2050, 256), (4097, 1024)]
)
def test_a_side_that_nearly_halves_to_what_is_wanted_stays_at_its_place_too(
    length: int, wanted: int
) -> None:
    place = 0.93 * length
    bump = 250 * np.exp(-(((np.arange(length) - place) / 30) ** 2))
    square = np.round(np.broadcast_to(bump, (length, length))).astype(np.uint8)
    per_pixel = length / wanted
    for pixels, axis in ((square, 0), (square.T.copy(), 1)):
        shown = np.asarray(resized(pixels, (wanted, wanted), ALONE), np.float64).mean(axis)
        places = (np.arange(wanted) + 0.5) * per_pixel - 0.5
        assert abs(np.average(places, weights=shown) - place) < 0.1 * per_pixel


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_brightness_of_noise_stays(ratio: float) -> None:
    noise = np.random.default_rng(5).integers(60, 190, (601, 599)).astype(np.uint8)

    shown = fitted(noise, ratio)

    assert abs(shown.mean() - area_means(noise, *shown.shape).mean()) < HALVINGS_LEVELS


@pytest.mark.parametrize("ratio", RATIOS)
def test_nothing_is_brighter_or_darker_than_what_it_stands_for(ratio: float) -> None:
    half = np.full((301, 299), 30, np.uint8)
    half[:, 150:] = 220

    shown = fitted(half, ratio)

    assert (shown.min(), shown.max()) == (30, 220)
    assert (np.diff(shown) >= 0).all()


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_flat_picture_stays_flat_in_every_size(level: int) -> None:
    flat = np.full((211, 137, 3), level, np.uint8)

    for size in ((136, 211), (70, 105), (1, 1), (40, 300), (300, 40), (1, 500), (137, 2)):
        shown = np.asarray(resized(flat, size, ALONE))
        assert shown.shape == (size[1], size[0], 3)
        assert (shown == level).all()


@pytest.mark.parametrize("ratio", [0.3, 0.51, 0.97])
def test_an_enlarged_picture_lies_between_its_neighbours(ratio: float) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (41, 67)).astype(np.uint8)
    shown = fitted(pixels, ratio)
    expected = pixels.astype(np.float64)
    for length in shown.shape:
        places = (np.arange(length) + 0.5) * len(expected) / length - 0.5
        places = np.clip(places, 0, len(expected) - 1)
        first = np.minimum(places.astype(int), len(expected) - 2)
        part = (places - first)[:, np.newaxis]
        expected = (expected[first] * (1 - part) + expected[first + 1] * part).T

    assert np.abs(shown - expected).max() <= 1.5  # weights of 8 bits, and rounding


def test_colours_are_resized_each_by_itself() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (233, 317, 3)).astype(np.uint8)

    shown = np.asarray(resized(pixels, (150, 110), ALONE))

    for channel in range(3):
        alone = resized(pixels[:, :, channel].copy(), (150, 110), ALONE)
        assert np.array_equal(shown[:, :, channel], alone)


@pytest.mark.parametrize("shape", [(70_001, 5), (5, 70_001)])
def test_a_long_picture_is_resized(shape: tuple[int, int]) -> None:
    pixels = np.full(shape, 9, np.uint8)
    size = (max(1, shape[1] // 30), max(1, shape[0] // 30))

    assert (np.asarray(resized(pixels, size, ALONE)) == 9).all()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(40, 400), st.integers(40, 400), st.sampled_from([(), (3,)])),
    size=st.tuples(st.integers(30, 500), st.integers(30, 500)),
    seed=st.integers(0, 2**32 - 1),
)
def test_in_halves_it_is_the_same_picture(
    shape: tuple[int, int, tuple[int, ...]], size: tuple[int, int], seed: int
) -> None:
    rows, columns, samples = shape
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rows, columns, *samples), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resize, "STRIP_PIXELS", 1)
        halves = resized(pixels, size, ALONE)
        patch.setattr(resize, "STRIP_PIXELS", 2**62)
        whole = resized(pixels, size, ALONE)
    assert np.array_equal(halves, whole)
