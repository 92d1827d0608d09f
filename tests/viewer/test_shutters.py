"""A shutter covers what lies outside of all its shapes, and nothing else."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from viewer.decode import open_instance
from viewer.frame_info import frame_info
from viewer.render import render_frame
from viewer.shutters import Circle, Rectangle, Shutter, apply_shutter, opening, shutter_of

Write = Callable[..., Path]
RECTANGLE = {
    "ShutterLeftVerticalEdge": 2,
    "ShutterRightVerticalEdge": 4,
    "ShutterUpperHorizontalEdge": 1,
    "ShutterLowerHorizontalEdge": 2,
}


def dataset(shape: str | list[str], **elements: Any) -> Dataset:
    ds = Dataset()
    ds.ShutterShape = shape
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def seen(ds: Dataset, rows: int, columns: int) -> list[str]:
    shutter = shutter_of(ds)
    assert shutter is not None
    found = opening(shutter, rows, columns)
    assert found is not None
    return ["".join("#" if pixel else "." for pixel in row) for row in found]


def test_a_rectangle_shows_its_edges_counted_from_one() -> None:
    assert seen(dataset("RECTANGULAR", **RECTANGLE), 4, 5) == [".###.", ".###.", ".....", "....."]


def test_a_circle_is_measured_from_its_centre_pixel() -> None:
    ds = dataset("CIRCULAR", CenterOfCircularShutter=[3, 4], RadiusOfCircularShutter=2)
    assert seen(ds, 5, 7) == ["...#...", "..###..", ".#####.", "..###..", "...#..."]


def test_a_circle_counts_columns_so_taller_pixels_give_fewer_rows() -> None:
    shutter = Shutter(None, Circle(3, 3, 2), (), False, 0)
    found = opening(shutter, 5, 5, (2.0, 1.0))
    assert found is not None
    assert found.astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [1, 1, 1, 1, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_a_polygon_shows_its_edges_and_corners() -> None:
    ds = dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1, 3, 3, 5, 5, 3, 3, 1])
    assert seen(ds, 5, 6) == ["..#...", ".###..", "#####.", ".###..", "..#..."]


def test_a_polygon_may_be_hollowed() -> None:
    ds = dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 1, 5, 4, 5, 2, 3, 4, 1])
    assert seen(ds, 4, 5) == ["#####", "#####", "##.##", "#...#"]


def test_several_shapes_show_only_what_lies_in_all() -> None:
    ds = dataset(
        ["RECTANGULAR", "CIRCULAR"],
        CenterOfCircularShutter=[2, 2],
        RadiusOfCircularShutter=1,
        **RECTANGLE,
    )
    assert seen(ds, 4, 5) == [".#...", ".##..", ".....", "....."]


def inside_by_hand(vertices: list[tuple[int, int]], y: int, x: int) -> bool:
    """Even-odd rule, and any point on an edge, in whole numbers."""
    is_inside = False
    for (y1, x1), (y2, x2) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        in_box = min(y1, y2) <= y <= max(y1, y2) and min(x1, x2) <= x <= max(x1, x2)
        if cross == 0 and in_box:
            return True
        if (y1 <= y) != (y2 <= y) and (cross > 0) == (y2 < y1):
            is_inside = not is_inside
    return is_inside


@given(st.lists(st.tuples(st.integers(-2, 9), st.integers(-2, 9)), min_size=3, max_size=3))
def test_any_triangle_is_filled_with_its_edges(vertices: list[tuple[int, int]]) -> None:
    shutter = Shutter(None, None, tuple(vertices), False, 0)
    found = opening(shutter, 8, 8)
    expected = np.array(
        [[inside_by_hand(vertices, y, x) for x in range(1, 9)] for y in range(1, 9)]
    )
    assert np.array_equal(np.zeros((8, 8)) if found is None else found, expected)


@given(st.tuples(*[st.integers(-5, 15)] * 4), st.tuples(st.integers(-5, 15), st.integers(-5, 15)))
def test_any_rectangle_and_circle_follow_the_definition(
    edges: tuple[int, ...], center: tuple[int, int]
) -> None:
    left, right, upper, lower = edges
    shutter = Shutter(Rectangle(left, right, upper, lower), Circle(*center, 6), (), False, 0)
    y, x = np.mgrid[1:10, 1:12]
    expected = (left <= x) & (x <= right) & (upper <= y) & (y <= lower)
    expected &= (y - center[0]) ** 2 + (x - center[1]) ** 2 <= 36
    found = opening(shutter, 9, 11)
    assert np.array_equal(np.zeros((9, 11)) if found is None else found, expected)


@pytest.mark.parametrize(("p_value", "grey"), [(None, 0), (0, 0), (65535, 255), (32768, 128)])
def test_the_presentation_value_is_drawn_outside(p_value: int | None, grey: int) -> None:
    ds = dataset("RECTANGULAR", **RECTANGLE)
    if p_value is not None:
        ds.ShutterPresentationValue = p_value
    shutter = shutter_of(ds)
    assert shutter is not None
    pixels = np.full((3, 5, 3), 77, np.uint8)
    covered = apply_shutter(pixels, shutter)
    assert covered[0, :, 1].tolist() == [grey, 77, 77, 77, grey]
    assert covered[2].tolist() == [[grey] * 3] * 5
    assert (pixels == 77).all()


@pytest.mark.parametrize(
    "ds",
    [
        Dataset(),
        dataset("RECTANGULAR"),
        dataset("RECTANGULAR", **(RECTANGLE | {"ShutterLeftVerticalEdge": 5})),
        dataset("CIRCULAR", CenterOfCircularShutter=[3, 4], RadiusOfCircularShutter=0),
        dataset("CIRCULAR", RadiusOfCircularShutter=4),
        dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 2, 2]),
        dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 2, 2, 3, 3, 4]),
        dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1] * 2050),
        dataset("POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 2, 2, 3, 2_000_000_000]),
        dataset("OVAL"),
    ],
)
def test_a_shape_that_is_not_fully_told_covers_nothing(ds: Dataset) -> None:
    assert shutter_of(ds) is None


def test_a_shutter_that_would_cover_everything_is_taken_for_nonsense() -> None:
    shutter = Shutter(Rectangle(50, 60, 50, 60), None, (), False, 0)
    pixels = np.full((3, 5), 77, np.uint8)
    assert opening(shutter, 3, 5) is None
    assert (apply_shutter(pixels, shutter) == 77).all()


def test_a_bitmap_shutter_is_named_as_left_out() -> None:
    shutter = shutter_of(dataset("BITMAP"))
    assert shutter is not None
    assert shutter.is_bitmap_left_out
    found = opening(shutter, 2, 2)
    assert found is not None
    assert found.all()


def drawn(path: Path, **how: Any) -> NDArray[np.uint8]:
    encoded = render_frame(open_instance(path), 1, media_type="image/png", **how)
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_pictures_are_covered_inverted_or_not_and_values_stay(write: Write) -> None:
    pixels = np.full((3, 5), 200, np.uint8)
    path = write(pixels, ShutterShape="RECTANGULAR", **RECTANGLE)
    assert drawn(path).tolist() == [[0, 200, 200, 200, 0]] * 2 + [[0] * 5]
    assert drawn(path, invert=True).tolist() == [[0, 55, 55, 55, 0]] * 2 + [[0] * 5]
    assert np.array_equal(open_instance(path).stored_frame(1), pixels)


def test_the_description_tells_a_browser_what_to_cover(write: Write) -> None:
    path = write(
        np.zeros((3, 5), np.uint8),
        ShutterShape=["RECTANGULAR", "POLYGONAL"],
        VerticesOfThePolygonalShutter=[1, 1, 1, 5, 3, 5],
        ShutterPresentationValue=65535,
        PixelSpacing=[0.5, 0.25],
        **RECTANGLE,
    )
    info = json.loads(json.dumps(frame_info(open_instance(path), 1)))
    assert info["shutter"] == {
        "rectangle": {"left": 2, "right": 4, "upper": 1, "lower": 2},
        "circle": None,
        "polygon": [[1, 1], [1, 5], [3, 5]],
        "is_bitmap_left_out": False,
        "grey": 255,
        "aspect": 2.0,
    }


def test_a_frame_has_its_own_shutter(write: Write) -> None:
    group = Dataset()
    group.FrameDisplayShutterSequence = Sequence([dataset("RECTANGULAR", **RECTANGLE)])
    path = write(
        np.zeros((3, 5), np.uint8),
        NumberOfFrames=2,
        PixelData=bytes(30),
        PerFrameFunctionalGroupsSequence=Sequence([group, Dataset()]),
    )
    instance = open_instance(path)
    assert frame_info(instance, 1)["shutter"]["rectangle"]["left"] == 2
    assert frame_info(instance, 2)["shutter"] is None
