"""An index and a ledger written straight to their tables, of any size, for reports on them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dicom_node.clock import stamp
from dicom_node.index_tables import about, instances, studies
from dicom_node.index_writer import Index
from dicom_node.ledger_tables import deliveries
from dicom_node.ledger_writer import Ledger
from dicom_node.settings import Settings, load_settings

BEGAN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """Write a moment so many seconds after the beginning."""
    return stamp(BEGAN + timedelta(seconds=seconds))


class Books:
    """The two databases of one node, and its settings."""

    def __init__(self, data: Path, *names: str) -> None:
        data.mkdir(exist_ok=True)
        overrides = [
            f"pacs.{name}.{key}"
            for name in names
            for key in (f"host=127.0.0.{len(name)}", "port=104", f"ae_title={name.upper()}")
        ]
        self.settings: Settings = load_settings(environment={}, data=data, overrides=overrides)
        self.index = Index(data / "index.sqlite")
        self.ledger = Ledger(data / "ledger.sqlite")
        self.ledger.record_destinations(self.settings.pacs)
        self.index.mark_complete()
        with self.index._engine.connect() as connection:
            is_it = about.c.key == "generation"
            generation = connection.scalar(sa.select(about.c.value).where(is_it))
        self.ledger.set_mark("generation", generation or "")

    def receive(self, study: str, numbers: Iterable[int], seconds: float = 0, **facts: Any) -> None:
        """Enter instances of a study, received together."""
        rows = [
            {
                "path": f"instances/{study}/{number}.dcm",
                "study_instance_uid": study,
                "series_instance_uid": f"{study}.1",
                "sop_instance_uid": f"{study}.1.{number}",
                "digest": f"{number:064x}",
                "size_bytes": 1000,
                "received_at": at(seconds),
                "calling_ae_title": "CT1",
                **facts,
            }
            for number in numbers
        ]
        moments = {"first_received_at": at(seconds), "last_received_at": at(seconds)}
        with self.index._engine.begin() as connection:
            connection.execute(sa.insert(instances), rows)
            known = connection.execute(
                sa.update(studies)
                .where(studies.c.study_instance_uid == study)
                .values(last_received_at=at(seconds))
            )
            if not known.rowcount:
                connection.execute(
                    sa.insert(studies)
                    .values(study_instance_uid=study, study_date="20260102")
                    .values(accession_number="=HYPERLINK(1)", modalities_in_study="CT", **moments)
                )

    def owe(
        self, study: str, numbers: Iterable[int], state: str, name: str = "pacs", **values: Any
    ) -> None:
        """Enter deliveries of a study in one state."""
        rows = [
            {
                "destination": name,
                "study_instance_uid": study,
                "sop_instance_uid": f"{study}.1.{number}",
                "digest": f"{number:064x}",
                "state": state,
                "queued_at": at(1),
                **values,
            }
            for number in numbers
        ]
        with self.ledger.change() as connection:
            connection.execute(sa.insert(deliveries), rows)

    def prove(self, study: str, numbers: Iterable[int], name: str = "pacs", **values: Any) -> None:
        """Enter proven deliveries."""
        moments = {"stored_at": at(5), "proven_at": at(9), "proof": "commitment", "last_status": 0}
        self.owe(study, numbers, "proven", name, **(moments | values))

    def modes(self, *modes: str, every_s: float = 60) -> None:
        """Enter changes of the mode, one a minute from the beginning."""
        for number, mode in enumerate(modes):
            self.ledger.record_event(f"mode_{mode}", "", "node: as found", at(number * every_s))

    def close(self) -> None:
        self.index.close()
        self.ledger.close()
