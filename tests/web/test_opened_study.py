"""web.opened_study: the list of a study is kept while it is true; what opens it is known."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from web.opened_study import frame_at, opened_study, opening_series


def series(*counts: int, rows: int | None = 64) -> dict[str, Any]:
    """Describe a series whose instances have so many frames each, all in one stack."""
    return {
        "instances": [{"sop_instance_uid": f"1.{n}", "rows": rows} for n in range(len(counts))],
        "stacks": [{"frames": [(n, 1, count) for n, count in enumerate(counts)]}],
    }


@pytest.mark.parametrize(
    ("index", "found"), [(0, (0, 1)), (1, (0, 2)), (2, (1, 1)), (7, (1, 6)), (8, (2, 1))]
)
def test_a_place_in_a_series_is_a_frame_of_an_instance(index: int, found: tuple[int, int]) -> None:
    assert frame_at(series(2, 6, 2), index) == found


def test_the_first_series_with_pictures_is_opened() -> None:
    report, pictures = series(1, rows=None), series(1)
    assert opening_series([report, pictures, pictures]) == 1
    assert opening_series([report]) is None
    assert opening_series([]) is None


@pytest.mark.parametrize(
    ("modality", "count", "opens_at"),
    [("CT", 5, 2), ("MR", 4, 2), ("PT", 3, 1), ("CT", 2, 0), ("US", 3, 0), ("CR", 4, 0)],
)
def test_stacks_open_in_the_middle_everything_else_at_the_start(
    app: Flask,
    keeper,
    make_instance: Callable[..., FileDataset],
    modality: str,
    count: int,
    opens_at: int,
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    keeper.keep(*(make_instance(n, Modality=modality, **uids) for n in range(1, count + 1)))
    opened = opened_study(app.extensions["lifeboat"], uids["StudyInstanceUID"])
    [listed] = json.loads(opened.series)
    assert listed["opens_at"] == opens_at
    assert opened.opening is not None
    assert (opened.opening.index, opened.opening.length) == (opens_at, count)
    seen = listed["instances"][opens_at]["sop_instance_uid"]
    assert opened.opening.record.sop_instance_uid == seen


def test_the_list_is_made_once_until_something_arrives(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    first = make_instance(1)
    keeper.keep(first)
    context = app.extensions["lifeboat"]
    study = first.StudyInstanceUID
    before = opened_study(context, study)
    assert opened_study(context, study) is before
    keeper.keep(make_instance(1, StudyInstanceUID=generate_uid()))
    assert opened_study(context, study) is before, "a stranger's images change nothing of it"
    keeper.keep(make_instance(2, StudyInstanceUID=study))
    assert opened_study(context, study) != before


def test_damage_found_later_is_told(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    instance = make_instance(1)
    keeper.keep(instance)
    context = app.extensions["lifeboat"]
    assert b"damaged on disk" not in opened_study(context, instance.StudyInstanceUID).series
    [path] = context.index.paths()
    keeper.index.mark_damaged(path, "2026-11-22T12:00:00Z")
    assert b"damaged on disk" in opened_study(context, instance.StudyInstanceUID).series


def test_an_image_of_another_study_under_the_same_uid_is_told(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    one, other = make_instance(1), make_instance(2)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    keeper.keep(one)
    context = app.extensions["lifeboat"]
    before = opened_study(context, one.StudyInstanceUID)
    keeper.keep(other)
    assert context.index.study_revision(one.StudyInstanceUID).endswith("-1")
    assert opened_study(context, one.StudyInstanceUID) != before


def test_an_answer_that_would_say_the_same_does_not_come_again(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    instance = make_instance(1)
    keeper.keep(instance)
    address = f"/api/v1/studies/{instance.StudyInstanceUID}"
    answer = client.get(address)
    tag = answer.headers["ETag"]
    assert tag == f'"{answer.json["tag"]}"'
    keeper.keep(make_instance(1, StudyInstanceUID=generate_uid()))
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    keeper.keep(make_instance(2, StudyInstanceUID=instance.StudyInstanceUID))
    grown = client.get(address, headers={"If-None-Match": tag})
    assert grown.json["study"]["number_of_study_related_instances"] == 2


def test_a_page_knows_the_tags_of_what_came_in_it(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    instance = make_instance(1)
    keeper.keep(instance)
    html = client.get(f"/studies/{instance.StudyInstanceUID}").text
    [text] = re.findall(r'id="study-answer">(.*?)</script>', html, re.S)
    told = json.loads(text)
    asked = {
        "/api/v1/changes": told["revision"],
        f"/api/v1/studies/{instance.StudyInstanceUID}": told["tag"],
    }
    for address, tag in asked.items():
        assert client.get(address, headers={"If-None-Match": f'"{tag}"'}).status_code == 304
