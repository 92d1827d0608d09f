"""Real files of each rule: the PNG a page gets is the picture of the standard's formulas."""

from dataclasses import dataclass

import pytest

from tests.golden import decoding
from tests.golden.files import all_files, every_file, find
from tests.golden.pictures import difference
from viewer.decode import open_instance
from viewer.errors import ViewerError
from viewer.frame_info import frame_info


@dataclass(frozen=True)
class Case:
    """A file, what of PS3.3 it exercises, and which of its frames are compared."""

    name: str
    rule: str
    frames: tuple[int, ...] = (1,)

    def __str__(self) -> str:
        return f"{self.rule}-{self.name}"


EXACT = [
    Case("693_UNCR.dcm", "1 signed, 14 of 16 bits"),
    Case("693_J2KR.dcm", "1 signed, from the codestream"),
    Case("RG1_UNCR.dcm", "1 fifteen bits"),
    Case("RG3_UNCR.dcm", "1 ten bits"),
    Case("RG3_J2KR.dcm", "1 ten bits, from the codestream"),
    Case("J2K_pixelrep_mismatch.dcm", "1 sign of header and codestream differ"),
    Case("mlut_18.dcm", "2 8 modality table"),
    Case("MR2_UNCR.dcm", "2 slope and intercept"),
    Case("CT_small.dcm", "2 slope and intercept"),
    Case("MR_small.dcm", "3 linear window"),
    Case("MR_small_bigendian.dcm", "3 linear window, big endian"),
    Case("MR_small_RLE.dcm", "3 linear window, RLE"),
    Case("image_dfl.dcm", "3 linear window, deflated"),
    Case("vlut_04.dcm", "6 8 VOI table"),
    Case("emri_small.dcm", "16 frames with functional groups", (1, 5, 10)),
    Case("emri_small_RLE.dcm", "16 frames with functional groups", (1, 10)),
    Case("OBXXXX1A.dcm", "11 palette"),
    Case("OBXXXX1A_rle_2frame.dcm", "11 palette, RLE", (1, 2)),
    Case("gdcm-US-ALOKA-16.dcm", "11 palette of 16 bits"),
    Case("gdcm-US-ALOKA-16_big.dcm", "11 palette of 16 bits, big endian"),
    Case("examples_palette.dcm", "11 palette"),
    Case("SC_ybr_full_uncompressed.dcm", "13 YBR_FULL"),
    Case("SC_ybr_full_422_uncompressed.dcm", "13 YBR_FULL_422"),
    Case("examples_ybr_color.dcm", "13 YBR_FULL, RLE", (1, 30)),
    Case("SC_rgb.dcm", "14 by pixel"),
    Case("color-px.dcm", "14 by pixel"),
    Case("color-pl.dcm", "14 by plane"),
    Case("SC_rgb_rle.dcm", "14 RLE"),
    Case("SC_rgb_16bit.dcm", "14 sixteen bits a sample"),
    Case("SC_rgb_small_odd.dcm", "14 odd length"),
    Case("693_J2KI.dcm", "31 lossy history"),
]
"""Nothing lossy decoded anew: equal to the last level."""

WITHIN_ONE = [
    Case("JPGExtended.dcm", "31 lossy JPEG of 12 bits"),
    Case("SC_rgb_jpeg_dcmtk.dcm", "13 colour by the JPEG's markers"),
]
"""Lossy JPEG: two decoders may round the cosines differently."""

ALL_RULES = {str(number) for number in (1, 2, 3, 6, 8, 11, 13, 14, 16, 31)}
"""The others are in `test_generated_rules.py` and `test_pixels.py`."""


def test_every_rule_has_its_file() -> None:
    named = {word for case in [*EXACT, *WITHIN_ONE] for word in case.rule.split() if word.isdigit()}
    assert named >= ALL_RULES


@pytest.mark.peer
@pytest.mark.parametrize("case", EXACT, ids=str)
def test_the_picture_is_that_of_the_formulas(case: Case) -> None:
    path = find(case.name)
    assert [difference(path, frame) for frame in case.frames] == [0] * len(case.frames)


@pytest.mark.peer
@pytest.mark.parametrize("case", WITHIN_ONE, ids=str)
def test_a_lossy_picture_is_within_one_level(case: Case) -> None:
    assert difference(find(case.name)) <= 1


@pytest.mark.parametrize(
    ("name", "is_lossy"),
    [("693_J2KI.dcm", True), ("693_J2KR.dcm", False), ("SC_rgb_jpeg_dcmtk.dcm", True)],
)
def test_lossy_history_is_told(name: str, is_lossy: bool) -> None:
    """Rule 31, PS3.3 C.7.6.1.1.5."""
    assert frame_info(open_instance(find(name)), 1)["lossy"]["is_lossy"] is is_lossy


UNLIKE = {
    # the codestream is signed, the header is not: PS3.5 8.2.4 lets the codestream decide, the
    # other decoder lifts the values by 32,768
    "pylibjpeg__TOSHIBA_J2K_SIZ1_PixRep0.dcm",
    # the encoder predicted signed values; a decoder that follows ISO/IEC 10918-1 draws moire
    "pylibjpeg__JPEGLossless_1s_1f_i_16_16_bad.dcm",
    # its higher values have colours, which test_pixels.py compares
    "eCT_Supplemental.dcm",
}
"""Files whose picture differs from the reference, each for a known reason."""


@all_files
@pytest.mark.peer
@pytest.mark.timeout(900)
def test_every_real_file_is_drawn_by_the_formulas() -> None:
    compared = equal = pixels = refused = skipped = 0
    unlike = {}
    for path in every_file():
        try:
            instance = open_instance(path)
            instance.stored_frame(1)
        except ViewerError:
            refused += 1
            continue
        try:
            distance = difference(path)
        except (decoding.NotDecodable, RuntimeError, AttributeError):
            skipped += 1
            continue
        compared += 1
        equal += distance == 0
        pixels += instance.frame_format(1).rows * instance.frame_format(1).columns
        if distance > 1:
            unlike[path.name] = distance
    print(
        f"\n{compared} files, {pixels} pixels compared with the formulas, {equal} files equal;"
        f" {refused} not drawn, {skipped} without another decoder; unlike: {unlike}"
    )
    assert set(unlike) <= UNLIKE
    assert compared > 100
