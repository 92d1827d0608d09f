"""What drawing a frame needs of its header, read once for all the windows it is looked at with."""

from dataclasses import dataclass, field
from typing import Final

from viewer.calibration import pixel_aspect_ratio
from viewer.colour import Palette, supplemental_palette_of
from viewer.decode import Instance
from viewer.grey_transforms import is_inverted, modality_lut_of, pixel_padding_of
from viewer.pixel_format import PixelFormat
from viewer.shutters import Shutter, frame_shutter
from viewer.windowing import ModalityLut

MOST_KEPT: Final = 1000
"""Frames of one instance whose facts are remembered."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """The last four are of grey frames.

    Parameters
    ----------
    pixel_format : PixelFormat
    aspect : tuple of float
        A pixel's height and width.
    shutter : Shutter or None
    supplemental_palette : Palette or None
    modality : ModalityLut
    is_inverted : bool
    pixel_padding : tuple of float or None
        Lowest and highest stored value that are background.
    """

    pixel_format: PixelFormat
    aspect: tuple[float, float]
    shutter: Shutter | None
    supplemental_palette: Palette | None = None
    modality: ModalityLut = field(default_factory=ModalityLut)
    is_inverted: bool = False
    pixel_padding: tuple[float, float] | None = None

    @property
    def is_small(self) -> bool:
        """Whether it holds no table and no long outline, and may be kept for every frame."""
        has_table = self.modality.values is not None or self.supplemental_palette is not None
        return not has_table and (self.shutter is None or not self.shutter.polygon)


def facts_of(instance: Instance, frame_number: int) -> FrameFacts:
    """Return what drawing a frame needs of its header.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`; remembers what was read.
    frame_number : int
        1-based.

    Raises
    ------
    NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
        As `Instance.frame_format`.
    """
    known = instance.worked_out
    found = known.get((FrameFacts, frame_number))
    if isinstance(found, FrameFacts):
        return found
    facts = _read(instance, frame_number)
    if facts.is_small and len(known) < MOST_KEPT:
        known[FrameFacts, frame_number] = facts
    return facts


def _read(instance: Instance, frame_number: int) -> FrameFacts:
    header, index = instance.header, frame_number - 1
    pixel_format = instance.frame_format(frame_number)
    aspect, shutter = pixel_aspect_ratio(header, index), frame_shutter(header, index)
    if not pixel_format.is_grey:
        return FrameFacts(pixel_format, aspect, shutter)
    return FrameFacts(
        pixel_format,
        aspect,
        shutter,
        supplemental_palette_of(header, index, pixel_format),
        modality_lut_of(header, index, pixel_format),
        is_inverted(header, pixel_format),
        pixel_padding_of(header, pixel_format),
    )
