"""The sending half of a node in this process, with a time of its own."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from dicom_node.adoption import Adopter
from dicom_node.correction_desk import CorrectionReader
from dicom_node.identity import Identity
from dicom_node.identity_decisions import read_differences
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_tables import identity_difference
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_hook import ModeChange
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import ModeOrders
from dicom_node.order_keeper import OrderKeeper
from dicom_node.pacs import Pacs
from dicom_node.settings import load_settings
from dicom_node.sync import Destination
from dicom_node.sync_order import SyncOrders
from dicom_node.trial import new_trial

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Desk:
    """The sending half of a node: its ledger, its destination, and the time."""

    def __init__(self, room, pacs_port: int, *settings: str) -> None:
        overrides = [
            "pacs.host=127.0.0.1",
            f"pacs.port={pacs_port}",
            "pacs.ae_title=PRACTICE-PACS",
            "pacs.answer_timeout_s=2",
            "pacs.connect_timeout_s=1",
            *settings,
        ]
        self.settings = load_settings(environment={}, data=room.data, overrides=overrides)
        self.room = room
        self.now = START
        self.open()

    def open(self) -> None:
        path = self.room.data / "ledger.sqlite"
        self.ledger = Ledger(path)
        self.ledger.record_destinations(self.settings.pacs)
        self.ledger.requeue_unknown()
        self.reader = LedgerReader(path)
        self.adopter = Adopter(self.settings, self.ledger, self.room.reader, lambda: self.now)
        (pacs,) = self.settings.pacs
        # the same conversations as in the child process, without the time to start one
        self.pacs = Pacs(pacs, "LIFEBOAT")
        clocks = (lambda: self.now, lambda: (self.now - START).total_seconds())
        self.changes: list[ModeChange] = []
        self.modes = ModeKeeper(self.settings, self.ledger, self.changes.append, *clocks)
        self.orders = ModeOrders(self.room.data, clocks[0])
        trial = new_trial(pacs, self.settings, self.pacs, self.orders, self.room.reader, *clocks)
        self.sync_orders = SyncOrders(self.room.data, clocks[0])
        self.corrections = CorrectionReader(self.room.data)
        in_force = self.corrections.active
        self.keeper = OrderKeeper(self.sync_orders, self.ledger, [pacs.name], clocks[0], in_force)
        self.destination = Destination(
            pacs,
            self.settings,
            self.ledger,
            self.pacs,
            self.modes,
            trial,
            *clocks,
            lambda: 0.5,
            is_paused=lambda: self.sync_orders.is_paused(pacs.name),
            identity_of=self.identity_of,
        )

    def identity_of(self, study_instance_uid: str) -> Identity | None:
        study = self.room.reader.study(study_instance_uid)
        if study is None:
            return None
        correction, identity = self.corrections.active(study_instance_uid), asdict(study)
        ours = Identity.of(identity)
        return correction.of(ours) if correction else ours

    def differences(self) -> dict[str, list[str]]:
        """Return how the PACS keeps studies otherwise than we: the state and the attributes."""
        with self.ledger.engine.connect() as connection:
            rows = connection.execute(sa.select(identity_difference)).mappings().all()
        return {
            row["state"]: [item.attribute for item in read_differences(row["differences"])]
            for row in rows
        }

    def events(self, *kinds: str) -> list[str]:
        return [event.detail for event in self.reader.events() if event.kind in kinds]

    def identity_states(self) -> set[str]:
        (study,) = self.reader.studies()
        return {item.identity_state for item in self.reader.deliveries(study.study_instance_uid)}

    def step(self, seconds: float = 0.0) -> None:
        self.now += timedelta(seconds=seconds)
        self.adopter.step()
        self.keeper.step()
        self.destination.step()
        self.adopter.step()

    def counts(self) -> dict[str, int]:
        (state,) = self.reader.destinations()
        return {name: n for name, n in state.counts.items() if n}

    def close(self) -> None:
        self.destination.close()
        self.corrections.close()
        self.reader.close()
        self.ledger.close()


def fill(room, make_instance, count: int = 3) -> list[str]:
    first = make_instance(1)
    uids = {
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": first.SeriesInstanceUID,
    }
    instances = [make_instance(number + 1, **uids) for number in range(count)]
    for ds in instances:
        room.accept(ds)
    room.settle()
    return [str(ds.SOPInstanceUID) for ds in instances]
