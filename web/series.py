"""Series of a study with their instances in display order, and what seems to be missing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import pairwise
from statistics import median
from typing import Any, Final

from dicom_node.index import InstanceRecord, SeriesRecord
from viewer.geometry import SlicePlace, slice_order, slice_position
from web.studies import series_title

GAP_FACTOR: Final = 1.5
"""A step between slices this many times the usual one counts as a gap."""
_SMALLEST_STEP_MM: Final = 0.01
_INSTANCE_FIELDS: Final = (
    "sop_instance_uid",
    "sop_class_uid",
    "instance_number",
    "number_of_frames",
    "rows",
    "columns",
    "digest",
    "is_conflict",
    "damaged_at",
)


def series_answers(
    series: Iterable[SeriesRecord], instances: Iterable[InstanceRecord]
) -> list[dict[str, Any]]:
    """Return the series of a study as JSON, each with its instances in display order.

    Parameters
    ----------
    series : iterable of SeriesRecord
        The series, in the order they are listed.
    instances : iterable of InstanceRecord
        All instances of the study; of several versions of one UID, the first is listed.

    Returns
    -------
    list of dict
        Each with `title`, `instances` and `warnings` (what seems to be missing, in words).
    """
    members: dict[str, list[InstanceRecord]] = {}
    for instance in instances:
        if instance.version == 1:
            members.setdefault(instance.series_instance_uid, []).append(instance)
    return [
        series_answer(one, in_display_order(members[one.series_instance_uid]))
        for one in series
        if one.series_instance_uid in members
    ]


def series_answer(series: SeriesRecord, ordered: Sequence[InstanceRecord]) -> dict[str, Any]:
    """Return one series as JSON.

    Parameters
    ----------
    series : SeriesRecord
        The series.
    ordered : sequence of InstanceRecord
        Its instances in display order.

    Returns
    -------
    dict
    """
    return asdict(series) | {
        "title": series_title(series),
        "instances": [
            {name: getattr(instance, name) for name in _INSTANCE_FIELDS} for instance in ordered
        ],
        "warnings": warnings_of(ordered),
    }


def in_display_order(instances: Sequence[InstanceRecord]) -> list[InstanceRecord]:
    """Order instances as they are scrolled through.

    Parameters
    ----------
    instances : sequence of InstanceRecord
        The instances of one series, in the order of receipt.

    Returns
    -------
    list of InstanceRecord
    """
    places = [
        SlicePlace(
            image_orientation_patient=instance.image_orientation_patient or (),
            image_position_patient=instance.image_position_patient or (),
            instance_number=instance.instance_number,
        )
        for instance in instances
    ]
    return [instances[index] for index in slice_order(places)]


def representative(instances: Sequence[InstanceRecord]) -> InstanceRecord:
    """Return the instance a thumbnail is made of: the middle one of the first series with pixels.

    Parameters
    ----------
    instances : sequence of InstanceRecord
        At least one.

    Returns
    -------
    InstanceRecord
    """
    with_pixels = [instance for instance in instances if instance.rows] or list(instances)
    first = with_pixels[0].series_instance_uid
    ordered = in_display_order(
        [instance for instance in with_pixels if instance.series_instance_uid == first]
    )
    return ordered[len(ordered) // 2]


def warnings_of(ordered: Sequence[InstanceRecord]) -> list[str]:
    """Say what seems to be missing in a series; nothing said does not mean that it is complete.

    Parameters
    ----------
    ordered : sequence of InstanceRecord
        The instances in display order.

    Returns
    -------
    list of str
    """
    found = []
    if damaged := [at for at, instance in enumerate(ordered, 1) if instance.damaged_at]:
        found.append(f"File damaged on disk: image {ranges(damaged)}")
    found += [f"Gap after image {after}" for after in gaps(positions_mm(ordered))]
    if missing := missing_numbers(instance.instance_number for instance in ordered):
        found.append(f"Numbers not here: {ranges(missing)}")
    return found


def positions_mm(ordered: Iterable[InstanceRecord]) -> list[float]:
    """Return the place of each slice along its normal, or nothing when any has none.

    Parameters
    ----------
    ordered : iterable of InstanceRecord
        The instances in display order.

    Returns
    -------
    list of float
        mm.
    """
    found = [
        slice_position(
            instance.image_orientation_patient or (), instance.image_position_patient or ()
        )
        for instance in ordered
    ]
    return [] if None in found else [place for place in found if place is not None]


def gaps(positions: Sequence[float]) -> list[int]:
    """Find steps between slices that are much wider than usual.

    Parameters
    ----------
    positions : sequence of float
        Rising, mm.

    Returns
    -------
    list of int
        1-based numbers of the slices with a gap after them.
    """
    steps = [after - before for before, after in pairwise(positions)]
    real = [step for step in steps if step > _SMALLEST_STEP_MM]
    if len(real) < 3:
        return []
    widest = GAP_FACTOR * median(real)
    return [number for number, step in enumerate(steps, start=1) if step > widest]


def missing_numbers(numbers: Iterable[int | None]) -> list[int]:
    """Find instance numbers left out between the lowest and the highest.

    Parameters
    ----------
    numbers : iterable of int or None
        Instance Number (0020,0013) of each instance.

    Returns
    -------
    list of int
        Empty when more are left out than used: then they are not a count.
    """
    used = {number for number in numbers if number is not None}
    if not used or max(used) - min(used) + 1 >= 2 * len(used):
        return []
    return sorted(set(range(min(used), max(used))) - used)


def ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers with runs drawn together: "3, 81-96".

    Parameters
    ----------
    numbers : sequence of int
        At least one, rising.

    Returns
    -------
    str
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
