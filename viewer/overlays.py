"""Overlay planes: what scanners draw over a picture, apart from its pixels."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from viewer.decode import Instance
from viewer.header import as_list
from viewer.pixel_format import PixelFormat, pixel_format_of

Plane = NDArray[np.bool_]
"""(rows, columns) of the frame, True where the overlay draws."""

MAX_PLANE_PIXELS: Final = 2**26
"""Overlays of more pixels than this are left out."""

_GROUPS: Final = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _FIRST_FRAME = 0x0010, 0x0011, 0x0015, 0x0051
_DESCRIPTION, _TYPE, _ORIGIN, _LABEL = 0x0022, 0x0040, 0x0050, 0x1500
_BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x0100, 0x0102, 0x3000
_ACTIVATION_LAYER: Final = 0x1001
_WHITE: Final = 255

_Picture = TypeVar("_Picture", bound=NDArray[np.uint8])


@dataclass(frozen=True, slots=True)
class Overlay:
    """One group 60xx (PS3.3 C.9.2).

    Parameters
    ----------
    group : int
        0x6000 to 0x601E.
    rows, columns : int
        (60xx,0010), (60xx,0011).
    origin : tuple of int
        (60xx,0050): row and column of the overlay's first pixel, 1-based in the frame; may lie
        outside of it.
    first_frame : int
        (60xx,0051): frame that the first plane belongs to, 1-based.
    number_of_frames : int or None
        (60xx,0015); None: one plane that belongs to every frame.
    bit_position : int or None
        (60xx,0102): bit of the pixels' containers that holds the plane (retired); None: the plane
        has data of its own.
    overlay_type : str
        (60xx,0040): G = graphics, R = region of interest.
    label, description, activation_layer : str
        (60xx,1500), (60xx,0022), (60xx,1001); '' when absent.
    """

    group: int
    rows: int
    columns: int
    origin: tuple[int, int]
    first_frame: int
    number_of_frames: int | None
    bit_position: int | None
    overlay_type: str
    label: str
    description: str
    activation_layer: str

    def plane_index(self, frame_number: int) -> int | None:
        """Return which of its planes belongs to a frame, 0-based; None when none does.

        Notes
        -----
        PS3.3 C.9.3: planes belong to consecutive frames from Image Frame Origin on.
        """
        if self.number_of_frames is None:
            return 0
        index = frame_number - self.first_frame
        return index if 0 <= index < self.number_of_frames else None


def overlays_of(header: Dataset) -> tuple[Overlay, ...]:
    """Read which overlays an object has, leaving out those that are damaged or absurdly large.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header, or a presentation state.

    Returns
    -------
    tuple of Overlay
        By group, up to 16.
    """
    present = {int(tag) >> 16 for tag in header.keys()}  # noqa: SIM118 - a data set is no mapping
    found = (_overlay(header, group) for group in _GROUPS if group in present)
    return tuple(overlay for overlay in found if overlay is not None)


def _overlay(header: Dataset, group: int) -> Overlay | None:
    rows, columns = _number(header, group, _ROWS), _number(header, group, _COLUMNS)
    is_embedded = _value(header, group, _DATA) is None
    position = _number(header, group, _BIT_POSITION)
    if is_embedded and (position is None or _number(header, group, _BITS_ALLOCATED) in (None, 1)):
        return None
    if rows is None or columns is None or not 0 < rows * columns <= MAX_PLANE_PIXELS:
        return None
    origin = as_list(_value(header, group, _ORIGIN))
    frames = _number(header, group, _FRAMES)
    first_frame = _number(header, group, _FIRST_FRAME)
    overlay = Overlay(
        group=group,
        rows=rows,
        columns=columns,
        origin=(int(origin[0]), int(origin[1])) if _are_integers(origin, 2) else (1, 1),
        first_frame=1 if first_frame is None else first_frame,
        number_of_frames=None if is_embedded or frames is None or frames < 1 else frames,
        bit_position=position if is_embedded else None,
        overlay_type=_text(header, group, _TYPE),
        label=_text(header, group, _LABEL),
        description=_text(header, group, _DESCRIPTION),
        activation_layer=_text(header, group, _ACTIVATION_LAYER),
    )
    return overlay if is_embedded or _is_whole(header, overlay) else None


def _is_whole(header: Dataset, overlay: Overlay) -> bool:
    bits = (overlay.number_of_frames or 1) * overlay.rows * overlay.columns
    data = _value(header, overlay.group, _DATA)
    return isinstance(data, bytes) and 0 < bits <= 8 * len(data)


def overlay_plane(instance: Instance, overlay: Overlay, frame_number: int) -> Plane | None:
    """Return an overlay as it lies on one frame.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`.
    overlay : Overlay
        From `overlays_of` the instance's header.
    frame_number : int
        1-based.

    Returns
    -------
    numpy.ndarray or None
        (rows, columns) of the frame, bool; None when it has no plane on this frame.

    Raises
    ------
    NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `Instance.stored_frame`; only for overlays inside the pixels.
    """
    pixel_format = pixel_format_of(instance.header, instance.pixel_keyword)
    if overlay.bit_position is not None:
        return _embedded_plane(instance, overlay.bit_position, frame_number, pixel_format)
    index = overlay.plane_index(frame_number)
    if index is None:
        return None
    bits = _unpacked(instance.header, overlay, index)
    return placed(bits, overlay.origin, pixel_format.rows, pixel_format.columns)


def _embedded_plane(
    instance: Instance, bit: int, frame_number: int, pixel_format: PixelFormat
) -> Plane | None:
    """Read a plane from a bit that holds no pixel value (PS3.5 8.1.2, retired in 2004)."""
    lowest = pixel_format.high_bit + 1 - pixel_format.bits_stored
    is_in_value = lowest <= bit <= pixel_format.high_bit
    is_outside = not 0 <= bit < pixel_format.bits_allocated
    if is_in_value or is_outside or pixel_format.samples_per_pixel != 1 or pixel_format.is_float:
        return None
    containers = instance.container_frame(frame_number)
    return (containers >> bit & 1).astype(np.bool_)


def _unpacked(header: Dataset, overlay: Overlay, index: int) -> Plane:
    """Unpack one plane: lowest bit first, the next plane may begin inside a byte (PS3.5 8.1.2)."""
    data = _value(header, overlay.group, _DATA)
    if header.original_encoding[1] is False and header[overlay.group, _DATA].VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    size = overlay.rows * overlay.columns
    begin, end = index * size, (index + 1) * size
    packed = np.frombuffer(data, np.uint8)[begin // 8 : -(-end // 8)]
    bits = np.unpackbits(packed, bitorder="little")[begin % 8 : begin % 8 + size]
    return bits.reshape(overlay.rows, overlay.columns).astype(np.bool_)


def placed(bits: Plane, origin: tuple[int, int], rows: int, columns: int) -> Plane:
    """Lay a plane on a frame, cutting off what reaches beyond it.

    Parameters
    ----------
    bits : numpy.ndarray
        (overlay rows, overlay columns) bool.
    origin : tuple of int
        Row and column of its first pixel in the frame, 1-based; may be 0, negative or large.
    rows, columns : int
        Size of the frame.

    Returns
    -------
    numpy.ndarray
        (rows, columns) bool.

    Examples
    --------
    >>> placed(np.ones((2, 2), np.bool_), (0, 2), 2, 3).astype(int).tolist()
    [[0, 1, 1], [0, 0, 0]]
    """
    plane = np.zeros((rows, columns), np.bool_)
    top, left = origin[0] - 1, origin[1] - 1
    part = bits[max(0, -top) : max(0, rows - top), max(0, -left) : max(0, columns - left)]
    height, width = part.shape
    if height and width:
        plane[max(0, top) : max(0, top) + height, max(0, left) : max(0, left) + width] = part
    return plane


def draw_overlays(pixels: _Picture, planes: list[Plane]) -> _Picture:
    """Draw planes over a picture: white with a black edge, so that they show on white and black.

    Parameters
    ----------
    pixels : numpy.ndarray
        (rows, columns) or (rows, columns, 3) uint8; not changed.
    planes : list of numpy.ndarray
        (rows, columns) bool.

    Returns
    -------
    numpy.ndarray
        As `pixels`.
    """
    lines = np.logical_or.reduce(planes) if planes else np.zeros((1, 1), np.bool_)
    if not lines.any():
        return pixels
    drawn = pixels.copy()
    box = _box_around(lines)
    lines, part = lines[box], drawn[box]
    edge = _with_neighbours(lines)
    if part.ndim == 3:
        lines, edge = lines[..., np.newaxis], edge[..., np.newaxis]
    np.copyto(part, 0, where=edge)
    np.copyto(part, _WHITE, where=lines)
    return drawn


def _box_around(plane: Plane) -> tuple[slice, slice]:
    """Return the part of a frame that a plane and its neighbours lie in."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )


def _with_neighbours(plane: Plane) -> Plane:
    wide = plane.copy()
    wide[:, 1:] |= plane[:, :-1]
    wide[:, :-1] |= plane[:, 1:]
    grown = wide.copy()
    grown[1:] |= wide[:-1]
    grown[:-1] |= wide[1:]
    return grown


def overlay_info(header: Dataset, frame_number: int) -> list[dict[str, Any]]:
    """Describe the overlays of one frame in JSON-able values.

    Returns
    -------
    list of dict
        `group` (four hexadecimal digits), `overlay_type`, `label`, `description`, `rows`,
        `columns`, `origin` (row, column), `is_embedded` and `is_on_frame`.
    """
    return [
        {
            "group": f"{overlay.group:04X}",
            "overlay_type": overlay.overlay_type,
            "label": overlay.label,
            "description": overlay.description,
            "rows": overlay.rows,
            "columns": overlay.columns,
            "origin": list(overlay.origin),
            "is_embedded": overlay.bit_position is not None,
            "is_on_frame": overlay.plane_index(frame_number) is not None,
        }
        for overlay in overlays_of(header)
    ]


def _value(header: Dataset, group: int, element: int) -> Any:
    """Return an element of a repeating group, None when absent, empty or invalid."""
    try:
        found = header.get((group, element))
        return None if found is None or found.value in ("", b"") else found.value
    except Exception:  # noqa: BLE001 - parse boundary: pydicom converts on access and raises many types
        return None


def _number(header: Dataset, group: int, element: int) -> int | None:
    values = as_list(_value(header, group, element))[:1]
    return int(values[0]) if _are_integers(values, 1) else None


def _are_integers(values: list[Any], count: int) -> bool:
    return len(values) >= count and all(isinstance(value, int) for value in values[:count])


def _text(header: Dataset, group: int, element: int) -> str:
    value = _value(header, group, element)
    return "" if value is None else "".join(filter(str.isprintable, str(value))).strip()
