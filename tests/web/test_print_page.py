"""Pages to print: every picture with its own patient, its window and a scale."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid

from tests.web.test_documents import SCRIPTS, Tags

Make = Callable[..., FileDataset]


def printed(client: FlaskClient, study: str, query: str = "") -> str:
    answer = client.get(f"/studies/{study}/print{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def sources(page: str) -> list[str]:
    return [
        one.replace("&amp;", "&") for one in re.findall(r'<img src="([^"]+rendered[^"]*)"', page)
    ]


@pytest.fixture
def series(keeper: Any, make_instance: Make) -> list[FileDataset]:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    made = [make_instance(n, **uids) for n in range(1, 31)]
    keeper.keep(*made)
    return made


def test_a_named_picture_has_identity_window_and_scale(
    client: FlaskClient, held: FileDataset
) -> None:
    named = f"{held.SeriesInstanceUID}/{held.SOPInstanceUID}/1/50,350,linear"
    page = printed(client, held.StudyInstanceUID, f"?picture={named}")
    text = Tags(page).text
    for words in ("PHANTOM, Test", "01-Jan-1970", "PH-TEST", "W 350 L 50", "20 mm", "Review only"):
        assert words in text
    [source] = sources(page)
    assert "window=50,350,linear" in source
    assert client.get(source).mimetype == "image/jpeg"


def test_the_scale_bar_is_as_long_as_it_says(client: FlaskClient, held: FileDataset) -> None:
    """64 columns of 1 mm: 20 mm are 0.3125 of the width, drawn 300 wide."""
    page = printed(client, held.StudyInstanceUID)
    assert 'width="93.75" height="2"' in page


def test_a_picture_of_unknown_size_has_no_scale(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    dataset = make_instance()
    del dataset.PixelSpacing
    keeper.keep(dataset)
    page = printed(client, dataset.StudyInstanceUID)
    assert "no scale" in page
    assert 'class="scale"' not in page


def test_a_series_is_printed_whole_in_display_order(
    client: FlaskClient, series: list[FileDataset]
) -> None:
    one = series[0]
    query = f"?series={one.SeriesInstanceUID}"
    first = printed(client, one.StudyInstanceUID, query)
    second = printed(client, one.StudyInstanceUID, f"{query}&page=2")
    shown = [re.search(r"instances/([0-9.]+)/", source) for source in sources(first + second)]
    uids = [match[1] for match in shown if match]
    expected = [str(one.SOPInstanceUID) for one in series]
    assert uids in (expected, expected[::-1])
    assert "pictures 1 to 24 of 30, sheet 1 of 2" in first


def test_each_picture_names_the_patient_of_its_own_object(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    keeper.keep(
        make_instance(1, **uids, PatientName="FIRST^A", PatientID="A1"),
        make_instance(2, **uids, PatientName="SECOND^B", PatientID="B2"),
    )
    page = printed(client, uids["StudyInstanceUID"], f"?series={uids['SeriesInstanceUID']}")
    figures = page.split("<figure")[1:]
    assert ["FIRST" in one for one in figures] != ["SECOND" in one for one in figures]
    assert len(figures) == 2
    for figure in figures:
        assert ("A1" in figure) == ("FIRST" in figure)


def test_what_has_no_picture_says_why(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    dataset = make_instance()
    del dataset.PixelData
    keeper.keep(dataset)
    page = printed(client, dataset.StudyInstanceUID)
    assert sources(page) == []
    assert "refused" in page


@pytest.mark.parametrize(
    "query",
    [
        "?picture=nonsense",
        "?picture=1.2/1.3/1/<script>",
        "?picture=1.2/1.3/1/1,0",
        "?columns=9",
        "?page=2",
        "?page=-1",
        "?" + "&".join(["picture=1.2/1.3/1"] * 17),
    ],
)
def test_addresses_that_make_no_sense_are_refused(
    client: FlaskClient, held: FileDataset, query: str
) -> None:
    assert client.get(f"/studies/{held.StudyInstanceUID}/print{query}").status_code == 400


def test_what_is_not_here_is_not_found(client: FlaskClient, held: FileDataset) -> None:
    study = held.StudyInstanceUID
    for path in (
        "/studies/1.2/print",
        f"/studies/{study}/print?series=1.2",
        f"/studies/{study}/print?picture=1.2/1.3/1",
    ):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_of_a_patient_stays_text(
    client: FlaskClient, keeper: Any, make_instance: Make, text: str
) -> None:
    keywords = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription")
    dataset = make_instance(**dict.fromkeys(keywords, text))
    keeper.keep(dataset)
    assert Tags(printed(client, dataset.StudyInstanceUID)).risks == []


def test_no_address_on_the_page_names_a_patient(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    dataset: Dataset = make_instance(PatientName="SECRET^NAME", PatientID="SECRET-ID")
    keeper.keep(dataset)
    page = printed(client, dataset.StudyInstanceUID)
    assert not [one for one in re.findall(r'(?:href|src)="([^"]*)"', page) if "SECRET" in one]
    assert "SECRET" not in page.split("</title>")[0]
