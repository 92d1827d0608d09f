"""Frames come out as they were stored."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from viewer.decode import open_instance, stored_values
from viewer.pixel_format import PixelFormat

Write = Callable[..., Path]
Find = Callable[[str], Path]
Picture = Callable[[Any, int, int], NDArray[Any]]
Encoders = dict[str, Callable[[NDArray[Any]], bytes]]

LOSSLESS = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless)


KNOWN_TO_PYDICOM = [
    "693_J2KI.dcm",
    "693_J2KR.dcm",
    "693_UNCR.dcm",
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "JPEG2000_UNC.dcm",
    "MR2_UNCI.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "OBXXXX1A.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "RG3_J2KI.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_rgb_expb_16bit_2frame.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jpeg.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "SC_ybr_full_uncompressed.dcm",
    "US1_J2KI.dcm",
    "color-pl.dcm",
    "color-px.dcm",
    "emri_small_RLE.dcm",
    "emri_small_big_endian.dcm",
    "emri_small_jpeg_2k_lossless.dcm",
    "examples_jpeg2k.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "gdcm-US-ALOKA-16.dcm",
    "gdcm-US-ALOKA-16_big.dcm",
    "image_dfl.dcm",
    "rtdose_rle.dcm",
]


def by_pydicom(path: Path, frame_index: int) -> NDArray[Any]:
    """Decode with pydicom, colours as 8 bit RGB."""
    ds = pydicom.dcmread(path)
    pixels = pixel_array(ds, index=frame_index)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, ds)
    if ds.PhotometricInterpretation.startswith("MONO"):
        return pixels
    return (pixels >> (pixels.dtype.itemsize * 8 - 8)).astype(np.uint8)


@pytest.mark.parametrize("name", KNOWN_TO_PYDICOM)
def test_first_and_last_frame_equal_pydicoms(testdata: Find, name: str) -> None:
    path = testdata(name)
    instance = open_instance(path)
    for frame_number in {1, instance.number_of_frames}:
        expected = by_pydicom(path, frame_number - 1)
        frame = instance.stored_frame(frame_number)
        assert frame.shape == expected.shape
        assert np.array_equal(frame, expected)


@pytest.mark.parametrize("name", ["OBXXXX1A_expb.dcm", "OBXXXX1A_rle.dcm"])
def test_a_palette_reads_the_same_in_any_byte_order(testdata: Find, name: str) -> None:
    expected = by_pydicom(testdata("OBXXXX1A.dcm"), 0)
    assert np.array_equal(open_instance(testdata(name)).stored_frame(1), expected)


CT_FAMILY = {
    "mono/cornerstone__CTImage.dcm_LittleEndian*",
    "transfer-syntax/cornerstone__CTImage.dcm_BigEndian*",
    "transfer-syntax/cornerstone__CTImage.dcm_Deflated*",
    "transfer-syntax/cornerstone__CTImage.dcm_JPEG2000LosslessOnly*",
    "transfer-syntax/cornerstone__CTImage.dcm_JPEGLSLossless*",
    "transfer-syntax/cornerstone__CTImage.dcm_JPEGProcess14SV1*",
    "transfer-syntax/cornerstone__CTImage.dcm_JPEGProcess14Transfer*",
    "transfer-syntax/cornerstone__CTImage.dcm_RLE*",
}


def test_one_slice_in_every_lossless_syntax_has_the_same_pixels(corpus: Path) -> None:
    paths = [path for pattern in sorted(CT_FAMILY) for path in sorted(corpus.glob(pattern))]
    assert len(paths) >= len(CT_FAMILY)
    frames = [open_instance(path).stored_frame(1) for path in paths]
    assert len({open_instance(path).transfer_syntax_uid for path in paths}) >= 8
    assert all(frame.dtype == np.int16 for frame in frames)
    assert all(np.array_equal(frames[0], frame) for frame in frames[1:])


@pytest.mark.parametrize("transfer_syntax_uid", LOSSLESS)
@pytest.mark.parametrize("is_signed", [False, True])
def test_lossless_codecs_give_back_signed_and_unsigned_values(
    write: Write, transfer_syntax_uid: str, is_signed: bool, picture: Picture, encoders: Encoders
) -> None:
    pixels = picture(np.int16, -1500, 2800) if is_signed else picture(np.uint16, 0, 60000)
    container = pixels.view(np.uint16)
    if transfer_syntax_uid in (JPEG2000Lossless, HTJ2KLossless):
        container = pixels
    encoded = encoders[transfer_syntax_uid](container)
    path = write(pixels, transfer_syntax_uid=transfer_syntax_uid, frames=[encoded])
    frame = open_instance(path).stored_frame(1)
    assert frame.dtype == pixels.dtype
    assert np.array_equal(frame, pixels)


@pytest.mark.parametrize(
    ("bits_stored", "high_bit", "is_signed", "container", "value"),
    [
        (12, 11, False, 0xF123, 0x123),
        (12, 11, True, 0xF123, 0x123),
        (12, 11, True, 0x0FFF, -1),
        (12, 11, True, 0x1800, -2048),
        (12, 15, False, 0x123F, 0x123),
        (12, 15, True, 0xFFF7, -1),
        (10, 12, False, 0xFFF8, 0x3FF),
        (16, 15, True, 0x8000, -32768),
        (1, 0, False, 0xFFFF, 1),
    ],
)
def test_only_the_stored_bits_make_the_value(
    write: Write, bits_stored: int, high_bit: int, is_signed: bool, container: int, value: int
) -> None:
    path = write(
        np.full((3, 2), container, dtype=np.uint16),
        BitsStored=bits_stored,
        HighBit=high_bit,
        PixelRepresentation=int(is_signed),
    )
    frame = open_instance(path).stored_frame(1)
    assert frame.dtype == (np.int16 if is_signed else np.uint16)
    assert (frame == value).all()


def test_8_bit_signed_values_are_widened(write: Write) -> None:
    frame = open_instance(write(np.array([[-128, 127]], dtype=np.int8))).stored_frame(1)
    assert frame.dtype == np.int16
    assert frame.tolist() == [[-128, 127]]


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_32_bit_values_are_kept(write: Write, dtype: Any) -> None:
    pixels = np.array([[0, np.iinfo(dtype).max]], dtype=dtype)
    assert np.array_equal(open_instance(write(pixels)).stored_frame(1), pixels)


def test_narrow_samples_of_a_codec_are_widened_before_the_sign_is_read() -> None:
    layout = PixelFormat(1, 1, 1, 16, 12, 11, True, "MONOCHROME2", 0)
    assert stored_values(np.array([[200]], dtype=np.uint8), layout).tolist() == [[200]]


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_and_pixels_give_the_same_colours(write: Write, planar: int) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = rgb if planar == 0 else rgb.transpose(2, 0, 1)
    path = write(rgb, PlanarConfiguration=planar, PixelData=data.tobytes() + b"\0")
    assert np.array_equal(open_instance(path).stored_frame(1), rgb)


def test_header_sign_is_believed_for_unsigned_jpeg_2000(testdata: Find) -> None:
    frame = open_instance(testdata("J2K_pixelrep_mismatch.dcm")).stored_frame(1)
    assert frame.dtype == np.int16
    assert frame[0, 0] == -2000


def test_signed_jpeg_2000_stays_signed_under_an_unsigned_header(corpus: Path) -> None:
    path = corpus / "transfer-syntax" / "pylibjpeg__TOSHIBA_J2K_SIZ1_PixRep0.dcm"
    frame = open_instance(path).stored_frame(1)
    assert frame.dtype == np.int16
    assert frame.min() == -2048


def test_a_full_frame_under_the_subsampled_name_is_drawn_as_it_is(write: Write) -> None:
    grey = np.full((4, 4, 3), 128, dtype=np.uint8)
    path = write(grey, PhotometricInterpretation="YBR_FULL_422")
    assert (open_instance(path).stored_frame(1) == 128).all()


def test_one_frame_of_many_is_read_without_the_others(tmp_path: Path, write: Write) -> None:
    frame = np.zeros((512, 512), dtype=np.uint16)
    path = write(frame, NumberOfFrames=400)
    marker = struct.pack("<HH", 0x7FE0, 0x0010) + b"OW\0\0"
    head, pixels = path.read_bytes().split(marker)
    assert len(pixels) == 4 + frame.nbytes
    big = tmp_path / "big.dcm"
    with big.open("wb") as stream:
        stream.write(head + marker + struct.pack("<L", 400 * frame.nbytes))
        start = stream.tell()
        stream.truncate(start + 400 * frame.nbytes)
        stream.seek(start + 399 * frame.nbytes)
        stream.write(b"\x07\x00")
    tracemalloc.start()
    last = open_instance(big).stored_frame(400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last[0, 0] == 7
    assert peak < 4 * frame.nbytes


def test_a_deflated_object_opens(write: Write, picture: Picture) -> None:
    pixels = picture(np.int16, -1000, 1000)
    path = write(pixels, transfer_syntax_uid=DeflatedExplicitVRLittleEndian)
    instance = open_instance(path)
    assert np.array_equal(instance.stored_frame(1), pixels)
    assert instance.encoded_frame(1)[1] == "1.2.840.10008.1.2.1"


def test_native_frames_leave_as_they_are_stored(write: Write) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    path = write(pixels, NumberOfFrames=2, PixelData=pixels.tobytes() + (pixels + 1).tobytes())
    instance = open_instance(path)
    assert instance.encoded_frame(2) == ((pixels + 1).tobytes(), "1.2.840.10008.1.2.1")


def test_compressed_frames_leave_as_they_are_stored(
    write: Write, picture: Picture, encoders: Encoders
) -> None:
    pixels = picture(np.uint16, 0, 60000)
    frames = [encoders[JPEGLSLossless](pixels + n) for n in range(3)]
    path = write(pixels, transfer_syntax_uid=JPEGLSLossless, frames=frames, NumberOfFrames=3)
    instance = open_instance(path)
    for n, encoded in enumerate(frames):
        sent, transfer_syntax_uid = instance.encoded_frame(n + 1)
        assert sent.rstrip(b"\0") == encoded.rstrip(b"\0")
        assert transfer_syntax_uid == JPEGLSLossless
        assert np.array_equal(instance.stored_frame(n + 1), pixels + n)


def test_odd_8_bit_frames_of_big_endian_words_are_unswapped(
    tmp_path: Path, grey_dataset: Any
) -> None:
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    both = np.concatenate([pixels.ravel(), pixels.ravel() + 100])
    ds = grey_dataset(pixels)
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.NumberOfFrames = 2
    ds.PixelData = both.view("<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(tmp_path / "big.dcm", enforce_file_format=True)
    instance = open_instance(tmp_path / "big.dcm")
    assert np.array_equal(instance.stored_frame(1), pixels)
    assert np.array_equal(instance.stored_frame(2), pixels + 100)
