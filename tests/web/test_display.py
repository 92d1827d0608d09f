from datetime import date

import pytest

from web.display import PRESETS, fidelity_words, frame_words, place_words, series_words

INFO = {
    "patient": {
        "patient_name": "PHANTOM^HEAD",
        "patient_id": "9434765919",
        "patient_birth_date": "19450714",
        "patient_sex": "M",
    },
    "study": {
        "study_date": "20170412",
        "study_time": "140509",
        "study_description": " CT head ",
        "accession_number": "",
    },
    "series": {
        "modality": "CT",
        "series_number": 3,
        "series_description": "Axial",
        "laterality": "L",
    },
    "lossy": {"is_lossy": False, "ratio": None, "method": ""},
    "slice_thickness": 1.21009,
    "slice_position": -42.25,
}


def test_banner_and_corners_are_made_of_one_info() -> None:
    assert frame_words(INFO, date(2017, 4, 12)) == {
        "name": "PHANTOM, Head",
        "born": "14-Jul-1945 (71y)",
        "sex": "Male",
        "patient_id_label": "NHS No.",
        "patient_id": "943 476 5919",
        "study_description": "CT head",
        "study_when": "12-Apr-2017 14:05",
        "accession": "Not known",
        "series": "Series 3 · CT · Axial · Left",
        "place": "Slice 1.21 mm at -42.2 mm",
        "fidelity": "Values as received",
    }


def test_what_is_not_known_is_left_out() -> None:
    nothing = {"modality": "", "series_number": None, "series_description": "", "laterality": ""}
    assert series_words(nothing) == ""
    assert place_words({"slice_thickness": None, "slice_position": None}) == ""


@pytest.mark.parametrize(
    ("ratio", "method", "shown"),
    [
        (19.1, "ISO_10918_1", "Source was lossy 19.1:1 ISO_10918_1"),
        (None, "", "Source was lossy"),
    ],
)
def test_loss_at_the_source_is_always_told(ratio: float | None, method: str, shown: str) -> None:
    assert fidelity_words({"is_lossy": True, "ratio": ratio, "method": method}) == shown


def test_each_digit_chooses_one_preset() -> None:
    keys = [preset["key"] for preset in PRESETS if preset["key"]]
    assert sorted(keys) == list("123456789")
    brain = next(preset for preset in PRESETS if preset["name"] == "Brain")
    assert (brain["width"], brain["center"]) == (80, 40)
