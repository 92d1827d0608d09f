import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.unknown_switch import AUDIT_FILE, FILE, UnknownSwitch

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class Machine:
    """A machine whose wall clock, uptime and starts are moved by the test."""

    def __init__(self, data):
        self.data = data
        self.now = NOON
        self.uptime_s = 1000.0
        self.boot_id = "first"

    def switch(self) -> UnknownSwitch:
        return UnknownSwitch(self.data, lambda: self.now, lambda: self.uptime_s, self.boot_id)

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.uptime_s += seconds

    def restart(self) -> None:
        self.boot_id, self.uptime_s = "second", 5.0


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def audit(machine) -> list[dict[str, str]]:
    return [json.loads(line) for line in (machine.data / AUDIT_FILE).read_text().splitlines()]


def test_it_is_closed_until_somebody_opens_it(machine):
    assert not machine.switch().is_open()


def test_every_process_sees_it_until_its_time_is_over(machine):
    machine.switch().open(3600, by="anna", reason="van")
    assert machine.switch().is_open()
    machine.pass_seconds(3599)
    assert machine.switch().is_open()
    machine.pass_seconds(2)
    assert not machine.switch().is_open()


@pytest.mark.parametrize("step", [timedelta(days=-700), timedelta(hours=3), timedelta(days=700)])
def test_no_step_of_the_wall_clock_opens_or_closes_it(machine, step):
    machine.switch().open(3600, by="anna", reason="")
    machine.now += step
    assert machine.switch().is_open()
    machine.pass_seconds(3601)
    assert not machine.switch().is_open()


def test_it_survives_a_restart_of_the_machine_by_the_wall_clock(machine):
    machine.switch().open(3600, by="anna", reason="")
    machine.pass_seconds(600)
    machine.restart()
    assert machine.switch().is_open()
    machine.pass_seconds(3001)
    assert not machine.switch().is_open()


def test_a_restart_with_a_clock_before_the_opening_leaves_it_closed(machine):
    machine.switch().open(3600, by="anna", reason="")
    machine.restart()
    machine.now = datetime(1970, 1, 1, tzinfo=UTC)
    assert not machine.switch().is_open()


def test_every_turn_is_on_record_with_who_when_and_why(machine):
    machine.switch().open(3600, by="anna", reason="CT in a van")
    machine.pass_seconds(60)
    machine.switch().close(by="ben", reason="gone")
    assert not machine.switch().is_open()
    opened, closed = audit(machine)
    assert (opened["event"], opened["by"], opened["reason"]) == (
        "accept_unknown_opened",
        "anna",
        "CT in a van",
    )
    assert opened["until"] == "2026-01-02T13:00:00.000+00:00"
    assert (closed["event"], closed["by"], closed["at"]) == (
        "accept_unknown_closed",
        "ben",
        "2026-01-02T12:01:00.000+00:00",
    )


@pytest.mark.parametrize("seconds", [0, -1, 24 * 3600 + 1, float("nan"), float("inf")])
def test_it_cannot_be_left_open_for_ever(machine, seconds):
    with pytest.raises(BadSettings):
        machine.switch().open(seconds, by="anna", reason="")
    assert not machine.switch().is_open()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"until": 1}', "null"])
def test_a_damaged_file_means_closed(machine, content):
    machine.switch().open(3600, by="anna", reason="")
    (machine.data / FILE).write_text(content)
    assert not machine.switch().is_open()
    machine.switch().open(3600, by="anna", reason="")
    assert machine.switch().is_open()


def test_what_cannot_be_put_on_record_does_not_happen(machine):
    (machine.data / AUDIT_FILE).mkdir()
    with pytest.raises(StorageFailed):
        machine.switch().open(3600, by="anna", reason="")
    assert not machine.switch().is_open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write on behalf of another user")
def test_the_node_may_write_what_root_wrote_for_it(machine):
    os.chown(machine.data, 1234, 1234)
    machine.switch().open(3600, by="root", reason="")
    assert {path.stat().st_uid for path in machine.data.iterdir()} == {1234}
