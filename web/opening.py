"""Which frame of a study the viewer opens with, so that the page can ask for it at once."""

from collections.abc import Sequence
from typing import Any, Final

_STACKS: Final = ("CT", "MR", "PT")
_FEW: Final = 2
"""Stacks of at most so many instances open with the first one."""


def opening_preview(study_instance_uid: str, series: Sequence[dict[str, Any]]) -> str:
    """Return the address of the preview the viewer of a study asks for first.

    Parameters
    ----------
    study_instance_uid : str
        (0020,000D).
    series : sequence of dict
        As `web.series.series_answers` returns them.

    Returns
    -------
    str
        "" when the study has no pictures. A page that guesses wrong only asks once too often.
    """
    for one in series:
        if any(instance["rows"] for instance in one["instances"]):
            return _address(study_instance_uid, one)
    return ""


def _address(study_instance_uid: str, series: dict[str, Any]) -> str:
    places = [place for stack in series["stacks"] for place in stack["frames"]]
    length = sum(count for _, _, count in places)
    is_stack = series["modality"] in _STACKS and len(series["instances"]) > _FEW
    index, frame_number = _at(places, length // 2 if is_stack else 0)
    instance = series["instances"][index]
    return (
        f"/api/v1/studies/{study_instance_uid}/series/{series['series_instance_uid']}"
        f"/instances/{instance['sop_instance_uid']}/frames/{frame_number}"
        f"/preview?v={instance['digest'][:16]}"
    )


def _at(places: Sequence[tuple[int, int, int]], number: int) -> tuple[int, int]:
    """Return the instance and the frame at a place in the order of display."""
    for index, first, count in places:
        if number < count:
            return index, first + number
        number -= count
    return places[0][0], places[0][1]
