"""Which instances and frames another object refers to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from viewer.header import items, numbers, text

MAX_REFERENCES: Final = 20_000
"""References beyond so many in one object are left out."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance, or some of its frames.

    Parameters
    ----------
    sop_instance_uid : str
        Referenced SOP Instance UID (0008,1155).
    frame_numbers : tuple of int
        Referenced Frame Number (0008,1160), 1-based; () for all of them.
    """

    sop_instance_uid: str
    frame_numbers: tuple[int, ...] = ()

    def includes(self, sop_instance_uid: str, frame_number: int) -> bool:
        """Return whether it refers to a frame."""
        is_frame = not self.frame_numbers or frame_number in self.frame_numbers
        return is_frame and self.sop_instance_uid == sop_instance_uid


def references_in(dataset: Dataset, keyword: str = "ReferencedImageSequence") -> list[Reference]:
    """Read a sequence of references (PS3.3 10.3); those without a UID are left out.

    Parameters
    ----------
    dataset : pydicom.Dataset
        What holds the sequence.
    keyword : str
        The sequence.
    """
    found = []
    for item in items(dataset, keyword)[:MAX_REFERENCES]:
        frames = tuple(int(number) for number in numbers(item, "ReferencedFrameNumber"))
        reference = Reference(text(item, "ReferencedSOPInstanceUID"), frames)
        if reference.sop_instance_uid:
            found.append(reference)
    return found


def is_included(references: Iterable[Reference], sop_instance_uid: str, frame_number: int) -> bool:
    """Return whether any reference is to a frame."""
    return any(reference.includes(sop_instance_uid, frame_number) for reference in references)
