"""From the outage back to normal, against a practice PACS that is switched off and on."""

import pytest

from dicom_node.mode_state import read_mode
from dicom_node.outage_mode import Mode, Proof
from dicom_node.trial_object import PATIENT_ID
from tests.dicom_node.desk import fill


def mode(desk) -> Mode:
    return desk.modes.standing("pacs").mode


def history(desk) -> list[str]:
    return [change.mode for change in reversed(desk.reader.mode_changes())]


@pytest.fixture
def outage(make_pacs, make_desk):
    """A PACS that was there, went away, and is believed to be down."""

    def make(*settings: str, **options):
        pacs = make_pacs(**options)
        pacs.start()
        pacs.stop()
        desk = make_desk(pacs.port, *settings)
        for _ in range(5):
            desk.step(10)
        assert mode(desk) is Mode.OUTAGE
        return pacs, desk

    return make


def test_an_outage_is_on_record_with_its_reason(outage):
    _, desk = outage()
    suspected, believed = reversed(desk.reader.mode_changes())
    assert (suspected.mode, believed.mode) == ("suspect", "outage")
    assert believed.by == "node"
    assert "nobody listens" in believed.reason
    assert believed.at > suspected.at
    assert [(change.before, change.mode) for change in desk.changes] == [
        ("normal", "suspect"),
        ("suspect", "outage"),
    ]


def test_it_is_over_when_a_waiting_image_was_stored_and_vouched_for(
    outage, room, make_instance, wait
):
    pacs, desk = outage()
    fill(room, make_instance)
    pacs.start()
    wait(lambda: desk.step(10) or mode(desk) is Mode.NORMAL)
    assert history(desk) == ["suspect", "outage", "recovering", "normal"]
    assert desk.counts() == {"proven": 3}
    assert desk.reader.mode_changes()[0].reason == "it answers, stores and commits"


def test_an_archive_without_commitment_vouches_by_query(outage, room, make_instance, wait):
    pacs, desk = outage(commitment=False)
    fill(room, make_instance)
    pacs.start()
    wait(lambda: desk.step(10) or mode(desk) is Mode.NORMAL)


def test_with_nothing_to_return_it_stays_a_recovery_until_something_is(
    outage, room, make_instance, wait
):
    pacs, desk = outage()
    pacs.start()
    for _ in range(20):
        desk.step(10)
    assert mode(desk) is Mode.RECOVERING
    assert desk.modes.standing("pacs").missing_proofs == {Proof.STORE, Proof.COMMITMENT}
    assert read_mode(room.data).pacs["pacs"].unproven == "store, commitment"
    assert not pacs.received
    fill(room, make_instance, count=1)
    wait(lambda: desk.step(10) or mode(desk) is Mode.NORMAL)
    assert read_mode(room.data).pacs["pacs"].unproven == ""


@pytest.mark.parametrize("commitment", [True, False])
def test_where_it_is_allowed_one_test_image_proves_it(outage, wait, commitment):
    pacs, desk = outage("pacs.trial_store=true", commitment=commitment)
    pacs.start()
    wait(lambda: desk.step(10) or mode(desk) is Mode.NORMAL)
    assert history(desk) == ["suspect", "outage", "recovering", "normal"]
    (path,) = pacs.held.values()
    assert PATIENT_ID.encode() in path.read_bytes()
    assert desk.counts() == {}
    for _ in range(5):
        desk.step(10)
    assert len(pacs.received) == 1


def test_a_person_may_allow_one_test_image_where_the_settings_do_not(outage, wait):
    pacs, desk = outage()
    desk.orders.allow_trial(by="anna", reason="too early")
    desk.step(601)
    pacs.start()
    for _ in range(10):
        desk.step(10)
    assert (mode(desk), len(pacs.received)) == (Mode.RECOVERING, 0)
    desk.orders.allow_trial(by="anna", reason="now")
    wait(lambda: desk.step(10) or mode(desk) is Mode.NORMAL)
    assert len(pacs.received) == 1


def test_a_demanded_commitment_that_never_comes_keeps_it_a_recovery(outage):
    pacs, desk = outage("pacs.trial_store=true", "pacs.proof=commitment", commitment=False)
    pacs.start()
    for _ in range(20):
        desk.step(10)
    assert mode(desk) is Mode.RECOVERING
    assert desk.modes.standing("pacs").missing_proofs == {Proof.COMMITMENT}


def test_an_outage_outlives_a_restart_of_the_node(outage):
    _, desk = outage()
    desk.close()
    desk.open()
    assert mode(desk) is Mode.OUTAGE
    desk.step(10)
    assert history(desk) == ["suspect", "outage"]
