"""Two weeks without a PACS, restarts of the node, kills in mid-drain: all is returned, once."""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from dicom_node.delivery_report import Scope, open_report
from dicom_node.server import DicomServer
from dicom_node.setting_tables import DicomSettings
from tests.dicom_node.conftest import Room
from tests.dicom_node.desk import START, Desk

STUDIES = 500 if os.environ.get("LIFEBOAT_FAULTS") == "full" else 28
DAYS = 14
STEP_S = 6 * 3600.0


@dataclass
class Node:
    """Receiving and delivering half of a node, with a time of its own, to be ended at any time."""

    room: Room
    dicom_port: int
    pacs_port: int
    restarts: int = 0
    now: datetime = START
    server: DicomServer = field(init=False)
    desk: Desk = field(init=False)

    def open(self) -> None:
        settings = DicomSettings(port=self.dicom_port)
        reports = self.room.index.add_commitment_reports
        self.server = DicomServer(settings, self.room.ingest, reports, lambda: self.now)
        self.server.start()
        self.desk = Desk(self.room, self.pacs_port, "pacs.ae_title=ORTHANC", "sync.batch_size=20")
        self.desk.now = self.now

    def close(self) -> None:
        self.server.stop()
        self.desk.close()
        self.room.close()

    def restart(self) -> None:
        """End and begin again: only what is in files is known afterwards."""
        self.close()
        self.room = Room(self.room.data)
        self.restarts += 1
        self.open()

    def receive(self, *datasets) -> None:
        for dataset in datasets:
            self.room.accept(dataset)

    def step(self, seconds: float) -> None:
        self.desk.step(seconds)
        self.now = self.desk.now

    def proven(self) -> int:
        return self.desk.counts().get("proven", 0)


@pytest.fixture
def node(tmp_path, free_ports):
    node = Node(Room(tmp_path / "data"), *free_ports(2))
    node.open()
    yield node
    node.close()


@pytest.mark.peer
@pytest.mark.timeout(900)
def test_all_of_a_two_week_outage_is_proven_once_without_a_hand(
    node, make_instance, make_orthanc, free_ports, wait
):
    orthanc = make_orthanc(node.dicom_port, [node.pacs_port, *free_ports(1)])
    sizes = Counter()
    for day in range(DAYS):
        for number in range(day * STUDIES // DAYS, (day + 1) * STUDIES // DAYS):
            uid = f"1.2.826.0.1.3680043.8.498.77.{number}"
            uids = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
            sizes[uid] = 1 + number % 3
            node.receive(*(make_instance(one + 1, **uids) for one in range(sizes[uid])))
        for _ in range(4):
            node.step(STEP_S)
        if day in (2, 6, 11):
            node.restart()
    total = sizes.total()
    assert node.now - START == timedelta(days=DAYS)
    wait(lambda: node.step(1) or node.desk.counts() == {"queued": total})

    orthanc.start()
    wait(lambda: node.step(5) or total / 4 < node.proven() < total, 300, "a quarter is proven")
    node.restart()
    wait(lambda: node.step(5) or total / 2 < node.proven() < total, 300, "half is proven")
    orthanc.process.kill()
    orthanc.process.wait()
    node.step(5)
    node.step(60)
    node.restart()
    orthanc.start()
    wait(lambda: node.step(10) or node.proven() == total, 600, "all are proven")

    assert node.restarts == 5
    held = {uid: node.desk.pacs.held_instances(uid, f"{uid}.1") for uid in sizes}
    assert {uid: len(found) for uid, found in held.items()} == dict(sizes)
    assert orthanc.number_of_instances() == total
    with open_report(node.desk.settings, Scope()) as report:
        studies = {one.study_instance_uid: one.tally.proven for one in report.studies()}
        assert report.totals.is_closable
    assert studies == dict(sizes)
    assert {one.attempts for uid in sizes for one in node.desk.reader.deliveries(uid)} <= {0, 1, 2}
