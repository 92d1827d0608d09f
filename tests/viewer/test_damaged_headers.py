"""Whatever bytes a header holds, it is described, drawn, or refused in words."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from viewer.decode import open_instance
from viewer.errors import ViewerError
from viewer.frame_info import frame_info
from viewer.key_objects import key_objects_of
from viewer.presentation_state import presentation_info, presentation_of, presentation_state_of
from viewer.render import render_frame

WARNINGS = "ignore::UserWarning"  # pydicom says what it finds odd


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, grey_dataset: Any) -> bytes:
    """An image that is its own presentation state, with overlay, shutter, palette and notes."""
    ds = grey_dataset(np.arange(30, dtype=np.uint16).reshape(5, 6))
    image = item(ReferencedSOPInstanceUID="1.2.3.4", ReferencedFrameNumber=[1])
    graphic = item(
        GraphicType="POLYLINE", GraphicAnnotationUnits="PIXEL", GraphicData=[1.0, 2.0, 3.0, 4.0]
    )
    note = item(
        UnformattedTextValue="here", AnchorPoint=[1.0, 2.0], AnchorPointAnnotationUnits="PIXEL"
    )
    elements = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1",
        "ReferencedSeriesSequence": [item(ReferencedImageSequence=[image])],
        "SoftcopyVOILUTSequence": [item(WindowCenter=10, WindowWidth=20)],
        "DisplayedAreaSelectionSequence": [
            item(DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[6, 5])
        ],
        "GraphicAnnotationSequence": [
            item(GraphicLayer="L", GraphicObjectSequence=[graphic], TextObjectSequence=[note])
        ],
        "ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
        "ShutterLeftVerticalEdge": 1,
        "ShutterRightVerticalEdge": 5,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 5,
        "CenterOfCircularShutter": [3, 3],
        "RadiusOfCircularShutter": 3,
        "VerticesOfThePolygonalShutter": [1, 1, 1, 6, 5, 3],
        "PixelPresentation": "COLOR",
        "ImageRotation": 90,
    }
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [2, 20, 16])
        setattr(ds, f"{channel}PaletteColorLookupTableData", b"\0\x40\0\x80")
    for element, vr, value in (
        *((0x0010, "US", 5), (0x0011, "US", 6), (0x0015, "IS", 1), (0x0040, "CS", "G")),
        *((0x0050, "SS", [1, 1]), (0x0100, "US", 1), (0x0102, "US", 0)),
        (0x3000, "OW", b"\1\2\3\4"),
    ):
        ds.add_new((0x6000, element), vr, value)
    path = tmp_path_factory.mktemp("whole") / "whole.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def read_everything(path: Path) -> None:
    instance = open_instance(path)
    json.dumps(frame_info(instance, 1), allow_nan=False)
    key_objects_of(instance.header)
    state = presentation_state_of(instance.header)
    if state is not None:
        json.dumps(presentation_info(state), allow_nan=False)
        presentation_of(state, instance, 1)
    render_frame(instance, 1, annotation=True)


def test_the_whole_object_is_read(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "whole.dcm"
    path.write_bytes(whole)
    read_everything(path)


@pytest.mark.filterwarnings(WARNINGS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_bytes_are_refused_in_words_at_worst(
    whole: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(160, len(whole) - 70))
        damaged[place] = data.draw(st.sampled_from((0, 1, 0x30, 0x5C, 0x7F, 0x80, 0xFF)))
    path = tmp_path / "damaged.dcm"
    path.write_bytes(damaged)
    with suppress(ViewerError):
        read_everything(path)
