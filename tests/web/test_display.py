from datetime import date
from pathlib import Path

import pytest

from dicom_node.errors import BadSettings
from web.display import fidelity_words, frame_words, place_words, series_words, side_conflict
from web.presets import PRESETS, read_presets

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
        "preview": "Preview, compressed",
        "corrected": "",
        "side_conflict": "",
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


@pytest.mark.parametrize(
    ("laterality", "description", "is_doubtful"),
    [
        ("L", "Knee RIGHT lateral", True),
        ("R", "Hand lt oblique", True),
        ("L", "Knee left", False),
        ("L", "Chest bright field, upright", False),
        ("", "Knee right", False),
        ("B", "Hands left and right", False),
        ("L", "left and right", True),
    ],
)
def test_a_side_that_the_description_contradicts_is_told(
    laterality: str, description: str, is_doubtful: bool
) -> None:
    series = {"laterality": laterality, "series_description": description}
    assert bool(side_conflict(series)) == is_doubtful


def test_a_site_brings_its_own_presets(tmp_path: Path) -> None:
    file = tmp_path / "presets.toml"
    file.write_text('[[preset]]\nname = "Angio thin"\nwidth = 500\ncenter = 200\nkey = "1"\n')
    assert read_presets(str(file)) == (
        {"name": "Angio thin", "width": 500, "center": 200, "key": "1"},
    )
    assert read_presets("") is PRESETS


@pytest.mark.parametrize(
    "content",
    [
        "",
        "preset = 3",
        "[[preset]]\nwidth = 1",
        '[[preset]]\nname = "A"\nwidth = 0\ncenter = 1',
        '[[preset]]\nname = "A"\nwidth = nan\ncenter = 1',
        '[[preset]]\nname = "A"\nwidth = 9\ncenter = 1\nkey = "0"',
        '[[preset]]\nname = "A"\nwidth = 9\ncenter = 1\nkeys = "1"',
        '[[preset]]\nname = "A"\nwidth = 9\ncenter = 1\n' * 2,
        "[[preset",
    ],
)
def test_a_file_of_presets_that_makes_no_sense_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(content)
    with pytest.raises(BadSettings, match="presets_file"):
        read_presets(str(file))
