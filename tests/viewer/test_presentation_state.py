"""A presentation state says of which frames it speaks, and how they are to be shown."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from viewer import graphic_annotations
from viewer.decode import Instance, open_instance
from viewer.errors import UnsupportedPixels
from viewer.graphic_annotations import MAX_ANNOTATIONS, annotations_of
from viewer.grey_levels import window_to_uint8
from viewer.presentation_state import (
    Presentation,
    PresentationState,
    presentation_info,
    presentation_of,
    presentation_state_of,
    presented_pixels,
    turned,
)
from viewer.references import Reference
from viewer.windowing import ModalityLut, VoiLut, Window

Write = Callable[..., Path]
GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
IMAGE = "1.2.3.4"  # as the data sets of `write` are named


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    ds.set_original_encoding(False, True)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def image(uid: str = IMAGE, *frames: int) -> Dataset:
    reference = item(ReferencedSOPInstanceUID=uid)
    if frames:
        reference.ReferencedFrameNumber = list(frames)
    return reference


def state_dataset(*images: Dataset, **elements: Any) -> Dataset:
    series = item(ReferencedImageSequence=list(images or [image()]))
    return item(
        SOPClassUID=GRAYSCALE,
        SOPInstanceUID="1.2.9",
        ReferencedSeriesSequence=[series],
        PresentationLUTShape="IDENTITY",
        **elements,
    )


def read(ds: Dataset) -> PresentationState:
    state = presentation_state_of(ds)
    assert state is not None
    return state


def shown(ds: Dataset, instance: Instance, frame_number: int = 1) -> Presentation:
    presentation = presentation_of(read(ds), instance, frame_number)
    assert presentation is not None
    return presentation


@pytest.fixture
def cine(write: Write) -> Instance:
    """Three frames with slopes, windows, polarity and a shutter of their own."""
    return open_instance(
        write(
            np.zeros((2, 2), np.uint16),
            NumberOfFrames=3,
            PixelData=bytes(24),
            BitsStored=12,
            HighBit=11,
            PhotometricInterpretation="MONOCHROME1",
            RescaleSlope=7,
            RescaleIntercept=-1000,
            WindowCenter=1,
            WindowWidth=2,
            ShutterShape="CIRCULAR",
            CenterOfCircularShutter=[1, 1],
            RadiusOfCircularShutter=1,
        )
    )


def test_a_state_replaces_all_of_the_frames_own_transforms(cine: Instance) -> None:
    voi = item(WindowCenter=[40, 50], WindowWidth=[400, 60], VOILUTFunction="SIGMOID")
    found = shown(
        state_dataset(
            SoftcopyVOILUTSequence=[voi],
            RescaleSlope=2,
            RescaleIntercept=-5,
            RescaleType="HU",
            ImageRotation=270,
            ImageHorizontalFlip="Y",
        ),
        cine,
    )
    assert found.modality == ModalityLut(2, -5, "HU")
    assert found.voi == Window(40, 400, "SIGMOID")
    assert (found.is_inverted, found.rotation, found.is_flipped) == (False, 270, True)
    assert found.shutter is None


def test_what_a_state_does_not_have_is_the_identity(cine: Instance) -> None:
    found = shown(state_dataset(), cine)
    assert found.modality == ModalityLut()
    assert isinstance(found.voi, Window)
    assert (found.voi.center, found.voi.width, found.voi.function) == (2048, 4096, "LINEAR")
    ends = np.array([[0, 4095]], np.uint16)
    assert window_to_uint8(ends, found.modality, found.voi).tolist() == [[0, 255]]


@pytest.mark.parametrize(("shape", "is_inverted"), [("IDENTITY", False), ("INVERSE", True)])
def test_the_presentation_lut_shape_alone_decides_polarity(
    cine: Instance, shape: str, is_inverted: bool
) -> None:
    ds = state_dataset()
    ds.PresentationLUTShape = shape
    assert shown(ds, cine).is_inverted is is_inverted


def test_windows_areas_and_notes_are_for_the_frames_they_name(cine: Instance) -> None:
    def area(column: int, *frames: int) -> Dataset:
        return item(
            ReferencedImageSequence=[image(IMAGE, *frames)],
            DisplayedAreaTopLeftHandCorner=[column, 1],
            DisplayedAreaBottomRightHandCorner=[2, -2],
            PresentationSizeMode="MAGNIFY",
            PresentationPixelMagnificationRatio=2.5,
        )

    ds = state_dataset(
        image("1.2.77"),
        image(IMAGE, 1, 2),
        SoftcopyVOILUTSequence=[
            item(ReferencedImageSequence=[image("1.2.77")], WindowCenter=1, WindowWidth=1),
            item(ReferencedImageSequence=[image(IMAGE, 2)], WindowCenter=2, WindowWidth=2),
            item(ReferencedImageSequence=[image(IMAGE)], WindowCenter=3, WindowWidth=3),
        ],
        DisplayedAreaSelectionSequence=[area(1, 1), area(2, 2)],
        GraphicAnnotationSequence=[
            item(GraphicLayer="ALL"),
            item(GraphicLayer="SECOND", ReferencedImageSequence=[image(IMAGE, 2)]),
        ],
    )
    first, second = shown(ds, cine, 1), shown(ds, cine, 2)
    assert (first.voi, second.voi) == (Window(3, 3), Window(2, 2))
    assert first.area is not None
    assert (first.area.top_left, first.area.bottom_right) == ((1, 1), (2, -2))
    assert (first.area.size_mode, first.area.magnification) == ("MAGNIFY", 2.5)
    assert second.area is not None
    assert second.area.top_left == (2, 1)
    assert [note.layer for note in first.annotations] == ["ALL"]
    assert [note.layer for note in second.annotations] == ["ALL", "SECOND"]
    assert presentation_of(read(ds), cine, 3) is None
    assert read(ds).references == (Reference("1.2.77"), Reference(IMAGE, (1, 2)))


@pytest.mark.parametrize(("slope", "first"), [(-1, -2), (1, 0xFFFE)])
def test_a_tables_first_value_is_signed_when_the_values_can_be_negative(
    cine: Instance, slope: int, first: int
) -> None:
    lut = item(LUTData=[0, 255])
    lut.add_new("LUTDescriptor", "US", [2, 0xFFFE, 8])
    ds = state_dataset(
        SoftcopyVOILUTSequence=[item(VOILUTSequence=[lut])], RescaleSlope=slope, RescaleIntercept=0
    )
    assert shown(ds, cine).voi == VoiLut(first, 8, (0, 255))


@pytest.mark.parametrize(("sign", "first"), [(1, -1), (0, 0xFFFF)])
def test_a_modality_tables_first_value_is_signed_like_the_pixels(
    write: Write, sign: int, first: int
) -> None:
    lut = item(LUTData=[10, 300])
    lut.add_new("LUTDescriptor", "US", [2, 0xFFFF, 16])
    instance = open_instance(write(np.zeros((2, 2), np.uint16), PixelRepresentation=sign))
    found = shown(state_dataset(ModalityLUTSequence=[lut]), instance)
    assert (found.modality.first, found.modality.values) == (first, (10, 300))
    assert isinstance(found.voi, Window)
    assert (found.voi.center, found.voi.width) == (155.5, 291)


def test_a_damaged_modality_table_makes_the_state_unusable() -> None:
    with pytest.raises(UnsupportedPixels, match="modality lookup table"):
        presentation_state_of(state_dataset(ModalityLUTSequence=[item()]))


def test_a_states_shutter_is_read_and_a_bitmap_is_named_as_left_out(cine: Instance) -> None:
    ds = state_dataset(
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=1,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=2,
    )
    shutter = shown(ds, cine).shutter
    assert shutter is not None
    assert shutter.rectangle is not None
    assert shutter.rectangle.right == 1
    bitmap = state_dataset(ShutterShape="BITMAP", PresentationLUTSequence=[item()])
    assert read(bitmap).left_out == ("bitmap shutter", "presentation LUT")


@pytest.mark.parametrize(
    ("rotation", "is_flipped", "expected"),
    [
        (0, False, [[1, 2, 3], [4, 5, 6]]),
        (90, False, [[4, 1], [5, 2], [6, 3]]),
        (180, False, [[6, 5, 4], [3, 2, 1]]),
        (270, False, [[3, 6], [2, 5], [1, 4]]),
        (0, True, [[3, 2, 1], [6, 5, 4]]),
        (90, True, [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_pictures_are_rotated_clockwise_before_they_are_flipped(
    rotation: int, is_flipped: bool, expected: list[list[int]]
) -> None:
    pixels = np.array([[1, 2, 3], [4, 5, 6]])
    assert turned(pixels, rotation, is_flipped).tolist() == expected


def test_a_shutter_covers_the_unturned_frame_inverted_or_not_and_padding_stays_black(
    write: Write,
) -> None:
    pixels = np.array([[0, 100, 255], [100, 100, 7]], np.uint8)
    instance = open_instance(write(pixels, PixelPaddingValue=7))
    ds = state_dataset(
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=3,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=1,
        ShutterPresentationValue=65535,
        ImageRotation=90,
    )
    ds.PresentationLUTShape = "INVERSE"
    drawn = presented_pixels(instance, 1, shown(ds, instance))
    assert drawn.tolist() == [[255, 255], [255, 155], [255, 0]]
    open_all = state_dataset()
    assert presented_pixels(instance, 1, shown(open_all, instance)).tolist() == [
        [0, 100, 255],
        [100, 100, 0],
    ]


def test_colours_are_turned_but_not_windowed(write: Write) -> None:
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    instance = open_instance(write(rgb))
    ds = state_dataset(ImageRotation=180)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.2"
    drawn = presented_pixels(instance, 1, shown(ds, instance))
    assert np.array_equal(drawn, rgb[::-1, ::-1])


def test_an_impossible_rotation_counts_as_none() -> None:
    assert read(state_dataset(ImageRotation=45)).rotation == 0


def graphic(kind: str, *values: float, units: str = "PIXEL", filled: str = "N") -> Dataset:
    return item(
        GraphicType=kind,
        GraphicData=list(values),
        GraphicAnnotationUnits=units,
        GraphicFilled=filled,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(values) // 2,
    )


def test_graphics_are_read_with_their_points_and_damaged_ones_left_out() -> None:
    good = [
        graphic("POINT", 1.5, 2.5),
        graphic("POLYLINE", 0, 0, 1, 0, 1, 1, filled="Y"),
        graphic("INTERPOLATED", 0, 0, 1, 1, units="DISPLAY"),
        graphic("CIRCLE", 5, 5, 8, 5),
        graphic("ELLIPSE", 0, 5, 10, 5, 5, 3, 5, 7),
    ]
    bad = [
        graphic("POINT", 1, 2, 3, 4),
        graphic("CIRCLE", 5, 5),
        graphic("POLYLINE", 1, 2, 3),
        graphic("SPIRAL", 1, 2),
        graphic("POINT", 1, 2, units="INCH"),
        item(),
    ]
    ds = item(GraphicAnnotationSequence=[item(GraphicLayer="L", GraphicObjectSequence=good + bad)])
    [annotation] = annotations_of(ds)
    assert [one.kind for one in annotation.graphics] == [one.GraphicType for one in good]
    assert annotation.graphics[1].points == ((0, 0), (1, 0), (1, 1))
    assert [one.is_filled for one in annotation.graphics] == [False, True, False, False, False]
    assert annotation.graphics[2].units == "DISPLAY"


def test_texts_keep_their_lines_and_places() -> None:
    boxed = item(
        UnformattedTextValue="Fracture\r\n<b>left</b>\x07",
        BoundingBoxAnnotationUnits="DISPLAY",
        BoundingBoxTopLeftHandCorner=[0.1, 0.2],
        BoundingBoxBottomRightHandCorner=[0.5, 0.4],
        BoundingBoxTextHorizontalJustification="CENTER",
    )
    anchored = item(
        UnformattedTextValue="here",
        AnchorPointAnnotationUnits="PIXEL",
        AnchorPoint=[10, 20],
        AnchorPointVisibility="Y",
    )
    lost = [item(UnformattedTextValue="nowhere"), item(AnchorPoint=[1, 2])]
    notes = item(TextObjectSequence=[boxed, anchored, *lost])
    [annotation] = annotations_of(item(GraphicAnnotationSequence=[notes]))
    first, second = annotation.texts
    assert first.text == "Fracture\n<b>left</b>"
    assert (first.box_units, first.box) == ("DISPLAY", ((0.1, 0.2), (0.5, 0.4)))
    assert (first.justification, first.anchor) == ("CENTER", None)
    assert (second.anchor, second.is_anchor_visible, second.box) == ((10, 20), True, None)


def test_a_flood_of_annotations_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphic_annotations, "MAX_ANNOTATIONS", 5)
    notes = [item(GraphicObjectSequence=[graphic("POINT", 1, 2)] * 3) for _ in range(4)]
    found = annotations_of(item(GraphicAnnotationSequence=notes))
    assert [len(one.graphics) for one in found] == [3, 2, 0, 0]
    assert MAX_ANNOTATIONS >= 1000


def test_layers_come_lowest_first() -> None:
    layers = [item(GraphicLayer=name, GraphicLayerOrder=n) for n, name in ((3, "C"), (1, "A"))]
    state = read(state_dataset(GraphicLayerSequence=layers))
    assert [layer.name for layer in state.layers] == ["A", "C"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [("1", "grayscale"), ("2", "color"), ("3", "pseudo-color"), ("4", "blending"), ("9", "other")],
)
def test_kinds_are_named(number: str, kind: str) -> None:
    ds = state_dataset()
    ds.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.11.{number}"
    assert read(ds).kind == kind


def test_other_objects_are_no_states(cine: Instance) -> None:
    assert presentation_state_of(cine.header) is None
    assert presentation_state_of(Dataset()) is None


def test_an_empty_state_is_read_and_refers_to_nothing(cine: Instance) -> None:
    state = read(item(SOPClassUID=GRAYSCALE))
    assert state.references == ()
    assert presentation_of(state, cine, 1) is None
    info = json.loads(json.dumps(presentation_info(state), allow_nan=False))
    assert info["modality"]["slope"] == 1.0
    assert info["annotations"] == []


def in_dcmtks_eyes(tmp_path: Path, image_path: Path, state_path: Path) -> NDArray[np.int64]:
    program = shutil.which("dcmp2pgm")
    if program is None:
        pytest.skip("DCMTK is not installed")
    picture = tmp_path / "state.pgm"
    # without a display function: P-values as they are
    command = [program, "--pstate", state_path, "--pgm", image_path, picture]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return np.asarray(Image.open(picture)).astype(np.int64)


@pytest.mark.peer
@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
@pytest.mark.parametrize(("rotation", "flip"), [(0, "N"), (90, "N"), (180, "Y"), (270, "Y")])
def test_a_frame_under_a_state_is_as_dcmtk_shows_it(
    tmp_path: Path, testdata: Callable[[str], Path], shape: str, rotation: int, flip: str
) -> None:
    image_path = testdata("CT_small.dcm")
    state_path = tmp_path / "state.dcm"
    program = shutil.which("dcmpsmk")
    if program is None:
        pytest.skip("DCMTK is not installed")
    subprocess.run([program, image_path, state_path], check=True, timeout=60, capture_output=True)
    ds = pydicom.dcmread(state_path)
    ds.SoftcopyVOILUTSequence = [item(WindowCenter="150.5", WindowWidth="900")]
    ds.PresentationLUTShape, ds.ImageRotation, ds.ImageHorizontalFlip = shape, rotation, flip
    ds.save_as(state_path)
    instance = open_instance(image_path)
    found = shown(open_instance(state_path).header, instance)
    ours = presented_pixels(instance, 1, found).astype(int)
    theirs = in_dcmtks_eyes(tmp_path, image_path, state_path)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


def test_states_that_dcmtk_made_are_read(corpus: Path) -> None:
    paths = sorted((corpus / "derived").glob("gsps*.dcm"))
    states = [read(open_instance(path).header) for path in paths]
    assert len(states) == 3
    first, overlaid, table = states
    assert first.voi[0].windows == (Window(752, 1604, "LINEAR", "Algo1"),)
    assert first.areas[0].bottom_right == (384, 384)
    assert overlaid.left_out == ("overlay of the presentation state",)
    assert table.voi[0].voi_luts[0].values[:3] == (0, 257, 514)
    assert replace(first, left_out=()) == first
