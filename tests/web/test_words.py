from datetime import date

import pytest

from web import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("SMITH^JOHN^PAUL^MR^III", "SMITH, John Paul III (Mr)"),
        ("smith^John", "SMITH, John"),
        ("Müller^Jörg=", "MÜLLER, Jörg"),
        ("^Jane", "Jane"),
        ("=山田^太郎", "山田, 太郎"),
        ("PHANTOM", "PHANTOM"),
        ("", "Not known"),
        ("^^^^", "Not known"),
        ("A^B^C^D^E^F^G", "A, B C E (D)"),
    ],
)
def test_a_name_is_shown_family_first_in_capitals(value: str, shown: str) -> None:
    assert words.person_name(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("19450714", "14-Jul-1945"),
        ("1945.07.14", "14-Jul-1945"),
        ("", "Not known"),
        ("19451332", "19451332"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_date_is_shown_with_its_month_in_letters(value: str, shown: str) -> None:
    assert words.calendar_date(value) == shown


def test_an_age_counts_whole_years() -> None:
    assert words.born("19450714", date(2006, 7, 13)) == "14-Jul-1945 (60y)"
    assert words.born("19450714", date(2006, 7, 14)) == "14-Jul-1945 (61y)"
    assert words.born("20990101", date(2006, 7, 14)) == "01-Jan-2099"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("140509.123", "14:05"), ("14:05:09", "14:05"), ("14", ""), ("2505", ""), ("", "")],
)
def test_a_time_is_shown_to_the_minute(value: str, shown: str) -> None:
    assert words.clock_time(value) == shown


def test_only_ten_digits_with_the_right_check_digit_are_an_nhs_number() -> None:
    assert words.patient_number("943 476 5919") == ("NHS No.", "943 476 5919")
    assert words.patient_number("9434765918") == ("Patient ID", "9434765918")
    assert words.patient_number("") == ("Patient ID", "Not known")
    assert not words.is_nhs_number("٩٤٣٤٧٦٥٩١٩")


def test_a_sex_is_a_word() -> None:
    assert [words.sex(value) for value in ("M", "f", "O", "", "X")] == [
        "Male",
        "Female",
        "Other",
        "Not known",
        "Not known",
    ]


def test_times_and_sizes_are_told_in_their_largest_unit() -> None:
    spans = (-1, 59, 119, 120, 3600, 7300, 200000)
    assert [words.elapsed(s) for s in spans] == [
        "0 s",
        "59 s",
        "119 s",
        "2 min",
        "1 h",
        "2 h",
        "2 d",
    ]
    assert [words.size(n) for n in (1, 512, 1500, 2 * 10**6)] == [
        "1 byte",
        "512 bytes",
        "1.5 kB",
        "2.0 MB",
    ]
    assert words.counted(2, "study") == "2 studies"
    assert words.moment("") == ""
