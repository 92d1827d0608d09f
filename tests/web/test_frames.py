from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from viewer.decode import Instance, open_instance
from web.accept import accepted_forms
from web.errors import BadParameter, NotAcceptable, NotFound
from web.frames import choose, decoded, frame_numbers


@pytest.fixture
def instance(tmp_path: Path, make_instance: Callable[..., FileDataset]) -> Callable[..., Instance]:
    def make(**changes: object) -> Instance:
        path = tmp_path / "instance.dcm"
        make_instance(**changes).save_as(path, enforce_file_format=True)
        return open_instance(path)

    return make


def test_frames_are_named_by_numbers_from_one(instance: Callable[..., Instance]) -> None:
    three = instance(NumberOfFrames=3, PixelData=bytes(64 * 64 * 2 * 3))
    assert frame_numbers("1,3", three) == [1, 3]
    for wrong in ("0", "1,,2", "-1", "a", "1,1,1,1"):
        with pytest.raises(BadParameter):
            frame_numbers(wrong, three)
    with pytest.raises(NotFound):
        frame_numbers("4", three)


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        'multipart/related; type="application/octet-stream"',
        'multipart/related; type="*/*"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'image/jpeg, multipart/related; type="application/octet-stream"; q=0.1',
    ],
)
def test_native_frames_are_octets(instance: Callable[..., Instance], accept: str) -> None:
    one = instance()
    part = choose(one.transfer_syntax_uid, tuple(accepted_forms(accept))).part(one, 1, "")
    assert part.content_type == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


def test_another_syntax_is_not_made() -> None:
    form = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.2'
    with pytest.raises(NotAcceptable):
        choose("1.2.840.10008.1.2.1", tuple(accepted_forms(form)))


def test_decoded_values_are_as_wide_as_the_header_says(instance: Callable[..., Instance]) -> None:
    values = np.arange(64 * 64, dtype=np.uint16) % 256
    narrow = instance(BitsStored=8, HighBit=7, PixelRepresentation=0, PixelData=values.tobytes())
    assert decoded(narrow, 1) == values.tobytes()


def test_signed_values_of_8_bits_stay_one_byte_each(instance: Callable[..., Instance]) -> None:
    values = np.arange(-64, 64, dtype=np.int8).repeat(32)
    one = instance(
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=1, PixelData=values.tobytes()
    )
    assert decoded(one, 1) == values.tobytes()


def test_deep_colours_are_not_given_with_half_their_bits(
    instance: Callable[..., Instance],
) -> None:
    deep = instance(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        PixelRepresentation=0,
        BitsStored=16,
        HighBit=15,
        PixelData=bytes(64 * 64 * 6),
    )
    with pytest.raises(NotAcceptable, match="8 bits"):
        decoded(deep, 1)
