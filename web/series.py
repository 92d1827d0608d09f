"""Series of a study: their stacks in display order, and what seems to be missing."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from dicom_node.index import InstanceRecord, SeriesRecord
from viewer.errors import ViewerError
from viewer.frame_places import SOP_CLASSES_OF_PLACED_FRAMES, echo_words, frame_places
from viewer.gaps import Steps, completeness, missing_numbers, ranges, steps_of
from viewer.geometry import slice_normal
from viewer.stack_titles import stack_titles
from viewer.stacks import FramePlace, Stack, stacks_of
from web.context import WebContext
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
_MOST_NAMED: Final = 20
"""Warnings of one kind beyond this many are counted, not listed."""

PlacesOf = Callable[[InstanceRecord], Sequence[FramePlace]]
"""Gives the place of each frame of one instance, nothing where they have none of their own."""


@dataclass(frozen=True, slots=True)
class ShownStack:
    """One stack of a series.

    `frames` holds (instance, first frame number, number of frames) in display order, the instance
    as its place among the series' instances in display order; a cine run is one entry.
    """

    stack: Stack
    title: str
    frames: tuple[tuple[int, int, int], ...]
    steps: Steps

    @property
    def length(self) -> int:
        """Number of frames."""
        return sum(count for _, _, count in self.frames)


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """The instances of one series in display order, and its stacks."""

    instances: list[InstanceRecord]
    stacks: list[ShownStack]


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
        "completeness": asdict(completeness(_counted(shown.instances))),
        "warnings": warnings_of(shown),
    }


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
        "slice_thickness": _decimal(first.slice_thickness),
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


def shown_series(
    instances: Sequence[InstanceRecord], places_of: PlacesOf = lambda _: ()
) -> ShownSeries:
    """Part the instances of one series into stacks.

    Parameters
    ----------
    instances : sequence of InstanceRecord
        In the order of receipt.
    places_of : callable, optional
        As for `series_answers`.

    Returns
    -------
    ShownSeries
        Every frame of every instance is in exactly one stack.
    """
    places: list[FramePlace] = []
    shares: list[tuple[int, int, int]] = []
    for index, instance in enumerate(instances):
        for place, count in _frames(instance, places_of):
            places.append(place)
            shares.append((index, place.frame_number, count))
    stacks = stacks_of(places)
    in_order = dict.fromkeys(shares[frame][0] for stack in stacks for frame in stack.frames)
    now_at = {index: at for at, index in enumerate(in_order)}

    def moved(share: tuple[int, int, int]) -> tuple[int, int, int]:
        return now_at[share[0]], share[1], share[2]

    return ShownSeries(
        [instances[index] for index in in_order],
        [
            ShownStack(
                stack,
                title,
                tuple(moved(shares[n]) for n in stack.frames),
                steps_of(stack.positions),
            )
            for stack, title in zip(stacks, stack_titles(stacks), strict=True)
        ],
    )


def _frames(instance: InstanceRecord, places_of: PlacesOf) -> list[tuple[FramePlace, int]]:
    """Return what is ordered one by one, and how many frames of the instance each stands for."""
    has_groups = instance.sop_class_uid in SOP_CLASSES_OF_PLACED_FRAMES
    if has_groups and (places := places_of(instance)):
        return [(place, 1) for place in places]
    return [(place_of(instance), max(1, instance.number_of_frames))]


def place_of(instance: InstanceRecord) -> FramePlace:
    """Return what the index knows of an instance's place.

    Parameters
    ----------
    instance : InstanceRecord

    Returns
    -------
    FramePlace
    """
    return FramePlace(
        image_orientation_patient=instance.image_orientation_patient or (),
        image_position_patient=instance.image_position_patient or (),
        frame_of_reference_uid=instance.frame_of_reference_uid,
        rows=instance.rows,
        columns=instance.columns,
        pixel_spacing=instance.pixel_spacing or (),
        image_type=tuple(part.strip() for part in instance.image_type.split("\\")),
        echo=echo_words(instance.echo_numbers, _decimal(instance.echo_time)),
        diffusion_b_value=instance.diffusion_b_value,
        temporal_position=instance.temporal_position_identifier,
        trigger_time=_decimal(instance.trigger_time),
        acquisition_number=instance.acquisition_number,
        acquisition_time=instance.acquisition_time,
        instance_number=instance.instance_number,
        run=instance.sop_instance_uid if instance.number_of_frames > 1 else "",
    )


def _decimal(text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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
    return shown_series(instances).instances


def representative(instances: Sequence[InstanceRecord]) -> InstanceRecord:
    """Return the instance a thumbnail is made of: the middle one of the first stack with pixels.

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
    shown = shown_series([one for one in with_pixels if one.series_instance_uid == first])
    frames = shown.stacks[0].frames
    return shown.instances[frames[len(frames) // 2][0]]


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
    if damaged := [at for at, one in enumerate(shown.instances, 1) if one.damaged_at]:
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


def _steps_words(steps: Steps, first: int) -> list[str]:
    found = [f"Gap of {gap.mm:.3g} mm after image {first + gap.after}" for gap in steps.gaps]
    if not steps.is_even and steps.smallest_mm is not None and steps.largest_mm is not None:
        found.append(f"Uneven spacing: {steps.smallest_mm:.3g} to {steps.largest_mm:.3g} mm")
    if steps.duplicates:
        places = ", ".join(f"{first + a}-{first + b}" for a, b in steps.duplicates[:_MOST_NAMED])
        found.append(f"Images at the same place: {places}")
    return found
