"""The wall clock jumps while scanners send: nothing is ended, forgotten or put out of order."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from tests.conftest import wait_until
from tests.faults.instances import make_instance, make_instances
from tests.faults.ledger import Ledger, audit
from tests.faults.sender import Scu

HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S
STEPS_S = {"+1 h": HOUR_S, "-1 h": -HOUR_S, "+2 years": 2 * YEAR_S, "-2 years": -2 * YEAR_S}

# read anew at each call, so that a test can move the clock of a process that runs
SKEWED_CLOCK = """
import datetime, os, time

_time, _time_ns = time.time, time.time_ns
_Datetime = datetime.datetime


def _skew():
    with open(os.environ["CLOCK_SKEW_FILE"]) as file:
        return float(file.read() or 0)


class datetime_(_Datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_time() + _skew(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + _skew()
time.time_ns = lambda: _time_ns() + int(_skew() * 1e9)
datetime.datetime = datetime_
"""


class Clock:
    """The wall clock of the processes started with its environment."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SKEWED_CLOCK)
        self._file = folder / "skew"
        self.environment = (f"PYTHONPATH={folder}", f"CLOCK_SKEW_FILE={self._file}")
        self.skew(0)

    def skew(self, seconds: float) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.rename(self._file)


@pytest.mark.parametrize("step_s", STEPS_S.values(), ids=STEPS_S)
def test_a_jump_of_the_clock_changes_nothing(make_faulty_node, tmp_path, figure, step_s):
    clock = Clock(tmp_path / "clock")
    node = make_faulty_node(environment=clock.environment).start("receive")
    ledger, sent = Ledger(), make_instances(10)
    large = make_instance(edge_px=512)
    with Scu(node.dicom_port) as scu, Scu(node.dicom_port) as idle, Scu(node.dicom_port) as silent:
        assert silent.echo().status == 0
        for instance in sent[:5]:
            ledger.answered(instance, scu.store(instance))

        def jump(_: int) -> None:
            clock.skew(step_s)
            time.sleep(0.1)  # time for a timer that believes the clock

        ledger.answered(large, scu.store(large, jump))
        for instance in sent[5:]:
            ledger.answered(instance, scu.store(instance))
        assert idle.echo().status == silent.echo().status == 0
    expected = [item.sop_instance_uid for item in (*sent[:5], large, *sent[5:])]
    assert audit(node.data, ledger.acknowledged).lost == []
    before = received_at(node.data)
    assert list(before) == expected
    jumped_s = (before[expected[-1]] - before[expected[0]]) * 24 * HOUR_S
    assert abs(jumped_s - step_s) < 60, "the clock of the node did not jump"
    node.kill()  # what was received in another year stays over a start too
    node.start("receive")
    found = audit(node.data, ledger.acknowledged)
    figure(
        f"P11 clock {next(name for name, value in STEPS_S.items() if value == step_s)}",
        f"0 aborts, in order, {len(found.lost)} of {len(ledger.acknowledged)} lost",
        "0 aborts, in order, 0 lost",
    )
    assert found.lost == []
    assert len(ledger.acknowledged) == len(expected)


def received_at(data: Path) -> dict[str, float]:
    """Return SOP Instance UID to day of receipt, in the order of the index."""

    def entered() -> dict[str, float]:
        reader = IndexReader(data / INDEX_FILE)
        records = reader.instances_after(0, 1000)
        reader.close()
        return {
            record.sop_instance_uid: datetime.fromisoformat(record.received_at).timestamp() / 86400
            for record in records
        }

    return wait_until(entered)
