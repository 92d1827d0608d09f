"""Sending files from the command line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dicom_node.errors import BadSettings, NodeError
from dicom_node.pacs import MAXIMUM_CONTEXTS, Pacs
from dicom_node.setting_tables import PacsSettings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.stored_file import read_file_head

_WORDS: Final = {
    Outcome.REFUSED: "refused",
    Outcome.NO_CONTEXT: "not accepted in this SOP class and transfer syntax",
    Outcome.UNKNOWN: "not answered",
    Outcome.NOT_SENT: "not sent",
    Outcome.UNREADABLE: "unreadable",
}


@dataclass(slots=True)
class SendReport:
    """What became of a list of files; `problems` holds one line for each that was not stored."""

    total: int = 0
    stored: int = 0
    problems: list[str] = field(default_factory=list)


def parse_peer(address: str, ae_title: str) -> PacsSettings:
    """Read HOST:PORT.

    Raises
    ------
    BadSettings
        It is written otherwise.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise BadSettings(f"--to {address}: write it as HOST:PORT")
    return PacsSettings(name=ae_title, ae_title=ae_title, host=host, port=int(port))


def send_files(
    paths: Iterable[Path],
    peer: PacsSettings,
    our_ae_title: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SendReport:
    """Send files and folders of files by C-STORE, as they are.

    Parameters
    ----------
    paths : iterable of Path
    peer : PacsSettings
    our_ae_title : str
    progress : callable
        Called with how many are done and how many there are.

    Returns
    -------
    SendReport

    Raises
    ------
    PeerUnreachable, PeerRefused
        There is no association with the peer.
    """
    report = SendReport()
    shipments: list[Shipment] = []
    for path in _files(paths):
        report.total += 1
        try:
            shipments.append(_shipment(len(shipments), path))
        except (NodeError, OSError) as error:
            report.problems.append(f"{path}: {error}")
    pacs = Pacs(peer, our_ae_title)
    done = 0
    for batch in _batches(shipments):
        for receipt in pacs.send(batch):
            _count(report, receipt, shipments[receipt.delivery_id].path)
            done += 1
            progress(done, len(shipments))
    return report


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (found for found in sorted(path.rglob("*")) if found.is_file())
        else:
            yield path


def _shipment(number: int, path: Path) -> Shipment:
    head = read_file_head(path)
    return Shipment(
        number, str(path), head.sop_class_uid, head.sop_instance_uid, head.transfer_syntax_uid
    )


def _batches(shipments: Sequence[Shipment]) -> Iterator[list[Shipment]]:
    """Split so that no association needs more presentation contexts than there can be."""
    batch: list[Shipment] = []
    pairs: set[tuple[str, str]] = set()
    for item in shipments:
        pair = (item.sop_class_uid, item.transfer_syntax_uid)
        if len(pairs | {pair}) > MAXIMUM_CONTEXTS:
            yield batch
            batch, pairs = [], set()
        batch.append(item)
        pairs.add(pair)
    if batch:
        yield batch


def _count(report: SendReport, receipt: Receipt, path: Path) -> None:
    if receipt.outcome is Outcome.STORED:
        report.stored += 1
        return
    status = "" if receipt.status is None else f" with status {receipt.status:04X}"
    comment = f": {receipt.comment}" if receipt.comment else ""
    report.problems.append(f"{path}: {_WORDS[receipt.outcome]}{status}{comment}")
