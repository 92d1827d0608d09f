"""How far the return to the PACS has come, for a terminal."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from dicom_node.checks import not_queued_yet
from dicom_node.ledger import FILE, DestinationState, LedgerReader, State, StudyDelivery
from dicom_node.report import progress_of
from dicom_node.settings import Settings
from dicom_node.sync_order import SyncOrder, SyncOrders

LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """Destinations, studies, instances that sync has not looked at, and pauses by destination."""

    destinations: list[DestinationState]
    studies: list[StudyDelivery]
    not_queued_yet: int
    pauses: dict[str, SyncOrder]

    @property
    def is_open(self) -> bool:
        """Whether anything is unproven."""
        return bool(self.not_queued_yet) or any(map(unproven, self.destinations))

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return asdict(self) | {"is_open": self.is_open}


def read_status(settings: Settings) -> SyncStatus:
    """Return how far it has come."""
    ledger = LedgerReader(settings.node.data / FILE)
    orders = SyncOrders(settings.node.data)
    try:
        places = ledger.destinations()
        pauses = {place.name: orders.pause(place.name) for place in places}
        return SyncStatus(
            places,
            ledger.studies(),
            not_queued_yet(settings),
            {name: order for name, order in pauses.items() if order is not None},
        )
    finally:
        ledger.close()


def follow(settings: Settings, wait: Callable[[float], None] = time.sleep) -> SyncStatus:
    """Show the progress until nothing waits for a PACS any more, and return where it stands.

    What needs a person is not waited for.
    """
    with progress_of("Proven") as progress:
        while True:
            status = read_status(settings)
            total = sum(sum(place.counts.values()) for place in status.destinations)
            proven = sum(place.counts[State.PROVEN] for place in status.destinations)
            progress(proven, total)
            waits = sum(map(waiting, status.destinations))
            if not waits and not status.not_queued_yet:
                return status
            wait(LOOK_EVERY_S)


def unproven(place: DestinationState) -> int:
    """Return how many instances a destination has not vouched for."""
    return sum(n for state, n in place.counts.items() if state != State.PROVEN)


def waiting(place: DestinationState) -> int:
    """Return how many instances are on their way to proof by themselves."""
    return unproven(place) - place.counts[State.HELD] - place.counts[State.ATTENTION]


def count_refused(settings: Settings, destination: str, study_instance_uid: str) -> int:
    """Return how many deliveries wait for a person and may be tried again."""
    ledger = LedgerReader(settings.node.data / FILE)
    try:
        return ledger.count_refused(destination, study_instance_uid)
    finally:
        ledger.close()
