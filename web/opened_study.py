"""A study as it is opened: the list of its series, kept ready, and the frame seen first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dicom_node.index import InstanceRecord
from web.context import WebContext
from web.series import placed_frames, series_answers


@dataclass(frozen=True, slots=True)
class Opening:
    """The frame that is seen first.

    `frame_number` is 1-based, `index` counts from 0 through the `length` frames of the series;
    `has_frames` says that it has instances of several frames, `warnings` what it seems to lack.
    """

    record: InstanceRecord
    frame_number: int
    index: int
    length: int
    has_frames: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenedStudy:
    """The list of a study's series, as JSON in ASCII; which of them is seen first, and what of it.

    `series_index` counts from 0; it is 0 when none has pictures, and `opening` None then.
    """

    series: bytes
    series_index: int
    opening: Opening | None


def opened_study(context: WebContext, study_instance_uid: str) -> OpenedStudy:
    """Return the series of a study, and have the frame decoded that is seen first.

    Parameters
    ----------
    context, study_instance_uid
        As `listed_study`.

    Returns
    -------
    OpenedStudy
    """
    made = listed_study(context, study_instance_uid)
    if made.opening is not None:
        context.frames.expect(made.opening.record, made.opening.frame_number)
    return made


def listed_study(context: WebContext, study_instance_uid: str) -> OpenedStudy:
    """Return the series of a study.

    Parameters
    ----------
    context : WebContext
        Reads the index, and keeps the answer until anything of the study is indexed.
    study_instance_uid : str

    Returns
    -------
    OpenedStudy
        Its list is as `web.series.series_answers` makes it.
    """
    # read before the series are: what is indexed in between then belongs to the next revision
    revision = context.index.study_revision(study_instance_uid)
    return context.kept(
        ("series", study_instance_uid, revision), partial(_made, context, study_instance_uid)
    )


def _made(context: WebContext, study_instance_uid: str) -> OpenedStudy:
    index = context.index
    found = series_answers(
        index.series(study_instance_uid),
        index.instances(study_instance_uid),
        partial(placed_frames, context),
    )
    listed = json.dumps(found, separators=(",", ":")).encode("ascii")
    place = opening_series(found)
    if place is None:
        return OpenedStudy(listed, 0, None)
    return OpenedStudy(listed, place, _opening(context, study_instance_uid, found[place]))


def opening_series(series: Sequence[dict[str, Any]]) -> int | None:
    """Return the place of the series that the viewer shows first: of those that have pictures.

    Parameters
    ----------
    series : sequence of dict
        From `web.series.series_answers`.

    Returns
    -------
    int or None
        None when there are no pictures.
    """
    for place, one in enumerate(series):
        if any(instance["rows"] for instance in one["instances"]):
            return place
    return None


def _opening(
    context: WebContext, study_instance_uid: str, series: dict[str, Any]
) -> Opening | None:
    place, frame_number = frame_at(series, series["opens_at"])
    instances = series["instances"]
    record = context.index.instance(
        study_instance_uid, series["series_instance_uid"], instances[place]["sop_instance_uid"]
    )
    if record is None:
        return None
    return Opening(
        record,
        frame_number,
        series["opens_at"],
        sum(count for stack in series["stacks"] for _, _, count in stack["frames"]),
        any(instance["number_of_frames"] > 1 for instance in instances),
        tuple(series["warnings"]),
    )


def frame_at(series: dict[str, Any], index: int) -> tuple[int, int]:
    """Return the instance and the 1-based frame number that lie somewhere in a series.

    Parameters
    ----------
    series : dict
        From `web.series.series_answers`.
    index : int
        From 0 through the frames of all stacks.

    Returns
    -------
    tuple of int
        Place in `instances`, and frame number.
    """
    frames = [share for stack in series["stacks"] for share in stack["frames"]]
    left = index
    for place, number, count in frames:
        if left < count:
            return place, number + left
        left -= count
    return frames[0][0], frames[0][1]
