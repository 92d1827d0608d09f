"""The elements of an instance as a page and as JSON: all text, nothing that runs."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset, FileDataset

from tests.web.test_documents import SCRIPTS, Tags

Make = Callable[..., FileDataset]


def test_all_elements_stand_on_the_page(
    client: FlaskClient, held: FileDataset, address: Callable[[Dataset], str]
) -> None:
    text = Tags(client.get(f"{address(held)}/tags").text).text
    for words in ("PHANTOM, Test", "(0010,0010)", "Patient's Name", "PHANTOM^TEST", "8192 bytes"):
        assert words in text


def test_the_json_says_the_same(
    client: FlaskClient, held: FileDataset, address: Callable[[Dataset], str]
) -> None:
    found = client.get(f"/api/v1{address(held)}/tags").json
    assert not found["is_cut"]
    assert {"tag": "(0028,0010)", "name": "Rows", "vr": "US", "value": "64", "items": []} in found[
        "elements"
    ]


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_of_an_element_stays_text(
    client: FlaskClient,
    keeper: Any,
    make_instance: Make,
    address: Callable[[Dataset], str],
    text: str,
) -> None:
    inner = Dataset()
    inner.CodeMeaning = text
    dataset = make_instance(PatientName=text, ImageComments=text, AnatomicRegionSequence=[inner])
    dataset.private_block(0x0029, text[:60], create=True).add_new(0x10, "LO", text)
    keeper.keep(dataset)
    page = client.get(f"{address(dataset)}/tags").text
    assert Tags(page).risks == []
    assert Tags(page).text.count(text) >= 3


def test_an_instance_that_is_not_here_is_not_found(client: FlaskClient) -> None:
    assert client.get("/studies/1.2/series/1.3/instances/1.4/tags").status_code == 404
