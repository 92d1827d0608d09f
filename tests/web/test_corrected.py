"""A corrected study is found and shown as what it is, always with the mark, everywhere alike."""

import zipfile
from dataclasses import asdict
from io import BytesIO

import pytest

from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.identity import Identity
from tests.web.conftest import START
from web.program import program_version

WHO = {"by": "A. Smith", "reason": "the worklist was down"}
DOE = {"patient_name": "DOE^JANE", "patient_id": "PH-2", "accession_number": "ACC9"}


@pytest.fixture
def correct(settings, held, app):
    """Confirm a correction of the study that is held; return what takes it back."""

    def make(study=None, **values):
        uid = str((study or held).StudyInstanceUID)
        index = app.extensions["lifeboat"].index
        identity = Identity.of(asdict(index.study_as_received(uid)))
        with CorrectionDesk(settings.node.data) as desk:
            desk.draft([Correction(f"c{uid[-5:]}", uid, values, (identity,))], START)
            desk.activate([f"c{uid[-5:]}"], **WHO, now=START)

        def undo():
            with CorrectionDesk(settings.node.data) as desk:
                desk.undo([f"c{uid[-5:]}"], **WHO, now=START)

        return undo

    return make


def info(client, address, ds, query=""):
    return client.get(f"/api/v1{address(ds)}/frames/1/info{query}")


def test_the_board_shows_the_right_identity_with_its_mark(search, correct):
    correct(**DOE)
    (study,) = search()["studies"]
    assert study["display"]["name"] == "DOE, Jane"
    assert study["display"]["patient_id"] == "PH-2"
    assert study["accession_number"] == "ACC9"
    assert (
        "Corrected (was PHANTOM, Test, ID PH-TEST, accession ACC1)" in study["display"]["conflict"]
    )


def test_the_page_of_a_study_shows_the_right_identity_before_its_scripts_run(client, held, correct):
    correct(**DOE)
    html = client.get(f"/studies/{held.StudyInstanceUID}").text
    assert '<h1 id="patient-name">DOE, Jane</h1>' in html
    assert '<strong data-field="corner-name">DOE, Jane</strong>' in html
    assert 'data-field="corner-corrected" class="warning">Corrected (was PHANTOM, Test' in html
    assert f'"correction_id": "c{held.StudyInstanceUID[-5:]}"' in html


def test_a_study_is_found_by_what_it_is_and_no_more_by_what_it_was(search, correct):
    correct(**DOE)
    assert len(search(text="doe jane")["studies"]) == 1
    assert len(search(text="PH-2")["studies"]) == 1
    assert search(text="phantom")["studies"] == []


def test_who_may_be_taken_for_another_is_told_of_the_right_identities(
    search, correct, keeper, make_instance
):
    keeper.keep(make_instance(PatientName="DOE^JANE", PatientID="PH-9"))
    assert [study["display"]["similar"] for study in search()["studies"]] == ["", ""]
    correct(**DOE)  # now there are two of that name
    assert all(study["display"]["similar"] for study in search()["studies"])


def test_a_temporary_identity_that_was_set_right_is_nobody_to_be_taken_for(
    search, correct, keeper, make_instance
):
    keeper.keep(make_instance(PatientName="PHANTOM^TEST", PatientID="PH-2"))
    assert all(study["display"]["similar"] for study in search()["studies"])
    correct(patient_id="PH-2")  # the same patient after all
    assert [study["display"]["similar"] for study in search()["studies"]] == ["", ""]


def test_other_studies_stay_as_they_are_and_in_their_order(
    search, correct, keeper, make_instance, held
):
    later = make_instance(PatientName="SMITH^JOHN", PatientID="PH-3", StudyDate="20260103")
    keeper.keep(later)
    correct(**DOE)
    names = [study["display"]["name"] for study in search()["studies"]]
    assert names == ["SMITH, John", "DOE, Jane"]
    assert [one["display"]["name"] for one in search(limit=1)["studies"]] == ["SMITH, John"]
    assert [one["display"]["name"] for one in search(limit=1, offset=1)["studies"]] == ["DOE, Jane"]


def test_dicomweb_matches_and_answers_with_the_right_identity(client, correct):
    correct(**DOE)
    assert client.get("/dicom-web/studies?PatientID=PH-TEST").status_code == 204
    (found,) = client.get("/dicom-web/studies?PatientID=PH-2&PatientName=DOE*").json
    assert found["00100020"]["Value"] == ["PH-2"]
    assert found["00080050"]["Value"] == ["ACC9"]


def test_metadata_say_who_it_is_and_who_it_was(client, address, held, correct):
    correct(**DOE)
    (found,) = client.get(f"/dicom-web{address(held)}/metadata").json
    assert found["00100010"]["Value"] == [{"Alphabetic": "DOE^JANE"}]
    former = found["04000561"]["Value"][0]["04000550"]["Value"][0]
    assert former["00100020"]["Value"] == ["PH-TEST"]


def test_an_export_of_the_originals_says_that_they_name_somebody_else(client, held, correct):
    correct(**DOE)
    answer = client.get(f"/studies/{held.StudyInstanceUID}/export.zip")
    readme = zipfile.ZipFile(BytesIO(answer.data)).read("README.TXT").decode()
    assert "IDENTITY CORRECTED" in readme
    assert "patient name, patient id" in readme


def test_the_words_around_a_picture_are_the_right_ones_with_the_mark(
    client, address, held, correct
):
    correct(**DOE)
    answer = info(client, address, held).json
    assert answer["display"]["name"] == "DOE, Jane"
    assert answer["display"]["corrected"].startswith("Corrected (was PHANTOM, Test")
    assert answer["patient"]["patient_id"] == "PH-2"
    assert answer["sop_instance_uid"] == held.SOPInstanceUID


def test_an_image_of_somebody_else_in_the_study_keeps_its_own_name(
    client, address, held, correct, keeper, make_instance
):
    correct(**DOE)
    stranger = make_instance(2, StudyInstanceUID=held.StudyInstanceUID, PatientName="SMITH^JOHN")
    keeper.keep(stranger)
    answer = info(client, address, stranger).json
    assert answer["display"]["name"] == "SMITH, John"
    assert answer["correction"] is None
    assert answer["display"]["corrected"] == ""


def test_no_kept_answer_outlives_a_correction(client, address, held, correct):
    address_of_bytes = f"/api/v1/studies/{held.StudyInstanceUID}"
    before = client.get(address_of_bytes).json["study"]
    version = f"?v={before['series'][0]['instances'][0]['digest'][:16]}-{program_version()}"
    plain = info(client, address, held, version)
    assert "immutable" in plain.headers["Cache-Control"]
    undo = correct(**DOE)
    assert info(client, address, held, version).status_code == 404
    correction_id = client.get(address_of_bytes).json["study"]["correction_id"]
    right = info(client, address, held, f"{version}&correction={correction_id}")
    assert right.json["display"]["name"] == "DOE, Jane"
    assert right.headers["ETag"] != plain.headers["ETag"]
    undo()
    assert info(client, address, held, f"{version}&correction={correction_id}").status_code == 404
    assert info(client, address, held, version).json["display"]["name"] == "PHANTOM, Test"


def test_a_decision_is_news_to_every_page(client, correct):
    before = client.get("/api/v1/changes").json["revision"]
    correct(**DOE)
    assert client.get("/api/v1/changes").json["revision"] != before
