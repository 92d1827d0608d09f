"""A study as it is opened: the list of its series, kept ready, and the frame seen first."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from web.context import WebContext
from web.series import placed_frames, series_answers

SHOWN_FROM_THE_MIDDLE: Final = ("CT", "MR", "PT")
"""Modalities whose stacks the viewer opens in the middle, as static/js/stack.js has it."""
_FEWEST_OF_A_STACK: Final = 3

OpeningFrame = tuple[str, str, int]
"""Series and SOP Instance UID, and 1-based frame number."""


def opened_series(context: WebContext, study_instance_uid: str) -> bytes:
    """Return the series of a study as JSON, and have the frame decoded that is seen first.

    Parameters
    ----------
    context : WebContext
        Reads the index, and keeps the answer until anything is indexed.
    study_instance_uid : str

    Returns
    -------
    bytes
        A list as `web.series.series_answers` makes it, ASCII.
    """
    # read before the series are: what is indexed in between then belongs to the next revision
    revision = context.index.revision()
    made, opening = context.kept(
        ("series", study_instance_uid, revision), partial(_made, context, study_instance_uid)
    )
    if opening is not None:
        _expect(context, study_instance_uid, opening)
    return made


def _made(context: WebContext, study_instance_uid: str) -> tuple[bytes, OpeningFrame | None]:
    index = context.index
    found = series_answers(
        index.series(study_instance_uid),
        index.instances(study_instance_uid),
        partial(placed_frames, context),
    )
    return json.dumps(found, separators=(",", ":")).encode("ascii"), opening_frame(found)


def _expect(context: WebContext, study_instance_uid: str, opening: OpeningFrame) -> None:
    series, instance, frame_number = opening
    record = context.index.instance(study_instance_uid, series, instance)
    if record is not None:
        context.frames.expect(record, frame_number)


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
