"""Lines and texts that a presentation state lays over a picture."""

from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

from viewer.header import integer, items, numbers, text, value_of
from viewer.references import Reference, references_in

Point = tuple[float, float]
"""x = column, y = row."""

Units = Literal["PIXEL", "DISPLAY", "MATRIX"]

MAX_ANNOTATIONS: Final = 2000
"""Graphics and texts together, beyond so many they are left out."""

MAX_POINTS: Final = 100_000
"""A graphic of more points than this is left out."""

LONGEST_TEXT: Final = 10_000
"""Characters beyond this are cut off."""

_UNITS: Final[dict[str, Units]] = {"PIXEL": "PIXEL", "DISPLAY": "DISPLAY", "MATRIX": "MATRIX"}
_POINTS_OF_KIND: Final = {
    "POINT": (1, 1),
    "POLYLINE": (2, MAX_POINTS),
    "INTERPOLATED": (2, MAX_POINTS),
    "CIRCLE": (2, 2),
    "ELLIPSE": (4, 4),
}


@dataclass(frozen=True, slots=True)
class Graphic:
    """One line or shape (PS3.3 C.10.5.1.2).

    Parameters
    ----------
    kind : str
        (0070,0023): `POINT`; `POLYLINE`; `INTERPOLATED` = a curve through all points; `CIRCLE` =
        centre and a point on the circle; `ELLIPSE` = both ends of the major, then of the minor
        axis.
    units : {'PIXEL', 'DISPLAY', 'MATRIX'}
        (0070,0005). PIXEL: 0, 0 is the upper left corner of the upper left pixel, 1, 1 its lower
        right corner. DISPLAY: shares of the displayed area, after rotation and flip.
    points : tuple of tuple of float
        (0070,0022) as x, y.
    is_filled : bool
        (0070,0024).
    """

    kind: str
    units: Units
    points: tuple[Point, ...]
    is_filled: bool


@dataclass(frozen=True, slots=True)
class TextNote:
    """One text (PS3.3 C.10.5).

    Parameters
    ----------
    text : str
        (0070,0006), lines parted by a line feed.
    box_units, anchor_units : {'PIXEL', 'DISPLAY', 'MATRIX'}
        (0070,0003), (0070,0004).
    box : tuple of tuple of float or None
        (0070,0010), (0070,0011): upper left and lower right corner as x, y.
    justification : str
        (0070,0012): LEFT, RIGHT, CENTER or ''.
    anchor : tuple of float or None
        (0070,0014): what the text points to, as x, y.
    is_anchor_visible : bool
        (0070,0015).
    """

    text: str
    box_units: Units
    box: tuple[Point, Point] | None
    justification: str
    anchor_units: Units
    anchor: Point | None
    is_anchor_visible: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """Graphics and texts of one layer for some frames.

    Parameters
    ----------
    layer : str
        (0070,0002).
    references : tuple of Reference
        Frames they belong to; () for all that the presentation state refers to.
    graphics : tuple of Graphic
        Those that are fully told.
    texts : tuple of TextNote
        Those with a text and a place.
    """

    layer: str
    references: tuple[Reference, ...]
    graphics: tuple[Graphic, ...]
    texts: tuple[TextNote, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A graphic layer (PS3.3 C.10.7): `order` says what lies on top, higher over lower."""

    name: str
    order: int
    description: str


def annotations_of(state: Dataset) -> tuple[Annotation, ...]:
    """Read the Graphic Annotation Sequence (0070,0001).

    Parameters
    ----------
    state : pydicom.Dataset
        A presentation state.

    Returns
    -------
    tuple of Annotation
        Together at most `MAX_ANNOTATIONS` graphics and texts, `MAX_POINTS` points each.
    """
    found = []
    room = MAX_ANNOTATIONS
    for item in items(state, "GraphicAnnotationSequence")[:MAX_ANNOTATIONS]:
        graphics = [_graphic(one) for one in items(item, "GraphicObjectSequence")[:room]]
        room -= len(graphics)
        notes = [_text_note(one) for one in items(item, "TextObjectSequence")[:room]]
        room -= len(notes)
        found.append(
            Annotation(
                layer=text(item, "GraphicLayer"),
                references=tuple(references_in(item)),
                graphics=tuple(graphic for graphic in graphics if graphic is not None),
                texts=tuple(note for note in notes if note is not None),
            )
        )
    return tuple(found)


def layers_of(state: Dataset) -> tuple[Layer, ...]:
    """Read the Graphic Layer Sequence (0070,0060), lowest first."""
    layers = (
        Layer(
            text(item, "GraphicLayer"),
            integer(item, "GraphicLayerOrder") or 0,
            text(item, "GraphicLayerDescription"),
        )
        for item in items(state, "GraphicLayerSequence")[:MAX_ANNOTATIONS]
    )
    return tuple(sorted(layers, key=lambda layer: layer.order))


def _graphic(item: Dataset) -> Graphic | None:
    kind, values = text(item, "GraphicType").upper(), numbers(item, "GraphicData")
    units = _UNITS.get(text(item, "GraphicAnnotationUnits").upper())
    fewest, most = _POINTS_OF_KIND.get(kind, (1, 0))
    if units is None or len(values) % 2 or not fewest <= len(values) // 2 <= most:
        return None
    points = tuple(zip(values[::2], values[1::2], strict=True))
    return Graphic(kind, units, points, text(item, "GraphicFilled").upper() == "Y")


def _text_note(item: Dataset) -> TextNote | None:
    first, last = (
        _point(item, "BoundingBoxTopLeftHandCorner"),
        _point(item, "BoundingBoxBottomRightHandCorner"),
    )
    box_units = _UNITS.get(text(item, "BoundingBoxAnnotationUnits").upper())
    anchor_units = _UNITS.get(text(item, "AnchorPointAnnotationUnits").upper())
    anchor = None if anchor_units is None else _point(item, "AnchorPoint")
    box = None if box_units is None or first is None or last is None else (first, last)
    words = lines(item, "UnformattedTextValue")
    if not words or (box is None and anchor is None):
        return None
    return TextNote(
        text=words,
        box_units=box_units or "PIXEL",
        box=box,
        justification=text(item, "BoundingBoxTextHorizontalJustification").upper(),
        anchor_units=anchor_units or "PIXEL",
        anchor=anchor,
        is_anchor_visible=text(item, "AnchorPointVisibility").upper() == "Y",
    )


def _point(item: Dataset, keyword: str) -> Point | None:
    values = numbers(item, keyword)
    return (values[0], values[1]) if len(values) == 2 else None


def lines(dataset: Dataset, keyword: str) -> str:
    """Return a text of several lines, without other control characters, '' when absent."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    parted = (str(value)[:LONGEST_TEXT]).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("".join(filter(str.isprintable, line)) for line in parted).strip()
