"""Object or destination: who is to blame, how often it is tried, and when a person must look."""

from datetime import timedelta

import pytest

from dicom_node.blame import Blame
from dicom_node.clock import stamp
from dicom_node.ledger import Delivery, State
from dicom_node.setting_tables import SyncSettings
from dicom_node.shipment import Outcome, Receipt
from tests.dicom_node.desk import START

REFUSED = Receipt(1, Outcome.REFUSED, 0xC000)
FULL = Receipt(1, Outcome.REFUSED, 0xA700)
UNKNOWN = Receipt(1, Outcome.UNKNOWN)
FRESH = Delivery(1, "pacs", "1", "2", "3", "4", "5", "p", "d", "sending", 0, *[""] * 7, None, "")


def blame(jitter: float = 0.5) -> Blame:
    return Blame(SyncSettings(), lambda: jitter)


def tries(receipt: Receipt, stored_since, limit: int = 50, jitter: float = 0.5):
    """Let one instance fail until a person must look; return at what hours it was tried."""
    item, now, hours = FRESH, START, []
    for _ in range(limit):
        hours.append(round((now - START).total_seconds() / 3600, 2))
        attempt = blame(jitter).after_sending(receipt, item, now, stored_since)
        if attempt.state is State.ATTENTION:
            return hours
        item = item._replace(
            attempts=item.attempts + attempt.counts,
            first_failed_at=item.first_failed_at or attempt.failed_at,
            sent_at=stamp(now),
        )
        now = now.fromisoformat(attempt.next_attempt_at)
    return None


def test_an_instance_the_pacs_refuses_is_tried_five_times_in_a_day():
    assert tries(REFUSED, lambda _: True) == [0, 0.25, 1.25, 5.25, 24]


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_tries_are_spread_by_a_fifth_at_most(jitter):
    hours = tries(REFUSED, lambda _: True, jitter=jitter)
    assert len(hours) == 5
    assert 24 * 0.79 < hours[-1] < 24 * 1.21


@pytest.mark.parametrize("receipt", [FULL, UNKNOWN])
def test_while_the_pacs_stores_nothing_no_instance_is_to_blame(receipt):
    assert tries(receipt, lambda _: False) is None


@pytest.mark.parametrize("receipt", [FULL, UNKNOWN])
def test_one_instance_that_fails_while_others_are_stored_comes_to_a_person(receipt):
    hours = tries(receipt, lambda _: True)
    assert len(hours) == 6  # the first may have been the line
    assert hours[1] < 0.01
    assert hours[-1] > 23


def test_a_loss_is_sent_again_at_once_and_then_over_a_day():
    item, now, hours = FRESH, START, []
    while item.state != State.ATTENTION:
        hours.append(round((now - START).total_seconds() / 3600, 2))
        columns = blame().after_loss(item, "lost", now)
        item = item._replace(**columns)
        now = now.fromisoformat(item.next_attempt_at)
    assert hours == [0, 0, 0.25, 1.25, 5.25, 24]


@pytest.mark.parametrize(
    ("code", "state", "counts", "words"),
    [
        (0x0110, "stored", 1, "failed while it looked"),
        (0x0112, "queued", 1, "no such instance"),
        (0x0119, "attention", 1, "another kind of object under the same"),
        (0x0122, "stored", 0, "commits no objects of this SOP class"),
        (0x0131, "stored", 0, "for an older one"),
        (0x0213, "stored", 0, "no resources"),
        (0x0999, "stored", 1, "a reason of its own"),
    ],
)
def test_each_reason_not_to_commit_has_its_way_out(code, state, counts, words):
    item = FRESH._replace(first_failed_at=stamp(START))
    columns = blame().after_failed_commitment(item, code, START)
    assert (columns["state"], columns["attempts"]) == (state, counts)
    assert words in columns["last_error"]
    assert f"{code:04X}" in columns["last_error"]
    assert (columns["transaction_uid"], columns["last_status"]) == ("", code)


@pytest.mark.parametrize(("code", "is_endless"), [(0x0110, False), (0x0213, True), (0x0131, True)])
def test_only_what_may_be_the_instance_itself_comes_to_a_person(code, is_endless):
    item, now = FRESH._replace(state=State.STORED), START
    for _ in range(100):
        item = item._replace(**blame().after_failed_commitment(item, code, now))
        now += timedelta(hours=1)
    assert (item.state == State.STORED) is is_endless
