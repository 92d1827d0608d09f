"""Families of objects that hold no picture, and what to do with each."""

from dataclasses import dataclass
from typing import Final

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of object that is not drawn.

    Parameters
    ----------
    name : str
        Stable kebab-case name, for programs.
    sentence : str
        What it is and what to do, for people.
    """

    name: str
    sentence: str


VIDEO: Final = Family(
    "video",
    "This is a video, not a picture. It is stored safely and goes to the PACS as it is; its own"
    " page plays it where the browser can, and saves it.",
)
_KEPT: Final = "It is stored safely;"
KEY_OBJECTS: Final = Family(
    "key-objects",
    "This is a list of key images; it holds no picture of its own. Open the images it names.",
)
PRESENTATION_STATE: Final = Family(
    "presentation-state",
    "This is a presentation state; it holds no picture of its own, it says how others are shown."
    " Open the images it refers to.",
)
REPORT: Final = Family(
    "report", f"This is a report; it holds no picture. {_KEPT} read it on its own page."
)
WAVEFORM: Final = Family(
    "waveform",
    f"This is an ECG or another waveform; it holds no picture. {_KEPT} its own page draws it;"
    " measure on the ECG system.",
)
DOCUMENT: Final = Family(
    "document",
    f"This is a PDF or another document; it holds no picture. {_KEPT} its own page shows or"
    " saves the document.",
)
RAW_DATA: Final = Family(
    "raw-data",
    "This is a scanner's raw data; it holds no picture until the scanner makes one."
    f" {_KEPT} reconstruct it on the scanner.",
)
RADIOTHERAPY: Final = Family(
    "radiotherapy",
    f"This is a radiotherapy plan, record or structure set; it holds no picture. {_KEPT} open it"
    " in the planning system.",
)
SPECTROSCOPY: Final = Family(
    "spectroscopy",
    f"This is a spectrum; it holds no picture. {_KEPT} open it on the scanner's workstation.",
)
RELATION: Final = Family(
    "relation",
    "This object relates or measures other images (registration, surface, value mapping); it holds"
    f" no picture. {_KEPT} open it on a workstation.",
)
MODEL: Final = Family(
    "model",
    f"This is a 3D model; it holds no picture. {_KEPT} its own page saves the model.",
)

_BY_SOP_CLASS: Final[tuple[tuple[str, Family | None], ...]] = (
    *((f"{_STORAGE}{images}", None) for images in ("481.1", "481.2", "481.23", "66.4", "66.7")),
    (f"{_STORAGE}9.", WAVEFORM),
    (f"{_STORAGE}88.59", KEY_OBJECTS),
    (f"{_STORAGE}88.", REPORT),
    (f"{_STORAGE}11.", PRESENTATION_STATE),
    (f"{_STORAGE}104.3", MODEL),
    (f"{_STORAGE}104.4", MODEL),
    (f"{_STORAGE}104.5", MODEL),
    (f"{_STORAGE}104.", DOCUMENT),
    (f"{_STORAGE}481.", RADIOTHERAPY),
    (f"{_STORAGE}4.2", SPECTROSCOPY),
    (f"{_STORAGE}66.", RELATION),
    (f"{_STORAGE}66", RAW_DATA),
    (f"{_STORAGE}67", RELATION),
)
"""First match counts: a UID that ends in a dot stands for all below it, another for itself.

The first ones are images among others that are not: radiotherapy image and dose, segmentations.
"""

_VIDEO_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    for number in (
        *("100", "100.1", "101", "101.1"),  # MPEG-2
        *("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1"),  # H.264
        *("107", "108"),  # H.265
    )
)


def is_video(transfer_syntax_uid: str) -> bool:
    """Return whether the pixels of a transfer syntax are one video stream (PS3.5 A.4.5 on)."""
    return transfer_syntax_uid in _VIDEO_SYNTAXES


def family_of(sop_class_uid: str, transfer_syntax_uid: str) -> Family | None:
    """Return the family of an object that cannot be drawn, None when it belongs to none.

    Parameters
    ----------
    sop_class_uid : str
        (0008,0016); image classes belong to no family.
    transfer_syntax_uid : str
        (0002,0010); of a video, whatever its class.

    Notes
    -----
    PS3.4 B.5, PS3.6 A.
    """
    if is_video(transfer_syntax_uid):
        return VIDEO
    for start, family in _BY_SOP_CLASS:
        is_match = (
            sop_class_uid.startswith(start) if start.endswith(".") else sop_class_uid == start
        )
        if is_match:
            return family
    return None
