"""Every frame is in one stack, and no stack mixes what must not be scrolled through together."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from viewer.decode import open_instance
from viewer.frame_places import frame_places
from viewer.geometry import image_orientation_patient, image_position_patient, slice_normal
from viewer.stack_titles import stack_titles
from viewer.stacks import FramePlace, Stack, stacks_of

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def slices(count: int, step: float = 5.0, first: int = 1, **values: object) -> list[FramePlace]:
    """Return axial slices of one matrix, numbered from `first`."""
    common = FramePlace(AXIAL, (), "1.2", 512, 512)
    return [
        replace(
            common,
            image_position_patient=(0.0, 0.0, step * at),
            instance_number=first + at,
            **values,
        )
        for at in range(count)
    ]


def sizes(frames: list[FramePlace]) -> list[int]:
    return [len(stack.frames) for stack in stacks_of(frames)]


def titles(frames: list[FramePlace]) -> list[str]:
    return stack_titles(stacks_of(frames))


def test_one_plain_series_is_one_stack_by_place_not_by_number() -> None:
    frames = list(reversed(slices(9)))
    frames = [replace(frame, instance_number=n) for n, frame in enumerate(frames)]
    [stack] = stacks_of(frames)
    assert stack.frames == (8, 7, 6, 5, 4, 3, 2, 1, 0)
    assert stack.positions == tuple(5.0 * n for n in range(9))
    assert titles(frames) == ["axial"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_orientation_patient": CORONAL}, "coronal"),
        ({"rows": 256, "columns": 128}, "axial, 128 × 256"),
        ({"frame_of_reference_uid": "1.3"}, "axial, 2 of 2"),
        ({"echo": "2 (80 ms)"}, "axial, echo 2 (80 ms)"),
        ({"diffusion_b_value": 1000.0}, "axial, b 1000"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "axial, localizer"),
    ],
)
def test_frames_that_differ_in_kind_are_stacks_of_their_own(
    change: dict[str, object], words: str
) -> None:
    frames = slices(5) + slices(5, first=6, **change)
    random.Random(1).shuffle(frames)
    assert sizes(frames) == [5, 5]
    assert titles(frames)[1] == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_type": ("ORIGINAL", "PRIMARY", "P")}, "axial, original primary p"),
        ({"pixel_spacing": (0.4, 0.4)}, "axial, pixels of 0.4 mm"),
        ({"temporal_position": 2}, "axial, phase 2"),
        ({"trigger_time": 400.0}, "axial, 400 ms after the R wave"),
        ({"acquisition_number": 2}, "axial, acquisition 2"),
        ({"acquisition_time": "110000"}, "axial, repeat 2"),
        ({}, "axial, repeat 2"),
    ],
)
def test_places_that_repeat_are_parted_by_what_tells_them_apart(
    change: dict[str, object], words: str
) -> None:
    frames = slices(6) + slices(6, first=7, **change)
    random.Random(2).shuffle(frames)
    assert sizes(frames) == [6, 6]
    assert titles(frames)[1] == words
    first, second = stacks_of(frames)
    assert {frames[n].instance_number for n in first.frames} == set(range(1, 7))
    assert len(set(second.positions)) == 6


@pytest.mark.parametrize("name", ["image_type", "temporal_position", "acquisition_number"])
def test_what_differs_without_repeated_places_parts_nothing(name: str) -> None:
    frames = [
        replace(frame, **{name: ("X",) if name == "image_type" else at})
        for at, frame in enumerate(slices(8))
    ]
    assert sizes(frames) == [8]


def test_a_time_per_slice_never_splinters_a_stack() -> None:
    frames = [
        replace(frame, acquisition_time=f"1200{at:02}", trigger_time=float(at))
        for at, frame in enumerate(slices(10) + slices(10, first=11))
    ]
    assert sizes(frames) == [10, 10]


def test_one_place_over_time_is_one_stack_in_the_order_of_time() -> None:
    frames = [
        replace(slices(1)[0], temporal_position=30 - n, trigger_time=900.0 - 30 * n)
        for n in range(30)
    ]
    [stack] = stacks_of(frames)
    assert stack.frames == tuple(range(29, -1, -1))


def test_fifty_four_images_at_twenty_seven_places_are_all_shown() -> None:
    frames = slices(27) + slices(27)
    assert sorted(n for stack in stacks_of(frames) for n in stack.frames) == list(range(54))
    uneven = slices(27) + slices(26)
    assert sorted(n for stack in stacks_of(uneven) for n in stack.frames) == list(range(53))


def test_ranges_that_overlap_by_a_slice_are_not_interleaved() -> None:
    chest = slices(20, acquisition_number=1)
    abdomen = [
        replace(frame, image_position_patient=(0.0, 0.0, frame.image_position_patient[2] + 92.0))
        for frame in slices(20, first=21, acquisition_number=2)
    ]
    abdomen[0] = replace(abdomen[0], image_position_patient=(0.0, 0.0, 95.0))
    assert sizes(chest + abdomen) == [20, 20]


def test_uneven_repeats_stay_together_so_that_no_phase_is_wrong() -> None:
    assert sizes(slices(6) + slices(2, first=7)) == [8]


def test_two_knees_in_one_series_are_not_interleaved() -> None:
    left = slices(8)
    right = [
        replace(frame, image_position_patient=(-150.0, 0.0, frame.image_position_patient[2]))
        for frame in slices(8, first=9)
    ]
    assert sizes(left + right) == [8, 8]


def test_localizers_lie_after_the_stack_never_inside_it() -> None:
    scouts = [
        replace(
            slices(1)[0],
            image_orientation_patient=angle,
            image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
            image_position_patient=(0.0, 0.0, 12.0),
            instance_number=number,
        )
        for number, angle in ((1, CORONAL), (2, SAGITTAL), (3, AXIAL))
    ]
    stacks = stacks_of([*scouts, *slices(5, first=4)])
    assert [stack.kind.is_localizer for stack in stacks] == [False, True, True, True]
    assert len(stacks[0].frames) == 5


def test_angles_that_differ_by_rounding_are_one_stack() -> None:
    frames = [
        replace(frame, image_orientation_patient=(1.0, 1e-4 * (at % 3), 0.0, 0.0, 1.0, 0.0))
        for at, frame in enumerate(slices(9))
    ]
    assert sizes(frames) == [9]


def test_disc_blocks_of_a_spine_are_stacks_of_their_own() -> None:
    frames = []
    for block in range(4):
        tilt = math.radians(8 * block)
        angle = (1.0, 0.0, 0.0, 0.0, math.cos(tilt), math.sin(tilt))
        frames += [
            replace(frame, image_orientation_patient=angle)
            for frame in slices(5, first=1 + 5 * block)
        ]
    assert sizes(frames) == [5, 5, 5, 5]
    assert titles(frames) == [f"axial, {n} of 4" for n in (1, 2, 3, 4)]


def test_a_rotation_is_one_stack_by_number() -> None:
    frames = [
        replace(
            slices(1)[0],
            image_orientation_patient=(math.cos(a), math.sin(a), 0.0, 0.0, 0.0, -1.0),
            instance_number=100 - n,
        )
        for n, a in enumerate(math.pi * k / 60 for k in range(60))
    ]
    [stack] = stacks_of(frames)
    assert stack.frames == tuple(range(59, -1, -1))
    assert titles(frames) == ["rotating"]


def test_a_few_projections_each_at_its_own_angle_are_one_rotation() -> None:
    frames = [
        replace(
            slices(1)[0],
            image_orientation_patient=(math.cos(a), math.sin(a), 0.0, 0.0, 0.0, -1.0),
            instance_number=number,
        )
        for number, a in ((3, 0.5), (1, 0.0), (2, 0.25), (4, 0.75))
    ]
    [stack] = stacks_of(frames)
    assert stack.frames == (1, 2, 0, 3)


def test_a_slice_without_a_place_does_not_disturb_the_others() -> None:
    lost = FramePlace(instance_number=3, rows=512, columns=512)
    stacks = stacks_of([*slices(5), lost])
    assert [stack.frames for stack in stacks] == [(0, 1, 2, 3, 4), (5,)]


def test_images_without_places_go_by_number_then_time_then_receipt() -> None:
    frames = [
        FramePlace(),
        FramePlace(acquisition_time="10"),
        FramePlace(instance_number=4, acquisition_time="12"),
        FramePlace(instance_number=4, acquisition_time="11"),
        FramePlace(),
    ]
    [stack] = stacks_of(frames)
    assert stack.frames == (3, 2, 0, 4, 1)
    assert stack.positions == ()
    assert stacks_of([]) == []


def test_equal_places_go_by_time_then_number() -> None:
    place = slices(1)[0]
    frames = [
        replace(place, acquisition_time="1200", instance_number=1),
        replace(place, acquisition_time="1100", instance_number=9),
        replace(place, acquisition_time="1100", instance_number=3),
    ]
    [stack] = stacks_of(frames)
    assert stack.frames == (2, 1, 0)


def test_a_cine_run_stays_as_it_is_stored_whatever_its_number() -> None:
    frames = [FramePlace(instance_number=9, run="1.1"), FramePlace(instance_number=2, run="1.2")]
    frames.append(FramePlace(instance_number=5))
    assert [stack.frames for stack in stacks_of(frames)] == [(1,), (2,), (0,)]


values = st.sampled_from([0.0, 1.0, 2.0, 3.0])


@st.composite
def any_frames(draw: st.DrawFn) -> list[FramePlace]:
    count = draw(st.integers(0, 12))
    return [
        FramePlace(
            draw(st.sampled_from([(), AXIAL, CORONAL, (1.0,) * 6])),
            draw(st.sampled_from([(), (0.0, 0.0, draw(values)), (draw(values), 0.0, 0.0)])),
            draw(st.sampled_from(["", "1.2"])),
            draw(st.sampled_from([None, 64])),
            64,
            draw(st.sampled_from([(), (0.5, 0.5)])),
            draw(st.sampled_from([(), ("ORIGINAL",), ("X", "Y", "LOCALIZER")])),
            draw(st.sampled_from(["", "1"])),
            draw(st.sampled_from([None, 0.0, 1000.0])),
            draw(st.sampled_from([None, 1, 2])),
            draw(st.sampled_from([None, 10.0, 20.0])),
            draw(st.sampled_from([None, 1, 2])),
            draw(st.sampled_from(["", "1011"])),
            number,
            run=draw(st.sampled_from(["", "", "1.9"])),
        )
        for number in range(count)
    ]


def by_number(frames: list[FramePlace], stacks: list[Stack]) -> list[list[int | None]]:
    return [[frames[n].instance_number for n in stack.frames] for stack in stacks]


@given(any_frames(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_parting_is_complete_and_the_same_in_any_order_of_receipt(
    frames: list[FramePlace], chance: random.Random
) -> None:
    stacks = stacks_of(frames)
    assert sorted(n for stack in stacks for n in stack.frames) == list(range(len(frames)))
    assert len(stack_titles(stacks)) == len(stacks)
    shuffled = list(frames)
    chance.shuffle(shuffled)
    assert by_number(shuffled, stacks_of(shuffled)) == by_number(frames, stacks)


@given(any_frames())
@settings(max_examples=40)
def test_no_stack_mixes_kinds_and_places_only_rise(frames: list[FramePlace]) -> None:
    for stack in stacks_of(frames):
        members = [frames[n] for n in stack.frames]
        assert all(a <= b for a, b in pairwise(stack.positions))
        if stack.positions:
            for name in ("frame_of_reference_uid", "rows", "echo", "diffusion_b_value"):
                assert len({getattr(frame, name) for frame in members}) == 1
        assert len({"LOCALIZER" in frame.image_type for frame in members}) == 1


angles = st.floats(-math.pi, math.pi)


@given(angles, angles, st.permutations(range(12)))
@settings(max_examples=60)
def test_slices_are_ordered_by_position_in_any_oblique_stack(
    turn: float, tilt: float, shuffled: list[int]
) -> None:
    row = (math.cos(turn), math.sin(turn), 0.0)
    column = (-math.sin(turn) * math.cos(tilt), math.cos(turn) * math.cos(tilt), math.sin(tilt))
    normal = slice_normal((*row, *column))
    assert normal is not None
    frames = [
        FramePlace((*row, *column), tuple(2.5 * n * part for part in normal)) for n in shuffled
    ]
    [stack] = stacks_of(frames)
    assert [shuffled[n] for n in stack.frames] == list(range(12))


def test_ten_thousand_frames_of_every_angle_and_place_are_parted() -> None:
    chance = random.Random(3)
    frames = [
        replace(
            frame,
            image_orientation_patient=(math.cos(n), math.sin(n), 0.0, 0.0, 0.0, -1.0),
            image_position_patient=(0.0, chance.random(), 0.0),
            frame_of_reference_uid=f"1.{n % 100}",
        )
        for n, frame in enumerate(slices(10_000))
    ]
    assert sum(sizes(frames)) == 10_000


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, Sequence([value]) if isinstance(value, Dataset) else value)
    return ds


def enhanced(*frames: Dataset) -> Dataset:
    header = item(
        Rows=64,
        Columns=64,
        InstanceNumber=1,
        SOPInstanceUID="1.2.3",
        SharedFunctionalGroupsSequence=item(
            PlaneOrientationSequence=item(ImageOrientationPatient=list(AXIAL))
        ),
    )
    header.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return header


def placed(z: float, **content: object) -> Dataset:
    return item(
        PlanePositionSequence=item(ImagePositionPatient=[0, 0, z]),
        FrameContentSequence=item(**content),
    )


def test_enhanced_frames_are_ordered_by_their_own_places() -> None:
    header = enhanced(placed(9), placed(3), placed(6))
    [stack] = stacks_of(frame_places(header, 3))
    assert stack.frames == (1, 2, 0)
    assert stack.positions == (3, 6, 9)


def test_enhanced_frames_of_two_phases_are_two_stacks() -> None:
    header = enhanced(
        *(placed(z, TemporalPositionIndex=phase) for z in (9, 3, 6) for phase in (1, 2))
    )
    frames = frame_places(header, 6)
    assert [stack.frames for stack in stacks_of(frames)] == [(2, 4, 0), (3, 5, 1)]


def test_enhanced_frames_without_places_go_by_dimension_index() -> None:
    frames = [
        item(FrameContentSequence=item(DimensionIndexValues=[1, number])) for number in (3, 1, 2)
    ]
    [stack] = stacks_of(frame_places(enhanced(*frames), 3))
    assert stack.frames == (1, 2, 0)


def test_enhanced_objects_that_do_not_tell_stay_as_stored() -> None:
    assert frame_places(enhanced(placed(1), placed(2)), 3) == []
    assert frame_places(enhanced(placed(1), item()), 2) == []
    assert frame_places(Dataset(), 1) == []


@pytest.mark.parametrize(
    ("name", "order"), [("eCT_Supplemental.dcm", [(1, 0)]), ("emri_small.dcm", [])]
)
def test_real_enhanced_objects(
    testdata: Callable[[str], Path], name: str, order: list[tuple[int, ...]]
) -> None:
    instance = open_instance(testdata(name))
    frames = frame_places(instance.header, instance.number_of_frames)
    assert [stack.frames for stack in stacks_of(frames)] == order


@pytest.mark.parametrize("series", ["mr-sag-HFS", "mr-sag-HFDL"])
def test_a_real_stack_comes_back_in_order_from_any_order(corpus: Path, series: str) -> None:
    paths = sorted((corpus / "series" / series).glob("*.dcm"))
    random.Random(4).shuffle(paths)
    headers = [open_instance(path).header for path in paths]
    frames = [
        FramePlace(image_orientation_patient(header, 0), image_position_patient(header, 0))
        for header in headers
    ]
    [stack] = stacks_of(frames)
    steps = [b - a for a, b in pairwise(stack.positions)]
    assert len(steps) == 34
    assert min(steps) > 0
    assert max(steps) - min(steps) < 0.01
