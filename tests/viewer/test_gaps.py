"""What is missing is told with its place, and nothing is called complete without evidence."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.gaps import Completeness, Gap, Steps, completeness, missing_numbers, ranges, steps_of


def test_gaps_need_a_usual_step() -> None:
    assert steps_of([0, 5, 10, 25, 30, 35]).gaps == (Gap(3, 15, 2),)
    assert steps_of([0, 50]).gaps == ()
    assert steps_of([0, 0, 0, 0]) == Steps()
    assert steps_of([]) == Steps()


def test_a_gap_is_told_with_its_width_and_the_usual_spacing() -> None:
    found = steps_of([n * 2.5 for n in range(20) if n not in (7, 8, 9)])
    assert found.spacing_mm == 2.5
    assert found.gaps == (Gap(7, 10.0, 3),)
    assert found.is_even


def test_a_step_of_one_and_a_half_is_no_gap_yet() -> None:
    assert steps_of([0, 2, 4, 7, 9]).gaps == ()
    assert steps_of([0, 2, 4, 7.1, 9]).gaps == (Gap(3, pytest.approx(3.1), 1),)


def test_duplicate_places_are_named() -> None:
    found = steps_of([0, 1, 1, 2, 3, 3, 3.000001, 4])
    assert found.duplicates == ((2, 3), (5, 7))
    assert found.gaps == ()


def test_one_place_over_time_is_no_duplicate() -> None:
    assert steps_of([5.0] * 30) == Steps()


def test_mixed_spacing_is_uneven_and_not_a_row_of_gaps() -> None:
    found = steps_of(list(accumulate([1.0] * 20 + [5.0] * 15)))
    assert found.gaps == ()
    assert not found.is_even
    assert (found.smallest_mm, found.largest_mm) == (1.0, 5.0)


def test_half_of_the_slices_missing_here_and_there_is_never_silent() -> None:
    found = steps_of([0, 1, 2, 5, 6, 9, 10, 11, 14, 15, 20, 21])
    assert found.gaps or not found.is_even


@given(st.sets(st.integers(0, 60), min_size=8), st.floats(0.5, 10))
def test_an_inner_slice_left_out_of_a_dense_stack_is_always_told(
    kept: set[int], step: float
) -> None:
    dense = sorted(set(range(61)) - {min(kept & set(range(1, 60)) or {5})})
    found = steps_of([n * step for n in dense])
    assert [gap.missing for gap in found.gaps] == [1]


def test_numbers_that_do_not_count_are_not_missed() -> None:
    assert missing_numbers([1, 2, 4, None]) == [3]
    assert missing_numbers([1, 1000]) == []
    assert missing_numbers([1, 2**31 - 1]) == []
    assert missing_numbers([None]) == []


def test_runs_are_drawn_together() -> None:
    assert ranges([3, 5, 6, 7, 9, 10]) == "3, 5-7, 9-10"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([], Completeness(0, None, "none")),
        ([(1, None)] * 5, Completeness(5, None, "none")),
        ([(1, 54)] * 27, Completeness(27, 54, "images in acquisition")),
        ([(1, 3)] * 3, Completeness(3, 3, "images in acquisition")),
        ([(1, 3)] * 3 + [(2, 5)] * 4, Completeness(7, 8, "images in acquisition")),
        ([(1, 3)] * 3 + [(2, None)], Completeness(4, None, "none")),
        ([(1, 3), (1, 4)], Completeness(2, None, "contradictory")),
        ([(1, 3)] * 4, Completeness(4, None, "contradictory")),
        ([(1, 0)], Completeness(1, None, "none")),
    ],
)
def test_a_number_of_images_is_expected_only_with_evidence(
    images: list[tuple[int | None, int | None]], expected: Completeness
) -> None:
    assert completeness(images) == expected
