"""A PACS keeps a study under another identity: seen side by side, accepted, shown, undone."""

import re
from dataclasses import replace

import pytest

from dicom_node.clock import stamp
from dicom_node.identity import Identity
from dicom_node.kept_identity import COMPARED, find_identity
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.order_keeper import OrderKeeper
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import SyncOrders

OURS = Identity(patient_name="PHANTOM^TEST", patient_id="PH-TEST")
THEIRS = Identity(patient_name="OTHER^NAME", patient_id="PH-2", patient_birth_date="19500101")
FOUND = find_identity(
    OURS,
    [
        StudyAnswer(one, frozenset(COMPARED) - {"accession_number"})
        for one in (THEIRS, replace(OURS, patient_birth_date="19500101"))
    ],
    was_there_before=False,
)
WHO = {"by": "A. Smith", "reason": "maiden name"}


class Case:
    """The delivering process beside the pages."""

    def __init__(self, settings, ledger, study: str, clock) -> None:
        data = settings.node.data
        self.study = study
        self.address = f"/reconcile/studies/{study}"
        self.reader = LedgerReader(data / "ledger.sqlite")
        self.keeper = OrderKeeper(SyncOrders(data, clock), ledger, ["east"], clock)
        self.orders = SyncOrders(data)
        self.now = stamp(clock())
        self.proofs = LedgerProofs(ledger, "east")
        self.proofs.record_finding(study, FOUND, self.now)


@pytest.fixture
def case(settings, make_ledger, held, clock):
    case = Case(settings, make_ledger("east"), str(held.StudyInstanceUID), clock)
    yield case
    case.reader.close()


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def form_of(client, case, **changes: str) -> dict[str, str]:
    page = client.get(case.address).get_data(as_text=True)
    (code,) = re.findall(r'name="code" value="(\w+)"', page)
    filled = {"destination": "east", "code": code, "meaning": "same-person"}
    return filled | {"retyped_patient_id": "PH-2"} | WHO | changes


def test_both_identities_are_side_by_side_with_a_form(client, case):
    said = text_of(client.get(case.address))
    for words in ("PHANTOM, Test", "OTHER, Name", "PH-2", "PH-TEST", "Accept it"):
        assert words in said
    assert "Patient 2 of 2 in the PACS" in said
    assert "1950" in said
    assert "not compared: the PACS does not say" in said
    assert "no difference" not in said
    assert "more than one patient" in text_of(client.get("/reconcile"))


def test_accepted_it_is_on_record_at_once_and_shown_on_the_study_once_entered(client, case, search):
    answer = client.post(f"{case.address}/accept", data=form_of(client, case))
    assert (answer.status_code, answer.headers["Location"]) == (303, case.address)
    said = text_of(client.get(case.address))
    assert "A. Smith accepted this" in said
    assert "Accept it as it is" not in said
    case.keeper.step()
    for address in (case.address, "/reconcile"):
        said = text_of(client.get(address))
        assert "Both name the same person" in said
        assert "A. Smith: maiden name" in said
        assert "more than one patient" not in said
    assert "patient ID PH-2, born 01-Jan-1950" in text_of(client.get(case.address))
    (study,) = search()["studies"]
    assert study["display"]["conflict"] == (
        "east has name OTHER, Name, patient ID PH-2: the same person (A. Smith)"
    )


def test_that_the_pacs_is_right_warns_on_the_study(client, case, search):
    client.post(f"{case.address}/accept", data=form_of(client, case, meaning="pacs-is-right"))
    case.keeper.step()
    (study,) = search()["studies"]
    assert study["display"]["conflict"].startswith("Wrong identity: east has name OTHER, Name")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retyped_patient_id": "PH-3"}, "type the patient ID the PACS has"),
        ({"code": "0000ABCD"}, "look at them once more"),
        ({"reason": " "}, "say who you are and why"),
        ({"meaning": "whatever"}, "say what it means"),
        ({"destination": "west"}, "nothing to decide there any more"),
    ],
)
def test_what_is_missing_or_changed_decides_nothing_and_is_said(client, case, changes, words):
    answer = client.post(f"{case.address}/accept", data=form_of(client, case, **changes))
    assert answer.status_code == 400
    assert words in text_of(answer)
    assert case.orders.all() == []


def test_undone_it_is_open_again(client, case):
    client.post(f"{case.address}/accept", data=form_of(client, case))
    case.keeper.step()
    answer = client.post(f"{case.address}/undo-accept", data={"destination": "east"} | WHO)
    assert answer.status_code == 303
    case.keeper.step()
    assert "Accept it as it is" in text_of(client.get(case.address))
    answer = client.post(f"{case.address}/undo-accept", data={"destination": "east"} | WHO)
    assert answer.status_code == 400


def test_the_page_of_orders_gives_no_such_order(client, case):
    for kind in ("accept", "undo_accept"):
        answer = client.post("/sync/orders", data={"kind": kind} | WHO)
        assert answer.status_code == 400
    assert case.orders.all() == []
