"""The pages of reconciliation without a script: find, preview, confirm, undo, and refusals."""

import re

import pytest

from dicom_node.correction_desk import CorrectionReader
from dicom_node.ledger import State
from dicom_node.order_keeper import OrderKeeper
from dicom_node.sync_order import SyncOrders
from tests.dicom_node.first_ledger import write_first_ledger

WHO = {"by": "A. Smith", "reason": "the worklist was down"}
TEMPORARY = {"PatientName": "EMERGENCY^UNKNOWN", "PatientID": "TMP-1", "AccessionNumber": ""}
JANE = {"patient_name": "DOE^JANE", "patient_id": "PH-2", "patient_birth_date": "1970-01-01"}


@pytest.fixture
def temporary(keeper, make_instance):
    ds = make_instance(**TEMPORARY)
    keeper.keep(ds)
    return ds


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def previewed(client, *studies, **values) -> str:
    answer = client.post(
        "/reconcile/preview",
        data={"study": [str(ds.StudyInstanceUID) for ds in studies], **values},
    )
    assert answer.status_code == 303, text_of(answer)
    return answer.headers["Location"]


def confirmed(client, *studies, retyped="", **values) -> str:
    address = previewed(client, *studies, **values)
    data = WHO | {"retyped_patient_id": retyped}
    answer = client.post(f"{address}/confirm", data=data)
    assert answer.status_code == 303, text_of(answer)
    return address


def names_on_board(search) -> set[str]:
    return {study["display"]["name"] for study in search()["studies"]}


def test_temporary_ids_and_missing_accessions_are_listed_and_others_are_not(
    client, temporary, keeper, make_instance
):
    keeper.keep(make_instance(PatientName="SMITH^JOHN", PatientID="PH-9"))
    said = text_of(client.get("/reconcile"))
    assert "EMERGENCY, Unknown" in said
    assert "Temporary patient ID" in said
    assert "No accession number" in said
    assert "SMITH" not in said


def test_any_study_is_found_without_its_patient_standing_in_an_address(client, held):
    answer = client.post("/reconcile", data={"text": "phantom"})
    assert "PHANTOM, Test" in text_of(answer)
    assert f"/reconcile/studies/{held.StudyInstanceUID}" in answer.get_data(as_text=True)


def test_a_preview_shows_before_and_after_and_changes_nothing(client, temporary, search):
    address = previewed(client, temporary, **JANE)
    assert "DOE" not in address
    said = text_of(client.get(address))
    for words in (
        "EMERGENCY, Unknown",
        "DOE, Jane",
        "TMP-1",
        "PH-2",
        "1 image",
        "nothing sent yet",
    ):
        assert words in said
    assert "EMERGENCY, Unknown" in names_on_board(search)


def test_a_confirmed_correction_is_in_force_and_on_record(client, temporary, search):
    confirmed(client, temporary, retyped="PH-2", **JANE)
    assert names_on_board(search) == {"DOE, Jane"}
    said = text_of(client.get("/reconcile"))
    assert "A. Smith" in said
    assert "the worklist was down" in said
    assert "No accession number" in said  # that is still to be done


@pytest.mark.parametrize("retyped", ["", "PH-3", "TMP-1"])
def test_another_patient_must_be_typed_once_more(client, temporary, search, retyped):
    address = previewed(client, temporary, **JANE)
    answer = client.post(f"{address}/confirm", data=WHO | {"retyped_patient_id": retyped})
    assert answer.status_code == 400
    assert "Type the patient ID" in text_of(answer)
    assert "A. Smith" in answer.get_data(as_text=True)  # what was typed stays
    assert names_on_board(search) == {"EMERGENCY, Unknown"}


def test_an_accession_alone_needs_no_retyping(client, temporary, search):
    confirmed(client, temporary, accession_number="ACC9")
    (study,) = search()["studies"]
    assert study["accession_number"] == "ACC9"


def test_who_and_why_are_asked_for(client, temporary, search):
    address = previewed(client, temporary, accession_number="ACC9")
    assert client.post(f"{address}/confirm", data={"by": "A. Smith"}).status_code == 400
    assert search()["studies"][0]["accession_number"] == ""


def test_a_correction_is_undone_and_may_be_made_anew(client, temporary, search):
    address = confirmed(client, temporary, retyped="PH-2", **JANE)
    assert client.post(f"{address}/undo", data=WHO).status_code == 303
    assert names_on_board(search) == {"EMERGENCY, Unknown"}
    assert "Undone" in text_of(client.get(address))
    confirmed(client, temporary, accession_number="ACC9")


def test_while_one_is_in_force_no_other_can_be_made(client, temporary):
    confirmed(client, temporary, accession_number="ACC9")
    answer = client.post(
        "/reconcile/preview",
        data={"study": str(temporary.StudyInstanceUID), "accession_number": "ACC8"},
    )
    assert answer.status_code == 409


def sent(make_ledger, context, state=State.STORED, correction_id="") -> None:
    ledger = make_ledger("main")
    records = context.index.instances_after(0, 10)
    data = context.settings.node.data
    ledger.enqueue(records, ["main"], data=data, now="2026-01-02T00:00:00.000+00:00", marks={})
    ledger.update([1], expected=State.QUEUED, state=state, correction_id=correction_id)


def test_what_was_sent_before_cannot_be_corrected_here_and_the_way_out_is_said(
    client, app, temporary, make_ledger, search
):
    address = previewed(client, temporary, retyped="PH-2", **JANE)
    sent(make_ledger, app.extensions["lifeboat"])
    answer = client.post(f"{address}/confirm", data=WHO | {"retyped_patient_id": "PH-2"})
    assert answer.status_code == 409
    said = text_of(answer)
    assert "1 image at main" in said
    assert "under new UIDs" in said
    assert names_on_board(search) == {"EMERGENCY, Unknown"}


def test_what_was_sent_before_is_reissued_from_its_preview_and_that_is_taken_back(
    client, app, temporary, make_ledger, search, clock
):
    address = previewed(client, temporary, retyped="PH-2", **JANE)
    context = app.extensions["lifeboat"]
    sent(make_ledger, context)
    assert "Reissue to main" in text_of(client.get(address))
    form = WHO | {"destination": "main", "title": "113038", "retyped_patient_id": "PH-2"}
    for changes, words in (
        ({"retyped_patient_id": "PH-3"}, "Type the patient ID"),
        ({"title": ""}, "title of the note"),
        ({"by": ""}, "Give your name"),
        ({"destination": "elsewhere"}, "has nothing of this study"),
    ):
        refused = client.post(f"{address}/reissue", data=form | changes)
        assert refused.status_code in (400, 409)
        assert words in text_of(refused)
        assert names_on_board(search) == {"EMERGENCY, Unknown"}
    assert client.post(f"{address}/reissue", data=form).status_code == 303
    assert names_on_board(search) == {"DOE, Jane"}

    ledger, data = make_ledger("main"), context.settings.node.data
    keeper = OrderKeeper(SyncOrders(data), ledger, ["main"], clock, CorrectionReader(data).active)
    keeper.step()
    said = text_of(client.get(address))
    assert "Reissued to main" in said
    assert "by A. Smith" in said
    assert "the worklist was down" in said
    assert "Reissue to main" not in said
    study = text_of(client.get(f"/reconcile/studies/{temporary.StudyInstanceUID}"))
    assert "main: reissued under new UIDs by A. Smith" in study
    assert "reissued under new UIDs by A. Smith" in text_of(client.get("/sync"))
    taken = client.post(f"{address}/undo-reissue", data=WHO | {"destination": "main"})
    assert taken.status_code == 303
    keeper.step()
    assert "Reissue to main" in text_of(client.get(address))


def test_what_was_sent_with_it_cannot_be_undone_and_the_way_out_is_said(
    client, app, temporary, make_ledger, search
):
    address = confirmed(client, temporary, retyped="PH-2", **JANE)
    sent(make_ledger, app.extensions["lifeboat"], State.PROVEN, address.rpartition("/")[2])
    answer = client.post(f"{address}/undo", data=WHO)
    assert answer.status_code == 409
    assert "Not undone" in text_of(answer)
    assert names_on_board(search) == {"DOE, Jane"}


def of_an_older_version(path):
    write_first_ledger(path, 6)


def that_is_being_made(path):
    path.touch()


@pytest.mark.parametrize("write", [of_an_older_version, that_is_being_made])
def test_while_the_ledger_says_nothing_no_correction_is_made_or_undone(
    client, settings, temporary, make_instance, keeper, write
):
    other = make_instance(**TEMPORARY)
    keeper.keep(other)
    in_force = confirmed(client, other, accession_number="ACC9")
    address = previewed(client, temporary, accession_number="ACC9")
    write(settings.node.data / "ledger.sqlite")
    for decision in (f"{address}/confirm", f"{in_force}/undo"):
        answer = client.post(decision, data=WHO)
        assert answer.status_code == 409, decision
        assert "is being updated; try again in a minute" in text_of(answer)


def test_temporary_patients_are_merged_together_and_undone_together(
    client, keeper, make_instance, search
):
    one = make_instance(**TEMPORARY)
    other = make_instance(**TEMPORARY | {"PatientID": "TMP-2"})
    keeper.keep(one, other)
    studies = [str(one.StudyInstanceUID), str(other.StudyInstanceUID)]
    said = text_of(client.post("/reconcile/merge", data={"study": studies}))
    assert "TMP-1" in said
    assert "TMP-2" in said
    assert "not the same person" in said
    address = confirmed(client, one, other, retyped="PH-2", **JANE)
    assert [study["patient_id"] for study in search()["studies"]] == ["PH-2", "PH-2"]
    client.post(f"{address}/undo", data=WHO)
    assert {study["patient_id"] for study in search()["studies"]} == {"TMP-1", "TMP-2"}


def test_a_merge_needs_a_name_and_an_id(client, keeper, make_instance):
    studies = [make_instance(**TEMPORARY), make_instance(**TEMPORARY)]
    keeper.keep(*studies)
    data = {"study": [str(ds.StudyInstanceUID) for ds in studies], "patient_id": "PH-2"}
    assert client.post("/reconcile/preview", data=data).status_code == 400


def test_every_patient_the_images_name_is_shown(client, keeper, make_instance, temporary):
    uid = temporary.StudyInstanceUID
    keeper.keep(make_instance(2, StudyInstanceUID=uid, PatientName="SMITH^JOHN", PatientID="PH-3"))
    said = text_of(client.get(f"/reconcile/studies/{uid}"))
    assert "name different patients" in said
    assert "SMITH, John" in said
    said = text_of(client.get(previewed(client, temporary, **JANE)))
    assert "SMITH, John" in said
    assert "EMERGENCY, Unknown" in said


def test_images_of_somebody_else_that_come_after_the_preview_stop_it(
    client, keeper, make_instance, temporary, search
):
    address = previewed(client, temporary, **JANE)
    stranger = make_instance(2, StudyInstanceUID=temporary.StudyInstanceUID, PatientID="PH-3")
    keeper.keep(stranger)
    answer = client.post(f"{address}/confirm", data=WHO | {"retyped_patient_id": "PH-2"})
    assert answer.status_code == 409
    assert "Preview it again" in text_of(answer)


def test_a_page_of_another_site_corrects_nothing(client, temporary):
    address = previewed(client, temporary, accession_number="ACC9")
    foreign = {"Origin": "http://elsewhere.example"}
    assert client.post(f"{address}/confirm", data=WHO, headers=foreign).status_code == 403


@pytest.mark.parametrize("address", ["/reconcile/studies/1.2.3.4", "/reconcile/corrections/x"])
def test_what_is_not_here_is_not_found(client, address):
    assert client.get(address).status_code == 404
