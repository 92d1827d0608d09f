"""The viewer without scripts: whose picture it is, the way through a series, refusals."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

Make = Callable[..., FileDataset]


@pytest.fixture
def stack(keeper: Any, make_instance: Make) -> list[FileDataset]:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    slices = [make_instance(number, **uids, RescaleType="HU") for number in (3, 1, 2)]
    keeper.keep(*slices)
    return sorted(slices, key=lambda one: one.InstanceNumber)


@pytest.fixture
def page(client: FlaskClient, stack: list[FileDataset]) -> Callable[..., Any]:
    def get(**query: str) -> Any:
        return client.get(f"/studies/{stack[0].StudyInstanceUID}/plain", query_string=query)

    return get


def pictures(page: str) -> list[str]:
    return [found.replace("&amp;", "&") for found in re.findall(r'<img src="(/dicom[^"]+)"', page)]


def test_a_study_shows_the_middle_of_each_series_and_whose_it_is(
    page, stack, client: FlaskClient
) -> None:
    text = page().text
    [picture] = pictures(text)
    assert stack[1].SOPInstanceUID in picture
    assert client.get(picture).mimetype == "image/jpeg"
    caption = text.partition("<figcaption>")[2].partition("</figcaption>")[0]
    assert "PHANTOM, Test" in caption
    assert str(stack[0].PatientID) in caption
    assert "not for primary diagnosis" in text


def test_links_lead_through_the_series_in_display_order(page, stack, client: FlaskClient) -> None:
    uid = str(stack[0].SeriesInstanceUID)
    shown, address = [], None
    answer = page(series=uid)
    for _ in range(3):
        [picture] = pictures(answer.text)
        shown.append(next(n for n, one in enumerate(stack) if one.SOPInstanceUID in picture))
        address = re.search(r'href="([^"]+)" data-kind="main">Next', answer.text)
        assert address
        answer = client.get(address[1].replace("&amp;", "&"))
    assert shown == [0, 1, 2]
    assert "image 3 of 3" in answer.text, "after the last there is none"


def test_a_window_stays_while_going_through(page, stack, client: FlaskClient) -> None:
    uid = str(stack[0].SeriesInstanceUID)
    text = page(series=uid, window="-600,1500").text
    [picture] = pictures(text)
    assert "window=-600,1500" in picture.replace("%2C", ",")
    assert client.get(picture).data != client.get(picture.split("&window")[0]).data
    following = re.search(r'href="([^"]+)" data-kind="main">Next', text)
    assert following
    assert "window=-600" in following[1]
    assert re.search(r'aria-current="true">\s*Lung', text)


def test_a_picture_that_cannot_be_drawn_says_why_and_the_others_stay(
    keeper, make_instance: Make, client: FlaskClient
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    bad, good = (make_instance(number, **uids, Modality="CR") for number in (1, 2))
    bad.PixelData = bad.PixelData[:64]
    keeper.keep(bad, good)
    path = f"/studies/{bad.StudyInstanceUID}/plain?series={bad.SeriesInstanceUID}&image="
    first = client.get(f"{path}1").text
    assert client.get(f"{path}2").status_code == 200
    assert "cannot be shown here" in first or client.get(pictures(first)[0]).status_code == 406


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"image": "0"}, 400),
        ({"image": "4"}, 400),
        ({"image": "x"}, 400),
        ({"image": "٣"}, 400),
        ({"window": "1"}, 400),
        ({"series": "1.2.3"}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(page, stack, query: dict[str, str], status: int) -> None:
    asked = {"series": str(stack[0].SeriesInstanceUID)} | query
    assert page(**asked).status_code == status


def test_no_title_and_no_address_names_a_patient(client, keeper, make_instance: Make) -> None:
    dataset = make_instance(PatientName="SECRET^NAME", PatientID="SECRET-ID")
    keeper.keep(dataset)
    for query in ("", f"?series={dataset.SeriesInstanceUID}"):
        text = client.get(f"/studies/{dataset.StudyInstanceUID}/plain{query}").text
        assert "SECRET" not in text.partition("</title>")[0]
        assert not any("SECRET" in found for found in re.findall(r'(?:href|src)="([^"]*)"', text))


def test_a_study_that_is_not_here_points_to_the_pacs(client: FlaskClient) -> None:
    answer = client.get("/studies/1.2.3/plain")
    assert answer.status_code == 404
    assert "The PACS may" in answer.text
