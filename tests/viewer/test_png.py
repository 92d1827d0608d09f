"""PNG files hold exactly the picture they were made of."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from viewer.png import encode_png

pictures = st.one_of(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))),
)


@given(pictures)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_another_reader_finds_every_pixel_as_it_was(pixels):
    image = Image.open(io.BytesIO(encode_png(pixels)))

    assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
    assert np.array_equal(np.asarray(image), pixels)


def test_a_picture_of_noise_larger_than_any_buffer_comes_back_whole():
    pixels = np.random.default_rng(3).integers(0, 256, (900, 1100, 3), np.uint8)

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(pixels)))), pixels)


@pytest.mark.parametrize("step", [(2, 1), (1, 3), (-1, -1)])
def test_a_view_with_gaps_is_written_like_its_copy(step):
    pixels = np.arange(60 * 50, dtype=np.uint16).astype(np.uint8).reshape(60, 50)
    view = pixels[:: step[0], :: step[1]]

    assert encode_png(view) == encode_png(view.copy())


def test_smooth_pictures_become_small():
    pixels = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)

    assert len(encode_png(pixels)) < pixels.size / 10
