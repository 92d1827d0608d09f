"""A browser can draw the frame from its description alone."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from viewer.decode import open_instance
from viewer.errors import NoSuchFrame
from viewer.frame_info import frame_info
from viewer.render import grey_frame

Write = Callable[..., Path]
KEYS = {
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "sop_class_uid",
    "family",
    "transfer_syntax_uid",
    "frame_number",
    "number_of_frames",
    "rows",
    "columns",
    "kind",
    "reason",
    "pixels",
    "photometric_interpretation",
    "invert",
    "modality",
    "windows",
    "voi_luts",
    "initial",
    "pixel_padding",
    "pixel_spacing",
    "pixel_aspect_ratio",
    "orientation_letters",
    "image_position_patient",
    "image_orientation_patient",
    "slice_location",
    "slice_thickness",
    "slice_position",
    "spacing_between_slices",
    "normal",
    "frame_of_reference_uid",
    "regions",
    "lossy",
    "burned_in_annotation",
    "has_icc_profile",
    "overlays",
    "shutter",
    "supplemental_palette",
    "patient",
    "study",
    "series",
    "instance_number",
}


def clamped(values: list[int], place: float) -> float:
    return values[int(min(max(place, 0), len(values) - 1))]


def browsers_level(info: dict[str, Any], s: int) -> int:
    """What the docstring of `frame_info` tells a browser to do, in plain double precision."""
    if info["pixel_padding"] and info["pixel_padding"][0] <= s <= info["pixel_padding"][1]:
        return 0
    modality, initial = info["modality"], info["initial"]
    if modality["lut"]:
        x = clamped(modality["lut"]["values"], s - modality["lut"]["first"])
    else:
        x = s * modality["rescale_slope"] + modality["rescale_intercept"]
    if initial["kind"] == "voi_lut":
        lut = info["voi_luts"][initial["index"]]
        place = math.floor(x + 0.5) - lut["first"]
        y = clamped(lut["values"], place) * 255 / (2 ** lut["bits"] - 1)
    else:
        y = browsers_window(x, initial["center"], initial["width"], initial["function"])
    v = math.floor(y + 0.5)
    return 255 - v if info["invert"] else v


def browsers_window(x: float, center: float, width: float, function: str) -> float:
    if function == "SIGMOID":
        return 255 / (1 + math.exp(-4 * (x - center) / width))
    is_linear = function == "LINEAR" and width >= 1
    middle, span = (center - 0.5, width - 1) if is_linear else (center, width)
    if x <= middle - span / 2:
        return 0
    if x > middle + span / 2:
        return 255
    return (x - middle) * 255 / span + 127.5


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "mlut_18.dcm",
        "vlut_04.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "RG3_J2KI.dcm",
        "emri_small.dcm",
        "examples_overlay.dcm",
        "image_dfl.dcm",
    ],
)
def test_the_description_reproduces_the_rendered_grey_levels(
    testdata: Callable[[str], Path], name: str
) -> None:
    instance = open_instance(testdata(name))
    info = json.loads(json.dumps(frame_info(instance, 1), allow_nan=False))
    stored = instance.stored_frame(1)
    assert info["kind"] == "grey"
    assert info["pixels"]["dtype"] == stored.dtype.name
    assert info["pixels"]["min"] <= stored.min()
    assert stored.max() <= info["pixels"]["max"]
    values, places = np.unique(stored, return_inverse=True)
    table = np.array([browsers_level(info, value) for value in values.tolist()])
    assert np.array_equal(table[places].reshape(stored.shape), grey_frame(instance, 1))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_function_and_polarity_is_reproduced(
    write: Write, function: str, photometric: str
) -> None:
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = write(
        pixels,
        BitsStored=12,
        HighBit=11,
        PhotometricInterpretation=photometric,
        WindowCenter=2000,
        WindowWidth=1234,
        VOILUTFunction=function,
        PixelPaddingValue=100,
        PixelPaddingRangeLimit=90,
        RescaleSlope=0.5,
        RescaleIntercept=700,
    )
    instance = open_instance(path)
    info = frame_info(instance, 1)
    table = np.array([browsers_level(info, value) for value in range(4096)])
    assert np.array_equal(table.reshape(64, 64), grey_frame(instance, 1))


def test_every_description_has_the_same_keys(write: Write, testdata: Callable[[str], Path]) -> None:
    paths = [write(np.zeros((2, 2), np.int16)), write(np.zeros((2, 2, 3), np.uint8), name="rgb")]
    for path in (*paths, testdata("rtplan.dcm")):
        assert set(frame_info(open_instance(path), 1)) == KEYS


def test_colour_is_described_as_ready_to_draw(write: Write) -> None:
    info = frame_info(open_instance(write(np.zeros((2, 3, 3), np.uint8))), 1)
    assert info["kind"] == "colour"
    assert info["pixels"]["dtype"] == "rgb8"
    assert info["initial"] is None


def test_what_cannot_be_shown_says_why(write: Write) -> None:
    path = write(np.zeros((2, 3), np.uint16), PatientID="P7", Rows=100)
    info = frame_info(open_instance(path), 1)
    assert info["kind"] == "none"
    assert info["reason"]["code"] == "unsupported-pixels"
    assert "incomplete" in info["reason"]["message"]
    assert info["patient"]["patient_id"] == "P7"


def test_a_damaged_codestream_is_described_without_a_window_when_one_must_be_computed(
    write: Write,
) -> None:
    noise = b"\xff\xd8" + bytes(60) + b"\xff\xd9"
    path = write(
        np.zeros((8, 8), np.uint16), transfer_syntax_uid="1.2.840.10008.1.2.4.80", frames=[noise]
    )
    info = frame_info(open_instance(path), 1)
    assert (info["kind"], info["reason"]["code"]) == ("none", "unsupported-pixels")


def test_a_frame_outside_the_object_is_an_error(write: Write) -> None:
    with pytest.raises(NoSuchFrame):
        frame_info(open_instance(write(np.zeros((2, 2), np.uint8))), 2)


def test_extremes_leave_padding_out(write: Write) -> None:
    path = write(np.array([[-2000, 5, 90]], np.int16), PixelPaddingValue=-2000)
    instance = open_instance(path)
    pixels = frame_info(instance, 1, stored=instance.stored_frame(1))["pixels"]
    assert pixels["smallest_image_pixel_value"] == 5
    assert pixels["largest_image_pixel_value"] == 90


def test_identity_geometry_and_texts_come_from_the_same_object(write: Write) -> None:
    path = write(
        np.zeros((2, 2), np.int16),
        Modality="CT",
        InstanceNumber=7,
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-10, -20, 33.5],
        PixelSpacing=[0.5, 0.5],
        FrameOfReferenceUID="1.2.9",
        SliceThickness=5,
        StudyDescription="HEAD",
        Laterality="L",
        LossyImageCompression="01",
        LossyImageCompressionRatio=["4", "9.5"],
        LossyImageCompressionMethod=["ISO_10918_1", "ISO_15444_1"],
    )
    info = frame_info(open_instance(path), 1)
    assert info["patient"]["patient_name"] == "PHANTOM^TEST"
    assert info["study"]["study_description"] == "HEAD"
    assert info["series"]["laterality"] == "L"
    assert info["orientation_letters"] == {"left": "R", "top": "A", "right": "L", "bottom": "P"}
    assert info["slice_position"] == pytest.approx(33.5)
    spacing = info["pixel_spacing"]
    assert (spacing["row"], spacing["column"], spacing["origin"]) == (0.5, 0.5, "patient")
    assert spacing["unit_words"] == "mm"
    assert info["normal"] == (0, 0, 1)
    assert info["frame_of_reference_uid"] == "1.2.9"
    assert info["regions"] == []
    assert info["lossy"] == {
        "is_lossy": True,
        "ratio": 9.5,
        "method": "ISO_15444_1",
        "ratios": [4, 9.5],
        "methods": ["ISO_10918_1", "ISO_15444_1"],
    }
    assert (info["instance_number"], info["slice_thickness"]) == (7, 5)


def test_enhanced_frames_have_their_own_place(write: Write) -> None:
    def group(z: float) -> Dataset:
        plane = Dataset()
        plane.ImagePositionPatient = [0, 0, z]
        outer = Dataset()
        outer.PlanePositionSequence = Sequence([plane])
        return outer

    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([orientation])
    path = write(
        np.zeros((2, 2), np.uint8),
        NumberOfFrames=2,
        PixelData=bytes(8),
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([group(1), group(4)]),
    )
    instance = open_instance(path)
    assert [frame_info(instance, n)["slice_position"] for n in (1, 2)] == [1, 4]
