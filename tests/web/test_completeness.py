"""What the board claims about a study being complete, and on whose word."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

Make = Callable[..., FileDataset]


@pytest.fixture
def series(keeper: Any, make_instance: Make) -> Callable[..., str]:
    """Keep a new series of images with these numbers; returns its study."""

    def keep(numbers: Any, **changes: Any) -> str:
        uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
        keeper.keep(*(make_instance(number, **(uids | changes)) for number in numbers))
        return str((uids | changes)["StudyInstanceUID"])

    return keep


@pytest.fixture
def said(search: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: search()["studies"][0]["completeness"]


@pytest.fixture
def confirm(client: FlaskClient) -> Callable[..., Any]:
    def post(study: str, number: Any, by: Any = "J. Smith", path: str = "confirmation") -> Any:
        body = {"confirmed_by": by, "number_of_instances": number}
        if path != "confirmation":
            body = {"taken_back_by": by}
        return client.post(f"/api/v1/studies/{study}/{path}", json=body)

    return post


def test_without_evidence_nothing_is_claimed(series, said) -> None:
    series(range(1, 4))
    assert said()["state"] == "unknown"
    assert said()["basis"] == "no count known"


def test_a_scanners_count_shows_what_is_missing_but_never_that_all_is_here(series, said) -> None:
    counted = {"AcquisitionNumber": 1, "ImagesInAcquisition": 4}
    study = series((1, 2, 4), **counted)
    assert (said()["state"], said()["words"]) == ("incomplete", "INCOMPLETE 3/4")
    assert said()["basis"] == "the scanner counted 4"
    series((1, 2, 3, 4), StudyInstanceUID=study, **counted)
    assert said()["words"] == "INCOMPLETE 3/4", "the other series is whole"


def test_a_whole_series_still_leaves_the_study_unknown(series, said) -> None:
    series((1, 2), AcquisitionNumber=1, ImagesInAcquisition=2)
    assert said()["state"] == "unknown"
    assert "a series may be missing" in said()["basis"]


def test_numbers_left_out_are_told(series, said) -> None:
    series((1, 2, 3, 6))
    assert said()["basis"] == "2 image numbers left out"


def test_a_radiographers_word_makes_a_study_complete_until_anything_arrives(
    series, said, confirm, clock
) -> None:
    study = series((1, 2))
    assert confirm(study, 2).status_code == 200
    assert (said()["state"], said()["words"]) == ("complete", "Complete 2/2")
    assert said()["basis"] == "confirmed by J. Smith"
    clock.pass_seconds(60)
    series((3,), StudyInstanceUID=study)
    assert said()["state"] == "unknown"
    assert said()["words"] == "Changed since confirmed"
    assert "J. Smith confirmed 2 images" in said()["basis"]
    assert "now there are 3" in said()["basis"]


def test_a_later_word_counts_and_any_can_be_taken_back(series, said, confirm) -> None:
    study = series((1, 2))
    confirm(study, 2, "AB")
    confirm(study, 2, "CD")
    assert said()["basis"] == "confirmed by CD"
    assert confirm(study, 2, "EF", "confirmation/taken-back").status_code == 200
    assert said()["state"] == "unknown"


def test_when_person_and_scanner_disagree_nobody_is_believed(series, said, confirm) -> None:
    study = series((1, 2), AcquisitionNumber=1, ImagesInAcquisition=3)
    confirm(study, 2)
    assert said()["state"] == "incomplete"
    assert "J. Smith confirmed" in said()["basis"]


def test_what_was_not_looked_at_cannot_be_confirmed(series, said, confirm) -> None:
    study = series((1, 2))
    answer = confirm(study, 1)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "out-of-date")
    assert said()["state"] == "unknown"
    assert confirm("1.2.3", 1).status_code == 404


@pytest.mark.parametrize("by", ["", "J", " ", "x" * 65, "a\x07b", 7])
def test_a_confirmation_needs_a_name(series, confirm, by: Any) -> None:
    study = series((1,))
    assert confirm(study, 1, by).status_code == 400
    assert confirm(study, "1").status_code == 400


def test_a_confirmation_survives_a_new_process(series, confirm, settings, clock) -> None:
    from web.app import create_app

    study = series((1,))
    confirm(study, 1)
    again = create_app(settings, clock=clock).test_client()
    answer = again.post("/api/v1/studies/search", json={})
    assert answer.json["studies"][0]["completeness"]["state"] == "complete"


def test_pages_notice_a_confirmation(series, confirm, client: FlaskClient) -> None:
    study = series((1,))
    tag = client.get("/api/v1/changes").headers["ETag"]
    confirm(study, 1)
    assert client.get("/api/v1/changes", headers={"If-None-Match": tag}).status_code == 200
