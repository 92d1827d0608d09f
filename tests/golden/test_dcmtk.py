"""Two implementations, one picture: DCMTK's and ours, and the list of where they part.

`docs/rendering.md` explains each kind of disagreement. One that vanishes or appears fails here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence

from tests.conftest import REPOSITORY
from tests.golden import dcmtk
from tests.golden.files import all_files, every_file, find
from tests.golden.generated import dataset, enhanced, lut_item, ramp, write
from viewer.decode import Instance, open_instance
from viewer.errors import ViewerError
from viewer.frame_info import frame_info
from viewer.render import grey_frame

pytestmark = pytest.mark.peer

REAL = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "image_dfl.dcm",
    "mlut_18.dcm",
    "vlut_04.dcm",
    "693_UNCR.dcm",
    "MR2_UNCR.dcm",
    "RG1_UNCR.dcm",
    "RG3_UNCR.dcm",
    "JPEG-LL.dcm",
    "JPEG-lossy.dcm",
    "JPGExtended.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "emri_small.dcm",
    "emri_small_RLE.dcm",
    "rtdose.dcm",
]
"""One of each kind; the long form takes every file."""


def as_shown_first(instance: Instance) -> tuple[str, ...]:
    """Ask DCMTK for what we show first: the header's window or table, else the same numbers."""
    info = frame_info(instance, 1)
    initial = info["initial"]
    if initial["kind"] == "voi_lut":
        return "+Wl", "1"
    if "WindowCenter" in instance.header and initial["index"] is not None:
        return "+Wi", "1"
    # DCMTK knows no Dose Grid Scaling: it gets the window in stored values
    slope = info["modality"]["rescale_slope"] if "DoseGridScaling" in instance.header else 1.0
    center, width = (initial["center"] - 0.5) / slope + 0.5, (initial["width"] - 1) / slope + 1
    return "+Ww", repr(center), repr(width)


def distances(path: Path, *options: str, frame: int = 1) -> np.ndarray | None:
    """Return how far each pixel lies from DCMTK's; None when DCMTK does not draw the file."""
    instance = open_instance(path)
    asked = options or as_shown_first(instance)
    theirs = dcmtk.draw_any(path, instance.transfer_syntax_uid, *asked)
    if theirs is None:
        return None
    ours = grey_frame(instance, frame).astype(np.int64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs)


@pytest.mark.parametrize("name", REAL)
def test_real_pictures_are_within_one_level(name: str) -> None:
    found = distances(find(name))
    assert found is not None
    assert found.max() <= 1


UNLIKE = {
    "IM-0001-0170-0001.dcm": "slope of each frame",
    "pylibjpeg__JPEGLossless_1s_1f_i_16_16_bad.dcm": "JPEG that predicts signed values",
}
"""Real files where the two part, and the row of docs/rendering.md that says why."""


@all_files
@pytest.mark.timeout(900)
def test_every_real_grey_picture_is_within_one_level_or_known() -> None:
    compared = equal = pixels = refused = 0
    unlike: dict[str, int] = {}
    met: set[str] = set()
    for path in every_file():
        try:
            if not open_instance(path).frame_format(1).is_grey:
                continue
            found = distances(path)
        except ViewerError:
            continue
        if found is None:
            refused += 1
            continue
        met.add(path.name)
        compared, pixels = compared + 1, pixels + found.size
        equal += not found.any()
        if found.max() > 1:
            unlike[path.name] = int(found.max())
    print(
        f"\n{compared} files, {pixels} pixels compared with DCMTK, {equal} files equal;"
        f" {refused} not drawn by DCMTK; unlike: {unlike}"
    )
    assert set(unlike) == met & set(UNLIKE)
    assert compared > 100


TWELVE = ramp(np.uint16, 0, 4095)
DEPTH = {"BitsStored": 12, "HighBit": 11}
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
MONOCHROME1 = {"PhotometricInterpretation": "MONOCHROME1"}
FINE = {"RescaleSlope": "0.0017", "RescaleIntercept": "-1.5", "WindowCenter": 2, "WindowWidth": 5}


def modality_table() -> Sequence:
    table = lut_item([4096, 0, 16], (np.arange(4096) ** 2 // 256).tolist())
    table.ModalityLUTType = "OD"
    return Sequence([table])


def voi_table(*item: Any) -> dict[str, Any]:
    return {"VOILUTSequence": Sequence([lut_item(*item)])}


def packed(values: range) -> list[int]:
    return list(np.frombuffer(bytes(values), "<u2").tolist())


AGREED: dict[str, dict[str, Any]] = {
    "linear": WINDOW,
    "width 1": {"WindowCenter": 2048, "WindowWidth": 1},
    "width 2": {"WindowCenter": 2048, "WindowWidth": 2},
    "fractional center": {"WindowCenter": "1000.5", "WindowWidth": "777.3"},
    "off the range": {"WindowCenter": 9000, "WindowWidth": 4000},
    "sigmoid": {"WindowCenter": 2048, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
    "falling slope": {"RescaleSlope": -1, "RescaleIntercept": 0, "WindowCenter": -2000,
                      "WindowWidth": 3000},
    "MONOCHROME1": WINDOW | MONOCHROME1,
    "shape before photometric": WINDOW | MONOCHROME1 | {"PresentationLUTShape": "IDENTITY"},
    "shape inverse": WINDOW | {"PresentationLUTShape": "INVERSE"},
    "modality table": {"ModalityLUTSequence": modality_table(), "WindowCenter": 32768,
                       "WindowWidth": 65536, "RescaleSlope": 7, "RescaleIntercept": -3},
    "voi table": voi_table([4096, 0, 12], (np.arange(4096) ** 2 // 4096).tolist()),
    "voi table, part of the range": voi_table([1000, 1500, 10], list(range(1000))),
    "voi table not reaching white": voi_table([4096, 0, 12], (np.arange(4096) // 2).tolist()),
    "voi table of bytes in words": voi_table([256, 100, 8], packed(range(256))),
    "voi table of 65,536": voi_table([0, 0, 16], np.arange(65536, dtype="<u2").tobytes(), "OW"),
    "voi table, MONOCHROME1": MONOCHROME1 | voi_table([4096, 0, 12], list(range(4096))),
    "padding at the dark end": WINDOW | {"PixelPaddingValue": 0},
}  # fmt: skip
"""Headers over 12 bit values that DCMTK and we draw alike."""


@pytest.mark.parametrize("kind", AGREED)
def test_generated_pictures_are_within_one_level(tmp_path: Path, kind: str) -> None:
    found = distances(write(tmp_path / "a.dcm", TWELVE, **DEPTH | AGREED[kind]))
    assert found is not None
    assert found.max() <= 1


@pytest.mark.parametrize(
    ("pixels", "elements"),
    [
        (ramp(np.uint16, 0, 65535), {"WindowCenter": 32768, "WindowWidth": 65536}),
        (ramp(np.int16, -2048, 2047), DEPTH | {"WindowCenter": 0, "WindowWidth": 4096}),
        (TWELVE << 4, {"BitsStored": 12, "HighBit": 15, **WINDOW}),
        ((TWELVE << 2) | 0xC003, {"BitsStored": 12, "HighBit": 13, **WINDOW}),
        (ramp(np.int8, -128, 127), {"WindowCenter": 0, "WindowWidth": 200}),
        (ramp(np.uint32, 0, 2**32 - 1), {"WindowCenter": 2**31, "WindowWidth": 2**32}),
        (ramp(np.int32, -(2**31), 2**31 - 1), {"WindowCenter": 0, "WindowWidth": 2**31}),
    ],
    ids=["u16", "s12", "high bit 15", "other bits set", "s8", "u32", "s32"],
)
def test_every_word_layout_is_within_one_level(
    tmp_path: Path, pixels: Any, elements: dict[str, Any]
) -> None:
    found = distances(write(tmp_path / "a.dcm", pixels, **elements))
    assert found is not None
    assert found.max() <= 1


@dataclass(frozen=True)
class Disagreement:
    """A kind of object that DCMTK draws otherwise, as `docs/rendering.md` names it."""

    row: str
    write: Callable[[Path], Path]
    options: tuple[str, ...] = ()
    frame: int = 1


def written(**elements: Any) -> Callable[[Path], Path]:
    return lambda path: write(path, TWELVE, **DEPTH | elements)


def frames_with_slopes(path: Path) -> Path:
    groups = [
        dataset(
            PixelValueTransformationSequence=Sequence(
                [dataset(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")]
            ),
            FrameVOILUTSequence=Sequence([dataset(WindowCenter=700, WindowWidth=300)]),
        )
        for slope in (0.5, 2)
    ]
    one = ramp(np.uint16, 0, 1000, 16, 16)
    return write(path, np.concatenate([one, one]), **enhanced(groups, Rows=16))


DISAGREEMENTS = [
    Disagreement(
        "LINEAR_EXACT",
        written(WindowCenter=2048, WindowWidth=16, VOILUTFunction="LINEAR_EXACT"),
    ),
    Disagreement("LINEAR narrower than 1", written(WindowCenter=2048, WindowWidth="0.3")),
    Disagreement("padding, inverted", written(**WINDOW, **MONOCHROME1, PixelPaddingValue=0)),
    Disagreement("padding, bright", written(**WINDOW, PixelPaddingValue=4095)),
    Disagreement("slope with a fraction", written(**FINE)),
    Disagreement(
        "slope of each frame", frames_with_slopes, ("+F", "2", "+Ww", "700", "300"), frame=2
    ),
]


@pytest.mark.parametrize("known", DISAGREEMENTS, ids=lambda known: known.row)
def test_known_disagreements_are_still_there(tmp_path: Path, known: Disagreement) -> None:
    found = distances(known.write(tmp_path / "a.dcm"), *known.options, frame=known.frame)
    assert found is not None
    assert found.max() > 1


def test_every_disagreement_is_explained_on_the_page() -> None:
    page = (REPOSITORY / "docs" / "rendering.md").read_text()
    rows = {known.row for known in DISAGREEMENTS} | set(UNLIKE.values())
    assert [row for row in sorted(rows) if f"| {row} |" not in page] == []
