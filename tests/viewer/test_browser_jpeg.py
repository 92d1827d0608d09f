"""A codestream is passed on only where a browser draws what the renderer draws."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1

from viewer.browser_jpeg import browser_sees_ycbcr
from viewer.decode import open_instance
from viewer.errors import NoSuchFrame

Write = Callable[..., Path]
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


def photograph() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:40, 0:64]
    return np.stack([rows * 6, columns * 4, 255 - rows * 3], axis=2).astype(np.uint8)


def jpeg(mode: str = "RGB", **how: Any) -> bytes:
    pixels = photograph()
    image = Image.fromarray(pixels if mode == "RGB" else pixels[..., 0])
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=95, subsampling=0, **how)
    return encoded.getvalue()


def without_jfif(encoded: bytes) -> bytes:
    length = int.from_bytes(encoded[4:6], "big")
    assert encoded[2:4] == b"\xff\xe0"
    return encoded[:2] + encoded[4 + length :]


def renamed(encoded: bytes, names: bytes) -> bytes:
    """Give the components of frame and scan other names."""
    changed = bytearray(encoded)
    frame, scan = encoded.index(b"\xff\xc0"), encoded.index(b"\xff\xda")
    for n, name in enumerate(names):
        changed[frame + 10 + 3 * n] = changed[scan + 5 + 2 * n] = name
    return bytes(changed)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (jpeg(), True),
        (without_jfif(jpeg()), True),
        (renamed(without_jfif(jpeg()), b"RGB"), False),
        (renamed(jpeg(), b"RGB"), True),
        (b"\xff\xd8" + ADOBE + b"\x00" + without_jfif(jpeg())[2:], False),
        (b"\xff\xd8" + ADOBE + b"\x01" + without_jfif(jpeg())[2:], True),
        (jpeg()[:20] + ADOBE + b"\x00" + jpeg()[20:], True),
        (jpeg(progressive=True), None),
        (jpeg("L"), None),
        (jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"), None),
        (jpeg(icc_profile=b"profile"), None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_browsers_go_by_jfif_then_adobe_then_names(encoded: bytes, expected: bool | None) -> None:
    assert browser_sees_ycbcr(encoded) is expected
    if expected:
        browser = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
        assert np.abs(browser - photograph()).mean() < 3


def stored(write: Write, encoded: bytes, **elements: Any) -> Path:
    elements = {"PhotometricInterpretation": "YBR_FULL_422"} | elements
    return write(photograph(), transfer_syntax_uid=JPEGBaseline8Bit, frames=[encoded], **elements)


def test_a_plain_colour_frame_is_passed_on_and_drawn_alike(write: Write) -> None:
    encoded = jpeg()
    instance = open_instance(stored(write, encoded))
    passed = instance.browser_jpeg(1)
    assert passed is not None
    assert passed.rstrip(b"\0") == encoded.rstrip(b"\0")
    browser = np.asarray(Image.open(io.BytesIO(passed))).astype(int)
    assert np.abs(browser - instance.stored_frame(1)).max() <= 2


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelAspectRatio": [2, 1]},
        {
            "ShutterShape": "CIRCULAR",
            "CenterOfCircularShutter": [20, 30],
            "RadiusOfCircularShutter": 15,
        },
    ],
)
def test_a_frame_that_must_be_changed_to_be_shown_is_not_passed_on(
    write: Write, elements: dict[str, Any]
) -> None:
    assert open_instance(stored(write, jpeg(), **elements)).browser_jpeg(1) is None


def test_a_colour_space_that_browsers_guess_wrong_is_not_passed_on(write: Write) -> None:
    nameless = without_jfif(jpeg())  # the header alone says RGB, a browser takes YCbCr
    assert open_instance(stored(write, nameless)).browser_jpeg(1) is not None
    path = stored(write, nameless, PhotometricInterpretation="RGB")
    assert open_instance(path).browser_jpeg(1) is None


def test_grey_and_other_syntaxes_are_not_passed_on(
    write: Write, encoders: dict[str, Callable[[NDArray[Any]], bytes]]
) -> None:
    pixels = photograph()[..., 0]
    path = write(pixels, transfer_syntax_uid=JPEGBaseline8Bit, frames=[jpeg("L")])
    assert open_instance(path).browser_jpeg(1) is None
    assert open_instance(write(photograph())).browser_jpeg(1) is None
    words = pixels.astype(np.uint16)
    frames = [encoders[JPEGLosslessSV1](words)]
    path = write(words, transfer_syntax_uid=JPEGLosslessSV1, frames=frames)
    assert open_instance(path).browser_jpeg(1) is None


def test_a_frame_outside_is_refused_here_too(write: Write) -> None:
    with pytest.raises(NoSuchFrame):
        open_instance(stored(write, jpeg())).browser_jpeg(2)
