"""The picture a surgeon sees is the windowed frame, in shape and in grey."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from viewer.decode import open_instance
from viewer.errors import BadRequest, NoSuchFrame, UnsupportedPixels
from viewer.render import (
    LARGEST_JPEG_SIDE,
    LARGEST_STRETCHED_PIXELS,
    display_size,
    encode,
    grey_frame,
    render_frame,
    thumbnail,
)
from viewer.windowing import VoiLut, Window

Write = Callable[..., Path]


def opened(encoded: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(encoded))
    image.load()
    return image


def ramp() -> NDArray[np.int16]:
    return np.arange(-1000, 1000, dtype=np.int16).reshape(40, 50)


def test_png_holds_exactly_the_grey_frame(
    write: Write, reference_window: Callable[..., NDArray[np.int64]]
) -> None:
    instance = open_instance(write(ramp(), RescaleSlope=1, RescaleIntercept=-24))
    window = Window(40, 400)
    shown = np.asarray(opened(render_frame(instance, 1, window=window, media_type="image/png")))
    assert np.array_equal(shown, grey_frame(instance, 1, window))
    expected = reference_window(ramp().astype(np.float64) - 24, 40, 400, "LINEAR")
    assert np.array_equal(shown, expected)


def test_jpeg_is_close_to_the_grey_frame_and_smaller_at_lower_quality(write: Write) -> None:
    instance = open_instance(write(ramp()))
    sizes = []
    for quality in (95, 60):
        encoded = render_frame(instance, 1, window=Window(0, 2000), quality=quality)
        image = opened(encoded)
        assert image.format == "JPEG"
        assert image.mode == "L"
        grey = grey_frame(instance, 1, Window(0, 2000)).astype(int)
        assert np.abs(np.asarray(image).astype(int) - grey).mean() < 3
        sizes.append(len(encoded))
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("quality", [1, 80, 90, 100])
@pytest.mark.parametrize("shape", [(37, 50), (37, 50, 3)])
def test_a_jpeg_is_what_pillow_would_write(shape: tuple[int, ...], quality: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    pixels.flags.writeable = False
    expected = io.BytesIO()
    Image.fromarray(pixels).save(expected, "JPEG", quality=quality, subsampling=0)
    assert encode(pixels, "image/jpeg", quality) == expected.getvalue()


def test_colour_frames_keep_their_colours(write: Write) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    instance = open_instance(write(rgb))
    image = opened(render_frame(instance, 1, media_type="image/png"))
    assert np.array_equal(np.asarray(image), rgb)
    inverted = opened(render_frame(instance, 1, media_type="image/png", invert=True))
    assert np.array_equal(np.asarray(inverted), 255 - rgb)
    with pytest.raises(UnsupportedPixels, match="colours"):
        grey_frame(instance, 1)


def test_monochrome1_is_bright_where_values_are_low_and_padding_stays_black(write: Write) -> None:
    pixels = np.array([[0, 100, 4095]], dtype=np.uint16)
    path = write(
        pixels,
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=2048,
        WindowWidth=4096,
        PixelPaddingValue=0,
    )
    instance = open_instance(path)
    assert grey_frame(instance, 1).tolist() == [[0, 249, 0]]
    assert grey_frame(instance, 1, invert=True).tolist() == [[0, 6, 255]]


def test_a_voi_lut_can_be_asked_for(write: Write) -> None:
    instance = open_instance(write(np.array([[0, 1, 2]], np.uint16)))
    assert grey_frame(instance, 1, VoiLut(0, 8, (9, 8, 7))).tolist() == [[9, 8, 7]]


def test_frames_decoded_before_are_not_decoded_again(write: Write) -> None:
    path = write(ramp())
    instance = open_instance(path)
    stored = instance.stored_frame(1)
    path.write_bytes(path.read_bytes()[: -stored.nbytes] + bytes(stored.nbytes))
    shown = grey_frame(instance, 1, Window(0, 2000), stored=stored)
    assert shown.min() < 5
    assert shown.max() > 250


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "viewport", "expected"),
    [
        (100, 200, (1, 1), None, (200, 100)),
        (100, 200, (1, 1), (1000, 1000), (200, 100)),
        (100, 200, (1, 1), (100, 100), (100, 50)),
        (100, 200, (1, 1), (100, 20), (40, 20)),
        (100, 200, (2, 1), None, (200, 200)),
        (100, 200, (1, 2), None, (400, 100)),
        (100, 200, (0.5, 0.25), (100, 100), (100, 100)),
        (100, 200, (1, 1000), None, (200, 100)),
        (1, 5000, (1, 1), (50, 50), (50, 1)),
    ],
)
def test_pictures_fit_the_viewport_with_square_pixels_and_never_grow(
    rows: int,
    columns: int,
    aspect: tuple[float, float],
    viewport: tuple[int, int] | None,
    expected: tuple[int, int],
) -> None:
    assert display_size(rows, columns, aspect, viewport) == expected


def test_unequal_spacing_stretches_the_picture(write: Write) -> None:
    instance = open_instance(write(ramp(), PixelSpacing=[1.0, 0.5]))
    assert opened(render_frame(instance, 1)).size == (50, 80)


def test_shrinking_averages_without_overshoot(write: Write) -> None:
    pixels = np.zeros((256, 256), np.uint8)
    pixels[:, 100:] = 200
    pixels[:, :100] = 50
    instance = open_instance(write(pixels))
    encoded = render_frame(instance, 1, viewport=(90, 90), media_type="image/png")
    shown = np.asarray(opened(encoded))
    assert shown.shape == (90, 90)
    assert (shown.min(), shown.max()) == (50, 200)


def test_thumbnails_fit_their_square(write: Write) -> None:
    instance = open_instance(write(np.zeros((300, 600), np.uint8)))
    image = opened(thumbnail(instance, 1))
    assert (image.format, image.size) == ("JPEG", (160, 80))
    assert opened(thumbnail(instance, 1, size_px=64)).size == (64, 32)


@pytest.mark.parametrize(
    "arguments",
    [
        {"media_type": "image/gif"},
        {"quality": 0},
        {"quality": 101},
        {"viewport": (0, 10)},
        {"window": Window(40, 0)},
        {"window": Window(40, -1)},
        {"window": Window(float("nan"), 1)},
    ],
)
def test_parameters_without_sense_are_refused(write: Write, arguments: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        render_frame(open_instance(write(ramp())), 1, **arguments)


def test_a_frame_outside_the_object_is_refused(write: Write) -> None:
    with pytest.raises(NoSuchFrame):
        render_frame(open_instance(write(ramp())), 2)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "center", "width"),
    [
        ("CT_small.dcm", 40, 400),
        ("CT_small.dcm", -600.5, 1500),
        ("MR_small.dcm", 600, 1600),
        ("RG3_UNCR.dcm", 550, 1024),
    ],
)
def test_grey_levels_are_those_of_dcmtk(
    testdata: Callable[[str], Path],
    dcmj2pnm: Callable[..., NDArray[np.int64]],
    name: str,
    center: float,
    width: float,
) -> None:
    path = testdata(name)
    theirs = dcmj2pnm(path, center, width)
    ours = grey_frame(open_instance(path), 1, Window(center, width)).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


def test_a_stretch_makes_no_picture_beyond_all_measure() -> None:
    width, height = display_size(3000, 3000, (10.0, 1.0), None)
    assert width * height <= LARGEST_STRETCHED_PIXELS * 1.01
    assert height / width == pytest.approx(10, rel=0.01)
    assert display_size(6000, 8000, (1.0, 1.0), None) == (8000, 6000)
    assert display_size(10_000, 9_000, (1.0, 1.0), None) == (9_000, 10_000)


def test_a_side_longer_than_a_jpeg_can_have_is_shown_smaller(write: Callable[..., Path]) -> None:
    instance = open_instance(write(np.zeros((2, 65_535), np.uint8)))
    assert opened(render_frame(instance, 1)).width == LARGEST_JPEG_SIDE
    assert opened(render_frame(instance, 1, media_type="image/png")).width == 65_535
