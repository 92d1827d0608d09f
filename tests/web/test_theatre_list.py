"""The theatre list: who is operated on, on which side, and what is wrong with the file."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset

from dicom_node.settings import Settings
from web.theatre_list import read_theatre_list, theatre_list

Make = Callable[..., FileDataset]
HEAD = "patient_id,time,theatre,procedure,side\n"
LIST = HEAD + (
    "P-2,11:45,Theatre 3,Wrist fixation,left\n"
    "943 476 5919,8.30,Theatre 3,Knee,L\n"
    "P-9,13:00,Theatre 1,Laparotomy,\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


@pytest.fixture
def settings(settings: Settings, file: Path) -> Settings:
    return replace(settings, web=replace(settings.web, theatre_list=str(file)))


def test_the_board_shows_one_theatre_in_the_order_of_its_day(
    search, keeper, make_instance: Make
) -> None:
    keeper.keep(
        make_instance(PatientID="P-2", StudyDate="20260102"),
        make_instance(PatientID="9434765919", StudyDate="20250101"),
        make_instance(PatientID="P-77"),
    )
    found = search(theatre="Theatre 3")
    ids = [study["patient_id"] for study in found["studies"]]
    assert ids == ["9434765919", "P-2"]
    assert found["studies"][0]["display"]["operation"] == "08:30 · Theatre 3 · Knee · Left"
    assert found["theatre_list"]["theatres"] == ["Theatre 1", "Theatre 3"]
    [missing] = search(theatre="*")["theatre_list"]["without_images"]
    assert missing == "13:00 · Theatre 1 · Laparotomy · Patient ID P-9"


def test_nobody_is_said_to_be_without_images_because_a_search_leaves_him_out(
    search, keeper, make_instance: Make
) -> None:
    keeper.keep(make_instance(PatientID="P-2"), make_instance(PatientID="9434765919"))
    missing = search(theatre="*")["theatre_list"]["without_images"]
    assert [words.rpartition(" ")[2] for words in missing] == ["P-9"]
    for narrowed in ({"modality": "XA"}, {"text": "nobody"}, {"limit": 1}):
        assert search(theatre="*", **narrowed)["theatre_list"]["without_images"] == missing


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"Laterality": "R"}, "Side: the list says left, the images say right"),
        ({"ImageLaterality": "R"}, "Side: the list says left, the images say right"),
        ({"Laterality": "L"}, ""),
        ({"Laterality": "B"}, ""),
        ({}, ""),
    ],
)
def test_a_side_that_contradicts_the_images_is_told_in_words(
    search, keeper, make_instance: Make, image: dict[str, str], words: str
) -> None:
    keeper.keep(make_instance(PatientID="P-2", **image))
    [study] = search()["studies"]
    assert study["display"]["side_conflict"] == words


def test_a_changed_file_is_read_again(search, client: FlaskClient, file: Path) -> None:
    tag = client.get("/api/v1/changes").headers["ETag"]
    file.write_text(HEAD + "P-1,09:00,Theatre 7,Hip,right\n")
    os.utime(file, ns=(1, 10**18))
    assert search()["theatre_list"]["theatres"] == ["Theatre 7"]
    assert client.get("/api/v1/changes", headers={"If-None-Match": tag}).status_code == 200
    file.unlink()
    assert search()["theatre_list"]["errors"] == ["Theatre list: The file cannot be read."]
    assert "cannot be read" in client.get("/").text


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("P,25:00,T,Hip,left", "Line 2: time must be HH:MM."),
        ("P,09:00,T,Hip,lft", "Line 2: side must be left, right, both or empty."),
        (",09:00,T,Hip,left", "Line 2: no patient_id."),
        ("P,09:00,T", "Line 2: too few columns."),
    ],
)
def test_a_bad_line_is_left_out_and_named_by_its_number(line: str, error: str) -> None:
    found = theatre_list(f"{HEAD}{line}\nQ,10:00,T,Hip,R\n", "")
    assert found.errors == (error,)
    assert [one.patient_id for one in found.operations] == ["Q"]


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"\x00\x01\x02", HEAD.encode() + b'P,"', b"x" * 1_000_001]
)
def test_a_file_that_is_no_list_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    found = read_theatre_list(path)
    assert found.errors
    assert found.operations == ()


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    text = "Side;Patient ID;Time;Theatre;Procedure;Note\r\nRight;P-1;0830;OP 1;Hüfte;x\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    [one] = read_theatre_list(path).operations
    assert (one.patient_id, one.time, one.side, one.procedure) == ("P-1", "08:30", "R", "Hüfte")
    path.write_bytes(HEAD.encode() + "P-1,08:30,OP 1,Hüfte,R".encode("cp1252"))
    assert read_theatre_list(path).operations[0].procedure == "Hüfte"


def test_a_pattern_in_the_list_finds_nobody_else(search, keeper, file, make_instance: Make) -> None:
    file.write_text(HEAD + "*,09:00,Theatre 3,Hip,\n")
    keeper.keep(make_instance(PatientID="P-2"))
    assert search(theatre="Theatre 3")["studies"] == []


def test_an_empty_id_is_nobodys(search, keeper, make_instance: Make) -> None:
    keeper.keep(make_instance(PatientID=""))
    assert search(theatre="*")["studies"] == []
    assert search(theatre="Theatre 99")["studies"] == []
