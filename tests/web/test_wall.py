"""A wall screen: large, and without names until somebody asks."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset

from dicom_node.settings import Settings
from web.app import create_app
from web.wall import is_enough

Make = Callable[..., FileDataset]


def found(client: FlaskClient, **body: str) -> list[str]:
    answer = client.post("/api/v1/studies/search", json=body)
    return [study["patient_id"] for study in answer.json["studies"]]


def test_a_wall_names_nobody_until_somebody_asks(
    client: FlaskClient, keeper, make_instance: Make
) -> None:
    keeper.keep(make_instance(PatientName="WALLINGER^Ann", PatientID="W1"))
    page = client.get("/?wall=1").text
    assert 'class="wall"' in page
    assert "WALLINGER" not in page
    assert "Whom are you looking for?" in client.get("/").text, "the browser remembers"
    assert found(client) == []
    assert found(client, text="wa") == [], "two letters are not enough"
    assert found(client, text="**a*") == []
    assert found(client, text="wallin") == ["W1"]
    assert found(client, text="W1") == ["W1"], "a whole ID is"
    assert "WALLINGER" in client.get("/?wall=0").text
    assert found(client) == ["W1"]


def test_a_node_can_stand_in_a_theatre(settings: Settings, keeper, make_instance: Make) -> None:
    keeper.keep(make_instance(PatientName="WALLINGER^Ann"))
    web = replace(settings.web, theatre="Theatre 3", idle_theatre_s=840.0)
    client = create_app(replace(settings, web=web)).test_client()
    page = client.get("/").text
    assert 'class="wall"' in page
    assert 'data-idle-s="840.0"' in page
    assert "WALLINGER" not in page
    assert 'class="wall"' in client.get("/sync?wall=0").text


@pytest.mark.parametrize(
    ("text", "enough"),
    [("mer", True), ("me", False), ("m**", False), ("山", True), ("", False), ("o'b", False)],
)
def test_three_letters_are_enough_and_one_in_another_script(text: str, enough: bool) -> None:
    assert is_enough(text) is enough


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"PatientName": "OTTER^Bea", "PatientID": "2"}, "same surname and birth date"),
        (
            {"PatientName": "Otter^ANN", "PatientID": "2", "PatientBirthDate": "19990101"},
            "same name",
        ),
        ({"PatientName": "OTTER^Bea", "PatientID": "2", "PatientBirthDate": "19990101"}, ""),
        ({"PatientName": "OTTER^Bea", "PatientID": "1"}, ""),
    ],
)
def test_patients_easily_taken_for_one_another_are_marked(
    client: FlaskClient, keeper, make_instance: Make, other: dict[str, str], words: str
) -> None:
    who = {"PatientName": "OTTER^Ann", "PatientID": "1", "PatientBirthDate": "19510102"}
    keeper.keep(make_instance(**who), make_instance(**(who | other)))
    studies = client.post("/api/v1/studies/search", json={}).json["studies"]
    for study in studies:
        assert (words in study["display"]["similar"]) if words else not study["display"]["similar"]
    only = client.post("/api/v1/studies/search", json={"text": "otter ann"}).json["studies"]
    assert bool(only[0]["display"]["similar"]) is bool(words), "also when the other is not shown"


def test_a_study_says_where_it_came_from(settings: Settings, keeper, make_instance: Make) -> None:
    from dicom_node.setting_tables import ModalitySettings

    keeper.keep(make_instance(StationName="CT-AE2"))
    plain = create_app(settings).test_client()
    [study] = plain.post("/api/v1/studies/search", json={}).json["studies"]
    assert study["display"]["source"] == "CT-AE2"
    scanner = ModalitySettings(name="CT in A&E", ae_title="SCANNER")
    named = create_app(replace(settings, modalities=(scanner,))).test_client()
    [study] = named.post("/api/v1/studies/search", json={}).json["studies"]
    assert study["display"]["source"] == "CT in A&E"
