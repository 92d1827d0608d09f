from collections.abc import Callable

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from dicom_node.index import IndexReader, InstanceRecord
from dicom_node.settings import Settings
from web.series import gaps, in_display_order, missing_numbers, ranges, representative, warnings_of


@pytest.fixture
def stack(
    keeper, settings: Settings, make_instance: Callable[..., FileDataset]
) -> Callable[..., list[InstanceRecord]]:
    """Keep a series with slices at these places (number, z in mm); returns its records."""

    def make(*places: tuple[int, float | None]) -> list[InstanceRecord]:
        uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
        for number, z in places:
            dataset = make_instance(number, **uids)
            if z is None:
                del dataset.ImagePositionPatient
            else:
                dataset.ImagePositionPatient = [0, 0, z]
            keeper.keep(dataset)
        reader = IndexReader(settings.node.data / "index.sqlite")
        found = reader.instances(uids["StudyInstanceUID"])
        reader.close()
        return found

    return make


def numbers(records: list[InstanceRecord]) -> list[int | None]:
    return [record.instance_number for record in records]


def test_slices_are_ordered_by_place_not_by_number(stack) -> None:
    assert numbers(in_display_order(stack((1, 10.0), (2, 0.0), (3, 5.0)))) == [2, 3, 1]


def test_without_places_the_number_orders(stack) -> None:
    assert numbers(in_display_order(stack((3, None), (1, 5.0), (2, 0.0)))) == [1, 2, 3]


def test_a_missing_slice_is_told(stack) -> None:
    records = in_display_order(stack(*[(n, n * 5.0) for n in range(1, 11) if n != 6]))
    assert warnings_of(records) == ["Gap after image 5", "Numbers not here: 6"]


def test_a_whole_series_is_not_called_complete(stack) -> None:
    assert warnings_of(in_display_order(stack(*[(n, n * 5.0) for n in range(1, 6)]))) == []


def test_the_thumbnail_is_of_the_middle(stack) -> None:
    assert representative(stack((1, 0.0), (2, 5.0), (3, 10.0))).instance_number == 2


def test_gaps_need_a_usual_step() -> None:
    assert gaps([0, 5, 10, 25, 30, 35]) == [3]
    assert gaps([0, 50]) == []
    assert gaps([0, 0, 0, 0]) == []
    assert gaps([]) == []


def test_numbers_that_do_not_count_are_not_missed() -> None:
    assert missing_numbers([1, 2, 4, None]) == [3]
    assert missing_numbers([1, 1000]) == []
    assert missing_numbers([None]) == []


def test_runs_are_drawn_together() -> None:
    assert ranges([3, 5, 6, 7, 9, 10]) == "3, 5-7, 9-10"
