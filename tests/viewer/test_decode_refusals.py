"""What cannot be shown truthfully is refused in words, before it costs anything."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from viewer.decode import open_instance
from viewer.errors import (
    NoSuchFrame,
    UnreadableFile,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
)

Write = Callable[..., Path]
Find = Callable[[str], Path]
Picture = Callable[[Any, int, int], NDArray[Any]]
Encoders = dict[str, Callable[[NDArray[Any]], bytes]]

LOSSLESS = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless)


@pytest.mark.parametrize("transfer_syntax_uid", LOSSLESS)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_codestream_is_never_shown(
    write: Write, transfer_syntax_uid: str, kept: float, picture: Picture, encoders: Encoders
) -> None:
    pixels = picture(np.uint16, 0, 60000)
    encoded = encoders[transfer_syntax_uid](pixels)
    encoded = encoded[: int(len(encoded) * kept) // 2 * 2]
    instance = open_instance(
        write(pixels, transfer_syntax_uid=transfer_syntax_uid, frames=[encoded])
    )
    with pytest.raises(UnsupportedPixels, match=r"incomplete|damaged"):
        instance.stored_frame(1)


def test_a_cut_lossy_jpeg_is_never_shown(write: Write, picture: Picture) -> None:
    pixels = picture(np.uint8, 0, 255)
    encoded = bytes(imagecodecs.jpeg8_encode(pixels, level=90))
    path = write(pixels, transfer_syntax_uid=JPEGBaseline8Bit, frames=[encoded[:-40]])
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        open_instance(path).stored_frame(1)


@pytest.mark.parametrize("frame_number", [0, -1, 3])
def test_a_frame_outside_the_object_has_its_own_error(write: Write, frame_number: int) -> None:
    path = write(np.zeros((2, 2, 3), np.uint8), NumberOfFrames=2, PixelData=bytes(24))
    instance = open_instance(path)
    assert instance.number_of_frames == 2
    with pytest.raises(NoSuchFrame):
        instance.stored_frame(frame_number)


def test_cut_native_pixels_show_whole_frames_only(write: Write) -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = write(pixels, NumberOfFrames=3, PixelData=pixels.tobytes() * 3)
    path.write_bytes(path.read_bytes()[:-130])
    instance = open_instance(path)
    assert np.array_equal(instance.stored_frame(1), pixels)
    for frame_number in (2, 3):
        with pytest.raises(UnsupportedPixels, match="incomplete"):
            instance.stored_frame(frame_number)
        with pytest.raises(UnsupportedPixels, match="incomplete"):
            instance.frame_format(frame_number)


@pytest.mark.parametrize(
    "elements",
    [
        {"Rows": 0},
        {"Columns": 0},
        {"Rows": 65535, "Columns": 65535},
        {"Rows": 16384, "Columns": 16385},
        {"NumberOfFrames": -1},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": 2_000_000_000},
        {"BitsAllocated": 1, "PhotometricInterpretation": "PALETTE COLOR"},
        {"BitsAllocated": 7},
        {"BitsAllocated": 64},
        {"BitsStored": 0},
        {"BitsStored": 17},
        {"HighBit": 16},
        {"BitsStored": 12, "HighBit": 8},
        {"SamplesPerPixel": 0},
        {"SamplesPerPixel": 200},
        {"SamplesPerPixel": 3},
        {"PhotometricInterpretation": "ARGB"},
        {"PhotometricInterpretation": ""},
        {"Rows": 100},
    ],
)
def test_contradictory_headers_are_refused_before_anything_is_allocated(
    write: Write, elements: dict[str, Any]
) -> None:
    instance = open_instance(write(np.zeros((5, 10), dtype=np.uint16), **elements))
    assert instance.number_of_frames == 1
    tracemalloc.start()
    with pytest.raises(UnsupportedPixels):
        instance.stored_frame(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_jpeg_larger_than_its_header_says_is_not_decoded(write: Write, picture: Picture) -> None:
    pixels = picture(np.uint8, 0, 255)
    encoded = bytearray(imagecodecs.jpeg8_encode(pixels, level=90))
    size = encoded.index(b"\xff\xc0") + 5
    encoded[size : size + 4] = struct.pack(">HH", 65500, 65500)
    path = write(pixels, transfer_syntax_uid=JPEGBaseline8Bit, frames=[bytes(encoded)])
    with pytest.raises(UnsupportedPixels, match="contradict"):
        open_instance(path).frame_format(1)


@pytest.mark.parametrize(("size", "tile"), [(60000, 60000), (37, 1)])
def test_a_jpeg_2000_of_absurd_size_or_tiling_is_not_decoded(
    write: Write, size: int, tile: int, picture: Picture
) -> None:
    pixels = picture(np.uint8, 0, 255)
    encoded = bytearray(imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True))
    encoded[8:16] = struct.pack(">2L", size, size * 500)
    encoded[24:32] = struct.pack(">2L", tile, tile)
    path = write(pixels, transfer_syntax_uid=JPEG2000Lossless, frames=[bytes(encoded)])
    with pytest.raises(UnsupportedPixels, match=r"contradict|tiles"):
        open_instance(path).stored_frame(1)


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<16L", 0, *[0] * 15),
        struct.pack("<16L", 2, 64, 10**9, *[0] * 13),
        struct.pack("<16L", 15, *[64] * 15),
    ],
)
def test_rle_with_impossible_segments_is_refused(
    write: Write, head: bytes, picture: Picture, encoders: Encoders
) -> None:
    pixels = picture(np.uint16, 0, 9)
    path = write(
        pixels, transfer_syntax_uid=RLELossless, frames=[head + encoders[RLELossless](pixels)[64:]]
    )
    with pytest.raises(UnsupportedPixels):
        open_instance(path).stored_frame(1)


def test_an_rle_bomb_grows_no_further_than_its_frame(write: Write, picture: Picture) -> None:
    pixels = picture(np.uint16, 0, 9)
    head = struct.pack("<16L", 2, 64, 64 + 200_000, *[0] * 13)
    bomb = head + b"\x81\x00" * 200_000
    path = write(pixels, transfer_syntax_uid=RLELossless, frames=[bomb])
    tracemalloc.start()
    with pytest.raises(UnsupportedPixels):
        open_instance(path).stored_frame(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    "transfer_syntax_uid", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.110", "1.2.3.4.5"]
)
def test_syntaxes_without_a_decoder_are_named_as_such(
    write: Write, transfer_syntax_uid: str
) -> None:
    pixels = np.zeros((2, 2), np.uint8)
    path = write(pixels, transfer_syntax_uid=transfer_syntax_uid, frames=[b"\0" * 8])
    with pytest.raises(UnsupportedTransferSyntax, match="stored safely"):
        open_instance(path).stored_frame(1)


def test_compressed_name_over_native_pixels_is_refused(write: Write) -> None:
    path = write(np.zeros((2, 2), np.uint8))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    with pytest.raises(UnsupportedPixels, match="contradict"):
        open_instance(path).stored_frame(1)


def test_objects_without_pixels_say_so(testdata: Find) -> None:
    instance = open_instance(testdata("rtplan.dcm"))
    assert instance.number_of_frames == 1
    with pytest.raises(UnsupportedPixels, match="no picture"):
        instance.stored_frame(1)


def test_a_picture_cut_before_its_pixels_says_they_are_missing(write: Write) -> None:
    path = write(np.zeros((50, 50), np.uint8))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"\xe0\x7f\x10\x00")])
    with pytest.raises(UnsupportedPixels, match="missing"):
        open_instance(path).stored_frame(1)


def test_a_cut_deflated_object_is_never_shown(write: Write) -> None:
    pixels = np.random.default_rng(1).integers(0, 60000, (64, 64), dtype=np.uint16)
    path = write(pixels, transfer_syntax_uid=DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        open_instance(path).stored_frame(1)


def test_a_deflate_bomb_is_refused(write: Write) -> None:
    path = write(np.zeros((2, 2), np.uint8), transfer_syntax_uid=DeflatedExplicitVRLittleEndian)
    raw = path.read_bytes()
    meta_end = 144 + struct.unpack_from("<L", raw, 140)[0]
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    bomb = b"".join(deflate.compress(bytes(2**24)) for _ in range(17)) + deflate.flush()
    path.write_bytes(raw[:meta_end] + bomb)
    with pytest.raises(UnreadableFile, match="limit"):
        open_instance(path)


@pytest.mark.parametrize("content", [b"", b"DICM", b"hello" * 100, bytes(200), b"MZ" * 400])
def test_other_files_are_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="not a DICOM file"):
        open_instance(path)


def test_a_missing_file_is_unreadable_and_not_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile) as raised:
        open_instance(tmp_path / "SECRET^NAME.dcm")
    assert "SECRET" not in str(raised.value)


def test_endless_nesting_is_unreadable(write: Write) -> None:
    path = write(np.zeros((2, 2), np.uint8), transfer_syntax_uid=ImplicitVRLittleEndian)
    raw = path.read_bytes()
    meta_end = 144 + struct.unpack_from("<L", raw, 140)[0]
    sequence = struct.pack("<HHL", 0x0008, 0x1140, 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(raw[:meta_end] + (sequence + item) * 20_000)
    with pytest.raises(UnreadableFile, match="larger or deeper"):
        open_instance(path)
