"""One frame to a JPEG or PNG that fits a viewport."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Literal

import numpy as np

from viewer.colour import apply_supplemental_palette
from viewer.decode import Instance, StoredFrame
from viewer.errors import BadRequest, UnsupportedPixels
from viewer.frame_facts import FrameFacts, facts_of
from viewer.grey_levels import level_drawing
from viewer.grey_transforms import grey_transforms_of, initial_voi
from viewer.jpeg import encode_jpeg
from viewer.native_pixels import ReadRows
from viewer.overlays import draw_overlays, overlay_plane, overlays_of
from viewer.picture import DrawnLater, Picture, whole
from viewer.pixel_format import MAX_PIXELS, PixelFormat
from viewer.png import encode_png
from viewer.resize import resized
from viewer.shutters import apply_shutter
from viewer.strips import ALONE, StripThreads
from viewer.windowing import GreyFrame, VoiLut, Window

MediaType = Literal["image/jpeg", "image/png"]

THUMBNAIL_QUALITY: Final = 80
LARGEST_JPEG_SIDE: Final = 65_500
"""Pixels; the encoder takes no longer side."""
LARGEST_STRETCHED_PIXELS: Final = 2**26
_LARGEST_STRETCH: Final = 10.0
_SQUARE_TOLERANCE: Final = 1e-3


def grey_frame(
    instance: Instance,
    frame_number: int,
    window: Window | VoiLut | None = None,
    invert: bool = False,
    *,
    stored: StoredFrame | None = None,
) -> GreyFrame:
    """Return the display values of a grey frame, as the renderer encodes them.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`.
    frame_number : int
        1-based.
    window : Window or VoiLut, optional
        In modality units; None = the one the frame is shown with first.
    invert : bool
        Invert once more than the header asks for. Padding stays black.
    stored : numpy.ndarray, optional
        The frame's stored values, when the caller has them already.

    Returns
    -------
    numpy.ndarray
        (rows, columns) uint8, 0 = black.

    Raises
    ------
    BadRequest
        The window's width is not positive, or not a number.
    UnsupportedPixels
        The frame has colours, or cannot be shown.
    NoSuchFrame, UnsupportedTransferSyntax, UnreadableFile
        As `Instance.stored_frame`.
    """
    facts = facts_of(instance, frame_number)
    if not facts.pixel_format.is_grey:
        raise UnsupportedPixels("This frame has colours; a window does not apply to it.")
    with _rows_of(instance, frame_number, stored) as read:
        picture = _grey_picture(instance, frame_number, facts, window, invert, read)
        return whole(picture, instance.threads)


def render_frame(
    instance: Instance,
    frame_number: int,
    *,
    window: Window | VoiLut | None = None,
    viewport: tuple[int, int] | None = None,
    invert: bool = False,
    media_type: MediaType = "image/jpeg",
    quality: int = 90,
    annotation: bool = False,
    stored: StoredFrame | None = None,
) -> bytes:
    """Render one frame. What a display shutter closes off is covered.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`.
    frame_number : int
        1-based.
    window : Window or VoiLut, optional
        For grey frames, in modality units; None = the one the frame is shown with first.
    viewport : tuple of int, optional
        Largest width and height in pixels. The picture fits inside and is never enlarged.
    invert : bool
        Invert once more than the header asks for. The colours of a supplemental palette stay.
    media_type : {'image/jpeg', 'image/png'}
        PNG is lossless.
    quality : int
        JPEG quality, 1 to 100.
    annotation : bool
        Draw the overlays of the object.
    stored : numpy.ndarray, optional
        What `instance.stored_frame` returned, when the caller has it already.

    Returns
    -------
    bytes
        The encoded picture, 8 bit grey or RGB, with square pixels.

    Raises
    ------
    BadRequest
        A parameter makes no sense.
    NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `Instance.stored_frame`.

    Notes
    -----
    PS3.18 8.3.5. Shrinking comes after the window, so that what the window cuts off does not
    bleed into what it shows; `viewer.resize` says what it keeps.
    """
    _check_request(viewport, media_type, quality)
    facts = facts_of(instance, frame_number)
    largest = LARGEST_JPEG_SIDE if media_type == "image/jpeg" else MAX_PIXELS
    threads = instance.threads
    with _display_picture(instance, frame_number, facts, window, invert, stored) as picture:
        picture = _with_graphics(picture, instance, frame_number, facts, annotation)
        size = display_size(picture.shape[0], picture.shape[1], facts.aspect, viewport, largest)
        return encode(resized(picture, size, threads), media_type, quality, threads)


def thumbnail(instance: Instance, frame_number: int, size_px: int = 160) -> bytes:
    """Render a small JPEG that fits a square of `size_px`.

    Raises
    ------
    BadRequest, NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `render_frame`.
    """
    return render_frame(
        instance, frame_number, viewport=(size_px, size_px), quality=THUMBNAIL_QUALITY
    )


def display_size(
    rows: int,
    columns: int,
    aspect: tuple[float, float],
    viewport: tuple[int, int] | None,
    largest_side: int = MAX_PIXELS,
) -> tuple[int, int]:
    """Return width and height in square pixels.

    Parameters
    ----------
    rows, columns : int
        Size of the frame.
    aspect : tuple of float
        A pixel's height and width. The longer side is stretched, so that nothing is lost; ratios
        beyond 10 are taken for nonsense and ignored.
    viewport : tuple of int, optional
        Largest width and height.
    largest_side : int
        Neither side becomes longer.

    Notes
    -----
    Stretching makes no picture larger than `LARGEST_STRETCHED_PIXELS`; what would be is shown
    smaller, in its right shape.
    """
    width, height = float(columns), float(rows)
    ratio = aspect[0] / aspect[1]
    is_plausible = 1 / _LARGEST_STRETCH <= ratio <= _LARGEST_STRETCH
    if is_plausible and abs(ratio - 1) > _SQUARE_TOLERANCE:
        width, height = width * max(1.0, 1 / ratio), height * max(1.0, ratio)
    room = max(rows * columns, LARGEST_STRETCHED_PIXELS)
    bounds = (largest_side, largest_side) if viewport is None else viewport
    scale = min(1.0, bounds[0] / width, bounds[1] / height, largest_side / max(width, height))
    scale = min(scale, math.sqrt(room / (width * height)))
    width, height = width * scale, height * scale
    return max(1, round(width)), max(1, round(height))


def _check_request(viewport: tuple[int, int] | None, media_type: str, quality: int) -> None:
    if media_type not in ("image/jpeg", "image/png"):
        raise BadRequest("Pictures are made as image/jpeg or image/png.")
    if not 1 <= quality <= 100:
        raise BadRequest("JPEG quality goes from 1 to 100.")
    if viewport is not None and min(viewport) < 1:
        raise BadRequest("A viewport needs a width and a height of at least 1.")


@contextmanager
def _display_picture(
    instance: Instance,
    frame_number: int,
    facts: FrameFacts,
    window: Window | VoiLut | None,
    invert: bool,
    stored: StoredFrame | None,
) -> Iterator[Picture]:
    """Give a grey picture to be drawn, or RGB where a supplemental palette colours some of it."""
    palette = facts.supplemental_palette
    if palette is None and not facts.pixel_format.is_grey:
        values = instance.stored_frame(frame_number) if stored is None else stored
        yield np.subtract(255, values, dtype=np.uint8) if invert else values
        return
    with _rows_of(instance, frame_number, stored) as read:
        picture = _grey_picture(instance, frame_number, facts, window, invert, read)
        if palette is None:
            yield picture
        else:
            grey = whole(picture, instance.threads)
            yield apply_supplemental_palette(grey, read(slice(None)), palette, facts.pixel_padding)


def _with_graphics(
    picture: Picture,
    instance: Instance,
    frame_number: int,
    facts: FrameFacts,
    annotation: bool,
) -> Picture:
    overlays = overlays_of(instance.header) if annotation else ()
    planes = [overlay_plane(instance, overlay, frame_number) for overlay in overlays]
    drawn = [plane for plane in planes if plane is not None]
    if facts.shutter is None and not drawn:
        return picture
    pixels = whole(picture, instance.threads)
    if facts.shutter is not None:
        pixels = apply_shutter(pixels, facts.shutter, facts.aspect)
    return draw_overlays(pixels, drawn)


def _rows_of(
    instance: Instance, frame_number: int, stored: StoredFrame | None
) -> AbstractContextManager[ReadRows]:
    if stored is None:
        return instance.stored_rows(frame_number)
    return nullcontext(stored.__getitem__)


def _grey_picture(
    instance: Instance,
    frame_number: int,
    facts: FrameFacts,
    window: Window | VoiLut | None,
    invert: bool,
    read: ReadRows,
) -> DrawnLater:
    if isinstance(window, Window) and not window.is_usable:
        raise BadRequest("A window needs a center and a width above 0.")
    layout = facts.pixel_format
    draw = level_drawing(
        layout.stored_dtype,
        facts.modality,
        window or _first_voi(instance, frame_number, layout, lambda: read(slice(None))),
        invert=facts.is_inverted != invert,
        padding=facts.pixel_padding,
    )
    return DrawnLater((layout.rows, layout.columns), lambda rows, grey: draw(read(rows), grey))


def _first_voi(
    instance: Instance,
    frame_number: int,
    pixel_format: PixelFormat,
    values: Callable[[], StoredFrame],
) -> Window | VoiLut:
    transforms = grey_transforms_of(instance.header, frame_number - 1, pixel_format)
    return initial_voi(transforms, pixel_format, values).voi


def encode(picture: Picture, media_type: str, quality: int, threads: StripThreads = ALONE) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    picture : Picture
    media_type : {'image/jpeg', 'image/png'}
    quality : int
        JPEG quality, 1 to 100.
    threads : StripThreads
        Who may help.

    Returns
    -------
    bytes
        JPEG with its colours at full resolution, or PNG.
    """
    if media_type == "image/png":
        return encode_png(picture, threads)
    return encode_jpeg(picture, quality, threads)
