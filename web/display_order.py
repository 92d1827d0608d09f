"""The instances of a series parted into stacks, in the order they are scrolled through."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicom_node.index import InstanceRecord
from viewer.frame_places import SOP_CLASSES_OF_PLACED_FRAMES, echo_words
from viewer.gaps import Steps, steps_of
from viewer.geometry import plausible_position
from viewer.stack_titles import stack_titles
from viewer.stacks import FramePlace, Stack, stacks_of

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


def shown_series(
    instances: Sequence[InstanceRecord], places_of: PlacesOf = lambda _: ()
) -> ShownSeries:
    """Part the instances of one series into stacks.

    Parameters
    ----------
    instances : sequence of InstanceRecord
        In the order of receipt.
    places_of : callable, optional
        Gives the place of each frame of an enhanced multi-frame instance; without it, its frames
        stay as stored.

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
        image_position_patient=plausible_position(instance.image_position_patient or ()),
        frame_of_reference_uid=instance.frame_of_reference_uid,
        rows=instance.rows,
        columns=instance.columns,
        pixel_spacing=instance.pixel_spacing or (),
        image_type=tuple(part.strip() for part in instance.image_type.split("\\")),
        echo=echo_words(instance.echo_numbers, finite_number(instance.echo_time)),
        diffusion_b_value=instance.diffusion_b_value,
        temporal_position=instance.temporal_position_identifier,
        trigger_time=finite_number(instance.trigger_time),
        acquisition_number=instance.acquisition_number,
        acquisition_time=instance.acquisition_time,
        instance_number=instance.instance_number,
        run=instance.sop_instance_uid if instance.number_of_frames > 1 else "",
    )


def finite_number(text: str) -> float | None:
    """Return the number a text stands for.

    Parameters
    ----------
    text : str
        A decimal string as the index keeps it, "" when absent.

    Returns
    -------
    float or None
        None when it is absent or no finite number.
    """
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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
