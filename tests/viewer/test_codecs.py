"""The codec table names every compressed syntax that is drawn, and guards each decoder."""

import numpy as np
import pytest
from pydicom import uid

from viewer.codecs import CODECS, NATIVE_SYNTAXES, codec_for, decode_frame
from viewer.errors import UnsupportedPixels, UnsupportedTransferSyntax
from viewer.pixel_format import PixelFormat

GREY_8 = PixelFormat(4, 4, 1, 8, 8, 7, False, "MONOCHROME2", 0)


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [
        uid.RLELossless,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
    ],
)
def test_syntaxes_that_scanners_send_have_a_codec(transfer_syntax_uid: str) -> None:
    assert codec_for(transfer_syntax_uid) is CODECS[transfer_syntax_uid]
    assert transfer_syntax_uid not in NATIVE_SYNTAXES


@pytest.mark.parametrize("transfer_syntax_uid", ["", "1.2.3", uid.MPEG2MPML])
def test_other_syntaxes_are_refused(transfer_syntax_uid: str) -> None:
    with pytest.raises(UnsupportedTransferSyntax):
        codec_for(transfer_syntax_uid)


@pytest.mark.parametrize("transfer_syntax_uid", sorted(CODECS))
@pytest.mark.parametrize("size", [0, 1, 63, 64, 500])
def test_noise_never_escapes_as_a_foreign_error(transfer_syntax_uid: str, size: int) -> None:
    codec = CODECS[transfer_syntax_uid]
    noise = np.random.default_rng(size).bytes(size)
    with pytest.raises(UnsupportedPixels):
        codec.describe(noise, GREY_8)
    with pytest.raises(UnsupportedPixels):
        decode_frame(transfer_syntax_uid, noise, GREY_8)
