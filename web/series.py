"""Series of a study: their stacks in display order, and what seems to be missing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from dicom_node.index import InstanceRecord, SeriesRecord
from viewer.errors import ViewerError
from viewer.frame_places import frame_places
from viewer.gaps import Steps, completeness, missing_numbers, ranges
from viewer.geometry import slice_normal
from viewer.stacks import FramePlace
from web.context import WebContext
from web.display_order import PlacesOf, ShownSeries, ShownStack, finite_number, shown_series
from web.studies import series_title

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
SHOWN_FROM_THE_MIDDLE: Final = ("CT", "MR", "PT")
"""Modalities whose stacks are opened in the middle."""
_FEWEST_OF_A_STACK: Final = 3
_MOST_NAMED: Final = 20
"""Warnings of one kind beyond this many are counted, not listed."""


def series_answers(
    series: Iterable[SeriesRecord],
    instances: Iterable[InstanceRecord],
    places_of: PlacesOf = lambda _: (),
) -> list[dict[str, Any]]:
    """Return the series of a study as JSON, each with its instances in display order.

    Parameters
    ----------
    series : iterable of SeriesRecord
        The series, in the order they are listed.
    instances : iterable of InstanceRecord
        All instances of the study; of several versions of one UID, the first is listed.
    places_of : callable, optional
        Gives the place of each frame of an enhanced multi-frame instance; without it, its frames
        stay as stored.

    Returns
    -------
    list of dict
        As `series_answer`.
    """
    members: dict[str, list[InstanceRecord]] = {}
    for instance in instances:
        if instance.version == 1:
            members.setdefault(instance.series_instance_uid, []).append(instance)
    return [
        series_answer(one, shown_series(members[one.series_instance_uid], places_of))
        for one in series
        if one.series_instance_uid in members
    ]


def series_answer(series: SeriesRecord, shown: ShownSeries) -> dict[str, Any]:
    """Return one series as JSON.

    Parameters
    ----------
    series : SeriesRecord
        The series.
    shown : ShownSeries
        Its instances and stacks.

    Returns
    -------
    dict
        The values of `series`, and:

        `title`
            What it is called.
        `instances`
            In display order: the stacks one after the other, localizers last.
        `stacks`
            Each with `title` in words ("axial, echo 2"; "" where there is nothing to say),
            `is_localizer`, `frames` as [place in `instances`, first frame number, number of
            frames], `frame_of_reference_uid`, `normal` of its planes and `positions_mm` of its
            frames along it (None and [] without a place), `slice_thickness` of its first frame
            (mm, None when unknown), `spacing_mm` (the usual step, None for one frame),
            `smallest_mm`, `largest_mm`, `is_even`, `gaps` (`after` which frame of the stack, `mm`,
            how many `missing`) and `duplicates` (first and last frame of the stack at one place).
        `opens_at`
            Which of its frames is seen first, counted from 0 through all stacks.
        `completeness`
            `here`, `expected` (None without evidence) and the `basis` of it.
        `warnings`
            What seems to be missing, in words; nothing said does not mean that it is complete.
    """
    return asdict(series) | {
        "title": series_title(series),
        "instances": [
            {name: getattr(instance, name) for name in _INSTANCE_FIELDS}
            for instance in shown.instances
        ],
        "stacks": [stack_answer(stack, shown.instances) for stack in shown.stacks],
        "opens_at": opens_at(series.modality, shown),
        "completeness": asdict(completeness(_counted(shown.instances))),
        "warnings": warnings_of(shown),
    }


def opens_at(modality: str, shown: ShownSeries) -> int:
    """Return which frame of a series is seen first: of stacks of CT and MR the middle one.

    Parameters
    ----------
    modality : str
        Of the series.
    shown : ShownSeries
        Its instances and stacks.

    Returns
    -------
    int
        Counted from 0 through all stacks.
    """
    if modality not in SHOWN_FROM_THE_MIDDLE or len(shown.instances) < _FEWEST_OF_A_STACK:
        return 0
    return sum(stack.length for stack in shown.stacks) // 2


def stack_answer(shown: ShownStack, instances: Sequence[InstanceRecord]) -> dict[str, Any]:
    """Return one stack as JSON, as told at `series_answer`.

    Parameters
    ----------
    shown : ShownStack
    instances : sequence of InstanceRecord
        Of its series, in display order.

    Returns
    -------
    dict
    """
    kind, steps = shown.stack.kind, shown.steps
    first = instances[shown.frames[0][0]]
    return {
        "title": shown.title,
        "is_localizer": kind.is_localizer,
        "frames": shown.frames,
        "frame_of_reference_uid": kind.frame_of_reference_uid,
        "normal": slice_normal(kind.image_orientation_patient),
        "positions_mm": [round(position, 3) for position in shown.stack.positions],
        "slice_thickness": finite_number(first.slice_thickness),
        "spacing_mm": _rounded(steps.spacing_mm),
        "smallest_mm": _rounded(steps.smallest_mm),
        "largest_mm": _rounded(steps.largest_mm),
        "is_even": steps.is_even,
        "gaps": [asdict(gap) | {"mm": round(gap.mm, 3)} for gap in steps.gaps],
        "duplicates": steps.duplicates,
    }


def _rounded(mm: float | None) -> float | None:
    return None if mm is None else round(mm, 3)


def _counted(instances: Iterable[InstanceRecord]) -> list[tuple[int | None, int | None]]:
    return [(one.acquisition_number, one.images_in_acquisition) for one in instances]


def placed_frames(context: WebContext, instance: InstanceRecord) -> Sequence[FramePlace]:
    """Read the places of an instance's frames from its file, once while they are kept.

    Parameters
    ----------
    context : WebContext
        Opens the file and keeps what was read.
    instance : InstanceRecord

    Returns
    -------
    sequence of FramePlace
        Empty when the file cannot be read or does not tell.
    """

    def read() -> list[FramePlace]:
        opened = context.open(instance)
        return frame_places(opened.header, opened.number_of_frames)

    try:
        return context.kept(("places", instance.digest), read)
    except ViewerError:
        return ()


def warnings_of(shown: ShownSeries) -> list[str]:
    """Say what seems to be missing in a series; nothing said does not mean that it is complete.

    Parameters
    ----------
    shown : ShownSeries
        The instances and stacks of a series.

    Returns
    -------
    list of str
        Images are numbered through all stacks, from 1.
    """
    found = []
    if damaged := _images_of(shown, lambda instance: bool(instance.damaged_at)):
        found.append(f"File damaged on disk: image {ranges(damaged)}")
    first = 0
    of_steps: list[str] = []
    for stack in shown.stacks:
        if not stack.stack.kind.is_localizer:  # nobody expects these to be evenly spaced
            of_steps += _steps_words(stack.steps, first)
        first += stack.length
    found += of_steps[:_MOST_NAMED]
    if len(of_steps) > _MOST_NAMED:
        found.append(f"{len(of_steps) - _MOST_NAMED} more of these")
    counted = completeness(_counted(shown.instances))
    if counted.expected is not None and counted.here < counted.expected:
        found.append(f"{counted.here} here, the scanner counted {counted.expected} images")
    if missing := missing_numbers(instance.instance_number for instance in shown.instances):
        found.append(f"Numbers not here: {ranges(missing)}")
    return found


def _images_of(shown: ShownSeries, is_meant: Callable[[InstanceRecord], bool]) -> list[int]:
    """Return the first image of each instance that is meant, numbered through all stacks."""
    firsts: dict[int, int] = {}
    number = 1
    for stack in shown.stacks:
        for index, _, count in stack.frames:
            firsts.setdefault(index, number)
            number += count
    return sorted(n for index, n in firsts.items() if is_meant(shown.instances[index]))


def _steps_words(steps: Steps, first: int) -> list[str]:
    found = [f"Gap of {gap.mm:.3g} mm after image {first + gap.after}" for gap in steps.gaps]
    if not steps.is_even and steps.smallest_mm is not None and steps.largest_mm is not None:
        found.append(f"Uneven spacing: {steps.smallest_mm:.3g} to {steps.largest_mm:.3g} mm")
    if steps.duplicates:
        places = ", ".join(f"{first + a}-{first + b}" for a, b in steps.duplicates[:_MOST_NAMED])
        found.append(f"Images at the same place: {places}")
    return found
