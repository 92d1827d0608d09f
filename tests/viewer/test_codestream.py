"""What a compressed picture says of itself is read before it is decoded."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer.codestream import Codestream, parse_jpeg, parse_jpeg2000
from viewer.errors import UnsupportedPixels

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY, GREY, GREY], axis=-1)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments: bytes, names: bytes = b"\x01\x02\x03", sampling: bytes = b"\x11" * 3) -> bytes:
    components = b"".join(bytes((n, s, 0)) for n, s in zip(names, sampling, strict=True))
    frame = struct.pack(">BHHB", 8, 6, 8, len(names)) + components
    head = b"\xff\xd8" + b"".join(segments) + segment(0xC0, frame)
    return head + segment(0xDA, b"\0" * 6) + b"\0\0\xff\xd9"


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe" + bytes(6) + bytes((transform,)))


JFIF = segment(0xE0, b"JFIF\0" + bytes(9))


@pytest.mark.parametrize(
    ("data", "is_ycbcr"),
    [
        (jpeg(), None),
        (jpeg(JFIF), True),
        (jpeg(adobe(0)), False),
        (jpeg(adobe(1)), True),
        (jpeg(JFIF, adobe(0)), False),
        (jpeg(names=b"RGB"), False),
        (jpeg(JFIF, names=b"RGB"), False),
        (jpeg(sampling=b"\x21\x11\x11"), True),
        (jpeg(names=b"\x01", sampling=b"\x11"), None),
    ],
)
def test_markers_tell_the_colour_space(data: bytes, is_ycbcr: bool | None) -> None:
    assert parse_jpeg(data).is_ycbcr is is_ycbcr


def test_jpeg_tells_its_size() -> None:
    encoded = bytes(imagecodecs.jpeg8_encode(COLOUR))
    assert parse_jpeg(encoded) == Codestream(6, 8, 3, 8, is_ycbcr=True)


def test_jpeg_ls_tells_its_size() -> None:
    encoded = bytes(imagecodecs.jpegls_encode(GREY.astype(np.uint16) * 64))
    found = parse_jpeg(encoded)
    assert (found.rows, found.columns, found.components) == (6, 8, 1)
    assert found.is_lossless_process


@pytest.mark.parametrize("codecformat", ["J2K", "JP2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_jpeg_2000_tells_size_sign_and_bits(codecformat: str, dtype: type) -> None:
    encoded = imagecodecs.jpeg2k_encode(
        GREY.astype(dtype), codecformat=codecformat, reversible=True
    )
    bits = np.dtype(dtype).itemsize * 8
    expected = Codestream(6, 8, 1, bits, is_signed=dtype is np.int16)
    assert parse_jpeg2000(bytes(encoded)) == expected


@pytest.mark.parametrize(("mct", "is_ycbcr"), [(True, False), (False, None)])
def test_jpeg_2000_with_its_own_colour_transform_gives_rgb(
    mct: bool, is_ycbcr: bool | None
) -> None:
    encoded = imagecodecs.jpeg2k_encode(COLOUR, codecformat="J2K", reversible=True, mct=mct)
    assert parse_jpeg2000(bytes(encoded)).is_ycbcr is is_ycbcr


@pytest.mark.parametrize("parse", [parse_jpeg, parse_jpeg2000])
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51\x00"]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_described_or_refused(parse: object, tail: bytes, head: bytes) -> None:
    assert callable(parse)
    try:
        found = parse(head + tail + b"\xff\xd9")
    except UnsupportedPixels:
        return
    assert isinstance(found, Codestream)


@pytest.mark.parametrize("parse", [parse_jpeg, parse_jpeg2000])
def test_a_damaged_real_codestream_never_breaks_the_parser(parse: object) -> None:
    assert callable(parse)
    encode = imagecodecs.jpeg8_encode if parse is parse_jpeg else imagecodecs.jpeg2k_encode
    encoded = bytes(encode(COLOUR))
    random = np.random.default_rng(3)
    for _ in range(500):
        damaged = bytearray(encoded)
        damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
        try:
            parse(bytes(damaged))
        except UnsupportedPixels:
            continue
