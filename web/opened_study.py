"""A study as it is opened: the list of its series, kept ready, and the frame seen first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from dicom_node.index import InstanceRecord
from web.context import WebContext
from web.series import placed_frames, series_answers

SHOWN_FROM_THE_MIDDLE: Final = ("CT", "MR", "PT")
"""Modalities whose stacks the viewer opens in the middle, as static/js/stack.js has it."""
_FEWEST_OF_A_STACK: Final = 3

OpeningFrame = tuple[str, str, int]
"""Series and SOP Instance UID, and 1-based frame number."""


@dataclass(frozen=True, slots=True)
class OpenedStudy:
    """The list of a study's series, as JSON in ASCII; which frame of what is seen first."""

    series: bytes
    opening: tuple[InstanceRecord, int] | None


def opened_study(context: WebContext, study_instance_uid: str) -> OpenedStudy:
    """Return the series of a study, and have the frame decoded that is seen first.

    Parameters
    ----------
    context : WebContext
        Reads the index, and keeps the answer until anything is indexed.
    study_instance_uid : str

    Returns
    -------
    OpenedStudy
        Its list is as `web.series.series_answers` makes it.
    """
    # read before the series are: what is indexed in between then belongs to the next revision
    revision = context.index.revision()
    made = context.kept(
        ("series", study_instance_uid, revision), partial(_made, context, study_instance_uid)
    )
    if made.opening is not None:
        context.frames.expect(*made.opening)
    return made


def _made(context: WebContext, study_instance_uid: str) -> OpenedStudy:
    index = context.index
    found = series_answers(
        index.series(study_instance_uid),
        index.instances(study_instance_uid),
        partial(placed_frames, context),
    )
    listed = json.dumps(found, separators=(",", ":")).encode("ascii")
    return OpenedStudy(listed, _opening(context, study_instance_uid, opening_frame(found)))


def _opening(
    context: WebContext, study_instance_uid: str, frame: OpeningFrame | None
) -> tuple[InstanceRecord, int] | None:
    if frame is None:
        return None
    series, instance, frame_number = frame
    record = context.index.instance(study_instance_uid, series, instance)
    return None if record is None else (record, frame_number)


def opening_frame(series: Sequence[dict[str, Any]]) -> OpeningFrame | None:
    """Return the frame that the viewer shows first: of the first series that has pictures.

    Parameters
    ----------
    series : sequence of dict
        From `web.series.series_answers`.

    Returns
    -------
    tuple or None
        None when there are no pictures.
    """
    for one in series:
        instances = one["instances"]
        if any(instance["rows"] for instance in instances):
            frames = [share for stack in one["stacks"] for share in stack["frames"]]
            is_stack = one["modality"] in SHOWN_FROM_THE_MIDDLE
            is_long = len(instances) >= _FEWEST_OF_A_STACK
            place, number = _nth(frames, 1 / 2 if is_stack and is_long else 0)
            return one["series_instance_uid"], instances[place]["sop_instance_uid"], number
    return None


def _nth(frames: Sequence[tuple[int, int, int]], share: float) -> tuple[int, int]:
    """Return which instance and frame number lie at a share of the way through all frames."""
    left = int(sum(count for _, _, count in frames) * share)
    for place, number, count in frames:
        if left < count:
            return place, number + left
        left -= count
    return frames[0][0], frames[0][1]
