from datetime import UTC, datetime, timedelta, timezone

import pytest

from dicom_node.errors import BadSettings
from dicom_node.quiet_hours import QuietHours
from dicom_node.sync_order import OrderKind
from tests.dicom_node.desk import START, fill


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-02T{text}:00+00:00")


@pytest.mark.parametrize(
    ("ranges", "quiet", "loud"),
    [
        (["22:00-06:00"], ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        (["07:00-18:30"], ["07:00", "18:29"], ["06:59", "18:30", "00:00"]),
        (["07:00-09:00", "16:00-24:00"], ["08:00", "23:59"], ["09:00", "00:00"]),
        ([], [], ["00:00", "12:00"]),
    ],
)
def test_an_hour_is_quiet_from_its_begin_until_before_its_end(ranges, quiet, loud):
    hours = QuietHours(ranges, UTC)
    assert [text for text in [*quiet, *loud] if hours.include(at(text))] == quiet


def test_the_clock_on_the_wall_counts():
    hours = QuietHours(["07:00-18:00"], timezone(timedelta(hours=2)))
    assert hours.include(at("05:30"))
    assert not hours.include(at("16:30"))


@pytest.mark.parametrize("words", ["at night", "7-18", "25:00-06:00", "08:00-08:00", "24:30-06:00"])
def test_what_is_no_range_of_hours_is_refused_with_its_words(words):
    with pytest.raises(BadSettings, match="quiet_hours"):
        QuietHours([words])


def test_nothing_is_sent_in_quiet_hours_and_everything_after(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance)
    pacs = make_pacs(commitment=False)
    pacs.start()
    wall = START.astimezone()
    begin, end = (wall + timedelta(hours=hours) for hours in (-1, 1))
    desk = make_desk(pacs.port, f"pacs.quiet_hours={begin:%H:%M}-{end:%H:%M}")
    for _ in range(3):
        desk.step(60)
    assert desk.counts() == {"queued": 3}
    wait(lambda: desk.step(1) or desk.reader.destinations()[0].is_reachable)
    assert not pacs.received
    desk.step(3600)
    wait(lambda: desk.step(30) or desk.counts() == {"proven": 3})


def test_no_test_image_goes_in_quiet_hours_or_while_a_person_ordered_a_pause(
    room, make_pacs, make_desk
):
    pacs = make_pacs(commitment=False)
    pacs.start()
    wall = START.astimezone()
    begin, end = (wall + timedelta(hours=hours) for hours in (-1, 1))
    desk = make_desk(pacs.port, f"pacs.quiet_hours={begin:%H:%M}-{end:%H:%M}")
    asked = []
    desk.destination._trial.next_object = asked.append
    desk.step(60)
    assert not asked
    desk.sync_orders.give(OrderKind.PAUSE, by="A. Smith", reason="their migration")
    desk.step(7200)
    assert not asked
    desk.sync_orders.give(OrderKind.START, by="A. Smith", reason="done")
    desk.step(3600)
    assert asked
