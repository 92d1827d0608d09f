import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from dicom_node.index import IndexReader, InstanceRecord, SeriesRecord
from dicom_node.settings import Settings
from viewer.stacks import FramePlace
from web.display_order import in_display_order, representative, shown_series
from web.series import series_answers, warnings_of


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


def warnings(records: list[InstanceRecord]) -> list[str]:
    return warnings_of(shown_series(records))


def test_slices_are_ordered_by_place_not_by_number(stack) -> None:
    assert numbers(in_display_order(stack((1, 10.0), (2, 0.0), (3, 5.0)))) == [2, 3, 1]


def test_without_places_the_number_orders(stack) -> None:
    assert numbers(in_display_order(stack((3, None), (1, None), (2, None)))) == [1, 2, 3]


def test_a_slice_without_a_place_comes_after_the_stack(stack) -> None:
    assert numbers(in_display_order(stack((1, None), (3, 5.0), (2, 9.0)))) == [3, 2, 1]


def test_a_missing_slice_is_told(stack) -> None:
    records = stack(*[(n, n * 5.0) for n in range(1, 11) if n != 6])
    assert warnings(records) == ["Gap of 10 mm after image 5", "Numbers not here: 6"]


def test_a_whole_series_is_not_called_complete(stack) -> None:
    assert warnings(stack(*[(n, n * 5.0) for n in range(1, 6)])) == []


def test_images_at_one_place_are_told(stack) -> None:
    records = stack((1, 0.0), (2, 5.0), (3, 5.0), (4, 10.0), (5, 15.0))
    assert warnings(records) == ["Images at the same place: 2-3"]


def test_uneven_spacing_is_told(stack) -> None:
    places = [0.0, 1.0, 2.0, 3.0, 8.0, 13.0, 18.0, 23.0]
    records = stack(*enumerate(places, start=1))
    assert warnings(records) == ["Uneven spacing: 1 to 5 mm"]


def test_fewer_images_than_the_scanner_counted_are_told_with_the_basis(stack) -> None:
    records = [replace(record, images_in_acquisition=54) for record in stack((1, 0.0), (2, 5.0))]
    assert warnings(records) == ["2 here, the scanner counted 54 images"]


def test_localizers_need_not_be_evenly_spaced(stack) -> None:
    records = stack(*enumerate([0.0, 1.0, 2.0, 3.0, 90.0], start=1))
    assert warnings(records) == ["Gap of 87 mm after image 4"]
    scouts = [replace(record, image_type="DERIVED\\PRIMARY\\SCOUT") for record in records]
    assert warnings(scouts) == []


def test_an_absurd_place_counts_as_none_and_the_study_still_opens(stack) -> None:
    records = stack(*[(n, n * 5.0) for n in range(1, 6)])
    records[4] = replace(records[4], image_position_patient=(1e308, 1e308, -1e308))
    assert numbers(in_display_order(records)) == [1, 2, 3, 4, 5]
    assert answer(records)["stacks"][0]["spacing_mm"] == 5


def test_a_damaged_file_is_named_by_its_first_image(stack) -> None:
    records = stack((1, 0.0), (2, 5.0))
    records[0] = replace(records[0], number_of_frames=30, image_position_patient=None)
    records[1] = replace(records[1], damaged_at="2026-01-02", image_position_patient=None)
    [cine, _] = answer(records)["stacks"]
    at = 31 if cine["frames"][0][2] == 30 else 1
    assert f"File damaged on disk: image {at}" in answer(records)["warnings"]


def test_the_thumbnail_is_of_the_middle_of_the_stack(stack) -> None:
    records = stack((1, 0.0), (2, 5.0), (3, 10.0))
    scouts = [
        replace(record, image_type="ORIGINAL\\PRIMARY\\LOCALIZER", instance_number=number)
        for number, record in enumerate(stack(*[(n, 7.0 * n) for n in range(9)]), start=-9)
    ]
    assert representative(records).instance_number == 2
    mixed = [replace(one, series_instance_uid="1.2") for one in (*scouts, *records)]
    assert representative(mixed).instance_number == 2


def answer(records: list[InstanceRecord], places_of=lambda _: ()) -> dict[str, Any]:
    """Return a series' JSON as the browser reads it."""
    uids = records[0].study_instance_uid, records[0].series_instance_uid
    series = SeriesRecord(*uids, "MR", 1, "T2", "", "", len(records), "")
    [found] = json.loads(json.dumps(series_answers([series], records, places_of)))
    return found


def test_stacks_point_at_the_instances_in_display_order(stack) -> None:
    records = [
        replace(record, echo_numbers=str(1 + record.instance_number % 2))
        for record in stack((1, 9.0), (2, 9.0), (3, 0.0), (4, 0.0))
    ]
    found = answer(records)
    assert [stack["title"] for stack in found["stacks"]] == ["axial, echo 2", "axial, echo 1"]
    assert [stack["frames"] for stack in found["stacks"]] == [
        [[0, 1, 1], [1, 1, 1]],
        [[2, 1, 1], [3, 1, 1]],
    ]
    assert [one["instance_number"] for one in found["instances"]] == [3, 1, 4, 2]
    first = found["stacks"][0]
    assert (first["normal"], first["positions_mm"], first["spacing_mm"]) == ([0, 0, 1], [0, 9], 9)
    assert first["slice_thickness"] == float(records[0].slice_thickness)
    assert first["frame_of_reference_uid"] == records[0].frame_of_reference_uid
    assert found["completeness"] == {"here": 4, "expected": None, "basis": "none"}


def test_gaps_are_numbered_in_their_stack_and_in_words_through_all_of_them(stack) -> None:
    places = [(n, 5.0 * n) for n in range(1, 10) if n != 4]
    records = [
        replace(record, echo_time=time, instance_number=(record.instance_number or 0) + add)
        for time, add in (("10", 0), ("80", 9))
        for record in stack(*places)
    ]
    uids = {"study_instance_uid": "1.1", "series_instance_uid": "1.2"}
    found = answer([replace(record, **uids) for record in records])
    assert [stack["gaps"] for stack in found["stacks"]] == [
        [{"after": 3, "mm": 10.0, "missing": 1}]
    ] * 2
    assert found["warnings"][:2] == ["Gap of 10 mm after image 3", "Gap of 10 mm after image 11"]


def test_a_cine_run_is_one_entry_however_many_frames_it_claims(stack) -> None:
    [record] = stack((1, None))
    found = answer([replace(record, number_of_frames=2_000_000_000)])
    assert found["stacks"][0]["frames"] == [[0, 1, 2_000_000_000]]


def test_enhanced_frames_are_listed_in_the_order_of_their_places(stack) -> None:
    [record] = stack((1, None))
    enhanced = replace(record, sop_class_uid="1.2.840.10008.5.1.4.1.1.4.1", number_of_frames=3)
    frames = [
        FramePlace((1.0, 0, 0, 0, 1.0, 0), (0.0, 0.0, z), frame_number=number)
        for number, z in ((1, 8.0), (2, 2.0), (3, 5.0))
    ]
    found = answer([enhanced], lambda _: frames)
    assert found["stacks"][0]["frames"] == [[0, 2, 1], [0, 3, 1], [0, 1, 1]]
    assert len(found["instances"]) == 1
    assert answer([enhanced])["stacks"][0]["frames"] == [[0, 1, 3]]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_real_enhanced_object_is_ordered_as_far_as_its_file_can_be_read(
    keeper, client: FlaskClient, is_damaged: bool
) -> None:
    path = get_testdata_file("eCT_Supplemental.dcm", download=False)
    assert path is not None
    keeper.keep_file(Path(str(path)))
    [stored] = keeper.store.walk()
    if is_damaged:
        (keeper.data / stored).write_bytes(b"no longer an instance")
    uid = dcmread(str(path), stop_before_pixels=True).StudyInstanceUID
    [series] = client.get(f"/api/v1/studies/{uid}").json["study"]["series"]
    [stack] = series["stacks"]
    assert stack["frames"] == ([[0, 1, 2]] if is_damaged else [[0, 2, 1], [0, 1, 1]])
    assert stack["positions_mm"] == ([] if is_damaged else [149, 159])
